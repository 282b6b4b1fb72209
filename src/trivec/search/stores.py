"""The kinds of store that a library can have, by the name in its manifest."""

from __future__ import annotations

import shutil
from pathlib import Path

from trivec.errors import InputError
from trivec.index import Store

KINDS = ("native", "embedded")
DEFAULT_KIND = "native"


def create_store(kind: str, folder: Path) -> Store:
    """Make a store in a new folder.

    Raises:
        InputError: there is no such kind.
    """
    if kind == "native":
        from trivec.index import NativeStore

        return NativeStore.create(folder)
    if kind == "embedded":
        from trivec.index import EmbeddedStore

        return EmbeddedStore.create(folder)
    raise _unknown(kind)


def open_store(kind: str, folder: Path) -> Store:
    """Open the store in a folder.

    Raises:
        InputError: there is no such kind.
    """
    if kind == "native":
        from trivec.index import NativeStore

        return NativeStore.open(folder)
    if kind == "embedded":
        from trivec.index import EmbeddedStore

        return EmbeddedStore.open(folder)
    raise _unknown(kind)


def discard_store(store: Store, folder: Path) -> None:
    """Close a store and remove its folder. What cannot be removed is left for `remove_leftovers`."""
    from trivec.index import NativeStore

    if isinstance(store, NativeStore):
        store.discard()
        return
    store.close()
    shutil.rmtree(folder, ignore_errors=True)


def _unknown(kind: str) -> InputError:
    return InputError(f"there is no store {kind!r}: choose one of {', '.join(KINDS)}")
