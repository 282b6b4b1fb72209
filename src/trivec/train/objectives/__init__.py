"""What training minimises. A loss of one matrix of scores has a file of its own; `M3` puts heads together."""

from __future__ import annotations

from trivec.train.objectives.group_cross_entropy import GroupCrossEntropy
from trivec.train.objectives.groups import GroupInfo, LossParts, Objective
from trivec.train.objectives.m3 import M3, HeadWeights, M3Options, early_version
from trivec.train.objectives.matryoshka import Matryoshka, MatryoshkaOptions

__all__ = [
    "M3",
    "GroupCrossEntropy",
    "GroupInfo",
    "HeadWeights",
    "LossParts",
    "M3Options",
    "Matryoshka",
    "MatryoshkaOptions",
    "Objective",
    "early_version",
]
