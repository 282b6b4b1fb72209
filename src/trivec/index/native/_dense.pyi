from typing import Any, TypeAlias

from numpy.typing import NDArray

_Array: TypeAlias = NDArray[Any]

def dot_rows(
    kind: int, values: _Array, scales: _Array | None, query: _Array, rows: _Array | None, out: _Array, /
) -> None: ...
def bit_sums(
    bits: _Array,
    factors: _Array,
    query: _Array,
    planes: int,
    low: float,
    step: float,
    middle: float,
    rows: _Array | None,
    out: _Array,
    /,
) -> None: ...
def likely(
    bits: _Array,
    factors: _Array,
    offsets: _Array,
    query: _Array,
    planes: int,
    low: float,
    step: float,
    middle: float,
    share: float,
    wanted: int,
    rows: _Array | None,
    out: _Array,
    /,
) -> int: ...
