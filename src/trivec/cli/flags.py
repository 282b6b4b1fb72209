"""Options that several verbs share, one dataclass a kind."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from cyclopts import Group, Parameter

if TYPE_CHECKING:
    from trivec.search.long_documents import LongDocuments
    from trivec.search.readers import ReadOptions

Several: TypeAlias = Annotated[tuple[str, ...], Parameter(consume_multiple=True)]
"""Words after an option or a verb, as many as there are."""

Precision: TypeAlias = Literal["float32", "int8"]
"""Spelled out, because help must not import `trivec.encode.checkpoints.checkpoint.Precision` and numpy with it."""

_READING = Group("Reading", sort_key=1)
_LONG = Group("Long documents", sort_key=2)
_OUTPUT = Group("Output", sort_key=3)
_TAB = "\\t"


def check_sources(type_: object, sources: list[str]) -> None:
    """Refuse words that look like options; ``-`` alone is standard input.

    Raises:
        ValueError: naming the word.
    """
    for source in sources:
        if source.startswith("-") and source != "-":
            raise ValueError(f'unknown option {source}; a file of that name is "./{source}"')


def check_query(type_: object, query: str) -> None:
    """Refuse a query that looks like a misspelt option.

    Raises:
        ValueError: naming it.
    """
    if re.fullmatch(r"--?[A-Za-z][\w-]*(=.*)?", query):
        raise ValueError(f'unknown option {query}; to search for it, put a blank before it: " {query}"')


SourceList = Annotated[list[str], Parameter(allow_leading_hyphen=True, validator=check_sources)]
Query = Annotated[str, Parameter(allow_leading_hyphen=True, validator=check_query)]


@Parameter(name="*", group=_READING)
@dataclass(frozen=True)
class ReadFlags:
    """How documents are found in files."""

    text_field: Annotated[tuple[str, ...], Parameter(name=["--text-field", "--text-fields"])] = ()
    """Field with the text; give it again to join several. Without it: text,
    contents, content, body or passage."""

    title_field: str | None = None
    """Field with the title. Without it: title."""

    id_field: str | None = None
    """Field with the id. Without it: id, _id, docid or doc_id, else FILE:LINE."""

    encoding: str | None = None
    """Encoding of the files. Without it: UTF-8."""

    delimiter: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None
    r"""Between the cells of .csv files, such as ';' or '\t'. Without it: a comma."""

    suffix: tuple[str, ...] = ()
    """Of a folder, read only files of this type, such as .md; give it again for more."""

    skip_bad: bool = False
    """Skip and count rows and files that cannot be read, instead of stopping."""

    def options(self) -> ReadOptions:
        """For the readers.

        Raises:
            InputError: two of them contradict each other.
        """
        from trivec.search.readers import ReadOptions

        return ReadOptions(
            id_field=self.id_field,
            title_field=self.title_field,
            text_fields=self.text_field,
            encoding=self.encoding,
            skip_bad=self.skip_bad,
            delimiter="\t" if self.delimiter == _TAB else self.delimiter,
            suffixes=self.suffix,
        )


@Parameter(name="*", group=_LONG)
@dataclass(frozen=True)
class LongFlags:
    """What becomes of documents that are longer than the model's window."""

    long_text: Literal["passages", "late-chunking", "windows", "mcls", "cut"] | None = None
    """passages: each encoded by itself; late-chunking: shorter ones, encoded in
    sight of each other; windows: one passage a document; mcls: several CLS
    tokens a passage; cut: the model sees the beginning alone. Without it:
    passages, or what the library has."""

    passage_tokens: int | None = None
    """The most tokens of a passage. Without it: the model's window, or 256 for
    late-chunking."""

    def options(self) -> LongDocuments | None:
        """For a library; None if nothing was said.

        Raises:
            InputError: the options contradict each other.
        """
        from trivec.search.long_documents import LongDocuments

        if self.long_text is None and self.passage_tokens is None:
            return None
        return LongDocuments(self.long_text or "passages", self.passage_tokens)


@Parameter(name="*", group=_OUTPUT)
@dataclass(frozen=True)
class OutputFlags:
    """Where the result goes, and in which form."""

    json: bool = False
    """Print the result as JSON, and nothing else on standard output."""

    output: Annotated[Path | None, Parameter(name=["-o", "--output"], allow_leading_hyphen=True)] = None
    """Write the result as JSON to this file instead."""

    quiet: bool = False
    """Print no progress, notes or summary; errors only."""

    @property
    def as_json(self) -> bool:
        """Whether the result is JSON."""
        return self.json or self.output is not None

    @property
    def progress(self) -> bool:
        """Whether to draw bars."""
        return not self.quiet and sys.stderr.isatty()

    def note(self, message: str) -> None:
        """Tell something on standard error, unless the user wants it quiet."""
        from trivec.cli.failures import say

        if not self.quiet:
            say(message)


DEFAULT_READ = ReadFlags()
DEFAULT_LONG = LongFlags()
DEFAULT_OUTPUT = OutputFlags()
