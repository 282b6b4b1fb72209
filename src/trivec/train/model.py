"""`TrainableEncoder`: ids in, `TextVectors` with gradient out; the maths of `trivec.encode`, on a stock backbone.

- any backbone that transformers' ``AutoModel`` loads; no model code of our own
- on a CPU, BERT and (XLM-)RoBERTa compute no padded token, see `trivec.train.packed_texts`
- CLS and prompt tokens shape the dense vector only; EOS keeps its multi-vector; special tokens have no lexical weight
- heads alone, low-rank updates, or everything can be trained; word embeddings and the lowest layers can be left as
  they are, and what frozen layers gave for a text can be kept on disk (`trivec.train.remembered_states`)
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trivec.encode.checkpoints.checkpoint import Checkpoint
from trivec.encode.checkpoints.plain import CONFIG_FILE, position_offset
from trivec.encode.runtime import token_types
from trivec.encode.tokenizer import TextTokenizer
from trivec.encode.torch_runtime import load_backbone
from trivec.errors import InputError
from trivec.train.frozen_layers import freeze_layers as freeze_lowest
from trivec.train.frozen_layers import lowest_layers, rest_layers
from trivec.train.heads import linear_layer, multi_layer, sparse_layer
from trivec.train.lora import LoraOptions, add_lora
from trivec.train.packed_texts import PackedTexts, pack_attention
from trivec.train.positions import Extension, extend_positions
from trivec.train.remembered_states import RememberedLayers, StateFile, text_keys
from trivec.train.scores import TRAINED_HEADS
from trivec.train.vectors import TextVectors
from trivec.train.word_rows import WordRows
from trivec.types import Head


class TrainableEncoder(nn.Module):
    """A backbone, its pooling and its heads, ready to be trained. Make it with `from_checkpoint`.

    Attributes:
        checkpoint: what it was made from.
        heads: what it gives: among "dense", "sparse", "multi".
        backbone: the transformers model.
        dense_layers: layers between pooling and normalisation, most often none.
        sparse: Linear(d, 1), or None.
        multi: Linear(d, C), or None.
        positions_extended: whether its table of positions is longer than the checkpoint's.
        encoder_frozen: whether the backbone and the dense layers stay as they are, without dropout.
        frozen_layers: how many of the backbone's lowest layers do.
        is_gradient_checkpointing: whether the backbone's layers are computed again in the backward pass.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        backbone: Any,  # noqa: ANN401
        heads: Collection[Head],
        multi_width: int = 128,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.checkpoint = checkpoint
        self.heads = _check_heads(heads)
        self.backbone = backbone
        self.dense_layers = nn.ModuleList(linear_layer(module.linear) for module in checkpoint.dense_modules)
        self.sparse = sparse_layer(checkpoint, seed) if "sparse" in self.heads else None
        self.multi = multi_layer(checkpoint, multi_width, seed) if "multi" in self.heads else None
        self.encoder_frozen = False
        self.frozen_layers = 0
        self._remembered: RememberedLayers | None = None
        self.positions_extended = False
        self.is_gradient_checkpointing = False
        weightless = torch.zeros(max(1, int(str(checkpoint.config.get("vocab_size", 1)))), dtype=torch.bool)
        tokenizer = TextTokenizer.of(checkpoint)
        weightless[sorted(tokenizer.weightless_ids)] = True
        self._weightless: Tensor
        self.register_buffer("_weightless", weightless, persistent=False)
        self._first_position = position_offset(checkpoint.folder / CONFIG_FILE, checkpoint.config)
        self._is_packed: bool | None = None

    @classmethod
    def from_checkpoint(
        cls,
        checkpoint: Checkpoint,
        heads: Collection[Head] = TRAINED_HEADS,
        multi_width: int = 128,
        freeze_encoder: bool = False,
        lora: LoraOptions | None = None,
        seed: int = 0,
        *,
        freeze_embeddings: bool = False,
        freeze_layers: int = 0,
        remember: Path | None = None,
        dropout: float | None = None,
        max_length: int | None = None,
        extension: Extension = "tile",
        train_dense_layers: bool = False,
    ) -> Self:
        """Load a model for training, in float32, on the CPU and in training mode.

        Args:
            checkpoint: the model.
            heads: those to train; one that the checkpoint lacks is made, see `trivec.train.heads`.
            multi_width: columns of a new multi-vector head, at most the backbone's.
            freeze_encoder: train the lexical and the multi-vector head alone, on hidden states without dropout.
            lora: train low-rank updates in place of the backbone's weights; dense layers stay as they are.
            seed: of everything that is drawn.
            freeze_embeddings: leave the word embeddings as they are. Their gradient is as large as the table, which
                in multilingual models holds most weights.
            freeze_layers: leave the word embeddings and so many of the lowest layers as they are, without dropout.
            remember: folder for what frozen layers give, so that each text passes through them once; on CPUs alone.
            dropout: of the whole backbone; None is what its configuration says.
            max_length: tokens per text that it shall take, see `trivec.train.positions`; None is what it takes.
            extension: how the table of positions grows.
            train_dense_layers: train them in full beside low-rank updates, as those that are a model's only head.

        Raises:
            InputError: options contradict each other.
            CorruptModelError: the model cannot be loaded.
        """
        _check_options(checkpoint, heads, freeze_encoder, lora, dropout)
        if remember is not None and not (freeze_encoder or freeze_layers):
            raise InputError(f"remember {remember} has nothing to keep: give freeze, or freeze_layers, too")
        model = cls(checkpoint, cls.load(checkpoint), heads, multi_width, seed)
        if max_length is not None:
            model._take_longer_texts(max_length, extension)
        if dropout is not None:
            _set_dropout(model.backbone, dropout)
        model.frozen_layers = model.backbone.config.num_hidden_layers if freeze_encoder else freeze_layers
        if lora is not None:
            add_lora(model.backbone, lora, seed, lowest_layers(model.backbone, model.frozen_layers))
        if freeze_layers:
            freeze_lowest(model.backbone, freeze_layers)
        if freeze_encoder:
            model.backbone.requires_grad_(False)
        if freeze_encoder or (lora is not None and not train_dense_layers):
            model.dense_layers.requires_grad_(False)
        if freeze_embeddings:
            model.backbone.get_input_embeddings().requires_grad_(False)
        model.encoder_frozen = freeze_encoder
        if remember is not None:
            layers = lowest_layers(model.backbone, model.frozen_layers)
            model._remembered = RememberedLayers(layers, StateFile(remember, checkpoint.hidden_size))
        return model.train()

    @classmethod
    def load(cls, checkpoint: Checkpoint) -> Any:  # noqa: ANN401
        """The backbone, in float32, on the CPU.

        Raises:
            CorruptModelError: it cannot be loaded.
        """
        return load_backbone(checkpoint, torch.float32)

    def _take_longer_texts(self, max_length: int, extension: Extension) -> None:
        checkpoint = self.checkpoint
        self.positions_extended = extend_positions(self.backbone, checkpoint, max_length, extension)
        rows = {"max_position_embeddings": self.backbone.config.max_position_embeddings}
        longest = max(max_length, checkpoint.max_length)
        self.checkpoint = replace(checkpoint, max_length=longest, config={**checkpoint.config, **rows})

    @property
    def config(self) -> Any:  # noqa: ANN401
        """The backbone's configuration."""
        return self.backbone.config

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        weight: Tensor = next(self.backbone.parameters())
        return weight.device

    @property
    def packs(self) -> bool:
        """Whether padding is left out rather than computed: on the device where the weights are at the first pass."""
        if self._is_packed is None:
            self._is_packed = pack_attention(self.backbone, self.device)
            if self._remembered is not None and not self._is_packed:
                raise InputError(
                    f"remember works on CPUs alone, for BERT and (XLM-)RoBERTa: leave it out for "
                    f"{self.checkpoint.name} on {self.device.type}"
                )
        return self._is_packed

    def train(self, mode: bool = True) -> Self:
        """As in torch, but what is frozen stays in evaluation mode: its hidden states have no dropout."""
        super().train(mode)
        if self.encoder_frozen:
            self.backbone.eval()
        elif self.frozen_layers:
            rest_layers(self.backbone, self.frozen_layers)
        return self

    def gradient_checkpointing_enable(self, gradient_checkpointing_kwargs: dict[str, Any] | None = None) -> None:
        """Keep the inputs of the backbone's layers alone, and compute the rest again in the backward pass."""
        kwargs = gradient_checkpointing_kwargs or {"use_reentrant": False}
        self.backbone.config.use_cache = False  # left alone, it is warned of and then turned off
        _renamed(self.backbone, "activation_checkpointing_enable", "gradient_checkpointing_enable")(kwargs)
        if not kwargs.get("use_reentrant") and getattr(self.backbone, "_require_grads_hook", None) is not None:
            # transformers asks for the gradient of frozen embeddings: each part of a batch would keep it to the end
            self.backbone.disable_input_require_grads()
        self.is_gradient_checkpointing = True

    def gradient_checkpointing_disable(self) -> None:
        """Keep all activations."""
        _renamed(self.backbone, "activation_checkpointing_disable", "gradient_checkpointing_disable")()
        self.is_gradient_checkpointing = False

    def look_up(self, *batches: Tensor) -> WordRows:
        """Word embeddings of all ids in some batches, for several calls of `forward`."""
        return WordRows.of(self.backbone.get_input_embeddings(), batches)

    def forward(
        self,
        ids: Tensor,
        mask: Tensor,
        prompt_lengths: Tensor | None = None,
        words: WordRows | None = None,
        term_places: Tensor | None = None,
        terms: Tensor | None = None,
    ) -> TextVectors:
        """Vectors of n texts.

        Args:
            ids: (n, L), right-padded.
            mask: (n, L), 1 for real tokens.
            prompt_lengths: (n,), tokens of the prompt behind the first special token; None is no prompt.
            words: embeddings that were looked up before; None looks them up.
            term_places: (n, K), tokens; None lets each weigh for its own id.
            terms: (n, K), what these tokens weigh for.

        Returns:
            In float32 or better, also under autocast. L is that of ``ids``; M is the most multi-vectors a text has.
        """
        texts = PackedTexts.of(mask)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.encoder_frozen):
            states_TD = self._states(ids, mask, texts, words)
        first = torch.ones_like(texts.order) if prompt_lengths is None else 1 + prompt_lengths
        with _full_precision(ids.device):
            states_TD = states_TD.to(torch.promote_types(self.backbone.dtype, torch.float32))
            multi, multi_mask = self._token_vectors(states_TD, texts, first)
            weights, tokens = self._term_weights(states_TD, ids, texts, first, term_places, terms)
            return TextVectors(
                dense=self._dense_vectors(states_TD, texts) if "dense" in self.heads else None,
                weights=weights,
                tokens=tokens,
                multi=multi,
                multi_mask=multi_mask,
            )

    def _states(self, ids: Tensor, mask: Tensor, texts: PackedTexts, words: WordRows | None) -> Tensor:
        """Last hidden states of the real tokens, text after text: (T, d)."""
        types = self._token_types(ids)
        if not self.packs:
            inputs = {"input_ids": ids} if words is None else {"inputs_embeds": words.embed(ids)}
            told = {} if types is None else {"token_type_ids": types}
            states_BLD: Tensor = self.backbone(**inputs, **told, attention_mask=mask).last_hidden_state
            return states_BLD.flatten(0, 1)[texts.padded]
        ids_1T = ids.flatten()[texts.padded][None]
        inputs = {"input_ids": ids_1T} if words is None else {"inputs_embeds": words.embed(ids_1T)}
        asked = {} if self._remembered is None else {"text_keys": text_keys(texts.rows_of(ids))}
        states: Tensor = self.backbone(
            **inputs,
            **asked,
            position_ids=(texts.positions + self._first_position)[None],
            token_type_ids=torch.zeros_like(ids_1T) if types is None else types.flatten()[texts.padded][None],
            text_runs=texts.runs,
        ).last_hidden_state[0]
        return states

    def _token_types(self, ids: Tensor) -> Tensor | None:
        """Which of two texts each token is in, (n, L), for a model that embeds that; None for all others."""
        separator = self.checkpoint.separator
        if separator is None:
            return None
        return torch.from_numpy(token_types(ids.cpu().numpy(), separator)).to(ids.device)

    def _dense_vectors(self, states_TD: Tensor, texts: PackedTexts) -> Tensor:
        pooled = _pool(states_TD, texts, self.checkpoint.pooling)
        for layer, module in zip(self.dense_layers, self.checkpoint.dense_modules, strict=True):
            pooled = _apply(layer, pooled)
            pooled = torch.tanh(pooled) if module.activation == "tanh" else pooled
        pooled = torch.empty_like(pooled).index_copy(0, texts.order, pooled)
        return F.normalize(pooled, dim=-1) if self.checkpoint.normalize else pooled

    def _term_weights(
        self,
        states_TD: Tensor,
        ids: Tensor,
        texts: PackedTexts,
        first: Tensor,
        term_places: Tensor | None,
        terms: Tensor | None,
    ) -> tuple[Tensor, Tensor] | tuple[None, None]:
        """Weights and what they are of, both (n, L) or, for given terms, (n, K)."""
        if self.sparse is None:
            return None, None
        weights_T = torch.relu(_apply(self.sparse, states_TD)).squeeze(-1)
        if term_places is None or terms is None:
            behind_prompt = texts.positions >= first[texts.order][texts.places]
            weights_T = weights_T * (behind_prompt & ~self._weightless[ids.flatten()[texts.padded]])
        weights = weights_T.new_zeros(ids.numel()).index_copy(0, texts.padded, weights_T).view_as(ids)
        if term_places is None or terms is None:
            return weights, ids
        return weights.gather(1, term_places) * (terms >= 0), terms

    def _token_vectors(
        self, states_TD: Tensor, texts: PackedTexts, first: Tensor
    ) -> tuple[Tensor, Tensor] | tuple[None, None]:
        """Multi-vectors (n, M, C), without those of CLS and the prompt, and their mask (n, M)."""
        if self.multi is None:
            return None, None
        begins = first[texts.order][texts.places]
        kept = (texts.positions >= begins).nonzero().squeeze(1)
        vectors = F.normalize(_apply(self.multi, states_TD[kept]), dim=-1)
        rows, columns = texts.order[texts.places[kept]], (texts.positions - begins)[kept]
        room = int(columns.max()) + 1 if len(kept) else 0
        flat = vectors.new_zeros(len(first) * room, vectors.shape[1]).index_copy(0, rows * room + columns, vectors)
        mask = torch.zeros(len(flat), dtype=torch.bool, device=flat.device)
        mask[rows * room + columns] = True
        return flat.view(len(first), room, -1), mask.view(len(first), room)


def _pool(states_TD: Tensor, texts: PackedTexts, pooling: str) -> Tensor:
    """One state for the text at each place: (n, d)."""
    if pooling == "cls":
        return states_TD[texts.starts]
    if pooling == "last":
        return states_TD[texts.starts + texts.lengths - 1]
    room = states_TD.new_zeros(len(texts.lengths), states_TD.shape[1])
    if pooling == "max":
        places = texts.places[:, None].expand_as(states_TD)
        return room.scatter_reduce(0, places, states_TD, "amax", include_self=False)
    return room.index_add(0, texts.places, states_TD) / texts.lengths[:, None]


def _apply(layer: nn.Module, values: Tensor) -> Tensor:
    """A linear layer in its own precision; the result in that of the values."""
    assert isinstance(layer, nn.Linear)
    result: Tensor = layer(values.to(layer.weight.dtype))
    return result.to(values.dtype)


def _full_precision(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    return torch.autocast(device.type, enabled=False)


def _renamed(backbone: Any, name: str, former: str) -> Callable[..., None]:  # noqa: ANN401
    """A method that older releases of transformers know under another name."""
    method: Callable[..., None] = getattr(backbone, name, None) or getattr(backbone, former)
    return method


def _set_dropout(backbone: nn.Module, probability: float) -> None:
    """In the modules, not in the configuration, which is saved with the model."""
    for module in backbone.modules():
        if isinstance(module, nn.Dropout):
            module.p = probability


def _check_heads(heads: Collection[Head]) -> tuple[Head, ...]:
    unknown = sorted(set(heads) - set(TRAINED_HEADS))
    if unknown or not heads or isinstance(heads, str):
        raise InputError(f"cannot train heads {heads!r}: give some of {', '.join(TRAINED_HEADS)}")
    return tuple(head for head in TRAINED_HEADS if head in heads)


def _check_options(
    checkpoint: Checkpoint,
    heads: Collection[Head],
    freeze_encoder: bool,
    lora: LoraOptions | None,
    dropout: float | None,
) -> None:
    if freeze_encoder and lora is not None:
        raise InputError("freeze_encoder and lora exclude each other: low-rank updates train the encoder")
    if freeze_encoder and not {"sparse", "multi"} & set(heads):
        raise InputError(
            "freeze_encoder leaves nothing to train but the sparse and the multi head: ask for one of them"
        )
    if dropout is not None and not 0 <= dropout < 1:
        raise InputError(f"dropout is {dropout}: give a number from 0 to below 1")
    if checkpoint.precision != "float32":
        raise InputError(f"{checkpoint.name} has {checkpoint.precision} weights, which cannot be trained: load float32")
