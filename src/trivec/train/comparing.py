"""The table at the end of a run: every set, system and measure, before and after."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Row = dict[str, Any]


def comparison(records: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Rows of set, measure, before, after and change, out of the lines of ``metrics.jsonl``.

    Before is the first measurement of a set, after the one marked as final.
    """
    before: dict[str, Mapping[str, float]] = {}
    after: dict[str, Mapping[str, float]] = {}
    for record in records:
        if record["kind"] == "measurement":
            before.setdefault(record["set"], record["values"])
        elif record["kind"] == "final":
            after[record["set"]] = record["values"]
    return [
        {"set": name, "measure": measure, "before": before[name].get(measure, 0.0), "after": value,
         "change": value - before[name].get(measure, 0.0)}
        for name, values in after.items()
        if name in before
        for measure, value in values.items()
    ]  # fmt: skip
