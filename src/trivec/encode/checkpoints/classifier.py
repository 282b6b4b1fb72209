"""Folders of cross-encoders, as transformers and sentence-transformers save them: a classification model of one class.

XLM-RoBERTa and RoBERTa have ``classifier.dense``, tanh and ``classifier.out_proj`` on the first token's state; BERT has
its pooler, which is the same with tanh, and ``classifier``. Published so: bge-reranker-base, -large and -v2-m3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trivec.encode.checkpoints import plain
from trivec.encode.checkpoints.checkpoint import Checkpoint, DenseModule, Linear
from trivec.encode.checkpoints.export import copy_kept_files
from trivec.encode.checkpoints.weights import WEIGHTS_FILE, read_linear, read_weights
from trivec.errors import CorruptModelError, ModelError
from trivec.tensorfile import write_json, write_tensors
from trivec.types import FloatArray


@dataclass(frozen=True)
class Architecture:
    """What transformers calls things in a classification model.

    Attributes:
        name: of the model.
        backbone: stands before the names of the backbone's weights.
        inner: the layer with tanh.
        last: the one behind it.
    """

    name: str
    backbone: str
    inner: str
    last: str


ARCHITECTURES: Mapping[str, Architecture] = {
    "xlm-roberta": Architecture(
        "XLMRobertaForSequenceClassification", "roberta.", "classifier.dense.", "classifier.out_proj."
    ),
    "roberta": Architecture(
        "RobertaForSequenceClassification", "roberta.", "classifier.dense.", "classifier.out_proj."
    ),
    "bert": Architecture("BertForSequenceClassification", "bert.", "bert.pooler.dense.", "classifier."),
}
"""By ``model_type``."""

_OF_OTHERS = ("torch_dtype", "dtype", "_name_or_path")
"""What a configuration says of weights that are not those written here."""


def matches(folder: Path) -> bool:
    """Whether a folder holds a classification model."""
    path = folder / plain.CONFIG_FILE
    return path.is_file() and _is_classifier(plain.read_json(path))


def read_classifier(folder: Path) -> Checkpoint:
    """The model as an encoder whose dense vector is its logit.

    Raises:
        ModelError: it is no cross-encoder with one output, or of an architecture that is not known.
        CorruptModelError: a file is damaged, or lacks the layers.
    """
    checkpoint = plain.read(folder)
    config, kind = checkpoint.config, str(checkpoint.config.get("model_type"))
    if not _is_classifier(config):
        raise ModelError(f"{folder} is no cross-encoder: its architecture is {config.get('architectures')}")
    if kind not in ARCHITECTURES:
        raise ModelError(f"{folder} is a {kind!r}: cross-encoders may be {', '.join(ARCHITECTURES)}")
    names = ARCHITECTURES[kind]
    weights = read_weights(folder)
    inner, last = (read_linear(weights, prefix) for prefix in (names.inner, names.last))
    if inner is None or last is None:
        raise CorruptModelError(f"{folder} lacks {names.inner} or {names.last}: fetch the model again")
    if last.weight.ndim == 2 and last.width != 1:
        raise ModelError(f"{folder} gives {last.width} numbers for a pair, a reranker gives one: take another model")
    inner.check(f"{folder}: {names.inner}", checkpoint.hidden_size)
    last.check(f"{folder}: {names.last}", inner.width, outputs=1, source="a layer")
    return as_classifier(checkpoint, inner, last)


def as_classifier(checkpoint: Checkpoint, inner: Linear, last: Linear) -> Checkpoint:
    """An encoder's backbone with a classification head: its dense vector is the logit.

    Args:
        checkpoint: the encoder; its own heads, and what it does to texts, are left behind.
        inner: (h, d), with tanh.
        last: (1, h).
    """
    return replace(
        checkpoint,
        layout="classifier",
        pooling="cls",
        normalize=False,
        dense_modules=(DenseModule(inner, "tanh"), DenseModule(last)),
        sparse=None,
        multi=None,
        query_prompt="",
        document_prompt="",
        lowercase=False,
        settings={},
        separator=separator_of(replace(checkpoint, lowercase=False)),
    )


def write_classifier(checkpoint: Checkpoint, backbone: Mapping[str, FloatArray], folder: Path) -> None:
    """Write a cross-encoder as transformers saves it, for `read_classifier` and for all who know such folders.

    Args:
        checkpoint: with its head, and the folder of its tokenizer.
        backbone: weights by their stock names.
        folder: is made.
    """
    names = ARCHITECTURES[str(checkpoint.config["model_type"])]
    inner, last = (module.linear for module in checkpoint.dense_modules)
    head = {f"{names.inner}weight": inner.weight, f"{names.inner}bias": inner.bias,
            f"{names.last}weight": last.weight, f"{names.last}bias": last.bias}  # fmt: skip
    tensors = {f"{names.backbone}{name}": tensor for name, tensor in backbone.items()}
    config = {name: value for name, value in checkpoint.config.items() if name not in _OF_OTHERS}
    labels = {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}
    folder.mkdir()
    write_json(folder / plain.CONFIG_FILE, config | {"architectures": [names.name]} | labels)
    write_tensors(folder / WEIGHTS_FILE, tensors | {k: v for k, v in head.items() if v is not None}, {"format": "pt"})
    copy_kept_files(checkpoint.folder, folder)


def _is_classifier(config: Mapping[str, Any]) -> bool:
    names = config.get("architectures")
    return isinstance(names, list) and any(str(name).endswith("ForSequenceClassification") for name in names)


def separator_of(checkpoint: Checkpoint) -> int | None:
    """The token that ends the first of two texts, for a model that embeds which of both a token is in.

    Such a model has several types of tokens, and a tokenizer that tells them apart: BERT with the tokenizer of
    XLM-RoBERTa has the first alone, and was trained with one type.
    """
    if checkpoint.config.get("type_vocab_size", 1) == 1:
        return None
    from trivec.encode.tokenizer import TextTokenizer

    tokenizer = TextTokenizer.of(checkpoint)
    return tokenizer.pair_template[1][0] if tokenizer.types_two_texts else None
