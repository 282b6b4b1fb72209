"""The catalogue of a native store: one SQLite file whose commits are the commits of the store.

    settings   schema, options and version of the layout; how many segments and passages were ever made
    segments   number, first passage number, rows, which rows are dead, codecs, size and SHA-256 of each file
    passages   number, passage id as UTF-8 (so SQLite orders ids as Python orders text), payload as JSON

Passages are numbered in the order of writing, and a replaced one gets a new number. A segment holds the numbers of
its rows in ascending order, and no two segments overlap, so a number leads to segment and row without a table that
merging would have to rewrite. ``checksum`` is the CRC-32 of the other columns: SQLite itself keeps none.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from trivec.errors import LibraryError
from trivec.index.native.connections import Connections, explained
from trivec.index.native.files import size_of
from trivec.index.native.records import FileRecord, SegmentRecord, State
from trivec.index.native.settings import NativeSettings

CATALOG = "catalog.sqlite"

_TABLES = (
    "CREATE TABLE settings (name TEXT PRIMARY KEY, value, checksum INTEGER NOT NULL)",
    "CREATE TABLE segments (number INTEGER PRIMARY KEY, first INTEGER NOT NULL, rows INTEGER NOT NULL,"
    " dead BLOB NOT NULL, codecs TEXT NOT NULL, files TEXT NOT NULL, checksum INTEGER NOT NULL)",
    "CREATE TABLE passages (number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, payload BLOB NOT NULL,"
    " checksum INTEGER NOT NULL)",
)
_SEGMENT = "number, first, rows, dead, codecs, files"
_CHUNK = 500
"""Rows asked for at once."""


class Catalog:
    """The catalogue of one store. Threads may share it; one process at a time may write."""

    def __init__(self, folder: Path) -> None:
        """Open the catalogue in a store's folder.

        Raises:
            LibraryError: there is none, or it is damaged.
        """
        self.path = folder / CATALOG
        if not self.path.is_file():
            raise LibraryError(f"there is no store in {folder}: name the folder of a library, or create one")
        self._connections = Connections(self.path)
        self._guard = threading.Lock()
        self._watch = self._connections.open()
        self._closed = False

    @staticmethod
    def create(folder: Path, settings: NativeSettings) -> None:
        """Make the catalogue of an empty store.

        Raises:
            LibraryError: it cannot be written.
        """
        path = folder / CATALOG
        with explained(path), contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("BEGIN IMMEDIATE")
            for table in _TABLES:
                connection.execute(table)
            changes = Changes(connection)
            changes.save_settings(settings)
            changes.save_counters(0, 0)
            connection.execute("COMMIT")

    def version(self) -> int:
        """Another number whenever another connection has committed something; costs microseconds."""
        with self._watching() as connection:
            return int(connection.execute("PRAGMA data_version").fetchone()[0])

    def state(self) -> State:
        """Everything but the passages, as of one moment.

        Raises:
            LibraryError: it cannot be read.
            LibraryMismatchError: a newer trivec wrote it.
        """
        with self._watching() as connection:
            connection.execute("BEGIN")
            version = int(connection.execute("PRAGMA data_version").fetchone()[0])
            named = dict(connection.execute("SELECT name, value FROM settings").fetchall())
            rows = connection.execute(f"SELECT {_SEGMENT} FROM segments ORDER BY first").fetchall()
            connection.execute("COMMIT")
        try:
            return State(
                version,
                NativeSettings.from_json(named["store"]),
                tuple(_segment_record(*row) for row in rows),
                int(named["made_segments"]),
                int(named["made_passages"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise LibraryError(
                f"{self.path} is damaged ({error!r}): restore it from a snapshot, or index again"
            ) from error

    def numbers(self, ids: Sequence[str]) -> list[int]:
        """The passage number of each id, in the order asked; -1 for an unknown one."""
        with self._connections.borrow() as connection:
            found = _by_id(connection, "number", [key(name) for name in ids])
        return [found.get(key(name), -1) for name in ids]

    def payloads(self, ids: Sequence[str]) -> list[bytes | None]:
        """The payload of each id, in the order asked; None for an unknown one."""
        with self._connections.borrow() as connection:
            found = _by_id(connection, "payload", [key(name) for name in ids])
        return [found.get(key(name)) for name in ids]

    def payloads_in_order(self) -> Iterator[bytes]:
        """All payloads, ordered by id, read a few hundred at a time."""
        last = b""
        while True:
            with self._connections.borrow() as connection:
                rows = connection.execute(
                    "SELECT id, payload FROM passages WHERE id > ? ORDER BY id LIMIT ?", (last, _CHUNK)
                ).fetchall()
            yield from (payload for _, payload in rows)
            if len(rows) < _CHUNK:
                return
            last = rows[-1][0]

    def rows_from(self, first: int) -> list[tuple[int, str, bytes, int]]:
        """Some hundred passages from a number on: number, id, payload, checksum."""
        with self._connections.borrow() as connection:
            rows = connection.execute(
                "SELECT number, id, payload, checksum FROM passages WHERE number >= ? ORDER BY number LIMIT ?",
                (first, _CHUNK),
            ).fetchall()
        return [(number, name.decode(errors="surrogatepass"), payload, check) for number, name, payload, check in rows]

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Changes]:
        """Changes that are there when the block has ended, on disk, or not at all."""
        with self._connections.borrow() as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield Changes(connection)
            connection.execute("COMMIT")

    def tidy(self) -> None:
        """Give free pages back, and write everything from the log into the file."""
        with self._connections.borrow() as connection:
            (free,) = connection.execute("PRAGMA freelist_count").fetchone()
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            if 4 * free > pages:
                connection.execute("VACUUM")
            connection.execute("PRAGMA optimize")
        self.checkpoint()

    def checkpoint(self) -> None:
        """Write everything from the log into the file, as far as readers allow."""
        with self._connections.borrow() as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def copy_to(self, target: Path) -> None:
        """A consistent copy, also while others write."""
        with (
            self._connections.borrow() as connection,
            contextlib.closing(sqlite3.connect(target, isolation_level=None)) as copy,
        ):
            connection.backup(copy)

    def disk_bytes(self) -> int:
        """Size on disk, with the log."""
        files = (self.path, self.path.with_name(self.path.name + "-wal"))
        return sum(size_of(path) or 0 for path in files)

    def problems(self) -> list[str]:
        """What SQLite and the checksums find wrong, in words."""
        with self._connections.borrow() as connection:
            found = [row[0] for row in connection.execute("PRAGMA integrity_check(20)").fetchall()]
            problems = [f"{self.path}: {problem}" for problem in found if problem != "ok"]
            for table, columns in (("settings", "name, value"), ("segments", _SEGMENT)):
                for *values, check in connection.execute(f"SELECT {columns}, checksum FROM {table}").fetchall():
                    if checksum(*values) != check:
                        problems.append(f"{self.path}: the row {values[0]} of {table} is not what was written")
        return problems

    def close(self) -> None:
        """Close all connections. The catalogue cannot be used afterwards."""
        with self._guard:
            self._closed = True
            self._watch.close()
        self._connections.close()

    @contextlib.contextmanager
    def _watching(self) -> Iterator[sqlite3.Connection]:
        """The one connection whose data version tells of others' commits."""
        with self._guard:
            if self._closed:
                raise LibraryError(f"the store in {self.path.parent} is closed: open it again")
            try:
                with explained(self.path):
                    yield self._watch
            except BaseException:
                self._watch.close()
                self._watch = self._connections.open()
                raise


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
        numbers = list(_by_id(self._connection, "number", [key(name) for name in ids]).values())
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


def _segment_record(number: int, first: int, rows: int, dead: bytes, codecs: str, files: str) -> SegmentRecord:
    named = {name: FileRecord(*entry) for name, entry in json.loads(files).items()}
    if dead and len(dead) != (rows + 7) // 8:
        raise ValueError(f"segment {number} of {rows} rows has {len(dead)} bytes of deletions")
    return SegmentRecord(number, first, rows, dead, codecs, named)


def _by_id(connection: sqlite3.Connection, column: str, keys: Sequence[bytes]) -> dict[bytes, Any]:
    """One column of the passages with these ids."""
    found: dict[bytes, Any] = {}
    for start in range(0, len(keys), _CHUNK):
        chunk = keys[start : start + _CHUNK]
        marks = ",".join("?" * len(chunk))
        found.update(connection.execute(f"SELECT id, {column} FROM passages WHERE id IN ({marks})", chunk).fetchall())
    return found
