"""The weight of the first stage that a reranker's folder brings: what was found to suit it where it was trained."""

from __future__ import annotations

from pathlib import Path

from trivec.encode.checkpoints import plain
from trivec.errors import CorruptModelError, InputError
from trivec.rerank.mixing import check_weight
from trivec.tensorfile import write_json

_KEY = "first_stage"


def write_own_weight(folder: Path, first_stage: float) -> None:
    """Put a weight into a model's folder."""
    write_json(folder / plain.RERANKER_FILE, {_KEY: first_stage})


def read_own_weight(folder: Path) -> float:
    """The weight of a model's folder; 0 if it says nothing.

    Raises:
        CorruptModelError: it says something that is no weight.
    """
    path = folder / plain.RERANKER_FILE
    value = plain.read_json(path).get(_KEY, 0) if path.is_file() else 0
    try:
        weight = float(value)
        check_weight(weight)
    except (InputError, TypeError, ValueError) as error:
        raise CorruptModelError(f"{path} has {value!r} for {_KEY}, where a weight should be: fetch it again") from error
    return weight
