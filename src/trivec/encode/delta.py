"""A delta: a small safetensors file that turns a backbone into a trained model.

It may hold heads (``sparse.weight``, ``sparse.bias``, ``multi.weight``, ``multi.bias``) and, for any weight W of the
backbone, a low-rank update ``W.lora_a`` (r, in) and ``W.lora_b`` (out, r), merged as W + scale * B A (Hu et al.
2021, 2106.09685); ``scale`` stands in the file's metadata and is 1 if absent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from trivec.errors import CorruptModelError
from trivec.tensorfile import memory_map, read_header
from trivec.types import FloatArray

_DOWN, _UP = ".lora_a", ".lora_b"


class Delta:
    """What a delta file holds.

    Raises:
        CorruptModelError: half of a low-rank pair is missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tensors = {name: np.asarray(value, np.float32) for name, value in memory_map(path).items()}
        self._scale = float(read_header(path)[1].get("scale", "1"))
        downs = {name.removesuffix(_DOWN) for name in self._tensors if name.endswith(_DOWN)}
        ups = {name.removesuffix(_UP) for name in self._tensors if name.endswith(_UP)}
        if downs != ups:
            raise CorruptModelError(f"{path} holds half a low-rank pair for {sorted(downs ^ ups)}: fetch it again")
        self._low_rank = downs

    @property
    def heads(self) -> dict[str, FloatArray]:
        """The tensors of the heads."""
        return {name: value for name, value in self._tensors.items() if name.split(".")[0] in ("sparse", "multi")}

    def merge(self, backbone: Iterable[tuple[str, FloatArray]]) -> Iterator[tuple[str, FloatArray]]:
        """The weights of the backbone, updated.

        Raises:
            CorruptModelError: the delta updates a weight that the backbone does not have.
        """
        left = set(self._low_rank)
        for name, weight in backbone:
            if name in left:
                left.discard(name)
                update = self._tensors[name + _UP] @ self._tensors[name + _DOWN]
                yield name, weight + np.float32(self._scale) * update
            else:
                yield name, weight
        if left:
            raise CorruptModelError(f"{self._path} updates weights that the backbone lacks: {sorted(left)}")
