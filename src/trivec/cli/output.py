"""Results on standard output: tables and lines for people, JSON for programs.

On a terminal, rich draws; into a pipe or a file go plain aligned columns without colours or wrapping.
"""

from __future__ import annotations

import contextlib
import json
import sys
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TextIO, TypeAlias

from rich.cells import cell_len

from trivec.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from trivec.cli.flags import OutputFlags

Span: TypeAlias = tuple[str, str]
"""A piece of text and a style of rich, such as ``bold`` or ``cyan``; no style is an empty string."""


def emit(flags: OutputFlags, result: object, show: Callable[[], None]) -> None:
    """Give out a verb's result: as JSON if that was asked for, else for people."""
    if flags.as_json:
        with json_stream(flags) as stream:
            stream.write(json_text(result, stream, indent=2))
    else:
        show()


def emit_summary(flags: OutputFlags, result: object, show: Callable[[], None]) -> None:
    """As `emit`, for a result that is only about what was done: nothing if the user wants it quiet."""
    if flags.as_json or not flags.quiet:
        emit(flags, result, show)


@contextlib.contextmanager
def json_stream(flags: OutputFlags) -> Iterator[TextIO]:
    """Where JSON goes: standard output, or the file of ``-o``, which is whole or not there at all."""
    if flags.output is None or str(flags.output) == "-":
        yield sys.stdout
    elif flags.output.exists() and not flags.output.is_file():
        with _open(flags.output) as stream:
            yield stream
    else:
        from trivec.tensorfile import replacing

        with replacing(flags.output) as temporary, _open(temporary) as stream:
            yield stream


def _open(path: Path) -> TextIO:
    if path.is_dir():
        raise InputError(f"{path} is a folder: give -o the name of a file")
    return path.open("w", encoding="utf-8", errors="backslashreplace")


def json_text(value: object, stream: TextIO, indent: int | None = None) -> str:
    """A value as JSON that the stream's encoding can hold, with a newline."""
    can_hold_all = (getattr(stream, "encoding", None) or "utf-8").lower().replace("-", "").startswith("utf")
    return json.dumps(value, ensure_ascii=not can_hold_all, indent=indent, allow_nan=False) + "\n"


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], right: Collection[int] = ()) -> None:
    """A table with a head; the columns numbered in ``right`` are flush right."""
    cells = [[one_line(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _print_rich_table(columns, cells, right)
        return
    widths = [max(map(cell_len, column)) for column in zip(columns, *cells, strict=True)]
    for row in [list(columns), *cells]:
        padded = [
            _pad(cell, width, place in right) for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(padded).rstrip())


def print_facts(facts: Iterable[tuple[str, str]]) -> None:
    """Names and values, one pair a line."""
    pairs = [(name, one_line(value)) for name, value in facts]
    width = max((len(name) for name, _ in pairs), default=0)
    for name, value in pairs:
        print_line([(f"{name:{width}}", "dim"), ("  ", ""), (value, "")])


def print_line(spans: Iterable[Span] = (), indent: int = 0) -> None:
    """A line of styled pieces; on a terminal it wraps between words."""
    pieces = list(spans)
    if not pieces or not sys.stdout.isatty():
        print((" " * indent + "".join(text for text, _ in pieces)).rstrip())
        return
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    Console().print(Padding(Text.assemble(*pieces), (0, 0, 0, indent), expand=False), highlight=False)


def one_line(text: str) -> str:
    """Text without line breaks, and without control characters, which could repaint a terminal."""
    return " ".join("".join(" " if _is_control(letter) else letter for letter in text).split())


def _is_control(letter: str) -> bool:
    return unicodedata.category(letter) in ("Cc", "Zl", "Zp") or letter in "\u202a\u202b\u202d\u202e\u2066\u2067\u2068"


def _print_rich_table(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[int]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for place, name in enumerate(columns):
        table.add_column(name, justify="right" if place in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)


def _pad(cell: str, width: int, right: bool) -> str:
    blanks = " " * (width - cell_len(cell))
    return blanks + cell if right else cell + blanks


def human_bytes(count: int) -> str:
    """A size in the unit that suits it: ``812 kB``."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if size >= 100 or unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
