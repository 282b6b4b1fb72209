"""The unified objective of M3-Embedding: all heads, their ensemble, and the ensemble as teacher of the heads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from torch import Tensor

from trivec.errors import InputError
from trivec.train.objectives.candidates import ScoreLoss, candidates, local
from trivec.train.objectives.groups import GroupInfo, LossParts
from trivec.train.objectives.info_nce import info_nce
from trivec.train.objectives.teacher_kl import TeacherKl, soft_cross_entropy
from trivec.train.objectives.teacher_ranks import TeacherRanks
from trivec.train.scores import DEFAULT_SCORING, TRAINED_HEADS, ScoreOptions, Scores, score_all, score_own
from trivec.train.vectors import TextVectors
from trivec.types import Head

LossName: TypeAlias = Literal["info_nce", "teacher_kl", "teacher_ranks"]
LOSSES: tuple[LossName, ...] = ("info_nce", "teacher_kl", "teacher_ranks")


@dataclass(frozen=True)
class HeadWeights:
    """One number, at least 0, for each head."""

    dense: float = 1.0
    sparse: float = 1.0
    multi: float = 1.0

    def __post_init__(self) -> None:
        if min(self.dense, self.sparse, self.multi) < 0:
            raise InputError(f"a weight is negative in {self}: give weights of at least 0")

    def of(self, head: Head) -> float:
        """The number of one head."""
        return {"dense": self.dense, "sparse": self.sparse, "multi": self.multi}[head]


@dataclass(frozen=True)
class M3Options:
    """The constants of M3-Embedding (Chen et al. 2024, 2402.03216, version 4), equations (1) to (6).

    Attributes:
        heads: which heads are trained. With one there is no ensemble: the loss is that head's own.
        loss: of each matrix of scores. The two with a teacher need `GroupInfo.teacher_scores`.
        temperature: tau. The paper has none; 0.02 is FlagEmbedding's for fine-tuning.
        teacher_temperature: divides outside teacher scores before their softmax.
        ensemble_weights: w of (2). The sparse weight is small because a new sparse head is wrong at first.
        loss_weights: lambda of (3) and (5).
        ensemble_loss: whether the ensemble's own loss is in (3).
        distill_from_step: self-distillation, (4) to (6), starts after this many optimiser steps; None: never. The loss
            falls by about half there, which is no learning.
        final: "mean" halves the sum of both losses, as (6); "sum" does not.

    Raises:
        InputError: a value makes no sense; the message names it.
    """

    heads: tuple[Head, ...] = TRAINED_HEADS
    loss: LossName = "info_nce"
    temperature: float = 0.02
    teacher_temperature: float = 1.0
    ensemble_weights: HeadWeights = field(default_factory=lambda: HeadWeights(1.0, 0.3, 1.0))
    loss_weights: HeadWeights = field(default_factory=lambda: HeadWeights(1.0, 0.1, 1.0))
    ensemble_loss: bool = True
    distill_from_step: int | None = 0
    final: Literal["mean", "sum"] = "mean"

    def __post_init__(self) -> None:
        if not self.heads or set(self.heads) - set(TRAINED_HEADS) or len(set(self.heads)) < len(self.heads):
            raise InputError(
                f"heads {self.heads}: name each of {', '.join(TRAINED_HEADS)} at most once, and one at least"
            )
        if self.loss not in LOSSES:
            raise InputError(f"there is no loss {self.loss!r}: choose one of {', '.join(LOSSES)}")
        if min(self.temperature, self.teacher_temperature) <= 0:
            raise InputError(
                f"temperature {self.temperature}, teacher_temperature {self.teacher_temperature}: both must be above 0"
            )
        if self.final not in ("mean", "sum"):
            raise InputError(f"final is {self.final!r}: choose mean or sum")

    def score_loss(self) -> ScoreLoss:
        """The loss that is named."""
        losses: dict[LossName, ScoreLoss] = {
            "info_nce": info_nce,
            "teacher_kl": TeacherKl(self.teacher_temperature),
            "teacher_ranks": TeacherRanks(self.teacher_temperature),
        }
        return losses[self.loss]


def early_version(heads: tuple[Head, ...] = TRAINED_HEADS) -> M3Options:
    """The paper's first version, for comparison: plain sums and averages, no loss of the ensemble, L + L' unhalved.

    The formula there leaves L open; here it is the plain average over the heads.
    """
    ones = HeadWeights()
    return M3Options(heads, ensemble_weights=ones, loss_weights=ones, ensemble_loss=False, final="sum")


class M3:
    """The unified objective; with n heads in place of three, n stands for 3 and n + 1 for 4.

        s_inter = w1 s_dense + w2 s_lex + w3 s_mul                                         (2)
        L  = (l1 L_dense + l2 L_lex + l3 L_mul + L_inter) / 4                              (3)
        L'_* = - sum_p softmax(s_inter / tau)_p log softmax(s_* / tau)_p                   (4)
        L' = (l1 L'_dense + l2 L'_lex + l3 L'_mul) / 3                                     (5)
        L_final = (L + L') / 2                                                             (6)

    L_* is (1), or the chosen loss with a teacher. The teacher in (4) has no gradient; L_inter has. Where only some
    heads see the passages of all ranks, the ensemble and (4) use the rank's own.

    Example:
        >>> import torch
        >>> texts = TextVectors(dense=torch.eye(2))
        >>> objective = M3(M3Options(heads=("dense",), temperature=1.0))
        >>> round(objective(texts, texts, GroupInfo(group_size=1)).total.item(), 4)
        0.3133
    """

    def __init__(self, options: M3Options = M3Options(), scoring: ScoreOptions = DEFAULT_SCORING) -> None:
        self.options = options
        self.scoring = scoring

    def __call__(self, queries: TextVectors, passages: TextVectors, batch: GroupInfo) -> LossParts:
        """The loss of B queries against B * G passages.

        Raises:
            InputError: shapes do not fit, or teacher scores are missing.
            MissingHeadError: a head is missing in the vectors.
        """
        return self.loss(self.scores(queries, passages, batch), batch)

    def scores(
        self, queries: TextVectors, passages: TextVectors, batch: GroupInfo, heads: Sequence[Head] | None = None
    ) -> Scores:
        """The scores that the loss is made of, of all the objective's heads or some."""
        heads = self.options.heads if heads is None else heads
        if not batch.in_batch_negatives:
            return score_own(queries, passages, heads, self.scoring)
        far = batch.everywhere
        gathered = [head for head in heads if far is not None and head in far.heads]
        own = score_all(queries, passages, [head for head in heads if head not in gathered], self.scoring)
        if far is None or not gathered:
            return own
        wide = score_all(queries, far, gathered, self.scoring)
        pairs = ((wide.dense, own.dense), (wide.sparse, own.sparse), (wide.multi, own.multi))
        return Scores(*(narrow if broad is None else broad for broad, narrow in pairs))

    def loss(self, scores: Scores, batch: GroupInfo) -> LossParts:
        """The loss of scores that are there already."""
        options, measure = self.options, self.options.score_loss()
        terms = {head: measure(candidates(scores.of(head), batch, options.temperature)) for head in options.heads}
        if len(terms) == 1:
            return _parts(next(iter(terms.values())), terms)
        ensemble = self._ensemble(scores, batch)
        total = sum_weighted(options.loss_weights, terms)
        shown: dict[str, Tensor] = {head: term for head, term in terms.items()}
        shown["ensemble"] = measure(candidates(ensemble, batch, options.temperature))
        if options.ensemble_loss:
            total = total + shown["ensemble"]
        total = total / (len(terms) + options.ensemble_loss)
        if options.distill_from_step is None or batch.step < options.distill_from_step:
            return _parts(total, shown)
        distilled = self._distilled(scores, ensemble, batch)
        shown |= {f"distilled_{head}": term for head, term in distilled.items()}
        both = total + sum_weighted(options.loss_weights, distilled) / len(distilled)
        return _parts(both / 2 if options.final == "mean" else both, shown)

    def _shared(self, head: Head, scores: Scores, batch: GroupInfo) -> Tensor:
        """The columns that all heads have scores for."""
        widths = {scores.of(head).shape[1] for head in self.options.heads}
        return scores.of(head) if len(widths) == 1 else local(scores.of(head), batch)

    def _ensemble(self, scores: Scores, batch: GroupInfo) -> Tensor:
        weights = self.options.ensemble_weights
        return sum_weighted(weights, {head: self._shared(head, scores, batch) for head in self.options.heads})

    def _distilled(self, scores: Scores, ensemble: Tensor, batch: GroupInfo) -> dict[Head, Tensor]:
        tau = self.options.temperature
        teacher = candidates(ensemble.detach(), batch, tau).logits.softmax(dim=1)
        return {
            head: soft_cross_entropy(candidates(self._shared(head, scores, batch), batch, tau).logits, teacher)
            for head in self.options.heads
        }


def sum_weighted(weights: HeadWeights, terms: dict[Head, Tensor]) -> Tensor:
    """The terms of the heads, each times its weight, added up."""
    first, *others = (weights.of(head) * term for head, term in terms.items())
    for term in others:
        first = first + term
    return first


def _parts(total: Tensor, terms: dict[Head, Tensor] | dict[str, Tensor]) -> LossParts:
    return LossParts(total, {name: term.detach() for name, term in terms.items()})
