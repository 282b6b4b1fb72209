"""What a format reader is given, and what it gives back.

A format reader is a function ``(file, reading) -> Iterator[Found]``. It raises `InputError` when the rest of the
file is lost, and calls ``reading.bad(error)`` and goes on when only one row is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from trivec.errors import InputError
from trivec.search.readers.options import ReadOptions
from trivec.search.readers.report import ReadReport
from trivec.types import Document, MetadataValue


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to read: where it is, and what its documents are named after."""

    path: Path
    name: str
    """Relative POSIX path below the folder that is read; the file's name if it is read alone."""

    unit: str = "line"
    """What the numbers of its documents count: line, item or row."""

    def place(self, number: int) -> str:
        """How errors name a document in this file; 0 is the file as a whole."""
        if number == 0:
            return str(self.path)
        return f"{self.path}:{number}" if self.unit == "line" else f"{self.path}, {self.unit} {number}"

    def facts(self, format_name: str) -> dict[str, MetadataValue]:
        """Metadata of a document that is a whole file."""
        folder = PurePosixPath(self.name).parent.as_posix()
        return {"path": self.name, "folder": "" if folder == "." else folder, "format": format_name}


@dataclass(frozen=True, slots=True)
class Found:
    """A document and where it was found; ``number`` is 0 if it is the whole file."""

    document: Document
    file: SourceFile
    number: int = 0

    @property
    def place(self) -> str:
        """How errors name it."""
        return self.file.place(self.number)


@dataclass
class Reading:
    """One call of `read_documents`: its options, its report, and the rule for bad input."""

    options: ReadOptions
    report: ReadReport
    unseen_fields: set[str] = field(init=False)

    def __post_init__(self) -> None:
        self.unseen_fields = set(self.options.named_fields)

    def bad(self, error: InputError) -> None:
        """Raise the error, or count it if bad input is to be skipped."""
        if not self.options.skip_bad:
            raise error
        self.report.skip(str(error))


FormatReader: TypeAlias = Callable[[SourceFile, Reading], Iterator[Found]]
