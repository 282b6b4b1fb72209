"""`LayeredModel`: a decoder with heads between its layers, ready to be trained."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from trivec.encode.checkpoints.checkpoint import Checkpoint
from trivec.rerank.layer_heads import LayerHeads
from trivec.rerank.layered_folders import load_layers, offered_layers
from trivec.rerank.lightweight import Spans, layer_logits
from trivec.train.model import TrainableEncoder
from trivec.train.vectors import TextVectors
from trivec.train.word_rows import WordRows


class LayeredModel(TrainableEncoder):
    """Its dense vector is the logits of a pair, one for each layer that has a head; see `TrainableEncoder`.

    Attributes:
        layers: which ones.
        merged_behind: layers behind which documents are merged.
        ratio: how many states become one; 1 merges nothing.
        behind: tokens of each row that stand behind the document.
    """

    def __init__(self, checkpoint: Checkpoint, backbone: Any, *arguments: Any, **named: Any) -> None:  # noqa: ANN401
        super().__init__(checkpoint, backbone, *arguments, **named)
        self.layers = tuple(offered_layers(checkpoint.folder, checkpoint.config))
        self.merged_behind: tuple[int, ...] = ()
        self.ratio, self.behind = 1, 0

    @classmethod
    def load(cls, checkpoint: Checkpoint) -> Any:  # noqa: ANN401
        """The backbone, in float32, on the CPU."""
        layers = int(str(checkpoint.config["num_hidden_layers"]))
        return load_layers(checkpoint.folder, checkpoint.config, layers, torch.float32)

    @property
    def packs(self) -> bool:
        """Padding is computed."""
        return False

    def forward(
        self,
        ids: Tensor,
        mask: Tensor,
        prompt_lengths: Tensor | None = None,
        words: WordRows | None = None,  # embeddings are frozen
        term_places: Tensor | None = None,
        terms: Tensor | None = None,
    ) -> TextVectors:
        """Logits of n rows, (n, layers), as dense vectors.

        Args:
            ids: (n, L), right-padded.
            mask: (n, L), 1 for real tokens.
            prompt_lengths: (n,), tokens before the document; only merging asks for them.
            words: not used.
            term_places: not used.
            terms: not used.
        """
        ends = mask.sum(dim=1)
        starts = torch.zeros_like(ends) if prompt_lengths is None else prompt_lengths
        (head,) = self.dense_layers
        assert isinstance(head, nn.Linear)
        cap = getattr(self.backbone.config, "final_logit_softcapping", None)
        heads = LayerHeads(self.layers, head.weight, cap)
        spans = Spans(starts, (ends - starts - self.behind).clamp(min=0), ends)
        return TextVectors(dense=layer_logits(self.backbone, heads, ids, spans, self.merged_behind, self.ratio))
