from typing import Any

from numpy.typing import NDArray

def gather(file: int, places: NDArray[Any], lengths: NDArray[Any], out: NDArray[Any], /) -> None: ...
