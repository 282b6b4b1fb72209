"""The page itself: its style, tables, and figures with a caption."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from pathlib import Path

from trivec.tensorfile import write_text

COLOURS = 8
_STYLE = """
:root { color-scheme: light dark; --ink: #1f2328; --paper: #ffffff; --line: #d0d7de; --soft: #59636e;
  --heat: 9, 105, 218; --c0: #0969da; --c1: #bc4c00; --c2: #1a7f37; --c3: #8250df; --c4: #cf222e; --c5: #9a6700;
  --c6: #1b7c83; --c7: #bf3989; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --line: #30363d; --soft: #9198a1;
  --heat: 56, 139, 253; --c0: #58a6ff; --c1: #ffa657; --c2: #56d364; --c3: #d2a8ff; --c4: #ff7b72; --c5: #e3b341;
  --c6: #39c5cf; --c7: #ff80c8; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 960px;
  margin: 2em auto; padding: 0 1em; }
svg { width: 100%; max-width: 820px; height: auto; } svg text { font-size: 12px; fill: var(--soft); }
svg text.value { fill: var(--ink); }
.wide { overflow-x: auto; } table { border-collapse: collapse; }
th, td { padding: .25em .6em; border-bottom: 1px solid var(--line); } th { text-align: left; vertical-align: bottom; }
td + td, th + th { text-align: right; font-variant-numeric: tabular-nums; }
figure { margin: 1.5em 0; } figcaption, .soft { color: var(--soft); }
.key { white-space: nowrap; margin-right: 1em; } pre { overflow-x: auto; }
article { border: 1px solid var(--line); border-radius: 6px; padding: .4em 1em; margin: 1em 0; }
blockquote { margin: .4em 0; padding-left: .8em; border-left: 3px solid var(--line); }
"""


def write_page(path: Path, title: str, parts: Sequence[str]) -> None:
    """Write a page, whole or not at all.

    Args:
        path: of the file.
        title: its first heading, and what the browser calls it.
        parts: HTML.
    """
    name = html.escape(title)
    head = '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    head += f'<meta name="viewport" content="width=device-width"><title>{name}</title><style>{_STYLE}</style></head>'
    write_text(path, f"{head}<body><h1>{name}</h1>{''.join(parts)}</body></html>\n")


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], bold: Sequence[Sequence[bool]] = ()) -> str:
    """A table of texts.

    Args:
        columns: its head.
        rows: its cells.
        bold: which cells stand out, row by row.
    """
    if not rows:
        return ""
    head = "".join(f"<th>{breakable(column)}</th>" for column in columns)
    marks = bold or [[False] * len(row) for row in rows]
    body = "".join(
        f"<tr>{''.join(_cell(text, mark) for text, mark in zip(row, row_marks, strict=True))}</tr>"
        for row, row_marks in zip(rows, marks, strict=True)
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(text: str, is_bold: bool) -> str:
    escaped = html.escape(text)
    return f"<td><b>{escaped}</b></td>" if is_bold else f"<td>{escaped}</td>"


def breakable(name: str) -> str:
    """A name, escaped, that may go on in the next line after a sign, such as ``dense+sparse+multi``."""
    return re.sub(r"([+,=])", r"\1<wbr>", html.escape(name))


def figure(title: str, drawing: str, size: tuple[int, int], keys: Sequence[str] = (), caption: str = "") -> str:
    """A drawing with its title, and a key for each colour.

    Args:
        title: above it.
        drawing: elements of SVG.
        size: width and height of the drawing.
        keys: what each colour stands for, in the order of the colours.
        caption: below it, behind the keys.
    """
    shown = "".join(
        f'<span class="key"><span style="color:{colour(number)}">&#9632;</span> {html.escape(name)}</span> '
        for number, name in enumerate(keys)
    )
    svg = f'<svg viewBox="0 0 {size[0]} {size[1]}" role="img" aria-label="{html.escape(title)}">{drawing}</svg>'
    below = f"<figcaption>{shown}{html.escape(caption)}</figcaption>"
    return f"<figure><h2>{html.escape(title)}</h2>{svg}{below}</figure>"


def label(text: str, x: float, y: float, anchor: str = "start", kind: str = "") -> str:
    """A text in a drawing; ``anchor`` says which end of it is at x."""
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{named}>{html.escape(text)}</text>'


def colour(number: int) -> str:
    """The colour of the reader's scheme for the item of this number."""
    return f"var(--c{number % COLOURS})"


class Scale:
    """From values to pixels; a single value lies in the middle."""

    def __init__(self, values: Sequence[float], start: float, stop: float) -> None:
        self._low, self._span = min(values), max(values) - min(values)
        self._start, self._length = start, stop - start

    def __call__(self, value: float) -> float:
        """Where a value lies."""
        return self._start + self._length * ((value - self._low) / self._span if self._span else 0.5)
