"""Encoding a large batch in parts, so that the activations of one part at a time are in memory.

The loss sees the vectors of the whole batch; its gradient is that of the whole batch.

- ``checkpointed``: the graph keeps the vectors of each part, and computes the part again when its gradient is due
  (M3-Embedding, Chen et al. 2024, 2402.03216, algorithm 1, with a part as the unit of recomputation)
- ``cached``: vectors without any graph; the backward pass first collects their gradient, then encodes part after part
  again with gradient (GradCache, Gao et al. 2021, 2101.06983)

Both encode twice and take about the same time. Dropout repeats: each part's generator state is restored. The cached
mode adds to ``.grad`` of the weights inside of the backward pass, so it is not for ``torch.autograd.grad``, nor for
hooks that expect each weight once a pass, as those of DistributedDataParallel; the checkpointed mode is for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint, get_device_states, set_device_states

from trivec.encode.batches import plan_batches
from trivec.errors import InputError
from trivec.train.collate import TokenBatch, TrainBatch
from trivec.train.gather import most_on_a_rank
from trivec.train.model import TrainableEncoder
from trivec.train.vectors import TextVectors
from trivec.train.word_rows import WordRows

Mode: TypeAlias = Literal["whole", "checkpointed", "cached"]
_PADDED_TOKENS = 16_384
"""Of a part in ``whole`` mode, where padding is computed: enough for a GPU, and short texts stay together."""


@dataclass(frozen=True)
class SplitOptions:
    """How a batch is cut into parts.

    Attributes:
        mode: ``whole`` keeps all activations.
        max_tokens: of a part: texts x longest text. A longer text is a part of its own.
        max_texts: of a part; None sets no limit.
        equal_parts: each rank runs as many parts as the one that has the most, with a text of its own again where it
            has fewer. Sharded weights are collected from all ranks for each part, so all must ask equally often.
    """

    mode: Mode = "whole"
    max_tokens: int = 8192
    max_texts: int | None = None
    equal_parts: bool = False

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise InputError(f"unknown mode {self.mode!r}: choose one of {', '.join(get_args(Mode))}")
        if self.max_tokens < 1 or (self.max_texts is not None and self.max_texts < 1):
            raise InputError(f"parts of {self.max_tokens} tokens and {self.max_texts} texts: give at least 1 of each")
        if self.equal_parts and self.mode == "cached":
            raise InputError("split cached does not work with weights sharded over processes: choose checkpointed")


def encode_groups(
    model: TrainableEncoder, batch: TrainBatch, options: SplitOptions | None = None
) -> tuple[TextVectors, TextVectors]:
    """Vectors of B queries and of their B * G passages. Each different text is encoded once."""
    words = look_up_once(model, [batch.queries, batch.passages])
    queries = encode_split(model, batch.queries, options, words)
    passages = encode_split(model, batch.passages, options, words)
    return _spread(queries, batch.query_rows), _spread(passages, batch.passage_rows)


def look_up_once(model: TrainableEncoder, batches: Sequence[TokenBatch]) -> WordRows | None:
    """Word embeddings for several calls of `encode_split`, or None if they are not trained."""
    table = model.backbone.get_input_embeddings()
    trained = torch.is_grad_enabled() and any(weight.requires_grad for weight in table.parameters())
    return model.look_up(*(batch.ids for batch in batches)) if trained and not model.encoder_frozen else None


def encode_split(
    model: TrainableEncoder,
    batch: TokenBatch,
    options: SplitOptions | None = None,
    words: WordRows | None = None,
) -> TextVectors:
    """Vectors of all texts of a batch, in order, encoded in parts of like length.

    The gradient of a loss over them equals that of the whole batch at once. A model whose encoder is frozen has no
    activations to save, and is never run twice.

    Args:
        model: the encoder.
        batch: n texts.
        options: None is the whole batch at once.
        words: word embeddings that other calls share, see `look_up_once`.
    """
    options = options or SplitOptions()
    words = words or look_up_once(model, [batch])
    rows = _parts(model, batch, options)
    parts = [batch.rows(part) for part in rows]
    splits = options.mode != "whole" and torch.is_grad_enabled() and not model.encoder_frozen
    if splits and options.mode == "cached":
        return _encode_cached(model, parts, rows, words)
    encoded = [_recomputed(model, part, words) if splits else encode_whole(model, part, words) for part in parts]
    return _in_order(encoded, rows, len(batch.ids))


def _parts(model: TrainableEncoder, batch: TokenBatch, options: SplitOptions) -> list[Tensor]:
    """Rows of each part; texts of like length together. Parts that only keep step with other ranks come last."""
    lengths = batch.lengths.tolist()
    if options.mode == "whole" and model.packs:
        return [torch.arange(len(lengths))]
    if options.mode == "whole":
        planned = plan_batches(lengths, _PADDED_TOKENS, len(lengths))
    else:
        planned = plan_batches(lengths, options.max_tokens, options.max_texts or len(lengths))
    parts = [torch.from_numpy(rows).to(batch.ids.device) for rows in planned]
    if options.equal_parts:
        shortest = batch.lengths.argmin().reshape(1)
        parts += [shortest] * (most_on_a_rank(len(parts), batch.ids.device) - len(parts))
    return parts


def encode_whole(model: TrainableEncoder, part: TokenBatch, words: WordRows | None = None) -> TextVectors:
    """Vectors of all texts of a batch in one pass."""
    vectors: TextVectors = model(part.ids, part.mask, part.prompt_lengths, words, part.term_places, part.terms)
    return vectors


def _recomputed(model: TrainableEncoder, part: TokenBatch, words: WordRows | None) -> TextVectors:
    encoded: TextVectors = checkpoint(encode_whole, model, part, words, use_reentrant=False)
    return encoded


def _in_order(parts: Sequence[TextVectors], rows: Sequence[Tensor], texts: int) -> TextVectors:
    """The texts of all parts where they were in the batch."""
    joined = TextVectors.concatenate(parts)
    order = torch.cat(list(rows))
    if torch.equal(order, torch.arange(texts, device=order.device)):
        return joined
    return joined.rows(order[:texts].argsort())


def _spread(vectors: TextVectors, rows: Tensor) -> TextVectors:
    """Vectors of texts that stand in several places."""
    is_plain = len(rows) == len(vectors) and torch.equal(rows, torch.arange(len(rows), device=rows.device))
    return vectors if is_plain else vectors.rows(rows)


def _encode_cached(
    model: TrainableEncoder, parts: Sequence[TokenBatch], rows: Sequence[Tensor], words: WordRows | None
) -> TextVectors:
    """The first pass; the second is run by the graph of what is given back."""
    states, encoded = [], []
    with torch.no_grad():
        for part in parts:
            states.append(_Surroundings.now(part.ids.device))
            encoded.append(encode_whole(model, part, words))
    vectors = _in_order(encoded, rows, sum(map(len, rows)))

    def encode_again(part: int, own_words: WordRows | None) -> TextVectors:
        with states[part].restored():
            return encode_whole(model, parts[part], own_words)

    anchor = torch.zeros(0, requires_grad=True) if words is None else words.vectors
    tensors = _SecondPass.apply(encode_again, rows, words, anchor, *vectors.tensors())  # type: ignore[no-untyped-call]
    return vectors.with_tensors(tensors)


class _SecondPass(torch.autograd.Function):
    """Vectors as they are; their gradient is handed to part after part, encoded again."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        encode_again: Callable[[int, WordRows | None], TextVectors],
        rows: Sequence[Tensor],
        words: WordRows | None,
        anchor: Tensor,
        *vectors: Tensor,
    ) -> tuple[Tensor, ...]:
        ctx.encode_again, ctx.rows, ctx.words = encode_again, rows, words
        ctx.set_materialize_grads(False)
        return tuple(tensor.view_as(tensor) for tensor in vectors)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        words: WordRows | None = ctx.words
        if words is not None:
            words = WordRows(words.ids, words.vectors.detach().requires_grad_())
        for part, rows in enumerate(ctx.rows):
            with torch.enable_grad():
                tensors = ctx.encode_again(part, words).tensors()
            given = [
                (tensor, _trimmed(gradient[rows], tensor))
                for tensor, gradient in zip(tensors, gradients, strict=True)
                if gradient is not None and tensor.requires_grad
            ]
            torch.autograd.backward([tensor for tensor, _ in given], [gradient for _, gradient in given])
        return None, None, None, None if words is None else words.vectors.grad, *(None for _ in gradients)


def _trimmed(gradient: Tensor, like: Tensor) -> Tensor:
    """Without the room that other parts of the batch needed."""
    return gradient[tuple(slice(size) for size in like.shape)]


@dataclass(frozen=True, eq=False)
class _Surroundings:
    """What a part was encoded in: where the random generators stood, and the precision of autocast."""

    cpu: Tensor
    devices: Sequence[int]
    others: Sequence[Tensor]
    autocast: tuple[str, torch.dtype, bool]

    @staticmethod
    def now(device: torch.device) -> _Surroundings:
        devices, others = get_device_states(torch.empty(0, device=device))
        kind = device.type
        autocast = (kind, torch.get_autocast_dtype(kind), torch.is_autocast_enabled(kind))
        return _Surroundings(torch.get_rng_state(), devices, others, autocast)

    @contextmanager
    def restored(self) -> Iterator[None]:
        """As it was then, and as it is now when all is done."""
        with torch.random.fork_rng(self.devices), torch.autocast(*self.autocast):
            torch.set_rng_state(self.cpu)
            set_device_states(self.devices, self.others)
            yield
