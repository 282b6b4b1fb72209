"""Cross-encoders: logits as transformers gives them, whatever else is in the batch."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import trivec
from trivec.encode.tokenizer import TextTokenizer
from trivec.errors import CorruptModelError, InputError, ModelError
from trivec.rerank.calibration import Calibration
from trivec.rerank.own_ways import OwnWays, write_own_ways
from trivec.rerank.pair_tokens import PairTokens
from trivec.rerank.reranker import Pair
from trivec.tensorfile import memory_map
from trivec.types import FloatArray

import tiny_models

KINDS = ("xlm-roberta", "bert")


def by_transformers(folder: Path, pairs: list[tuple[str, str]], max_length: int) -> FloatArray:
    """One pair at a time, by the stock classes."""
    import torch
    from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerFast

    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    logits = []
    for query, document in pairs:
        encoded = tokenizer(
            [query], [document], truncation="only_second", max_length=max_length, return_tensors="pt",
            return_token_type_ids=True,
        )  # fmt: skip
        with torch.inference_mode():
            types = encoded["token_type_ids"].clamp(max=model.config.type_vocab_size - 1)
            inputs = {"input_ids": encoded["input_ids"], "attention_mask": encoded["attention_mask"]}
            logits.append(model(**inputs, token_type_ids=types).logits[0, 0].item())
    return np.asarray(logits, np.float32)


@pytest.mark.parametrize("runtime", ["onnx", "torch"])
@pytest.mark.parametrize("kind", KINDS)
def test_logits_equal_those_of_transformers(
    kind: str, runtime: str, reranker_folder: Callable[[str], Path], pairs: list[tuple[str, str]]
) -> None:
    folder = reranker_folder(kind)
    reranker = trivec.load_reranker(folder, runtime, max_length=40)
    scores = reranker.score_pairs(pairs)
    np.testing.assert_allclose(scores, by_transformers(folder, pairs, 40), atol=2e-5)
    assert np.ptp(scores) > 0.05


@pytest.mark.parametrize("kind", KINDS)
def test_a_pair_has_the_same_logit_in_any_company(
    kind: str, reranker_folder: Callable[[str], Path], pairs: list[tuple[str, str]]
) -> None:
    reranker = trivec.load_reranker(reranker_folder(kind), batch_tokens=100)
    together = reranker.score_pairs(pairs)
    alone = np.concatenate([reranker.score_pairs([pair]) for pair in pairs])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    order = np.random.RandomState(0).permutation(len(pairs))
    np.testing.assert_allclose(reranker.score_pairs([pairs[row] for row in order]), together[order], atol=1e-5)
    query = pairs[0][0]
    documents = [document for own, document in pairs if own == query]
    np.testing.assert_allclose(reranker.score(query, documents), together[: len(documents)], atol=1e-5)


def test_each_pair_is_read_once(
    reranker_folder: Callable[[str], Path], pairs: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    reranker = trivec.load_reranker(reranker_folder("xlm-roberta"), "torch", batch_tokens=64)
    runtime, read = reranker.scorer.runtime, 0  # type: ignore[attr-defined]
    forward = runtime.forward

    def counted(ids: FloatArray, *rest: object, **more: object) -> object:
        nonlocal read
        read += len(ids)
        return forward(ids, *rest, **more)

    monkeypatch.setattr(runtime, "forward", counted)
    monkeypatch.setattr(runtime, "lanes", lambda states=False: [counted])
    reranker.score_pairs(pairs)
    assert read == len(pairs)


def test_the_document_gives_way_first(reranker_folder: Callable[[str], Path]) -> None:
    tokenizer = TextTokenizer.from_file(reranker_folder("xlm-roberta") / "tokenizer.json")
    cls, sep = tokenizer.id_of("<s>"), tokenizer.id_of("</s>")
    ids = {text: tokenizer.pieces([text])[0].ids for text in ("water", "river mountain", "river " * 30, "")}
    tokens = PairTokens(tokenizer, max_length=20, query_length=8)
    for query, document in ((q, d) for q in ids for d in ids):
        (row,) = tokens.rows([Pair(query, document)])
        asked, told = ids[query][:8], ids[document][: 20 - 4 - min(8, len(ids[query]))]
        assert row.tolist() == [cls, *asked, sep, sep, *told, sep]
        assert len(row) <= 20


def test_a_folder_says_how_much_is_read_and_of_what(reranker_folder: Callable[[str], Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(reranker_folder("xlm-roberta"), tmp_path / "own"))
    usual = trivec.load_reranker(folder)
    write_own_ways(folder, OwnWays(max_length=12, kept="best"))
    own, document = trivec.load_reranker(folder), "book " * 30 + "water river" + " book" * 30
    assert own.digest != usual.digest
    assert own.identity == usual.identity
    middle = ["book book water river book book", "book water river book book book"]
    (found,) = own.score("water river", [document])
    assert any(found == pytest.approx(one, abs=1e-6) for one in usual.score("water river", middle))
    (longer,) = trivec.load_reranker(folder, max_length=512).score("water river", [document])
    assert longer == pytest.approx(usual.score("water river", [document])[0], abs=1e-6)


def test_what_is_cut_is_told(reranker_folder: Callable[[str], Path], caplog: pytest.LogCaptureFixture) -> None:
    reranker = trivec.load_reranker(reranker_folder("xlm-roberta"), max_length=24)
    with caplog.at_level(logging.WARNING):
        reranker.score("river " * 30, ["water", "book " * 40])
    assert "1 queries are longer than 18 tokens and were cut" in caplog.text
    assert "1 of 2 documents had no room for all" in caplog.text


def test_ranking(reranker_folder: Callable[[str], Path], pairs: list[tuple[str, str]]) -> None:
    reranker = trivec.load_reranker(reranker_folder("bert"))
    query = pairs[0][0]
    documents = [document for own, document in pairs if own == query] + ["water"]
    scores = reranker.score(query, documents)
    ranked = reranker.rank(query, documents)
    assert [one.score for one in ranked] == sorted(scores.tolist(), reverse=True)
    assert [one.number for one in ranked if documents[one.number] == "water"] == [5, 6]
    assert reranker.rank(query, documents, k=2) == ranked[:2]
    chances = reranker.probabilities(scores)
    np.testing.assert_allclose(chances, 1 / (1 + np.exp(-scores)), rtol=1e-6)
    assert reranker.rank(query, []) == []
    assert reranker.score_layers([]).shape == (0, 1)


def test_a_calibrated_model_gives_its_probabilities(reranker_folder: Callable[[str], Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(reranker_folder("bert"), tmp_path / "calibrated"))
    trivec.load_reranker(folder).keep_calibration(Calibration("platt", (2.0,), (1.0,)))
    reranker = trivec.load_reranker(folder)
    scores = reranker.score("river", ["water", "the river in the city"])
    np.testing.assert_allclose(reranker.probabilities(scores), 1 / (1 + np.exp(-2 * scores - 1)), rtol=1e-5)


def test_texts_that_are_none(reranker_folder: Callable[[str], Path]) -> None:
    reranker = trivec.load_reranker(reranker_folder("bert"))
    with pytest.raises(InputError, match="documents must be a list of strings, got the string 'water'"):
        reranker.score("river", "water")
    with pytest.raises(InputError, match="a text must be a string, got int 7"):
        reranker.score("river", [7])  # type: ignore[list-item]
    with pytest.raises(InputError, match="a pair must be a query and a document"):
        reranker.score_pairs([("river",)])  # type: ignore[list-item]
    with pytest.raises(InputError, match="k must be at least 1, got 0"):
        reranker.rank("river", ["water"], k=0)


def test_lengths_out_of_range(reranker_folder: Callable[[str], Path]) -> None:
    folder = reranker_folder("bert")
    for lengths, message in (
        ({"max_length": 513}, "between 1 and 512"),
        ({"max_length": 4}, "leaves no room"),
        ({"query_length": 0}, "leaves no room"),
    ):
        with pytest.raises(InputError, match=message):
            trivec.load_reranker(folder, **lengths)


def test_folders_that_hold_no_reranker(tiny: Callable[[str], Path], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds no reranker, and an encoder without multi-vectors"):
        trivec.load_reranker(tiny("bert"))
    with pytest.raises(ModelError, match="gives 3 numbers for a pair, a reranker gives one"):
        trivec.load_reranker(tiny_models.write_tiny_reranker(tmp_path / "three", outputs=3))


def test_damaged_folders(reranker_folder: Callable[[str], Path], tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    for name, changes, message in (
        ("headless", {"classifier.out_proj.weight": None}, "lacks classifier.dense. or classifier.out_proj."),
        ("wide", {"classifier.dense.weight": np.zeros((32, 7), np.float32)}, "does not fit a backbone of width 32"),
        ("nan", {"classifier.out_proj.bias": np.full(1, np.nan, np.float32)}, "gives nan for the query"),
    ):
        folder = Path(shutil.copytree(reranker_folder("xlm-roberta"), tmp_path / name))
        tensors = {key: np.array(value) for key, value in memory_map(folder / "model.safetensors").items()}
        tensors = {key: value for key, value in (tensors | changes).items() if value is not None}
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(ModelError if name == "nan" else CorruptModelError, match=message):
            trivec.load_reranker(folder).score("river", ["water"])
