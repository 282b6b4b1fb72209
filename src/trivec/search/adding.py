"""Adding documents: streamed, in bounded memory, skipping what has not changed, safe to interrupt.

A store may write a large window in several steps, so the first passage of each document, which carries the hash
that says "unchanged", is written after all others: an interrupted document is taken up again by the next run. Only
when its new version has fewer passages than the old one is there something to remove afterwards; that is noted in
``pending.json`` first, and the next opening finishes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from trivec.encode.encoder import Encoder
from trivec.errors import InputError
from trivec.index import Store
from trivec.progress import Progress
from trivec.search.passages import PassageSplitter
from trivec.tensorfile import write_json
from trivec.types import Document, Passage, passage_id

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


def add_documents(
    store: Store,
    encoder: Encoder,
    splitter: PassageSplitter,
    folder: Path | None,
    documents: Iterable[Document],
    progress: bool,
) -> AddReport:
    """Cut, encode and store documents, some hundreds at a time."""
    report = AddReport()
    with Progress("indexing", "documents", progress) as bar:
        for window in _windows(documents):
            report += _add_window(store, encoder, splitter, folder, window)
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


def _add_window(
    store: Store, encoder: Encoder, splitter: PassageSplitter, folder: Path | None, window: list[Document]
) -> AddReport:
    latest = {document.id: document for document in window}
    stored = {p.document_id: p for p in store.fetch([passage_id(name, 0) for name in latest]) if p is not None}
    fresh: list[Passage] = []
    leftovers: list[str] = []
    added = updated = 0
    for name, document in latest.items():
        passages = splitter.split(document)
        before = stored.get(name)
        if before is not None and before.content_hash == passages[0].content_hash and before.count == len(passages):
            continue
        fresh += passages
        added, updated = added + (before is None), updated + (before is not None)
        if before is not None:
            leftovers += [passage_id(name, number) for number in range(len(passages), before.count)]
    if leftovers and folder is not None:
        write_json(folder / PENDING, {"delete": leftovers})
    if fresh:
        fresh.sort(key=lambda passage: passage.number == 0)
        store.upsert(fresh, encoder.encode_documents([splitter.content(passage) for passage in fresh]))
    _delete_leftovers(store, folder, leftovers)
    return AddReport(added, updated, len(window) - added - updated, len(fresh))


def finish_interrupted(store: Store, folder: Path | None) -> None:
    """Do what an interrupted `add_documents` had left to do."""
    path = None if folder is None else folder / PENDING
    if path is None or not path.is_file():
        return
    names = json.loads(path.read_text(encoding="utf-8"))["delete"]
    passages = zip(names, store.fetch(names), strict=True)
    stale = [name for name, passage in passages if passage is not None and _is_stale(store, passage)]
    _delete_leftovers(store, folder, stale)
    path.unlink(missing_ok=True)


def _is_stale(store: Store, passage: Passage) -> bool:
    """Whether the document's first passage belongs to a version that no longer has this one."""
    (first,) = store.fetch([passage_id(passage.document_id, 0)])
    return first is None or first.content_hash != passage.content_hash


def _delete_leftovers(store: Store, folder: Path | None, leftovers: list[str]) -> None:
    if leftovers:
        store.delete(leftovers)
        if folder is not None:
            (folder / PENDING).unlink(missing_ok=True)
