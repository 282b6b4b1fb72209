"""How a reranker is best used, as its folder says: found where it was trained. What is asked for goes before it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import get_args

from trivec.encode.checkpoints import plain
from trivec.errors import CorruptModelError, InputError
from trivec.rerank.cutting import Kept
from trivec.rerank.mixing import check_weight
from trivec.tensorfile import write_json


@dataclass(frozen=True)
class OwnWays:
    """What a folder may say.

    Attributes:
        first_stage: weight of the first stage's scores, see `trivec.rerank.mixing.mixed_scores`.
        max_length: tokens of a pair; None is what any cross-encoder takes.
        kept: of a document that is too long.
    """

    first_stage: float = 0.0
    max_length: int | None = None
    kept: Kept = "start"

    def __post_init__(self) -> None:
        check_weight(float(self.first_stage))
        if self.max_length is not None and self.max_length < 1:
            raise InputError(f"max_length must be at least 1, got {self.max_length}")
        if self.kept not in get_args(Kept):
            raise InputError(f"kept must be one of {', '.join(get_args(Kept))}, got {self.kept!r}")


def write_own_ways(folder: Path, ways: OwnWays) -> None:
    """Put them into a model's folder."""
    write_json(folder / plain.RERANKER_FILE, asdict(ways))


def read_own_ways(folder: Path) -> OwnWays:
    """Those of a model's folder, or the usual ones.

    Raises:
        CorruptModelError: it says something that cannot be.
    """
    path = folder / plain.RERANKER_FILE
    said = plain.read_json(path) if path.is_file() else {}
    try:
        return OwnWays(**{field.name: said[field.name] for field in fields(OwnWays) if field.name in said})
    except (InputError, TypeError, ValueError) as error:
        raise CorruptModelError(f"{path} does not say how to use a reranker ({error}): fetch it again") from error
