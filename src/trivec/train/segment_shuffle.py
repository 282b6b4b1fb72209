"""Segments of a passage in another order, so that a model does not rely on how long texts begin.

M3-Embedding (Chen et al. 2024, 2402.03216) cuts a long passage into three segments and shuffles them with a
probability of 0.2 %. Here cuts fall between sentences, or between tokens, not at any letter.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from trivec.encode.tokenizer import TextTokenizer
from trivec.errors import InputError
from trivec.search.sentences import sentence_ends, starts_character

Boundaries: TypeAlias = Callable[[str], Sequence[int]]
"""Positions inside a text where it may be cut, in order."""


def sentence_boundaries(text: str) -> list[int]:
    """Where sentences end; in a text with fewer than three of them, where white space ends."""
    ends = [end.position for end in sentence_ends(text)]
    return ends if len(ends) > 1 else _word_starts(text)


def token_boundaries(tokenizer: TextTokenizer) -> Boundaries:
    """Where tokens of a model begin, as far as a reader would see a character begin there."""

    def boundaries(text: str) -> list[int]:
        (encoding,) = tokenizer.pieces([text])
        starts = sorted({start for start, end in encoding.offsets if end > start > 0})
        return [start for start in starts if starts_character(text, start)]

    return boundaries


@dataclass(frozen=True)
class SegmentShuffle:
    """How often passages are shuffled, and how.

    Attributes:
        probability: that a long enough passage is shuffled.
        segments: it is cut into, of about equal length; fewer if it cannot be cut so often.
        least_characters: shorter passages stay as they are.
        boundaries: where cuts may fall, see `sentence_boundaries` and `token_boundaries`.
    """

    probability: float = 0.002
    segments: int = 3
    least_characters: int = 100
    boundaries: Boundaries = sentence_boundaries

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise InputError(f"the probability of a shuffle is {self.probability}: give a number from 0 to 1")
        if self.segments < 2:
            raise InputError(f"a shuffle of {self.segments} segments changes nothing: give at least 2")

    def apply(self, text: str, rng: np.random.Generator) -> str:
        """The text, now and then with its segments in another order. Always draws one number."""
        if rng.random() >= self.probability or len(text) < self.least_characters:
            return text
        segments = cut(text, self.segments, self.boundaries(text))
        if len(segments) < 2:
            return text
        order = rng.permutation(len(segments))
        while (np.diff(order) > 0).all():
            order = rng.permutation(len(segments))
        return _join([segments[i] for i in order])


def cut(text: str, segments: int, boundaries: Sequence[int]) -> list[str]:
    """Segments that make up the text, cut at the boundaries nearest to equal lengths."""
    if not boundaries:
        return [text]
    ideal = len(text) * np.arange(1, segments) / segments
    places = np.asarray(boundaries, np.int64)
    nearest = np.unique(places[np.abs(places[None, :] - ideal[:, None]).argmin(axis=1)])
    return [text[start:end] for start, end in itertools.pairwise([0, *nearest.tolist(), len(text)]) if start < end]


def _join(segments: Sequence[str]) -> str:
    """The segments one after the other; what ended the text gets the white space that it lacks, if others have it."""
    spaced = any(segment[-1].isspace() for segment in segments)
    return "".join(
        segment + " " if spaced and number < len(segments) - 1 and not segment[-1].isspace() else segment
        for number, segment in enumerate(segments)
    )


def _word_starts(text: str) -> list[int]:
    return [i for i in range(1, len(text)) if text[i - 1].isspace() and not text[i].isspace()]
