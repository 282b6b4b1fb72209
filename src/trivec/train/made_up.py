"""Batches of drawn words, each text as long as it is asked for: what is tried before a run knows its batch sizes."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from trivec.train.collate import TokenBatch, TrainBatch
from trivec.train.pair_batches import PairBatch


def made_up_groups(
    queries: int, tokens: int, group_size: int, sides: Sequence[tuple[int, int]], words: int, with_teacher: bool
) -> TrainBatch:
    """Queries and passages for an encoder.

    Args:
        queries: how many.
        tokens: of each text, without its prompt.
        group_size: passages a query.
        sides: of queries and of passages: tokens of the prompt, and most tokens of a text.
        words: in the vocabulary.
        with_teacher: give teacher scores.
    """
    random = torch.Generator().manual_seed(0)
    made: list[TokenBatch] = []
    for texts, (prompt, most) in zip((queries, queries * group_size), sides, strict=True):
        made.append(_texts((texts, min(tokens + prompt, most)), words, prompt, random))
    query_rows, passage_rows = (torch.arange(len(side)) for side in made)
    scores = torch.zeros(queries, group_size) if with_teacher else None
    return TrainBatch(made[0], made[1], query_rows, passage_rows, group_size=group_size, teacher_scores=scores)


def made_up_pairs(
    queries: int, tokens: int, group_size: int, max_length: int, words: int, with_teacher: bool
) -> PairBatch:
    """Rows for a cross-encoder. Arguments as for `made_up_groups`; ``max_length`` is that of a row."""
    random = torch.Generator().manual_seed(0)
    pairs = _texts((queries * group_size, min(tokens, max_length)), words, 0, random)
    scores = torch.zeros(queries, group_size) if with_teacher else None
    return PairBatch(pairs, torch.arange(len(pairs)), group_size, scores)


def _texts(shape: tuple[int, int], words: int, prompt: int, random: torch.Generator) -> TokenBatch:
    ids = torch.randint(words, shape, generator=random)
    return TokenBatch(ids, torch.ones_like(ids), torch.full(shape[:1], prompt))
