"""Overlapping windows: texts longer than the model's window, encoded in several passes and put together again.

    dense    (sum over windows w of n_w e_w) / sum n_w, made a unit vector again     n_w = tokens of the text in w
    sparse   w(t) = max over all windows, as over all tokens of a text
    multi    each token's vector from the window in which it stands farthest from an edge; none twice

A token near the edge of a window lacks half of its surroundings; the overlap gives it another chance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trivec.embeddings import Embeddings
from trivec.encode.dense_head import unit_rows
from trivec.encode.lexical import sparse_rows
from trivec.encode.pipeline import RowOutputs, forward_rows
from trivec.encode.tokenizer import TokenizedText
from trivec.errors import InputError
from trivec.ragged import Ragged
from trivec.types import FloatArray

if TYPE_CHECKING:
    from trivec.encode.encoder import Encoder
    from trivec.encode.options import Job
    from trivec.progress import Progress

OVERLAP_SHARE = 8
"""Windows overlap by a room's eighth where nothing else is asked for."""


@dataclass(frozen=True, slots=True)
class Window:
    """Tokens ``start`` to ``end`` of a text, of which ``first`` to ``last`` stand farthest from an edge here."""

    start: int
    end: int
    first: int
    last: int


def plan_windows(tokens: int, room: int, overlap: int) -> list[Window]:
    """The fewest windows of at most ``room`` tokens in which neighbours share ``overlap`` tokens.

    All windows are equally long, give or take one token, so there is no tiny last one. A token in two windows belongs
    to the one in which it stands farther from the edge, to the earlier of two alike. A text of no tokens has one
    empty window.

    Raises:
        InputError: the overlap leaves less than half of a window for new tokens.
    """
    check_overlap(overlap, room)
    if tokens <= room:
        return [Window(0, tokens, 0, tokens)]
    count = math.ceil((tokens - overlap) / (room - overlap))
    length, longer = divmod(tokens + (count - 1) * overlap, count)
    starts, ends = [0], [length + (longer > 0)]
    for number in range(1, count):
        starts.append(ends[-1] - overlap)
        ends.append(starts[-1] + length + (number < longer))
    middles = [(start + end + 1) // 2 for start, end in zip(starts[1:], ends[:-1], strict=True)]
    return [Window(*places) for places in zip(starts, ends, [0, *middles], [*middles, tokens], strict=True)]


def check_overlap(overlap: int, room: int) -> None:
    """Refuse an overlap with which windows would hardly move on.

    Raises:
        InputError: it is negative, or more than half of the room.
    """
    if not 0 <= overlap <= room // 2:
        raise InputError(f"overlap_tokens {overlap} in windows of {room} tokens: give between 0 and {room // 2}")


def room_for_text(max_length: int, around: int, overlap: int | None) -> tuple[int, int]:
    """Tokens of text in a window that also holds ``around`` others, and the overlap of windows.

    Raises:
        InputError: there is no room, or too little for the overlap.
    """
    room = max_length - around
    if room < 1:
        raise InputError(
            f"max_length {max_length} leaves no room for text beside {around} tokens of prompt, title and special "
            "tokens: give a larger one, or a shorter prompt"
        )
    overlap = room // OVERLAP_SHARE if overlap is None else overlap
    check_overlap(overlap, room)
    return room, overlap


def encode_windows(encoder: Encoder, tokenized: Sequence[TokenizedText], job: Job, bar: Progress) -> Embeddings:
    """Encode uncut texts in windows; terms are left to the caller.

    Raises:
        InputError: prompt and overlap leave no room for text.
    """
    texts = [_Text.of(text, encoder, job) for text in tokenized]
    rows = [(text, window) for text in texts for window in text.windows]
    ids = [text.row(window) for text, window in rows]
    for number, outputs in forward_rows(encoder, ids, job.heads, job.batch_tokens):
        text, window = rows[number]
        text.add(window, outputs)
        bar.update(int(text.left == 0))
    dense = np.array([text.dense for text in texts], np.float32)
    return Embeddings(
        dense=(unit_rows(dense) if encoder.checkpoint.normalize else dense) if "dense" in job.heads else None,
        sparse=sparse_rows([text.terms for text in tokenized], [text.weights for text in texts], encoder.tokenizer)
        if "sparse" in job.heads
        else None,
        multi=Ragged.from_rows([text.vectors for text in texts], encoder.checkpoint.multi_width)
        if "multi" in job.heads
        else None,
    )


class _Text:
    """One text: its windows, and what they have given so far."""

    def __init__(
        self,
        before: NDArray[np.int64],
        content: NDArray[np.int64],
        after: NDArray[np.int64],
        windows: list[Window],
        multi_width: int,
    ) -> None:
        self.before, self.content, self.after = before, content, after
        self.windows = windows
        self.left = len(windows)
        self.tokens_in_windows = sum(window.end - window.start for window in windows)
        self.dense: FloatArray | float = 0.0
        self.weights = np.zeros(len(content), np.float32)
        self.vectors = np.zeros((len(content) + len(after), multi_width), np.float32)

    @classmethod
    def of(cls, text: TokenizedText, encoder: Encoder, job: Job) -> _Text:
        ids = np.asarray(text.ids, np.int64)
        first, last = 1 + text.prompt_tokens, len(ids) - encoder.tokenizer.closing_tokens
        around = first + len(ids) - last
        windows = plan_windows(last - first, *room_for_text(job.max_length, around, job.long_text.overlap_tokens))
        return cls(ids[:first], ids[first:last], ids[last:], windows, encoder.checkpoint.multi_width or 0)

    def row(self, window: Window) -> NDArray[np.int64]:
        return np.concatenate([self.before, self.content[window.start : window.end], self.after])

    def add(self, window: Window, outputs: RowOutputs) -> None:
        self.left -= 1
        tokens = window.end - window.start
        first = len(self.before)
        if outputs.dense is not None:
            self.dense = self.dense + outputs.dense * np.float32(tokens / self.tokens_in_windows)
        if outputs.token_weights is not None:
            here = self.weights[window.start : window.end]
            np.maximum(here, outputs.token_weights[first : first + tokens], out=here)
        if outputs.token_vectors is not None:
            own = slice(first + window.first - window.start, first + window.last - window.start)
            self.vectors[window.first : window.last] = outputs.token_vectors[own]
            if window.last == len(self.content):
                self.vectors[window.last :] = outputs.token_vectors[first + tokens :]
