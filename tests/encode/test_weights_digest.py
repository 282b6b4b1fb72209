"""What tells two models apart: a digest of the weights, and a fingerprint of all that decides about vectors."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trivec
from trivec.encode.loading import weights_digest

import tiny_models

Tiny = Callable[[str], Path]


@pytest.fixture
def copied(tiny: Tiny, caches: Path) -> Path:
    return Path(shutil.copytree(tiny("m3"), caches / "copy" / "m3"))


def change_byte(path: Path, position: float) -> None:
    content = bytearray(path.read_bytes())
    content[int(position * (len(content) - 1))] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("position", [0.2, 0.5, 0.9, 1.0])
def test_the_digest_of_a_small_file_sees_every_byte(copied: Path, position: float) -> None:
    before = weights_digest(copied)
    change_byte(copied / "model.safetensors", position)
    assert weights_digest(copied) != before


@given(position=st.integers(0, 999_999))
def test_the_digest_of_a_file_of_a_million_bytes_sees_every_byte(
    tmp_path_factory: pytest.TempPathFactory, position: int
) -> None:
    folder = tmp_path_factory.mktemp("weights")
    content = bytearray(1_000_000)
    (folder / "model.safetensors").write_bytes(content)
    before = weights_digest(folder)
    content[position] = 1
    (folder / "model.safetensors").write_bytes(content)
    assert weights_digest(folder) != before


def test_the_digest_of_a_large_file_sees_its_size_its_ends_and_any_long_stretch(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"

    def digest_with(place: int | None, size: int = 50_000_000) -> str:
        with path.open("wb") as file:
            file.truncate(size)
            if place is not None:
                file.seek(place)
                file.write(b"\1" * min(1_000_000, size - place))
        return weights_digest(tmp_path)

    digests = [digest_with(place) for place in (None, 0, 12_345_678, 30_000_000, 49_999_999)]
    assert len({*digests, digest_with(None, 50_000_001)}) == 6


def test_the_digest_does_not_depend_on_where_the_folder_lies(tiny: Tiny, copied: Path) -> None:
    assert weights_digest(copied) == weights_digest(tiny("m3"))
    assert trivec.load(copied).fingerprint == trivec.load(tiny("m3")).fingerprint


def test_the_fingerprint_changes_with_a_head(copied: Path, tiny: Tiny) -> None:
    other = tiny_models.write_tiny_m3(copied.parent / "other", multi_width=24, seed=5)
    shutil.copy(other / "colbert_linear.pt", copied)
    before, after = trivec.load(tiny("m3")).fingerprint, trivec.load(copied).fingerprint
    assert [line.split(":")[0] for line in before.differences(after)] == ["heads"]
    assert before.heads["sparse"] == after.heads["sparse"]


def test_the_fingerprint_changes_with_the_tokenizer(copied: Path, tiny: Tiny) -> None:
    """Other pieces, other vectors: equal digests promise equal vectors."""
    path = copied / "tokenizer.json"
    content = json.loads(path.read_text("utf-8"))
    content["normalizer"]["normalizers"].insert(0, {"type": "Lowercase"})
    path.write_text(json.dumps(content))
    before, after = trivec.load(tiny("m3")), trivec.load(copied)
    assert abs(before.encode("The CITY").dense - after.encode("The CITY").dense).max() > 0.01
    assert before.fingerprint.digest != after.fingerprint.digest


def test_the_fingerprint_changes_with_the_config(copied: Path, tiny: Tiny) -> None:
    """Of the same weights, fewer layers or another activation make another model."""
    path = copied / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"num_hidden_layers": 1}))
    before, after = trivec.load(tiny("m3")), trivec.load(copied)
    assert abs(before.encode("the city").dense - after.encode("the city").dense).max() > 0.01
    assert before.fingerprint.digest != after.fingerprint.digest
