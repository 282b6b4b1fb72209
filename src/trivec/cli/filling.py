"""Puts the documents of sources into a library and tells about it; shared by ``index`` and ``add``."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

from trivec.cli.flags import OutputFlags
from trivec.cli.output import emit_summary, print_facts
from trivec.cli.sources import Sources
from trivec.errors import TrivecError
from trivec.search.collection import Collection
from trivec.types import Document

_TIDY_FROM_SHARE = 0.1
"""Less than this share of new documents is left to the store's own merging: tidying up rewrites the whole library."""


@dataclass(frozen=True)
class Filling:
    """What was done, as ``--json`` prints it. ``passages`` counts those encoded."""

    library: str
    model: str
    added: int
    updated: int
    unchanged: int
    passages: int
    skipped: int
    warnings: list[str]
    seconds: float


def fill(library: Collection, sources: Sources, flags: OutputFlags) -> Filling:
    """Add all documents, then tidy the library's search structures.

    Raises:
        KeyboardInterrupt: the user stopped it; the message says what the library holds.
        TrivecError: a source or a document cannot be used; what came before it is stored.
    """
    started = time.monotonic()
    try:
        readable = _UntilFailure(sources)
        report = library.add(readable, flags.progress)
        if readable.failure is not None:
            raise readable.failure
        if _TIDY_FROM_SHARE * len(library) <= report.added + report.updated > 0:
            library.optimize()
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"stopped: {_holds(library)}; run the same command again to go on") from None
    except TrivecError:
        if len(library):
            flags.note(f"{_holds(library)}; they stay")
        raise
    return Filling(
        library=str(library.folder),
        model=library.manifest.fingerprint.model,
        added=report.added,
        updated=report.updated,
        unchanged=report.unchanged,
        passages=report.passages,
        skipped=sources.skipped,
        warnings=sources.warnings,
        seconds=round(time.monotonic() - started, 3),
    )


class _UntilFailure:
    """Documents up to an error, which then stands in ``failure``: so what came before it is stored."""

    def __init__(self, documents: Iterable[Document]) -> None:
        self.failure: TrivecError | None = None
        self._documents = documents

    def __iter__(self) -> Iterator[Document]:
        try:
            yield from self._documents
        except TrivecError as error:
            self.failure = error


def tell(filling: Filling, flags: OutputFlags) -> None:
    """Warnings on standard error, the summary on standard output."""
    for line in filling.warnings:
        flags.note(line)
    emit_summary(flags, asdict(filling), lambda: print_facts(_facts(filling)))


def _facts(filling: Filling) -> list[tuple[str, str]]:
    counts = {
        "documents added": filling.added,
        "documents updated": filling.updated,
        "unchanged": filling.unchanged,
        "passages encoded": filling.passages,
        "skipped": filling.skipped,
    }
    facts = [(name, f"{count:,}") for name, count in counts.items()]
    return [*facts, ("seconds", f"{filling.seconds:.1f}"), ("model", filling.model), ("library", filling.library)]


def _holds(library: Collection) -> str:
    return f"library {library.folder} holds {len(library):,} documents"
