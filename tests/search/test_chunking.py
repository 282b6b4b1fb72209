from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trivec.encode.tokenizer import TextTokenizer
from trivec.errors import InputError
from trivec.search import chunking
from trivec.search.chunking import Chunk, ChunkOptions, chunk
from trivec.search.sentences import sentence_ends, starts_character

from tiny_tokenizers import byte_level, unigram, whole_words, wordpiece

TOKENIZERS = [unigram(), wordpiece(), byte_level()]
ANY_TEXT = (
    st.text(max_size=300)
    | st.text(alphabet="the unbelivable. ,\n。東京\u0301\u200dﷺ🇩👍", max_size=400)
    | st.lists(st.sampled_from(["the", "unbelievable.", "\n\n", " ", "x" * 150, "東京大学。", "ﷺ"])).map(" ".join)
)


def lengths(text: str, tokenizer: TextTokenizer, chunks: list[Chunk]) -> list[int]:
    return [len(encoding.ids) for encoding in tokenizer.pieces([text[c.start : c.end] for c in chunks])]


@settings(max_examples=300, deadline=None)
@given(ANY_TEXT, st.sampled_from(TOKENIZERS), st.integers(1, 40), st.integers(0, 20))
def test_chunks_tile_any_text_within_the_limit(
    text: str, tokenizer: TextTokenizer, max_tokens: int, overlap: int
) -> None:
    options = ChunkOptions(max_tokens, min(overlap, max_tokens // 2))
    chunks = chunk(text, tokenizer, options)
    assert (chunks[0].start, chunks[-1].end) == (0, len(text))
    for before, after in itertools.pairwise(chunks):
        assert before.start < after.start <= before.end < after.end
        assert options.overlap_tokens or after.start == before.end
    for piece, length in zip(chunks, lengths(text, tokenizer, chunks), strict=True):
        assert length <= max_tokens or piece.end - piece.start == 1
    if len(tokenizer.pieces([text])[0].ids) <= max_tokens:
        assert len(chunks) == 1


@settings(max_examples=100, deadline=None)
@given(ANY_TEXT)
def test_characters_are_whole_where_there_is_room(text: str) -> None:
    chunks = chunk(text, TOKENIZERS[0], ChunkOptions(40))
    longest = max((end - start for start, end in itertools.pairwise(_character_starts(text))), default=0)
    if longest < 5:
        assert all(starts_character(text, piece.start) for piece in chunks)


def _character_starts(text: str) -> list[int]:
    return [place for place in range(len(text) + 1) if starts_character(text, place)]


def test_text_that_fits_is_one_chunk_and_so_is_the_empty_one() -> None:
    tokenizer = whole_words("one two . !")
    assert chunk("One. Two! ", tokenizer, ChunkOptions(4)) == [Chunk(0, 10)]
    assert chunk("", tokenizer, ChunkOptions(4)) == [Chunk(0, 0)]
    assert chunk(" \n ", tokenizer, ChunkOptions(4)) == [Chunk(0, 3)]


def cut(text: str, max_tokens: int, overlap_tokens: int = 0) -> list[str]:
    chunks = chunk(text, whole_words("a"), ChunkOptions(max_tokens, overlap_tokens))
    return [text[piece.start : piece.end] for piece in chunks]


@pytest.mark.parametrize(
    ("max_tokens", "parts"),
    [
        (5, ["One two three. ", "Four five six. ", "Seven eight nine."]),
        (8, ["One two three. ", "Four five six. Seven eight nine."]),
    ],
)
def test_sentences_stay_whole(max_tokens: int, parts: list[str]) -> None:
    assert cut("".join(parts), max_tokens) == parts


def test_a_paragraph_end_beats_a_sentence_end_nearby() -> None:
    parts = ["A b c d.\n\n", "E f g h i j. K l m n."]
    assert cut("".join(parts), 13) == parts


def test_clauses_then_spaces_where_there_are_no_sentences() -> None:
    assert cut("a b c d, e f g h i j, k l", 11) == ["a b c d, ", "e f g h i j, k l"]
    assert cut("a b c d e f g h", 5) == ["a b c d ", "e f g h"]


def test_the_last_chunk_is_not_tiny() -> None:
    sizes = [len(part.split()) for part in cut("word " * 103, 50)]
    assert max(sizes) - min(sizes) <= 1


def test_overlap_takes_whole_sentences_else_words() -> None:
    assert cut("A b c. D e f. G h i. J k l.", 9, 4) == ["A b c. D e f. ", "D e f. G h i. ", "G h i. J k l."]
    words = cut("a b c d e f g h i j k l", 6, 2)
    assert all(before.split()[-2:] == after.split()[:2] for before, after in itertools.pairwise(words))


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=["unigram", "wordpiece", "byte_level"])
@pytest.mark.parametrize(
    "text", ["aB3xY9/+kQ" * 5000, "東京大学" * 5000, "." * 50_000, "a\n" * 20_000, "e" + "\u0301" * 20_000, "🇩🇪" * 5000]
)
def test_long_runs_without_any_boundary(text: str, tokenizer: TextTokenizer) -> None:
    chunks = chunk(text, tokenizer, ChunkOptions(512))
    assert max(lengths(text, tokenizer, chunks)) <= 512
    assert "".join(text[piece.start : piece.end] for piece in chunks) == text


def test_chunks_of_real_length_end_at_sentences() -> None:
    text = " ".join(f"The number {n} is unbelievable." for n in range(3000))
    chunks = chunk(text, TOKENIZERS[0], ChunkOptions(512))
    ends = {end.position for end in sentence_ends(text)} | {len(text)}
    assert all(piece.end in ends for piece in chunks)


def test_text_is_tokenised_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    text = " ".join(f"The number {n} is unbelievable." for n in range(300))
    whole = chunk(text, TOKENIZERS[1], ChunkOptions(64))
    monkeypatch.setattr(chunking, "_BLOCK", 500)
    assert chunk(text, TOKENIZERS[1], ChunkOptions(64)) == whole


def test_work_is_linear() -> None:
    """Counts the characters that are tokenised, instead of taking a time."""
    tokenizer = _Counting(unigram())
    text = " ".join(f"The number {n} is unbelievable." for n in range(20_000))
    chunk(text, tokenizer, ChunkOptions(256))  # type: ignore[arg-type]
    assert tokenizer.characters < 3 * len(text)


class _Counting:
    def __init__(self, inner: TextTokenizer) -> None:
        self.inner = inner
        self.characters = 0

    def pieces(self, texts: list[str]) -> list[object]:
        self.characters += sum(map(len, texts))
        return list(self.inner.pieces(texts))


@pytest.mark.parametrize(("max_tokens", "overlap", "words"), [(0, 0, "at least 1"), (10, 6, "half"), (10, -1, "half")])
def test_options_that_contradict(max_tokens: int, overlap: int, words: str) -> None:
    with pytest.raises(InputError, match=words):
        ChunkOptions(max_tokens, overlap)
