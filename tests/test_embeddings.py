from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import example, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from trivec.embeddings import FORMAT_VERSION, Embeddings, Fingerprint
from trivec.errors import CorruptModelError, InputError, MissingHeadError, TrivecError
from trivec.ragged import Ragged
from trivec.tensorfile import write_tensors

PRINT = Fingerprint("tiny", "0123", {"dense": "2, cls"}, "query: ", "passage: ", 512)
SPARSE = np.array([[0, 0.5, 0, 2], [0, 0, 0, 0], [1, 0, 0.25, 0]], np.float32)
MULTI = [[[1, 0], [0, 1]], np.zeros((0, 2)), [[0.6, 0.8]]]


def example_embeddings() -> Embeddings:
    """Three texts with all heads; the second is empty."""
    return Embeddings(
        dense=np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32),
        sparse=sp.csr_array(SPARSE),
        multi=Ragged.from_rows([np.asarray(rows, np.float32) for rows in MULTI]),
        terms=sp.csr_array(np.ceil(SPARSE)),
        fingerprint=PRINT,
    )


def assert_texts(vectors: Embeddings, rows: list[int]) -> None:
    """These texts of the example, exactly."""
    whole = example_embeddings()
    assert len(vectors) == len(rows)
    np.testing.assert_array_equal(vectors.dense, whole.dense[rows])
    np.testing.assert_array_equal(vectors.sparse.toarray(), whole.sparse.toarray()[rows])
    np.testing.assert_array_equal(vectors.terms.toarray(), whole.terms.toarray()[rows])
    assert [row.tolist() for row in vectors.multi] == [whole.multi[row].tolist() for row in rows]
    assert vectors.fingerprint == whole.fingerprint


def test_heads_names_what_is_there() -> None:
    whole = example_embeddings()
    assert whole.heads == ("dense", "sparse", "multi", "terms")
    assert Embeddings(terms=whole.terms, dense=whole.dense).heads == ("dense", "terms")
    assert Embeddings().heads == ()
    assert len(Embeddings()) == 0


def test_heads_of_different_lengths_are_refused() -> None:
    whole = example_embeddings()
    with pytest.raises(InputError, match="'dense': 3, 'sparse': 2"):
        Embeddings(dense=whole.dense, sparse=whole.sparse[:2])


def test_require_names_the_missing_head_and_the_others() -> None:
    vectors = example_embeddings().with_heads("dense", "terms")
    vectors.require("terms")
    with pytest.raises(MissingHeadError, match="no 'multi' vectors, only dense, terms"):
        vectors.require("dense", "multi")


def test_with_heads_drops_the_others() -> None:
    vectors = example_embeddings().with_heads("multi")
    assert vectors.heads == ("multi",)
    assert vectors.fingerprint == PRINT


@given(st.slices(3))
def test_a_slice(chosen: slice) -> None:
    assert_texts(example_embeddings()[chosen], list(range(3))[chosen])


@given(st.lists(st.integers(-3, 2)))
def test_select_keeps_the_order_given(rows: list[int]) -> None:
    assert_texts(example_embeddings().select(rows), [row % 3 for row in rows])
    assert_texts(example_embeddings()[np.asarray(rows, np.int32)], [row % 3 for row in rows])


def test_one_text_by_number() -> None:
    assert_texts(example_embeddings()[1], [1])
    assert_texts(example_embeddings()[-1], [2])
    assert_texts(example_embeddings()[np.int64(2)], [2])


@pytest.mark.parametrize("index", [3, -4])
def test_a_number_out_of_range_is_refused(index: int) -> None:
    with pytest.raises(IndexError, match="of 3"):
        example_embeddings()[index]


@pytest.mark.parametrize("mask", [np.array([True, False, True]), [True, False, True]])
def test_a_boolean_mask_chooses_as_in_numpy(mask: np.ndarray | list[bool]) -> None:
    assert_texts(example_embeddings()[mask], [0, 2])


def test_iteration_gives_single_texts() -> None:
    for row, text in enumerate(example_embeddings()):
        assert_texts(text, [row])


@given(st.lists(st.slices(3), min_size=1, max_size=4))
def test_concatenate_joins_what_slices_took(slices: list[slice]) -> None:
    whole = example_embeddings()
    rows = [row for chosen in slices for row in range(3)[chosen]]
    assert_texts(Embeddings.concatenate([whole[chosen] for chosen in slices]), rows)


def test_concatenate_refuses_nothing() -> None:
    with pytest.raises(InputError, match="at least one part"):
        Embeddings.concatenate([])


def test_concatenate_refuses_different_heads() -> None:
    whole = example_embeddings()
    with pytest.raises(InputError, match=re.escape("('dense', 'sparse', 'multi', 'terms') and ('dense',)")):
        Embeddings.concatenate([whole, whole.with_heads("dense")])


def test_concatenate_refuses_another_model_and_says_what_differs() -> None:
    whole = example_embeddings()
    other = replace(whole, fingerprint=replace(PRINT, max_length=256))
    with pytest.raises(InputError, match="max_length: 512 / 256"):
        Embeddings.concatenate([whole, other])


def test_concatenate_refuses_another_model_behind_a_part_of_unknown_origin() -> None:
    whole = example_embeddings()
    other = replace(whole, fingerprint=replace(PRINT, weights="4567"))
    with pytest.raises(InputError, match="0123 / 4567"):
        Embeddings.concatenate([replace(whole, fingerprint=None), whole, other])


def test_concatenate_joins_models_that_differ_in_name_only() -> None:
    whole = example_embeddings()
    other = replace(whole, fingerprint=replace(PRINT, model="elsewhere"))
    assert len(Embeddings.concatenate([whole, other])) == 6


@pytest.mark.parametrize(
    "other",
    [
        Embeddings(dense=np.zeros((1, 3), np.float32)),
        Embeddings(sparse=sp.csr_array((1, 5), dtype=np.float32)),
        Embeddings(multi=Ragged.from_rows([], 3).select(slice(0, 0))),
    ],
    ids=["dense", "sparse", "multi"],
)
def test_concatenate_refuses_another_width(other: Embeddings) -> None:
    whole = replace(example_embeddings(), fingerprint=None).with_heads(*other.heads)
    with pytest.raises(InputError):
        Embeddings.concatenate([whole, other])


def test_a_saved_file_comes_back_equal_and_memory_mapped(tmp_path: Path) -> None:
    path = tmp_path / "new" / "vectors.safetensors"
    example_embeddings().save(path)
    loaded = Embeddings.load(path)
    assert_texts(loaded, [0, 1, 2])
    for array in (loaded.dense, loaded.multi.values, loaded.sparse.data):
        assert not array.flags.owndata
        assert not array.flags.writeable


def test_loaded_vectors_can_do_what_others_can(tmp_path: Path) -> None:
    example_embeddings().save(tmp_path / "vectors")
    loaded = Embeddings.load(str(tmp_path / "vectors"))
    assert_texts(loaded[[2, 0]], [2, 0])
    assert_texts(Embeddings.concatenate([loaded[:1], loaded[1:]]), [0, 1, 2])
    np.testing.assert_array_equal((loaded.sparse @ loaded.sparse.T).toarray(), SPARSE @ SPARSE.T)


@pytest.mark.parametrize("head", ["dense", "sparse", "multi", "terms"])
def test_one_head_alone_can_be_saved(tmp_path: Path, head: str) -> None:
    vectors = replace(example_embeddings().with_heads(head), fingerprint=None)
    vectors.save(tmp_path / "vectors")
    loaded = Embeddings.load(tmp_path / "vectors")
    assert loaded.heads == (head,)
    assert loaded.fingerprint is None
    assert len(loaded) == 3


def test_no_texts_and_no_heads_can_be_saved(tmp_path: Path) -> None:
    example_embeddings()[:0].save(tmp_path / "empty")
    assert_texts(Embeddings.load(tmp_path / "empty"), [])
    Embeddings(fingerprint=PRINT).save(tmp_path / "none")
    loaded = Embeddings.load(tmp_path / "none")
    assert loaded.heads == ()
    assert loaded.fingerprint == PRINT


def test_vectors_in_use_survive_a_new_file_in_their_place(tmp_path: Path) -> None:
    path = tmp_path / "vectors"
    example_embeddings().save(path)
    loaded = Embeddings.load(path)
    loaded[:1].save(path)
    assert_texts(loaded, [0, 1, 2])
    assert_texts(Embeddings.load(path), [0])


def test_a_truncated_file_is_refused_at_every_length(tmp_path: Path) -> None:
    path = tmp_path / "vectors"
    example_embeddings().save(path)
    content = path.read_bytes()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(CorruptModelError, match="not a whole safetensors file"):
            Embeddings.load(path)


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int, int], Path]:
    """A saved file in which one byte is another; the position counts modulo the file's length."""
    path = tmp_path_factory.mktemp("damaged") / "vectors"
    example_embeddings().save(path)
    content = path.read_bytes()

    def damage(position: int, byte: int) -> Path:
        changed = bytearray(content)
        changed[position % len(content)] = byte
        path.write_bytes(changed)
        return path

    return damage


@settings(max_examples=400)
@given(st.integers(0, 5000), st.integers(0, 255))
@example(40, ord("}"))
def test_a_damaged_byte_is_refused_by_name_or_does_no_harm(
    damaged: Callable[[int, int], Path], position: int, byte: int
) -> None:
    path = damaged(position, byte)
    try:
        loaded = Embeddings.load(path)
    except TrivecError as error:
        assert str(path) in str(error)
    else:
        assert isinstance(loaded, Embeddings)


@pytest.mark.parametrize("part", ["multi.offsets", "sparse.indices", "terms.shape"])
def test_a_file_with_half_a_head_is_refused(tmp_path: Path, part: str) -> None:
    path = tmp_path / "vectors"
    tensors = {
        "multi.values": np.zeros((2, 2), np.float32),
        "multi.offsets": np.array([0, 2]),
        **{f"{head}.values": np.ones(1, np.float32) for head in ("sparse", "terms")},
        **{f"{head}.indices": np.zeros(1, np.int32) for head in ("sparse", "terms")},
        **{f"{head}.offsets": np.array([0, 1]) for head in ("sparse", "terms")},
        **{f"{head}.shape": np.array([1, 4]) for head in ("sparse", "terms")},
    }
    metadata = {"format": "trivec.embeddings", "version": str(FORMAT_VERSION)}
    write_tensors(path, tensors, metadata)
    assert len(Embeddings.load(path)) == 1
    write_tensors(path, {name: tensor for name, tensor in tensors.items() if name != part}, metadata)
    with pytest.raises(CorruptModelError):
        Embeddings.load(path)


def test_offsets_that_reach_behind_the_values_are_refused(tmp_path: Path) -> None:
    tensors = {"multi.values": np.zeros((2, 2), np.float32), "multi.offsets": np.array([0, 1, 9])}
    write_tensors(tmp_path / "vectors", tensors, {"format": "trivec.embeddings", "version": str(FORMAT_VERSION)})
    with pytest.raises(CorruptModelError):
        Embeddings.load(tmp_path / "vectors")


def test_a_foreign_safetensors_file_is_refused(tmp_path: Path) -> None:
    save_file({"weight": np.ones(3, np.float32)}, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match="holds no trivec embeddings"):
        Embeddings.load(tmp_path / "model.safetensors")


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vectors"
    write_tensors(path, {}, {"format": "trivec.embeddings", "version": str(FORMAT_VERSION + 1)})
    with pytest.raises(InputError, match=f"format {FORMAT_VERSION + 1}.*upgrade trivec"):
        Embeddings.load(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no embeddings file"):
        Embeddings.load(tmp_path / "nowhere")
    with pytest.raises(InputError, match="no embeddings file"):
        Embeddings.load(tmp_path)


def test_every_field_of_a_fingerprint_but_the_name_counts() -> None:
    changes = {
        "weights": "4567",
        "heads": {"dense": "2, mean"},
        "query_prompt": "",
        "document_prompt": "",
        "max_length": 8,
        "version": 2,
    }
    for name, value in changes.items():
        other = replace(PRINT, **{name: value})
        assert other.digest != PRINT.digest, name
        assert PRINT.differences(other) == [f"{name}: {getattr(PRINT, name)} / {value}"]
    renamed = replace(PRINT, model="elsewhere")
    assert renamed.digest == PRINT.digest
    assert PRINT.differences(renamed) == []


def test_a_fingerprint_comes_back_from_json() -> None:
    chinese = replace(PRINT, query_prompt="为这个句子：")
    assert Fingerprint.from_json(chinese.to_json()) == chinese
    assert "为这个句子" in chinese.to_json()


def test_the_digest_does_not_depend_on_the_order_of_heads() -> None:
    a = replace(PRINT, heads={"dense": "x", "multi": "y"})
    b = replace(PRINT, heads={"multi": "y", "dense": "x"})
    assert a.digest == b.digest
    assert re.fullmatch("[0-9a-f]{16}", a.digest)
