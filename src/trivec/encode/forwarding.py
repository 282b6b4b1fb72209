"""Token ids in, the outputs of each row out: what the ways of encoding long texts share."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trivec.encode.pipeline import forward_batches
from trivec.types import FloatArray, Head

if TYPE_CHECKING:
    from trivec.encode.encoder import Encoder


@dataclass(frozen=True, eq=False)
class RowOutputs:
    """`HeadOutputs` of one row of L tokens, without padding: (D,), (L,), (L, C) and (L, hidden)."""

    dense: FloatArray | None
    token_weights: FloatArray | None
    token_vectors: FloatArray | None
    token_states: FloatArray | None


def forward_rows(
    encoder: Encoder,
    rows: Sequence[NDArray[np.int64]],
    heads: Collection[Head],
    batch_tokens: int,
    states: bool = False,
) -> Iterator[tuple[int, RowOutputs]]:
    """Run every row once, in batches of like length; yields row numbers with their outputs, in any order.

    Args:
        encoder: whose runtime runs them.
        rows: token ids, special tokens included.
        heads: which outputs to make.
        batch_tokens: padded tokens a batch.
        states: give the last hidden states too.
    """
    batches = forward_batches(encoder.runtime, rows, encoder.pad_id, heads, batch_tokens, states)
    for batch, outputs in batches:
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
