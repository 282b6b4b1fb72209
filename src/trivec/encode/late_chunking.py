"""Late chunking: the chunks of a text are encoded in sight of each other (Günther et al. 2024, 2409.04701).

The encoder runs over the whole text, and each chunk is pooled afterwards, from the states of its own tokens:

    e_c = head(mean over i in c of h_i), divided by its length        h_i = last hidden state of token i

So "it" in one chunk can carry what an earlier one named. A text longer than the model's window is run in windows that
overlap (`trivec.encode.windows`), and each token counts as the window sees it in which it is farthest from an edge.

The tokens around the text (special tokens, prompt and title) stand once in every window, and belong to each of its
chunks: a text of one chunk has the vectors that it has without late chunking. For a model whose pooling is not the
mean that holds for sparse and multi-vectors only: its dense vector is a mean here, for which it was not trained.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trivec.embeddings import Embeddings
from trivec.encode.dense_head import dense_vectors
from trivec.encode.lexical import sparse_rows
from trivec.encode.long_text import describe_further
from trivec.encode.pipeline import RowOutputs, forward_rows
from trivec.encode.tokenizer import TitledText, clean_text
from trivec.encode.windows import Window, plan_windows, room_for_text
from trivec.ragged import Ragged
from trivec.types import FloatArray, Head, join_title

if TYPE_CHECKING:
    from trivec.encode.encoder import Encoder


@dataclass(frozen=True, slots=True)
class ChunkedText:
    """A text that has been cut into chunks, in order, and the title that belongs to each of them."""

    chunks: Sequence[str]
    title: str = ""


def encode_chunks(
    encoder: Encoder,
    texts: Sequence[ChunkedText],
    heads: Collection[Head] | None = None,
    overlap_tokens: int | None = None,
    batch_tokens: int | None = None,
) -> Embeddings:
    """Encode chunks in the context of their texts, with the model's document prompt.

    Args:
        encoder: the model.
        texts: nothing of them is cut, whatever their length.
        heads: which vectors to make; None makes all that the model has.
        overlap_tokens: that neighbouring windows share; None is an eighth of a window.
        batch_tokens: padded tokens a batch; None is what the runtime likes best.

    Returns:
        One row a chunk, in order: all chunks of the first text, then those of the second, and so on.

    Raises:
        MissingHeadError: the model lacks a head that was asked for.
        InputError: prompt and title leave no room for text.
    """
    wanted = encoder.check_heads(heads)
    stretches = [stretch for text in texts for stretch in _stretches(encoder, text, overlap_tokens, "sparse" in wanted)]
    rows = [(stretch, window) for stretch in stretches for window in stretch.windows]
    ids = [stretch.row(window) for stretch, window in rows]
    others = tuple(head for head in wanted if head not in ("dense", "terms"))
    if wanted != ("terms",):
        size = batch_tokens or encoder.runtime.batch_tokens
        for number, outputs in forward_rows(encoder, ids, others, size, states="dense" in wanted):
            stretch, window = rows[number]
            stretch.add(window, outputs)
    contents = [join_title(text.title, chunk) for text in texts for chunk in text.chunks]
    return _joined(encoder, [chunk for stretch in stretches for chunk in stretch.chunks], contents, wanted)


def _joined(encoder: Encoder, chunks: Sequence[_Chunk], contents: Sequence[str], heads: Collection[Head]) -> Embeddings:
    checkpoint = encoder.checkpoint
    means = np.array([chunk.states / max(1, chunk.counted) for chunk in chunks], np.float32)
    made: dict[Head, Callable[[], Any]] = {
        "dense": lambda: dense_vectors(means.reshape(-1, checkpoint.hidden_size), checkpoint),
        "sparse": lambda: sparse_rows(
            [chunk.terms for chunk in chunks], [chunk.weights for chunk in chunks], encoder.tokenizer
        ),
        "multi": lambda: Ragged.from_rows([chunk.vectors for chunk in chunks], checkpoint.multi_width),
        "terms": lambda: encoder.count_terms(contents),
    }
    fingerprint = describe_further(encoder.fingerprint, "late chunking")
    return Embeddings(**{head: made[head]() for head in heads}, fingerprint=fingerprint)


def _stretches(encoder: Encoder, text: ChunkedText, overlap: int | None, with_terms: bool) -> list[_Stretch]:
    """A text as stretches of chunks with the same tokens before them: one, unless the title melts into a chunk.

    Chunks are tokenised one by one, so that vectors and term counts of a chunk are those of its own string.
    """
    title = clean_text(join_title(text.title, ""))
    stretches: list[_Stretch] = []
    prompt = encoder.checkpoint.document_prompt
    for chunk in encoder.tokenizer.tokenize_titled(text.chunks, prompt, title, with_terms):
        before = chunk.ids[: 1 + chunk.title_end]
        if not stretches or stretches[-1].before.tolist() != before:
            stretches.append(_Stretch(encoder, before))
        stretches[-1].take(chunk)
    for stretch in stretches:
        stretch.plan(encoder.max_length, overlap)
    return stretches


class _Chunk:
    """One chunk: where its tokens stand in the stretch, and what the windows have given so far.

    ``silent`` tokens, CLS and the prompt, shape the dense vector only.
    """

    def __init__(self, stretch: _Stretch, start: int, text: TitledText) -> None:
        self.start = start
        self.end = start + len(text.ids) - len(stretch.before) - stretch.closing
        self.silent = 1 + text.prompt_tokens
        self.terms = text.terms
        self.states = np.zeros(stretch.hidden_size)
        self.counted = 0
        self.weights = np.zeros(len(text.ids) - self.silent, np.float32)
        self.vectors: FloatArray = np.zeros((len(self.weights), stretch.multi_width), np.float32)

    def add(self, token: int, outputs: RowOutputs, start: int, tokens: int) -> None:
        """Take over outputs ``start`` to ``start + tokens`` of a row, for the chunk's tokens from ``token`` on."""
        end, place = start + tokens, token - self.silent
        if outputs.token_states is not None:
            self.states += outputs.token_states[start:end].sum(axis=0, dtype=np.float64)
            self.counted += tokens
        hidden = min(tokens, max(0, -place))
        if outputs.token_weights is not None:
            self.weights[place + hidden : place + tokens] = outputs.token_weights[start + hidden : end]
        if outputs.token_vectors is not None:
            self.vectors[place + hidden : place + tokens] = outputs.token_vectors[start + hidden : end]


class _Stretch:
    """Consecutive chunks, all behind the same tokens, and the windows that hold them."""

    def __init__(self, encoder: Encoder, before: list[int]) -> None:
        self.before = np.asarray(before, np.int64)
        self.after: NDArray[np.int64] = np.zeros(0, np.int64)
        self.closing = encoder.tokenizer.closing_tokens
        self.hidden_size = encoder.checkpoint.hidden_size
        self.multi_width = encoder.checkpoint.multi_width or 0
        self.content: NDArray[np.int64] = np.zeros(0, np.int64)
        self.parts: list[NDArray[np.int64]] = []
        self.chunks: list[_Chunk] = []
        self.windows: list[Window] = []

    def take(self, text: TitledText) -> None:
        ids = np.asarray(text.ids, np.int64)
        start = self.chunks[-1].end if self.chunks else 0
        self.chunks.append(_Chunk(self, start, text))
        self.parts.append(ids[len(self.before) : len(ids) - self.closing])
        self.after = ids[len(ids) - self.closing :]

    def plan(self, max_length: int, overlap: int | None) -> None:
        self.content = np.concatenate(self.parts)
        around = len(self.before) + len(self.after)
        self.windows = plan_windows(len(self.content), *room_for_text(max_length, around, overlap))

    def row(self, window: Window) -> NDArray[np.int64]:
        return np.concatenate([self.before, self.content[window.start : window.end], self.after])

    def add(self, window: Window, outputs: RowOutputs) -> None:
        first, tokens = len(self.before), window.end - window.start
        for chunk in self.chunks:
            start, end = max(chunk.start, window.first), min(chunk.end, window.last)
            if start < end:
                chunk.add(first + start - chunk.start, outputs, first + start - window.start, end - start)
            if self._holds_middle(window, chunk):
                chunk.add(0, outputs, 0, first)
                chunk.add(first + chunk.end - chunk.start, outputs, first + tokens, len(self.after))

    def _holds_middle(self, window: Window, chunk: _Chunk) -> bool:
        """Whether the window is the one that gives a chunk the tokens around the text."""
        middle = min((chunk.start + chunk.end) // 2, max(0, len(self.content) - 1))
        return window.first <= middle < window.last or not len(self.content)
