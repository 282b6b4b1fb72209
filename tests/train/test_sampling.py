"""Groups drawn from examples, and segments in another order."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from trivec.data.examples import Example
from trivec.encode.tokenizer import TextTokenizer
from trivec.errors import InputError
from trivec.train.sampling import draw, drawing_generator, passages_drawn
from trivec.train.segment_shuffle import SegmentShuffle, cut, sentence_boundaries, token_boundaries

import tiny_models

MANY = Example(
    "q",
    ("p0", "p1"),
    tuple(f"n{i}" for i in range(10)),
    positive_scores=(9.0, 8.0),
    negative_scores=tuple(float(i) for i in range(10)),
    prompt="ask: ",
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_a_group_is_a_positive_and_different_negatives() -> None:
    seen: Counter[str] = Counter()
    for seed in range(300):
        group = draw(MANY, 4, rng(seed))
        assert group.query == "q" and group.prompt == "ask: "
        assert group.passages[0] in MANY.positives and set(group.passages[1:]) <= set(MANY.negatives)
        assert len(set(group.passages)) == 4
        seen.update(group.passages)
    assert len(seen) == 12
    assert 100 < seen["p0"] < 200 and all(50 < seen[negative] < 130 for negative in MANY.negatives)


def test_teacher_scores_stand_beside_their_passages() -> None:
    scores = dict(zip(MANY.positives + MANY.negatives, (9.0, 8.0, *range(10)), strict=True))
    group = draw(MANY, 8, rng())
    assert group.teacher_scores == tuple(float(scores[passage]) for passage in group.passages)
    assert draw(Example("q", ("p",), ("n",), positive_scores=(1.0,)), 2, rng()).teacher_scores is None
    assert draw(Example("q", ("p",), positive_scores=(1.0,)), 8, rng()).teacher_scores == (1.0,)


def test_too_few_negatives_are_repeated_evenly() -> None:
    few = Example("q", ("p",), ("a", "b", "c"))
    for seed in range(20):
        counts = Counter(draw(few, 9, rng(seed)).passages[1:])
        assert sorted(counts.values()) == [2, 3, 3]


def test_how_many_passages_are_drawn() -> None:
    assert passages_drawn(MANY, 8) == 8 and passages_drawn(MANY, 1) == 1
    assert passages_drawn(Example("q", ("p",)), 8) == 1
    assert draw(Example("q", ("p",)), 8, rng()).passages == ("p",)
    assert passages_drawn(Example("q", ("p",), ("a", "b"), kind="only_1neg"), 8) == 2
    assert passages_drawn(Example("q", ("p",), ("a", "b"), kind="symmetric_class"), 8) == 3
    assert len(draw(Example("q", ("p",), ("a", "b"), kind="symmetric_class"), 8, rng()).passages) == 3
    with pytest.raises(InputError, match="group_size is 0"):
        passages_drawn(MANY, 0)


def test_drawing_depends_on_seed_epoch_and_number_alone() -> None:
    def first(seed: int, epoch: int, number: int) -> tuple[str, ...]:
        return draw(MANY, 5, drawing_generator(seed, epoch, number)).passages

    assert first(1, 2, 3) == first(1, 2, 3)
    assert len({first(1, 0, number) for number in range(50)}) > 40
    assert len({first(1, epoch, 0) for epoch in range(50)}) > 40
    assert len({first(seed, 0, 0) for seed in range(50)}) > 40


TEXT = "".join(f"This is sentence number {i}, as long as others. " for i in range(12)).strip()


def test_segments_are_cut_between_sentences_and_all_there() -> None:
    segments = cut(TEXT, 3, sentence_boundaries(TEXT))
    assert "".join(segments) == TEXT and len(segments) == 3
    assert all(segment.startswith("This is") for segment in segments)
    assert max(map(len, segments)) - min(map(len, segments)) < 60


def test_a_shuffle_changes_the_order_and_nothing_else() -> None:
    shuffle = SegmentShuffle(probability=1.0)
    orders = set()
    for seed in range(30):
        shuffled = shuffle.apply(TEXT, rng(seed))
        assert shuffled != TEXT
        assert sorted(shuffled.split()) == sorted(TEXT.split())
        assert Counter(shuffled.split(". ")).keys() >= set(TEXT.split(". ")[:-1])
        orders.add(shuffled)
    assert len(orders) == 5


def test_it_is_rare_by_default() -> None:
    generator = rng(3)
    shuffled = sum(SegmentShuffle().apply(TEXT, generator) != TEXT for _ in range(10_000))
    assert 5 < shuffled < 45


def test_short_texts_and_texts_without_boundaries_stay() -> None:
    always = SegmentShuffle(probability=1.0)
    assert always.apply("Short. Text.", rng()) == "Short. Text."
    assert always.apply("x" * 500, rng()) == "x" * 500


def test_text_without_sentences_is_cut_between_words() -> None:
    words = " ".join(f"word{i}" for i in range(60))
    shuffled = SegmentShuffle(probability=1.0).apply(words, rng())
    assert shuffled != words and sorted(shuffled.split()) == sorted(words.split())


def test_scripts_without_spaces_get_none() -> None:
    text = "今天天气很好。" * 5 + "明天下雨。" * 5 + "我们在图书馆学习。" * 10
    shuffled = SegmentShuffle(probability=1.0).apply(text, rng())
    assert shuffled != text and sorted(shuffled) == sorted(text)


def test_cuts_between_tokens(tmp_path: Path) -> None:
    folder = tiny_models.write_tiny_m3(tmp_path / "m3")
    boundaries = token_boundaries(TextTokenizer.from_file(folder / "tokenizer.json"))
    text = "the capital of the country " * 10
    assert all(0 < place < len(text) for place in boundaries(text))
    shuffled = SegmentShuffle(probability=1.0, boundaries=boundaries).apply(text, rng(1))
    assert sorted(shuffled.split()) == sorted(text.split())


def test_bad_options_are_refused() -> None:
    with pytest.raises(InputError, match="probability of a shuffle is 2"):
        SegmentShuffle(probability=2)
    with pytest.raises(InputError, match="1 segments"):
        SegmentShuffle(segments=1)
