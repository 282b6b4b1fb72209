"""`weigh_first_stage`: how much the first stage should have to say beside a reranker, found by cross-validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trivec.evaluate.choosing import chosen_by_others, simplest
from trivec.evaluate.reading import ReadQuery
from trivec.evaluate.reranked_sets import SecondOrder, ranking_of
from trivec.evaluate.significance import Difference, difference
from trivec.evaluate.tuning import ndcg_at_10
from trivec.types import IntArray

WEIGHTS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Of the first stage's standard scores beside logits: from the reranker alone to hardly it at all."""

Winner: TypeAlias = Literal["reranker", "first stage", "mix"]


@dataclass(frozen=True)
class WeighedFirstStage:
    """What was found; all values are means of nDCG@10.

    Attributes:
        weight: the one that was chosen.
        present: the one that searches have now.
        reranker_alone: with weight 0.
        first_stage_alone: without the reranker.
        before: with the present weight.
        after: by cross-validation, each query with the weight that was best for others.
        change: from before to after.
        over_first_stage: from the first stage alone to after.
    """

    weight: float
    present: float
    reranker_alone: float
    first_stage_alone: float
    before: float
    after: float
    change: Difference
    over_first_stage: Difference

    @property
    def is_better(self) -> bool:
        """Whether the change is an improvement beyond chance (p < 0.05)."""
        return self.change.mean > 0 and self.change.p < 0.05

    @property
    def winner(self) -> Winner:
        """What should order the documents."""
        if self.over_first_stage.mean <= 0:
            return "first stage"
        return "mix" if self.weight else "reranker"

    def evidence(self) -> dict[str, Any]:
        """As a library keeps it."""
        return {**asdict(self), "winner": self.winner, "measure": "nDCG@10"}


def weigh_first_stage(
    read: Sequence[ReadQuery],
    grades: Sequence[Mapping[str, int]],
    folds: IntArray,
    depth: int,
    present: float = 0.0,
    seed: int = 0,
) -> WeighedFirstStage:
    """Try weights of the first stage.

    The reranker alone is taken unless some weight is measurably better, see `trivec.evaluate.choosing.simplest`.

    Args:
        read: of each query, ``depth`` documents or all that were found.
        grades: of each query, by document id.
        folds: (q,) of the queries.
        depth: documents that are put in order.
        present: the weight that searches have now.
        seed: of random samples.
    """

    def values(weight: float) -> NDArray[np.float64]:
        rankings = (ranking_of(one, SecondOrder(depth, weight)) for one in read)
        return _values([list(ranking) for ranking in rankings], grades)

    table = np.stack([values(weight) for weight in WEIGHTS])
    sizes = [int(weight > 0) for weight in WEIGHTS]
    after = table[chosen_by_others(table, sizes, folds), np.arange(len(read))]
    before, alone = values(present), _values([one.documents for one in read], grades)
    return WeighedFirstStage(
        weight=WEIGHTS[simplest(table, sizes)],
        present=present,
        reranker_alone=float(table[0].mean()),
        first_stage_alone=float(alone.mean()),
        before=float(before.mean()),
        after=float(after.mean()),
        change=difference(before, after, seed),
        over_first_stage=difference(alone, after, seed),
    )


def _values(rankings: Sequence[Sequence[str]], grades: Sequence[Mapping[str, int]]) -> NDArray[np.float64]:
    """(q,) nDCG@10."""
    return np.asarray([ndcg_at_10(ranking, own) for ranking, own in zip(rankings, grades, strict=True)])
