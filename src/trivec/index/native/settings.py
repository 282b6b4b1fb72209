"""How a native store keeps and searches vectors, and what its catalogue says about the store as a whole."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, get_args

from trivec.errors import InputError, LibraryMismatchError
from trivec.index.bm25 import Bm25Options
from trivec.index.fixed_encoding import FixedEncodingOptions
from trivec.index.native.dense import DenseOptions
from trivec.index.native.tokens import TokenCodec
from trivec.index.schema import VectorSchema

_FORMAT, _VERSION = "trivec.native", 1

FirstStage: TypeAlias = Literal["exact", "fixed-encoding"]


@dataclass(frozen=True)
class MergeOptions:
    """When segments are merged.

    Every `upsert` writes a segment. Segments of about the same size that lie side by side are merged, so a passage is
    rewritten about ``log(passages / small_rows) / log(factor)`` times, and a search looks at few segments.

    Attributes:
        small_rows: segments with fewer passages count as equally small.
        small_segments: so many small ones are merged.
        factor: so many larger ones of a size are merged; sizes are powers of this number.
        max_rows: merging makes no segment larger than this.
        max_dead_share: a segment of which more than this share is deleted is written anew.
    """

    small_rows: int = 1000
    small_segments: int = 8
    factor: int = 4
    max_rows: int = 5_000_000
    max_dead_share: float = 0.5

    def __post_init__(self) -> None:
        if min(self.small_segments, self.factor) < 2 or min(self.small_rows, self.max_rows) < 1:
            raise InputError(f"{self} cannot be used: merge two segments or more, of one passage or more")
        if not 0 < self.max_dead_share <= 1:
            raise InputError(f"max_dead_share = {self.max_dead_share}: give a share above 0 and up to 1")


@dataclass(frozen=True)
class NativeOptions:
    """How a `NativeStore` keeps and searches vectors.

    Attributes:
        dense: the codec of dense vectors, and when a graph searches them.
        tokens: the codec of multi-vectors.
        multi_first_stage: ``exact`` searches by MaxSim over every passage that passes the filter;
            ``fixed-encoding`` scores only the best by `trivec.index.fixed_encoding`, exactly.
        multi_candidates: how many that first stage proposes in each segment, at least.
        fixed_encoding: how its encodings are made; a byte a value and passage.
        merge: when segments are merged.
    """

    dense: DenseOptions = field(default_factory=DenseOptions)
    tokens: TokenCodec = "int8"
    multi_first_stage: FirstStage = "exact"
    multi_candidates: int = 1000
    fixed_encoding: FixedEncodingOptions = field(default_factory=FixedEncodingOptions)
    merge: MergeOptions = field(default_factory=MergeOptions)

    def __post_init__(self) -> None:
        if self.tokens not in get_args(TokenCodec):
            raise InputError(f"unknown codec {self.tokens!r} of tokens: use one of {', '.join(get_args(TokenCodec))}")
        if self.multi_first_stage not in get_args(FirstStage):
            raise InputError(
                f"unknown multi_first_stage {self.multi_first_stage!r}: use one of {', '.join(get_args(FirstStage))}"
            )
        if self.multi_candidates < 1:
            raise InputError(f"multi_candidates = {self.multi_candidates}: let one passage or more be proposed")

    @property
    def codecs(self) -> str:
        """What of the options a segment's file depends on."""
        encodings = f", {self.fixed_encoding}" if self.multi_first_stage == "fixed-encoding" else ""
        return f"dense {self.dense.codec}, multi {self.tokens}{encodings}"

    @property
    def encodings(self) -> DenseOptions:
        """How the encodings of the first stage are kept and searched: whole, then by inverted lists.

        Never by a graph, which for vectors of some thousand values is slow to build, and loses candidates that the
        encodings, being noisy, can ill spare.
        """
        return replace(self.dense, codec="int8", graph_from=self.dense.lists_from, signs=False)


@dataclass(frozen=True)
class NativeSettings:
    """What holds for the whole store.

    Attributes:
        schema: heads and widths; None while nothing has been stored yet.
        options: how vectors are kept and searched.
        bm25: constants of BM25.
        center: about the mean of all multi-vectors, which fixed encodings are made around; None for the origin.
    """

    schema: VectorSchema | None
    options: NativeOptions
    bm25: Bm25Options
    center: tuple[float, ...] | None = None

    def to_json(self) -> str:
        """All settings, with the version of the layout."""
        return json.dumps(
            {
                "format": _FORMAT,
                "version": _VERSION,
                "widths": None if self.schema is None else dict(self.schema.widths),
                "options": dataclasses.asdict(self.options),
                "bm25": dataclasses.asdict(self.bm25),
                "center": self.center,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> NativeSettings:
        """Read `to_json`. An option that was not known then has its default.

        Raises:
            LibraryMismatchError: a newer trivec wrote it.
            ValueError, KeyError, TypeError: it is damaged.
        """
        content = json.loads(text)
        if content["format"] != _FORMAT:
            raise ValueError(f"its format is {content['format']!r}")
        if content["version"] > _VERSION:
            raise LibraryMismatchError(
                f"the store has format {content['version']}, this trivec reads up to {_VERSION}: upgrade trivec"
            )
        widths, options = content["widths"], dict(content["options"])
        for name, kind in _PARTS.items():
            options[name] = _read(kind, options.get(name, {}))
        return cls(
            schema=None if widths is None else VectorSchema(widths),
            options=_read(NativeOptions, options),
            bm25=_read(Bm25Options, content["bm25"]),
            center=None if content.get("center") is None else tuple(map(float, content["center"])),
        )


_PARTS = {"dense": DenseOptions, "merge": MergeOptions, "fixed_encoding": FixedEncodingOptions}
"""Options that are made of options."""


def _read(kind: type[Any], values: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Options of a class, if this version knows all of them and their values."""
    unknown = values.keys() - {item.name for item in dataclasses.fields(kind)}
    if unknown:
        raise LibraryMismatchError(
            f"the store has the unknown options {sorted(unknown)}, a newer trivec made it: upgrade trivec"
        )
    try:
        return kind(**values)
    except InputError as error:
        raise LibraryMismatchError(
            f"the store has an option that this trivec cannot use ({error}): upgrade trivec"
        ) from error
