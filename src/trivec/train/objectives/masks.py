"""In-batch false negatives: passages of other queries, or of one's own group, that are right answers too."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from trivec.data.texts import text_key as text_digest

NO_KEY = 0
"""Stands where a passage has fewer keys than others. It equals no key."""


def text_key(text: str) -> int:
    """A number that texts share if they differ only in letter case, white space or Unicode form.

    A passage id stands for one text, so texts that are compared by key need no comparison of ids.
    """
    # 63 bits, for int64.
    return int.from_bytes(text_digest(text)[:8], "little") >> 1 or 1


def false_negatives(
    passage_keys: Tensor, positive_keys: Sequence[Sequence[int]], group_size: int, first_passage: int = 0
) -> Tensor:
    """Where a passage shares a key with a positive of the query: (B, P) bool, for `GroupInfo.duplicates`.

    The query's drawn positive is never marked.

    Args:
        passage_keys: (P, keys) int64, one key or more of each passage, of all ranks if their passages are gathered.
        positive_keys: for each query the keys of all its known positives, those not drawn too.
        group_size: G.
        first_passage: the row of the first query's positive in ``passage_keys``.
    """
    queries = torch.arange(len(positive_keys), device=passage_keys.device)
    marked = torch.zeros(len(positive_keys), len(passage_keys), dtype=torch.bool, device=passage_keys.device)
    for row, keys in zip(marked, positive_keys, strict=True):
        known = torch.tensor([key for key in keys if key != NO_KEY], dtype=torch.int64, device=passage_keys.device)
        row |= torch.isin(passage_keys, known).any(dim=1)
    marked[queries, first_passage + queries * group_size] = False
    return marked
