"""Draws that depend on a seed and the query's text alone, so that a share of the work gives what the whole gives."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator


class Draw:
    """The draws of one query: an order of candidates, and an endless supply of random texts.

    Everything comes from BLAKE2b, so it is the same on every machine and with every version of numpy.
    """

    def __init__(self, seed: int, query: str) -> None:
        self._key = hashlib.blake2b(f"{seed}\n{query}".encode("utf-8", "surrogatepass")).digest()

    def order(self, numbers: Iterable[int]) -> list[int]:
        """Numbers in random order. Their order without one of them is the same."""
        return sorted(numbers, key=lambda number: (self._hash(number.to_bytes(8, "big")), number))

    def walk(self, count: int) -> Iterator[int]:
        """Every number below ``count`` once, from a random place by random steps."""
        if count < 1:
            return
        place = self._hash(b"place") % count
        step = 1 + self._hash(b"step") % count
        while math.gcd(step, count) != 1:
            step = 1 + step % count
        for _ in range(count):
            yield place
            place = (place + step) % count

    def _hash(self, name: bytes) -> int:
        return int.from_bytes(hashlib.blake2b(name, key=self._key, digest_size=16).digest(), "big")
