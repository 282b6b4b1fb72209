"""One owner at a time: a lock file that names its holder and is free again when the holder's process ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from trivec.errors import LibraryBusyError


class FolderLock:
    """Holds ``folder/lock`` until `release`, or until the process ends in whatever way.

    The kernel holds the lock on the open file, so a second opening of the same folder is refused inside one
    process too. The file itself stays behind; only the lock on it counts.

    Raises:
        LibraryBusyError: it is held; the message names the process.
    """

    def __init__(self, folder: Path) -> None:
        self._handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._handle, 64).decode(errors="replace").strip()
            os.close(self._handle)
            raise LibraryBusyError(_busy_message(folder, holder)) from None
        os.ftruncate(self._handle, 0)
        os.write(self._handle, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Let others in. Harmless if called twice."""
        if self._handle >= 0:
            os.ftruncate(self._handle, 0)
            os.close(self._handle)
            self._handle = -1


def _busy_message(folder: Path, holder: str) -> str:
    if holder == str(os.getpid()):
        return f"{folder} is already open in this process: use that store, or close it first"
    owner = f"process {holder}" if holder else "another process"
    return f"{folder} is open in {owner}: close it there, or wait until that process ends"
