"""`open_collection`: from a path to a library, an existing one or a new one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from trivec.encode.encoder import Encoder
from trivec.encode.loading import load
from trivec.errors import InputError, LibraryError
from trivec.index import MemoryStore
from trivec.search.collection import IN_MEMORY, Collection
from trivec.search.long_documents import LongDocuments
from trivec.search.manifest import FILE, Manifest
from trivec.search.options import SearchOptions
from trivec.search.scratch import can_be_filled, filling, forget_mark
from trivec.search.stores import DEFAULT_KIND, check_first_stage, create_store, open_store

if TYPE_CHECKING:
    from trivec.index.native.settings import FirstStage


def open_collection(
    path: str | Path,
    model: str | Path | Encoder | None = None,
    create: bool = True,
    store: str | None = None,
    long_documents: LongDocuments | None = None,
    multi_first_stage: FirstStage | None = None,
) -> Collection:
    """Open a library, or make one.

    Args:
        path: its folder, or ``":memory:"`` for one that is gone when the process ends.
        model: a name, a folder or an `Encoder`. An existing library knows its own; if one is given it must be the
            same. A new one takes ``m3-small`` by default.
        create: make the library if there is none.
        store: kind of a new library's store, a name of `trivec.search.stores.KINDS`.
        long_documents: what becomes of long documents in a new library; None makes passages of the model's window.
        multi_first_stage: how a new library is searched by multi-vectors alone: ``exact`` by all of them,
            ``fixed-encoding`` by those of the passages that encodings of one vector each propose, which is faster in
            large libraries, takes about 5 KB more a passage, and can miss some. None is ``exact``.

    Raises:
        InputError: there is no such kind of store, or the library has another, takes long documents in another way,
            or has another first stage.
        LibraryError: there is none and ``create`` is False, or the folder holds something else.
        LibraryMismatchError: it was made by another model, or by a newer trivec.
        LibraryBusyError: another process has it open.
    """
    if str(path) == IN_MEMORY:
        encoder = _encoder(model)
        check_first_stage(MemoryStore(), multi_first_stage)
        return Collection(None, MemoryStore(), _new_manifest(encoder, "memory", long_documents), encoder)
    folder = Path(path).expanduser()
    if (folder / FILE).is_file():
        library = _open_existing(folder, model, store, long_documents)
        try:
            check_first_stage(library.store, multi_first_stage)
        except InputError:
            library.close()
            raise
        return library
    if not create:
        Manifest.read(folder)
    if not can_be_filled(folder):
        raise LibraryError(f"{folder} exists and is no library: choose another place, or remove it")
    return _create(folder, _encoder(model), store or DEFAULT_KIND, long_documents, multi_first_stage)


def _open_existing(
    folder: Path, model: str | Path | Encoder | None, store: str | None, long_documents: LongDocuments | None
) -> Collection:
    manifest = Manifest.read(folder)
    forget_mark(folder)
    if store not in (None, manifest.store):
        raise InputError(f"{folder} has the store {manifest.store!r}, not {store!r}: make a new library for it")
    if long_documents is not None:
        LongDocuments.from_settings(manifest.long_documents).check_same(long_documents, folder)
    encoder = None
    if model is not None:
        encoder = _encoder(model)
        manifest.check_model(encoder.fingerprint, folder)
    return Collection(folder, open_store(manifest.store, folder / manifest.folder), manifest, encoder)


def _create(
    folder: Path,
    encoder: Encoder,
    kind: str,
    long_documents: LongDocuments | None,
    multi_first_stage: FirstStage | None,
) -> Collection:
    manifest = _new_manifest(encoder, kind, long_documents)
    try:
        with filling(folder):
            store = create_store(kind, folder / manifest.folder, multi_first_stage)
            manifest.write(folder)
    except OSError as error:
        raise LibraryError(f"a library cannot be made at {folder} ({error.strerror}): choose another place") from error
    return Collection(folder, store, manifest, encoder)


def _new_manifest(encoder: Encoder, store: str, long_documents: LongDocuments | None) -> Manifest:
    checkpoint = encoder.checkpoint
    long_documents = long_documents or LongDocuments()
    long_documents.check_model(encoder)
    settings = SearchOptions.suited_to(encoder.heads, checkpoint.settings).settings()
    model = checkpoint.loaded_by or {"model": str(checkpoint.folder.resolve())}
    return Manifest(dict(model), encoder.fingerprint, store, long_documents=long_documents.settings(), search=settings)


def _encoder(model: str | Path | Encoder | None) -> Encoder:
    if isinstance(model, Encoder):
        return model
    return load() if model is None else load(model)
