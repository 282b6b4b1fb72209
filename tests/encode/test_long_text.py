"""Texts longer than the model: overlapping windows, and MCLS, against float64 states and hand-worked plans."""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import trivec
from reference_states import hidden_states, unit
from trivec.encode.encoder import EncodeOptions
from trivec.encode.multi_cls import insert_cls, most_tokens
from trivec.encode.windows import Window, plan_windows
from trivec.errors import InputError

Load = Callable[..., trivec.Encoder]
Same = Callable[..., None]
Tiny = Callable[[str], Path]

RUNTIMES = ("onnx", "torch")
WORDS = ("the", "city", "river", "night", "der", "ville", "на", "water", "hauptstadt", "science", "не", "mountain")


def words(count: int, seed: int = 0) -> str:
    """A text of so many tokens: each of the words is one, in the vocabulary of the tiny m3."""
    return " ".join(np.random.RandomState(seed).choice(WORDS, count))


@pytest.fixture(params=RUNTIMES)
def m3(request: pytest.FixtureRequest, load_tiny: Load) -> trivec.Encoder:
    return load_tiny("m3", request.param)


def encode(encoder: trivec.Encoder, texts: str | list[str], prompt: str = "", **options: Any) -> trivec.Embeddings:
    return trivec.Embeddings.concatenate(list(encoder.stream(texts, prompt, EncodeOptions(**options))))


def multi_of(encoder: trivec.Encoder, states: np.ndarray) -> np.ndarray:
    linear = encoder.checkpoint.multi.linear
    return unit(states @ linear.weight.T.astype(np.float64) + linear.bias)


def weights_of(encoder: trivec.Encoder, ids: list[int], states: np.ndarray) -> dict[int, float]:
    """w(t) = max over i of relu(a h_i + b), special tokens left out."""
    linear = encoder.checkpoint.sparse
    found: dict[int, float] = {}
    weights = np.maximum(states @ linear.weight[0].astype(np.float64) + linear.bias[0], 0)
    for token, weight in zip(ids, weights, strict=True):
        if weight > 0 and token not in encoder.tokenizer.weightless_ids:
            found[token] = max(found.get(token, 0.0), float(weight))
    return found


def assert_weights(row: Any, expected: dict[int, float]) -> None:
    assert row.indices.tolist() == sorted(expected)
    np.testing.assert_allclose(row.data, [expected[token] for token in sorted(expected)], atol=1e-5)


# -- plans ----------------------------------------------------------------------------------------------------


def test_windows_by_hand() -> None:
    assert plan_windows(10, room=6, overlap=2) == [Window(0, 6, 0, 5), Window(4, 10, 5, 10)]
    assert plan_windows(9, room=6, overlap=2) == [Window(0, 6, 0, 5), Window(4, 9, 5, 9)]
    assert plan_windows(11, room=6, overlap=3) == [
        Window(0, 6, 0, 5), Window(3, 9, 5, 8), Window(6, 11, 8, 11),
    ]  # fmt: skip
    assert plan_windows(7, room=3, overlap=0) == [Window(0, 3, 0, 3), Window(3, 5, 3, 5), Window(5, 7, 5, 7)]


@pytest.mark.parametrize("tokens", [0, 1, 6])
def test_what_fits_is_one_window(tokens: int) -> None:
    assert plan_windows(tokens, room=6, overlap=3) == [Window(0, tokens, 0, tokens)]


@given(st.integers(0, 400), st.integers(1, 40), st.floats(0, 1))
def test_every_token_belongs_to_the_window_in_which_it_is_farthest_from_an_edge(
    tokens: int, room: int, share: float
) -> None:
    overlap = int(share * (room // 2))
    windows = plan_windows(tokens, room, overlap)
    lengths = [window.end - window.start for window in windows]
    assert max(lengths) <= room
    assert max(lengths) - min(lengths) <= 1
    assert len(windows) == max(1, math.ceil((tokens - overlap) / (room - overlap)))
    assert all(left.end - right.start == overlap for left, right in itertools.pairwise(windows))
    owners = [number for number, window in enumerate(windows) for _ in range(window.first, window.last)]
    assert len(owners) == tokens
    for token, owner in enumerate(owners):
        depth = {
            number: min(token - window.start, window.end - 1 - token)
            for number, window in enumerate(windows)
            if window.start <= token < window.end
        }
        assert owner == min(depth, key=lambda number: (-depth[number], number))


@pytest.mark.parametrize("overlap", [-1, 4])
def test_an_overlap_out_of_range_is_refused(overlap: int) -> None:
    with pytest.raises(InputError, match=f"overlap_tokens {overlap} in windows of 6 tokens: give between 0 and 3"):
        plan_windows(20, 6, overlap)


@pytest.mark.parametrize(
    ("content", "ids", "cls_places", "others"),
    [
        ([], [0], [0], []),
        ([5], [0, 5], [0], [1]),
        ([5, 6, 7], [0, 5, 6, 7], [0], [1, 2, 3]),
        ([5, 6, 7, 8], [0, 5, 6, 7, 0, 8], [0, 4], [1, 2, 3, 5]),
        ([5, 6, 7, 8, 9, 10, 11], [0, 5, 6, 7, 0, 8, 9, 10, 0, 11], [0, 4, 8], [1, 2, 3, 5, 6, 7, 9]),
    ],
)
def test_cls_before_every_three_tokens(
    content: list[int], ids: list[int], cls_places: list[int], others: list[int]
) -> None:
    found = insert_cls(np.array(content, np.int64), cls=0, period=3)
    assert [part.tolist() for part in found] == [ids, cls_places, others]


@given(st.integers(0, 600), st.integers(1, 300))
def test_the_most_tokens_that_fit_with_their_cls(room: int, period: int) -> None:
    fitting = [tokens for tokens in range(room + 1) if tokens + math.ceil(tokens / period) <= room]
    assert most_tokens(room, period) == max(fitting)


# -- MCLS -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tokens", [0, 1, 255, 256])
def test_mcls_of_a_text_within_the_period_is_the_plain_vector(
    m3: trivec.Encoder, same_vectors: Same, tokens: int
) -> None:
    text = words(tokens)
    assert len(m3.tokenizer.tokenize([text], 10_000)[0].ids) == tokens + 2
    same_vectors(m3.encode(text, long_text="mcls"), m3.encode(text), atol=0)


@pytest.mark.parametrize(("tokens", "period"), [(257, 256), (508, 256), (9, 8), (16, 8), (17, 8), (200, 7), (30, 1)])
def test_mcls_is_the_mean_over_all_cls(m3: trivec.Encoder, tiny: Tiny, tokens: int, period: int) -> None:
    text = words(tokens)
    cls, *content, closing = m3.tokenizer.tokenize([text], 10_000)[0].ids
    ids: list[int] = []
    for start in range(0, tokens, period):
        ids += [cls, *content[start : start + period]]
    states = hidden_states(tiny("m3"), [*ids, closing])
    places = [place for place, token in enumerate(ids) if token == cls]
    assert len(places) == math.ceil(tokens / period)

    vectors = encode(m3, text, long_text="mcls", mcls_period=period)

    np.testing.assert_allclose(vectors.dense[0], unit(states[places].mean(axis=0)), atol=1e-5)
    own = [place for place in range(len(states)) if place not in places]
    np.testing.assert_allclose(vectors.multi[0], multi_of(m3, states[own]), atol=1e-5)
    assert_weights(vectors.sparse, weights_of(m3, [*ids, closing], states))


@pytest.mark.parametrize(("tokens", "kept"), [(508, 508), (509, 509), (510, 509), (511, 509), (2000, 509)])
def test_mcls_keeps_to_the_maximum_with_its_cls(
    m3: trivec.Encoder,
    same_vectors: Same,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tokens: int,
    kept: int,
) -> None:
    lengths: list[int] = []
    forward = m3.runtime.forward

    def record(ids_BL: np.ndarray, *arguments: Any, **more: Any) -> object:
        lengths.append(ids_BL.shape[1])
        return forward(ids_BL, *arguments, **more)

    monkeypatch.setattr(m3.runtime, "forward", record)
    with caplog.at_level(logging.WARNING, logger="trivec"):
        vectors = m3.encode(words(tokens), heads=["dense", "sparse", "multi"], long_text="mcls")
    assert lengths == [kept + math.ceil(kept / 256) + 1]
    assert lengths[0] <= m3.max_length
    assert bool(caplog.messages) == (kept < tokens)
    assert vectors.multi.lengths.tolist() == [kept + 1]
    first = " ".join(words(tokens).split()[:kept])
    same_vectors(vectors, m3.encode(first, heads=["dense", "sparse", "multi"], long_text="mcls"))


def test_mcls_counts_the_tokens_of_a_prompt_and_gives_them_no_vectors(m3: trivec.Encoder, tiny: Tiny) -> None:
    vectors = encode(m3, "water night river city", prompt="the der ", long_text="mcls", mcls_period=3)
    cls, *content, closing = m3.tokenizer.tokenize(["the der water night river city"], 100)[0].ids
    ids = [cls, *content[:3], cls, *content[3:], closing]
    states = hidden_states(tiny("m3"), ids)
    np.testing.assert_allclose(vectors.dense[0], unit(states[0] + states[4]), atol=1e-5)
    np.testing.assert_allclose(vectors.multi[0], multi_of(m3, states[[3, 5, 6, 7, 8]]), atol=1e-5)
    assert_weights(vectors.sparse, weights_of(m3, ids[3:], states[3:]))


@pytest.mark.parametrize("name", ["st-mean"])
def test_mcls_is_refused_for_other_poolings(load_tiny: Load, name: str) -> None:
    with pytest.raises(InputError, match=r"st-mean has mean pooling: use long_text='windows', or late chunking"):
        load_tiny(name).encode("a", long_text="mcls")


# -- windows --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["m3", "st-mean"])
@pytest.mark.parametrize("tokens", [0, 1, 100, 500])
def test_one_window_is_the_plain_encoding(load_tiny: Load, same_vectors: Same, name: str, tokens: int) -> None:
    encoder = load_tiny(name)
    text = " ".join(["the"] * tokens)
    same_vectors(encoder.encode_documents(text, long_text="windows"), encoder.encode_documents(text), atol=0)


def test_two_windows_by_hand(m3: trivec.Encoder, tiny: Tiny) -> None:
    """Ten tokens in windows of six that share two, behind a prompt of one."""
    text = "the city river night der ville water science mountain hauptstadt"
    vectors = encode(m3, text, prompt="не ", max_length=9, long_text="windows", overlap_tokens=2)
    cls, prompt, *content, closing = m3.tokenizer.tokenize(["не " + text], 100)[0].ids
    left, right = [cls, prompt, *content[:6], closing], [cls, prompt, *content[4:], closing]
    first, second = hidden_states(tiny("m3"), left), hidden_states(tiny("m3"), right)
    np.testing.assert_allclose(vectors.dense[0], unit(6 * unit(first[0]) + 6 * unit(second[0])), atol=1e-5)
    expected = np.concatenate([first[2:7], second[3:]])  # tokens 0 to 4, then 5 to 9 and the closing one
    np.testing.assert_allclose(vectors.multi[0], multi_of(m3, expected), atol=1e-5)
    weights = [weights_of(m3, ids[2:], states[2:]) for ids, states in ((left, first), (right, second))]
    assert_weights(
        vectors.sparse,
        {token: max(part.get(token, 0.0) for part in weights) for token in weights[0].keys() | weights[1].keys()},
    )
    np.testing.assert_array_equal(vectors.terms.toarray(), m3.encode(text).terms.toarray())


def test_windows_of_unlike_lengths_weigh_by_their_tokens(m3: trivec.Encoder, tiny: Tiny) -> None:
    text = "the city river night der ville water science mountain"
    vectors = encode(m3, text, heads=["dense"], max_length=8, long_text="windows", overlap_tokens=2)
    cls, *content, closing = m3.tokenizer.tokenize([text], 100)[0].ids
    ends = [hidden_states(tiny("m3"), [cls, *part, closing])[0] for part in (content[:6], content[4:])]
    np.testing.assert_allclose(vectors.dense[0], unit(6 * unit(ends[0]) + 5 * unit(ends[1])), atol=1e-5)


def test_windows_hold_all_of_a_very_long_text(m3: trivec.Encoder, caplog: pytest.LogCaptureFixture) -> None:
    text = words(3000)
    vectors = m3.encode(["a", text, "b"], long_text="windows")
    assert caplog.messages == []
    assert vectors.multi.lengths.tolist() == [2, 3001, 2]
    np.testing.assert_allclose(np.linalg.norm(vectors.multi.values, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(vectors.dense, axis=1), 1, atol=1e-5)


def test_without_normalisation_windows_are_averaged_only(load_tiny: Load) -> None:
    encoder = load_tiny("st-mean")
    for overlap in (0, 1):
        vectors = encode(encoder, "the the the the", max_length=4, long_text="windows", overlap_tokens=overlap)
        (half,) = encoder.encode("the the", heads=["dense"]).dense
        np.testing.assert_allclose(vectors.dense[0], half, atol=1e-6)


def test_a_prompt_that_fills_the_window_is_refused(load_tiny: Load) -> None:
    with pytest.raises(InputError, match="max_length 6 leaves no room for text beside 8 tokens of prompt"):
        encode(load_tiny("m3"), "water", prompt="the " * 6, max_length=6, long_text="windows")


# -- both -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("long_text", ["windows", "mcls"])
@pytest.mark.parametrize("batch_tokens", [1, 700, 5000])
def test_long_texts_alone_are_the_same_as_in_any_batch(
    m3: trivec.Encoder, same_vectors: Same, long_text: str, batch_tokens: int
) -> None:
    texts = [words(count, seed=count) for count in (3, 700, 0, 256, 300, 1200, 257)]
    together = encode(m3, texts, long_text=long_text, batch_tokens=batch_tokens)
    for row, text in enumerate(texts):
        same_vectors(m3.encode(text, long_text=long_text), together[row])


@pytest.mark.parametrize("long_text", ["windows", "mcls"])
def test_each_head_alone_is_the_same_as_among_others(load_tiny: Load, same_vectors: Same, long_text: str) -> None:
    encoder, text = load_tiny("m3"), words(700)
    everything = encoder.encode(text, long_text=long_text)
    assert everything.heads == encoder.heads
    for head in encoder.heads:
        same_vectors(encoder.encode(text, heads=[head], long_text=long_text), everything.with_heads(head))
    assert len(encoder.encode([], long_text=long_text)) == 0


@pytest.mark.parametrize("long_text", ["windows", "mcls"])
def test_the_fingerprint_says_how_long_texts_were_encoded(load_tiny: Load, long_text: str) -> None:
    encoder = load_tiny("m3")
    plain, other = encoder.encode("a").fingerprint, encoder.encode("a", long_text=long_text).fingerprint
    assert other.heads["dense"].startswith(plain.heads["dense"] + f", {long_text}")
    assert replace(other, heads=plain.heads) == plain
    assert other.heads["terms"] == plain.heads["terms"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"long_text": "whole"}, "unknown long_text 'whole': choose one of cut, windows, mcls"),
        ({"overlap_tokens": 5}, "overlap_tokens is for long_text='windows', not for 'cut'"),
        ({"long_text": "windows", "overlap_tokens": -1}, "overlap_tokens must be at least 0, got -1"),
        ({"long_text": "mcls", "mcls_period": 0}, "mcls_period must be at least 1, got 0"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        EncodeOptions(**options)


@pytest.mark.parametrize("name", ["m3", "bert", "st-mean"])
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_token_states_are_those_of_the_backbone(load_tiny: Load, tiny: Tiny, name: str, runtime: str) -> None:
    encoder = load_tiny(name, runtime)
    ids = encoder.tokenizer.tokenize(["the city by the river"], 100)[0].ids
    padded, mask = np.array([[*ids, encoder.pad_id]]), np.array([[1] * len(ids) + [0]], np.int32)
    outputs = encoder.runtime.forward(padded, mask, ["dense"], states=True)
    np.testing.assert_allclose(outputs.token_states[0, :-1], hidden_states(tiny(name), ids), atol=1e-5)
    np.testing.assert_allclose(outputs.dense, encoder.runtime.forward(padded, mask, ["dense"]).dense, atol=1e-6)
    assert encoder.runtime.forward(padded, mask, ["dense"]).token_states is None
