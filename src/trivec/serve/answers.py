"""Writing answers with large vectors: numpy arrays go to JSON as they are."""

from __future__ import annotations

from typing import Any

import orjson
import scipy.sparse as sp
from starlette.responses import Response

_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS


def json_bytes(content: Any) -> bytes:  # noqa: ANN401
    """As JSON. float32 values come out in their shortest form, and are read back as the same."""
    return orjson.dumps(content, option=_OPTIONS)


def json_answer(content: Any, status: int = 200) -> Response:  # noqa: ANN401
    """A response."""
    return Response(json_bytes(content), status, media_type="application/json")


def sparse_row(matrix: sp.csr_array, row: int) -> dict[str, Any]:
    """A row's columns and values, columns rising."""
    part = slice(int(matrix.indptr[row]), int(matrix.indptr[row + 1]))
    columns, values = matrix.indices[part], matrix.data[part]
    order = columns.argsort(kind="stable")
    return {"indices": columns[order], "values": values[order]}
