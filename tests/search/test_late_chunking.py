"""Late chunking against float64 states, and libraries that take long documents in other ways than passages."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import trivec
from reference_states import hidden_states, unit
from trivec import Document, Encoder
from trivec.encode import pipeline
from trivec.encode.late_chunking import ChunkedText, encode_chunks
from trivec.errors import InputError, MissingHeadError
from trivec.search.long_documents import LATE_PASSAGE_TOKENS, LongDocuments
from trivec.search.passages import PassageSplitter
from trivec.types import join_title

Load = Callable[..., Encoder]
Same = Callable[..., None]
Tiny = Callable[[str], Path]

RUNTIMES = ("onnx", "torch")
CHUNKS = ["the city by the river. ", "Die Hauptstadt! ", "на не в", "北京的天气。", "مرحبا दुनिया", "🎉"]
SCRIPTS = (
    "The river is long. Die Stadt ist groß! Это город на реке. 北京的天气很好。東京は日本の首都です。 مرحبا بالعالم؟ "
    "नमस्ते दुनिया। สวัสดีชาวโลก 안녕하세요. Η πόλη είναι μεγάλη. 🎉👩‍👩‍👧 Ça va été. "
)


def sentences(count: int) -> str:
    return " ".join(f"Sentence number {n} is about water and night." for n in range(count))


def own_tokens(encoder: Encoder, text: str, prefix: str = "") -> list[int]:
    """Ids of ``text`` behind ``prefix``, without the special tokens."""
    (whole,) = encoder.tokenizer.tokenize_titled([text], "", prefix)
    return whole.ids[1 + whole.title_end : -1]


# -- vectors --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("title", ["", "A title"])
@pytest.mark.parametrize("text", ["the city by the river", "", "北京的天气"])
def test_a_text_of_one_chunk_is_the_plain_encoding_of_a_mean_pooled_model(
    load_tiny: Load, same_vectors: Same, runtime: str, title: str, text: str
) -> None:
    encoder = load_tiny("st-mean", runtime, 16)
    late = encode_chunks(encoder, [ChunkedText([text], title)])
    same_vectors(late, encoder.encode_documents(join_title(title, text)))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_text_of_one_chunk_is_the_mean_over_its_states_for_a_cls_pooled_model(
    load_tiny: Load, tiny: Tiny, same_vectors: Same, runtime: str
) -> None:
    encoder = load_tiny("m3", runtime)
    late, plain = encode_chunks(encoder, [ChunkedText([CHUNKS[0]])]), encoder.encode_documents(CHUNKS[0])
    states = hidden_states(tiny("m3"), encoder.tokenizer.tokenize([CHUNKS[0]], 100)[0].ids)
    np.testing.assert_allclose(late.dense[0], unit(states.mean(axis=0)), atol=1e-5)
    same_vectors(late.with_heads("sparse", "multi", "terms"), plain.with_heads("sparse", "multi", "terms"))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_chunks_of_one_window_by_hand(load_tiny: Load, tiny: Tiny, runtime: str) -> None:
    encoder = load_tiny("m3", runtime)
    late = encode_chunks(encoder, [ChunkedText(CHUNKS, "The title")])
    title = own_tokens(encoder, "The title")
    parts = [own_tokens(encoder, text, "The title ") for text in CHUNKS]
    ids = [0, *title, *(token for part in parts for token in part), 2]
    states = hidden_states(tiny("m3"), ids)
    linear = encoder.checkpoint.multi.linear
    vectors = unit(states @ linear.weight.T.astype(np.float64) + linear.bias)
    start = 1 + len(title)
    for row, part in enumerate(parts):
        own = [*range(1 + len(title)), *range(start, start + len(part)), len(ids) - 1]
        np.testing.assert_allclose(late.dense[row], unit(states[own].mean(axis=0)), atol=1e-5)
        np.testing.assert_allclose(late.multi[row], vectors[own[1:]], atol=1e-5)
        assert set(late.sparse[[row]].indices) <= {*title, *part}
        start += len(part)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_chunks_of_several_windows_by_hand(load_tiny: Load, tiny: Tiny, runtime: str) -> None:
    """700 tokens in two windows that share 20: the second starts at 340, and owns what comes from 350 on."""
    encoder = load_tiny("m3", runtime)
    chunks = [
        ("river " * 200).strip(),
        ("night city " * 100).strip(),
        ("the water " * 100).strip(),
        "ville " * 99 + "is",
    ]
    late = encode_chunks(encoder, [ChunkedText(chunks)], overlap_tokens=20)
    content = [token for chunk in chunks for token in own_tokens(encoder, chunk)]
    assert len(content) == 700
    left, right = (hidden_states(tiny("m3"), [0, *part, 2]) for part in (content[:360], content[340:]))
    states = np.concatenate([left[1:351], right[11:-1]])
    around = [left, left, right, right]  # by the middles of the chunks: 100, 300, 500, 650
    starts = [0, 200, 400, 600, 700]
    for row, frame in enumerate(around):
        own = np.concatenate([frame[:1], states[starts[row] : starts[row + 1]], frame[-1:]])
        np.testing.assert_allclose(late.dense[row], unit(own.mean(axis=0)), atol=1e-5)
    assert late.multi.lengths.tolist() == [201, 201, 201, 101]


def test_context_reaches_across_chunks(load_tiny: Load) -> None:
    encoder = load_tiny("m3")
    first, second = (
        encode_chunks(encoder, [ChunkedText([before, "it is big"])]).dense[1] for before in ("the river", "the night")
    )
    assert np.abs(first - second).max() > 1e-3


@pytest.mark.parametrize("batch_tokens", [1, 500, None])
def test_texts_alone_are_the_same_as_among_others(
    load_tiny: Load, same_vectors: Same, batch_tokens: int | None
) -> None:
    encoder = load_tiny("m3")
    texts = [ChunkedText(CHUNKS, "t"), ChunkedText(["night " * 300] * 3), ChunkedText([""]), ChunkedText(CHUNKS[:1])]
    together = encode_chunks(encoder, texts, batch_tokens=batch_tokens)
    assert len(together) == 11
    row = 0
    for text in texts:
        same_vectors(encode_chunks(encoder, [text]), together[row : row + len(text.chunks)])
        row += len(text.chunks)


def test_many_batches_at_once_give_the_same(
    tiny: Tiny, load_tiny: Load, same_vectors: Same, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "BULK_TOKENS", 1)
    two_lanes = trivec.load(tiny("m3"), "onnx", threads=2)
    texts = [ChunkedText(CHUNKS, "t"), ChunkedText(["night " * 300] * 6), ChunkedText(["the city"])]
    plain = two_lanes.encode(["a", "the city"], batch_tokens=1)
    same_vectors(encode_chunks(two_lanes, texts, batch_tokens=600), encode_chunks(load_tiny("m3"), texts))
    same_vectors(two_lanes.encode(["a", "the city"], batch_tokens=1), plain)


def test_each_head_alone_is_the_same_as_among_others(load_tiny: Load, same_vectors: Same) -> None:
    encoder, texts = load_tiny("m3"), [ChunkedText(CHUNKS, "t")]
    everything = encode_chunks(encoder, texts)
    assert everything.heads == encoder.heads
    for head in encoder.heads:
        same_vectors(encode_chunks(encoder, texts, [head]), everything.with_heads(head))
    with pytest.raises(MissingHeadError):
        encode_chunks(load_tiny("bert"), texts, ["sparse"])


def test_no_texts_have_all_heads_and_widths(load_tiny: Load) -> None:
    encoder = load_tiny("m3")
    nothing = encode_chunks(encoder, [])
    assert (len(nothing), nothing.heads, nothing.dense.shape) == (0, encoder.heads, (0, 32))
    joined = trivec.Embeddings.concatenate([nothing, encode_chunks(encoder, [ChunkedText(["a"])])])
    assert "late chunking" in joined.fingerprint.heads["dense"]


@pytest.mark.parametrize("name", ["m3", "bert", "roberta", "st-mean"])
@pytest.mark.parametrize("title", ["", "Ein Titel: 東京"])
def test_every_vector_of_a_passage_has_its_span_in_any_script(load_tiny: Load, name: str, title: str) -> None:
    """As many vectors as the passage's own string has tokens, so that explanations find the words."""
    encoder = load_tiny(name, "onnx", 16)
    splitter = PassageSplitter.for_encoder(encoder, long_documents=LongDocuments("late-chunking", 40))
    document = Document("d", SCRIPTS * 12, title)
    passages = splitter.split(document)
    vectors = splitter.encode(encoder, passages)
    assert len(passages) > 4
    assert "".join(passage.text for passage in passages) == document.text
    for passage, count in zip(passages, vectors.multi.lengths, strict=True):
        content, prompt = splitter.content(passage), encoder.checkpoint.document_prompt
        assert document.text[passage.start : passage.end] == passage.text
        assert len(encoder.tokenizer.vector_spans(content, 100_000, prompt)) == count


def test_passages_may_come_in_any_order(load_tiny: Load, same_vectors: Same) -> None:
    encoder = load_tiny("m3")
    splitter = PassageSplitter.for_encoder(encoder, long_documents=LongDocuments("late-chunking"))
    passages = [splitter.split(Document(name, sentences(60), name)) for name in "ab"]
    inside = splitter.encode(encoder, [*passages[0], *passages[1]])
    turned = splitter.encode(encoder, [*passages[0][1:], passages[0][0], *passages[1][::-1]])
    count = len(passages[0])
    same_vectors(turned, inside.select([*range(1, count), 0, *range(2 * count - 1, count - 1, -1)]))


# -- passages -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "longest"),
    [
        (LongDocuments(), 508),
        (LongDocuments(passage_tokens=50), 50),
        (LongDocuments("late-chunking"), LATE_PASSAGE_TOKENS),
        (LongDocuments("late-chunking", 9999), 508),
        (LongDocuments("mcls"), 507),
    ],
)
def test_passages_are_as_long_as_asked_for(load_tiny: Load, options: LongDocuments, longest: int) -> None:
    encoder = load_tiny("m3")
    splitter = PassageSplitter.for_encoder(encoder, long_documents=options)
    passages = splitter.split(Document("d", "water " * 2000))
    lengths = [len(encoder.tokenizer.pieces([passage.text])[0].ids) for passage in passages]
    assert longest * 0.7 < max(lengths) <= longest


def test_by_windows_a_document_is_one_passage(load_tiny: Load) -> None:
    encoder = load_tiny("m3")
    splitter = PassageSplitter.for_encoder(encoder, long_documents=LongDocuments("windows"))
    (passage,) = splitter.split(Document("d", "water " * 1999 + "is", "Title"))
    assert splitter.encode(encoder, [passage]).multi.lengths.tolist() == [2000 + 1 + len(own_tokens(encoder, "Title"))]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("whole",), "unknown way with long documents 'whole': choose one of passages, late-chunking, windows, mcls"),
        (("passages", 0), "passage_tokens must be at least 1, got 0"),
        (("windows", 100), "passage_tokens has no meaning for 'windows'"),
    ],
)
def test_options_that_cannot_be_are_refused(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        LongDocuments(*arguments)


def test_settings_come_back(load_tiny: Load) -> None:
    for options in (LongDocuments(), LongDocuments("late-chunking", 200), LongDocuments("mcls")):
        assert LongDocuments.from_settings(json.loads(json.dumps(options.settings()))) == options
    with pytest.raises(InputError, match=r"unknown settings \['period'\]"):
        LongDocuments.from_settings({"period": 3})
    with pytest.raises(InputError, match="mean pooling"):
        LongDocuments("mcls").check_model(load_tiny("st-mean"))


@pytest.mark.parametrize("name", ["m3", "st-mean"])
def test_a_blank_that_is_a_token_does_not_part_a_text(
    load_tiny: Load, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Behind a title, some scripts begin with a blank of their own: all chunks still go through one pass."""
    encoder = load_tiny(name)
    rows: list[int] = []
    forward = encoder.runtime.forward
    monkeypatch.setattr(
        encoder.runtime,
        "forward",
        lambda ids, *more, **named: rows.append(len(ids)) or forward(ids, *more, **named),
    )
    encode_chunks(encoder, [ChunkedText(CHUNKS, "A title")], ["dense"])
    assert rows == [1]


# -- libraries ------------------------------------------------------------------------------------------------


def contents(library: trivec.Collection) -> dict[str, list[float]]:
    passages = list(library.store.select())
    vectors = library.store.vectors([passage.id for passage in passages])
    return {passage.id: row.tolist() for passage, row in zip(passages, vectors.dense, strict=True)}


@pytest.mark.parametrize(
    "options", [LongDocuments("late-chunking", 60), LongDocuments("windows"), LongDocuments("mcls")]
)
def test_a_library_remembers_its_way_and_uses_it_for_more(
    load_tiny: Load, tmp_path: Path, options: LongDocuments
) -> None:
    encoder = load_tiny("m3")
    documents = [Document(name, sentences(100), f"Title {name}") for name in "ab"]
    with trivec.open(":memory:", encoder, long_documents=options) as library:
        library.add(documents)
        expected = contents(library)
    with trivec.open(tmp_path / "library", encoder, long_documents=options) as library:
        library.add(documents[:1])
    with trivec.open(tmp_path / "library", encoder) as library:
        assert library.long_documents == options
        report = library.add(documents)
        assert (report.added, report.unchanged) == (1, 1)
        found = contents(library)
        assert found.keys() == expected.keys()
        for name, vector in expected.items():
            np.testing.assert_allclose(found[name], vector, atol=1e-3)
        assert library.get("a") == documents[0]


def test_an_explanation_names_words_of_the_passage(load_tiny: Load) -> None:
    encoder = load_tiny("m3")
    text = sentences(40) + " The capital city stands by the river. " + sentences(40)
    with trivec.open(":memory:", encoder, long_documents=LongDocuments("late-chunking", 60)) as library:
        library.add([Document("d", text, "A title"), Document("e", "water")])
        hits = library.search("capital city river", k=5)
        for hit in hits:
            for match in hit.explain().alignments:
                source = hit.passage.title if match.field == "title" else library.get(hit.id).text
                assert source[match.document_start : match.document_end] == match.document_word


def test_another_way_than_the_library_has_is_refused(load_tiny: Load, tmp_path: Path) -> None:
    encoder, folder = load_tiny("m3"), tmp_path / "library"
    trivec.open(folder, encoder, long_documents=LongDocuments("late-chunking", 60)).close()
    trivec.open(folder, encoder, long_documents=LongDocuments("late-chunking", 60)).close()
    with pytest.raises(InputError, match="as late-chunking of 60 tokens, not as windows: leave the option out"):
        trivec.open(folder, encoder, long_documents=LongDocuments("windows"))
    with pytest.raises(InputError, match="mean pooling"):
        trivec.open(tmp_path / "other", load_tiny("st-mean"), long_documents=LongDocuments("mcls"))
    assert not (tmp_path / "other").exists()


def test_the_command_line_passes_the_way_on(tiny: Tiny, tmp_path: Path) -> None:
    from trivec.cli.running import run

    source, library = tmp_path / "long.txt", tmp_path / "library"
    source.write_text(sentences(60))
    words = ["index", str(source), "--out", str(library), "--model", str(tiny("m3")), "--quiet"]
    assert run([*words, "--long-text", "late-chunking", "--passage-tokens", "50"]) == 0
    with trivec.open(library) as opened:
        assert opened.long_documents == LongDocuments("late-chunking", 50)
        assert opened.info().passages > 8
    with pytest.raises(InputError, match="takes long documents as late-chunking of 50 tokens, not as mcls"):
        run([*words, "--long-text", "mcls"])


@pytest.mark.model
def test_in_sight_of_its_neighbours_a_sentence_answers_what_it_does_not_name(m3_small: Encoder) -> None:
    chunks = ["Berlin is the capital of Germany.", "It has 3.8 million inhabitants.", "Its river is the Spree."]
    query = m3_small.encode_queries("How many people live in Berlin?").dense[0]
    alone = m3_small.encode_documents(chunks).dense @ query
    late = encode_chunks(m3_small, [ChunkedText(chunks)], ["dense"]).dense @ query
    assert (alone.argmax(), late.argmax()) == (0, 1)
