"""InfoNCE: the positive against all candidates."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from trivec.train.objectives.candidates import Candidates


def info_nce(candidates: Candidates) -> Tensor:
    """The mean over queries of -log softmax(s / tau) at the positive.

    van den Oord et al. 2018 (1807.03748); M3-Embedding (Chen et al. 2024, 2402.03216), equation (1). Candidates are the
    own group, and with in-batch negatives all other groups of the batch, or of all ranks.

    Use it with labelled pairs. With scores of a teacher, `TeacherKl` and `TeacherRanks` learn more from each group.
    """
    return F.cross_entropy(candidates.logits, candidates.own[:, 0])
