"""Our own dialect: what is in a library, and where its documents lie."""

from __future__ import annotations

from pydantic import Field

from trivec.serve.schemas.base import Answer
from trivec.serve.schemas.libraries import Scalar


class ValueCountAnswer(Answer):
    """A value of a field."""

    value: Scalar
    documents: int = Field(description="That have it.")


class FieldAnswer(Answer):
    """A metadata field."""

    name: str
    documents: int = Field(description="That have it.")
    distinct: int = Field(description="Different values; of a list, each element counts.")
    complete: bool = Field(description="False if there are more values than were counted.")
    values: list[ValueCountAnswer] = Field(description="The most frequent.")
    lowest: float | None = Field(description="Of the numbers among the values.")
    highest: float | None


class LengthBarAnswer(Answer):
    """Documents of a length, in characters."""

    low: int = Field(description="At least.")
    high: int = Field(description="Fewer than.")
    documents: int


class OverviewAnswer(Answer):
    """What is in a library."""

    documents: int
    passages: int
    length_quantiles: list[int] = Field(
        description="Characters of the shortest document, of a quarter, half, three quarters, and of the longest."
    )
    lengths: list[LengthBarAnswer]
    fields: list[FieldAnswer] = Field(description="Most frequent first.")


class MapPointAnswer(Answer):
    """A document."""

    id: str
    title: str
    x: float
    y: float


class MapAnswer(Answer):
    """Documents in the plane of the first two principal components of their dense vectors."""

    documents: int = Field(description="Of the library; the points may be a sample of them.")
    points: list[MapPointAnswer]
    shares: tuple[float, float] = Field(description="Of the variance of the vectors, along x and y.")
    fields: dict[str, list[Scalar]] = Field(description="Values of the points, in their order.")
