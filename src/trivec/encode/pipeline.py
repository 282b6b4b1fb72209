"""Batches through a runtime, several at once where it has lanes, while the next texts are prepared meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from trivec.encode.batches import plan_batches
from trivec.encode.runtime import Forward, HeadOutputs, Laned, Runtime
from trivec.types import FloatArray, Head, IntArray

if TYPE_CHECKING:
    from trivec.encode.encoder import Encoder

BULK_TOKENS = 2048
"""Work for which lanes are started: fewer tokens take no longer than starting them."""

Prepared = TypeVar("Prepared")
Item = TypeVar("Item")
Batch: TypeAlias = tuple[IntArray, HeadOutputs]


@dataclass(frozen=True, eq=False)
class RowOutputs:
    """`HeadOutputs` of one row of L tokens, without padding: (D,), (L,), (L, C) and (L, hidden)."""

    dense: FloatArray | None
    token_weights: FloatArray | None
    token_vectors: FloatArray | None
    token_states: FloatArray | None


def forward_batches(
    runtime: Runtime,
    rows: Sequence[NDArray[np.int64]],
    pad_id: int,
    heads: Collection[Head],
    batch_tokens: int,
    states: bool = False,
) -> Iterator[Batch]:
    """Run every row once, in batches of like length.

    Args:
        runtime: whose `Laned.lanes` are used, if it has any, from `BULK_TOKENS` tokens on.
        rows: token ids of each text, special tokens included.
        pad_id: fills up short rows of a batch.
        heads: which outputs to make.
        batch_tokens: padded tokens a batch.
        states: give token states too.

    Yields:
        Numbers of rows with the outputs for them, in the order in which batches are done.
    """
    lengths = [len(row) for row in rows]
    batches = plan_batches(lengths, batch_tokens)

    def run(batch: IntArray, forward: Forward) -> Batch:
        return batch, forward(*pad([rows[row] for row in batch], pad_id), heads)

    bulk = len(batches) > 1 and sum(lengths) >= BULK_TOKENS
    if bulk and isinstance(runtime, Laned):
        lanes = runtime.lanes(states)
    else:
        lanes = [partial(runtime.forward, states=True) if states else runtime.forward]
    if len(lanes) == 1:
        return (run(batch, lanes[0]) for batch in batches)
    return _run_in_lanes(run, batches, lanes)


def _run_in_lanes(
    run: Callable[[IntArray, Forward], Batch], batches: Sequence[IntArray], lanes: Sequence[Forward]
) -> Iterator[Batch]:
    idle: SimpleQueue[Forward] = SimpleQueue()
    for lane in lanes:
        idle.put(lane)

    def work(batch: IntArray) -> Batch:
        lane = idle.get()
        try:
            return run(batch, lane)
        finally:
            idle.put(lane)

    pool = ThreadPoolExecutor(len(lanes), "trivec-lane")
    try:
        for done in as_completed([pool.submit(work, batch) for batch in batches]):
            yield done.result()
    finally:
        pool.shutdown(cancel_futures=True)


def forward_rows(
    encoder: Encoder,
    rows: Sequence[NDArray[np.int64]],
    heads: Collection[Head],
    batch_tokens: int,
    states: bool = False,
) -> Iterator[tuple[int, RowOutputs]]:
    """`forward_batches` taken apart: row numbers with their outputs, in any order.

    Args:
        encoder: whose runtime, and its lanes, run them.
        rows: token ids, special tokens included.
        heads: which outputs to make.
        batch_tokens: padded tokens a batch.
        states: give token states too.
    """
    for batch, outputs in forward_batches(encoder.runtime, rows, encoder.pad_id, heads, batch_tokens, states):
        for place, row in enumerate(batch):
            length = len(rows[row])
            per_token = (outputs.token_weights, outputs.token_vectors, outputs.token_states)
            yield (
                int(row),
                RowOutputs(
                    None if outputs.dense is None else outputs.dense[place],
                    *(None if part is None else part[place, :length] for part in per_token),
                ),
            )


def one_ahead(prepare: Callable[[Item], Prepared], items: Iterable[Item]) -> Iterator[Prepared]:
    """``map``, of which the next result is made in another thread while the caller works on this one.

    Items are taken in the caller's thread, one ahead. A single item is prepared there too.
    """
    source = iter(items)
    first = next(source, _END)
    second = next(source, _END)
    if isinstance(first, _End):
        return
    if isinstance(second, _End):
        yield prepare(first)
        return
    with ThreadPoolExecutor(1, "trivec-ahead") as pool:
        waiting: Future[Prepared] = pool.submit(prepare, first)
        following: Item | _End = second
        while not isinstance(following, _End):
            ready = waiting.result()
            waiting = pool.submit(prepare, following)
            yield ready
            following = next(source, _END)
        yield waiting.result()


class _End:
    """Stands where an iterable has ended."""


_END = _End()


def pad(rows: Sequence[NDArray[np.int64]], pad_id: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Right-padded ids and their mask, both (B, L)."""
    lengths = np.asarray([len(row) for row in rows])
    if (lengths == lengths[0]).all():
        return np.stack(rows), np.ones((len(rows), lengths[0]), np.int32)
    mask = (np.arange(lengths.max())[None, :] < lengths[:, None]).astype(np.int32)
    ids = np.full(mask.shape, pad_id, np.int64)
    ids[mask == 1] = np.concatenate(rows)
    return ids, mask
