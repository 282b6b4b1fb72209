"""What every encoder keeps to, whatever the model and the runtime."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import trivec
from trivec.encode import encoder as encoder_module
from trivec.encode.encoder import EncodeOptions, pad
from trivec.errors import InputError, MissingHeadError

Load = Callable[..., trivec.Encoder]
Same = Callable[..., None]

CASES = [("m3", "onnx"), ("m3", "torch"), ("st-mean", "onnx"), ("st-mean", "torch"), ("roberta", "torch")]
FREE_WIDTHS = {"st-mean": 16}
TEXTS = [
    "the capital of the country is the city by the river",
    "",
    "Die Hauptstadt!",
    "   \n\t ",
    "मस्ते दुनिया",
    "שלום עולם, مرحبا",
    "北京的天气",
    "🎉🇫🇷👩‍👩‍👧",
    "the the the the the the the the the the the the the the the the the the the the",
    "a",
    "</s> <s> [CLS] [SEP] <mask>",
    "e\u0301 ﬁ ½",
    "\x00\ud800",
]


@pytest.fixture(params=CASES, ids="-".join)
def encoder(request: pytest.FixtureRequest, load_tiny: Load) -> trivec.Encoder:
    name, runtime = request.param
    return load_tiny(name, runtime, FREE_WIDTHS.get(name))


@pytest.fixture
def m3(load_tiny: Load) -> trivec.Encoder:
    return load_tiny("m3", "onnx")


@pytest.fixture
def forwarded(monkeypatch: pytest.MonkeyPatch, encoder: trivec.Encoder) -> list[tuple[np.ndarray, np.ndarray, Any]]:
    """Every call of the runtime: ids, mask and heads."""
    calls: list[tuple[np.ndarray, np.ndarray, Any]] = []
    forward = encoder.runtime.forward

    def record(ids_BL: np.ndarray, mask_BL: np.ndarray, heads: Any) -> object:
        calls.append((ids_BL.copy(), mask_BL.copy(), tuple(heads)))
        return forward(ids_BL, mask_BL, heads)

    monkeypatch.setattr(encoder.runtime, "forward", record)
    return calls


def test_shapes_and_invariants(encoder: trivec.Encoder) -> None:
    """Point 10.1 of the specification, for the heads that the model has."""
    vectors = encoder.encode(TEXTS)
    assert vectors.heads == encoder.heads
    assert len(vectors) == len(TEXTS)
    assert vectors.dense.shape == (len(TEXTS), encoder.checkpoint.dense_width)
    if encoder.checkpoint.normalize:
        np.testing.assert_allclose(np.linalg.norm(vectors.dense, axis=1), 1, atol=1e-5)
    tokenized = encoder.tokenizer.tokenize(TEXTS, encoder.max_length)
    if vectors.multi is not None:
        assert vectors.multi.width == encoder.checkpoint.multi_width
        assert vectors.multi.lengths.tolist() == [len(text.ids) - 1 for text in tokenized]
        np.testing.assert_allclose(np.linalg.norm(vectors.multi.values, axis=1), 1, atol=1e-5)
    if vectors.sparse is not None:
        assert (vectors.sparse.data > 0).all()
        for row, text in zip(vectors.sparse, tokenized, strict=True):
            assert set(row.indices) <= set(text.ids) - encoder.tokenizer.special_ids
    assert vectors.sparse is None or vectors.sparse.nnz > 0


def test_terms_are_the_counts_of_the_lower_cased_uncut_text(encoder: trivec.Encoder) -> None:
    text = "The CITY, İthe " * 300
    row = encoder.encode([text], heads=["terms"], max_length=8, prompt="water ").terms
    ids = encoder.tokenizer.pieces(["the city, ithe " * 300])[0].ids
    numbers, counts = np.unique(ids, return_counts=True)
    assert row.indices.tolist() == numbers.tolist()
    assert row.data.tolist() == counts.tolist()
    assert row.shape == (1, encoder.tokenizer.vocabulary_size)


def test_order_is_kept(encoder: trivec.Encoder, same_vectors: Same) -> None:
    backwards = encoder.encode(TEXTS[::-1])
    same_vectors(encoder.encode(TEXTS), backwards[::-1])


@pytest.mark.parametrize("batch_tokens", [None, 1, 40])
def test_a_text_alone_is_the_same_as_in_any_batch(
    encoder: trivec.Encoder, same_vectors: Same, batch_tokens: int | None
) -> None:
    together = encoder.encode(TEXTS, batch_tokens=batch_tokens)
    for row, text in enumerate(TEXTS):
        same_vectors(encoder.encode([text]), together[row])


def test_any_iterable_of_texts_will_do(encoder: trivec.Encoder, same_vectors: Same) -> None:
    texts = TEXTS[:4]
    expected = encoder.encode(texts)
    for other in (tuple(texts), (text for text in texts), iter(texts), dict.fromkeys(texts), np.array(texts)):
        same_vectors(expected, encoder.encode(other), atol=0)


def test_one_string_is_one_text(encoder: trivec.Encoder, same_vectors: Same) -> None:
    same_vectors(encoder.encode(["the city"]), encoder.encode("the city"), atol=0)


@pytest.mark.parametrize("texts", [[], (), iter(())])
def test_no_texts_have_all_heads_and_widths(encoder: trivec.Encoder, texts: Any) -> None:
    nothing, something = encoder.encode(texts), encoder.encode(["a"])
    assert len(nothing) == 0
    assert nothing.heads == something.heads
    joined = trivec.Embeddings.concatenate([nothing, something, nothing])
    assert len(joined) == 1


def test_every_text_is_forwarded_exactly_once_for_all_heads(
    encoder: trivec.Encoder, forwarded: list[tuple[np.ndarray, np.ndarray, Any]]
) -> None:
    vectors = encoder.encode(TEXTS)
    assert vectors.heads == encoder.heads
    rows = [ids[mask == 1].tolist() for batch, masks, _ in forwarded for ids, mask in zip(batch, masks, strict=True)]
    expected = [text.ids for text in encoder.tokenizer.tokenize(TEXTS, encoder.max_length)]
    assert sorted(rows) == sorted(expected)
    assert all(set(heads) == set(encoder.heads) for _, _, heads in forwarded)
    assert all((ids[mask == 0] == encoder.checkpoint.config["pad_token_id"]).all() for ids, mask, _ in forwarded)


def test_batches_keep_to_the_budget(
    encoder: trivec.Encoder, forwarded: list[tuple[np.ndarray, np.ndarray, Any]]
) -> None:
    encoder.encode(TEXTS, batch_tokens=30)
    assert len(forwarded) > 1
    assert all(len(ids) == 1 or ids.size <= 30 for ids, _, _ in forwarded)


def test_terms_alone_need_no_forward_pass(
    encoder: trivec.Encoder, forwarded: list[tuple[np.ndarray, np.ndarray, Any]], same_vectors: Same
) -> None:
    terms = encoder.encode(TEXTS, heads=["terms"])
    assert forwarded == []
    assert terms.heads == ("terms",)
    same_vectors(terms, encoder.encode(TEXTS).with_heads("terms"), atol=0)


def test_each_head_alone_is_the_same_as_among_others(encoder: trivec.Encoder, same_vectors: Same) -> None:
    everything = encoder.encode(TEXTS)
    for head in encoder.heads:
        alone = encoder.encode(TEXTS, heads=[head])
        assert alone.heads == (head,)
        same_vectors(alone, everything.with_heads(head))


def test_heads_may_be_asked_for_in_any_order(encoder: trivec.Encoder) -> None:
    assert encoder.encode("a", heads={"terms", "dense"}).heads == ("dense", "terms")
    assert encoder.encode("a", heads=("terms", "dense", "terms")).heads == ("dense", "terms")


def test_no_heads_at_all_are_refused(encoder: trivec.Encoder) -> None:
    with pytest.raises(InputError, match="heads"):
        encoder.encode("a", heads=[])


@pytest.mark.parametrize(
    ("name", "head", "advice"),
    [
        ("roberta", "sparse", "search by bm25"),
        ("roberta", "multi", "training_free_width"),
        ("m3", "colbert", "ask for one of these"),
    ],
)
def test_a_missing_head_is_named_with_advice(load_tiny: Load, name: str, head: str, advice: str) -> None:
    encoder = load_tiny(name)
    with pytest.raises(MissingHeadError, match=f"{name} has no '{head}' head, only dense, .*{advice}"):
        encoder.encode("a", heads=["dense", head])


def test_a_string_of_heads_is_refused(m3: trivec.Encoder) -> None:
    with pytest.raises(InputError, match=r"must be a list such as \['dense', 'multi'\], got the string 'dense'"):
        m3.encode("a", heads="dense")


def test_a_very_long_text_is_cut_and_said_so(
    encoder: trivec.Encoder, caplog: pytest.LogCaptureFixture, same_vectors: Same
) -> None:
    long = "water river " * 50_000
    heads = [head for head in encoder.heads if head != "terms"]
    with caplog.at_level(logging.WARNING, logger="trivec"):
        vectors = encoder.encode(["short", long], heads=heads)
    assert caplog.messages == [f"1 of 2 texts are longer than {encoder.max_length} tokens and were cut there"]
    same_vectors(vectors[1], encoder.encode("water river " * 600, heads=heads))
    if vectors.multi is not None:
        assert vectors.multi.lengths[1] == encoder.max_length - 1


def test_nothing_is_said_when_nothing_is_cut(m3: trivec.Encoder, caplog: pytest.LogCaptureFixture) -> None:
    m3.encode(TEXTS)
    assert caplog.messages == []


def test_a_shorter_length_cuts_there(encoder: trivec.Encoder, same_vectors: Same) -> None:
    text, heads = "the city water night", [head for head in encoder.heads if head != "terms"]
    *_, (_, end), closing = encoder.tokenizer.vector_spans(text, 5)
    assert closing is None
    assert end < len(text)
    same_vectors(encoder.encode(text, heads=heads, max_length=5), encoder.encode(text[:end], heads=heads))


@pytest.mark.parametrize("max_length", [0, -1, 513, 100_000, 1, 2])
def test_a_length_out_of_range_is_refused(encoder: trivec.Encoder, max_length: int) -> None:
    with pytest.raises(InputError, match=f"max_length .*{max_length}"):
        encoder.encode("a", max_length=max_length)


def test_a_batch_budget_out_of_range_is_refused(m3: trivec.Encoder) -> None:
    with pytest.raises(InputError, match="batch_tokens must be at least 1, got 0"):
        m3.encode("a", batch_tokens=0)


@pytest.mark.parametrize("prompt", ["query: ", "query:", " query: ", "query:  ", "为这个："])
def test_a_prompt_is_put_before_the_text_byte_for_byte(
    encoder: trivec.Encoder,
    forwarded: list[tuple[np.ndarray, np.ndarray, Any]],
    prompt: str,
) -> None:
    encoder.encode("the city", heads=["dense"], prompt=prompt)
    ids, _, _ = forwarded[0]
    assert ids[0].tolist() == encoder.tokenizer.tokenize([prompt + "the city"], 512)[0].ids


def test_a_prompt_changes_the_dense_vector_as_if_it_were_text(encoder: trivec.Encoder, same_vectors: Same) -> None:
    prompted = encoder.encode(["the city", "water"], heads=["dense"], prompt="query: ")
    same_vectors(prompted, encoder.encode(["query: the city", "query: water"], heads=["dense"]))


def test_a_prompt_has_no_weights_and_no_vectors_of_its_own(m3: trivec.Encoder) -> None:
    plain, prompted = m3.encode("the city"), m3.encode("the city", prompt="river night ")
    as_text = m3.encode("river night the city")
    of_prompt = {m3.tokenizer.id_of("▁river"), m3.tokenizer.id_of("▁night")}
    assert set(as_text.sparse.indices) & of_prompt
    assert not set(prompted.sparse.indices) & of_prompt
    assert prompted.multi.lengths.tolist() == plain.multi.lengths.tolist() == [3]
    np.testing.assert_allclose(prompted.multi[0], as_text.multi[0][2:], atol=1e-5)
    np.testing.assert_array_equal(prompted.terms.toarray(), plain.terms.toarray())


def test_a_prompt_that_fills_all_room_leaves_no_vectors(m3: trivec.Encoder) -> None:
    vectors = m3.encode("the city", prompt="river night " * 10, max_length=8)
    assert vectors.multi.lengths.tolist() == [0]
    assert vectors.multi.width == 24
    assert vectors.sparse.nnz == 0
    np.testing.assert_allclose(np.linalg.norm(vectors.dense), 1, atol=1e-5)


def test_queries_and_documents_get_the_prompts_of_the_model(load_tiny: Load, same_vectors: Same) -> None:
    encoder = load_tiny("st-mean")
    same_vectors(encoder.encode_queries("the city"), encoder.encode("the city", prompt="query: "))
    same_vectors(encoder.encode_documents("the city"), encoder.encode("the city", prompt="passage: "))


@settings(max_examples=25)
@given(
    text=st.text(st.sampled_from([*"aeiou thTHé,.北京İß \n😀</s>"]) | st.characters(), max_size=30),
    prompt=st.sampled_from(["", "query: ", "为这个："]),
    max_length=st.integers(3, 40),
)
def test_every_multi_vector_has_a_span(load_tiny: Load, text: str, prompt: str, max_length: int) -> None:
    encoder = load_tiny("m3")
    spans = encoder.tokenizer.vector_spans(text, max_length, prompt)
    vectors = encoder.encode(text, heads=["multi"], prompt=prompt, max_length=max_length)
    assert len(spans) == vectors.multi.lengths[0]


@pytest.mark.parametrize("window", [1, 3, 5, len(TEXTS)])
def test_windows_smaller_than_the_input_change_nothing(
    encoder: trivec.Encoder, monkeypatch: pytest.MonkeyPatch, same_vectors: Same, window: int
) -> None:
    expected = encoder.encode(TEXTS)
    monkeypatch.setattr(encoder_module, "_WINDOW", window)
    same_vectors(expected, encoder.encode(iter(TEXTS)))


def test_a_stream_reads_one_window_ahead_and_no_further(m3: trivec.Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder_module, "_WINDOW", 4)
    read = 0

    def endless() -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield f"the city {read}"

    stream = m3.stream(endless(), "", EncodeOptions(heads=["dense"]))
    assert [len(next(stream)) for _ in range(3)] == [4, 4, 4]
    assert read == 16


@pytest.mark.parametrize("name", ["m3", "bert", "st-mean", "roberta"])
def test_onnx_is_torch(load_tiny: Load, same_vectors: Same, name: str) -> None:
    width = FREE_WIDTHS.get(name)
    onnx, torch = load_tiny(name, "onnx", width), load_tiny(name, "torch", width)
    for prompt in ("", "query: "):
        same_vectors(onnx.encode(TEXTS, prompt=prompt), torch.encode(TEXTS, prompt=prompt), atol=1e-5)
    long = ["water river " * 400, "a"]
    same_vectors(onnx.encode(long), torch.encode(long), atol=1e-5)


def test_runtimes_name_themselves(load_tiny: Load) -> None:
    assert load_tiny("m3", "onnx").runtime.name == "onnx on cpu"
    assert load_tiny("m3", "torch").runtime.name == "torch on cpu"
    assert repr(load_tiny("m3", "onnx")) == ("Encoder('m3', heads=['dense', 'sparse', 'multi', 'terms'], onnx on cpu)")


def test_encoding_twice_gives_the_same_bits(encoder: trivec.Encoder, same_vectors: Same) -> None:
    same_vectors(encoder.encode(TEXTS), encoder.encode(TEXTS), atol=0)


def test_the_fingerprint_changes_with_prompt_and_length(load_tiny: Load) -> None:
    encoder = load_tiny("st-mean")
    own = encoder.fingerprint.digest
    assert encoder.encode_queries("a").fingerprint.digest == own
    assert encoder.encode_documents("a").fingerprint.digest == own
    assert encoder.encode_queries("a", max_length=encoder.max_length).fingerprint.digest == own
    others = [
        encoder.encode("a"),
        encoder.encode("a", prompt="other: "),
        encoder.encode_queries("a", max_length=100),
        encoder.encode_queries("a", max_length=101),
    ]
    digests = [vectors.fingerprint.digest for vectors in others]
    assert len({own, *digests}) == 5


def test_the_fingerprint_is_that_of_the_weights_whatever_the_runtime(load_tiny: Load) -> None:
    assert load_tiny("m3", "onnx").fingerprint == load_tiny("m3", "torch").fingerprint


def test_the_fingerprint_changes_with_the_heads(load_tiny: Load) -> None:
    digests = {load_tiny("bert", "onnx", width).fingerprint.digest for width in (None, 8, 16, 32)}
    assert len(digests) == 4


def as_terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What is written to standard error, which seems to be a terminal from now on."""
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


def test_the_bar_goes_to_standard_error(
    m3: trivec.Encoder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = as_terminal(monkeypatch)
    m3.encode(TEXTS, progress=True)
    assert "encoding" in terminal.getvalue()
    assert f"{len(TEXTS)}/{len(TEXTS)}" in terminal.getvalue()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("heads", [None, ["terms"]])
def test_the_bar_counts_what_has_no_length(
    m3: trivec.Encoder, monkeypatch: pytest.MonkeyPatch, heads: list[str] | None
) -> None:
    terminal = as_terminal(monkeypatch)
    m3.encode(iter(TEXTS), heads=heads, progress=True)
    assert f"{len(TEXTS)} texts" in terminal.getvalue()


@pytest.mark.parametrize("progress", [False, True])
def test_nothing_is_printed_without_a_bar_or_without_a_terminal(
    m3: trivec.Encoder, capsys: pytest.CaptureFixture[str], progress: bool
) -> None:
    m3.encode(TEXTS, progress=progress)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("wrong", [None, 3, b"bytes", float("nan")])
@pytest.mark.parametrize("heads", [None, ["dense"], ["terms"]])
def test_what_is_no_string_is_refused(m3: trivec.Encoder, wrong: Any, heads: list[str] | None) -> None:
    with pytest.raises(InputError, match=f"a text must be a string, got {type(wrong).__name__}"):
        m3.encode(["fine", wrong], heads=heads)
    with pytest.raises(InputError, match=f"a text must be a string, got {type(wrong).__name__}"):
        m3.encode_queries(iter([wrong]), heads=heads)


def test_pad_by_hand() -> None:
    ids, mask = pad([np.array([5, 6, 7]), np.array([8])], pad_id=1)
    assert ids.tolist() == [[5, 6, 7], [8, 1, 1]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0]]
    assert (ids.dtype, mask.dtype) == (np.int64, np.int32)


@pytest.mark.model
def test_a_translation_is_closer_than_another_text(m3_small: trivec.Encoder) -> None:
    queries = m3_small.encode_queries(["Wie hoch ist der Eiffelturm?", "北京的天气怎么样？"])
    documents = m3_small.encode_documents(
        [
            "The Eiffel Tower is 330 metres tall.",
            "Today it is sunny in Beijing, with a light wind.",
            "Cats sleep a lot.",
        ]
    )
    for scores in (trivec.score(queries, documents).dense, trivec.score(queries, documents).multi):
        assert scores.argmax(axis=1).tolist() == [0, 1]


@pytest.mark.model
def test_the_real_model_keeps_to_its_shapes(m3_small: trivec.Encoder, same_vectors: Same) -> None:
    vectors = m3_small.encode_documents(TEXTS)
    assert vectors.heads == ("dense", "sparse", "multi", "terms")
    assert vectors.dense.shape == (len(TEXTS), 384)
    assert vectors.multi.width == 128
    np.testing.assert_allclose(np.linalg.norm(vectors.dense, axis=1), 1, atol=1e-5)
    same_vectors(vectors[0], m3_small.encode_documents(TEXTS[0]))
    assert m3_small.max_length == 512
    assert (m3_small.checkpoint.query_prompt, m3_small.checkpoint.document_prompt) == ("query: ", "passage: ")
