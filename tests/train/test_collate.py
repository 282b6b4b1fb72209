"""Batches as ids: prompts, lengths, texts once, and what is no negative."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trivec.data.examples import Example
from trivec.encode.tokenizer import TextTokenizer
from trivec.errors import InputError
from trivec.train.collate import CollateOptions, Collator, TokenBatch, TrainBatch
from trivec.train.lengths import measure_lengths
from trivec.train.segment_shuffle import SegmentShuffle

import tiny_models

STILL = SegmentShuffle(probability=0.0)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> TextTokenizer:
    folder = tiny_models.write_tiny_m3(tmp_path_factory.mktemp("collate") / "m3")
    return TextTokenizer.from_file(folder / "tokenizer.json")


def texts_of(batch: TokenBatch, tokenizer: TextTokenizer) -> list[str]:
    rows = (ids[mask.bool()].tolist() for ids, mask in zip(batch.ids, batch.mask, strict=True))
    return ["".join(tokenizer.token(number) for number in row).replace("▁", " ") for row in rows]


def collate(tokenizer: TextTokenizer, examples: list[Example], epoch: int = 0, **options: object) -> TrainBatch:
    settings = CollateOptions(shuffle=STILL, **options)  # type: ignore[arg-type]
    return Collator(tokenizer, 1, settings)(examples, list(range(len(examples))), epoch)


def test_groups_become_padded_ids(tokenizer: TextTokenizer) -> None:
    examples = [
        Example("the city", ("capital",), ("river", "water of the mountain")),
        Example("night", ("book",), ("the of and", "science")),
    ]
    batch = collate(tokenizer, examples, group_size=3, query_prompt="what ", document_prompt="of ")
    assert len(batch) == 2 and batch.group_size == 3 and batch.in_batch_negatives
    queries = texts_of(batch.queries, tokenizer)
    assert [queries[row] for row in batch.query_rows] == ["<s> what the city</s>", "<s> what night</s>"]
    passages = [texts_of(batch.passages, tokenizer)[row] for row in batch.passage_rows]
    assert passages[0] == "<s> of capital</s>" and passages[3] == "<s> of book</s>"
    assert set(passages[1:3]) == {"<s> of river</s>", "<s> of water of the mountain</s>"}
    assert batch.queries.prompt_lengths.tolist() == [1, 1]
    assert (batch.passages.ids[~batch.passages.mask.bool()] == 1).all()
    assert batch.passages.lengths.max() == batch.passages.ids.shape[1]
    assert batch.queries.ids.shape[1] < batch.passages.ids.shape[1]
    assert batch.queries.padded_share == pytest.approx(1 / 10)
    assert batch.teacher_scores is None and batch.duplicates is None


def test_lengths_are_cut_for_each_side(tokenizer: TextTokenizer) -> None:
    batch = collate(tokenizer, [Example("the " * 90, ("the " * 90,))] * 2, query_length=10, passage_length=20)
    assert batch.queries.ids.shape == (1, 10) and batch.passages.ids.shape == (1, 20)
    assert batch.queries.ids[0, -1] == tokenizer.id_of("</s>")


def test_a_prompt_of_its_own_goes_before_the_models(tokenizer: TextTokenizer) -> None:
    examples = [
        Example("city", ("a",)),
        Example("city", ("b",), prompt="where is "),
        Example("city", ("c",), prompt=""),
    ]
    batch = collate(tokenizer, examples, query_prompt="what ")
    texts = texts_of(batch.queries, tokenizer)
    assert [texts[row] for row in batch.query_rows] == ["<s> what city</s>", "<s> where is city</s>", "<s> city</s>"]
    assert batch.queries.prompt_lengths[batch.query_rows].tolist() == [1, 2, 0]


def test_kinds_that_compare_like_with_like_prompt_both_sides(tokenizer: TextTokenizer) -> None:
    examples = [Example("a b", ("b c",), kind="symmetric_sts"), Example("c", ("d",))]
    batch = collate(tokenizer, examples, query_prompt="q: ", document_prompt="p: ", group_size=1)
    alone = Collator(tokenizer, 0, CollateOptions(query_prompt="q: ", document_prompt="p: "))
    for row, (text, prompt) in enumerate([("b c", "q: "), ("d", "p: ")]):
        expected = alone.texts([text], prompt, 32)
        place = batch.passage_rows[row]
        length = int(batch.passages.lengths[place])
        assert batch.passages.ids[place, :length].tolist() == expected.ids[0].tolist()


def test_each_text_is_encoded_once(tokenizer: TextTokenizer) -> None:
    examples = [Example("city", ("capital",), ("river",)), Example("night", ("river",), ("capital",))]
    batch = collate(tokenizer, examples, group_size=5)
    assert len(batch.passages) == 2 and batch.passage_rows.tolist() == [0, 1, 1, 1, 1, 1, 0, 0, 0, 0]


def test_known_answers_are_no_negatives(tokenizer: TextTokenizer) -> None:
    examples = [
        Example("city", ("capital", "town"), ("a",)),
        Example("night", ("capital",), ("b",)),
        Example("city", ("c",), ("d",)),
        Example("book", ("e",), ("town",)),
    ]
    batch = collate(tokenizer, examples, group_size=2)
    assert batch.duplicates is not None
    found = {tuple(pair) for pair in batch.duplicates.nonzero().tolist()}
    # passages: 0 capital or town, 1 a, 2 capital, 3 b, 4 c, 5 d, 6 e, 7 town
    assert found - {(1, 0)} == {(0, 2), (0, 4), (0, 7), (2, 0), (2, 2), (2, 7)}
    own = torch.block_diag(*[torch.ones(1, 2)] * 4).bool()
    assert not (batch.duplicates & own).any()


def test_teacher_scores_need_all_groups(tokenizer: TextTokenizer) -> None:
    scored = Example("city", ("a",), ("b",), positive_scores=(2.0,), negative_scores=(-1.0,))
    batch = collate(tokenizer, [scored, scored], group_size=2)
    assert batch.teacher_scores is not None and batch.teacher_scores.tolist() == [[2.0, -1.0]] * 2
    assert collate(tokenizer, [scored, Example("x", ("a",), ("b",))], group_size=2).teacher_scores is None


def test_draws_repeat_and_change_with_the_epoch(tokenizer: TextTokenizer) -> None:
    examples = [Example(f"q{i}", ("a", "b"), tuple("cdefghij")) for i in range(6)]
    first, again = collate(tokenizer, examples, 3), collate(tokenizer, examples, 3)
    assert torch.equal(first.passages.ids, again.passages.ids) and torch.equal(first.passage_rows, again.passage_rows)
    other = collate(tokenizer, examples, 4)
    assert texts_of(first.passages, tokenizer) != texts_of(other.passages, tokenizer)


def test_segments_are_shuffled_when_asked(tokenizer: TextTokenizer) -> None:
    text = "the capital of the city. " * 5 + "water in the river. " * 5 + "a book of science. " * 5
    options = CollateOptions(shuffle=SegmentShuffle(probability=1.0))
    batch = Collator(tokenizer, 1, options)([Example("q", (text.strip(),))], [0])
    (shuffled,) = texts_of(batch.passages, tokenizer)
    plain = texts_of(Collator(tokenizer, 1, options).texts([text.strip()], "", 512), tokenizer)[0]
    words, expected = (found.removeprefix("<s>").removesuffix("</s>").split() for found in (shuffled, plain))
    assert words != expected and sorted(words) == sorted(expected)


def test_what_cannot_share_a_batch_is_refused(tokenizer: TextTokenizer) -> None:
    with pytest.raises(InputError, match="groups of different sizes"):
        collate(tokenizer, [Example("a", ("b",)), Example("a", ("b",), ("c",))])
    with pytest.raises(InputError, match="in-batch negatives"):
        collate(tokenizer, [Example("a", ("b",)), Example("a", ("b",), own_group_only=True)])
    own = collate(tokenizer, [Example("a", ("b",), own_group_only=True)] * 2)
    assert not own.in_batch_negatives and own.duplicates is None


def test_rows_are_padded_to_the_longest_of_them(tokenizer: TextTokenizer) -> None:
    batch = Collator(tokenizer, 1, CollateOptions()).texts(["the", "the the the the", "the the"], "of ", 50)
    some = batch.rows(torch.tensor([2, 0]))
    assert some.ids.shape == (2, 5) and some.lengths.tolist() == [5, 4]
    assert some.prompt_lengths.tolist() == [1, 1]
    assert batch.rows(torch.tensor([], dtype=torch.int64)).ids.shape == (0, 0)
    moved = batch.to("cpu")
    assert torch.equal(moved.ids, batch.ids)


def test_lengths_are_those_of_the_longest_text(tokenizer: TextTokenizer) -> None:
    examples = [
        Example("the city", ("the",), ("the river of water",)),
        Example("the the the the the the", ("a",)),
        Example("the", ("the " * 100,)),
    ]
    assert measure_lengths(examples, tokenizer, 6, 50).tolist() == [6, 6, 50]
    many = measure_lengths(examples * 700, tokenizer, 64, 64)
    np.testing.assert_array_equal(many, np.tile([6, 8, 64], 700))
    assert len(measure_lengths([], tokenizer, 6, 6)) == 0
