from __future__ import annotations

import torch

from trivec.train.objectives.masks import NO_KEY, false_negatives, text_key


def test_texts_that_look_the_same_share_a_key() -> None:
    assert text_key("Ｆｕｌｌ width  and\nSTRASSE ") == text_key("full width and straße")
    assert text_key("one text") != text_key("another text")


def test_keys_fit_a_tensor() -> None:
    keys = [text_key(str(number)) for number in range(1000)]
    assert len(set(keys)) == 1000
    assert all(0 < key < 2**63 for key in keys)
    assert torch.tensor(keys).tolist() == keys


def test_what_answers_another_query_too_is_marked() -> None:
    # Groups of two: [a, b], [a, c], [d, a by its other key]. The first query knows a and c, the second a, the third d.
    a, b, c, d = (text_key(text) for text in "abcd")
    passages = torch.tensor([[a, 11], [b, NO_KEY], [a, NO_KEY], [c, 13], [d, NO_KEY], [text_key("a, edited"), 11]])
    marked = false_negatives(passages, [[a, c, 11], [a], [d, NO_KEY]], group_size=2)
    assert marked.tolist() == [
        [False, False, True, True, False, True],
        [True, False, False, False, False, False],
        [False, False, False, False, False, False],
    ]


def test_a_negative_of_the_own_group_that_is_right_is_marked() -> None:
    a, b = text_key("a"), text_key("b")
    marked = false_negatives(torch.tensor([[a], [a], [b]]), [[a]], group_size=3)
    assert marked.tolist() == [[False, True, False]]


def test_the_own_positive_of_a_later_rank_is_not_marked() -> None:
    a, b = text_key("a"), text_key("b")
    marked = false_negatives(torch.tensor([[a], [b], [a], [b]]), [[a], [b]], group_size=1, first_passage=2)
    assert marked.tolist() == [[True, False, False, False], [False, True, False, False]]


def test_queries_without_known_keys_mark_nothing() -> None:
    assert not false_negatives(torch.tensor([[5], [NO_KEY]]), [[], [NO_KEY]], group_size=1).any()
