"""Groups as rows of pairs: which pairs, where they stand, and how long they are."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from copy_task import rows

from trivec.data.examples import Example
from trivec.encode.tokenizer import TextTokenizer
from trivec.errors import InputError
from trivec.rerank.pair_tokens import PairTokens
from trivec.rerank.reranker import Pair
from trivec.train.draws import GroupDraws
from trivec.train.lengths import PairLengths
from trivec.train.pair_batches import PairCollator
from trivec.train.segment_shuffle import SegmentShuffle

DRAWS = GroupDraws(3, SegmentShuffle(0.0))


@pytest.fixture
def tokenizer(tiny: Callable[[str], Path]) -> TextTokenizer:
    return TextTokenizer.from_file(tiny("m3") / "tokenizer.json")


def test_each_passage_stands_with_its_query_and_each_pair_once(tokenizer: TextTokenizer) -> None:
    examples = [
        Example("the city", ("water",), ("river",)),
        Example("book", ("library",), ("night", "mountain"), prompt="where is the "),
    ]
    tokens = PairTokens(tokenizer, 30, 10)
    batch = PairCollator(tokens, 1, DRAWS)(examples, [0, 1])
    assert (len(batch), batch.group_size, len(batch.pairs)) == (2, 3, 5)
    assert batch.rows[1] == batch.rows[2]  # the only negative, twice
    first = [tokens.rows([Pair("the city", text)])[0].tolist() for text in ("water", "river", "river")]
    found = [
        ids[: int(mask.sum())].tolist()
        for ids, mask in zip(batch.pairs.ids[batch.rows], batch.pairs.mask[batch.rows], strict=True)
    ]
    assert found[:3] == first
    assert found[3] == tokens.rows([Pair("where is the book", "library")])[0].tolist()
    assert batch.teacher_scores is None
    assert torch.equal(batch.to("cpu").rows, batch.rows)


def test_scores_follow_their_passages(tokenizer: TextTokenizer) -> None:
    scored = Example("the city", ("water",), ("river", "night"), (3.0,), (1.0, 2.0))
    batch = PairCollator(PairTokens(tokenizer, 30, 10), 1, DRAWS)([scored], [0])
    assert batch.teacher_scores is not None
    assert batch.teacher_scores[0, 0] == 3.0 and set(batch.teacher_scores[0, 1:].tolist()) == {1.0, 2.0}


def test_batches_are_the_same_again_and_others_in_another_epoch(tokenizer: TextTokenizer) -> None:
    examples = [Example(row["query"], tuple(row["pos"]), tuple(row["neg"])) for row in rows(6, negatives=8)]
    collate = PairCollator(PairTokens(tokenizer, 60, 20), 1, DRAWS)
    first, again, later = (collate(examples, range(6), epoch).pairs.ids for epoch in (0, 0, 1))
    assert torch.equal(first, again)
    assert first.shape != later.shape or not torch.equal(first, later)


def test_groups_of_several_sizes_are_refused(tokenizer: TextTokenizer) -> None:
    examples = [Example("a", ("b",), ("c",)), Example("d", ("e",), ("f",), kind="only_1neg")]
    with pytest.raises(InputError, match="groups of different sizes"):
        PairCollator(PairTokens(tokenizer, 30, 10), 1, DRAWS)(examples, [0, 1])


def test_lengths_are_those_of_the_longest_pair(tokenizer: TextTokenizer, caplog: pytest.LogCaptureFixture) -> None:
    examples = [
        Example("water " * count, ("river " * count,), ("night " * (2 * count), "book")) for count in (1, 3, 9, 20)
    ]
    tokens = PairTokens(tokenizer, 40, 12)
    with caplog.at_level(logging.WARNING):
        collate = PairCollator(tokens, 1, DRAWS)
        expected = [int(collate([example], [0]).pairs.lengths.max()) for example in examples]
    assert not caplog.text  # cut texts are no news in training
    np.testing.assert_array_equal(PairLengths(12, 40, tokens.fixed)(examples, tokenizer), expected)
    assert expected[-1] == 40
    assert PairLengths(12, 40, tokens.fixed)([], tokenizer).tolist() == []
