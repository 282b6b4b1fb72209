"""What happened while documents were read: counts, and the first few of everything that went wrong."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

LISTED = 10
"""How many single problems of a kind are kept in words; beyond that they are only counted."""


@dataclass
class ReadReport:
    """Filled in while the documents are taken; complete when the last one was.

    Numbers count everything; ``problems`` and ``notes`` hold the words of the first `LISTED` only.
    """

    documents: int = 0
    """Documents given out."""

    skipped: int = 0
    """Rows and files skipped because they could not be read (only with ``skip_bad``)."""

    blank: int = 0
    """Documents skipped because both title and text are empty."""

    noted: int = 0
    """Documents given out or left blank with something to know about them."""

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    first_blank: str = ""
    other_files: Counter[str] = field(default_factory=Counter)
    """Files of a folder that are of no known kind, by suffix."""

    dropped_fields: Counter[str] = field(default_factory=Counter)
    """Metadata fields left out because their value is neither a scalar nor a short list of them."""

    unseen_fields: tuple[str, ...] = ()
    """Fields named in the options that no row has."""

    def skip(self, problem: str) -> None:
        """Count a row or file that could not be read."""
        self.skipped += 1
        if len(self.problems) < LISTED:
            self.problems.append(problem)

    def note(self, message: str) -> None:
        """Count something worth knowing about a document that is not an error."""
        self.noted += 1
        if len(self.notes) < LISTED:
            self.notes.append(message)

    def skip_blank(self, place: str) -> None:
        """Count a document without title and text."""
        self.blank += 1
        self.first_blank = self.first_blank or place

    @property
    def warnings(self) -> list[str]:
        """Everything worth telling, one line each; empty if all went well."""
        lines = []
        if self.skipped:
            lines.append(f"{self.skipped:,} bad rows or files skipped, the first of them:")
            lines += [f"  {problem}" for problem in self.problems]
        if self.blank:
            lines.append(f"{self.blank:,} documents without text skipped, the first at {self.first_blank}")
        lines += self.notes
        if self.noted > len(self.notes):
            lines.append(f"... and {self.noted - len(self.notes):,} more notes like these")
        if self.other_files:
            lines.append(f"{self.other_files.total():,} files of other types left out: {describe(self.other_files)}")
        if self.dropped_fields:
            fields = describe(self.dropped_fields)
            lines.append(f"metadata left out because it is nested, binary or a long list: {fields}")
        if self.unseen_fields:
            lines.append(f"no row has the field {', '.join(map(repr, self.unseen_fields))}: is the name right?")
        return lines


def describe(counts: Counter[str]) -> str:
    """The largest counts in words: ``.png 12, .docx 3``."""
    largest = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:LISTED]
    return ", ".join(f"{name} {count:,}" for name, count in largest)
