"""A segment that is open for reading: passages 0..n-1 with all their vectors, in files that never change."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivec.embeddings import Embeddings
from trivec.errors import CorruptModelError, LibraryError
from trivec.index.filters import Filter
from trivec.index.native.columns import Columns
from trivec.index.native.dense import DensePart
from trivec.index.native.files import wrong_sizes
from trivec.index.native.impacts import ImpactsPart
from trivec.index.native.records import SegmentRecord
from trivec.index.native.settings import NativeOptions, NativeSettings
from trivec.index.native.token_parts import TokenParts
from trivec.tensorfile import memory_map
from trivec.types import Head, IntArray

DATA = "segment.safetensors"
GRAPHS = {"dense": "graph.faiss", "fde": "fde.faiss"}
"""Files of the graphs, by the prefix of the vectors that they search."""

BoolArray = NDArray[np.bool_]

_MASKS = 8
"""Filters whose outcome is kept, a byte a passage."""


class Segment:
    """The parts of one segment, as memory maps: opening reads nothing for each passage.

    Attributes:
        record: what the catalogue says of it.
        columns: metadata, for filters.
        numbers: (n,) passage numbers, ascending.
        firsts: (n,) whether a passage is the first of its document.
        dense, sparse, multi, terms: the parts of the heads, None for those the store does not have.
        fde: encodings of the multi-vectors that propose candidates, None without such a first stage.
    """

    def __init__(self, folder: Path, record: SegmentRecord, settings: NativeSettings) -> None:
        """Open a segment.

        Raises:
            LibraryError: a file is missing, cut off or damaged.
        """
        problems = wrong_sizes(folder, record.files)
        if problems:
            raise LibraryError(f"{problems[0]}: restore the store from a snapshot, or index again")
        self.folder = folder
        self.record = record
        try:
            self._open(memory_map(folder / DATA), settings)
        except (CorruptModelError, OSError, KeyError, ValueError, IndexError) as error:
            raise LibraryError(
                f"{folder / DATA} is damaged ({error}): restore the store from a snapshot, or index again"
            ) from error

    def _open(self, arrays: dict[str, NDArray[Any]], settings: NativeSettings) -> None:
        assert settings.schema is not None
        heads, options = settings.schema.heads, settings.options
        self.columns = Columns(arrays, "columns")
        self.numbers: IntArray = arrays["ids.numbers"]
        self.firsts: BoolArray = arrays["ids.firsts"]
        self._id_bytes: NDArray[np.uint8] = arrays["ids.bytes"]
        self._id_offsets: IntArray = arrays["ids.offsets"]
        self.dense = DensePart(arrays, "dense", self._graph("dense"), options.dense) if "dense" in heads else None
        self.sparse = ImpactsPart(arrays, "sparse") if "sparse" in heads else None
        self.multi = TokenParts.open(self.folder, arrays) if "multi" in heads else None
        self.terms = ImpactsPart(arrays, "terms") if "terms" in heads else None
        self.fde = DensePart(arrays, "fde", self._graph("fde"), options.encodings) if "fde.values" in arrays else None
        lengths = {len(self.numbers), len(self.firsts), len(self.columns), self.record.rows}
        lengths |= {len(part) for part in self._heads.values()}
        if len(lengths) > 1 or not self.record.rows:
            raise ValueError(f"its parts have different numbers of passages, {sorted(lengths)}")
        self._names: tuple[NDArray[np.object_], BoolArray] | None = None
        self._masks: OrderedDict[str, BoolArray] = OrderedDict()
        self._guard = threading.Lock()

    def __len__(self) -> int:
        return self.record.rows

    @property
    def _heads(self) -> dict[Head, Any]:
        parts: dict[Head, Any] = {
            "dense": self.dense, "sparse": self.sparse, "multi": self.multi, "terms": self.terms,
        }  # fmt: skip
        return {head: part for head, part in parts.items() if part is not None}

    @property
    def dense_parts(self) -> dict[str, DensePart]:
        """The parts that may have a graph, by their prefix."""
        parts = {"dense": self.dense, "fde": self.fde}
        return {prefix: part for prefix, part in parts.items() if part is not None}

    def encodings(self, options: NativeOptions) -> DensePart | None:
        """The encodings, if they were made as these options say."""
        return self.fde if self.record.codecs == options.codecs else None

    def _graph(self, prefix: str) -> Path | None:
        name = GRAPHS[prefix]
        return self.folder / name if name in self.record.files else None

    def names(self, rows: IntArray) -> NDArray[np.object_]:
        """Passage ids of rows, as an array of text. Each is decoded once."""
        if self._names is None:
            self._names = np.empty(len(self), object), np.zeros(len(self), np.bool_)
        names, decoded = self._names
        if not decoded[rows].all():
            content, fresh = self._id_bytes.data, rows[~decoded[rows]]
            ends = zip(self._id_offsets[fresh].tolist(), self._id_offsets[fresh + 1].tolist(), strict=True)
            names[fresh] = [str(content[start:stop], "utf-8") for start, stop in ends]
            decoded[fresh] = True
        found: NDArray[np.object_] = names[rows]
        return found

    def id_bytes(self, rows: IntArray) -> tuple[NDArray[np.uint8], IntArray]:
        """The UTF-8 of the ids of rows end to end, and the length of each."""
        starts = self._id_offsets[rows]
        lengths = self._id_offsets[rows + 1] - starts
        ends = np.cumsum(lengths)
        places = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - (ends - lengths), lengths)
        return self._id_bytes[places], lengths

    def mask(self, where: Filter) -> BoolArray:
        """Which rows pass a filter, deleted ones included, shape (n,). The last few answers are kept."""
        key = repr(where)
        with self._guard:
            if key in self._masks:
                self._masks.move_to_end(key)
                return self._masks[key]
        mask = self.columns.mask(where)
        mask.flags.writeable = False
        with self._guard:
            self._masks[key] = mask
            while len(self._masks) > _MASKS:
                self._masks.popitem(last=False)
        return mask

    def vectors(self, rows: IntArray) -> Embeddings:
        """Stored vectors of rows, in the order asked."""
        return Embeddings(
            dense=None if self.dense is None else self.dense.vectors(rows),
            sparse=None if self.sparse is None else self.sparse.matrix(rows),
            multi=None if self.multi is None else self.multi.vectors(rows),
            terms=None if self.terms is None else self.terms.matrix(rows),
        )

    def find(self, numbers: IntArray) -> IntArray:
        """Rows of passage numbers, -1 for a number that is not here."""
        first, last = int(self.numbers[0]), int(self.numbers[-1])
        if last - first + 1 == len(self):
            return np.where((numbers >= first) & (numbers <= last), numbers - first, -1)
        rows = np.searchsorted(self.numbers, numbers).clip(max=len(self) - 1)
        return np.where(self.numbers[rows] == numbers, rows, -1)
