"""What one transaction of the catalogue may change, and how its rows are written."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

from trivec.index.native.records import SegmentRecord
from trivec.index.native.settings import NativeSettings

CHUNK = 500
"""Rows asked for at once."""


class Changes:
    """What can be changed in one transaction. Made by `Catalog.transaction`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def save_settings(self, settings: NativeSettings) -> None:
        """Replace the settings of the whole store."""
        self._put("store", settings.to_json())

    def save_counters(self, made_segments: int, made_passages: int) -> None:
        """Replace the numbers of segments and passages ever made."""
        self._put("made_segments", made_segments)
        self._put("made_passages", made_passages)

    def remove_passages(self, ids: Iterable[str]) -> list[int]:
        """Remove passages by id and return the numbers of those that were there."""
        numbers = list(rows_by_id(self._connection, "number", [key(name) for name in ids]).values())
        self._connection.executemany("DELETE FROM passages WHERE number = ?", ((number,) for number in numbers))
        return numbers

    def add_passages(self, first: int, ids: Sequence[str], payloads: Sequence[bytes]) -> None:
        """Add passages, numbered from ``first``."""
        keys = [key(name) for name in ids]
        rows = (
            (number, name, payload, checksum(number, name, payload))
            for number, (name, payload) in enumerate(zip(keys, payloads, strict=True), first)
        )
        self._connection.executemany("INSERT INTO passages VALUES (?, ?, ?, ?)", rows)

    def put_segment(self, record: SegmentRecord) -> None:
        """Add a segment, or replace what is known of it."""
        files = {name: [file.bytes, file.sha256] for name, file in sorted(record.files.items())}
        values = (record.number, record.first, record.rows, record.dead, record.codecs, json.dumps(files))
        row = (*values, checksum(*values))
        self._connection.execute("INSERT OR REPLACE INTO segments VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def drop_segments(self, numbers: Iterable[int]) -> None:
        """Forget segments."""
        self._connection.executemany("DELETE FROM segments WHERE number = ?", ((number,) for number in numbers))

    def _put(self, name: str, value: str | int) -> None:
        row = (name, value, checksum(name, value))
        self._connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?, ?)", row)


def key(name: str) -> bytes:
    """A passage id as the catalogue keeps it. Text that is no Unicode is found nowhere, and breaks nothing."""
    return name.encode(errors="surrogatepass")


def checksum(*values: str | int | bytes) -> int:
    """CRC-32 of the values of a row."""
    total = 0
    for value in values:
        content = value if isinstance(value, bytes) else str(value).encode()
        total = zlib.crc32(content, zlib.crc32(b"%d," % len(content), total))
    return total


def rows_by_id(connection: sqlite3.Connection, column: str, keys: Sequence[bytes]) -> dict[bytes, Any]:
    """One column of the passages with these ids."""
    found: dict[bytes, Any] = {}
    for start in range(0, len(keys), CHUNK):
        chunk = keys[start : start + CHUNK]
        marks = ",".join("?" * len(chunk))
        found.update(connection.execute(f"SELECT id, {column} FROM passages WHERE id IN ({marks})", chunk).fetchall())
    return found
