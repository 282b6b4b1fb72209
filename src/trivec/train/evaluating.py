"""Retrieval metrics of an encoder under training, head by head, on a judged set.

Systems are the heads ``dense``, ``sparse`` and ``multi``, their sum ``hybrid`` with the weights of M3-Embedding, and
``bm25`` over the same subwords, which no training moves. Texts are cut at the model's length, not split.
"""

from __future__ import annotations

from collections.abc import Sequence

from trivec.encode.encoder import Encoder
from trivec.errors import require
from trivec.evaluate.evaluation import evaluate
from trivec.evaluate.judged_sets import JudgedSet
from trivec.evaluate.options import EvaluateOptions
from trivec.evaluate.systems import BM25_DOCUMENTS, HYBRID, System
from trivec.scoring import M3_WEIGHTS
from trivec.search.fusion import WeightedSum
from trivec.search.long_documents import LongDocuments
from trivec.train.live_encoder import LiveModel
from trivec.train.option_groups import MEASURES
from trivec.train.quiet import without_warnings
from trivec.train.scores import TRAINED_HEADS
from trivec.types import SIGNALS, Head


class Evaluator:
    """Measures encoders on one set. BM25 is computed once."""

    def __init__(self, judged: JudgedSet) -> None:
        require("ir_measures", "eval", "measuring retrieval")
        self.judged = judged
        self._bm25: dict[str, float] | None = None

    def measure(self, encoder: Encoder, heads: Sequence[Head]) -> dict[str, float]:
        """Values by system and measure, such as ``dense nDCG@10``.

        Args:
            encoder: gives the vectors.
            heads: which of its heads to measure, of dense, sparse and multi.
        """
        wanted = [head for head in TRAINED_HEADS if head in heads]
        hybrid = WeightedSum({signal: M3_WEIGHTS[signal] for signal in SIGNALS if signal in wanted})
        systems = [*wanted, System(HYBRID, hybrid)]
        if self._bm25 is not None:
            with without_warnings(Encoder.__module__):  # that long texts are cut was told the first time
                return self._values(encoder, systems) | self._bm25
        values = self._values(encoder, [*systems, BM25_DOCUMENTS])
        self._bm25 = {name: value for name, value in values.items() if name.startswith("bm25 ")}
        return values

    def measure_live(self, model: LiveModel) -> dict[str, float]:
        """The same of a model in training, with the heads that are trained."""
        return self.measure(model.encoder, model.trained.heads)

    def _values(self, encoder: Encoder, systems: Sequence[str | System]) -> dict[str, float]:
        options = EvaluateOptions(systems, MEASURES, long_documents=LongDocuments("cut"))
        found = evaluate(encoder, self.judged, options).systems
        return {
            f"{'bm25' if name == BM25_DOCUMENTS else name} {measure}": value
            for name, result in found.items()
            for measure, value in result.measured.means().items()
        }
