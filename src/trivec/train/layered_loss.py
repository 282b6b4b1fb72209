"""`LayeredLoss`: documents are merged now and then while a layered reranker is trained, so that it can do with less."""

from __future__ import annotations

import random
from collections.abc import Sequence

from trivec.train.layered_model import LayeredModel
from trivec.train.objectives import GroupCrossEntropy
from trivec.train.pair_loss import PairLoss
from trivec.train.split_batch import SplitOptions


class LayeredLoss(PairLoss):
    """A `PairLoss` that draws one width for each step; all layers learn at that width.

    Args:
        encoder: what is trained.
        objective: what is minimised.
        split: how batches are encoded in parts.
        ratios: how many states become one; one of them, or 1, is drawn.
        seed: of the draws.
    """

    def __init__(
        self,
        encoder: LayeredModel,
        objective: GroupCrossEntropy,
        split: SplitOptions,
        ratios: Sequence[int] = (),
        seed: int = 0,
    ) -> None:
        super().__init__(encoder, objective, split)
        self._ratios, self._seed = tuple(dict.fromkeys((1, *ratios))), seed

    def begin(self, step: int | None) -> None:
        """Draw the width of a step; models are measured at the whole width."""
        assert isinstance(self.encoder, LayeredModel)
        self.encoder.ratio = 1 if step is None else random.Random(f"{self._seed} {step}").choice(self._ratios)
