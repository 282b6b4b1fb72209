"""What a user names as sources, as one stream of documents: files, folders, ``-``, and other libraries."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

from trivec.errors import InputError
from trivec.search.manifest import FILE, Manifest
from trivec.search.opening import open_collection
from trivec.search.readers import ReadOptions, ReadReport, read_documents
from trivec.types import Document


class Sources:
    """The documents of several sources, one source after the other.

    Sources are checked at once: it is an error if one does not exist. An id must not come from two sources, for
    the second document would silently take the place of the first.

    Args:
        names: paths, or ``-``.
        options: of the readers.
        target: the library that the documents go to; it cannot be a source.
    """

    def __init__(self, names: Sequence[str], options: ReadOptions, target: Path | None = None) -> None:
        self.names = list(names)
        self.reports: list[ReadReport] = []
        self._options = options
        self._streams = [self._open(name, target) for name in self.names]
        self._ahead: list[Document] = []
        self._rest = self._distinct() if len(self._streams) > 1 else self._streams[0]

    def _open(self, name: str, target: Path | None) -> Iterator[Document]:
        report = ReadReport()
        self.reports.append(report)
        if name == "-" or not is_library(Path(name)):
            return read_documents(name, self._options, report)
        folder = Path(name)
        if target is not None and folder.resolve() == target.expanduser().resolve():
            raise InputError(f"{folder} cannot be read into itself: name another folder with --out")
        Manifest.read(folder)
        return _library_documents(folder, report)

    def __iter__(self) -> Iterator[Document]:
        ahead, self._ahead = self._ahead, []
        return itertools.chain(ahead, self._rest)

    def look_ahead(self) -> bool:
        """Read the first document, and keep it for later; whether there is one."""
        self._ahead = list(itertools.islice(self._rest, 1))
        return bool(self._ahead)

    def _distinct(self) -> Iterator[Document]:
        homes: dict[int, int] = {}
        for place, stream in enumerate(self._streams):
            for document in stream:
                home = homes.setdefault(hash(document.id), place)
                if home == place:
                    yield document
                else:
                    self._refuse(document, home, place)

    def _refuse(self, document: Document, home: int, place: int) -> None:
        problem = (
            f"the id {document.id!r:.80} is in {self.names[home]} and in {self.names[place]}: give the folder above "
            "both as one source, or name another field with --id-field"
        )
        if not self._options.skip_bad:
            raise InputError(problem)
        self.reports[place].skip(problem)
        self.reports[place].documents -= 1

    @property
    def warnings(self) -> list[str]:
        """Everything worth telling about the sources, after they were read."""
        many = len(self.names) > 1
        return [
            f"{name}: {line}" if many else line
            for name, report in zip(self.names, self.reports, strict=True)
            for line in report.warnings
        ]

    @property
    def skipped(self) -> int:
        """Rows and files that could not be read, and documents without text."""
        return sum(report.skipped + report.blank for report in self.reports)


def is_library(path: Path) -> bool:
    """Whether a folder holds a library."""
    return (path / FILE).is_file()


def _library_documents(folder: Path, report: ReadReport) -> Iterator[Document]:
    with open_collection(folder, create=False) as library:
        for document in library.documents():
            report.documents += 1
            yield document
