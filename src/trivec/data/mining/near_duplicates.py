"""Texts that say almost the same in almost the same letters: Jaccard index of their sets of five letters.

J(a, b) = |A ∩ B| / |A ∪ B|,   A, B: all stretches of five letters of the normalised texts
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from trivec.data.mining.bounded_cache import BoundedCache
from trivec.data.texts import normalised

Shingles = NDArray[np.uint64]

_LETTERS = 5
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_KEPT_SHINGLES = 1 << 23
"""Sets that are kept for the next query hold so many numbers in all: 64 MB."""


def shingles(text: str) -> Shingles:
    """Hashes of all stretches of five letters of the normalised text, distinct and ascending.

    A text of fewer letters is one stretch, filled up with zeros.
    """
    letters = np.frombuffer(normalised(text).encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    if len(letters) < _LETTERS:
        letters = np.pad(letters, (0, _LETTERS - len(letters)))
    count = len(letters) - _LETTERS + 1
    hashes = np.zeros(count, np.uint64)
    for place in range(_LETTERS):
        hashes = (hashes ^ letters[place : place + count]) * _FACTOR
        hashes ^= hashes >> np.uint64(29)
    return np.unique(hashes)


def jaccard(first: Shingles, second: Shingles) -> float:
    """The Jaccard index of two sets, in [0, 1]."""
    shared = len(np.intersect1d(first, second, assume_unique=True))
    return shared / (len(first) + len(second) - shared)


class NearDuplicates:
    """Finds near-duplicates of some texts among others; remembers the sets of those that come up again.

    Args:
        threshold: the Jaccard index from which on two texts are near-duplicates.
    """

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self._known: BoundedCache[int, Shingles] = BoundedCache(_KEPT_SHINGLES)

    def unknown(self, numbers: Iterable[int]) -> list[int]:
        """Numbers of texts whose sets are not remembered: `similarities` needs these texts."""
        return [number for number in numbers if self._known.get(number) is None]

    def similarities(
        self, numbers: Sequence[int], texts: Mapping[int, str], originals: Sequence[Shingles]
    ) -> dict[int, float]:
        """Near-duplicates of any of the originals, each with its Jaccard index.

        Args:
            numbers: names of the texts in question.
            texts: the texts of those among them that `unknown` named.
            originals: sets of the texts that must not be found.
        """
        found: dict[int, float] = {}
        for number in numbers:
            own = self._shingles(number, texts)
            # sets of sizes further apart cannot be near, and most are, so that few need a look at their members
            fewest, most = math.floor(len(own) * self.threshold), math.ceil(len(own) / self.threshold)
            near = [jaccard(own, original) for original in originals if fewest <= len(original) <= most]
            if near and max(near) >= self.threshold:
                found[number] = max(near)
        return found

    def _shingles(self, number: int, texts: Mapping[int, str]) -> Shingles:
        known = self._known.get(number)
        if known is None:
            known = shingles(texts[number])
            self._known.put(number, known, len(known))
        return known
