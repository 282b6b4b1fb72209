"""Text to token ids, by the model's own ``tokenizer.json`` and nothing else.

Text is data: ``</s>`` or ``<mask>`` inside it become ordinary pieces, never special tokens.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tokenizers import Encoding, Tokenizer, normalizers

from trivec.encode.sparse_terms import SparseTerms, TokenTerms
from trivec.errors import CorruptModelError, InputError

if TYPE_CHECKING:
    from trivec.encode.checkpoints.checkpoint import Checkpoint

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_NONCHARACTER = "\ufdd0"
"""A code point that Unicode keeps out of all text."""


@dataclass(frozen=True, slots=True)
class TokenizedText:
    """Token ids of one text, special tokens included.

    Attributes:
        ids: special tokens, prompt, text.
        prompt_tokens: how many ids, after the first special token, belong to the prompt alone.
        full_length: how many ids there were before the text was cut.
        terms: what its tokens weigh for, or None if that was not asked for.
    """

    ids: list[int]
    prompt_tokens: int
    full_length: int
    terms: TokenTerms | None = None


@dataclass(frozen=True, slots=True)
class TitledText:
    """Token ids of prompt, title and text, special tokens included.

    Attributes:
        ids: all of them, uncut.
        prompt_tokens: how many ids, after the first special token, belong to the prompt alone.
        title_end: how many lie before the end of the title; a blank behind it may be a token of its own.
        terms: what the tokens of title and text weigh for, or None if that was not asked for.
    """

    ids: list[int]
    prompt_tokens: int
    title_end: int
    terms: TokenTerms | None = None


AnyText = TypeVar("AnyText", TokenizedText, TitledText)


class TextTokenizer:
    """Wraps a ``tokenizers.Tokenizer``; all offsets are characters of the given text.

    Attributes:
        sparse_terms: what kind of terms it gives with a text, where it is asked for them.
    """

    def __init__(self, tokenizer: Tokenizer, sparse_terms: SparseTerms = "cased") -> None:
        tokenizer.no_padding()
        tokenizer.no_truncation()
        tokenizer.encode_special_tokens = True
        self._tokenizer = tokenizer
        self.sparse_terms = sparse_terms

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> TextTokenizer:
        """That of a model. Errors as in `from_file`."""
        return cls.from_file(checkpoint.tokenizer_file, checkpoint.lowercase, checkpoint.sparse_terms)

    @classmethod
    def from_file(cls, path: Path, lowercase: bool = False, sparse_terms: SparseTerms = "cased") -> TextTokenizer:
        """Read a ``tokenizer.json``; ``lowercase`` puts lower-casing before its own normaliser.

        Raises:
            CorruptModelError: the file cannot be read.
        """
        try:
            tokenizer = Tokenizer.from_file(str(path))
            if lowercase:
                own = [tokenizer.normalizer] if tokenizer.normalizer is not None else []
                tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *own])
            return cls(tokenizer, sparse_terms)
        except Exception as error:  # the package raises bare Exception
            raise CorruptModelError(f"{path} is no tokenizer ({error}): fetch the model again") from error

    @cached_property
    def special_ids(self) -> frozenset[int]:
        """Ids of all special tokens."""
        added = self._tokenizer.get_added_tokens_decoder()
        return frozenset(number for number, token in added.items() if token.special)

    @cached_property
    def weightless_ids(self) -> frozenset[int]:
        """Special tokens that never carry a lexical weight: all but the mask, as in the published M3 code."""
        added = self._tokenizer.get_added_tokens_decoder()
        return frozenset(n for n in self.special_ids if added[n].content not in ("<mask>", "[MASK]"))

    @property
    def vocabulary_size(self) -> int:
        """Number of ids, special and added tokens included."""
        return self._tokenizer.get_vocab_size(with_added_tokens=True)

    def token(self, number: int) -> str:
        """The piece with this id, as the vocabulary spells it."""
        return self._tokenizer.id_to_token(number) or ""

    def id_of(self, token: str) -> int | None:
        """The id of a piece, or None."""
        return self._tokenizer.token_to_id(token)

    @cached_property
    def special_tokens_per_text(self) -> int:
        """How many tokens are put around a text."""
        return self._tokenizer.num_special_tokens_to_add(is_pair=False)

    def tokenize(
        self, texts: Sequence[str], max_length: int, prompt: str = "", with_terms: bool = False
    ) -> list[TokenizedText]:
        """Ids of ``prompt + text`` with special tokens, at most ``max_length`` of them.

        The end of a long text is cut; the special token that ends it stays. ``with_terms`` asks for what the tokens
        weigh for.

        Raises:
            InputError: ``max_length`` leaves no room for text.
        """
        room = max_length - self.special_tokens_per_text
        if room < 1:
            raise InputError(
                f"max_length {max_length} leaves no room for text beside {self.special_tokens_per_text} special tokens"
            )
        texts = [clean_text(text) for text in texts]
        encodings = self._encode([prompt + text for text in texts], add_special_tokens=True)
        tokenized = [
            TokenizedText(_cut(encoding, max_length), _prompt_tokens(encoding, len(prompt)), len(encoding.ids))
            for encoding in encodings
        ]
        return self._with_terms(tokenized, encodings, texts, len(prompt)) if with_terms else tokenized

    def tokenize_titled(
        self, texts: Sequence[str], prompt: str, title: str, with_terms: bool = False
    ) -> list[TitledText]:
        """Ids of ``prompt + title + text`` with special tokens, however many; the title brings its own blank."""
        texts = [title + clean_text(text) for text in texts]
        encodings = self._encode([prompt + text for text in texts], add_special_tokens=True)
        end = len((prompt + title).rstrip())
        tokenized = [
            TitledText(encoding.ids, _prompt_tokens(encoding, len(prompt)), _prompt_tokens(encoding, end))
            for encoding in encodings
        ]
        return self._with_terms(tokenized, encodings, texts, len(prompt)) if with_terms else tokenized

    def _with_terms(
        self, tokenized: Sequence[AnyText], encodings: Sequence[Encoding], texts: Sequence[str], prompt_characters: int
    ) -> list[AnyText]:
        """The same with what their tokens weigh for: those of the text, as far as it was not cut."""
        ranges = [(1 + text.prompt_tokens, len(text.ids) - self.closing_tokens) for text in tokenized]
        terms = [TokenTerms.cased(text.ids[slice(*tokens)]) for text, tokens in zip(tokenized, ranges, strict=True)]
        if self.sparse_terms == "folded":
            folded = [fold_case(text) for text in texts]
            rows = [row for row, text in enumerate(texts) if folded[row] != text]
            for row, lower in zip(rows, self._encode([folded[row] for row in rows], False), strict=True):
                spans = [
                    (start - prompt_characters, end - prompt_characters)
                    for start, end in encodings[row].offsets[slice(*ranges[row])]
                ]
                terms[row] = TokenTerms.folded(spans, lower.offsets, lower.ids)
        return [replace(text, terms=own) for text, own in zip(tokenized, terms, strict=True)]

    def vector_spans(self, text: str, max_length: int, prompt: str = "") -> list[tuple[int, int] | None]:
        """Where each multi-vector of a text comes from: (start, end) in ``text``, None for a special token.

        One entry for each id that `tokenize` gives behind the first special token and the prompt.
        """
        (encoding,) = self._encode([prompt + clean_text(text)], add_special_tokens=True)
        first = 1 + _prompt_tokens(encoding, len(prompt))
        count = min(len(encoding.ids), max_length)
        spans: list[tuple[int, int] | None] = []
        for token in range(first, count):
            span = _characters(encoding, token) if token < count - self.closing_tokens else None
            spans.append(None if span is None else _trim(text, span[0] - len(prompt), span[1] - len(prompt)))
        return spans

    @cached_property
    def closing_tokens(self) -> int:
        """How many special tokens end a text."""
        encoding = self._tokenizer.encode("", add_special_tokens=True)
        return max(0, len(encoding.ids) - 1)

    @cached_property
    def pair_template(self) -> tuple[list[int], list[int], list[int]]:
        """Special tokens before, between and after two texts."""
        pair = self._tokenizer.encode("a", "a", add_special_tokens=True)
        found: tuple[list[int], list[int], list[int]] = ([], [], [])
        place = 0
        for number, text in zip(pair.ids, pair.sequence_ids, strict=True):
            place = place if text is None else text + 1
            if text is None:
                found[place].append(number)
        return found

    @cached_property
    def types_two_texts(self) -> bool:
        """Whether the template for two texts gives the tokens of the second one a type of their own."""
        pair = self._tokenizer.encode("a", "a", add_special_tokens=True)
        types = dict(zip(pair.sequence_ids, pair.type_ids, strict=True))
        return bool(types.get(0) != types.get(1))

    def pieces(self, texts: Sequence[str]) -> list[Encoding]:
        """Encodings without special tokens: ``.ids``, ``.tokens`` and ``.offsets`` (start, end) in the text."""
        return self._encode(texts, add_special_tokens=False)

    def _encode(self, texts: Sequence[str], add_special_tokens: bool) -> list[Encoding]:
        clean = [clean_text(text) for text in texts]
        encodings = self._encode_clean(clean, add_special_tokens)
        if self._takes_special_pieces:
            for row, (text, encoding) in enumerate(zip(clean, encodings, strict=True)):
                if self._holds_special_piece(text, encoding):
                    encodings[row] = self._literal.encode(text, add_special_tokens=add_special_tokens)
        return encodings

    def _encode_clean(self, clean: Sequence[str], add_special_tokens: bool) -> list[Encoding]:
        """One text is encoded in this thread: the package hands a batch to threads of its own, which takes longer."""
        if len(clean) == 1:
            return [self._tokenizer.encode(clean[0], add_special_tokens=add_special_tokens)]
        encodings: list[Encoding] = self._tokenizer.encode_batch(clean, add_special_tokens=add_special_tokens)
        return encodings

    @cached_property
    def _takes_special_pieces(self) -> bool:
        """Whether segmentation itself may pick special pieces: they stand in a Unigram vocabulary like any other."""
        return type(self._tokenizer.model).__name__ == "Unigram"

    def _holds_special_piece(self, text: str, encoding: Encoding) -> bool:
        """Whether text became a special token. The unknown token does so rightly, unless it is spelled out."""
        own = encoding.ids
        if any(encoding.special_tokens_mask):
            own = [number for number, added in zip(own, encoding.special_tokens_mask, strict=True) if not added]
        found = self.special_ids.intersection(own)
        if not found:
            return False
        unknown = self._tokenizer.model.unk_id if hasattr(self._tokenizer.model, "unk_id") else self.id_of("<unk>")
        return found != {unknown} or self.token(unknown or 0) in self._normalized(text)

    def _normalized(self, text: str) -> str:
        normalizer = self._tokenizer.normalizer
        return text if normalizer is None else str(normalizer.normalize_str(text))

    @cached_property
    def _literal(self) -> Tokenizer:
        """The same tokenizer without special pieces: their places hold a noncharacter that no text spells.

        Made when the first text is met that needs it.
        """
        content: dict[str, Any] = json.loads(self._tokenizer.to_str())
        content["added_tokens"] = []
        for number in self.special_ids:
            if number < len(content["model"]["vocab"]):
                content["model"]["vocab"][number][0] = f"{_NONCHARACTER}{number}"
        literal = Tokenizer.from_str(json.dumps(content))
        literal.encode_special_tokens = True
        return literal


def _cut(encoding: Encoding, max_length: int) -> list[int]:
    """Ids, text dropped from the end so that the special tokens around it stay."""
    ids: list[int] = encoding.ids
    if len(ids) <= max_length:
        return ids
    special = encoding.special_tokens_mask
    tail = next(count for count in range(len(ids)) if not special[-1 - count])
    return ids[: max_length - tail] + ids[len(ids) - tail :]


def _prompt_tokens(encoding: Encoding, prompt_characters: int) -> int:
    """How many tokens lie within the first characters of the text."""
    count = 0
    if prompt_characters:
        first = encoding.special_tokens_mask.index(0) if 0 in encoding.special_tokens_mask else len(encoding.ids)
        while (span := _characters(encoding, first + count)) is not None and span[1] <= prompt_characters:
            count += 1
    return count


def _characters(encoding: Encoding, token: int) -> tuple[int, int] | None:
    if token >= len(encoding.ids) or encoding.special_tokens_mask[token]:
        return None
    span: tuple[int, int] | None = encoding.token_to_chars(token)
    return span


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    """A span without white space at its ends, which pieces may carry."""
    start = max(0, start)
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end


def fold_case(text: str) -> str:
    """Lower case in which every character keeps its place.

    ``str.lower`` turns the Turkish capital dotted I into two characters; here it becomes a plain i.
    """
    folded = text.lower()
    return folded if len(folded) == len(text) else "".join(character.lower()[:1] for character in text)


def clean_text(text: str) -> str:
    """Replace lone surrogates, which no encoder can read, by U+FFFD; lengths and offsets stay.

    Raises:
        InputError: it is not a string.
    """
    if not isinstance(text, str):
        raise InputError(f"a text must be a string, got {type(text).__name__} {text!r:.60}")
    return _LONE_SURROGATE.sub("\ufffd", text)
