"""Groups that a reranker can learn from: what search gets wrong, as it would be read, with the scores of the search.

    python recipes/reranker_groups.py TRAINING_FILES... --out GROUPS --groups 9600

Each file is a small collection: its positives and labelled negatives are the documents, its queries are asked, and the
model's own mix lists the best passages. A query becomes a group of its positive's best passage and others that are
listed, the highest ones and one from further down, with all their scores as ``pos_scores`` and ``neg_scores``, for
``trivec train reranker --teacher first-stage``; and two texts that are not, below all scores, so that the reranker
learns by itself what has nothing to do with a query. Groups that the search solves with certainty teach nothing more:
they are drawn by what is left to learn in them, - log softmax(scores / T) of the positive.

A share of the documents is held out with all their queries, and is in no group: for choosing the weight of the first
stage, and whatever else is to be chosen. (Queries alone are not enough: others are about the same documents, and a
reranker that has read those looks better than it is.)

A long passage is mostly given as that stretch of ``--stretches`` tokens that shares the rarest words with the query;
the others stand as they are, so that both lengths are seen. With ``--draws`` a query is asked so often, each time among
other passages, cut to another length.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import math
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

import trivec
from trivec.encode.tokenizer import TextTokenizer
from trivec.evaluate import EvaluateOptions, JudgedQuery, JudgedSet
from trivec.evaluate.ranked_sets import rank_set
from trivec.evaluate.reranked_sets import Listed, listed_by_system
from trivec.search.passages import PassageSplitter
from trivec.types import Document

DEPTH, SEEN, LENGTH = 300, 16, 3000
STEP = 24
WHOLE_SHARE, HELD_OUT = 0.2, 0.06
NEAR = 0.75
BELOW = 0.2


@dataclass(frozen=True)
class Negative:
    """A passage that is listed for a query, and is no answer to it."""

    score: float
    text: str
    labelled: bool


@dataclass(frozen=True)
class Listing:
    """What the search lists for a query: where the positive stands, and what stands around it."""

    query: str
    positive: str
    score: float
    negatives: list[Negative]

    def loss(self, temperature: float) -> float:
        """What is left to learn, in nats."""
        scores = np.asarray([self.score, *(negative.score for negative in self.negatives)]) / temperature
        return float(np.log(np.exp(scores - scores[0]).sum()))


def listings(path: Path, encoder: trivec.Encoder, most: int, language: str | None, cache: Path) -> Iterator[Listing]:
    """What the search lists for the queries of a file, one after the other."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [row for row in map(json.loads, lines) if language is None or {*row["lang"].split("-")} == {language}]
    random.Random(7).shuffle(rows)
    judged, labelled = collection(path.name, rows[:most])
    options = EvaluateOptions(["hybrid"], ["nDCG@10"])
    ranked = rank_set(encoder, judged, options, cache, True)
    assert ranked.found is not None
    content = PassageSplitter.for_encoder(encoder, long_documents=options.long_documents).content
    system, texts = next(iter(ranked.mixes.values())), judged.texts
    listed = listed_by_system(system, judged.queries, ranked.found, content, DEPTH)
    for query, hits in zip(judged.queries, listed, strict=True):
        right = judged.relevance[query.id]
        if any(held_out(texts[document]) for document in right):
            continue
        seen = [hit for hit in hits if not held_out(texts[hit.document])]
        positive = next((hit for hit in seen if hit.document in right), None)
        if positive is not None:
            answers = [stretches(texts[document]) for document in right]
            others = [hit for hit in seen[:100] if hit.document not in right]
            chosen = spread([hit for hit in others if not is_near(texts[hit.document], answers)])
            known = labelled.get(query.id, set())
            negatives = [Negative(hit.score, hit.content, hit.document in known) for hit in chosen]
            yield Listing(query.text, positive.content, positive.score, negatives)


def collection(name: str, rows: Sequence[dict[str, Any]]) -> tuple[JudgedSet, dict[str, set[str]]]:
    """The texts of a file as a judged set, and the ids of what people labelled as no answer, by query."""
    documents: dict[str, str] = {}
    queries: dict[str, str] = {}
    relevance: dict[str, dict[str, int]] = {}
    labelled: dict[str, set[str]] = {}
    for row in rows:
        query = queries.setdefault(row["query"], str(len(queries)))
        for text in row["pos"]:
            relevance.setdefault(query, {})[documents.setdefault(text[:LENGTH], str(len(documents)))] = 1
        for text in row.get("neg", []):
            labelled.setdefault(query, set()).add(documents.setdefault(text[:LENGTH], str(len(documents))))
    asked = [JudgedQuery(number, text) for text, number in queries.items()]
    texts = [Document(number, text) for text, number in documents.items()]
    return JudgedSet(name, asked, texts, relevance), labelled


def spread(hits: Sequence[Listed]) -> list[Listed]:
    """The first of them, and a few from further down."""
    first, rest = list(hits[: SEEN - 4]), list(hits[SEEN - 4 :])
    return first + random.Random(len(hits)).sample(rest, min(4, len(rest)))


def stretches(text: str) -> set[str]:
    """Five letters at a time."""
    plain = re.sub(r"\s+", " ", text.lower())[:1500]
    return {plain[start : start + 5] for start in range(max(1, len(plain) - 4))}


def is_near(text: str, answers: Sequence[set[str]]) -> bool:
    """Whether a text is nearly one of the answers (Jaccard index)."""
    own = stretches(text)
    return any(len(own & answer) >= NEAR * len(own | answer) for answer in answers)


class Stretch:
    """Finds the part of a passage that shares the rarest words with a query.

    Args:
        tokenizer: of the model.
        texts: a collection, which tells what is rare.
    """

    def __init__(self, tokenizer: TextTokenizer, texts: Sequence[str]) -> None:
        self._tokenizer, self._count = tokenizer, len(texts)
        self._found_in = Counter(number for text in texts for number in set(self._ids(text)))

    def of(self, query: str, text: str, length: int) -> str:
        """At most ``length`` tokens of a text; its beginning, if no part shares a word with the query."""
        (encoding,) = self._tokenizer.pieces([text])
        ids, last = self._ids(text), len(encoding.ids) - length
        if last <= 0 or len(ids) != len(encoding.ids):
            return text
        worth = {number: math.log(1 + self._count / (1 + self._found_in[number])) for number in set(self._ids(query))}
        starts = [*range(0, last, STEP), last]
        best = max(starts, key=lambda start: (self._shared(worth, ids[start : start + length]), -start))
        return text[encoding.offsets[best][0] : encoding.offsets[best + length - 1][1]]

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.pieces([text.lower()])[0].ids
        return ids

    @staticmethod
    def _shared(worth: dict[int, float], ids: Sequence[int]) -> float:
        return round(sum(worth[number] for number in set(ids) & worth.keys()), 6)


def group(
    listing: Listing, size: int, others: Sequence[str], cut: Stretch, stretches: Sequence[int], rng: random.Random
) -> dict[str, Any]:
    """A listing as an example: some of the first negatives, one that is labelled, one from further down, two others."""
    first = rng.sample(listing.negatives[: size - 3], size - 5)
    rest = [negative for negative in listing.negatives if negative not in first]
    known = [negative for negative in rest if negative.labelled][:1] or [rng.choice(rest[:7])]
    deep = rng.choice([negative for negative in rest if negative not in known])
    listed = [*first, *known, deep]
    below = min(negative.score for negative in listed) - BELOW
    foreign = [text for text in rng.sample(others, 3) if text != listing.positive][:2]
    chosen = [*listed, *(Negative(below, text, False) for text in foreign)]
    texts = [listing.positive, *(negative.text for negative in chosen)]
    if rng.random() >= WHOLE_SHARE:
        length = rng.choice(stretches)
        texts = [cut.of(listing.query, text, length) for text in texts]
    return {
        "query": listing.query,
        "pos": texts[:1],
        "neg": texts[1:],
        "pos_scores": [listing.score],
        "neg_scores": [negative.score for negative in chosen],
    }


def calibrated(listed: Sequence[Listing]) -> float:
    """The temperature at which scores say how often the search is right."""
    found = minimize_scalar(
        lambda temperature: np.mean([one.loss(temperature) for one in listed]), bounds=(0.005, 2), method="bounded"
    )
    return float(found.x)


def keeping(losses: Sequence[float], groups: int) -> float:
    """The factor that makes probabilities of losses, so that about so many groups are drawn."""
    low, high = 0.0, 100.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if np.minimum(1, middle * np.asarray(losses)).sum() > groups else (middle, high)
    return high


def held_out(document: str) -> bool:
    """Whether a document is not trained on."""
    return int(hashlib.sha256(document.encode()).hexdigest()[:8], 16) / 2**32 < HELD_OUT


def main() -> None:
    """Write a file of groups for each file of examples."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+", help="jsonl.gz: query, pos, neg")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="m3-small")
    parser.add_argument("--groups", type=int, default=9600, help="in all, about")
    parser.add_argument("--group-size", type=int, default=7)
    parser.add_argument("--draws", type=int, default=1, help="groups of a query")
    parser.add_argument("--stretches", type=int, nargs="+", default=[128], help="tokens, drawn for each group")
    parser.add_argument("--language", help="of queries and passages; all of them, unless told")
    parser.add_argument("--most", type=int, default=7000, help="queries of a file")
    parser.add_argument("--less", nargs="*", default=[], metavar="NAME=SHARE", help="files that count less")
    given = parser.parse_args()
    encoder = trivec.load(given.model, precision="int8")
    by_file = {
        path: list(listings(path, encoder, given.most, given.language, given.out / "vectors")) for path in given.files
    }
    sample = [one for found in by_file.values() for one in random.Random(1).sample(found, min(300, len(found)))]
    temperature = 1.2 * calibrated(sample)  # queries that the model was trained on are easier than others
    less = {name: float(share) for name, _, share in (word.partition("=") for word in given.less)}
    shares = {path: less.get(path.name.removesuffix(".jsonl.gz"), 1.0) for path in given.files}
    usable = [
        (shares[path] * listing.loss(temperature) + 0.02, path, listing)
        for path, found in by_file.items()
        for listing in found
        if len(listing.negatives) > given.group_size
    ]
    everything = sorted({listing.positive for _, _, listing in usable})
    factor, rng = keeping([loss for loss, _, _ in usable], given.groups // given.draws), random.Random(3)
    for path, found in by_file.items():
        own = list(dict.fromkeys(listing.positive for listing in found))
        cut, others = Stretch(encoder.tokenizer, own), [*own, *rng.sample(everything, min(len(own), len(everything)))]
        mine = [(loss, listing) for loss, place, listing in usable if place == path] * given.draws
        chosen = [listing for loss, listing in mine if rng.random() < factor * loss]
        with gzip.open(given.out / path.name, "wt", encoding="utf-8") as lines:
            for listing in chosen:
                lines.write(json.dumps(group(listing, given.group_size, others, cut, given.stretches, rng)) + "\n")
        print(f"{path.name}: {len(chosen)} of {len(found)} queries", flush=True)
    print(f"--teacher-temperature {temperature:.3f}")


if __name__ == "__main__":
    main()
