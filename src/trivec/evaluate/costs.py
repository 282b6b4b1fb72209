"""What measuring a set took: seconds for each kind of work, and what the vectors are in bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from trivec.types import Head


@dataclass(frozen=True)
class Cost:
    """What measuring took.

    Attributes:
        queries_s: seconds for encoding queries.
        encoding_s: for encoding passages.
        reading_s: for reading vectors of passages that had been encoded before.
        scoring_s: for everything else.
        passages: how many there are.
        encoded: how many of them were encoded, and not read.
        bytes_by_head: of all passages in single precision.
        library_bytes: of a library on disk; 0 where none was measured.
    """

    queries_s: float = 0.0
    encoding_s: float = 0.0
    reading_s: float = 0.0
    scoring_s: float = 0.0
    passages: int = 0
    encoded: int = 0
    bytes_by_head: Mapping[Head, int] = field(default_factory=dict)
    library_bytes: int = 0

    @property
    def passages_per_s(self) -> float | None:
        """Encoded in a second; None if none were."""
        return self.encoded / self.encoding_s if self.encoded else None

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it: seconds to the millisecond."""
        rate = self.passages_per_s
        own = {name: round(value, 3) if isinstance(value, float) else value for name, value in asdict(self).items()}
        return own | {"passages_per_s": None if rate is None else round(rate, 1)}

    def __str__(self) -> str:
        """The seconds, such as ``queries 2.1 s, 500 passages 20.0 s (25.0 a second), scoring 0.3 s``."""
        told = [f"queries {self.queries_s:,.1f} s"]
        if self.encoded:
            told.append(f"{self.encoded:,} passages {self.encoding_s:,.1f} s ({self.passages_per_s:,.1f} a second)")
        if self.reading_s:
            told.append(f"reading vectors of {self.passages - self.encoded:,} passages {self.reading_s:,.1f} s")
        return ", ".join([*told, f"scoring {self.scoring_s:,.1f} s"])


def total_cost(costs: Sequence[Cost]) -> Cost:
    """Of several sets together."""
    size: dict[Head, int] = {}
    for cost in costs:
        for head, count in cost.bytes_by_head.items():
            size[head] = size.get(head, 0) + count
    return Cost(
        queries_s=sum(cost.queries_s for cost in costs),
        encoding_s=sum(cost.encoding_s for cost in costs),
        reading_s=sum(cost.reading_s for cost in costs),
        scoring_s=sum(cost.scoring_s for cost in costs),
        passages=sum(cost.passages for cost in costs),
        encoded=sum(cost.encoded for cost in costs),
        bytes_by_head=size,
        library_bytes=max(cost.library_bytes for cost in costs),
    )
