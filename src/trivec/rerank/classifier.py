"""Folders of cross-encoders, as transformers and sentence-transformers save them: a classification model of one class.

XLM-RoBERTa and RoBERTa have ``classifier.dense``, tanh and ``classifier.out_proj`` on the first token's state; BERT has
its pooler, which is the same with tanh, and ``classifier``. Published so: bge-reranker-base, -large and -v2-m3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from trivec.encode.checkpoints import plain
from trivec.encode.checkpoints.checkpoint import Checkpoint, DenseModule
from trivec.encode.checkpoints.weights import read_linear, read_weights
from trivec.errors import CorruptModelError, ModelError

_LAYERS: Mapping[str, tuple[str, str]] = {
    "xlm-roberta": ("classifier.dense.", "classifier.out_proj."),
    "roberta": ("classifier.dense.", "classifier.out_proj."),
    "bert": ("bert.pooler.dense.", "classifier."),
}
"""By architecture: the layer with tanh, and the last one."""


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
    if kind not in _LAYERS:
        raise ModelError(f"{folder} is a {kind!r}: cross-encoders may be {', '.join(_LAYERS)}")
    weights = read_weights(folder)
    inner, last = (read_linear(weights, prefix) for prefix in _LAYERS[kind])
    if inner is None or last is None:
        raise CorruptModelError(f"{folder} lacks {' or '.join(_LAYERS[kind])}: fetch the model again")
    if last.weight.ndim == 2 and last.width != 1:
        raise ModelError(f"{folder} gives {last.width} numbers for a pair, a reranker gives one: take another model")
    inner.check(f"{folder}: {_LAYERS[kind][0]}", checkpoint.hidden_size)
    last.check(f"{folder}: {_LAYERS[kind][1]}", inner.width, outputs=1, source="a layer")
    return replace(
        checkpoint,
        layout="classifier",
        pooling="cls",
        normalize=False,
        dense_modules=(DenseModule(inner, "tanh"), DenseModule(last)),
        separator=_separator(folder, config),
    )


def _is_classifier(config: Mapping[str, Any]) -> bool:
    names = config.get("architectures")
    return isinstance(names, list) and any(str(name).endswith("ForSequenceClassification") for name in names)


def _separator(folder: Path, config: Mapping[str, Any]) -> int | None:
    """The token that ends the first text, for a model that has an embedding for each of two texts."""
    if config.get("type_vocab_size", 1) == 1:
        return None
    from trivec.encode.tokenizer import TextTokenizer

    return TextTokenizer.from_file(folder / "tokenizer.json").pair_template[1][0]
