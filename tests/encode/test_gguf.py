"""The GGUF reader: blocks against hand-worked numbers, and files that are damaged or of another kind."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from trivec.encode.gguf import GgufFile
from trivec.errors import CorruptModelError, InputError

from tiny_gguf import F32, Q4_1, Q8_0, Packed, pack_four_bits, write_gguf

ENTRIES = {
    "general.architecture": "llama",
    "count": 7,
    "share": 0.5,
    "right": True,
    "words": ["a", "Äpfel", ""],
    "numbers": [1, 2],
}
FOUR_BITS = struct.pack("<ee", 0.5, -2.0) + bytes([0x10, 0xF2, *[0] * 13, 0x3F])
"""Scale 0.5, least -2: byte 0 holds codes 0 and 1, byte 1 codes 2 and 15, byte 15 codes 15 and 3."""
EIGHT_BITS = struct.pack("<e32b", 0.25, 4, -8, *[0] * 29, -128)


def whole_file() -> bytes:
    tensors: dict[str, Packed] = {
        "norm": ([3], F32, np.array([1, -2, 0.5], "<f4").tobytes()),
        "matrix": ([32, 2], Q4_1, FOUR_BITS * 2),
        "table": ([32, 1], Q8_0, EIGHT_BITS),
    }
    return write_gguf(ENTRIES, tensors)


def test_float32() -> None:
    np.testing.assert_array_equal(GgufFile(whole_file()).tensor("norm"), np.array([1, -2, 0.5], np.float32))


def test_blocks_of_four_bits() -> None:
    matrix = GgufFile(whole_file()).tensor("matrix")
    assert (matrix.shape, matrix.dtype) == ((2, 32), np.float32)
    expected = np.full(32, -2.0)
    expected[[16, 1, 17, 15, 31]] = [0.5 - 2, 1 - 2, 7.5 - 2, 7.5 - 2, 1.5 - 2]
    np.testing.assert_array_equal(matrix, [expected, expected])


def test_blocks_of_eight_bits() -> None:
    table = GgufFile(whole_file()).tensor("table")
    np.testing.assert_array_equal(table, [[1.0, -2.0, *[0.0] * 29, -32.0]])


def test_packing_and_unpacking_keep_what_four_bits_can_hold() -> None:
    values = np.random.RandomState(0).uniform(-1, 1, (5, 64)).astype(np.float32)
    packed, rounded = pack_four_bits(values)
    np.testing.assert_array_equal(GgufFile(write_gguf({}, {"w": packed})).tensor("w"), rounded)
    assert np.abs(rounded - values).max() < 0.08


def test_what_a_file_says() -> None:
    file = GgufFile(whole_file())
    assert file.names == ["norm", "matrix", "table"]
    assert file.entries == ENTRIES
    assert (file.value("count", int), file.value("share", float)) == (7, 0.5)
    assert file.value("words", list) == ["a", "Äpfel", ""]


@pytest.mark.parametrize(("key", "kind"), [("none", str), ("count", str), ("right", int), ("words", str)])
def test_what_a_file_does_not_say(key: str, kind: type) -> None:
    with pytest.raises(
        CorruptModelError, match=rf"the GGUF file has .* for {key}, where a value of kind {kind.__name__}"
    ):
        GgufFile(whole_file()).value(key, kind)


def test_another_alignment() -> None:
    values = np.arange(5, dtype="<f4")
    tensors: dict[str, Packed] = {"a": ([1], F32, values[:1].tobytes()), "b": ([5], F32, values.tobytes())}
    file = GgufFile(write_gguf({"general.alignment": 8}, tensors, alignment=8))
    np.testing.assert_array_equal(file.tensor("b"), values)


def test_a_missing_tensor_is_named() -> None:
    with pytest.raises(CorruptModelError, match="lacks the tensor output"):
        GgufFile(whole_file()).tensor("output")


def test_a_file_that_was_cut_off_is_refused_at_every_length() -> None:
    file = whole_file()
    for length in range(len(file)):
        with pytest.raises(CorruptModelError, match="the GGUF file cannot be read"):
            GgufFile(file[:length])


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (([48], Q4_1, FOUR_BITS * 2), r"the tensor w of shape \(48,\) is no number of blocks"),
        (([], F32, b"1234"), r"the tensor w of shape \(\) is no number of blocks"),
        (([1 << 62], F32, b"1234"), "the tensor w ends at byte"),
    ],
)
def test_shapes_that_cannot_be(tensor: Packed, message: str) -> None:
    with pytest.raises(CorruptModelError, match=message):
        GgufFile(write_gguf({}, {"w": tensor}))


@pytest.mark.parametrize(
    "file",
    [
        b"E5S1" + bytes(100),
        write_gguf({"general.alignment": 0}, {}),
        write_gguf({"general.alignment": "32"}, {}),
        write_gguf({"k": 1}, {}).replace(struct.pack("<I", 4), struct.pack("<I", 99)),
        write_gguf({"k": ["a"]}, {}).replace(struct.pack("<IQ", 8, 1), struct.pack("<IQ", 8, 1 << 60)),
        write_gguf({"k": "a"}, {}).replace(b"\1\0\0\0\0\0\0\0a", b"\1\0\0\0\0\0\0\0\xff"),
    ],
    ids=["magic", "no alignment", "text for alignment", "kind", "endless list", "no text"],
)
def test_other_damage(file: bytes) -> None:
    with pytest.raises(CorruptModelError, match="the GGUF file cannot be read"):
        GgufFile(file)


def test_another_version_is_refused() -> None:
    with pytest.raises(InputError, match="of version 2, and version 3 is read"):
        GgufFile(write_gguf({}, {}, version=2))


def test_another_block_type_is_named() -> None:
    with pytest.raises(InputError, match=r"the tensor w .* has block type 14, .*\(F32, Q4_1, Q8_0\) are read"):
        GgufFile(write_gguf({}, {"w": ([256], 14, bytes(210))}))
