"""From examples to rows of tokens for a reranker: each passage of a group together with its query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from trivec.data.examples import Example
from trivec.encode.pipeline import pad
from trivec.rerank.pair_rows import PairRows
from trivec.rerank.reranker import Pair
from trivec.train.collate import TokenBatch, different, one_group_size, stacked_scores
from trivec.train.draws import GroupDraws
from trivec.train.quiet import without_warnings

_RERANK = "trivec.rerank"
"""Its loggers tell of cut texts, which are no news in a training batch."""


@dataclass(frozen=True, eq=False, slots=True)
class PairBatch:
    """B queries, each paired with its G passages; every different pair once.

    Attributes:
        pairs: the different pairs.
        rows: (B * G,), the row of ``pairs`` of each pair; those of query b are b * G to b * G + G - 1, the positive's
            first.
        group_size: G.
        teacher_scores: (B, G) float32, or None if a group lacks them.
    """

    pairs: TokenBatch
    rows: Tensor
    group_size: int
    teacher_scores: Tensor | None = None

    def __len__(self) -> int:
        """B."""
        return len(self.rows) // self.group_size

    @property
    def sides(self) -> tuple[TokenBatch, ...]:
        """All texts."""
        return (self.pairs,)

    def to(self, device: torch.device | str) -> PairBatch:
        """The batch on another device."""
        scores = self.teacher_scores
        return replace(
            self,
            pairs=self.pairs.to(device),
            rows=self.rows.to(device),
            teacher_scores=None if scores is None else scores.to(device, non_blocking=True),
        )


class PairCollator:
    """Makes a `PairBatch` of examples. What it draws for an example depends on seed, epoch and number alone.

    Args:
        rows: makes a row of a pair.
        pad_id: fills up short rows.
        draws: the groups.
    """

    def __init__(self, rows: PairRows, pad_id: int, draws: GroupDraws) -> None:
        self._rows, self._pad_id, self._draws = rows, pad_id, draws

    def __call__(self, examples: Sequence[Example], numbers: Sequence[int], epoch: int = 0) -> PairBatch:
        """One batch.

        Args:
            examples: of groups of one size, as the plan has them.
            numbers: of the examples in the data set.
            epoch: changes what is drawn.

        Raises:
            InputError: the groups have different sizes.
        """
        groups = [self._draws(*pair, epoch) for pair in zip(examples, numbers, strict=True)]
        pairs = [Pair(prompted(group.query, group.prompt), passage) for group in groups for passage in group.passages]
        once, rows = different(pairs)
        with without_warnings(_RERANK):
            placed, starts = self._rows.placed(once)
        ids, mask = pad(placed, self._pad_id)
        batch = TokenBatch(torch.from_numpy(ids), torch.from_numpy(mask.astype(np.int64)), torch.tensor(starts))
        return PairBatch(batch, rows, one_group_size(groups), stacked_scores(groups))


def prompted(query: str, prompt: str | None) -> str:
    """A query behind the prompt of its example. A reranker has no other prompts."""
    return query if prompt is None else prompt + query
