"""An encoder whose vectors stand in the texts, and files of examples, so that rankings are known beforehand."""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import scipy.sparse as sp

from trivec.data.mining import Inputs
from trivec.embeddings import Embeddings
from trivec.fingerprint import Fingerprint

COLUMNS = 997


def text_at(name: str, *values: float) -> str:
    """A text with these values as its dense vector, and its name as all of its words."""
    return f"{name} | {' '.join(f'{value:.6f}' for value in values)}"


class PlantedEncoder:
    """Dense vectors are the numbers behind the bar of a text, terms the words before it."""

    name = "planted"
    heads = ("dense", "terms")
    max_length = 100

    def __init__(self, model: str = "1") -> None:
        self.fingerprint = Fingerprint("planted", model)
        self.checkpoint = SimpleNamespace(query_prompt="", settings={})
        self.documents: list[str] = []

    def encode(self, texts: Iterable[str], heads: Collection[str], prompt: str = "") -> Embeddings:
        texts = [prompt + text for text in texts]
        vectors = np.asarray([text.rpartition("|")[2].split() for text in texts], np.float32)
        counts = np.zeros((len(texts), COLUMNS), np.float32)
        for row, text in zip(counts, texts, strict=True):
            for word in text.rpartition("|")[0].split():
                row[zlib.crc32(word.encode()) % COLUMNS] += 1
        return Embeddings(
            dense=vectors if "dense" in heads else None,
            terms=sp.csr_array(counts) if "terms" in heads else None,
        )

    def encode_queries(self, texts: Sequence[str], heads: Collection[str]) -> Embeddings:
        return self.encode(texts, heads)

    def encode_documents(
        self, texts: Sequence[str], heads: Collection[str], max_length: int | None = None
    ) -> Embeddings:
        self.documents += texts
        return self.encode(texts, heads)


class ByNumber:
    """A teacher that gives each text the number that a rule makes of it."""

    def __init__(self, rule: Any, name: str = "rule") -> None:
        self.rule = rule
        self.name = name
        self.asked: list[str] = []

    def score(self, query: str, texts: Sequence[str]) -> Any:
        self.asked += texts
        return np.asarray([self.rule(text) for text in texts], np.float32)


def write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def read_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def line_of_texts(count: int, name: str = "text") -> list[dict[str, Any]]:
    """A corpus of texts whose dense scores for the query (1, 0) fall from 1 in steps of 1 / count."""
    return [
        {"_id": f"{name}{number}", "text": text_at(f"{name} number {number}", 1 - number / count, 0)}
        for number in range(count)
    ]


def inputs(folder: Path, examples: Iterable[dict[str, Any]], corpus: Iterable[dict[str, Any]] = ()) -> Inputs:
    """The examples as ``pairs.jsonl``, and the corpus, if there is one, as ``corpus.jsonl``."""
    corpus = list(corpus)
    pairs = write_rows(folder / "pairs.jsonl", examples)
    return Inputs([pairs], [write_rows(folder / "corpus.jsonl", corpus)] if corpus else ())
