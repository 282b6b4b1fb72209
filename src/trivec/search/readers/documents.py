"""`read_documents`: any source to a stream of documents."""

from __future__ import annotations

import logging
import stat
from collections.abc import Iterator
from pathlib import Path

from trivec.errors import InputError
from trivec.search.readers.decoding import unreadable
from trivec.search.readers.folder import known_format, read_file, read_folder, wanted_suffixes
from trivec.search.readers.options import ReadOptions
from trivec.search.readers.reading import Found, Reading
from trivec.search.readers.report import ReadReport
from trivec.search.readers.seen import SeenIds
from trivec.search.readers.stdin import read_stdin
from trivec.types import Document

_logger = logging.getLogger(__name__)


def read_documents(
    source: str | Path, options: ReadOptions | None = None, report: ReadReport | None = None
) -> Iterator[Document]:
    """Stream the documents of a folder, a file, or standard input (``-``).

    Nothing but the document at hand is in memory, except for formats where the file is the document and for .json
    lists. Documents with neither text nor title are skipped and counted. Ids are unique within one call.

    Args:
        source: a folder tree, a BEIR folder, a file of a known format, or ``-``.
        options: which fields, which encoding, and what to do with bad input.
        report: filled in while the documents are taken. Without one, its warnings are logged at the end.

    Raises:
        InputError: at once if the source does not exist or is of an unknown kind; while iterating if a row or file
            is bad and ``options.skip_bad`` is off.
        MissingPackageError: the file's format needs a package that is not installed.
    """
    reading = Reading(options or ReadOptions(), report if report is not None else ReadReport())
    wanted_suffixes(reading.options.suffixes)
    found = read_stdin(reading) if str(source) == "-" else _read_path(Path(source), reading)
    return _documents(found, reading, log=report is None)


def _read_path(path: Path, reading: Reading) -> Iterator[Found]:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise unreadable(str(path), error) from error
    if stat.S_ISDIR(mode):
        return read_folder(path, reading)
    known_format(path)
    return read_file(path, path.name, reading)


def _documents(found: Iterator[Found], reading: Reading, log: bool) -> Iterator[Document]:
    """Skip what is blank, refuse what has a taken id, count the rest."""
    report = reading.report
    seen = SeenIds()
    for item in found:
        document = item.document
        if not document.text.strip() and not document.title.strip():
            report.skip_blank(item.place)
            continue
        try:
            seen.add(item)
        except InputError as error:
            reading.bad(error)
            continue
        report.documents += 1
        reading.unseen_fields.difference_update(document.metadata)
        yield document
    report.unseen_fields = tuple(sorted(reading.unseen_fields))
    if log:
        for line in report.warnings:
            _logger.warning(line)
