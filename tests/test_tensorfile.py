from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from trivec.errors import CorruptModelError
from trivec.tensorfile import TensorWriter, memory_map, read_header, replacing, write_json, write_tensors, write_text

DTYPES = ["float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool"]


def write_raw(path: Path, header: object, data: bytes = b"") -> Path:
    """A file with this header, in the layout of safetensors."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def entry(dtype: object = "F32", shape: object = (2,), offsets: object = (0, 8)) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def test_places_are_bytes_from_the_start_of_the_file(tmp_path: Path) -> None:
    tensors = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.arange(5, dtype=np.int64)}
    save_file(tensors, tmp_path / "file", metadata={"who": "test"})
    places, metadata = read_header(tmp_path / "file")
    assert metadata == {"who": "test"}
    assert places["a"].shape == (2, 3)
    content = (tmp_path / "file").read_bytes()
    for name, place in places.items():
        assert content[place.offset : place.offset + place.length] == tensors[name].tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_map_reads_what_the_package_writes(tmp_path: Path, dtype: str) -> None:
    tensors = {
        "matrix": np.arange(6).reshape(2, 3).astype(dtype),
        "scalar": np.array(1, dtype),
        "empty": np.zeros((0, 4), dtype),
    }
    save_file(tensors, tmp_path / "file")
    mapped = memory_map(tmp_path / "file")
    assert mapped.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert mapped[name].dtype == tensor.dtype
        np.testing.assert_array_equal(mapped[name], tensor)
        assert mapped[name].shape == tensor.shape


def test_bfloat16_is_read_as_float32(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file as save_torch_file

    values = torch.tensor([[1.0, -2.5, 3e38], [float("inf"), 1e-40, 0.1]], dtype=torch.bfloat16)
    save_torch_file({"x": values}, tmp_path / "file")
    read = memory_map(tmp_path / "file")["x"]
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, values.float().numpy())


def test_tensors_that_lie_at_odd_offsets_are_read(tmp_path: Path) -> None:
    data = b"\x07" + np.array([1.5, -2], "<f4").tobytes()
    header = {"x": entry("U8", (1,), (0, 1)), "y": entry("F32", (2,), (1, 9))}
    mapped = memory_map(write_raw(tmp_path / "file", header, data))
    assert mapped["x"].tolist() == [7]
    assert mapped["y"].tolist() == [1.5, -2]


def test_the_package_reads_what_is_written_here(tmp_path: Path) -> None:
    tensors = {"transposed": np.arange(6, dtype=np.float32).reshape(2, 3).T, "strided": np.arange(9)[::2]}
    write_tensors(tmp_path / "new" / "file", tensors, {"format": "pt"})
    read = load_file(tmp_path / "new" / "file")
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(read[name], tensor)
    assert read_header(tmp_path / "new" / "file")[1] == {"format": "pt"}


def test_a_map_is_read_only(tmp_path: Path) -> None:
    write_tensors(tmp_path / "file", {"x": np.ones(2)}, {})
    with pytest.raises(ValueError, match="read-only"):
        memory_map(tmp_path / "file")["x"][0] = 5


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x01\x02",
        struct.pack("<Q", 1 << 40) + b"{}",
        struct.pack("<Q", 10) + b"{}",
        struct.pack("<Q", 2) + b"xx",
        struct.pack("<Q", 2) + b"\xff\xfe",
        b"PK\x03\x04" + bytes(100),
    ],
    ids=["empty", "two bytes", "huge header", "long header", "no json", "no utf-8", "zip"],
)
def test_a_file_that_is_no_safetensors_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(CorruptModelError, match="not a whole safetensors file"):
        read_header(tmp_path / "file")


@pytest.mark.parametrize(
    "header",
    [
        [],
        "text",
        {"x": None},
        {"x": {"dtype": "F32"}},
        {"x": entry(dtype="F99")},
        {"x": entry(dtype=None)},
        {"x": entry(shape="ab")},
        {"x": entry(shape=(3,))},
        {"x": entry(shape=(-2, -1))},
        {"x": entry(shape=(10**30,))},
        {"x": entry(shape=(2**62, 4), offsets=(0, 0))},
        {"x": entry(offsets=(0,))},
        {"x": entry(offsets=(-8, 0))},
        {"x": entry(offsets=(8, 16))},
        {"x": entry(offsets=(8, 0))},
        {"__metadata__": None, "x": entry()},
        {"__metadata__": "text", "x": entry()},
    ],
    ids=lambda header: str(header).replace("data_", "")[:60],
)
def test_a_damaged_header_is_refused(tmp_path: Path, header: object) -> None:
    write_raw(tmp_path / "file", header, bytes(8))
    with pytest.raises(CorruptModelError, match="not a whole safetensors file"):
        memory_map(tmp_path / "file")


def test_replacing_puts_a_whole_file_in_place(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file"
    with replacing(path) as temporary:
        assert temporary.parent == path.parent
        assert not path.exists()
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_replacing_leaves_the_old_file_when_the_block_fails(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fail() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_tensor_that_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_tensors(path, {"x": np.ones(2)}, {})
    old = path.read_bytes()
    with pytest.raises(Exception):  # noqa: B017  the package's own error
        write_tensors(path, {"x": np.array(["text"], object)}, {})
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


def test_text_and_json_are_utf8(tmp_path: Path) -> None:
    write_text(tmp_path / "text", "für 北京")
    assert (tmp_path / "text").read_bytes() == "für 北京".encode()
    write_json(tmp_path / "json", {"prompt": "为这个"})
    content = (tmp_path / "json").read_text("utf-8")
    assert json.loads(content) == {"prompt": "为这个"}
    assert "为这个" in content
    assert content.endswith("}\n")


def test_a_file_written_piece_by_piece_is_read_by_both_readers(tmp_path: Path) -> None:
    path = tmp_path / "pieces.safetensors"
    tensors = {
        "floats": np.arange(6, dtype=np.float32).reshape(3, 2),
        "bytes": np.arange(5, dtype=np.uint8),
        "truth": np.asarray([True, False]),
        "signed": np.asarray([-1, 1], np.int8),
        "halves": np.ones((2, 1), np.float16),
        "none": np.zeros((0, 4), np.int64),
    }
    writer = TensorWriter(path, {"format": "test"})
    for name, array in tensors.items():
        assert writer.stream(name, array.dtype, array.shape[1:], [array[:1], array[1:]]) == len(array)
    writer.finish()
    assert read_header(path)[1] == {"format": "test"}
    for read in (memory_map(path), load_file(path)):
        for name, array in tensors.items():
            np.testing.assert_array_equal(read[name], array)
            assert read[name].dtype == array.dtype
    assert all(place.offset % 64 == 0 for name, place in read_header(path)[0].items() if not name.startswith("__"))


def test_a_file_without_its_header_is_refused(tmp_path: Path) -> None:
    writer = TensorWriter(tmp_path / "torn.safetensors", {})
    writer.add("a", np.zeros(3))
    with pytest.raises(ValueError, match="twice"):
        writer.add("a", np.zeros(3))
    with pytest.raises(ValueError, match="among"):
        writer.stream("b", np.dtype(np.float32), (), [np.zeros(2)])
    writer.close()
    with pytest.raises(CorruptModelError):
        read_header(tmp_path / "torn.safetensors")
