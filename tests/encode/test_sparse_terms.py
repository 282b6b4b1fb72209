"""Terms of the lower-cased text: by hand, against characters, in every way of encoding, on disk and in training."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import trivec
from trivec import Document
from trivec.encode.checkpoints import Checkpoint, read_checkpoint
from trivec.encode.checkpoints.checkpoint import Linear
from trivec.encode.checkpoints.export import export_checkpoint
from trivec.encode.delta import Delta
from trivec.encode.encoder import EncodeOptions
from trivec.encode.late_chunking import ChunkedText, encode_chunks
from trivec.encode.sparse_terms import TokenTerms
from trivec.encode.tokenizer import fold_case
from trivec.errors import CorruptModelError
from trivec.tensorfile import write_tensors
from trivec.train.collate import CollateOptions, Collator, TokenBatch
from trivec.train.model import TrainableEncoder
from trivec.train.split_batch import SplitOptions, encode_split
from trivec.train.vectors import TextVectors

Tiny = Callable[[str], Path]

TEXTS = [
    "The City by the RIVER",
    "the city by the river",
    "DIE hauptStadt, Berlin!",
    "",
    "北京的天气 Water",
    "İstanbul and the Mountain",
    "</s> CITY <mask>",
]


@pytest.fixture
def folded(tiny: Tiny, tmp_path: Path) -> Path:
    """The tiny m3 as a folder whose lexical head weighs folded terms."""
    checkpoint = replace(read_checkpoint(tiny("m3")), sparse_terms="folded")
    export_checkpoint(checkpoint, tmp_path / "folded")
    return tmp_path / "folded"


@pytest.fixture
def counting(tiny: Tiny, tmp_path: Path) -> trivec.Encoder:
    """The same with a head that gives every token the weight 1."""
    checkpoint = read_checkpoint(tiny("m3"))
    ones = Linear(np.zeros((1, checkpoint.hidden_size), np.float32), np.ones(1, np.float32))
    export_checkpoint(replace(checkpoint, sparse_terms="folded", sparse=ones), tmp_path / "counting")
    return trivec.load(tmp_path / "counting", threads=1)


def test_terms_by_hand() -> None:
    """ "Ice CAP": tokens " Ice", " C", "A", "P"; subwords of "ice cap": " i", "ce", " cap"."""
    terms = TokenTerms.folded([(0, 3), (3, 5), (5, 6), (6, 7)], [(0, 1), (1, 3), (3, 7)], [10, 11, 12])
    assert list(zip(terms.places.tolist(), terms.ids.tolist(), strict=True)) == [
        (0, 10), (0, 11), (1, 12), (2, 12), (3, 12),
    ]  # fmt: skip
    assert terms.first(2).places.tolist() == [0, 0, 1]
    assert terms.first(2).ids.tolist() == [10, 11, 12]


def test_what_shares_no_character_has_no_term() -> None:
    terms = TokenTerms.folded([(0, 2), (2, 2), (5, 7)], [(0, 0), (2, 5), (6, 9)], [10, 11, 12])
    assert (terms.places.tolist(), terms.ids.tolist()) == ([2], [12])
    for spans in ([], [(0, 1)]):
        assert len(TokenTerms.folded(spans, [], []).ids) == 0
        assert len(TokenTerms.folded([], spans, [1] * len(spans)).ids) == 0


def by_characters(encoder: trivec.Encoder, text: str) -> dict[int, float]:
    """w(t) = the largest weight of the tokens that share a character with an occurrence of t, token by token."""
    tokenizer = encoder.tokenizer
    (tokenized,) = tokenizer.tokenize([text], encoder.max_length)
    ids = np.asarray([tokenized.ids], np.int64)
    weights = encoder.runtime.forward(ids, np.ones_like(ids, np.int32), ["sparse"]).token_weights
    assert weights is not None
    (cased,), (lower,) = tokenizer.pieces([text]), tokenizer.pieces([fold_case(text)])
    found: dict[int, float] = {}
    for term, (start, end) in zip(lower.ids, lower.offsets, strict=True):
        for weight, (token_start, token_end) in zip(weights[0, 1:-1], cased.offsets, strict=True):
            shares = set(range(start, end)) & set(range(token_start, token_end))
            if shares and weight > 0 and term not in tokenizer.weightless_ids:
                found[term] = max(found.get(term, 0.0), float(weight))
    return found


def row(matrix: Any, number: int) -> dict[int, float]:
    part = matrix[[number]].tocoo()
    return dict(zip(part.coords[1].tolist(), part.data.tolist(), strict=True))


@pytest.mark.parametrize("runtime", ["onnx", "torch"])
def test_weights_are_those_of_the_tokens_around(folded: Path, runtime: str) -> None:
    encoder = trivec.load(folded, runtime, threads=1 if runtime == "onnx" else None)
    sparse = encoder.encode(TEXTS).sparse
    for number, text in enumerate(TEXTS):
        assert row(sparse, number) == pytest.approx(by_characters(encoder, text), abs=1e-5)


def test_upper_and_lower_case_share_terms(folded: Path, tiny: Tiny) -> None:
    for source, shares in ((folded, True), (tiny("m3"), False)):
        sparse = trivec.load(source, threads=1).encode(["CITY", "city"]).sparse
        assert bool((sparse[[0]] @ sparse[[1]].T).toarray()[0, 0] > 0) is shares


def test_texts_without_capitals_weigh_as_published(folded: Path, tiny: Tiny) -> None:
    texts = ["the city by the river", "北京的天气", "</s> <mask>", ""]
    ours, published = (trivec.load(path, threads=1).encode(texts).sparse for path in (folded, tiny("m3")))
    np.testing.assert_allclose(ours.toarray(), published.toarray(), atol=1e-6)


def pattern(matrix: Any) -> list[list[int]]:
    return [sorted(row(matrix, number)) for number in range(matrix.shape[0])]


LONG = " ".join(np.random.RandomState(0).choice(["The", "CITY", "river", "Water", "of", "hauptStadt", "NIGHT"], 150))


@pytest.mark.parametrize("prompt", ["", "query: "])
def test_every_term_of_an_uncut_text_is_weighed(counting: trivec.Encoder, prompt: str) -> None:
    texts = [*TEXTS, LONG]
    terms = pattern(counting.count_terms(texts))
    long_ways = [EncodeOptions(long_text="windows", max_length=32), EncodeOptions(long_text="mcls")]
    for options in long_ways:
        parts = counting.stream(texts, prompt, options)
        assert pattern(trivec.Embeddings.concatenate(list(parts)).sparse) == terms


def test_what_is_cut_off_weighs_nothing(counting: trivec.Encoder) -> None:
    sparse = counting.encode(["The CITY Water River", "The CITY Water River"[:9]], max_length=4).sparse
    assert 0 < len(row(sparse, 0)) <= len(row(counting.encode(["The CITY Water River"]).sparse, 0))
    (whole,) = counting.tokenizer.tokenize(["The CITY Water River"], 100, with_terms=True)
    (cut,) = counting.tokenizer.tokenize(["The CITY Water River"], 4, with_terms=True)
    assert whole.terms is not None and cut.terms is not None
    assert cut.terms.ids.tolist() == whole.terms.first(2).ids.tolist()
    assert set(row(sparse, 0)) == set(cut.terms.ids.tolist())


def test_chunks_weigh_their_own_terms(counting: trivec.Encoder) -> None:
    chunks = [LONG[:200], LONG[200:420], LONG[420:]]
    vectors = encode_chunks(counting, [ChunkedText(chunks, "The Night"), ChunkedText(["a River"])])
    assert pattern(vectors.sparse) == pattern(vectors.terms)


def test_an_explanation_names_the_words_of_folded_terms(folded: Path) -> None:
    with trivec.open(":memory:", model=trivec.load(folded, threads=1)) as library:
        library.add([Document("a", "The CITY by the River"), Document("b", "hauptstadt")])
        hit = library.search("city river", k=1, mode="sparse")[0]
        words = {word.word: word.weight for word in hit.explain().words if word.signal == "sparse"}
    assert hit.id == "a"
    assert set(words) == {"city", "river"}
    assert sum(words.values()) == pytest.approx(hit.score, rel=1e-4)


# -- on disk ---------------------------------------------------------------------------------------------------


def test_a_folder_says_which_terms(folded: Path, tiny: Tiny, tmp_path: Path) -> None:
    checkpoint = read_checkpoint(folded)
    assert checkpoint.sparse_terms == "folded"
    heads, published = checkpoint.describe_heads(), read_checkpoint(tiny("m3")).describe_heads()
    assert heads.pop("sparse") != published.pop("sparse")
    assert heads == published
    manifest = folded / "trivec.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"sparse_terms": "round"}))
    with pytest.raises(CorruptModelError, match="'round' for sparse_terms, where cased or folded should be"):
        read_checkpoint(folded)


def test_the_layout_that_cannot_say_it_is_warned_of(
    folded: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        trivec.load(folded).save(tmp_path / "bge", "bge-m3")
    assert "each token's own id" in caplog.text
    assert read_checkpoint(tmp_path / "bge").sparse_terms == "cased"


def test_a_delta_says_which_terms(tmp_path: Path) -> None:
    tensors = {"sparse.weight": np.ones((1, 3), np.float32), "sparse.bias": np.zeros(1, np.float32)}
    for metadata, expected in (({}, "cased"), ({"sparse_terms": "folded"}, "folded")):
        write_tensors(tmp_path / "delta.safetensors", tensors, metadata)
        assert Delta(tmp_path / "delta.safetensors").sparse_terms == expected
    write_tensors(tmp_path / "delta.safetensors", tensors, {"sparse_terms": "round"})
    with pytest.raises(CorruptModelError, match="'round', none of cased, folded"):
        Delta(tmp_path / "delta.safetensors")
    write_tensors(tmp_path / "delta.safetensors", tensors, {"pooling": "round"})
    with pytest.raises(CorruptModelError, match="the pooling 'round', none of cls, mean, max, last"):
        Delta(tmp_path / "delta.safetensors")


# -- in training -----------------------------------------------------------------------------------------------


@pytest.fixture
def training(folded: Path) -> tuple[Checkpoint, Collator, TrainableEncoder]:
    checkpoint = read_checkpoint(folded)
    tokenizer = trivec.load(folded).tokenizer
    model = TrainableEncoder.from_checkpoint(checkpoint, dropout=0.0).double()
    return checkpoint, Collator(tokenizer, 1, CollateOptions()), model


def rows(vectors: TextVectors) -> list[dict[int, float]]:
    """The largest weight of each term, by text."""
    assert vectors.weights is not None and vectors.tokens is not None
    found: list[dict[int, float]] = []
    for weights, tokens in zip(vectors.weights.tolist(), vectors.tokens.tolist(), strict=True):
        largest: dict[int, float] = {}
        for weight, token in zip(weights, tokens, strict=True):
            if token >= 0 and weight > 0:
                largest[token] = max(largest.get(token, 0.0), weight)
        found.append(largest)
    return found


@pytest.mark.parametrize("prompt", ["", "query: "])
def test_training_weighs_what_encoding_weighs(
    folded: Path, training: tuple[Checkpoint, Collator, TrainableEncoder], prompt: str
) -> None:
    _, collator, model = training
    batch = collator.texts(TEXTS, prompt, 64)
    vectors = model(batch.ids, batch.mask, batch.prompt_lengths, None, batch.term_places, batch.terms)
    sparse = trivec.load(folded, threads=1).encode(TEXTS, prompt=prompt).sparse
    for number, found in enumerate(rows(vectors)):
        assert found == pytest.approx(row(sparse, number), abs=1e-5)


@pytest.mark.parametrize("mode", ["checkpointed", "cached"])
def test_parts_of_a_batch_have_the_same_gradient(
    training: tuple[Checkpoint, Collator, TrainableEncoder], mode: Any
) -> None:
    _, collator, model = training
    batch = collator.texts(TEXTS, "", 64)

    def gradient(options: SplitOptions | None) -> Sequence[torch.Tensor]:
        model.zero_grad()
        vectors = encode_split(model, batch, options)
        assert vectors.weights is not None
        factors = torch.where(vectors.tokens >= 0, vectors.tokens % 7 + 1.0, 0.0)
        (vectors.weights * factors).square().sum().backward()
        return [weight.grad.clone() for weight in model.parameters() if weight.grad is not None]

    whole = gradient(None)
    assert any(bool(part.abs().sum() > 0) for part in whole)
    for one, other in zip(whole, gradient(SplitOptions(mode, max_texts=2)), strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=0)


def test_a_batch_keeps_its_terms_when_it_is_cut_and_moved(
    training: tuple[Checkpoint, Collator, TrainableEncoder],
) -> None:
    _, collator, model = training
    batch = collator.texts(TEXTS, "", 64)
    part: TokenBatch = batch.rows(torch.tensor([5, 0])).to("cpu")
    vectors = [
        model(texts.ids, texts.mask, texts.prompt_lengths, None, texts.term_places, texts.terms)
        for texts in (batch, part)
    ]
    everything, some = (rows(found) for found in vectors)
    assert some == [pytest.approx(everything[number], abs=1e-9) for number in (5, 0)]
