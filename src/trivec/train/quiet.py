"""What is told once need not be told at each measurement or batch of the same texts."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator


@contextlib.contextmanager
def without_warnings(name: str) -> Iterator[None]:
    """Nothing below errors from the logger of this name, nor from those below it."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
