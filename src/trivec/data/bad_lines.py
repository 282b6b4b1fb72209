"""`BadLines`: what to do with lines that cannot be used, and what they were."""

from __future__ import annotations

from dataclasses import dataclass, field

from trivec.search.readers.options import ReadOptions
from trivec.search.readers.reading import Reading
from trivec.search.readers.report import ReadReport


@dataclass
class BadLines:
    """The rule for bad input, and the record of it. Each bad line is named with file and number.

    Args:
        skip: count bad lines and keep the words of the first few, instead of raising `InputError` at the first.
    """

    skip: bool = False
    report: ReadReport = field(default_factory=ReadReport, repr=False)

    @property
    def count(self) -> int:
        """Lines, rows and files that were skipped."""
        return self.report.skipped

    @property
    def messages(self) -> list[str]:
        """What was wrong with the first few of them."""
        return self.report.problems

    @property
    def warnings(self) -> list[str]:
        """Everything worth telling, one line each; empty if nothing was skipped."""
        return self.report.warnings

    def reading(self, encoding: str | None = None) -> Reading:
        """This rule as readers of files take it."""
        return Reading(ReadOptions(encoding=encoding, skip_bad=self.skip), self.report)
