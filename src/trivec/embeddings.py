"""`Embeddings`: the value that flows through the house, from encoder to store, score and file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from trivec.errors import CorruptModelError, InputError, MissingHeadError
from trivec.fingerprint import FORMAT_VERSION, Fingerprint
from trivec.ragged import Ragged
from trivec.tensorfile import memory_map, read_header, write_tensors
from trivec.types import HEADS, FloatArray, Head, IntArray

_FORMAT = "trivec.embeddings"
_SPARSE_HEADS: tuple[Head, ...] = ("sparse", "terms")
_SPARSE_TENSORS = {"values": ("float32", 1), "indices": ("int32", 1), "offsets": ("int64", 1), "shape": ("int64", 1)}
_TENSORS: dict[Head, dict[str, tuple[str, int]]] = {
    "dense": {"dense": ("float32", 2)},
    "multi": {"multi.values": ("float32", 2), "multi.offsets": ("int64", 1)},
    **{head: {f"{head}.{name}": kind for name, kind in _SPARSE_TENSORS.items()} for head in _SPARSE_HEADS},
}
"""The tensors of each head in a file, with their dtypes and numbers of dimensions."""


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
            raise InputError(f"heads hold different numbers of texts, {lengths}: give each head the same texts")

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

    def __getitem__(self, rows: int | slice | Sequence[int] | NDArray[np.integer | np.bool_]) -> Embeddings:
        if isinstance(rows, (int, np.integer)):
            if not -len(self) <= rows < len(self):
                raise IndexError(f"text {rows} of {len(self)}")
            row = int(rows) % len(self)
            rows = slice(row, row + 1)
        return self.select(rows)

    def select(self, rows: slice | Sequence[int] | NDArray[np.integer | np.bool_]) -> Embeddings:
        """The named texts, in the order given; or those for which a mask, one truth value a text, is true.

        Raises:
            IndexError: there is no such text, or the mask has another length.
        """
        index = rows if isinstance(rows, slice) else _row_numbers(rows, len(self))
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

        Parts without a fingerprint go with any; the result has that of the others.

        Raises:
            InputError: there is nothing to join, or the parts do not belong together.
        """
        if not parts:
            raise InputError("there are no embeddings to concatenate: give at least one part")
        first = parts[0]
        fingerprint = _common_fingerprint(parts)
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
        return cls(**joined, fingerprint=fingerprint)

    def save(self, path: str | Path) -> None:
        """Write one safetensors file, whole or not at all."""
        tensors: dict[str, NDArray[np.generic]] = {}
        if self.dense is not None:
            tensors["dense"] = np.asarray(self.dense, np.float32)
        if self.multi is not None:
            tensors |= {
                "multi.values": np.asarray(self.multi.values, np.float32),
                "multi.offsets": np.asarray(self.multi.offsets, np.int64),
            }
        for head in _SPARSE_HEADS:
            matrix: sp.csr_array | None = self._part(head)
            if matrix is not None:
                tensors |= {
                    f"{head}.values": matrix.data.astype(np.float32),
                    f"{head}.indices": matrix.indices.astype(np.int32),
                    f"{head}.offsets": matrix.indptr.astype(np.int64),
                    f"{head}.shape": np.asarray(matrix.shape, np.int64),
                }
        metadata = {"format": _FORMAT, "version": str(FORMAT_VERSION)}
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
        _check_version(path, metadata)
        arrays = memory_map(path)
        try:
            return cls(**_read_heads(arrays), fingerprint=_read_fingerprint(metadata))
        except ValueError as error:
            raise CorruptModelError(f"{path} is damaged ({error}): fetch or write it again") from error


def _rows(part: Any) -> int:  # noqa: ANN401
    return int(part.shape[0]) if hasattr(part, "shape") else len(part)


def _width(part: Any) -> int:  # noqa: ANN401
    return int(part.shape[1]) if hasattr(part, "shape") else part.width


def _row_numbers(rows: Sequence[int] | NDArray[np.integer | np.bool_], count: int) -> IntArray:
    """Numbers of the rows that an array of numbers or a mask chooses among ``count``, as numpy reads it."""
    chosen = np.asarray(rows)
    if chosen.dtype == np.bool_:
        if chosen.shape != (count,):
            raise IndexError(f"a mask of shape {chosen.shape} for {count} texts: give one truth value a text")
        return np.flatnonzero(chosen)
    if chosen.ndim != 1 or (chosen.size and chosen.dtype.kind not in "iu"):
        raise IndexError(f"rows of shape {chosen.shape} and dtype {chosen.dtype}: give whole numbers in one dimension")
    return chosen.astype(np.int64)


def _common_fingerprint(parts: Sequence[Embeddings]) -> Fingerprint | None:
    """The fingerprint of all parts that have one."""
    known = [part.fingerprint for part in parts if part.fingerprint is not None]
    for other in known[1:]:
        differences = known[0].differences(other)
        if differences:
            raise InputError(f"parts come from different models ({'; '.join(differences)}): encode them with one model")
    return known[0] if known else None


def _check_alike(first: Embeddings, other: Embeddings) -> None:
    if first.heads != other.heads:
        raise InputError(f"parts have different heads, {first.heads} and {other.heads}: encode them alike")
    for head in first.heads:
        a, b = _width(first._part(head)), _width(other._part(head))
        if a != b:
            raise InputError(f"parts have {head!r} vectors of different widths, {a} and {b}: encode them alike")


def _check_version(path: Path, metadata: Mapping[str, str]) -> None:
    if metadata.get("format") != _FORMAT:
        raise InputError(f"{path} holds no trivec embeddings: give a file that Embeddings.save wrote")
    version = metadata.get("version", "")
    if not re.fullmatch("[1-9][0-9]{0,8}", version):
        raise CorruptModelError(f"{path} is damaged (its version is {version!r}): fetch or write it again")
    if int(version) > FORMAT_VERSION:
        raise InputError(f"{path} has format {version}, this trivec reads up to {FORMAT_VERSION}: upgrade trivec")


def _read_fingerprint(metadata: Mapping[str, str]) -> Fingerprint | None:
    return Fingerprint.from_json(metadata["fingerprint"]) if "fingerprint" in metadata else None


def _read_heads(arrays: Mapping[str, Any]) -> dict[Head, Any]:
    """The heads in a file. Here and below, a ValueError says what is damaged."""
    unknown = arrays.keys() - {name for tensors in _TENSORS.values() for name in tensors}
    if unknown:
        raise ValueError(f"it has the unknown tensors {sorted(unknown)}")
    found = {head: _tensors_of(head, arrays) for head in HEADS if not _TENSORS[head].keys().isdisjoint(arrays)}
    return {head: _read_head(head, tensors) for head, tensors in found.items()}


def _tensors_of(head: Head, arrays: Mapping[str, Any]) -> list[Any]:
    """A head's tensors in the order of `_TENSORS`: all there, with the right dtypes and numbers of dimensions."""
    for name, (dtype, ndim) in _TENSORS[head].items():
        if name not in arrays:
            raise ValueError(f"tensor {name!r} is missing")
        array = arrays[name]
        if array.dtype != dtype or array.ndim != ndim:
            raise ValueError(f"tensor {name!r} is {array.dtype} of shape {array.shape}, not {ndim}-dimensional {dtype}")
    return [arrays[name] for name in _TENSORS[head]]


def _read_head(head: Head, tensors: list[Any]) -> Any:  # noqa: ANN401
    if head == "dense":
        return tensors[0]
    if head == "multi":
        values, offsets = tensors
        _check_offsets(head, offsets, len(values))
        return Ragged(values, offsets)
    values, indices, offsets, shape = tensors
    _check_offsets(head, offsets, len(values))
    if len(shape) != 2:
        raise ValueError(f"the shape of {head!r} is {shape.tolist()}")
    matrix = sp.csr_array((values, indices, offsets), shape=tuple(shape.tolist()))
    matrix.check_format(full_check=True)  # reads the column numbers, not the values
    return matrix


def _check_offsets(head: Head, offsets: IntArray, size: int) -> None:
    """Offsets rise from 0 to the number of values."""
    whole = len(offsets) > 0 and offsets[0] == 0 and offsets[-1] == size
    if not whole or np.any(offsets[1:] < offsets[:-1]):
        raise ValueError(f"the offsets of {head!r} do not rise from 0 to {size}")
