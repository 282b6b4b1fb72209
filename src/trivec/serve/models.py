"""The models that a server has, by name. Requests choose among them; nothing is loaded for a request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from trivec.encode.checkpoints.checkpoint import Precision
from trivec.encode.encoder import Encoder
from trivec.encode.loading import load
from trivec.rerank.loading import load_reranker
from trivec.rerank.reranker import Reranker
from trivec.serve.failures import NotFound

Model = TypeVar("Model", Encoder, Reranker)


class Models:
    """Encoders and rerankers.

    Attributes:
        encoders: by name; the first is meant where a request names none.
        rerankers: by name, likewise.
    """

    def __init__(self) -> None:
        self.encoders: dict[str, Encoder] = {}
        self.rerankers: dict[str, Reranker] = {}
        self._loaded: dict[str, Encoder] = {}
        self._aliases: dict[str, str] = {}

    def add_encoder(self, encoder: Encoder) -> Encoder:
        """Serve an encoder; one with the same vectors that is there already is given back in its place."""
        for known in self.encoders.values():
            if known.fingerprint.digest == encoder.fingerprint.digest:
                return known
        name = encoder.name
        if name in self.encoders:
            name = f"{name}@{encoder.fingerprint.digest[:8]}"
        self.encoders[name] = encoder
        return encoder

    def load_encoder(self, how: Mapping[str, Any]) -> Encoder:
        """Serve what `trivec.load` gives for these arguments. Errors as there."""
        key = json.dumps(dict(how), sort_keys=True, default=str)
        if key not in self._loaded:
            self._loaded[key] = self.add_encoder(load(**how))
        return self._loaded[key]

    def load_reranker(self, name: str, precision: Precision | None = None) -> Reranker:
        """Serve a reranker; a folder goes by the model's name. Errors as in `trivec.load_reranker`."""
        if name not in self._aliases:
            reranker = load_reranker(name, precision=precision)
            self._aliases[name] = self.add_reranker(reranker, None if Path(name).expanduser().is_dir() else name)
        return self.rerankers[self._aliases[name]]

    def add_reranker(self, reranker: Reranker, name: str | None = None) -> str:
        """Serve a reranker under a name, or its own; the name that it got."""
        name = name or reranker.name
        if self.rerankers.setdefault(name, reranker) is not reranker:
            name = f"{name}@{reranker.identity[:8]}"
            self.rerankers[name] = reranker
        return name

    def name_of(self, encoder: Encoder) -> str:
        """The name under which an encoder is served."""
        return next(name for name, known in self.encoders.items() if known is encoder)

    def encoder(self, name: str | None) -> Encoder:
        """The encoder of this name; None is the first.

        Raises:
            NotFound: there is none.
        """
        return _chosen(self.encoders, name, "encoder")

    def reranker(self, name: str | None) -> Reranker:
        """The reranker of this name, or of what it was loaded by; None is the first.

        Raises:
            NotFound: there is none.
        """
        return _chosen(self.rerankers, self._aliases.get(name, name) if name else name, "reranker")


def _chosen(models: Mapping[str, Model], name: str | None, kind: str) -> Model:
    if name is None and models:
        return next(iter(models.values()))
    if name is None or name not in models:
        asked = f"{kind} {name!r:.80}" if name is not None else kind
        offer = f"choose one of {', '.join(models)}" if models else f"start the server with one (--{_OPTIONS[kind]})"
        raise NotFound(f"this server has no {asked}: {offer}", code="model_not_found", param="model")
    return models[name]


_OPTIONS = {"encoder": "model", "reranker": "reranker"}
