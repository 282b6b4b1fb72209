"""The kinds of store that a library can have, by the name in its manifest."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from trivec.errors import InputError
from trivec.index import Store

if TYPE_CHECKING:
    from trivec.index.native.settings import FirstStage

KINDS = ("native", "embedded")
DEFAULT_KIND = "native"


def create_store(kind: str, folder: Path, multi_first_stage: FirstStage | None = None) -> Store:
    """Make a store in a new folder.

    Raises:
        InputError: there is no such kind, or it has no such first stage.
    """
    if kind == "native":
        from trivec.index import NativeOptions, NativeStore

        return NativeStore.create(folder, options=NativeOptions(multi_first_stage=multi_first_stage or "exact"))
    if multi_first_stage not in (None, "exact"):
        raise InputError(f"the store {kind!r} has no first stage {multi_first_stage!r}: use the store 'native'")
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


def check_first_stage(store: Store, multi_first_stage: FirstStage | None) -> None:
    """Refuse another first stage than a store has.

    Raises:
        InputError: it has another.
    """
    present = getattr(getattr(store, "options", None), "multi_first_stage", "exact")
    if multi_first_stage not in (None, present):
        raise InputError(f"the library has the first stage {present!r}, not {multi_first_stage!r}: make a new one")


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
