"""``.html``: what a reader of the page reads. Scripts, styles and navigation are left out; blocks become lines."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

from trivec.errors import InputError, require
from trivec.search.readers.decoding import decode, marked_encoding, read_bytes
from trivec.search.readers.reading import Found, Reading, SourceFile
from trivec.types import Document, MetadataValue

_LEFT_OUT = frozenset("script style noscript template nav svg iframe object canvas title".split())
_PARAGRAPHS = frozenset(
    "p h1 h2 h3 h4 h5 h6 ul ol dl table blockquote pre section article main header footer aside figure hr".split()
)
_LINES = frozenset("div li dt dd tr br address figcaption caption form fieldset details summary option body".split())
_CELLS = frozenset(("td", "th"))


def read_html(file: SourceFile, reading: Reading) -> Iterator[Found]:
    """One document; ``lang`` of the page goes to its metadata."""
    soup = _parse(file, reading)
    metadata: dict[str, MetadataValue] = file.facts("html")
    root = soup.find("html")
    language = root and (root.get("lang") or root.get("xml:lang"))
    if language and str(language).strip():
        metadata["lang"] = str(language).strip()
    yield Found(Document(file.name, page_text(soup), _title(soup), metadata), file)


def _parse(file: SourceFile, reading: Reading) -> Any:  # noqa: ANN401
    soup_package = require("bs4", "docs", f"reading {file.path}")
    data = read_bytes(file)
    text = decode(data, file, _encoding(data, reading.options.encoding, soup_package))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", soup_package.XMLParsedAsHTMLWarning)
        warnings.simplefilter("ignore", soup_package.MarkupResemblesLocatorWarning)
        try:
            return soup_package.BeautifulSoup(text, "html.parser")
        except soup_package.ParserRejectedMarkup as error:
            raise InputError(f"{file.path}: no readable HTML ({error}): save the page again") from error


def _encoding(data: bytes, asked: str | None, soup_package: Any) -> str | None:  # noqa: ANN401
    """The declared charset counts only for a page that is not UTF-8: tools convert pages and leave the old name."""
    if asked or marked_encoding(data):
        return asked
    declared: str | None = soup_package.dammit.EncodingDetector.find_declared_encoding(data, is_html=True)
    try:
        data.decode("utf-8")
        return "utf-8" if b"\x1b" not in data else _known(declared)  # ISO-2022 pages are valid UTF-8
    except UnicodeDecodeError:
        return _known(declared)


def _known(declared: str | None) -> str:
    if declared is None:
        return "utf-8"
    try:
        "".encode(declared)
    except LookupError:
        return "utf-8"
    return "cp1252" if declared.lower() in ("iso-8859-1", "latin-1", "latin1", "us-ascii") else declared


def _title(soup: Any) -> str:  # noqa: ANN401
    """The page's title, or its first main heading."""
    for title in soup.find_all("title"):
        if title.find_parent("svg") is None and title.get_text(strip=True):
            return " ".join(title.get_text().split())
    heading = soup.find("h1")
    return " ".join(heading.get_text(" ").split()) if heading else ""


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
                lines.add(str(child), keep_spaces=preformatted > 0)
        elif child.name not in _LEFT_OUT:
            _break_at(child.name, lines)
            preformatted += child.name == "pre"
            open_tags.append((child, iter(child.children)))
    return lines.text()


def _break_at(tag: str, lines: _Lines) -> None:
    if tag in _PARAGRAPHS:
        lines.end(2)
    elif tag in _LINES:
        lines.end(1)
    elif tag in _CELLS:
        lines.add(" ")


class _Lines:
    """Puts words and line ends together without doubling spaces or blank lines."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._pending = 0
        self._space = False

    def add(self, text: str, keep_spaces: bool = False) -> None:
        words = text if keep_spaces else " ".join(text.split())
        if not words.strip():
            self._space = True
            return
        if self._pending and self._parts:
            self._parts.append("\n" * self._pending)
        elif self._parts and (self._space or text[0].isspace()):
            self._parts.append(" ")
        self._parts.append(words.rstrip() if keep_spaces else words)
        self._pending = 0
        self._space = text[-1].isspace()

    def end(self, newlines: int) -> None:
        self._pending = max(self._pending, newlines)
        self._space = False

    def text(self) -> str:
        return "".join(self._parts)
