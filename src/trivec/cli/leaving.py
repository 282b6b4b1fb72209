"""Ending the program without tidying its memory.

Freeing a vocabulary of a quarter of a million entries takes longer than a search does, and the process is over anyway.
Files are closed by then: a library is closed when its ``with`` block ends.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from typing import NoReturn, TypeVar

T = TypeVar("T")

_kept: list[object] = []


def keep(value: T) -> T:
    """Hold a large value until the program ends, so that nobody waits for it to be freed."""
    _kept.append(value)
    return value


def leave(code: int) -> NoReturn:
    """End the process at once with this exit code; what was printed is printed."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # nobody reads it any more
            stream.flush()
    os._exit(code)
