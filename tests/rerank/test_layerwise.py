"""Heads between the layers: each scores its own layer, and nothing behind the last of them is run."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trivec
from trivec.errors import CorruptModelError, InputError, ModelError
from trivec.rerank.prompt_scorer import PromptScorer
from trivec.rerank.reranker import Pair, Reranker
from trivec.tensorfile import memory_map

import tiny_llms

LENGTH = 160
ALL = list(range(tiny_llms.START_LAYER, tiny_llms.LAYERS + 1))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A layer-wise reranker. Copy it before changing it."""
    return tiny_llms.write_tiny_layerwise(tmp_path_factory.mktemp("layerwise") / "tiny")


@pytest.fixture(scope="module")
def whole(folder: Path) -> Reranker:
    """All of its layers."""
    return trivec.load_reranker(folder, max_length=LENGTH, cutoff_layers=ALL, batch_tokens=400)


def reader_of(reranker: Reranker) -> Any:
    assert isinstance(reranker.scorer, PromptScorer)
    return reranker.scorer.reader


def save(folder: Path, tensors: dict[str, np.ndarray], name: str = "model.safetensors") -> None:
    from safetensors.numpy import save_file

    save_file(tensors, folder / name, metadata={"format": "pt"})


def tensors_of(folder: Path) -> dict[str, np.ndarray]:
    return {name: np.array(tensor) for name, tensor in memory_map(folder / "model.safetensors").items()}


def test_a_head_scores_its_own_layer(folder: Path, whole: Reranker, pairs: list[tuple[str, str]]) -> None:
    scores = whole.score_layers(pairs)
    assert whole.scorer.layers == tuple(ALL)
    assert scores.shape == (len(pairs), len(ALL))
    for column, layer in enumerate(ALL):
        one = trivec.load_reranker(folder, max_length=LENGTH, cutoff_layers=[layer])
        assert one.scorer.layers == (layer,)
        np.testing.assert_allclose(one.score_layers(pairs), scores[:, column : column + 1], atol=3e-5)
    some = trivec.load_reranker(folder, max_length=LENGTH, cutoff_layers=[5, 3, 5])
    assert some.scorer.layers == (3, 5)
    np.testing.assert_allclose(some.score_layers(pairs), scores[:, [1, 3]], atol=3e-5)
    assert np.abs(np.diff(scores, axis=1)).max() > 0.1


def test_by_default_the_last_layer_is_scored(folder: Path, whole: Reranker, pairs: list[tuple[str, str]]) -> None:
    reranker = trivec.load_reranker(folder, max_length=LENGTH)
    assert reranker.scorer.layers == (tiny_llms.LAYERS,)
    np.testing.assert_allclose(reranker.score_pairs(pairs), whole.score_layers(pairs)[:, -1], atol=3e-5)


def test_the_last_layer_is_the_whole_model(whole: Reranker, folder: Path, pairs: list[tuple[str, str]]) -> None:
    import torch

    model = reader_of(whole).model
    head = torch.from_numpy(tensors_of(folder)[f"lm_head.{len(ALL) - 1}.linear_head.weight"])
    expected = []
    for row in whole.scorer._tokens.rows([Pair(*pair) for pair in pairs]):  # type: ignore[attr-defined]
        with torch.inference_mode():
            states = model(input_ids=torch.from_numpy(row.ids)[None]).last_hidden_state
            expected.append((states[0, -1] @ head[0]).item())
    np.testing.assert_allclose(whole.score_pairs(pairs), expected, atol=3e-5)


@pytest.mark.parametrize("layer", [2, 4, 6])
def test_layers_behind_the_last_one_asked_for_are_not_run(folder: Path, layer: int) -> None:
    reranker = trivec.load_reranker(folder, max_length=LENGTH, cutoff_layers=[2, layer])
    model, calls = reader_of(reranker).model, []
    for number, part in enumerate(model.layers):
        part.register_forward_hook(lambda *_, number=number: calls.append(number))
    reranker.score_pairs([("river", "water"), ("night", "book")])
    assert calls == list(range(layer))
    assert len(model.layers) == layer


def test_a_pair_has_the_same_logits_in_any_company(whole: Reranker, pairs: list[tuple[str, str]]) -> None:
    together = whole.score_layers(pairs)
    alone = np.concatenate([whole.score_layers([pair]) for pair in pairs])
    np.testing.assert_allclose(together, alone, atol=3e-5)
    order = np.random.RandomState(0).permutation(len(pairs))
    np.testing.assert_allclose(whole.score_layers([pairs[row] for row in order]), together[order], atol=3e-5)


def test_a_remembered_query_changes_nothing(whole: Reranker, pairs: list[tuple[str, str]]) -> None:
    scorer = whole.scorer
    assert isinstance(scorer, PromptScorer)
    apart = Reranker(PromptScorer("apart", scorer.reader, scorer._tokens, 400, share_queries=False))
    assert scorer.reader.remember([1, 5, 9]) is not None
    np.testing.assert_allclose(whole.score_layers(pairs), apart.score_layers(pairs), atol=3e-5)


def test_scales_are_folded_into_the_weights(folder: Path, whole: Reranker) -> None:
    own, model = tensors_of(folder), reader_of(whole).model
    depth = tiny_llms.SCALE_DEPTH / math.sqrt(tiny_llms.LAYERS)
    for name, factor in (
        ("embed_tokens.weight", tiny_llms.SCALE_EMB),
        ("layers.3.self_attn.o_proj.weight", depth),
        ("layers.3.mlp.down_proj.weight", depth),
        ("layers.3.mlp.up_proj.weight", 1),
    ):
        np.testing.assert_allclose(model.get_parameter(name).detach().numpy(), own[f"model.{name}"] * factor, rtol=1e-6)


def test_the_scale_of_the_depth_is_that_of_the_whole_model(folder: Path) -> None:
    cut = reader_of(trivec.load_reranker(folder, cutoff_layers=[2])).model.layers[1].mlp.down_proj.weight
    whole = reader_of(trivec.load_reranker(folder)).model.layers[1].mlp.down_proj.weight
    np.testing.assert_array_equal(cut.detach().numpy(), whole.detach().numpy())


def test_weights_in_several_files(folder: Path, whole: Reranker, tmp_path: Path, pairs: list[tuple[str, str]]) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "sharded"))
    tensors = tensors_of(copy)
    (copy / "model.safetensors").unlink()
    names = sorted(tensors)
    shards = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, own in shards.items():
        save(copy, {name: tensors[name] for name in own}, file)
    places = {name: file for file, own in shards.items() for name in own}
    index = {"metadata": {"total_size": sum(t.nbytes for t in tensors.values())}, "weight_map": places}
    (copy / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")
    reranker = trivec.load_reranker(copy, max_length=LENGTH, cutoff_layers=ALL)
    np.testing.assert_allclose(reranker.score_layers(pairs), whole.score_layers(pairs), atol=3e-5)


def test_one_head_for_all_layers(
    folder: Path, whole: Reranker, tmp_path: Path, change_json: Callable[..., None], pairs: list[tuple[str, str]]
) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "shared"))
    tensors = tensors_of(copy)
    head = tensors["lm_head.2.linear_head.weight"]
    tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith("lm_head")}
    save(copy, tensors | {"lm_head.linear_head.weight": head})
    change_json(copy / "config.json", head_multi=False)
    shared = trivec.load_reranker(copy, max_length=LENGTH, cutoff_layers=[4, 6]).score_layers(pairs)
    expected = whole.score_layers(pairs)
    np.testing.assert_allclose(shared[:, 0], expected[:, 2], atol=3e-5)
    assert np.abs(shared[:, 1] - expected[:, 4]).max() > 0.01


def test_layers_that_have_no_head(folder: Path) -> None:
    for layers in ([1], [2, 7], []):
        with pytest.raises(
            InputError, match=r"cutoff_layers is .* scores layers 2 to 6 in steps of 1: choose of those"
        ):
            trivec.load_reranker(folder, cutoff_layers=layers)
    with pytest.raises(InputError, match=r"compress_layers is \[6\], and .* has 6 layers"):
        trivec.load_reranker(folder, compress_layers=[6], compress_ratio=2)


def test_documents_can_be_merged_in_any_model_with_heads(folder: Path) -> None:
    whole, merged = (trivec.load_reranker(folder, compress_layers=[2], compress_ratio=ratio) for ratio in (1, 2))
    pairs = [("river", "water " * 20), ("river", "x")]
    difference = np.abs(merged.score_pairs(pairs) - whole.score_pairs(pairs))
    assert difference[0] > 1e-3
    layers = trivec.load_reranker(folder, compress_layers=[2], compress_ratio=2, cutoff_layers=[2, 4])
    until = trivec.load_reranker(folder, cutoff_layers=[2])
    np.testing.assert_allclose(layers.score_layers(pairs)[:, 0], until.score_pairs(pairs), atol=1e-5)


def test_folders_that_are_no_such_model(folder: Path, tmp_path: Path, change_json: Callable[..., None]) -> None:
    for name, changes, message in (
        ("raw", {"head_type": "raw"}, "heads of head_type 'raw'"),
        ("start", {"start_layer": 7}, "has 7 for start_layer, where a whole number from 1 to 6 should be"),
        ("scale", {"scale_depth": "deep"}, "has 'deep' for scale_depth, where a number above 0 should be"),
        ("heads", {"num_attention_heads": 5}, "transformers cannot use .*config.json"),
    ):
        copy = Path(shutil.copytree(folder, tmp_path / name))
        change_json(copy / "config.json", **changes)
        with pytest.raises(ModelError, match=message):
            trivec.load_reranker(copy)


def test_heads_that_are_damaged(folder: Path, tmp_path: Path) -> None:
    name = "lm_head.4.linear_head.weight"
    for number, head, message in (
        (0, None, f"lacks {name}, the head of layer 6"),
        (1, np.zeros((2, 32), np.float32), r"of shape \(2, 32\), where \(1, 32\) should be"),
    ):
        copy = Path(shutil.copytree(folder, tmp_path / str(number)))
        tensors = {key: tensor for key, tensor in tensors_of(copy).items() if key != name}
        save(copy, tensors if head is None else tensors | {name: head})
        with pytest.raises(CorruptModelError, match=message):
            trivec.load_reranker(copy)
    copy = Path(shutil.copytree(folder, tmp_path / "layer"))
    gone = "model.layers.2.mlp.up_proj.weight"
    save(copy, {key: tensor for key, tensor in tensors_of(copy).items() if key != gone})
    with pytest.raises(CorruptModelError, match=r"lacks 1 weights, layers\.2\.mlp\.up_proj\.weight first"):
        trivec.load_reranker(copy)
