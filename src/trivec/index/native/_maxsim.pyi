from typing import Any, Literal

from numpy.typing import NDArray

def maxsim(
    bits: int,
    width: int,
    codes: NDArray[Any],
    levels: NDArray[Any],
    scales: NDArray[Any],
    lists: NDArray[Any],
    factors: NDArray[Any],
    centroids: NDArray[Any],
    offsets: NDArray[Any],
    rows: NDArray[Any],
    query: NDArray[Any],
    ends: NDArray[Any],
    scores: NDArray[Any],
    most: int = 3,
    /,
) -> None: ...
def kernel(most: int = 3, /) -> Literal["portable", "avx2", "avx512", "avx512vnni"]: ...
