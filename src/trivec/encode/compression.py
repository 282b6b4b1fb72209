"""Smaller vectors: fewer dimensions, fewer tokens, fewer weights.

What a vector's numbers are stored as (float16, int8, bits ...) is the store's business; here numbers are left out.

- *Truncation*: the first d dimensions, scaled to unit length again. Models trained for it lose little (Matryoshka
  representations, Kusupati et al. 2022, 2205.13147); for others it is a rough projection, so measure.
- *Token pooling* (Clavié, Chaffin, Adams 2024, 2409.14683): the token vectors of a passage are clustered by Ward's
  method into about L / factor groups, and each group's mean, scaled to unit length, takes its place.
- *Pruning*: the n heaviest learned weights of a passage.

Queries are truncated only: pooling or pruning them would save nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from trivec.embeddings import Embeddings
from trivec.errors import InputError
from trivec.fingerprint import Fingerprint
from trivec.ragged import Ragged
from trivec.types import FloatArray, Head


@dataclass(frozen=True)
class Compression:
    """What is left of the vectors of a library.

    Attributes:
        dimensions: of the dense vector; None keeps all.
        pool_tokens: keep about one in so many token vectors of a passage; 1 keeps all.
        sparse_weights: at most so many learned weights a passage; None keeps all.
    """

    dimensions: int | None = None
    pool_tokens: int = 1
    sparse_weights: int | None = None

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value is not None and value < 1:
                raise InputError(f"{name} must be at least 1, got {value}")

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Compression:
        """From `settings`."""
        return cls(**settings)

    def settings(self) -> dict[str, Any]:
        """What differs from keeping everything."""
        default = type(self)()
        return {name: value for name, value in asdict(self).items() if value != getattr(default, name)}

    def documents(self, vectors: Embeddings) -> Embeddings:
        """Compressed vectors of passages.

        Raises:
            InputError: the dense vectors have fewer dimensions than are to be kept.
        """
        multi, sparse = vectors.multi, vectors.sparse
        return replace(
            self.queries(vectors),
            multi=multi if multi is None else pool_tokens(multi, self.pool_tokens),
            sparse=sparse if sparse is None or not self.sparse_weights else heaviest(sparse, self.sparse_weights),
        )

    def queries(self, vectors: Embeddings) -> Embeddings:
        """Vectors of queries, to be compared with compressed passages."""
        dense = vectors.dense
        if dense is not None and self.dimensions is not None:
            dense = truncate(dense, self.dimensions)
        return replace(vectors, dense=dense, fingerprint=self._marked(vectors.fingerprint))

    def _marked(self, fingerprint: Fingerprint | None) -> Fingerprint | None:
        if fingerprint is None:
            return None
        marks: dict[Head, str] = {}
        if self.dimensions is not None:
            marks["dense"] = f"first {self.dimensions}"
        if self.pool_tokens > 1:
            marks["multi"] = f"pooled by {self.pool_tokens}"
        if self.sparse_weights is not None:
            marks["sparse"] = f"heaviest {self.sparse_weights}"
        heads = {
            head: f"{words}, {marks[head]}" if head in marks else words for head, words in fingerprint.heads.items()
        }
        return replace(fingerprint, heads=heads)


def truncate(dense: FloatArray, dimensions: int) -> FloatArray:
    """The first dimensions of vectors (n, d), scaled to unit length; a zero vector stays zero.

    Raises:
        InputError: there are fewer.
    """
    if dimensions > dense.shape[1]:
        raise InputError(f"dense vectors of {dense.shape[1]} dimensions cannot keep {dimensions}: ask for fewer")
    return _unit(dense[:, :dimensions])


def pool_tokens(multi: Ragged, factor: int) -> Ragged:
    """Token vectors clustered within each passage, about one in ``factor`` left, in the order of their first tokens."""
    if factor == 1:
        return multi
    return Ragged.from_rows([_pooled(tokens, factor) for tokens in multi], multi.width)


def _pooled(tokens_LC: FloatArray, factor: int) -> FloatArray:
    from scipy.cluster.hierarchy import fcluster, linkage

    wanted = -(-len(tokens_LC) // factor)
    if len(tokens_LC) <= 1 or wanted == len(tokens_LC):
        return tokens_LC
    labels = fcluster(linkage(tokens_LC.astype(np.float64), "ward"), wanted, "maxclust")
    _, first, group = np.unique(labels, return_index=True, return_inverse=True)
    place = np.argsort(np.argsort(first))[group]
    sums = np.zeros((len(first), tokens_LC.shape[1]), np.float32)
    np.add.at(sums, place, tokens_LC)
    return _unit(sums)


def heaviest(sparse: sp.csr_array, count: int) -> sp.csr_array:
    """The ``count`` heaviest weights of every row; of equal ones, those of the lower terms."""
    rows = np.repeat(np.arange(sparse.shape[0]), np.diff(sparse.indptr))
    order = np.lexsort((sparse.indices, -sparse.data, rows))
    place = np.arange(len(order)) - np.repeat(sparse.indptr[:-1], np.diff(sparse.indptr))
    kept = np.sort(order[place < count])
    offsets = np.concatenate([[0], np.cumsum(np.minimum(np.diff(sparse.indptr), count))])
    return sp.csr_array((sparse.data[kept], sparse.indices[kept], offsets), shape=sparse.shape)


def _unit(rows: FloatArray) -> FloatArray:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(norms > 0, norms, 1), np.float32)
