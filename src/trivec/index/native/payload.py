"""A passage as the catalogue keeps it: JSON in UTF-8, readable without trivec."""

from __future__ import annotations

from typing import Any

import orjson

from trivec.types import Passage


def write_payload(passage: Passage) -> bytes:
    """All fields of a passage."""
    fields = {
        "document_id": passage.document_id,
        "number": passage.number,
        "count": passage.count,
        "start": passage.start,
        "end": passage.end,
        "content_hash": passage.content_hash,
        "title": passage.title,
        "metadata": dict(passage.metadata),
        "text": passage.text,
    }
    return orjson.dumps(fields, _plain, orjson.OPT_SERIALIZE_NUMPY)


def _plain(value: object) -> float:
    """A number of a class derived from float, which `orjson` leaves to us."""
    if isinstance(value, float):
        return float(value)
    raise TypeError(f"{type(value).__name__} cannot be stored")


def read_payload(payload: bytes) -> Passage:
    """The passage of `write_payload`."""
    fields: dict[str, Any] = orjson.loads(payload)
    return Passage(**fields)
