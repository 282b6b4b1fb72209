"""Connections to the catalogue's SQLite file: lent to one thread at a time, kept for the next."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from trivec.errors import LibraryError

_BUSY_TIMEOUT_S = 60.0
_STILL = "mode=ro&immutable=1"


class Connections:
    """A pool of connections to one file. Threads may share it.

    Where the folder cannot be written, SQLite needs either the two files that a writer keeps beside the catalogue
    while it runs (``-wal`` and ``-shm``), or neither of them: then nobody writes, and the file is read as it stands.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mode = _mode(path)
        self._guard = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._retired = False
        self._closed = False

    def open(self) -> sqlite3.Connection:
        """A connection of the caller's own.

        Raises:
            LibraryError: the file cannot be opened, or is no SQLite file.
        """
        with explained(self.path):
            connection = sqlite3.connect(
                f"{self.path.absolute().as_uri()}?{self._mode}",
                uri=True,
                timeout=_BUSY_TIMEOUT_S,
                isolation_level=None,
                check_same_thread=False,
            )
            try:
                connection.execute("PRAGMA synchronous = FULL")
            except BaseException:
                connection.close()
                raise
        return connection

    @contextlib.contextmanager
    def borrow(self) -> Iterator[sqlite3.Connection]:
        """A connection for a while. After an error it is closed, which rolls back what it had begun.

        Raises:
            LibraryError: SQLite fails, or the pool is closed.
        """
        connection = self._take()
        try:
            with explained(self.path):
                yield connection
        except BaseException:
            connection.close()
            raise
        with self._guard:
            if not self._retired:
                self._idle.append(connection)
                return
        connection.close()

    @property
    def outdated(self) -> bool:
        """Whether the file was opened as one that nobody writes, and now there is a writer."""
        return self._mode == _STILL and not self._retired and _in_use(self.path)

    def retire(self) -> None:
        """Close what is idle now, and each of the others when it comes back."""
        with self._guard:
            self._retired = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def close(self) -> None:
        """Retire, and lend no more."""
        self._closed = True
        self.retire()

    def _take(self) -> sqlite3.Connection:
        with self._guard:
            if self._closed:
                raise LibraryError(f"the store in {self.path.parent} is closed: open it again")
            if self._idle:
                return self._idle.pop()
        return self.open()


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """SQLite's errors as errors of the library."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise LibraryError(
            f"{path} cannot be used ({error}): look for a full disk, missing permission to write, or a program that "
            "holds the file; what was stored before is safe"
        ) from error
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        # the second comes where SQLite's own message quotes what is damaged
        raise LibraryError(f"{path} is damaged ({error}): restore it from a snapshot, or index again") from error


def _mode(path: Path) -> str:
    if os.access(path.parent, os.W_OK) and os.access(path, os.W_OK):
        return "mode=rw"
    return "mode=ro" if _in_use(path) else _STILL


def _in_use(path: Path) -> bool:
    return any(os.path.exists(f"{path}{ending}") for ending in ("-shm", "-wal"))
