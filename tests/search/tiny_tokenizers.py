"""Three tokenizers with a handful of pieces, one of each kind, that know every character."""

from __future__ import annotations

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

from trivec.encode.tokenizer import TextTokenizer

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def unigram() -> TextTokenizer:
    """Metaspace and NFKC as in XLM-R; unknown characters become one piece a run."""
    pieces = [("<unk>", -20.0), ("▁", -3.0), ("▁the", -2.0), ("▁un", -4.0), ("believ", -4.0), ("able", -4.0)]
    pieces += [("東京", -4.0), ("大学", -4.0), ("ภาษา", -4.0), ("ไทย", -4.0), ("नम", -4.0), ("स्ते", -4.0), (".", -3.0)]
    pieces += [(letter, -6.0) for letter in [*LETTERS, *LETTERS.upper(), *"东京学日本語é!?,"]]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=False))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return TextTokenizer(tokenizer)


def wordpiece() -> TextTokenizer:
    """BERT's rules: lower case, spaces around Han, [UNK] for a word of more than 100 characters."""
    words = ["[UNK]", "the", "un", "##believ", "##able", "東", "京", ".", "!", ",", *LETTERS]
    words += [f"##{letter}" for letter in LETTERS]
    tokenizer = Tokenizer(models.WordPiece({word: n for n, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return TextTokenizer(tokenizer)


def byte_level() -> TextTokenizer:
    """GPT-2's bytes with three merges: a letter outside of ASCII has two to four tokens."""
    symbols = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("t", "h"), ("th", "e"), ("Ġ", "the")]
    words = [*symbols, "th", "the", "Ġthe"]
    tokenizer = Tokenizer(models.BPE({word: n for n, word in enumerate(words)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return TextTokenizer(tokenizer)


def whole_words(words: str) -> TextTokenizer:
    """Each of these words is a token, and so is every mark; all else is unknown."""
    vocabulary = {word: n for n, word in enumerate(["[UNK]", *words.split()])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return TextTokenizer(tokenizer)
