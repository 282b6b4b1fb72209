"""Cross-encoders: BERT-like models that read both texts at once, and make one number of the first token's state.

To the runtimes that is an encoder whose dense vector is one number wide, so all of them run it as it is, in every
precision (see `trivec.encode.checkpoints.classifier`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trivec.encode.checkpoints.checkpoint import Checkpoint
from trivec.encode.checkpoints.plain import pad_id
from trivec.encode.pipeline import forward_batches
from trivec.encode.runtime import Runtime
from trivec.rerank.pair_rows import PairRows
from trivec.rerank.reranker import Pair
from trivec.types import FloatArray, Head

_LOGIT: tuple[Head, ...] = ("dense",)


class CrossEncoder:
    """Scores pairs by a classification head with one output.

    Args:
        checkpoint: see `trivec.encode.checkpoints.classifier.read_classifier`.
        runtime: runs it.
        tokens: makes a row of a pair.
        batch_tokens: padded tokens a batch; None is what the runtime likes best.
    """

    layers: tuple[int, ...] = ()

    def __init__(
        self, checkpoint: Checkpoint, runtime: Runtime, tokens: PairRows, batch_tokens: int | None = None
    ) -> None:
        self.checkpoint = checkpoint
        self.runtime = runtime
        self._tokens = tokens
        self._batch_tokens = batch_tokens or runtime.batch_tokens
        self._pad_id = pad_id(checkpoint)

    @property
    def name(self) -> str:
        """What the model is called."""
        return self.checkpoint.name

    def score(self, pairs: Sequence[Pair]) -> FloatArray:
        """(n, 1) logits."""
        rows, _ = self._tokens.placed(pairs)
        scores = np.zeros((len(rows), self.checkpoint.dense_width), np.float32)
        for batch, outputs in forward_batches(self.runtime, rows, self._pad_id, _LOGIT, self._batch_tokens):
            assert outputs.dense is not None
            scores[batch] = outputs.dense
        return scores
