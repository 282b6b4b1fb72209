"""Mines examples by the window: encodes their queries together, retrieves, and chooses for each."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from trivec.data.examples import Example
from trivec.data.mining.catalogue import TextCatalogue
from trivec.data.mining.filters import Excluded, Limits
from trivec.data.mining.index import MiningIndex
from trivec.data.mining.near_duplicates import NearDuplicates, Shingles, shingles
from trivec.data.mining.options import By, MiningOptions
from trivec.data.mining.records import Record
from trivec.data.mining.retrieval import Candidate, Retriever
from trivec.data.mining.sampling import Draw
from trivec.data.mining.selection import Proposals, Selection, Veto
from trivec.data.mining.tally import Tally
from trivec.data.mining.teacher import Teacher, checked_scores
from trivec.embeddings import Embeddings
from trivec.encode.encoder import Encoder
from trivec.errors import InputError


@dataclass(frozen=True)
class Mined:
    """An example with its negatives, and what the audit says of its candidates, one row each."""

    example: Example
    audit: list[dict[str, Any]]


@dataclass(frozen=True)
class _Asked:
    """A query with what retrieval knows of it."""

    example: Example
    vectors: Embeddings
    positives: list[int]
    ranked: dict[By, list[Candidate]]
    limits: dict[By, Limits]


@dataclass(frozen=True)
class _Originals:
    """The positives of an example, which no negative may nearly repeat."""

    catalogue: TextCatalogue
    near: NearDuplicates
    shingles: list[Shingles]

    def near_duplicates(self, numbers: Sequence[int]) -> dict[int, float]:
        texts = {text.number: text.text for text in self.catalogue.texts(self.near.unknown(numbers))}
        return self.near.similarities(numbers, texts, self.shingles)


@dataclass(frozen=True)
class _RandomTexts:
    """Follows `trivec.data.mining.selection.RandomTexts` for one query."""

    retriever: Retriever
    options: MiningOptions
    query: Embeddings
    originals: _Originals
    count: int

    def scores(self, numbers: Sequence[int]) -> list[float]:
        return [float(score) for score in self.retriever.scores(self.options.sources[0], self.query, numbers)]

    def is_near_duplicate(self, number: int) -> bool:
        return self.options.near_duplicate is not None and bool(self.originals.near_duplicates([number]))


class Miner:
    """Gives examples their negatives.

    Args:
        index: the candidates.
        retriever: over this index.
        encoder: of the queries.
        options: all of them.
        teacher: scores positives and negatives, and vetoes the latter.
        audit: make rows for the audit.
    """

    def __init__(
        self,
        index: MiningIndex,
        retriever: Retriever,
        encoder: Encoder,
        options: MiningOptions,
        teacher: Teacher | None = None,
        audit: bool = False,
    ) -> None:
        self._catalogue = index.catalogue
        self._retriever = retriever
        self._encoder = encoder
        self._options = options
        self._teacher = teacher
        self._audit = audit
        self._near = NearDuplicates(options.near_duplicate or 1.0)
        self._model = f"{encoder.name} {encoder.fingerprint.digest}"

    def mine(self, examples: Sequence[Example]) -> tuple[list[Mined], Tally]:
        """Negatives for a window of examples.

        Raises:
            InputError: an example has a teacher's scores that mined negatives would lack.
        """
        for example in examples:
            self._check_scores(example)
        positives = [self._catalogue.numbers(example.positives) for example in examples]
        tally, mined = Tally(), []
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            for asked in threads.map(self._ask, examples, self._encode(examples), positives):
                mined.append(self._choose(asked, tally))
        return mined, tally

    def _check_scores(self, example: Example) -> None:
        scored = example.positive_scores is not None or example.negative_scores is not None
        if scored and self._teacher is None and not self._options.drop_scores:
            raise InputError(
                f"{example.place or repr(example.query)[:80]}: has a teacher's scores, which mined negatives would "
                "lack: name a teacher (--teacher), which scores all of them anew, or let them go (--drop-scores)"
            )

    def _encode(self, examples: Sequence[Example]) -> list[Embeddings]:
        """Vectors of the queries; those with one prompt are encoded together."""
        by_prompt: dict[str, list[int]] = {}
        for place, example in enumerate(examples):
            prompt = self._encoder.checkpoint.query_prompt if example.prompt is None else example.prompt
            by_prompt.setdefault(prompt, []).append(place)
        vectors: dict[int, Embeddings] = {}
        for prompt, places in by_prompt.items():
            encoded = self._encoder.encode([examples[place].query for place in places], self._retriever.heads, prompt)
            vectors.update(zip(places, encoded, strict=True))
        return [vectors[place] for place in range(len(examples))]

    def _ask(self, example: Example, vectors: Embeddings, positives: list[int]) -> _Asked:
        """Everything about a query that can be had in a thread of its own."""
        ranked: dict[By, list[Candidate]] = {}
        limits: dict[By, Limits] = {}
        for source in self._options.retrieving:
            ranked[source.by] = self._retriever.ranked(source, vectors)
            scores = self._retriever.scores(source, vectors, positives)
            limits[source.by] = Limits.of(scores.tolist(), self._options)
        return _Asked(example, vectors, positives, ranked, limits)

    def _choose(self, asked: _Asked, tally: Tally) -> Mined:
        example, teacher = asked.example, self._teacher
        originals = _Originals(self._catalogue, self._near, [shingles(text) for text in example.positives])
        proposed = sorted({candidate.number for found in asked.ranked.values() for candidate in found})
        near = {} if self._options.near_duplicate is None else originals.near_duplicates(proposed)
        proposals = Proposals(asked.ranked, asked.limits, self._excluded(asked), near)
        positive_scores = None if teacher is None else checked_scores(teacher, example.query, example.positives)
        veto = None if positive_scores is None else Veto(self._asking(example), self._veto_limit(positive_scores))
        selection = Selection(self._options, proposals, Draw(self._options.seed, example.query), veto)
        selection.choose(
            _RandomTexts(self._retriever, self._options, asked.vectors, originals, self._catalogue.candidates)
        )
        self._count(asked, selection, tally)
        record = Record(example, selection, positive_scores, None if teacher is None else teacher.name, self._model)
        given_scores = None
        if teacher is not None and self._options.keep_negatives:
            given_scores = checked_scores(teacher, example.query, example.negatives)
        mined = record.example_with(self._catalogue.texts(record.numbers), self._options.keep_negatives, given_scores)
        return Mined(mined, record.audit(self._catalogue.texts(record.judged_numbers)) if self._audit else [])

    def _asking(self, example: Example) -> Callable[[Sequence[int]], list[float]]:
        """The teacher's scores of texts for an example's query."""

        def ask(numbers: Sequence[int]) -> list[float]:
            assert self._teacher is not None
            texts = [text.text for text in self._catalogue.texts(numbers)]
            return checked_scores(self._teacher, example.query, texts)

        return ask

    def _excluded(self, asked: _Asked) -> Excluded:
        catalogue, example = self._catalogue, asked.example
        answers = {*asked.positives, *catalogue.answers(example.query), *catalogue.named(example.positive_ids)}
        query = catalogue.numbers([example.query])
        given: frozenset[int] = frozenset()
        if self._options.keep_negatives:
            given = frozenset([*catalogue.numbers(example.negatives), *catalogue.named(example.negative_ids)])
        return Excluded(query[0] if query else None, frozenset(answers), given)

    def _veto_limit(self, positive_scores: Sequence[float]) -> float:
        limit = min(positive_scores) - self._options.veto_margin
        return limit if self._options.veto_below is None else min(limit, self._options.veto_below)

    def _count(self, asked: _Asked, selection: Selection, tally: Tally) -> None:
        tally.examples += 1
        first = self._options.ranks[0]
        ranked = ((one.by, one.verdict, one.candidate.rank) for one in selection.judged)
        counts = Counter((by, verdict) for by, verdict, rank in ranked if rank is None or rank >= first)
        for (by, verdict), count in counts.items():
            tally.verdicts.setdefault(by, Counter())[verdict] += count
        tally.left[selection.left] += 1
        tally.negatives[len(selection.taken)] += 1
        tally.fell_back.update(by for by, limits in asked.limits.items() if limits.fell_back)
        tally.filled += selection.filled
        scored = asked.example.positive_scores is not None or asked.example.negative_scores is not None
        tally.unscored += scored and self._teacher is None
