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
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from trivec.errors import LibraryError, LibraryMismatchError
from trivec.index.native.changes import CHUNK, Changes, checksum, key, rows_by_id
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
        self._watched = 0
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

    def version(self) -> tuple[int, int]:
        """Another value whenever another connection has committed something; costs microseconds."""
        with self._watching() as connection:
            return self._version(connection)

    def state(self) -> State:
        """Everything but the passages, as of one moment.

        Raises:
            LibraryError: it cannot be read, or is not what was written.
            LibraryMismatchError: a newer trivec wrote it.
        """
        with self._watching() as connection:
            connection.execute("BEGIN")
            version = self._version(connection)
            settings = connection.execute("SELECT name, value, checksum FROM settings").fetchall()
            segments = connection.execute(f"SELECT {_SEGMENT}, checksum FROM segments ORDER BY first").fetchall()
            connection.execute("COMMIT")
        try:
            named = {name: value for name, value in _checked(settings)}
            return State(
                version,
                NativeSettings.from_json(named["store"]),
                tuple(_segment_record(*row) for row in _checked(segments)),
                int(named["made_segments"]),
                int(named["made_passages"]),
            )
        except LibraryMismatchError as error:
            raise LibraryMismatchError(f"{self.path}: {error}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise LibraryError(
                f"{self.path} is damaged ({error!r}): restore it from a snapshot, or index again"
            ) from error

    def numbers(self, ids: Sequence[str]) -> list[int]:
        """The passage number of each id, in the order asked; -1 for an unknown one."""
        with self._borrow() as connection:
            found = rows_by_id(connection, "number", [key(name) for name in ids])
        return [found.get(key(name), -1) for name in ids]

    def payloads(self, ids: Sequence[str]) -> list[bytes | None]:
        """The payload of each id, in the order asked; None for an unknown one."""
        with self._borrow() as connection:
            found = rows_by_id(connection, "payload", [key(name) for name in ids])
        return [found.get(key(name)) for name in ids]

    def payloads_in_order(self) -> Iterator[bytes]:
        """All payloads, ordered by id, read a few hundred at a time."""
        last = b""
        while True:
            with self._borrow() as connection:
                rows = connection.execute(
                    "SELECT id, payload FROM passages WHERE id > ? ORDER BY id LIMIT ?", (last, CHUNK)
                ).fetchall()
            yield from (payload for _, payload in rows)
            if len(rows) < CHUNK:
                return
            last = rows[-1][0]

    def rows_from(self, first: int) -> list[tuple[int, Any, Any, Any]]:
        """Some hundred passages from a number on: number, key of the id, payload, checksum, as they are in the file."""
        with self._borrow() as connection:
            return connection.execute(
                "SELECT number, id, payload, checksum FROM passages WHERE number >= ? ORDER BY number LIMIT ?",
                (first, CHUNK),
            ).fetchall()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Changes]:
        """Changes that are there when the block has ended, on disk, or not at all."""
        with self._borrow() as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield Changes(connection)
            connection.execute("COMMIT")

    def tidy(self) -> None:
        """Give free pages back, and write everything from the log into the file."""
        with self._borrow() as connection:
            (free,) = connection.execute("PRAGMA freelist_count").fetchone()
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            if 4 * free > pages:
                connection.execute("VACUUM")
            connection.execute("PRAGMA optimize")
        self.checkpoint()

    def checkpoint(self) -> None:
        """Write everything from the log into the file, as far as readers allow."""
        with self._borrow() as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def copy_to(self, target: Path) -> None:
        """A consistent copy, also while others write."""
        with (
            self._borrow() as connection,
            contextlib.closing(sqlite3.connect(target, isolation_level=None)) as copy,
        ):
            connection.backup(copy)

    def disk_bytes(self) -> int:
        """Size on disk, with the log."""
        files = (self.path, self.path.with_name(self.path.name + "-wal"))
        return sum(size_of(path) or 0 for path in files)

    def problems(self) -> list[str]:
        """What SQLite and the checksums find wrong, in words."""
        with self._borrow() as connection:
            found = [row[0] for row in connection.execute("PRAGMA integrity_check(20)").fetchall()]
            problems = [f"{self.path}: {problem}" for problem in found if problem != "ok"]
            for table, columns in (("settings", "name, value"), ("segments", _SEGMENT)):
                for *values, check in connection.execute(f"SELECT {columns}, checksum FROM {table}").fetchall():
                    if checksum(*values) != check:
                        problems.append(f"{self.path}: the row {values[0]} of {table} is not what was written")
        return problems

    def check_there(self) -> None:
        """Refuse to go on with files that are no longer in the folder, though this process has them open.

        Raises:
            LibraryError: the store was removed, as rewriting a whole library does.
        """
        if not os.path.exists(self.path):
            raise LibraryError(f"the store in {self.path.parent} was rewritten or removed meanwhile: open it again")

    def close(self) -> None:
        """Close all connections. The catalogue cannot be used afterwards."""
        with self._guard:
            self._closed = True
            self._watch.close()
        self._connections.close()

    def _borrow(self) -> AbstractContextManager[sqlite3.Connection]:
        self._notice_others()
        return self._connections.borrow()

    def _notice_others(self) -> None:
        """Look whether the file is still there, and look at it anew if it was opened as one that nobody writes."""
        self.check_there()
        old = self._connections
        if old.outdated:
            with self._guard:
                if self._connections is old:
                    self._connections = Connections(self.path)
                    self._watch_anew()
            old.retire()

    def _version(self, connection: sqlite3.Connection) -> tuple[int, int]:
        """Versions of different connections cannot be compared, so the connection is part of it."""
        return self._watched, int(connection.execute("PRAGMA data_version").fetchone()[0])

    @contextlib.contextmanager
    def _watching(self) -> Iterator[sqlite3.Connection]:
        """The one connection whose data version tells of others' commits."""
        self._notice_others()
        with self._guard:
            if self._closed:
                raise LibraryError(f"the store in {self.path.parent} is closed: open it again")
            try:
                with explained(self.path):
                    yield self._watch
            except BaseException:
                self._watch_anew()
                raise

    def _watch_anew(self) -> None:
        self._watch.close()
        self._watch = self._connections.open()
        self._watched += 1


def _checked(rows: Iterable[Sequence[Any]]) -> Iterator[Sequence[Any]]:
    """Rows without the checksum at their end, if it is theirs."""
    for *values, check in rows:
        if checksum(*values) != check:
            raise ValueError(f"the row {values[0]!r} is not what was written")
        yield values


def _segment_record(number: int, first: int, rows: int, dead: bytes, codecs: str, files: str) -> SegmentRecord:
    named = {name: FileRecord(*entry) for name, entry in json.loads(files).items()}
    if dead and len(dead) != (rows + 7) // 8:
        raise ValueError(f"segment {number} of {rows} rows has {len(dead)} bytes of deletions")
    return SegmentRecord(number, first, rows, dead, codecs, named)
