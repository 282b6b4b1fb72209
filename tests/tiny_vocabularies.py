"""Tokenizers of the tiny models: Unigram, WordPiece and byte-level BPE that spell most scripts letter by letter."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

MAX_LENGTH = 512

XLMR_NAMES = {"cls": "<s>", "pad": "<pad>", "sep": "</s>", "unk": "<unk>", "mask": "<mask>"}
BERT_NAMES = {"cls": "[CLS]", "pad": "[PAD]", "sep": "[SEP]", "unk": "[UNK]", "mask": "[MASK]"}

LATIN = "abcdefghijklmnopqrstuvwxyz"
DIGITS = "0123456789"
PUNCTUATION = ".,!?-:;'\"()[]/%&+=_@#*<>。、「」،؟।"
ACCENTED = "àáâãäåæçèéêëìíîïñòóôõöøùúûüýÿßœšžčřąęłńśźżğışățđ"
OTHER_SCRIPTS = (
    "αβγδεζηθικλμνξοπρστυφχψωςάέήίόύώ"
    "абвгдежзийклмнопрстуфхцчшщъыьэюяёіїєґ"
    "אבגדהוזחטיךכלםמןנסעףפץצקרשת"
    "ابتثجحخدذرزسشصضطظعغفقكلمنهويىةءآأإئؤگچپژی"
    "अआइईउऊएऐओऔकखगघचछजझटठडढणतथदधनपफबभमयरलवशषसहािीुूृेैोौं़्"
    "กขคงจชซญดตถทธนบปผพฟภมยรลวศสหอะาิีึืุูเแโใไ่้์็ั"
    "あいうえおかがきくけこさしすせそただちっつてでとどなにねのはばひふへほまみめもやゆよらりるれろわをん"
    "アイウエオカキクグコサシジスタットドナニネノハバフマメモラリルレロンー"
    "的一是不了人我在有他这中大来上国学生日本東京语語文字山水火木金土天气今明图書书馆館"
    "가고그기나는다도라로를리마만모무물바보사서수시아안어에여오요우울은을의이인자장전정제주지하학한해"
)
ENGLISH = (
    "the of and to in is that it for was on are with as at be this have from or by not what "
    "where who how when capital city country river mountain book library science water night"
)
EUROPEAN = (
    "der die das und ist la le les de et est el los en que il di che não uma och att jest "
    "hauptstadt ville ciudad città stadt и в не на что это город столица река και το της πόλη"
)
WORDS = tuple(dict.fromkeys(f"{ENGLISH} {EUROPEAN}".split()))
LETTERS = tuple(dict.fromkeys(LATIN + DIGITS + PUNCTUATION + ACCENTED + OTHER_SCRIPTS))


def unigram_vocabulary() -> list[tuple[str, float]]:
    """Pieces and scores in XLM-RoBERTa's order: `<s> <pad> </s> <unk>`, best score first, then `<mask>`."""
    pieces = [f"▁{word}" for word in WORDS] + ["▁", *LETTERS, *LATIN.upper()]
    pieces += [f"▁{letter}" for letter in LATIN]
    pieces = list(dict.fromkeys(pieces))
    first = [(XLMR_NAMES[name], 0.0) for name in ("cls", "pad", "sep", "unk")]
    scored = [(piece, round(-5.0 - 0.01 * rank, 2)) for rank, piece in enumerate(pieces)]
    return [*first, *scored, (XLMR_NAMES["mask"], 0.0)]


def unigram_tokenizer(vocabulary: Sequence[tuple[str, float]]) -> dict[str, Any]:
    """Content of XLM-RoBERTa's `tokenizer.json`, with NFKC in place of sentencepiece's own normalizer."""
    space = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    numbers = {name: number for number, (name, _) in enumerate(vocabulary)}
    return {
        **_tokenizer_frame(XLMR_NAMES, numbers),
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "NFKC"},
                {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
            ],
        },
        "pre_tokenizer": space,
        "decoder": space,
        "model": {
            "type": "Unigram",
            "unk_id": 3,
            "vocab": [list(row) for row in vocabulary],
            "byte_fallback": False,
        },
    }


def wordpiece_vocabulary() -> list[str]:
    """Pieces in the order of `vocab.txt`."""
    words = [word for word in WORDS if word.isascii()]
    pieces = [*BERT_NAMES.values(), *words, *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    return sorted(dict.fromkeys(pieces), key=lambda piece: piece not in BERT_NAMES.values())


def wordpiece_tokenizer(vocabulary: Sequence[str]) -> dict[str, Any]:
    """Content of BERT's uncased `tokenizer.json`."""
    numbers = {piece: number for number, piece in enumerate(vocabulary)}
    return {
        **_tokenizer_frame(BERT_NAMES, numbers),
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": BERT_NAMES["unk"],
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": numbers,
        },
    }


def byte_level_vocabulary() -> tuple[list[str], list[tuple[str, str]]]:
    """The 256 byte symbols and the merges that spell the English words, as RoBERTa orders them."""
    merges: list[tuple[str, str]] = []
    for word in ENGLISH.split():
        piece = "Ġ"
        for letter in word:
            merges.append((piece, letter))
            piece += letter
    merges = list(dict.fromkeys(merges))
    names = [XLMR_NAMES[name] for name in ("cls", "pad", "sep", "unk")]
    return [*names, *_byte_symbols(), *map("".join, merges), XLMR_NAMES["mask"]], merges


def _byte_symbols() -> list[str]:
    """GPT-2's alphabet: bytes that print stand for themselves, the others for letters from U+0100 on."""
    printing = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = len(set(range(256)) - set(printing))
    return [*map(chr, printing), *map(chr, range(0x100, 0x100 + others))]


def byte_level_tokenizer(vocabulary: Sequence[str], merges: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Content of RoBERTa's `tokenizer.json`."""
    numbers = {piece: number for number, piece in enumerate(vocabulary)}
    return {
        **_tokenizer_frame(XLMR_NAMES, numbers),
        "normalizer": None,
        "pre_tokenizer": {
            "type": "ByteLevel",
            "add_prefix_space": False,
            "trim_offsets": True,
            "use_regex": True,
        },
        "post_processor": {
            "type": "RobertaProcessing",
            "sep": [XLMR_NAMES["sep"], numbers[XLMR_NAMES["sep"]]],
            "cls": [XLMR_NAMES["cls"], numbers[XLMR_NAMES["cls"]]],
            "trim_offsets": True,
            "add_prefix_space": False,
        },
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": numbers,
            "merges": [list(pair) for pair in merges],
        },
    }


def _tokenizer_frame(names: Mapping[str, str], numbers: Mapping[str, int]) -> dict[str, Any]:
    """What all three have: the special tokens, and the template that puts them around one text or two."""
    second_type = 1 if names is BERT_NAMES else 0
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": numbers[name],
                "content": name,
                "single_word": False,
                "lstrip": name == "<mask>",
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for name in sorted(names.values(), key=lambda name: numbers[name])
        ],
        "post_processor": {
            "type": "TemplateProcessing",
            "single": _template(names, "A"),
            "pair": [
                *_template(names, "A"),
                *([_special(names["sep"])] if names is XLMR_NAMES else []),
                {"Sequence": {"id": "B", "type_id": second_type}},
                _special(names["sep"], second_type),
            ],
            "special_tokens": {
                name: {"id": name, "ids": [numbers[name]], "tokens": [name]} for name in (names["cls"], names["sep"])
            },
        },
    }


def _template(names: Mapping[str, str], text: str) -> list[dict[str, Any]]:
    return [_special(names["cls"]), {"Sequence": {"id": text, "type_id": 0}}, _special(names["sep"])]


def _special(name: str, type_id: int = 0) -> dict[str, Any]:
    return {"SpecialToken": {"id": name, "type_id": type_id}}


def write_tokenizer(
    folder: Path,
    content: Mapping[str, Any],
    names: Mapping[str, str],
    tokenizer_class: str,
    do_lower_case: bool = False,
) -> None:
    tokens = {f"{role}_token": name for role, name in names.items()}
    if names is XLMR_NAMES:
        tokens |= {"bos_token": names["cls"], "eos_token": names["sep"]}
    config: dict[str, Any] = {**tokens, "tokenizer_class": tokenizer_class, "model_max_length": MAX_LENGTH}
    if do_lower_case:
        config |= {"do_lower_case": True, "tokenize_chinese_chars": True, "strip_accents": None}
    write_json(folder / "tokenizer.json", content)
    write_json(folder / "tokenizer_config.json", {**config, "clean_up_tokenization_spaces": True})
    write_json(folder / "special_tokens_map.json", tokens)


def write_json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
