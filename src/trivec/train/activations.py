"""About what a training step holds besides weights, gradients and the optimiser's state."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn

from trivec.train.building import split_options
from trivec.train.feeding import AnyBatch
from trivec.train.model import TrainableEncoder
from trivec.train.packed_texts import PackedTexts
from trivec.train.reranker_options import AnyOptions
from trivec.train.scores import DEFAULT_SCORING


@dataclass(frozen=True)
class _Layer:
    """Bytes of one layer over a batch: kept for its backward pass, its input alone, and beside all that is kept."""

    kept: float
    input: float
    passing: float


def activation_bytes(encoder: TrainableEncoder, batch: AnyBatch, options: AnyOptions, on_gpu: bool = False) -> int:
    """The most that is held of a batch: while it is scored, or while the gradient passes through the layers."""
    sides = [side.mask for side in batch.sides]
    tokens = sum(mask.numel() if on_gpu else int(mask.sum()) for mask in sides)
    config, split = encoder.config, split_options(options)
    part = 1.0 if split.mode == "whole" else min(1.0, split.max_tokens / max(1, tokens))
    trained = config.num_hidden_layers - encoder.frozen_layers
    layer = _layer(encoder, options, tokens, [] if on_gpu or not trained else sides)
    again = options.run.gradient_checkpointing and trained > 0
    stored = trained * (layer.input if again else layer.kept)
    if not encoder.frozen_layers:
        stored += 4 * tokens * 3 * config.hidden_size  # embeddings, before and after they are normalised
    vectors, scratch = _vector_bytes(encoder, sides, tokens)
    scoring = scratch + (stored if split.mode == "whole" else 0)
    going_back = part * (stored + layer.passing + (layer.kept if again else 0))
    return int(vectors + max(scoring, going_back))


def update_bytes(encoder: TrainableEncoder, on_gpu: bool = False) -> int:
    """What AdamW needs beside its state while it updates: a copy of all that is trained, or two of the largest weight.

    On a GPU it takes all weights together, on a CPU one after the other.
    """
    sizes = [parameter.numel() for parameter in encoder.parameters() if parameter.requires_grad]
    return 4 * sum(sizes) if on_gpu else 8 * max(sizes)


def _layer(encoder: TrainableEncoder, options: AnyOptions, tokens: int, sides: list[Tensor]) -> _Layer:
    """A layer keeps 8 values of its width for each token, and 2 of its inner width.

    That is queries, keys and values, what attention gave, and both normalisations before and after; Korthikanti et al.
    2022 (2205.05198), section 4.1, count the same. Attention with dropout keeps more on a CPU: queries, keys and
    values once more, and for each pair of tokens and each head its share, before and after, and a mask. ``sides`` are
    the masks of texts with such pairs.
    """
    config = encoder.config
    width, inner = config.hidden_size, getattr(config, "intermediate_size", 4 * config.hidden_size)
    value = tokens * (4 if options.run.precision == "float32" else 2)
    passing = value * 2 * (width + inner)
    drops = any(module.p > 0 for module in encoder.backbone.modules() if isinstance(module, nn.Dropout))
    if not drops:
        return _Layer(value * (8 * width + 2 * inner), value * width, passing)
    kept = value * (8 * width + 2 * inner) + tokens * 2 * width
    if not sides:
        return _Layer(kept, value * width, passing)
    shares = config.num_attention_heads * sum(int(mask.sum(dim=1).square().sum()) for mask in sides)
    runs = (run for mask in sides for run in PackedTexts.of(mask).runs)
    together = config.num_attention_heads * max(texts * length**2 for texts, length in runs)
    freed = value * (4 * width + 2 * inner)  # what follows attention has had its backward pass by then
    return _Layer(kept + value * 3 * width + 9 * shares, value * width, max(passing, 8 * together - freed))


def _vector_bytes(encoder: TrainableEncoder, sides: list[Tensor], tokens: int) -> tuple[int, int]:
    """States and vectors of all texts, and the scratch of their scores."""
    values, scratch = encoder.config.hidden_size, 0
    if encoder.multi is not None:
        values += 6 * encoder.multi.out_features  # projected, normalised and padded, and the gradient of each
        similarities = 4 * math.prod(int(mask.sum()) for mask in sides)
        scratch = min(DEFAULT_SCORING.block_bytes, similarities)
    return 4 * tokens * values, scratch
