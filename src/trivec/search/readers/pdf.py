"""``.pdf``: the text of all pages, a blank line between them, as one document."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from trivec.encode.tokenizer import clean_text
from trivec.errors import InputError, require
from trivec.search.readers.decoding import read_bytes
from trivec.search.readers.reading import Found, Reading, SourceFile
from trivec.types import Document


def read_pdf(file: SourceFile, reading: Reading) -> Iterator[Found]:
    """One document; the number of ``pages`` goes to its metadata. Scanned pages give a note, not an error.

    Raises:
        InputError: the file is damaged, or cannot be opened without a password.
    """
    pypdf = require("pypdf", "docs", f"reading {file.path}")
    data = io.BytesIO(read_bytes(file))
    try:
        title, pages = _title_and_pages(pypdf.PdfReader(data), file)
    except InputError:
        raise
    except Exception as error:  # pypdf meets damaged files with any error there is
        reason = f"{type(error).__name__}: {error}"
        raise InputError(f"{file.path}: no readable PDF ({reason}): open and save it again") from error
    text = "\n\n".join(pages)
    if not text.strip():
        reading.report.note(
            f"{file.path}: no text on {len(pages)} pages, perhaps scans: recognise the text (OCR) first"
        )
    document = Document(file.name, text, title, {**file.facts("pdf"), "pages": len(pages)})
    yield Found(document, file)


def _title_and_pages(pdf: Any, file: SourceFile) -> tuple[str, list[str]]:  # noqa: ANN401
    if pdf.is_encrypted and not pdf.decrypt(""):
        raise InputError(f"{file.path}: encrypted with a password: save it without one")
    title = (pdf.metadata and pdf.metadata.title) or ""
    return _plain(str(title)), [_plain(page.extract_text()) for page in pdf.pages]


def _plain(text: str) -> str:
    return clean_text(text).replace("\0", "").strip()
