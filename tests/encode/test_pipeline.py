"""Batches in lanes are the batches one by one; the next texts are prepared meanwhile; padding is by hand."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trivec
from trivec.encode import onnx_graph, onnx_runtime, pipeline
from trivec.encode.late_chunking import ChunkedText, encode_chunks
from trivec.encode.onnx_graph import build_graph
from trivec.encode.onnx_runtime import OnnxRuntime, physical_cores
from trivec.encode.pipeline import forward_batches, one_ahead, pad
from trivec.encode.runtime import GRAPH_EDITION, Forward, HeadOutputs, Laned

Load = Callable[..., trivec.Encoder]
Same = Callable[..., None]

ROWS = [np.arange(5, 5 + length, dtype=np.int64) for length in (3, 9, 4, 4, 1, 7, 9, 2) * 4]
TEXTS = [" ".join(["water river city night"] * (1 + row % 7)) for row in range(60)]


class Sums:
    """A runtime whose dense vector is the sum of a row's ids."""

    name = "sums"
    batch_tokens = 12

    def __init__(self, lanes: int = 1) -> None:
        self.count = lanes
        self.running = 0
        self.most_running = 0
        self.lock = threading.Lock()

    def forward(
        self, ids_BL: np.ndarray, mask_BL: np.ndarray, heads: Collection[str], states: bool = False
    ) -> HeadOutputs:
        with self.lock:
            self.running += 1
            self.most_running = max(self.most_running, self.running)
        time.sleep(0.001)
        with self.lock:
            self.running -= 1
        return HeadOutputs(dense=(ids_BL * mask_BL).sum(axis=1, keepdims=True).astype(np.float32))

    def lanes(self, states: bool = False) -> Sequence[Forward]:
        return [partial(self.forward, states=states)] * self.count


def sums_of(runtime: Sums) -> list[float]:
    sums = np.zeros(len(ROWS), np.float32)
    for batch, outputs in forward_batches(runtime, ROWS, 0, ["dense"], runtime.batch_tokens):
        assert outputs.dense is not None
        sums[batch] += outputs.dense[:, 0]
    return sums.tolist()


@pytest.fixture
def bulk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any work is enough for lanes."""
    monkeypatch.setattr(pipeline, "BULK_TOKENS", 1)


@pytest.mark.usefixtures("bulk")
@pytest.mark.parametrize("lanes", [1, 2, 5])
def test_every_row_runs_once_however_many_lanes_there_are(lanes: int) -> None:
    runtime = Sums(lanes)
    assert sums_of(runtime) == [float(row.sum()) for row in ROWS]
    assert 1 <= runtime.most_running <= lanes


def test_little_work_uses_no_lanes() -> None:
    runtime = Sums(4)
    assert sums_of(runtime) == [float(row.sum()) for row in ROWS]
    assert runtime.most_running == 1


@pytest.mark.usefixtures("bulk")
def test_a_failing_batch_ends_the_rest() -> None:
    class Failing(Sums):
        calls = 0

        def forward(self, *arguments: Any, **options: Any) -> HeadOutputs:
            with self.lock:
                self.calls += 1
            raise RuntimeError("no memory")

    runtime = Failing(2)
    with pytest.raises(RuntimeError, match="no memory"):
        sums_of(runtime)
    assert runtime.calls < len(ROWS) / 2


@pytest.mark.usefixtures("bulk")
def test_a_caller_who_stops_early_leaves_no_threads_behind() -> None:
    before = threading.active_count()
    batches = forward_batches(Sums(3), ROWS, 0, ["dense"], 12)
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


@pytest.mark.usefixtures("bulk")
@pytest.mark.parametrize("name", ["m3", "st-mean"])
def test_lanes_of_onnx_give_what_one_pass_after_the_other_gives(load_tiny: Load, same_vectors: Same, name: str) -> None:
    encoder = load_tiny(name, "onnx")
    runtime = OnnxRuntime(encoder.checkpoint, threads=3)
    assert isinstance(runtime, Laned)
    laned = trivec.Encoder(encoder.checkpoint, runtime, encoder.tokenizer, encoder.fingerprint)
    same_vectors(encoder.encode(TEXTS, batch_tokens=40), laned.encode(TEXTS, batch_tokens=40), atol=1e-6)


LONG = " ".join(["water river city night"] * 40)


def long_vectors(encoder: trivec.Encoder) -> list[trivec.Embeddings]:
    texts = [LONG, LONG[:300], LONG[:500], "the city"]
    by_method = [
        encoder.encode(texts, max_length=40, long_text=method, batch_tokens=40) for method in ("windows", "mcls")
    ]
    return [*by_method, encode_chunks(encoder, [ChunkedText([text, text]) for text in texts], batch_tokens=40)]


class Counted:
    """A runtime that counts how often its lanes are asked for, with and without token states."""

    def __init__(self, runtime: Any) -> None:
        self.runtime = runtime
        self.name, self.batch_tokens, self.forward = runtime.name, runtime.batch_tokens, runtime.forward
        self.asked: list[bool] = []

    def lanes(self, states: bool = False) -> Sequence[Forward]:
        self.asked.append(states)
        return list(self.runtime.lanes(states))


@pytest.mark.parametrize("kind", ["onnx", "torch"])
def test_all_ways_to_encode_long_texts_run_in_lanes(
    load_tiny: Load, same_vectors: Same, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    encoder = load_tiny("m3", kind)
    expected = long_vectors(encoder)
    runtime = Counted(OnnxRuntime(encoder.checkpoint, threads=3) if kind == "onnx" else encoder.runtime)
    laned = trivec.Encoder(encoder.checkpoint, runtime, encoder.tokenizer, encoder.fingerprint)
    monkeypatch.setattr(pipeline, "BULK_TOKENS", 1)
    for found, vectors in zip(long_vectors(laned), expected, strict=True):
        same_vectors(found, vectors)
    assert set(runtime.asked) == {False, True}


def test_threads_limit_lanes(load_tiny: Load) -> None:
    checkpoint = load_tiny("m3", "onnx").checkpoint
    assert len(OnnxRuntime(checkpoint, threads=1).lanes()) == 1
    assert len(OnnxRuntime(checkpoint, threads=4).lanes()) == 4


def test_there_is_at_least_one_core() -> None:
    assert physical_cores() >= 1


@pytest.mark.parametrize("name", ["m3", "st-mean"])
def test_padding_changes_nothing_though_attention_is_masked_only_then(load_tiny: Load, name: str) -> None:
    runtime = load_tiny(name, "onnx").runtime
    ids = np.array([[0, 7, 8, 9, 2], [0, 9, 8, 7, 2]], np.int64)
    longer = np.pad(ids, ((0, 0), (0, 4)), constant_values=1)
    whole = runtime.forward(ids, np.ones(ids.shape, np.int32), ["dense"])
    padded = runtime.forward(longer, (np.arange(9) < 5).astype(np.int32) * np.ones((2, 1), np.int32), ["dense"])
    np.testing.assert_allclose(whole.dense, padded.dense, atol=1e-6)


@pytest.fixture
def exported(load_tiny: Load, tmp_path: Path) -> Path:
    """A folder with a graph of this edition."""
    load_tiny("m3").save(tmp_path / "model")
    assert GRAPH_EDITION.encode() in (tmp_path / "model" / "model.onnx").read_bytes()
    return tmp_path / "model"


@pytest.mark.parametrize("earlier", [b"a graph made earlier", None])
def test_a_graph_of_another_edition_is_replaced_once(
    exported: Path, load_tiny: Load, same_vectors: Same, monkeypatch: pytest.MonkeyPatch, earlier: bytes | None
) -> None:
    graph = exported / "model.onnx"
    current, names = graph.read_bytes(), sorted(exported.iterdir())
    graph.unlink()
    if earlier is not None:
        graph.write_bytes(earlier)
    same_vectors(trivec.load(exported, threads=1).encode(TEXTS[:7]), load_tiny("m3").encode(TEXTS[:7]))
    assert graph.read_bytes() == current
    assert sorted(exported.iterdir()) == names
    monkeypatch.setattr(onnx_graph, "build_graph", None)
    same_vectors(trivec.load(exported, threads=1).encode(TEXTS[:7]), load_tiny("m3").encode(TEXTS[:7]))


def test_a_folder_that_cannot_be_written_to_is_used_all_the_same(
    exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: Path, content: bytes) -> None:
        raise PermissionError("read-only")

    graph = exported / "model.onnx"
    graph.write_bytes(b"a graph made earlier")
    monkeypatch.setattr(onnx_runtime, "keep_graph", refuse)
    assert len(trivec.load(exported, threads=1).encode("the city")) == 1
    assert graph.read_bytes() == b"a graph made earlier"


def test_the_graph_of_a_head_added_when_loading_is_kept_nowhere(load_tiny: Load, tmp_path: Path) -> None:
    load_tiny("bert").save(tmp_path / "model")
    graph = tmp_path / "model" / "model.onnx"
    graph.write_bytes(b"a graph made earlier")
    assert trivec.load(tmp_path / "model", threads=1, training_free_width=16).encode("the city").multi is not None
    assert graph.read_bytes() == b"a graph made earlier"


def test_the_graph_masks_attention_only_in_the_branch_for_padding(load_tiny: Load) -> None:
    graph = build_graph(load_tiny("m3", "onnx").checkpoint).graph
    branches = [attribute.g for node in graph.node if node.op_type == "If" for attribute in node.attribute]
    masked = [branch.name.endswith("else_branch") for branch in branches]
    assert masked == ["attention_mask" in branch.node[0].input for branch in branches]
    assert any(masked)
    assert not all(masked)


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_one_ahead_is_map(count: int) -> None:
    assert list(one_ahead(lambda item: item * item, range(count))) == [item * item for item in range(count)]


def test_one_ahead_prepares_the_next_item_while_the_caller_works() -> None:
    second_is_ready = threading.Event()

    def prepare(item: int) -> int:
        if item == 1:
            second_is_ready.set()
        return item

    results = one_ahead(prepare, range(3))
    assert next(results) == 0
    assert second_is_ready.wait(timeout=5)
    assert list(results) == [1, 2]


def test_one_ahead_takes_items_in_the_callers_thread_and_one_ahead_only() -> None:
    taken: list[int] = []
    caller = threading.get_ident()

    def items() -> Iterator[int]:
        for item in range(6):
            assert threading.get_ident() == caller
            taken.append(item)
            yield item

    results = one_ahead(lambda item: item, items())
    assert next(results) == 0
    assert taken == [0, 1]
    assert next(results) == 1
    assert taken == [0, 1, 2]


def test_one_ahead_raises_an_error_at_its_place() -> None:
    results = one_ahead(lambda item: 1 // item, [1, 0, 1])
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_padding_by_hand() -> None:
    ids, mask = pad([np.array([5, 6, 7]), np.array([8])], pad_id=1)
    assert ids.tolist() == [[5, 6, 7], [8, 1, 1]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0]]


def test_rows_of_one_length_are_not_padded() -> None:
    ids, mask = pad([np.array([5, 6]), np.array([7, 8])], pad_id=1)
    assert ids.tolist() == [[5, 6], [7, 8]]
    assert mask.tolist() == [[1, 1], [1, 1]]
    assert (ids.dtype, mask.dtype) == (np.int64, np.int32)
