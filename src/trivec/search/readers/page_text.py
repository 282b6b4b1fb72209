"""The text of a parsed HTML page, laid out in lines as its blocks are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_LEFT_OUT = re.compile("script|style|noscript|template|nav|svg|iframe|object|canvas|title")
_PARAGRAPH = re.compile("p|h[1-6]|[uod]l|table|blockquote|pre|section|article|main|header|footer|aside|figure|hr")
_LINE = re.compile("div|li|d[td]|tr|address|(fig)?caption|form|fieldset|details|summary|option|body")
_CELL = re.compile("t[dh]")


def page_text(soup: Any) -> str:  # noqa: ANN401
    """The words of the page: a blank line around paragraphs, a line for smaller blocks, a space between cells.

    Walks with a stack of its own: pages nested ten thousand deep exist.
    """
    lines = _Lines()
    open_tags: list[tuple[Any, Iterator[Any]]] = [(soup, iter(soup.children))]
    preformatted = 0
    while open_tags:
        tag, children = open_tags[-1]
        child = next(children, None)
        if child is None:
            open_tags.pop()
            _break_at(tag.name, lines)
            preformatted -= tag.name == "pre"
        elif child.name is None:
            if type(child).__name__ in ("NavigableString", "CData"):
                (lines.add_preformatted if preformatted else lines.add)(str(child))
        elif child.name == "br":
            lines.break_line()
        elif not _LEFT_OUT.fullmatch(child.name):
            _break_at(child.name, lines)
            preformatted += child.name == "pre"
            open_tags.append((child, iter(child.children)))
    return lines.text()


def _break_at(tag: str, lines: _Lines) -> None:
    if _PARAGRAPH.fullmatch(tag):
        lines.end(2)
    elif _LINE.fullmatch(tag):
        lines.end(1)
    elif _CELL.fullmatch(tag):
        lines.add(" ")


class _Lines:
    """Puts words and line ends together without doubling spaces or blank lines."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._pending = 0
        self._space = False

    def add(self, text: str) -> None:
        """Running text: any white space is one space."""
        words = " ".join(text.split())
        if not words:
            self._space = True
            return
        self._separate(leading_space=text[0].isspace())
        self._parts.append(words)
        self._space = text[-1].isspace()

    def add_preformatted(self, text: str) -> None:
        """Text whose spaces and line ends count."""
        body = text.strip("\n")
        self.end(len(text) - len(text.lstrip("\n")))
        if body:
            self._separate(leading_space=False)
            self._parts.append(body)
            self.end(len(text) - len(text.rstrip("\n")))

    def _separate(self, leading_space: bool) -> None:
        """Put the awaited line ends, or a space, behind what is there."""
        if self._parts and self._pending:
            self._parts.append("\n" * self._pending)
        elif self._parts and (self._space or leading_space):
            self._parts.append(" ")
        self._pending = 0
        self._space = False

    def break_line(self) -> None:
        """One more line end; two of them are a blank line."""
        self._pending = min(2, self._pending + 1)
        self._space = False

    def end(self, newlines: int) -> None:
        """At least so many line ends come before the next text."""
        self._pending = max(self._pending, newlines)
        self._space = self._space and not newlines

    def text(self) -> str:
        """All of it."""
        return "".join(self._parts)
