"""Token vectors in several files: taken over by merges, and searched as if they were one."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trivec.errors import InputError, LibraryError
from trivec.index import NativeOptions, NativeStore, parse_filter
from trivec.index.native import token_merging, token_parts
from trivec.index.native.checking import verify_store
from trivec.index.native.dense import DenseOptions
from trivec.index.native.segment import DATA
from trivec.index.native.settings import MergeOptions
from trivec.index.native.token_part import TokenPart
from trivec.index.native.token_parts import PREFIX, ROWS, TokenParts, token_file
from trivec.index.native.tokens import TokenCodec, write_tokens
from trivec.ragged import Ragged
from trivec.tensorfile import TensorWriter, memory_map
from trivec.types import FloatArray, Passage

from store_cases import Model, check_store, embeddings

EXACT = NativeOptions(DenseOptions("float32"), "float32")
STILL = replace(EXACT, merge=MergeOptions(small_segments=1000, factor=1000, max_dead_share=1))
"""No merging unless asked."""
BUSY = replace(EXACT, merge=MergeOptions(small_rows=20, small_segments=2, factor=2, max_dead_share=0.2))
"""Merging after nearly every write."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def own_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Merges put token vectors into files of their own, however few, and at most three."""
    monkeypatch.setattr(token_merging, "OWN_FILES_FROM", 0)
    monkeypatch.setattr(token_merging, "MOST_FILES", 3)


def fill(store: NativeStore, model: Model, count: int, first: int) -> None:
    passages = [Passage(f"d{i}", f"text {i}", metadata={"tenth": i % 10}) for i in range(first, first + count)]
    vectors = embeddings(first, count)
    store.upsert(passages, vectors)
    model.upsert(passages, vectors)


def check(store: NativeStore, model: Model) -> None:
    for where in (None, {"tenth": 3}):
        check_store(store, model, embeddings(99, 1), parse_filter(where), 10)


def token_files(folder: Path) -> list[tuple[str, int]]:
    """Names of all files of token vectors, and which files they are."""
    return sorted((path.name, path.stat().st_ino) for path in folder.glob("segments/*/tokens-*"))


def merged_twice(folder: Path, model: Model) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """The files after a first merge, and after a second one with more passages."""
    with closing(NativeStore.create(folder, options=STILL)) as store:
        for batch in range(3):
            fill(store, model, 10, 10 * batch)
        store.optimize()
        before = token_files(folder)
        fill(store, model, 7, 40)
        store.optimize()
        check(store, model)
        return before, token_files(folder)


@pytest.mark.usefixtures("own_files")
def test_a_merge_takes_over_files_that_are_whole(folder: Path) -> None:
    model = Model({}, {})
    before, after = merged_twice(folder, model)
    assert [name for name, _ in before] == ["tokens-00.safetensors"]
    assert [name for name, _ in after] == ["tokens-00.safetensors", "tokens-01.safetensors"]
    assert after[0] == before[0]
    (data,) = folder.glob(f"segments/*/{DATA}")
    arrays = memory_map(data)
    assert arrays[ROWS].tolist() == [30, 7]
    assert not [name for name in arrays if name.startswith("multi.") and name != ROWS]
    assert verify_store(folder) == []
    with closing(NativeStore.open(folder)) as store:
        check(store, model)


def test_few_token_vectors_stay_in_the_segments_own_file(folder: Path) -> None:
    before, after = merged_twice(folder, Model({}, {}))
    assert before == after == []


@pytest.mark.usefixtures("own_files")
def test_a_file_with_a_deleted_passage_is_written_anew(folder: Path) -> None:
    model = Model({}, {})
    merged_twice(folder, model)
    with closing(NativeStore.open(folder)) as store:
        before = token_files(folder)
        store.delete(["d5#0"])
        model.delete(["d5#0"])
        store.optimize()
        check(store, model)
        after = token_files(folder)
    assert after[0][1] != before[0][1]
    assert after[1] == before[1]
    assert verify_store(folder) == []


@pytest.mark.usefixtures("own_files")
def test_files_stay_few(folder: Path) -> None:
    model = Model({}, {})
    with closing(NativeStore.create(folder, options=STILL)) as store:
        fill(store, model, 50, 0)
        fill(store, model, 5, 50)
        store.optimize()
        large = token_files(folder)[0]
        for batch in range(5):
            fill(store, model, 4 + batch, 100 + 10 * batch)
            store.optimize()
            assert len(token_files(folder)) <= 3
        check(store, model)
        assert token_files(folder)[0] == large
    assert verify_store(folder) == []


@pytest.mark.usefixtures("own_files")
def test_a_store_that_merges_all_the_time_finds_everything(folder: Path) -> None:
    model = Model({}, {})
    for round_ in range(4):
        with closing(NativeStore.create(folder, options=BUSY) if round_ == 0 else NativeStore.open(folder)) as store:
            for batch in range(5):
                fill(store, model, 6, 40 * round_ + 8 * batch)
            store.delete([f"d{40 * round_ + 3}#0"])
            model.delete([f"d{40 * round_ + 3}#0"])
            check(store, model)
    assert token_files(folder)
    assert verify_store(folder) == []


@pytest.mark.usefixtures("own_files")
def test_without_links_files_are_copied(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    model = Model({}, {})
    before, after = merged_twice(folder, model)
    assert after[0][0] == before[0][0]
    assert after[0][1] != before[0][1]
    assert verify_store(folder) == []


@pytest.mark.usefixtures("own_files")
def test_a_merge_that_breaks_off_changes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Crash(Exception):
        pass

    def crashing(*_: object) -> None:
        raise Crash

    model = Model({}, {})
    merged_twice(folder, model)
    with closing(NativeStore.open(folder)) as store:
        fill(store, model, 5, 60)
        for point in ("token_merging.link_or_copy", "token_merging.merge_tokens", "rewriting.seal"):
            with monkeypatch.context() as patch, pytest.raises(Crash):
                patch.setattr(f"trivec.index.native.{point}", crashing)
                store.optimize()
            check(store, model)
            assert store.verify() == []
        store.optimize()
        check(store, model)
    assert verify_store(folder) == []


@pytest.mark.usefixtures("own_files")
def test_damage_in_a_shared_file_is_named(folder: Path) -> None:
    merged_twice(folder, Model({}, {}))
    (path,) = folder.glob("segments/*/tokens-01.safetensors")
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)
    assert f"{path} is not what was written: its SHA-256 has changed" in verify_store(folder)
    path.unlink()
    assert f"{path} is missing" in verify_store(folder)[0]
    with pytest.raises(LibraryError, match=r"tokens-01\.safetensors is missing"):
        NativeStore.open(folder)


@pytest.mark.usefixtures("own_files")
def test_files_of_other_passages_are_refused(folder: Path) -> None:
    merged_twice(folder, Model({}, {}))
    (path,) = folder.glob(f"segments/*/{DATA}")
    arrays = dict(memory_map(path))
    assert [len(part) for part in TokenParts.open(path.parent, arrays).parts] == [30, 7]
    for rows in ([29, 8], []):
        with pytest.raises(ValueError, match=r"hold \[.*\] passages, not"):
            TokenParts.open(path.parent, arrays | {ROWS: np.asarray(rows, np.int64)})


def passages(seed: int, lengths: Sequence[int]) -> Ragged:
    rng = np.random.default_rng(seed)
    return Ragged.from_rows([rng.standard_normal((length, 12)).astype(np.float32) for length in lengths], 12)


def part(path: Path, content: Ragged, codec: TokenCodec) -> TokenPart:
    writer = TensorWriter(path, {})
    write_tokens(writer, PREFIX, 12, [content], codec)
    writer.finish()
    return TokenPart(memory_map(path), PREFIX)


def query() -> FloatArray:
    return np.random.default_rng(1).standard_normal((5, 12)).astype(np.float32)


@pytest.mark.parametrize("for_two", [0, 1 << 40])
@pytest.mark.parametrize("codec", ["float32", "float16", "int8"])
def test_several_parts_answer_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: TokenCodec, for_two: int
) -> None:
    monkeypatch.setattr(token_parts, "_FOR_TWO", for_two)
    monkeypatch.setattr(token_parts, "_PIECE_BYTES", 100)
    contents = [passages(seed, lengths) for seed, lengths in enumerate([[3, 0, 5], [1], [2, 8, 1, 4]])]
    several = TokenParts([part(tmp_path / token_file(n), content, codec) for n, content in enumerate(contents)])
    whole = TokenParts([part(tmp_path / "whole", Ragged.concatenate(contents), codec)])
    assert len(several) == len(whole) == 8
    split = [(number, rows.tolist()) for number, rows in several.split(np.asarray([1, 3, 4, 7]))]
    assert split == [(0, [1]), (1, [0]), (2, [0, 3])]
    np.testing.assert_array_equal(several.maxsim(query()), whole.maxsim(query()))
    for rows in ([5], [7, 3, 0, 6, 7, 1], [], [4, 5], list(range(8))):
        chosen = np.asarray(rows, np.int64)
        np.testing.assert_array_equal(several.maxsim(query(), chosen), whole.maxsim(query(), chosen))
        found, expected = several.vectors(chosen), whole.vectors(chosen)
        np.testing.assert_array_equal(found.values, expected.values)
        np.testing.assert_array_equal(found.offsets, expected.offsets)


@pytest.mark.parametrize("row", [-1, 4])
def test_rows_that_are_not_there_are_refused(tmp_path: Path, row: int) -> None:
    parts = [part(tmp_path / str(n), passages(n, [2, 1]), "int8") for n in range(2)]
    for tokens in (TokenParts(parts), TokenParts(parts[:1])):
        if row < 0 or row >= len(tokens):
            for ask in (tokens.vectors, lambda rows, tokens=tokens: tokens.maxsim(query(), rows)):
                with pytest.raises(InputError, match=f"no row {row}"):
                    ask(np.asarray([0, row]))


def test_a_query_of_another_width_is_refused(tmp_path: Path) -> None:
    tokens = TokenParts([part(tmp_path / str(n), passages(n, [2, 1]), "int8") for n in range(2)])
    for rows in (None, np.asarray([], np.int64), np.asarray([3])):
        with pytest.raises(InputError, match="width 12"):
            tokens.maxsim(np.ones((2, 3), np.float32), rows)
