"""How long examples are, in tokens: what buckets and plans go by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from trivec.data.examples import Example
from trivec.encode.tokenizer import TextTokenizer
from trivec.types import IntArray

_TOGETHER = 4096


class Lengths(Protocol):
    """A way to measure examples."""

    @property
    def key(self) -> str:
        """Words that differ where lengths would."""
        ...

    def __call__(self, examples: Iterable[Example], tokenizer: TextTokenizer) -> IntArray:
        """Tokens of each example."""
        ...


@dataclass(frozen=True)
class TextLengths:
    """Of texts that are read one by one, see `measure_lengths`."""

    query_length: int
    passage_length: int

    @property
    def key(self) -> str:
        """Words that differ where lengths would."""
        return f"{self.query_length} {self.passage_length}"

    def __call__(self, examples: Iterable[Example], tokenizer: TextTokenizer) -> IntArray:
        """Tokens of each example's longest text."""
        return measure_lengths(examples, tokenizer, self.query_length, self.passage_length)


@dataclass(frozen=True)
class PairLengths:
    """Of a query and a passage that are read as one.

    Attributes:
        query_length: tokens after which queries are cut.
        max_length: tokens of a pair at most.
        fixed: tokens of a row that are neither's.
    """

    query_length: int
    max_length: int
    fixed: int

    @property
    def key(self) -> str:
        """Words that differ where lengths would."""
        return f"pairs {self.query_length} {self.max_length} {self.fixed}"

    def __call__(self, examples: Iterable[Example], tokenizer: TextTokenizer) -> IntArray:
        """Tokens of each example's query with its longest passage, fixed ones included."""
        longest = [np.zeros(0, np.int64)]
        for tokens, starts in _counted(examples, tokenizer):
            queries = np.minimum(tokens[starts], self.query_length)
            tokens[starts] = 0
            passages = np.maximum.reduceat(tokens, starts)
            longest.append(np.minimum(queries + passages + self.fixed, self.max_length))
        return np.concatenate(longest)


def measure_lengths(
    examples: Iterable[Example], tokenizer: TextTokenizer, query_length: int, passage_length: int
) -> IntArray:
    """Tokens of the longest text of each example: its query, all positives, all negatives; prompts not counted.

    Args:
        examples: any number; some thousands of texts are in memory at a time.
        tokenizer: the model's.
        query_length: tokens after which queries are cut.
        passage_length: tokens after which passages are cut.
    """
    special = tokenizer.special_tokens_per_text
    longest = [np.zeros(0, np.int64)]
    for tokens, starts in _counted(examples, tokenizer):
        limits = np.full_like(tokens, passage_length)
        limits[starts] = query_length
        longest.append(np.maximum.reduceat(np.minimum(tokens + special, limits), starts))
    return np.concatenate(longest)


def _counted(examples: Iterable[Example], tokenizer: TextTokenizer) -> Iterator[tuple[IntArray, IntArray]]:
    """Tokens of all texts of some examples, without special ones, and where each example begins: with its query."""
    texts: list[str] = []
    starts: list[int] = []
    for example in examples:
        starts.append(len(texts))
        texts += (example.query, *example.positives, *example.negatives)
        if len(texts) >= _TOGETHER:
            yield _counts(texts, tokenizer), np.asarray(starts, np.int64)
            texts, starts = [], []
    if texts:
        yield _counts(texts, tokenizer), np.asarray(starts, np.int64)


def _counts(texts: list[str], tokenizer: TextTokenizer) -> IntArray:
    return np.asarray([len(encoding.ids) for encoding in tokenizer.pieces(texts)], np.int64)
