"""A service on tiny models, its app, and a client for it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")

from fastapi import FastAPI
from fastapi.testclient import TestClient
from processes import Process
from serving import DOCUMENTS, MakeApp

import trivec
from trivec import Document
from trivec.serve.app import make_app
from trivec.serve.keys import ApiKeys
from trivec.serve.libraries import Libraries, ServedLibrary
from trivec.serve.metrics import Metrics
from trivec.serve.models import Models
from trivec.serve.options import ServeOptions
from trivec.serve.service import Service

import tiny_models


@pytest.fixture(scope="session")
def encoder(load_tiny: Callable[..., trivec.Encoder]) -> trivec.Encoder:
    return load_tiny("m3")


@pytest.fixture(scope="session")
def reranker(tmp_path_factory: pytest.TempPathFactory) -> trivec.Reranker:
    folder = tiny_models.write_tiny_reranker(tmp_path_factory.mktemp("rerankers") / "tiny-reranker", "xlm-roberta")
    return trivec.load_reranker(folder, threads=1)


@pytest.fixture
def library(encoder: trivec.Encoder, tmp_path: Path) -> Iterator[trivec.Collection]:
    """A library of `DOCUMENTS`. The service closes it."""
    opened = trivec.open(tmp_path / "library", model=encoder)
    opened.add(DOCUMENTS)
    yield opened


@pytest.fixture
def make(encoder: trivec.Encoder, reranker: trivec.Reranker, library: trivec.Collection) -> MakeApp:
    """Makes an app of the tiny encoder, the tiny reranker and the library, with options."""

    def build(keys: ApiKeys | None = None, **options: Any) -> FastAPI:
        chosen = ServeOptions(**options)
        models, metrics, shelf = Models(), Metrics(), Libraries()
        models.add_encoder(encoder)
        models.add_reranker(reranker)
        shelf.add(ServedLibrary("library", library, metrics, chosen.read_only))
        return make_app(Service(models, shelf, metrics, chosen), keys)

    return build


@pytest.fixture
def client(make: MakeApp) -> Iterator[TestClient]:
    with TestClient(make()) as running:
        yield running


@pytest.fixture
def folder(tiny: Callable[[str], Path], tmp_path: Path) -> Path:
    with trivec.open(tmp_path / "library", model=tiny("m3")) as library:
        library.add([Document("first", "water and night")])
    return tmp_path / "library"


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def begin(*words: object, **variables: str) -> Process:
        started.append(Process(folder, *words, **variables))
        return started[-1]

    yield begin
    for one in started:
        if one.process.poll() is None:
            one.end(signal.SIGKILL)
