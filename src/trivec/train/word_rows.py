"""One look-up of word embeddings for many passes through the backbone.

The gradient of a look-up is as large as the whole table, 250,002 rows in multilingual models. A batch that goes
through the backbone in parts would pay for that once a part; looked up together, it pays once a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class WordRows:
    """Embeddings of some ids.

    Attributes:
        ids: (u,), ascending, each once.
        vectors: (u, d), their embeddings, with gradient.
    """

    ids: Tensor
    vectors: Tensor

    @staticmethod
    def of(table: nn.Module, batches: Sequence[Tensor]) -> WordRows:
        """Look up every id that occurs in the batches, once."""
        ids = torch.unique(torch.cat([batch.flatten() for batch in batches]))
        return WordRows(ids, table(ids))

    def embed(self, ids: Tensor) -> Tensor:
        """Embeddings of ids in any shape; each must be among those that were looked up."""
        embedded: Tensor = nn.functional.embedding(torch.searchsorted(self.ids, ids.contiguous()), self.vectors)
        return embedded
