"""Rows for language models: the published token sequence, whatever has to be cut."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trivec.encode.tokenizer import TextTokenizer
from trivec.errors import InputError
from trivec.rerank.prompts import PREDICT, YES_OR_NO, PromptTokens, begin_token
from trivec.rerank.reranker import Pair

import tiny_llms

KINDS = ("llama", "gemma")
PAIR = Pair("what is the river", "water, book")
GEMMA_ROW = (
    "<bos> A : ▁what ▁is ▁the ▁river \n B : ▁water , ▁book \n "
    "Predict ▁whether ▁passage ▁B ▁contains ▁an ▁answer ▁to ▁query ▁A ."
)
LLAMA_ROW = (
    "<s> ▁A : ▁what ▁is ▁the ▁river ▁ <0x0A> ▁B : ▁water , ▁book ▁ <0x0A> "
    "▁Predict ▁whether ▁passage ▁B ▁contains ▁an ▁answer ▁to ▁query ▁A ."
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folders with a tokenizer and a configuration."""
    workplace = tmp_path_factory.mktemp("prompts")
    return lambda kind: tiny_llms.write_tiny_llm(workplace / kind, kind)  # type: ignore[arg-type]


def tokenizer_of(folder: Path) -> TextTokenizer:
    return TextTokenizer.from_file(folder / "tokenizer.json")


def test_prompts_are_the_published_ones() -> None:
    assert YES_OR_NO == (
        "Given a query A and a passage B, determine whether the passage contains an answer to the query by providing "
        "a prediction of either 'Yes' or 'No'."
    )
    assert PREDICT == "Predict whether passage B contains an answer to query A."


@pytest.mark.parametrize(("kind", "expected"), [("gemma", GEMMA_ROW), ("llama", LLAMA_ROW)])
def test_rows_are_the_published_ones(kind: str, expected: str, folder: Callable[[str], Path]) -> None:
    tokenizer = tokenizer_of(folder(kind))
    begin = begin_token(folder(kind), tokenizer)
    (row,) = PromptTokens(tokenizer, PREDICT, 100, begin=begin).rows([PAIR])
    assert [tokenizer.token(number) for number in row.ids] == expected.split(" ")
    assert row.ids.tolist() == [*row.query, *row.rest]
    assert len(row) == len(row.ids)


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_in_texts_are_text(kind: str, folder: Callable[[str], Path]) -> None:
    tokenizer = tokenizer_of(folder(kind))
    (row,) = PromptTokens(tokenizer, PREDICT, 100).rows([Pair("<s> <bos>", "</s> <eos>")])
    assert not tokenizer.special_ids.intersection(row.ids.tolist())


@settings(max_examples=60)
@given(
    kind=st.sampled_from(KINDS),
    query_words=st.integers(0, 60),
    document_words=st.integers(0, 120),
    max_length=st.integers(24, 150),
    query_length=st.none() | st.integers(1, 80),
)
def test_only_texts_are_cut_and_the_document_first(
    kind: str,
    query_words: int,
    document_words: int,
    max_length: int,
    query_length: int | None,
    folder: Callable[[str], Path],
) -> None:
    tokenizer = TOKENIZERS.setdefault(kind, tokenizer_of(folder(kind)))
    prompt_tokens = PromptTokens(tokenizer, PREDICT, max_length, query_length, begin=1)
    pair = Pair("river " * query_words, "book " * document_words)
    (row,) = prompt_tokens.rows([pair])
    separator, asked, query, document = (
        tuple(encoding.ids) for encoding in tokenizer.pieces(["\n", PREDICT, f"A: {pair.query}", f"B: {pair.document}"])
    )
    room = max_length - 1 - 2 * len(separator) - len(asked)
    query_room = min(3 * max_length // 4 if query_length is None else query_length, room - 1)
    assert row.query == (1, *query[:query_room], *separator)
    assert row.document == document[: room - min(query_room, len(query))]
    assert row.prompt == (*separator, *asked)
    assert row.document
    assert len(row) <= max_length


TOKENIZERS: dict[str, TextTokenizer] = {}


def test_what_is_cut_is_told(folder: Callable[[str], Path], caplog: pytest.LogCaptureFixture) -> None:
    tokens = PromptTokens(tokenizer_of(folder("gemma")), PREDICT, 40, begin=2)
    with caplog.at_level(logging.WARNING):
        tokens.rows([Pair("river " * 50, "water"), Pair("river", "book " * 50)])
    assert "1 queries are longer than 25 tokens and were cut there" in caplog.text
    assert "2 of 2 documents had no room for all of their tokens and were cut" in caplog.text


def test_no_room(folder: Callable[[str], Path]) -> None:
    tokenizer = tokenizer_of(folder("gemma"))
    with pytest.raises(InputError, match=r"max_length 15 with query_length 11 leaves no room .* beside 14 tokens"):
        PromptTokens(tokenizer, PREDICT, 15, begin=2)
    with pytest.raises(InputError, match="query_length 0 leaves no room"):
        PromptTokens(tokenizer, PREDICT, 100, query_length=0)


def test_the_first_token(folder: Callable[[str], Path], tmp_path: Path) -> None:
    source = folder("gemma")
    tokenizer = tokenizer_of(source)
    bos, pad = tokenizer.id_of("<bos>"), tokenizer.id_of("<pad>")

    def begin(settings_file: str = "tokenizer_config.json", number: int | None = None, **named: object) -> int | None:
        for path in tmp_path.glob("*.json"):
            path.unlink()
        (tmp_path / settings_file).write_text(json.dumps(named), "utf-8")
        (tmp_path / "config.json").write_text(json.dumps({"bos_token_id": number}), "utf-8")
        return begin_token(tmp_path, tokenizer)

    assert begin_token(source, tokenizer) == bos
    assert begin(bos_token={"content": "<bos>"}, pad_token="<pad>") == bos
    assert begin("special_tokens_map.json", bos_token="<bos>") == bos
    assert begin(bos_token=None, number=bos) is None
    assert begin(number=bos) == bos
    assert begin() is None
    assert begin(bos_token="<pad>", pad_token="<pad>", number=pad) is None
    assert begin(bos_token="<bos>", pad_token="<bos>") is None
