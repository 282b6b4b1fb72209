"""Ways with long documents, compared: nDCG@10 of dense, multi-vector and hybrid search, and time to encode.

    python benchmarks/long_text.py EVAL_FOLDER --out benchmarks/results/long_text.json

A sample of each corpus is searched, always the same: ``--documents`` of ``--least`` to ``--most`` characters, those
that are relevant to some query first, by the hash of their ids. A query counts if all its relevant documents are
in the sample. Smaller corpora are easier: the numbers compare the ways with each other, and with nothing else.

The ways take turns at a few documents, so that all see the same machine. Differences are to passages, as a library
makes them by default; their standard errors are over queries.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import ir_measures
import numpy as np
from ir_measures import nDCG

import trivec
from trivec import Embeddings, Encoder
from trivec.search.long_documents import LongDocuments
from trivec.search.options import SearchOptions
from trivec.search.passages import PassageSplitter
from trivec.types import Document, Passage, join_title

from common import EvaluationSet, environment, read_set, write_result
from encoded_sets import EncodedSet, signal_scores, system_scores

CORPORA = {
    "man_long_en": ("man_long_en", "man_long_xling_en"),
    "man_long_multi": ("man_long_multi",),
    "covidqa_long_en": ("covidqa_long_en",),
}
"""Sets by the corpus that they share."""

SYSTEMS = ("dense", "multi", "hybrid")
BASE = "passages"
TURN = 8

Way = Callable[[Encoder, Sequence[Document]], tuple[list[Passage], Embeddings]]


def cut(encoder: Encoder, documents: Sequence[Document]) -> tuple[list[Passage], Embeddings]:
    """One vector a document, its end cut."""
    passages = [Passage(document.id, document.text, document.title) for document in documents]
    return passages, encoder.encode_documents([join_title(d.title, d.text) for d in documents])


def in_library(encoder: Encoder, documents: Sequence[Document], how: LongDocuments) -> tuple[list[Passage], Embeddings]:
    """As a library does it."""
    splitter = PassageSplitter.for_encoder(encoder, long_documents=how)
    passages = [passage for document in documents for passage in splitter.split(document)]
    return passages, splitter.encode(encoder, passages)


def ways(encoder: Encoder) -> dict[str, Way]:
    """All that the model can do, by name."""
    options = {
        "passages": LongDocuments(),
        "passages of 256": LongDocuments(passage_tokens=256),
        "late chunking of 256": LongDocuments("late-chunking", 256),
        "windows": LongDocuments("windows"),
    }
    if encoder.checkpoint.pooling == "cls":
        options["mcls"] = LongDocuments("mcls")
    return {"cut": cut} | {name: partial(in_library, how=how) for name, how in options.items()}


@dataclass
class Encoded:
    """One way's passages and vectors, as they come."""

    passages: list[Passage] = field(default_factory=list)
    parts: list[Embeddings] = field(default_factory=list)
    seconds: float = 0.0


def encode_corpus(encoder: Encoder, documents: Sequence[Document]) -> dict[str, Encoded]:
    """All documents in all ways, taking turns."""
    encoded = {name: Encoded() for name in ways(encoder)}
    for start in range(0, len(documents), TURN):
        for name, way in ways(encoder).items():
            started = time.perf_counter()
            passages, vectors = way(encoder, documents[start : start + TURN])
            encoded[name].seconds += time.perf_counter() - started
            encoded[name].passages += passages
            encoded[name].parts.append(vectors)
    return encoded


def sample(sets: Sequence[EvaluationSet], documents: int, characters: range) -> list[Document]:
    """Documents of a corpus that several sets share."""
    relevant = {document for data in sets for row in data.qrels.values() for document, grade in row.items() if grade}
    fitting = [document for document in sets[0].documents if len(document.text) in characters]
    return sorted(fitting, key=lambda d: (d.id not in relevant, _hash(d.id)))[:documents]


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def with_queries(data: EvaluationSet, documents: Sequence[Document]) -> EvaluationSet:
    """The set over these documents, with the queries that they answer in full."""
    known = {document.id for document in documents}
    qrels = {query: row for query, row in data.qrels.items() if known.issuperset(row)}
    queries = {query: text for query, text in data.queries.items() if query in qrels}
    return EvaluationSet(data.name, list(documents), queries, qrels)


def query_scores(data: EvaluationSet, encoded: EncodedSet, options: SearchOptions) -> dict[str, np.ndarray]:
    """nDCG@10 of every query, by system."""
    signals = signal_scores(encoded)
    names = [passage.document_id for passage in encoded.passages]
    scores: dict[str, np.ndarray] = {}
    for system in SYSTEMS:
        run: dict[str, dict[str, float]] = {}
        for number, query in enumerate(data.queries):
            row = system_scores(system, {name: values[number] for name, values in signals.items()}, options)
            run[query] = _best(zip(names, row.tolist(), strict=True))
        by_query = {value.query_id: value.value for value in ir_measures.iter_calc([nDCG @ 10], data.qrels, run)}
        scores[system] = np.array([by_query[query] for query in data.queries])
    return scores


def _best(pairs: Iterable[tuple[str, float]]) -> dict[str, float]:
    best: dict[str, float] = {}
    for name, score in pairs:
        if np.isfinite(score):
            best[name] = max(best.get(name, -np.inf), score)
    return best


def compare(data: EvaluationSet, encoder: Encoder, encoded: dict[str, Encoded]) -> dict[str, Any]:
    """A row for each way."""
    options = SearchOptions.from_settings(encoder.checkpoint.settings)
    queries = encoder.encode_queries(list(data.queries.values()))
    found = {}
    for name, one in encoded.items():
        documents = Embeddings.concatenate(one.parts)
        found[name] = query_scores(data, EncodedSet(one.passages, documents, queries), options)
    return {
        name: {
            "passages": len(encoded[name].passages),
            "nDCG@10": {system: round(float(values.mean()), 4) for system, values in scores.items()},
            "difference": {system: list(_difference(values, found[BASE][system])) for system, values in scores.items()},
        }
        for name, scores in found.items()
    }


def _difference(values: np.ndarray, base: np.ndarray) -> Iterator[float]:
    """Mean over queries, and its standard error."""
    difference = values - base
    yield round(float(difference.mean()), 4)
    yield round(float(difference.std(ddof=1) / np.sqrt(len(difference))), 4)


def main() -> None:
    """Run all sets and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of sets in BEIR layout")
    parser.add_argument("--model", default="m3-small")
    parser.add_argument("--documents", type=int, default=30, help="of a corpus")
    parser.add_argument("--least", type=int, default=4_000, help="characters of a document")
    parser.add_argument("--most", type=int, default=20_000, help="characters of a document")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    logging.getLogger("trivec").setLevel(logging.ERROR)
    encoder = trivec.load(arguments.model)
    table: dict[str, Any] = {}
    seconds: dict[str, float] = {}
    for names in CORPORA.values():
        sets = [read_set(arguments.data / name) for name in names if (arguments.data / name).is_dir()]
        if not sets:
            continue
        documents = sample(sets, arguments.documents, range(arguments.least, arguments.most + 1))
        encoded = encode_corpus(encoder, documents)
        for name, one in encoded.items():
            seconds[name] = seconds.get(name, 0.0) + one.seconds
        for data in sets:
            searched = with_queries(data, documents)
            rows = compare(searched, encoder, encoded)
            lengths = [len(document.text) for document in documents]
            table[data.name] = {
                "documents": len(documents),
                "median_characters": int(np.median(lengths)),
                "queries": len(searched.queries),
                "ways": rows,
            }
            for name, row in rows.items():
                print(f"{data.name:20} {name:22}", *(f"{s} {v:.3f}" for s, v in row["nDCG@10"].items()), flush=True)
    settings = {"documents": arguments.documents, "characters": [arguments.least, arguments.most]}
    result = {
        "environment": environment("ir-measures"),
        "model": encoder.name,
        "sample": settings,
        "mean_nDCG@10": means(table),
        "seconds_relative_to_passages": {name: round(s / seconds[BASE], 2) for name, s in seconds.items()},
        "sets": table,
    }
    write_result(arguments.out, result)


def means(table: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Over sets, by way and system."""
    rows = [data["ways"] for data in table.values()]
    return {
        name: {s: round(float(np.mean([row[name]["nDCG@10"][s] for row in rows])), 4) for s in SYSTEMS}
        for name in rows[0]
    }


if __name__ == "__main__":
    main()
