"""Hard negatives: passages that a model takes for answers and that are none.

`mine` retrieves candidates for every query, drops what may be an answer after all, draws negatives from the rest, and
says why each candidate was kept or dropped.
"""

from __future__ import annotations

from trivec.data.mining.inputs import Inputs
from trivec.data.mining.mining import Shard, mine
from trivec.data.mining.options import MiningOptions, Source
from trivec.data.mining.report import MiningReport
from trivec.data.mining.teacher import EncoderTeacher, RerankerTeacher, Teacher

__all__ = [
    "EncoderTeacher",
    "Inputs",
    "MiningOptions",
    "MiningReport",
    "RerankerTeacher",
    "Shard",
    "Source",
    "Teacher",
    "mine",
]
