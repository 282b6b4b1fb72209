"""What is in training data: counts, lengths, languages, negatives, scores and duplicates, by data set."""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeAlias

import numpy as np

from trivec.data.examples import Example
from trivec.data.prepared import Prepared

TokenCounter: TypeAlias = Callable[[Sequence[str]], Sequence[int]]
"""How many tokens each text has, such as ``lambda texts: [len(t) for t in tokenizer.encode(texts)]``."""

LANGUAGE_FIELDS = ("lang", "language")
"""Extra fields that say the language; the first that is there counts."""

_EXAMPLES_AT_ONCE = 64

_HEADER: tuple[str, ...] = (
    "data set",
    "examples",
    "positives",
    "negatives",
    "with negatives",
    "scored",
    "duplicates",
    "query tokens",
    "positive tokens",
    "languages",
)


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long texts are, in tokens; 0 everywhere if there are no texts."""

    median: int
    p95: int
    longest: int

    total: int
    """Tokens of all texts together."""


@dataclass(frozen=True, slots=True)
class DatasetStatistics:
    """What is in one data set, or in all of them."""

    name: str
    examples: int
    positives: int
    negatives: int
    with_negatives: int
    """Examples that have at least one negative."""

    with_scores: int
    """Examples with a teacher's score for each text they have."""

    with_prompt: int
    own_group_only: int
    """Examples without in-batch negatives."""

    duplicates: int
    """Examples whose query and positives are those of an earlier example, to the letter."""

    repeated_queries: int
    """Examples whose query is that of an earlier example: right passages of each may count as wrong for the other."""

    repeated_positives: int
    """Positives that are also a positive of an earlier example: in one batch they count as wrong for each other."""

    kinds: dict[str, int]
    """Examples by kind, most frequent first; the empty kind is left out."""

    languages: dict[str, int]
    """Examples by language, most frequent first; those that do not say are left out."""

    query_tokens: Lengths | None
    positive_tokens: Lengths | None
    negative_tokens: Lengths | None
    """None if no tokens were counted."""


def describe_examples(name: str, examples: Iterable[Example], count_tokens: TokenCounter | None) -> DatasetStatistics:
    """Count a stream of examples. About 30 bytes for each example are kept, whatever its length."""
    tally = _Tally()
    stream = iter(examples)
    while batch := list(islice(stream, _EXAMPLES_AT_ONCE)):
        tally.add(batch, count_tokens)
    return tally.result(name)


def describe(prepared: Prepared, count_tokens: TokenCounter | None = None) -> list[DatasetStatistics]:
    """Count each data set of prepared data, and last, under the name ``all``, everything together."""
    whole = _Tally()
    found = []
    for part in prepared.datasets:
        tally = _Tally()
        for start in range(part.start, part.stop, _EXAMPLES_AT_ONCE):
            tally.add(prepared[start : min(start + _EXAMPLES_AT_ONCE, part.stop)], count_tokens)
        found.append(tally.result(part.name))
        whole.join(tally)
    return [*found, whole.result("all")]


def table(statistics: Iterable[DatasetStatistics]) -> Iterator[str]:
    """The main figures as lines for people, a header first; tokens are median / longest."""
    rows = [_HEADER, *(_table_row(item) for item in statistics)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        numbers = [cell.rjust(width) for cell, width in zip(row[1:-1], widths[1:-1], strict=True)]
        yield "  ".join([row[0].ljust(widths[0]), *numbers, row[-1]]).rstrip()


def _table_row(item: DatasetStatistics) -> tuple[str, ...]:
    counts = (item.examples, item.positives, item.negatives, item.with_negatives, item.with_scores, item.duplicates)
    more = f" and {len(item.languages) - 4} more" if len(item.languages) > 4 else ""
    languages = ", ".join(list(item.languages)[:4]) + more
    return (
        item.name,
        *(f"{count:,}" for count in counts),
        _lengths_in_words(item.query_tokens),
        _lengths_in_words(item.positive_tokens),
        languages,
    )


def _lengths_in_words(lengths: Lengths | None) -> str:
    return "" if lengths is None else f"{lengths.median:,} / {lengths.longest:,}"


@dataclass
class _Tally:
    """Sums over examples; texts are remembered by 64-bit hashes only."""

    counts: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    tokens: dict[str, Counter[int]] = field(default_factory=dict)
    hashes: dict[str, array[int]] = field(
        default_factory=lambda: {name: array("Q") for name in ("example", "query", "positive")}
    )

    def add(self, examples: Sequence[Example], count_tokens: TokenCounter | None) -> None:
        for example in examples:
            self._count(example)
        if count_tokens is not None:
            self._measure("query", [example.query for example in examples], count_tokens)
            self._measure("positive", [text for example in examples for text in example.positives], count_tokens)
            self._measure("negative", [text for example in examples for text in example.negatives], count_tokens)

    def join(self, other: _Tally) -> None:
        self.counts += other.counts
        self.kinds += other.kinds
        self.languages += other.languages
        for side, lengths in other.tokens.items():
            self.tokens.setdefault(side, Counter()).update(lengths)
        for name, values in other.hashes.items():
            self.hashes[name].extend(values)

    def result(self, name: str) -> DatasetStatistics:
        counts = self.counts
        return DatasetStatistics(
            name=name,
            examples=counts["examples"],
            positives=counts["positives"],
            negatives=counts["negatives"],
            with_negatives=counts["with_negatives"],
            with_scores=counts["with_scores"],
            with_prompt=counts["with_prompt"],
            own_group_only=counts["own_group_only"],
            duplicates=_repeated(self.hashes["example"]),
            repeated_queries=_repeated(self.hashes["query"]),
            repeated_positives=_repeated(self.hashes["positive"]),
            kinds=_sorted(self.kinds),
            languages=_sorted(self.languages),
            query_tokens=_lengths(self.tokens.get("query")),
            positive_tokens=_lengths(self.tokens.get("positive")),
            negative_tokens=_lengths(self.tokens.get("negative")),
        )

    def _count(self, example: Example) -> None:
        self.counts["examples"] += 1
        self.counts["positives"] += len(example.positives)
        self.counts["negatives"] += len(example.negatives)
        self.counts["with_negatives"] += bool(example.negatives)
        self.counts["with_scores"] += _is_scored(example)
        self.counts["with_prompt"] += example.prompt is not None
        self.counts["own_group_only"] += not example.in_batch_negatives
        if example.kind:
            self.kinds[example.kind] += 1
        if language := _language(example):
            self.languages[language] += 1
        self.hashes["example"].append(_hash(example.query, *example.positives))
        self.hashes["query"].append(_hash(example.query))
        self.hashes["positive"].extend({_hash(text) for text in example.positives})

    def _measure(self, side: str, texts: Sequence[str], count_tokens: TokenCounter) -> None:
        self.tokens.setdefault(side, Counter()).update(count_tokens(texts) if texts else ())


def _is_scored(example: Example) -> bool:
    return example.positive_scores is not None and (example.negative_scores is not None or not example.negatives)


def _language(example: Example) -> str:
    value: Any = next((example.extra[name] for name in LANGUAGE_FIELDS if name in example.extra), "")
    return value if isinstance(value, str) else ""


def _hash(*texts: str) -> int:
    digest = hashlib.blake2b(digest_size=8)
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little") + data)
    return int.from_bytes(digest.digest(), "little")


def _repeated(hashes: array[int]) -> int:
    return len(hashes) - len(np.unique(np.frombuffer(hashes, np.uint64))) if hashes else 0


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _lengths(counts: Counter[int] | None) -> Lengths | None:
    """Quantiles from how many texts have each length: the length of the text at that rank."""
    if counts is None:
        return None
    if not counts:
        return Lengths(0, 0, 0, 0)
    lengths = np.array(sorted(counts))
    up_to = np.cumsum([counts[length] for length in lengths.tolist()])
    median, p95 = (int(lengths[np.searchsorted(up_to, share * up_to[-1])]) for share in (0.5, 0.95))
    return Lengths(median, p95, int(lengths[-1]), sum(length * count for length, count in counts.items()))
