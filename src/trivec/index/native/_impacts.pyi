from typing import Any, TypeAlias

from numpy.typing import NDArray

_Array: TypeAlias = NDArray[Any]

def search(
    part: tuple[_Array, ...],
    block: int,
    places: _Array,
    weights: _Array,
    saturated: bool,
    numbers: tuple[float, float],
    k: int,
    allowed: _Array | None,
    rows: _Array,
    scores: _Array,
    everything: _Array | None,
    /,
) -> int: ...
def score(
    forward: tuple[_Array, ...],
    terms: _Array,
    weights: _Array,
    saturated: bool,
    numbers: tuple[float, float],
    rows: _Array,
    scores: _Array,
    /,
) -> None: ...
def frequencies(
    part: tuple[_Array, ...],
    block: int,
    forward: tuple[_Array, ...],
    places: _Array,
    terms: _Array,
    alive: _Array,
    counts: _Array,
    /,
) -> None: ...
