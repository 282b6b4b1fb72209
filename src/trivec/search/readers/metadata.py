"""Which fields of a row, a front matter or a file become metadata: scalars and short lists of scalars."""

from __future__ import annotations

import datetime
import decimal
import math
from collections.abc import Mapping

from trivec.search.readers.reading import Reading
from trivec.types import MetadataValue, Scalar

LONGEST_LIST = 256
"""A longer list is taken for an embedding, not for facts; naming its field in the options keeps it."""

_DROP = object()


def keep_metadata(fields: Mapping[str, object], reading: Reading) -> dict[str, MetadataValue]:
    """The fields that become metadata; others are counted in the report.

    Dates and times become ISO text, NaN and infinities None, because filters and JSON know neither.
    """
    wanted = reading.options.metadata
    kept: dict[str, MetadataValue] = {}
    for name, value in fields.items():
        if wanted is not None and name not in wanted:
            continue
        if isinstance(value, list | tuple):
            items = [_scalar(item) for item in value]
            fits = wanted is not None or len(items) <= LONGEST_LIST
            plain: object = items if fits and not any(item is _DROP for item in items) else _DROP
        else:
            plain = _scalar(value)
        if plain is _DROP:
            reading.report.dropped_fields[name] += 1
        else:
            kept[name] = plain  # type: ignore[assignment]
    return kept


def _scalar(value: object) -> Scalar | object:
    """The value as JSON knows it, or `_DROP`."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return float(value) if value.is_finite() else None
    return _DROP
