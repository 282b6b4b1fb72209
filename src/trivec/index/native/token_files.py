"""The tensors of a segment's token vectors.

Under a prefix: ``codes`` (tokens, ...), ``offsets`` (n + 1) of the passages' tokens, ``layout`` (codec, width, seed of
the rotation); for codecs of few bits ``scales`` (tokens); for int4 and residual2 also ``lists`` (tokens), the number of
each token's centroid, 16 bits without sign, ``factors`` (tokens), and ``centroids`` (K, c).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivec.index.native.token_codecs import TOKEN_CODECS, Codes, TokenCoder, plain_coder
from trivec.index.native.token_maxsim import CodedPassages
from trivec.index.native.token_residual import ResidualCoder
from trivec.tensorfile import TensorWriter
from trivec.types import IntArray


def write_passages(
    writer: TensorWriter, prefix: str, coder: TokenCoder, pieces: Iterable[Codes], lengths: Sequence[IntArray]
) -> None:
    """Stream the codes, then write what was gathered beside them: at most eight bytes a token.

    ``lengths`` of the passages may still grow while the pieces come.
    """
    beside = [Codes(np.zeros((0, coder.code_width), coder.dtype))]

    def values() -> Iterator[NDArray[Any]]:
        for codes in pieces:
            beside.append(replace(codes, values=beside[0].values))
            yield codes.values

    writer.stream(f"{prefix}.codes", coder.dtype, (coder.code_width,), values())
    writer.add(f"{prefix}.offsets", np.cumsum(np.concatenate([np.zeros(1, np.int64), *lengths]), dtype=np.int64))
    seed = coder.seed if isinstance(coder, ResidualCoder) else 0
    writer.add(f"{prefix}.layout", np.asarray([TOKEN_CODECS.index(coder.codec), coder.width, seed], np.int64))
    if coder.bits <= 8:
        writer.add(f"{prefix}.scales", np.concatenate([codes.scales for codes in beside]))
    if isinstance(coder, ResidualCoder):
        writer.add(f"{prefix}.lists", np.concatenate([codes.lists for codes in beside]).view(np.int16))
        writer.add(f"{prefix}.factors", np.concatenate([codes.factors for codes in beside]))
        writer.add(f"{prefix}.centroids", coder.centroids)


def read_passages(arrays: Mapping[str, NDArray[Any]], prefix: str) -> CodedPassages:
    """A part's arrays. A KeyError names a tensor that is missing, a ValueError says what does not fit."""
    number, width, seed = _tensor(arrays, f"{prefix}.layout", np.int64, 1).tolist()
    if not (0 <= number < len(TOKEN_CODECS) and width > 0 and 0 <= seed < 1 << 32):
        raise ValueError(f"there is no codec number {number} of width {width} with seed {seed}")
    codec = TOKEN_CODECS[number]
    coder: TokenCoder
    codes = Codes(arrays[f"{prefix}.codes"])
    if codec == "int4" or codec == "residual2":
        coder = ResidualCoder(codec, _tensor(arrays, f"{prefix}.centroids", np.float16, 2), seed)
        lists = _tensor(arrays, f"{prefix}.lists", np.int16, 1).view(np.uint16)
        codes = replace(codes, lists=lists, factors=_tensor(arrays, f"{prefix}.factors", np.float16, 1))
    else:
        coder = plain_coder(codec, width)
    if coder.bits <= 8:
        codes = replace(codes, scales=_tensor(arrays, f"{prefix}.scales", np.float32, 1))
    passages = CodedPassages(coder, codes, _tensor(arrays, f"{prefix}.offsets", np.int64, 1))
    _check(passages, width)
    return passages


def _tensor(arrays: Mapping[str, NDArray[Any]], name: str, dtype: type[np.generic], dimensions: int) -> NDArray[Any]:
    array = arrays[name]
    if array.dtype != dtype or array.ndim != dimensions:
        raise ValueError(f"tensor {name!r} is {array.dtype} of shape {array.shape}")
    return array


def _check(passages: CodedPassages, width: int) -> None:
    coder, codes, offsets = passages.coder, passages.codes, passages.offsets
    if coder.width != width or codes.values.dtype != coder.dtype or codes.values.shape[1:] != (coder.code_width,):
        raise ValueError(f"codes are {codes.values.dtype} of shape {codes.values.shape}")
    beside = [len(codes) if coder.bits <= 8 else 0] + 2 * [len(codes) if coder.bits < 8 else 0]
    if [len(codes.scales), len(codes.lists), len(codes.factors)] != beside:
        raise ValueError(f"{len(codes)} codes have {len(codes.scales)} scales, {len(codes.lists)} lists")
    if not len(offsets) or offsets[0] != 0 or offsets[-1] != len(codes) or np.any(np.diff(offsets) < 0):
        raise ValueError(f"the offsets do not rise from 0 to {len(codes)}")
