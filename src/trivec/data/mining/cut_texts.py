"""Counts texts that the encoder cuts, instead of a warning for every window of them."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass

_ENCODER = logging.getLogger("trivec.encode.encoder")


@dataclass
class CutTexts:
    """How many texts were cut."""

    count: int = 0


@contextlib.contextmanager
def counting_cuts() -> Iterator[CutTexts]:
    """A block in which the encoder's warnings about cut texts are counted and not shown."""
    cuts = CutTexts()

    def keep(record: logging.LogRecord) -> bool:
        is_cut = isinstance(record.args, tuple) and "were cut" in record.msg
        if is_cut:
            cuts.count += int(str(record.args[0]))  # type: ignore[index]
        return not is_cut

    _ENCODER.addFilter(keep)
    try:
        yield cuts
    finally:
        _ENCODER.removeFilter(keep)
