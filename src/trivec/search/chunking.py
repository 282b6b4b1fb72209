"""Cut a long text into chunks that a model can take: token-exact, at good places, with character offsets.

The chunks of a text tile it: the first starts at 0, each next one where the one before ended (or earlier, if an
overlap is asked for), the last ends with the text. Each chunk, tokenised by itself, has at most ``max_tokens``.

How a cut is chosen. The text is tokenised once. What is left of it is shared evenly among the fewest chunks that
hold it, with a tenth of the room to spare, which gives the length to aim at. The cut is made at the best place near
that length: the end of a paragraph or sentence; else of a line or clause; else at a space; else between two tokens.
The chunk is then tokenised by itself, because a slice may have other tokens than the same stretch of the whole; if
it has too many, a shorter one is chosen.
"""

from __future__ import annotations

import math
import re
import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trivec.encode.tokenizer import TextTokenizer
from trivec.errors import InputError
from trivec.search.sentences import sentence_ends, starts_character
from trivec.types import IntArray

_SPARE = 0.9
"""Share of the limit that chunks aim at, so that there is a sentence end to be found around it."""

_SHORTEST = 0.5
"""A sentence or clause end is taken if the chunk gets at least this share of the length aimed at."""

_PARAGRAPH_BONUS = 0.25
"""How much further from the aim a paragraph's end may be than a sentence's, as a share of the aim."""

_BLOCK = 200_000
"""Characters tokenised at once: a text of any size needs memory for its token ends only."""

_BEYOND = sys.maxsize

_CLAUSE = re.compile(r"\n\s*|[,;:–—،؛、，；：၊་·]\s+|[、，；：၊་]")
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True)
class ChunkOptions:
    """How long chunks are, and how far they reach back."""

    max_tokens: int
    """Without the special tokens around a text, and without its title."""

    overlap_tokens: int = 0
    """Begin a chunk with up to so many tokens of the one before: whole sentences if they fit, else whole words."""

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise InputError(f"max_tokens is {self.max_tokens}: give at least 1")
        if not 0 <= self.overlap_tokens <= self.max_tokens // 2:
            raise InputError(
                f"overlap_tokens {self.overlap_tokens} with max_tokens {self.max_tokens}: "
                "give between 0 and half of max_tokens"
            )


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stretch of a text, in characters: ``text[start:end]``."""

    start: int
    end: int


def chunk(text: str, tokenizer: TextTokenizer, options: ChunkOptions) -> list[Chunk]:
    """Cut a text; one that fits is one chunk, and so is the empty one.

    Only a single character that has more than ``max_tokens`` tokens may exceed them. Takes about as long as
    tokenising the text twice.
    """
    return _Chunker(text, tokenizer, options).chunks()


class _Chunker:
    """One text on its way to chunks. All lengths are tokens, all places are characters."""

    def __init__(self, text: str, tokenizer: TextTokenizer, options: ChunkOptions) -> None:
        self._text = text
        self._tokenizer = tokenizer
        self._options = options
        self._tokens = _TokenEnds(text, tokenizer)

    def chunks(self) -> list[Chunk]:
        """All chunks in order."""
        if self._tokens.exact and len(self._tokens.ends) <= self._options.max_tokens:
            return [Chunk(0, len(self._text))]
        ends = sentence_ends(self._text)
        self._sentences = np.array([end.position for end in ends], np.int64)
        self._paragraphs = np.array([end.paragraph for end in ends], bool)
        chunks: list[Chunk] = []
        start = fresh = 0
        while fresh < len(self._text):
            end = self._end(start, fresh)
            if end is None:
                start = fresh  # the overlap takes all the room
                end = self._end(start, fresh) or self._end_by_characters(start)
            chunks.append(Chunk(start, end))
            start, fresh = self._next_start(start, end), end
        return chunks

    def _end(self, start: int, fresh: int) -> int | None:
        """Where a chunk that must reach beyond ``fresh`` ends, or None if no good place leaves it short enough."""
        limit = self._options.max_tokens
        while True:
            end = self._choose(start, fresh, limit)
            if end is None:
                return None
            length = self._length(start, end)
            if length <= self._options.max_tokens:
                return end
            limit = min(limit - 1, self._tokens.count(start, end) * self._options.max_tokens // length)

    def _length(self, start: int, end: int) -> int:
        return len(self._tokenizer.pieces([self._text[start:end]])[0].ids)

    def _choose(self, start: int, fresh: int, limit: int) -> int | None:
        """The best place to end a chunk of about ``limit`` tokens at most, counted in the whole text."""
        last = self._tokens.reach(start, limit)
        if last >= len(self._text):
            return len(self._text)
        room = limit - self._tokens.count(start, fresh)
        if room < 1 or last <= fresh:
            return None
        left = self._tokens.count(fresh, len(self._text))
        aim = left / max(2, math.ceil(left / (room * _SPARE)))
        first = max(fresh, self._tokens.reach(fresh, int(aim * _SHORTEST))) + 1
        found = self._best_sentence(first, last, fresh, aim)
        for pattern in (_CLAUSE, _SPACE):
            if found is None:
                places = [match.end() for match in pattern.finditer(self._text, first - 1, last)]
                found = self._nearest(np.array(places, np.int64), fresh, aim)
        return found or self._nearest(self._tokens.between(fresh, last), fresh, aim)

    def _best_sentence(self, first: int, last: int, fresh: int, aim: float) -> int | None:
        low, high = np.searchsorted(self._sentences, [first, last + 1])
        bonus = self._paragraphs[low:high] * (aim * _PARAGRAPH_BONUS)
        return self._nearest(self._sentences[low:high], fresh, aim, bonus)

    def _nearest(
        self, places: IntArray, fresh: int, aim: float, bonus: NDArray[np.float64] | float = 0.0
    ) -> int | None:
        """Of these places the one that gives a chunk closest to the aim, and does not cut a character."""
        distances = np.abs(self._tokens.counts(fresh, places) - aim) - bonus
        for index in np.argsort(distances, kind="stable"):
            if starts_character(self._text, int(places[index])):
                return int(places[index])
        return None

    def _end_by_characters(self, start: int) -> int:
        """The last resort: halve the stretch until it fits, and cut a reader's character if there is no other way."""
        size = max(1, self._tokens.reach(start, self._options.max_tokens) - start)
        while size > 1 and self._length(start, start + size) > self._options.max_tokens:
            size //= 2
        whole = next((n for n in range(size, 0, -1) if starts_character(self._text, start + n)), size)
        fits = whole == size or self._length(start, start + whole) <= self._options.max_tokens
        return start + (whole if fits else size)

    def _next_start(self, start: int, end: int) -> int:
        """Where the chunk after one that ends here begins: at its end, or earlier by the overlap."""
        if self._options.overlap_tokens == 0 or end == len(self._text):
            return end
        low = max(start + 1, self._tokens.back(end, self._options.overlap_tokens))
        sentence = int(np.searchsorted(self._sentences, low))
        if sentence < len(self._sentences) and self._sentences[sentence] < end:
            return int(self._sentences[sentence])
        space = _SPACE.search(self._text, low, end)
        if space is not None and space.end() < end:
            return space.end()
        return next((place for place in range(low, end) if starts_character(self._text, place)), end)


class _TokenEnds:
    """Where the tokens of a text end, and so how many lie in a stretch of it: those that end in (start, end]."""

    def __init__(self, text: str, tokenizer: TextTokenizer) -> None:
        blocks: list[IntArray] = []
        start = 0
        while start < len(text) or not blocks:
            stop = _block_end(text, start)
            offsets = tokenizer.pieces([text[start:stop]])[0].offsets
            blocks.append(np.fromiter((start + end for _, end in offsets), np.int64, len(offsets)))
            start = stop
        self.exact = len(blocks) == 1
        self.ends: IntArray = np.maximum.accumulate(np.concatenate(blocks))

    def counts(self, start: int, places: IntArray) -> IntArray:
        """Tokens between ``start`` and each of the places."""
        before = np.searchsorted(self.ends, start, side="right")
        return np.searchsorted(self.ends, places, side="right") - before

    def count(self, start: int, end: int) -> int:
        """Tokens in a stretch."""
        return int(self.counts(start, np.array([end]))[0])

    def reach(self, start: int, tokens: int) -> int:
        """The last place with at most so many tokens between ``start`` and it; beyond the text if all fit."""
        index = int(np.searchsorted(self.ends, start, side="right")) + tokens
        return int(self.ends[index]) - 1 if index < len(self.ends) else _BEYOND

    def back(self, end: int, tokens: int) -> int:
        """The first place with at most so many tokens between it and ``end``."""
        index = int(np.searchsorted(self.ends, end, side="right")) - tokens
        return int(self.ends[index - 1]) if index > 0 else 0

    def between(self, start: int, end: int) -> IntArray:
        """The token ends in (start, end]."""
        low, high = np.searchsorted(self.ends, [start, end], side="right")
        return self.ends[low:high]


def _block_end(text: str, start: int) -> int:
    """Where the block that begins here ends: behind a space if there is one."""
    stop = start + _BLOCK
    if stop >= len(text):
        return len(text)
    space = text.rfind(" ", start + _BLOCK // 2, stop)
    return space + 1 if space > 0 else stop
