"""The documents on TREC's disks: ``<DOC> <DOCNO> FT911-1 </DOCNO> <HEADLINE> ... <TEXT> ... </TEXT> </DOC>``.

Publishers have tags of their own. The title is the first that is there of `_TITLES`. The text is all of `_TEXTS`; where
there is none, as in pages from the web, it is everything but the number, the title and the header of the transfer.
Tags, comments, scripts and styles are left out. What is not UTF-8 is read as Windows-1252.
"""

from __future__ import annotations

import html
import logging
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from trivec.data.opening import open_content
from trivec.errors import InputError
from trivec.evaluate.layouts.old_text import decode_old_text
from trivec.types import Document

_logger = logging.getLogger(__name__)

_TITLES = ("HEADLINE", "TITLE", "TTL", "HL", "TI", "DOCTITLE", "HEAD")
_TEXTS = ("LP", "LEADPARA", "TEXT")
_NOT_TEXT = ("DOCNO", "DOCOLDNO", "DOCID", "DOCHDR", *_TITLES)

_FLAGS = re.IGNORECASE | re.DOTALL
_START = re.compile(r"\s*<DOC(?:\s[^>]*)?>", re.IGNORECASE)
_END = re.compile(r"</DOC>", re.IGNORECASE)
_UNSEEN = re.compile(r"<!--.*?-->|<(script|style)\b.*?</\1\s*>|</?[a-z][^<>]*>", _FLAGS)

_COMPRESS_MARK = b"\x1f\x9d"


def is_trec_document_file(path: Path) -> bool:
    """Whether a file begins with a document.

    Raises:
        InputError: it cannot be opened, or is compressed in a way that nothing here can undo.
    """
    with open_content(path) as file:
        head = file.read(4096)
    if head.startswith(_COMPRESS_MARK):
        raise InputError(f"{path} is compressed by compress, as TREC's disks are: unpack it, such as with gunzip")
    return _START.match(decode_old_text(head)) is not None


def read_trec_documents(paths: Iterable[Path]) -> list[Document]:
    """All documents with a title or text; files that do not begin with one, such as a read-me, are passed over.

    Raises:
        InputError: a document has no number or no end, or two have one number.
    """
    documents: dict[str, Document] = {}
    others = []
    for path in paths:
        if not is_trec_document_file(path):
            others.append(path)
            continue
        for place, source in _sources(path):
            document = _document(source, place)
            if document.id in documents:
                raise InputError(f"{place}: the number {document.id!r:.80} is taken by an earlier document: rename one")
            if document.title or document.text:
                documents[document.id] = document
    if others:
        _logger.warning("%d files do not begin with <DOC> and are passed over, the first is %s", len(others), others[0])
    return list(documents.values())


def _sources(path: Path) -> Iterator[tuple[str, str]]:
    """Each document up to its end tag, and the line where it begins."""
    parts: list[str] = []
    start = 1
    with open_content(path) as file:
        for number, line in enumerate(file, start=1):
            *ended, rest = _END.split(decode_old_text(line))
            for part in ended:
                yield f"{path}:{start if parts else number}", "".join([*parts, part])
                parts = []
            if rest.strip() or parts:
                start = start if parts else number
                parts.append(rest)
    if parts:
        raise InputError(f"{path}:{start}: the document has no </DOC>, as if the file were cut off: copy it again")


def _document(source: str, place: str) -> Document:
    start = _START.match(source)
    if start is None:
        raise InputError(f"{place}: {source.strip()!r:.60} where <DOC> should be: mend the file")
    source = source[start.end() :]
    number = next(iter(_elements(source, ("DOCNO",))), "").strip()
    if not number:
        raise InputError(f"{place}: the document has no <DOCNO>: give each its own")
    titles = (" ".join(_seen(text).split()) for tag in _TITLES for text in _elements(source, (tag,)))
    texts = _elements(source, _TEXTS) or [_without(source)]
    return Document(number, "\n\n".join(filter(None, map(_seen, texts))), next(filter(None, titles), ""))


def _elements(source: str, tags: tuple[str, ...]) -> list[str]:
    found = re.finditer(rf"<({'|'.join(tags)})(?:\s[^>]*)?>(.*?)</\1\s*>", source, _FLAGS)
    return [element[2] for element in found]


def _without(source: str) -> str:
    return re.sub(rf"<({'|'.join(_NOT_TEXT)})(?:\s[^>]*)?>.*?</\1\s*>", " ", source, flags=_FLAGS)


def _seen(source: str) -> str:
    """What a reader sees: lines without tags, at most one of them blank at a time."""
    lines = (" ".join(line.split()) for line in html.unescape(_UNSEEN.sub(" ", source)).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
