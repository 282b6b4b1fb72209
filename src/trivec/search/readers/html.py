"""``.html``: what a reader of the page reads. Scripts, styles and navigation are left out."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

from trivec.errors import InputError, require
from trivec.search.readers.decoding import decode, marked_encoding, read_bytes
from trivec.search.readers.page_text import page_text
from trivec.search.readers.reading import Found, Reading, SourceFile
from trivec.types import Document, MetadataValue


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
