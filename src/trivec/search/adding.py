"""Adding documents: streamed, in bounded memory, skipping what has not changed, safe to interrupt.

A window is one atomic write where the store can do that. A store that cannot may write it in several steps. The first
passage of a document carries the hash that says "unchanged", so it is written after the document's others: an
interrupted document is taken up again by the next run. Until then, passages of two versions may stand side by side.
Those that would have to go are named in ``pending.json`` before the first step: leftovers of a longer old version, and
what was written of a new one whose first passage never came. The next opening removes them.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trivec.errors import InputError
from trivec.index import Store
from trivec.progress import Progress
from trivec.search.passages import PassageSplitter
from trivec.tensorfile import write_json
from trivec.types import Document, Passage, passage_id

if TYPE_CHECKING:
    from trivec.search.collection import Collection

PENDING = "pending.json"
_WINDOW_DOCUMENTS = 128
_WINDOW_CHARACTERS = 250_000
"""A window is what is lost if the process is killed, so it is some seconds of work."""


@dataclass(frozen=True)
class AddReport:
    """What `Collection.add` did, in documents; ``passages`` counts those encoded."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    passages: int = 0

    def __add__(self, other: AddReport) -> AddReport:
        return AddReport(
            self.added + other.added,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
            self.passages + other.passages,
        )


def add_documents(library: Collection, documents: Iterable[Document], progress: bool) -> AddReport:
    """Cut, encode and store documents, some hundreds at a time."""
    finish_interrupted(library.store, library.folder)
    report = AddReport()
    with Progress("indexing", "documents", progress) as bar:
        for window in _windows(documents):
            report += _add_window(library, window)
            bar.update(len(window))
    return report


def _windows(documents: Iterable[Document]) -> Iterator[list[Document]]:
    """Documents by the hundred. If their source fails, those that it gave before are yielded first."""
    window: list[Document] = []
    characters = 0
    try:
        for document in documents:
            window.append(_checked(document))
            characters += len(document.text)
            if len(window) >= _WINDOW_DOCUMENTS or characters >= _WINDOW_CHARACTERS:
                yield window
                window, characters = [], 0
    except Exception:
        if window:
            yield window
        raise
    if window:
        yield window


def _checked(document: Document) -> Document:
    if not isinstance(document, Document):
        raise InputError(f"only trivec.Document can be added, got {type(document).__name__} {document!r:.60}")
    if not document.id:
        raise InputError(f"a document has no id (text {document.text!r:.60}): give each one its own")
    return document


@dataclass(frozen=True)
class _Changes:
    """What a window of documents changes: passages to write, and ids of passages that go."""

    fresh: list[Passage]
    leftovers: list[str]
    report: AddReport

    @property
    def doubtful(self) -> list[str]:
        """Ids that would be wrong if only some of the steps were done."""
        return [*self.leftovers, *(passage.id for passage in self.fresh if passage.number)]


def _add_window(library: Collection, window: list[Document]) -> AddReport:
    changes = _compare(library.store, library.splitter, window)
    if changes.fresh:
        vectors = library.compression.documents(library.splitter.encode(library.encoder, changes.fresh))
        with _announced(library, changes.doubtful):
            library.store.upsert(changes.fresh, vectors, remove=changes.leftovers)
    return changes.report


@contextlib.contextmanager
def _announced(library: Collection, doubtful: list[str]) -> Iterator[None]:
    """Names what a write puts at risk while it lasts, for a store whose writes may be cut in two."""
    if library.folder is None or not doubtful or library.store.capabilities.atomic:
        yield
        return
    write_json(library.folder / PENDING, {"doubtful": doubtful})
    yield
    (library.folder / PENDING).unlink()


def _compare(store: Store, splitter: PassageSplitter, window: list[Document]) -> _Changes:
    """Cut the documents, and set them against what is stored; of documents with one id the last counts."""
    latest = {document.id: document for document in window}
    stored = {p.document_id: p for p in store.fetch([passage_id(name, 0) for name in latest]) if p is not None}
    fresh: list[Passage] = []
    leftovers: list[str] = []
    updated = 0
    for name, document in latest.items():
        passages = splitter.split(document)
        before = stored.get(name)
        if before is not None:
            if before.content_hash == passages[0].content_hash and before.count == len(passages):
                continue
            updated += 1
            leftovers += [passage_id(name, number) for number in range(len(passages), before.count)]
        fresh += [*passages[1:], passages[0]]
    added = sum(passage.number == 0 for passage in fresh) - updated
    return _Changes(fresh, leftovers, AddReport(added, updated, len(window) - added - updated, len(fresh)))


def finish_interrupted(store: Store, folder: Path | None) -> None:
    """Do what an interrupted `add_documents` had left to do."""
    path = None if folder is None else folder / PENDING
    if path is None or not path.is_file():
        return
    names = json.loads(path.read_text(encoding="utf-8"))["doubtful"]
    doubtful = [passage for passage in store.fetch(names) if passage is not None]
    firsts = {p.document_id: p for p in store.fetch([passage_id(p.document_id, 0) for p in doubtful]) if p is not None}
    store.delete([passage.id for passage in doubtful if _is_stale(passage, firsts.get(passage.document_id))])
    path.unlink()


def _is_stale(passage: Passage, first: Passage | None) -> bool:
    """Whether the document's first passage is missing, or of another version than this one."""
    return first is None or first.content_hash != passage.content_hash
