"""`mine`: files of examples to a file of examples with hard negatives.

A static round of mining, as the BGE family trains with: the model retrieves, what may be an answer is dropped, and
negatives are drawn from the rest. ANCE (Xiong et al. 2020, 2007.00808) is such a round repeated with each new model;
the rules against false negatives are those of RocketQA (Qu et al. 2020, 2010.08191) and NV-Retriever (Moreira et al.
2024, 2407.15831).
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trivec.data.examples import Example
from trivec.data.mining.cut_texts import counting_cuts
from trivec.data.mining.index import IndexPlan, MiningIndex
from trivec.data.mining.inputs import Inputs
from trivec.data.mining.miner import Miner
from trivec.data.mining.options import DEFAULT_OPTIONS, MiningOptions
from trivec.data.mining.recall import dense_recall
from trivec.data.mining.report import MiningReport
from trivec.data.mining.retrieval import Retriever, mixing_weights, needed_heads
from trivec.data.mining.teacher import Teacher
from trivec.data.mining.work import WorkFolder
from trivec.encode.encoder import Encoder
from trivec.errors import InputError
from trivec.progress import Progress

FORMAT_VERSION = 1
"""Raised when the same inputs give other output."""

_WINDOW = 256
_RECALL_QUERIES = 50
_RECALL_WARNED = 0.95

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several equal shares of the examples. Outputs of all shards, in order, are the output of the whole."""

    number: int = 1
    """From 1."""
    count: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise InputError(f"there is no shard {self.number} of {self.count}: number them from 1")

    def windows(self, examples: int) -> range:
        """Numbers of the windows of this share."""
        windows = -(-examples // _WINDOW)
        return range(windows * (self.number - 1) // self.count, windows * self.number // self.count)


WHOLE = Shard()


def mine(
    inputs: Inputs,
    out: Path,
    encoder: Encoder,
    options: MiningOptions = DEFAULT_OPTIONS,
    *,
    teacher: Teacher | None = None,
    audit: Path | None = None,
    index: Path | None = None,
    shard: Shard = WHOLE,
    allow_few: bool = False,
    progress: bool = False,
) -> MiningReport:
    """Give every example hard negatives, and write the examples to a new file.

    Same inputs, options, model and machine give the same bytes, in one run, in shards, and with interruptions. Work
    lies in a folder beside the output until that is written; the same call goes on with it.

    Args:
        inputs: examples, and the corpus that negatives come from.
        out: a ``.jsonl`` file, also with ``.gz`` or ``.zst``; replaced when all is done.
        encoder: the mining model.
        options: how negatives are mined.
        teacher: scores positives and negatives, for training and to veto false negatives.
        audit: a ``.jsonl`` file that says of every candidate what became of it and why.
        index: a folder that keeps the vectors of the corpus for other runs with the same inputs and model.
        shard: a share of the examples, for several machines.
        allow_few: also if the median query has fewer candidates left than it needs.
        progress: draw bars.

    Returns:
        Counts and rejection rates.

    Raises:
        InputError: an input or option cannot be used, or the median query has too few candidates left.
        LibraryBusyError: another process makes the same output.
        KeyboardInterrupt: stopped; the message says how to go on.
    """
    run = _Run(inputs, out, encoder, options, teacher, audit, index, shard)
    try:
        with counting_cuts() as cuts:
            report = run.do(allow_few, progress)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"stopped: run the same command again to go on with {out}") from None
    if cuts.count:
        logger.warning("%d texts are longer than the model's window and were cut there", cuts.count)
    return report


@dataclass(frozen=True)
class _Run:
    inputs: Inputs
    out: Path
    encoder: Encoder
    options: MiningOptions
    teacher: Teacher | None
    audit: Path | None
    index: Path | None
    shard: Shard

    def do(self, allow_few: bool, progress: bool) -> MiningReport:
        """All of it."""
        if self.audit is not None and (self.audit.is_dir() or self.audit.suffix.lower() != ".jsonl"):
            raise InputError(f"{self.audit} is no name for an audit: give one that ends in .jsonl")
        weights = mixing_weights(self.encoder, self.options)
        heads = needed_heads(self.encoder, self.options, weights)
        digest = self.inputs.digest()
        plan = IndexPlan(
            digest, self.encoder.fingerprint.digest, heads, self.options.max_length, self.options.graph_from
        )
        work = WorkFolder.open(self.out, self._plan(digest))
        try:
            folder = self.index or work.path / "index"
            index = MiningIndex.prepare(folder, plan, self.inputs, self.encoder, progress, keep=self.index is not None)
            try:
                retriever = Retriever(index, self.options, weights, heads)
                report = self._mine(work, index, retriever, progress)
            finally:
                index.close()
            if not allow_few:
                report.check(self.options)
            work.write(self.shard.windows(index.catalogue.examples), self.out, self.audit)
            work.remove()
        finally:
            work.close()
        return report

    def _plan(self, digest: str) -> dict[str, Any]:
        return {
            "format": FORMAT_VERSION,
            "inputs": digest,
            "model": self.encoder.fingerprint.digest,
            "options": self.options.settings(),
            "teacher": None if self.teacher is None else self.teacher.name,
            "audit": self.audit is not None,
            "shard": [self.shard.number, self.shard.count],
        }

    def _mine(self, work: WorkFolder, index: MiningIndex, retriever: Retriever, progress: bool) -> MiningReport:
        miner = Miner(index, retriever, self.encoder, self.options, self.teacher, self.audit is not None)
        windows = self.shard.windows(index.catalogue.examples)
        with Progress("mining", "examples", progress, index.catalogue.examples // self.shard.count) as bar:
            for number, examples in self._windows():
                if number in windows:
                    if not work.is_done(number):
                        work.add(number, *miner.mine(examples))
                    bar.update(len(examples))
        recall = self._recall(index, retriever)
        return MiningReport.of(work.tally(windows), index.catalogue.candidates, recall, self.options)

    def _windows(self) -> Iterator[tuple[int, list[Example]]]:
        """The examples by the window, numbered from 0.

        Shards share the windows, so that queries that are encoded together are the same in all of them.
        """
        stream = self.inputs.read()
        for number in itertools.count():
            window = list(itertools.islice(stream, _WINDOW))
            if not window:
                return
            yield number, window

    def _recall(self, index: MiningIndex, retriever: Retriever) -> float | None:
        """Of the dense search, if it may be approximate."""
        if self.options.graph_from is None or "dense" not in retriever.heads:
            return None
        queries = [example.query for example in itertools.islice(self.inputs.read(), _RECALL_QUERIES)]
        vectors = self.encoder.encode_queries(queries, ["dense"])
        recall = dense_recall(index, vectors, self.options.ranks[1])
        if recall < _RECALL_WARNED:
            logger.warning(
                "the graph finds %.1f %% of the best %d by dense vectors: leave out --graph-from for exact search",
                100 * recall,
                self.options.ranks[1],
            )
        return recall
