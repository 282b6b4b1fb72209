"""BM25 over whole documents against published floors, by our rules and by the floors' own.

    python benchmarks/bm25_floors.py --data EVAL_FOLDER --out benchmarks/results/bm25_floors.json

The floors were measured by bm25s with Lucene's formula, k1 = 0.9, b = 0.4. Two things differ there: a query lists every
document, those without a common term too, in the order of the corpus; and a word is a run of letters and digits, so
marks such as the vowel signs of Hindi separate words, save in the scripts that count as pairs of characters.
Here the same index ranks by these rules, which shows whether the formula and the counting agree.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import trivec
from trivec.evaluate import JudgedSet, read_judged
from trivec.evaluate.counted_words import words
from trivec.evaluate.measures import Ranking, measure
from trivec.evaluate.whole_documents import Subwords, Terms, Words, index_documents, query_terms

from common import environment, write_result

MEASURES, DEPTH = ("nDCG@10", "R@100"), 100
FLOORS = Path(__file__).with_suffix(".json")

_PAIRS = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1100-\u11ff\u3040-\u30ff\u3130-\u318f\uac00-\ud7af"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
)
_RUN = re.compile(f"[{_PAIRS}]+|[^\\W{_PAIRS}]+")
_IN_PAIRS = re.compile(f"[{_PAIRS}]")


def words_without_marks(text: str) -> list[str]:
    """Words as the floors have them."""
    found: list[str] = []
    for run in _RUN.findall(text.lower()):
        found += map("".join, pairwise(run)) if _IN_PAIRS.match(run) and len(run) > 1 else [run]
    return found


def ranked(judged: JudgedSet, terms: Terms, list_all: bool) -> dict[str, Ranking]:
    """The first documents of every query; with ``list_all``, those that share no term with it too."""
    names = [document.id for document in judged.documents]
    index = index_documents(judged, terms)
    rankings: dict[str, Ranking] = {}
    for query, counts in zip(judged.queries, query_terms(judged, terms), strict=True):
        scores = index.score(counts)
        order = np.argsort(-scores, kind="stable")[:DEPTH]
        rankings[query.id] = {names[place]: float(scores[place]) for place in order if list_all or scores[place]}
    return rankings


def measure_set(judged: JudgedSet, encoder: trivec.Encoder) -> dict[str, dict[str, float]]:
    """How good it is, by terms and rules."""
    ways: dict[str, tuple[Callable[[], Terms], bool]] = {
        "subwords": (lambda: Subwords(encoder), False),
        "subwords, as the floors": (lambda: Subwords(encoder), True),
        "words": (lambda: Words(words), False),
        "words, as the floors": (lambda: Words(words_without_marks), True),
    }
    found = {}
    for name, (terms, list_all) in ways.items():
        means = measure(ranked(judged, terms(), list_all), judged.relevance, MEASURES, "stable").means()
        found[name] = {measure_name: round(value, 4) for measure_name, value in means.items()}
    return found


def furthest(sets: dict[str, dict[str, dict[str, float]]], floors: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """By way, how far it lies from the floors at most, and on which set."""
    result = {}
    for way in next(iter(sets.values())):
        terms = way.split(",")[0]
        far = {name: round(abs(found[way]["nDCG@10"] - floors[terms][name]), 4) for name, found in sets.items()}
        most = max(far, key=lambda name: far[name])
        result[way] = {"most": far[most], "set": most, "above 0.005": sum(value > 0.005 for value in far.values())}
    return result


def main() -> None:
    """Measure every set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of sets in BEIR layout")
    parser.add_argument("--model", default="m3-small", help="its tokenizer gives the subwords")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    floors, encoder = json.loads(FLOORS.read_text()), trivec.load(given.model)
    sets = {}
    for folder in sorted(path for path in given.data.iterdir() if path.is_dir()):
        sets[folder.name] = measure_set(read_judged(folder), encoder)
        print(folder.name, json.dumps(sets[folder.name]), flush=True)
    result = {"environment": environment(), "furthest": furthest(sets, floors), "floors": floors, "sets": sets}
    print(json.dumps(result["furthest"], indent=1))
    write_result(given.out, result)


if __name__ == "__main__":
    main()
