"""How long examples are, in tokens: what buckets and plans go by."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from trivec.data.examples import Example
from trivec.encode.tokenizer import TextTokenizer
from trivec.types import IntArray

_TOGETHER = 4096


def measure_lengths(
    examples: Iterable[Example], tokenizer: TextTokenizer, query_length: int, passage_length: int
) -> IntArray:
    """Tokens of the longest text of each example: its query, all positives, all negatives; prompts not counted.

    Args:
        examples: any number; some thousands of texts are in memory at a time.
        tokenizer: the model's.
        query_length: tokens after which queries are cut.
        passage_length: tokens after which passages are cut.
    """
    texts: list[str] = []
    limits: list[int] = []
    owners: list[int] = []
    longest: list[IntArray] = []
    for number, example in enumerate(examples):
        passages = (*example.positives, *example.negatives)
        texts += (example.query, *passages)
        limits += (query_length, *(passage_length for _ in passages))
        owners += [number] * (1 + len(passages))
        if len(texts) >= _TOGETHER:
            longest.append(_longest(texts, limits, owners, tokenizer))
            texts, limits, owners = [], [], []
    if texts:
        longest.append(_longest(texts, limits, owners, tokenizer))
    return np.concatenate([np.zeros(0, np.int64), *longest])


def _longest(texts: list[str], limits: list[int], owners: list[int], tokenizer: TextTokenizer) -> IntArray:
    special = tokenizer.special_tokens_per_text
    tokens = np.asarray([len(encoding.ids) + special for encoding in tokenizer.pieces(texts)], np.int64)
    starts = np.flatnonzero(np.diff(owners, prepend=-1))
    return np.maximum.reduceat(np.minimum(tokens, limits), starts)
