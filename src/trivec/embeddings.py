"""`Embeddings`: the value that flows through the house, from encoder to store, score and file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from trivec.errors import InputError, MissingHeadError
from trivec.ragged import Ragged
from trivec.tensorfile import memory_map, read_header, write_tensors
from trivec.types import HEADS, FloatArray, Head, IntArray

FORMAT_VERSION = 1
_SPARSE_HEADS: tuple[Head, ...] = ("sparse", "terms")


@dataclass(frozen=True)
class Fingerprint:
    """What vectors depend on. Two encoders with equal digests give the same vectors for the same text.

    ``heads`` maps each head to a short description of how it is made, e.g.
    ``{"dense": "384, mean, normalized", "multi": "128, training-free, seed 0"}``; ``model`` is a name for
    people and does not count.
    """

    model: str
    weights: str
    architecture: str = ""
    tokenizer: str = ""
    heads: Mapping[Head, str] = field(default_factory=dict)
    query_prompt: str = ""
    document_prompt: str = ""
    max_length: int = 0
    version: int = FORMAT_VERSION

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits over everything but the name."""
        content = asdict(self) | {"model": None}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    def differences(self, other: Fingerprint) -> list[str]:
        """The fields in which two fingerprints disagree, in words: ``"max_length: 512 / 256"``."""
        return [
            f"{f.name}: {getattr(self, f.name)} / {getattr(other, f.name)}"
            for f in fields(self)
            if f.name != "model" and getattr(self, f.name) != getattr(other, f.name)
        ]

    def to_json(self) -> str:
        """As one line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Fingerprint:
        """From `to_json`'s line."""
        return cls(**json.loads(text))


@dataclass(frozen=True, eq=False)
class Embeddings:
    """The vectors of n texts. A head that was not asked for is None.

    Attributes:
        dense: (n, d) float32, rows of unit length for every model that normalises.
        sparse: (n, V) CSR float32, learned weights > 0 over the vocabulary; `M3-Embedding` 1.1 (2402.03216).
        multi: n matrices (L_i, c) float32 with unit rows, one row a token.
        terms: (n, V) CSR float32, how often each subword occurs; the input of BM25.
        fingerprint: what the vectors depend on.

    ``len``, iteration (one `Embeddings` of one text each), slicing and `select` work on the texts.
    """

    dense: FloatArray | None = None
    sparse: sp.csr_array | None = None
    multi: Ragged | None = None
    terms: sp.csr_array | None = None
    fingerprint: Fingerprint | None = None

    def __post_init__(self) -> None:
        lengths = {head: _rows(self._part(head)) for head in self.heads}
        if len(set(lengths.values())) > 1:
            raise InputError(f"heads hold different numbers of texts: {lengths}")

    @property
    def heads(self) -> tuple[Head, ...]:
        """The heads that are present."""
        return tuple(head for head in HEADS if self._part(head) is not None)

    def _part(self, head: Head) -> Any:  # noqa: ANN401
        return getattr(self, head)

    def require(self, *heads: Head) -> None:
        """Refuse to go on without these heads.

        Raises:
            MissingHeadError: one is missing; the message names it and what is there.
        """
        for head in heads:
            if head not in self.heads:
                raise MissingHeadError(
                    f"these embeddings have no {head!r} vectors, only {', '.join(self.heads) or 'none'}: "
                    f"encode with heads=[..., {head!r}]"
                )

    def __len__(self) -> int:
        return next((_rows(self._part(head)) for head in self.heads), 0)

    def __iter__(self) -> Iterator[Embeddings]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, rows: int | slice | Sequence[int] | NDArray[np.integer]) -> Embeddings:
        if isinstance(rows, (int, np.integer)):
            if not -len(self) <= rows < len(self):
                raise IndexError(f"text {rows} of {len(self)}")
            row = int(rows) % len(self)
            rows = slice(row, row + 1)
        return self.select(rows)

    def select(self, rows: slice | Sequence[int] | NDArray[np.integer]) -> Embeddings:
        """The named texts, in the order given."""
        index: slice | IntArray = rows if isinstance(rows, slice) else np.asarray(rows, np.int64)
        return Embeddings(
            dense=None if self.dense is None else self.dense[index],
            sparse=None if self.sparse is None else self.sparse[index],
            multi=None if self.multi is None else self.multi.select(index),
            terms=None if self.terms is None else self.terms[index],
            fingerprint=self.fingerprint,
        )

    def with_heads(self, *heads: Head) -> Embeddings:
        """The same texts with these heads only.

        Raises:
            MissingHeadError: one of them is not there.
        """
        self.require(*heads)
        kept = {head: self._part(head) for head in heads}
        return Embeddings(**kept, fingerprint=self.fingerprint)

    @classmethod
    def concatenate(cls, parts: Sequence[Embeddings]) -> Embeddings:
        """Join embeddings that have the same heads and come from the same model.

        Raises:
            InputError: there is nothing to join, or the parts do not belong together.
        """
        if not parts:
            raise InputError("there are no embeddings to concatenate: give at least one part")
        first = parts[0]
        for part in parts[1:]:
            _check_alike(first, part)
        joined: dict[str, Any] = {}
        for head in first.heads:
            pieces = [part._part(head) for part in parts]
            if head == "dense":
                joined[head] = np.concatenate(pieces)
            elif head == "multi":
                joined[head] = Ragged.concatenate(pieces)
            else:
                joined[head] = sp.csr_array(sp.vstack(pieces, format="csr"))
        return cls(**joined, fingerprint=first.fingerprint)

    def save(self, path: str | Path) -> None:
        """Write one safetensors file, whole or not at all."""
        tensors: dict[str, NDArray[np.generic]] = {}
        if self.dense is not None:
            tensors["dense"] = self.dense
        if self.multi is not None:
            tensors |= {"multi.values": self.multi.values, "multi.offsets": self.multi.offsets}
        for head in _SPARSE_HEADS:
            matrix: sp.csr_array | None = self._part(head)
            if matrix is not None:
                tensors |= {
                    f"{head}.values": matrix.data.astype(np.float32),
                    f"{head}.indices": matrix.indices.astype(np.int32),
                    f"{head}.offsets": matrix.indptr.astype(np.int64),
                    f"{head}.shape": np.asarray(matrix.shape, np.int64),
                }
        metadata = {"format": "trivec.embeddings", "version": str(FORMAT_VERSION)}
        if self.fingerprint is not None:
            metadata["fingerprint"] = self.fingerprint.to_json()
        write_tensors(Path(path), tensors, metadata)

    @classmethod
    def load(cls, path: str | Path) -> Embeddings:
        """Read `save`'s file as a memory map: values are read from disk when touched.

        Raises:
            InputError: the file is not one of ours, or was written by a newer version.
            CorruptModelError: the file is cut off or damaged.
        """
        path = Path(path)
        if not path.is_file():
            raise InputError(f"there is no embeddings file {path}: give the path that save() wrote")
        _, metadata = read_header(path)
        if metadata.get("format") != "trivec.embeddings":
            raise InputError(f"{path} holds no trivec embeddings: give a file that Embeddings.save wrote")
        if int(metadata["version"]) > FORMAT_VERSION:
            raise InputError(
                f"{path} has format {metadata['version']}, this trivec reads up to {FORMAT_VERSION}: upgrade trivec"
            )
        arrays: dict[str, Any] = memory_map(path)
        sparse = {head: _read_sparse(arrays, head) for head in _SPARSE_HEADS if f"{head}.values" in arrays}
        multi = Ragged(arrays["multi.values"], arrays["multi.offsets"]) if "multi.values" in arrays else None
        line = metadata.get("fingerprint")
        return cls(
            dense=arrays.get("dense"),
            sparse=sparse.get("sparse"),
            multi=multi,
            terms=sparse.get("terms"),
            fingerprint=Fingerprint.from_json(line) if line else None,
        )


def _rows(part: Any) -> int:  # noqa: ANN401
    return int(part.shape[0]) if hasattr(part, "shape") else len(part)


def _read_sparse(arrays: Mapping[str, Any], head: str) -> sp.csr_array:
    parts = (arrays[f"{head}.values"], arrays[f"{head}.indices"], arrays[f"{head}.offsets"])
    rows, columns = (int(n) for n in arrays[f"{head}.shape"])
    return sp.csr_array(parts, shape=(rows, columns))


def _check_alike(first: Embeddings, other: Embeddings) -> None:
    if first.heads != other.heads:
        raise InputError(f"parts have different heads, {first.heads} and {other.heads}: encode them alike")
    a, b = first.fingerprint, other.fingerprint
    if a is not None and b is not None and a.digest != b.digest:
        raise InputError(
            f"parts come from different models ({'; '.join(a.differences(b))}): encode them with one model"
        )
