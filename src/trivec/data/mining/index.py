"""The vectors of a catalogue's texts, in a native store, made window by window so that a killed run loses one.

texts.sqlite    the catalogue
store/          one passage a text, named by its number; passages have no text of their own
index.json      what it was made of, written when the catalogue is whole
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trivec.data.mining.catalogue import TextCatalogue
from trivec.data.mining.inputs import Inputs
from trivec.encode.encoder import Encoder
from trivec.errors import InputError
from trivec.index import NativeOptions, NativeStore
from trivec.index.lock import FolderLock
from trivec.index.native.dense import DenseOptions
from trivec.progress import Progress
from trivec.tensorfile import write_json
from trivec.types import Head, Passage, passage_id

FORMAT_VERSION = 1
OUTSIDE = "outside"
"""The field of metadata that positives have which are no candidates."""

_FILE, _TEXTS, _STORE, _NEW_STORE = "index.json", "texts.sqlite", "store", "store.new"
_WINDOW = 512
_DIGITS = 10
_NEVER = 1 << 40


@dataclass(frozen=True)
class IndexPlan:
    """What an index is made of and how. Indexes of equal plans are the same."""

    inputs: str
    """`Inputs.digest`."""
    model: str
    """The digest of the model's fingerprint."""
    heads: tuple[Head, ...]
    max_length: int | None
    graph_from: int | None

    def content(self) -> dict[str, Any]:
        """As it stands in ``index.json``."""
        return {"format": FORMAT_VERSION, **vars(self), "heads": list(self.heads)}


@dataclass(frozen=True)
class MiningIndex:
    """Texts, and their vectors in the same order."""

    catalogue: TextCatalogue
    store: NativeStore

    @classmethod
    def prepare(
        cls, folder: Path, plan: IndexPlan, inputs: Inputs, encoder: Encoder, progress: bool = False, keep: bool = False
    ) -> MiningIndex:
        """The index in a folder: the one that is there if it has the same plan, going on where it was interrupted.

        Args:
            folder: made if it is not there.
            plan: of the index.
            inputs: read if there is nothing yet.
            encoder: the model of the plan.
            progress: draw a bar.
            keep: refuse to replace an index of another plan.

        Raises:
            InputError: the folder holds something else, or an index of another plan that is to be kept.
            LibraryBusyError: another process is making the index.
        """
        folder.mkdir(parents=True, exist_ok=True)
        if (index := cls._finished(folder, plan)) is not None:
            return index
        lock = FolderLock(folder)
        try:
            _clear_if_other(folder, plan, keep)
            if not (folder / _FILE).is_file():
                _collect(folder, inputs)
                write_json(folder / _FILE, plan.content())
            catalogue = TextCatalogue.open(folder / _TEXTS)
            _encode(folder / _STORE, catalogue, plan, encoder, progress)
        finally:
            lock.release()
        return cls(catalogue, NativeStore.open(folder / _STORE))

    @classmethod
    def _finished(cls, folder: Path, plan: IndexPlan) -> MiningIndex | None:
        """The index if it is there with all its vectors; needs no lock, so shards can use one index at a time."""
        if _plan_in(folder) != plan.content() or not (folder / _STORE / "catalog.sqlite").is_file():
            return None
        index = cls(TextCatalogue.open(folder / _TEXTS), NativeStore.open(folder / _STORE))
        if index.store.stats().passages == len(index.catalogue):
            return index
        index.close()
        return None

    def close(self) -> None:
        """Let go of the files."""
        self.store.close()
        self.catalogue.close()


def number_of(name: str) -> int:
    """The number of a text by the id of its passage."""
    return int(name[:_DIGITS])


def names_of(numbers: Sequence[int]) -> list[str]:
    """Ids of the passages of texts."""
    return [passage_id(_document(number), 0) for number in numbers]


def _document(number: int) -> str:
    return f"{number:0{_DIGITS}d}"


def _clear_if_other(folder: Path, plan: IndexPlan, keep: bool) -> None:
    """Empty a folder that holds no index of this plan.

    Raises:
        InputError: it must be kept.
    """
    known = {_FILE, _TEXTS, f"{_TEXTS}-journal", _STORE, _NEW_STORE, "lock"}
    names = sorted(item.name for item in folder.iterdir())
    strange = [name for name in names if name not in known and not name.startswith(f".{_FILE}.")]
    if strange:
        raise InputError(f"{folder} holds {strange[0]!r}, which is no part of an index: choose another folder")
    found, wanted = _plan_in(folder), plan.content()
    if found is not None:
        if found == wanted:
            return
        if keep:
            changed = [name for name in wanted if wanted[name] != found.get(name)]
            raise InputError(
                f"{folder} holds an index made in another way (it differs in {', '.join(changed)}): choose another "
                "folder, or remove this one"
            )
    (folder / _FILE).unlink(missing_ok=True)
    shutil.rmtree(folder / _STORE, ignore_errors=True)


def _plan_in(folder: Path) -> dict[str, Any] | None:
    """What the index in a folder was made of; None if there is none."""
    path = folder / _FILE
    found: dict[str, Any] | None = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    return found


def _collect(folder: Path, inputs: Inputs) -> None:
    catalogue = TextCatalogue.create(folder / _TEXTS)
    try:
        inputs.fill(catalogue)
    finally:
        catalogue.close()
    with (folder / _TEXTS).open("rb+") as file:
        os.fsync(file.fileno())


def _encode(folder: Path, catalogue: TextCatalogue, plan: IndexPlan, encoder: Encoder, progress: bool) -> None:
    """Encode the windows that the store does not hold yet. A window is one atomic write, so it is there or not."""
    if not folder.exists():
        _create_store(folder, plan)
    store = NativeStore.open(folder)
    try:
        done = store.stats().passages
        with Progress("encoding", "texts", progress, len(catalogue)) as bar:
            bar.update(done)
            for start in range(done, len(catalogue), _WINDOW):
                texts = catalogue.stretch(start, start + _WINDOW)
                vectors = encoder.encode_documents(texts, plan.heads, plan.max_length)
                store.upsert(_passages(catalogue, start, len(texts)), vectors)
                bar.update(len(texts))
        if done < len(catalogue):
            store.optimize()
    finally:
        store.close()


def _create_store(folder: Path, plan: IndexPlan) -> None:
    """Make an empty store, whole or not at all."""
    dense = DenseOptions("float32", graph_from=plan.graph_from or _NEVER, lists_from=_NEVER)
    new = folder.with_name(_NEW_STORE)
    shutil.rmtree(new, ignore_errors=True)
    NativeStore.create(new, options=NativeOptions(dense=dense)).close()
    new.rename(folder)


def _passages(catalogue: TextCatalogue, start: int, count: int) -> list[Passage]:
    return [
        Passage(_document(number), "", metadata={} if number < catalogue.candidates else {OUTSIDE: True})
        for number in range(start, start + count)
    ]
