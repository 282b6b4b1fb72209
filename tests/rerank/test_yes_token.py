"""Language models asked for a Yes: the stock model's own logit, whether or not the query was read before."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trivec
from trivec.encode import inference
from trivec.encode.tokenizer import TextTokenizer
from trivec.errors import ModelError
from trivec.rerank import remembered
from trivec.rerank.prompt_scorer import PromptScorer
from trivec.rerank.prompts import YES_OR_NO, PromptRow
from trivec.rerank.reranker import Pair, Reranker
from trivec.rerank.yes_token import yes_id
from trivec.types import FloatArray

import tiny_llms

KINDS = ("llama", "gemma", "gemma2")
LENGTH = 160


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folders by architecture."""
    workplace = tmp_path_factory.mktemp("yes")
    return cache(lambda kind: tiny_llms.write_tiny_llm(workplace / kind, kind))


@pytest.fixture(scope="module")
def load(folder: Callable[[str], Path]) -> Callable[[str], Reranker]:
    """Rerankers by architecture, with batches of a few rows."""
    return cache(lambda kind: trivec.load_reranker(folder(kind), max_length=LENGTH, batch_tokens=400))


def scorer_of(reranker: Reranker) -> PromptScorer:
    assert isinstance(reranker.scorer, PromptScorer)
    return reranker.scorer


def rows_of(reranker: Reranker, pairs: list[tuple[str, str]]) -> list[PromptRow]:
    return scorer_of(reranker)._tokens.rows([Pair(*pair) for pair in pairs])


def unshared(reranker: Reranker) -> Reranker:
    """The same, reading whole rows."""
    scorer = scorer_of(reranker)
    return Reranker(PromptScorer(scorer.name, scorer.reader, scorer._tokens, 400, share_queries=False))


def by_transformers(folder: Path, rows: list[PromptRow], left: bool) -> FloatArray:
    """All logits of a padded batch, by the stock model and its own mask."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    (number,) = TextTokenizer.from_file(folder / "tokenizer.json").pieces(["Yes"])[0].ids
    longest = max(len(row) for row in rows)
    ids, mask = np.zeros((len(rows), longest), np.int64), np.zeros((len(rows), longest), np.int64)
    for place, row in enumerate(rows):
        span = slice(longest - len(row), longest) if left else slice(0, len(row))
        ids[place, span], mask[place, span] = row.ids, 1
    positions = np.maximum(mask.cumsum(axis=1) - 1, 0)
    with torch.inference_mode():
        logits = model(
            input_ids=torch.from_numpy(ids),
            attention_mask=torch.from_numpy(mask),
            position_ids=torch.from_numpy(positions),
        ).logits[:, :, number]
    last = [longest - 1 if left else len(row) - 1 for row in rows]
    return np.asarray(logits[range(len(rows)), last], np.float32)


@pytest.mark.parametrize("left", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_logits_equal_those_of_transformers(
    kind: str,
    left: bool,
    folder: Callable[[str], Path],
    load: Callable[[str], Reranker],
    pairs: list[tuple[str, str]],
) -> None:
    reranker = load(kind)
    scores = reranker.score_pairs(pairs)
    np.testing.assert_allclose(scores, by_transformers(folder(kind), rows_of(reranker, pairs), left), atol=3e-5)
    assert np.ptp(scores) > 0.4
    assert reranker.scorer.layers == ()
    assert reranker.score_layers(pairs).shape == (len(pairs), 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_remembered_query_changes_nothing(
    kind: str, load: Callable[[str], Reranker], pairs: list[tuple[str, str]]
) -> None:
    reranker = load(kind)
    long = [("where is the river " * 12, document) for _, document in pairs[:6]]  # longer than Gemma 2's window
    given = pairs + long
    np.testing.assert_allclose(reranker.score_pairs(given), unshared(reranker).score_pairs(given), atol=3e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_pair_has_the_same_logit_in_any_company(
    kind: str, load: Callable[[str], Reranker], pairs: list[tuple[str, str]]
) -> None:
    reranker = load(kind)
    together = reranker.score_pairs(pairs)
    alone = np.concatenate([reranker.score_pairs([pair]) for pair in pairs])
    np.testing.assert_allclose(together, alone, atol=3e-5)
    order = np.random.RandomState(0).permutation(len(pairs))
    np.testing.assert_allclose(reranker.score_pairs([pairs[row] for row in order]), together[order], atol=3e-5)


def test_a_query_is_read_once(load: Callable[[str], Reranker], monkeypatch: pytest.MonkeyPatch) -> None:
    reranker = load("llama")
    model, read = scorer_of(reranker).reader.model, []  # type: ignore[attr-defined]
    forward = model.forward

    def counted(input_ids: Any, **rest: Any) -> Any:
        read.append(tuple(input_ids.shape))
        return forward(input_ids=input_ids, **rest)

    monkeypatch.setattr(model, "forward", counted)
    pairs = [("where is the river", f"book {'water ' * count}") for count in range(7)]
    rows = rows_of(reranker, pairs)
    reranker.score_pairs(pairs)
    assert read[0] == (1, len(rows[0].query))
    assert sum(count for count, _ in read[1:]) == len(pairs)
    assert max(length for _, length in read[1:]) == max(len(row.rest) for row in rows)
    read.clear()
    reranker.score_pairs(pairs[:2])
    assert read == [(2, max(len(row) for row in rows[:2]))]


def test_models_without_such_a_memory_read_whole_rows(
    load: Callable[[str], Reranker], pairs: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    reranker = load("llama")
    expected = reranker.score_pairs(pairs)
    monkeypatch.setattr(remembered, "_REPEATABLE", ())
    assert scorer_of(reranker).reader.remember([1, 2, 3]) is None
    np.testing.assert_allclose(reranker.score_pairs(pairs), expected, atol=3e-5)


def test_only_one_logit_is_computed(load: Callable[[str], Reranker]) -> None:
    model = scorer_of(load("gemma")).reader.model  # type: ignore[attr-defined]
    assert tuple(model.get_output_embeddings().weight.shape) == (1, tiny_llms.HIDDEN)


def test_products_are_those_of_onednn(
    load: Callable[[str], Reranker], pairs: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    reranker, multiply, counted = load("llama"), inference._multiply, []
    monkeypatch.setattr(inference, "_multiply", lambda *given: counted.append(1) or multiply(*given))
    expected = reranker.score_pairs(pairs)
    assert counted
    counted.clear()
    monkeypatch.setattr(inference, "_is_here", lambda: False)
    np.testing.assert_allclose(reranker.score_pairs(pairs), expected, atol=3e-5)
    assert not counted


def test_batches_that_do_not_fit_are_halved(
    load: Callable[[str], Reranker], pairs: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    reranker = load("llama")
    model, expected, sizes = scorer_of(reranker).reader.model, reranker.score_pairs(pairs), []  # type: ignore[attr-defined]
    forward, failure = model.forward, torch.OutOfMemoryError("no more")

    def narrow(input_ids: Any, **rest: Any) -> Any:
        sizes.append(len(input_ids))
        if len(input_ids) > 1:
            raise failure
        return forward(input_ids=input_ids, **rest)

    monkeypatch.setattr(model, "forward", narrow)
    np.testing.assert_allclose(reranker.score_pairs(pairs), expected, atol=3e-5)
    assert max(sizes) > 2
    sizes.clear()
    failure = RuntimeError("something else")
    with pytest.raises(RuntimeError, match="something else"):
        reranker.score_pairs(pairs)
    assert sizes[-1] > 1


def test_half_precision(folder: Callable[[str], Path], load: Callable[[str], Reranker]) -> None:
    documents = ["The capital city is on the river.", "water", "science book", ""]
    exact = load("llama").score("what is the capital", documents)
    rounded = trivec.load_reranker(folder("llama"), dtype="bfloat16", max_length=LENGTH)
    np.testing.assert_allclose(rounded.score("what is the capital", documents), exact, atol=0.1)


def test_another_prompt(folder: Callable[[str], Path], load: Callable[[str], Reranker]) -> None:
    same = trivec.load_reranker(folder("gemma"), max_length=LENGTH, prompt=YES_OR_NO)
    other = trivec.load_reranker(folder("gemma"), max_length=LENGTH, prompt="Is A about B?")
    expected = load("gemma").score("river", ["water"])
    np.testing.assert_allclose(same.score("river", ["water"]), expected, atol=1e-6)
    assert abs(other.score("river", ["water"]) - expected) > 1e-3


def test_the_token_for_yes(folder: Callable[[str], Path]) -> None:
    for kind, token in (("llama", "▁Yes"), ("gemma", "Yes")):
        tokenizer = TextTokenizer.from_file(folder(kind) / "tokenizer.json")
        assert tokenizer.token(yes_id(tokenizer, "a folder")) == token


def test_no_token_for_yes(tiny: Callable[[str], Path]) -> None:
    tokenizer = TextTokenizer.from_file(tiny("bert") / "tokenizer.json")
    with pytest.raises(ModelError, match=r"a folder has no token for 'Yes', its tokenizer makes .* of it"):
        yes_id(tokenizer, "a folder")
