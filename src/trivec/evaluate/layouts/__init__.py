"""Judged sets from files, one layout a file. `read_judged` finds out which one it is; nothing is ever downloaded.

To add a layout, write ``matches(folder)`` and ``read(folder, split)`` in a file of their own, and name it in `LAYOUTS`.
"""

from __future__ import annotations

from pathlib import Path

from trivec.data.bad_lines import BadLines
from trivec.data.reading import read_examples
from trivec.errors import InputError
from trivec.evaluate.judged_sets import JudgedSet, from_examples
from trivec.evaluate.layouts import (
    air_bench,
    beir,
    flag_embedding,
    miracl,
    mkqa,
    mldr,
    mr_tydi,
    ms_marco,
    mteb_tables,
    narrative_qa,
    trec,
)
from trivec.evaluate.layouts.files import WHAT, read_queries

__all__ = ["LAYOUTS", "read_judged", "read_queries"]

LAYOUTS = (
    air_bench,
    flag_embedding,
    miracl,
    mr_tydi,
    trec,
    mldr,
    ms_marco,
    narrative_qa,
    mkqa,
    mteb_tables,
    beir,
)
"""In the order in which they are tried: whoever asks for more comes first, and the last one tells what is missing."""


def read_judged(path: Path, split: str | None = None) -> JudgedSet:
    """A set from disk.

    Args:
        path: a folder in one of the layouts, or a file of examples whose positives are right for their queries.
        split: which judgements, of several; None takes dev, then test, then those that are there.

    Raises:
        InputError: it cannot be read, or holds no judged query.
    """
    if not path.exists():
        raise InputError(f"there is no {path}: give {WHAT}")
    if not path.is_dir():
        return from_examples(path.name, read_examples([path], bad=BadLines()))
    layout = next((layout for layout in LAYOUTS if layout.matches(path)), beir)
    judged: JudgedSet = layout.read(path, split)
    return judged
