"""What mteb records of a model: its ``ModelMeta``, which names the folder of results and stands beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from trivec.encode import m3_small
from trivec.encode.encoder import Encoder
from trivec.errors import require

if TYPE_CHECKING:
    from mteb.models import ModelMeta

_BACKBONE = "intfloat/multilingual-e5-small"
_FRAMEWORKS = {"onnx": "ONNX", "torch": "PyTorch"}


def describe(encoder: Encoder, kind: str, similarity: str, settings: Mapping[str, str] | None = None) -> ModelMeta:
    """The record of a model: what mteb knows of it already, and what the loaded model says of itself.

    The revision is the fingerprint, so results of other weights, prompts or lengths lie in another folder. A model
    that mteb does not know has no languages and no training data there, which means unknown.

    Args:
        encoder: the model.
        kind: ``dense``, ``sparse``, ``late-interaction`` or ``hybrid``.
        similarity: a value of mteb's ``ScoringFunction``.
        settings: what tells this run from others of the same model.
    """
    require("mteb", "mteb", "measuring with mteb")
    import mteb
    from mteb.models import ModelMeta
    from mteb.models.model_meta import ScoringFunction

    known = {meta.name: meta for meta in mteb.get_model_metas()}
    checkpoint = encoder.checkpoint
    described = {
        "loader": None,
        "loader_kwargs": {},
        "name": _name_with_owner(encoder.name),
        "revision": encoder.fingerprint.digest,
        "max_tokens": encoder.max_length,
        "embed_dim": checkpoint.dense_width,
        "framework": [name for runtime, name in _FRAMEWORKS.items() if encoder.runtime.name.startswith(runtime)],
        "similarity_fn_name": ScoringFunction(similarity),
        "use_instructions": bool(checkpoint.query_prompt or checkpoint.document_prompt),
        "model_type": [kind],
        "experiment_kwargs": dict(settings) if settings else None,
        "extra_requirements_groups": None,
    }
    if encoder.name in m3_small.NAMES and _BACKBONE in known:
        described |= {"languages": known[_BACKBONE].languages, "adapted_from": _BACKBONE}
        described |= {"license": "mit", "open_weights": True}
    return known.get(encoder.name, ModelMeta.create_empty()).model_copy(update=described)


def _name_with_owner(name: str) -> str:
    """As mteb wants it."""
    if "/" in name:
        return name
    return f"{'trivec' if name in m3_small.NAMES else 'local'}/{name}"
