"""Merged documents: block means, nothing else touched, and a pair's logits the same in any company."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import trivec
from trivec.errors import InputError, ModelError
from trivec.rerank.prompt_scorer import PromptScorer
from trivec.rerank.reranker import Pair, Reranker
from trivec.tensorfile import memory_map

import tiny_llms

LENGTH = 160
ALL = [2, 4, 6]
SETTINGS: dict[str, dict[str, Any]] = {
    "whole": {},
    "halves": {"compress_layers": [2, 4], "compress_ratio": 2},
    "eighths": {"compress_layers": [1], "compress_ratio": 8},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lightweight reranker. Copy it before changing it."""
    return tiny_llms.write_tiny_lightweight(tmp_path_factory.mktemp("lightweight") / "tiny")


def load(folder: Path, **options: Any) -> Reranker:
    return trivec.load_reranker(folder, **{"max_length": LENGTH, "cutoff_layers": ALL, "batch_tokens": 400, **options})


def reader_of(reranker: Reranker) -> Any:
    assert isinstance(reranker.scorer, PromptScorer)
    return reranker.scorer.reader


def merged_by_hand(states_LD: np.ndarray, start: int, length: int, ratio: int) -> np.ndarray:
    """One row without padding, block by block."""
    document = states_LD[start : start + length]
    blocks = [document[place : place + ratio].mean(axis=0) for place in range(0, length, ratio)]
    return np.stack([*states_LD[:start], *blocks, *states_LD[start + length :]])


@given(
    rows=st.lists(st.tuples(st.integers(1, 6), st.integers(0, 20), st.integers(1, 6)), min_size=1, max_size=4),
    ratio=st.sampled_from([1, 2, 3, 4, 8]),
    padding=st.integers(0, 5),
)
def test_blocks_become_their_means(rows: list[tuple[int, int, int]], ratio: int, padding: int) -> None:
    import torch

    from trivec.rerank.lightweight import Spans, merge_documents

    random = np.random.RandomState(0)
    longest = max(sum(row) for row in rows) + padding
    states = random.standard_normal((len(rows), longest, 3)).astype(np.float32)
    counts = torch.tensor([[start, length, start + length + behind] for start, length, behind in rows])
    spans = Spans(*counts.unbind(dim=1))
    after = spans.merged(ratio)
    merged = merge_documents(torch.from_numpy(states), spans, ratio).numpy()
    assert merged.shape[1] == int(after.ends.max())
    for place, (start, length, behind) in enumerate(rows):
        expected = merged_by_hand(states[place, : start + length + behind], start, length, ratio)
        kept = -(-length // ratio)
        assert (int(after.starts[place]), int(after.lengths[place])) == (start, kept)
        assert int(after.ends[place]) == len(expected) == start + kept + behind
        own = merged[place, : len(expected)]
        np.testing.assert_allclose(own, expected, atol=1e-6)
        np.testing.assert_array_equal(own[:start], expected[:start])
        np.testing.assert_array_equal(own[start + kept :], expected[start + kept :])
        if ratio == 1:
            np.testing.assert_array_equal(own, expected)


def test_a_ratio_of_one_changes_nothing(folder: Path, pairs: list[tuple[str, str]]) -> None:
    whole = load(folder).score_layers(pairs)
    same = load(folder, compress_layers=[1, 3], compress_ratio=1).score_layers(pairs)
    np.testing.assert_array_equal(whole, same)
    halves = load(folder, **SETTINGS["halves"]).score_layers(pairs)
    np.testing.assert_allclose(halves[:, 0], whole[:, 0], atol=3e-5)  # layer 2 is scored before merging behind it
    assert np.abs(halves[:, 1:] - whole[:, 1:]).max(axis=0).min() > 0.01


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_pair_has_the_same_logits_in_any_company(setting: str, folder: Path, pairs: list[tuple[str, str]]) -> None:
    reranker = load(folder, **SETTINGS[setting])
    together = reranker.score_layers(pairs)
    alone = np.concatenate([reranker.score_layers([pair]) for pair in pairs])
    np.testing.assert_allclose(together, alone, atol=3e-5)
    order = np.random.RandomState(0).permutation(len(pairs))
    np.testing.assert_allclose(reranker.score_layers([pairs[row] for row in order]), together[order], atol=3e-5)
    assert np.ptp(together[:, -1]) > 0.5


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_head_scores_its_own_layer(setting: str, folder: Path, pairs: list[tuple[str, str]]) -> None:
    scores = load(folder, **SETTINGS[setting]).score_layers(pairs)
    for column, layer in enumerate(ALL):
        one = load(folder, **SETTINGS[setting], cutoff_layers=[layer])
        assert one.scorer.layers == (layer,)
        np.testing.assert_allclose(one.score_layers(pairs), scores[:, column : column + 1], atol=3e-5)


def test_the_last_layer_is_the_whole_model(folder: Path, pairs: list[tuple[str, str]]) -> None:
    import torch

    reranker = load(folder)
    model, cap = reader_of(reranker).model, tiny_llms.SOFTCAP
    head = torch.from_numpy(np.array(memory_map(folder / "model.safetensors")["lm_head.2.linear_head.weight"]))
    rows = reranker.scorer._tokens.rows([Pair(*pair) for pair in pairs])  # type: ignore[attr-defined]
    assert max(len(row) for row in rows) > 2 * tiny_llms.WINDOW
    expected = []
    for row in rows:
        with torch.inference_mode():
            states = model(input_ids=torch.from_numpy(row.ids)[None]).last_hidden_state
            expected.append(cap * np.tanh((states[0, -1] @ head[0]).item() / cap))
    np.testing.assert_allclose(reranker.score_pairs(pairs), expected, atol=3e-5)


@pytest.mark.parametrize("layer", ALL)
def test_layers_behind_the_last_one_asked_for_are_not_run(folder: Path, layer: int) -> None:
    reranker = load(folder, cutoff_layers=[layer], compress_layers=[1, 5], compress_ratio=4)
    model, lengths = reader_of(reranker).model, []
    for part in model.layers:
        part.register_forward_hook(lambda module, states, output: lengths.append(states[0].shape[1]))
    pair = ("river", "water " * 20)
    (row,) = reranker.scorer._tokens.rows([Pair(*pair)])  # type: ignore[attr-defined]
    reranker.score_pairs([pair])
    once = -(-len(row.document) // 4)
    merged = [len(row) - len(row.document) + count for count in (len(row.document), once, -(-once // 4))]
    assert lengths == [merged[0], *[merged[1]] * 4, merged[2]][:layer]
    assert len(model.layers) == layer


def test_options_that_do_not_fit(folder: Path) -> None:
    for options, message in (
        ({"compress_layers": [0], "compress_ratio": 2}, r"compress_layers is \[0\]: before the first layer nothing"),
        ({"compress_layers": [6], "compress_ratio": 2}, r"compress_layers is \[6\], and .* choose layers from 1 to 5"),
        ({"compress_ratio": 2}, "compress_ratio is 2 without compress_layers: say behind which layers"),
        ({"compress_ratio": 0}, "compress_ratio is 0: it must be at least 1"),
        ({"cutoff_layers": [3]}, r"cutoff_layers is \[3\], and .* scores layers 2 to 6 in steps of 2"),
    ):
        with pytest.raises(InputError, match=message):
            load(folder, **options)


def test_a_folder_without_heads(folder: Path, tmp_path: Path, change_json: Callable[..., None]) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "plain"))
    change_json(copy / "config.json", layer_wise=False)
    with pytest.raises(ModelError, match="has no heads between its layers"):
        load(copy)
