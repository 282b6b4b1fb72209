"""Scattered passages are read from the file, and score as mapped ones do, bit for bit."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from trivec.errors import LibraryError
from trivec.index.native import token_reading, token_residual
from trivec.index.native.token_part import TokenPart
from trivec.index.native.tokens import TokenCodec, write_tokens
from trivec.ragged import Ragged
from trivec.tensorfile import TensorWriter, memory_map
from trivec.types import FloatArray

each_codec = pytest.mark.parametrize("codec", get_args(TokenCodec))


@pytest.fixture(autouse=True)
def few_tokens_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_residual, "MIN_TOKENS", 10)


def write(path: Path, codec: TokenCodec) -> Path:
    rng = np.random.default_rng(0)
    rows = [rng.standard_normal((length, 12)).astype(np.float32) for length in rng.integers(0, 9, 60)]
    writer = TensorWriter(path, {})
    write_tokens(writer, "multi", 12, [Ragged.from_rows(rows, 12)], codec)
    writer.finish()
    return path


def query() -> FloatArray:
    return np.random.default_rng(1).standard_normal((5, 12)).astype(np.float32)


@pytest.fixture(params=["compiled", "python"], autouse=True)
def kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to read; the first is left out where it was not built."""
    if request.param == "python":
        monkeypatch.setattr(token_reading, "_kernels", None)
    elif token_reading._kernels is None:
        pytest.skip("the kernel was not built")


def test_the_kernel_refuses_what_does_not_fit(tmp_path: Path) -> None:
    if token_reading._kernels is None:
        pytest.skip("the kernel was not built")
    (tmp_path / "file").write_bytes(b"0123456789")
    room = np.zeros(4, np.uint8)
    with (tmp_path / "file").open("rb") as file:
        token_reading._kernels.gather(file.fileno(), np.array([7, 1]), np.array([3, 1]), room)
        assert room.tobytes() == b"7891"
        for places, lengths in (([0], [3]), ([0, 4], [9, -5]), ([-1], [4]), ([0, 1], [4])):
            with pytest.raises(ValueError, match="do not fit"):
                token_reading._kernels.gather(file.fileno(), np.array(places), np.array(lengths), room)
        with pytest.raises(ValueError, match="the file ends"):
            token_reading._kernels.gather(file.fileno(), np.array([8]), np.array([4]), room)
    with pytest.raises(OSError):
        token_reading._kernels.gather(10_000, np.array([0]), np.array([4]), room)


@each_codec
def test_read_rows_score_as_mapped_ones(tmp_path: Path, codec: TokenCodec) -> None:
    path = write(tmp_path / "file", codec)
    mapped = TokenPart(memory_map(path), "multi")
    assert mapped._reader is None
    read = TokenPart(memory_map(path), "multi", memory=0)
    assert read._reader is not None
    for rows in ([5], [7, 3, 59, 0, 7], [], list(range(0, 60, 7)), list(range(60))):
        chosen = np.asarray(rows, np.int64)
        np.testing.assert_array_equal(read.maxsim(query(), chosen), mapped.maxsim(query(), chosen))


def test_many_threads_read_at_once(tmp_path: Path) -> None:
    part = TokenPart(memory_map(write(tmp_path / "file", "int8")), "multi", memory=0)
    requests = [np.random.default_rng(seed).permutation(60)[:20] for seed in range(50)]
    alone = [part.maxsim(query(), rows) for rows in requests]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda rows: part.maxsim(query(), rows), requests))
    np.testing.assert_array_equal(together, alone)


def test_a_file_that_has_become_shorter_is_damage(tmp_path: Path) -> None:
    path = write(tmp_path / "file", "int8")
    part = TokenPart(memory_map(path), "multi", memory=0)
    assert part._reader is not None
    part._reader._starts[0] = 1 << 40  # to cut the file itself would take the maps of other arrays with it
    with pytest.raises(LibraryError, match="the file ends before"):
        part.maxsim(query(), np.asarray([1, 5, 9]))
