"""What all schemas share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field


class Foreign(BaseModel):
    """A body in a dialect of others: fields that are not known are left alone, as these services do."""

    model_config = ConfigDict(strict=True, extra="ignore")


class Own(BaseModel):
    """A body in our dialect: a field that is not known is a mistake, and is named."""

    model_config = ConfigDict(strict=True, extra="forbid")


class Answer(BaseModel):
    """A response."""


class SparseVector(Answer):
    """Learned weights of tokens."""

    indices: list[int] = Field(description="Token ids, rising.", examples=[[581, 4343]])
    values: list[float] = Field(description="Their weights, above 0.", examples=[[0.21, 0.33]])


_ALWAYS = {
    401: "There is no key, or a wrong one.",
    408: "The body came too slowly.",
    413: "The request is above a limit.",
    429: "Too much is waiting: ask again after Retry-After seconds.",
    503: "The server ends, or could not do it in time.",
}


def failures(body: type[Answer], others: Mapping[int, str]) -> dict[int | str, dict[str, Any]]:
    """What the routes of a dialect say of failures: those that any request can meet, and others of their own."""
    texts = {**_ALWAYS, **others}
    return {status: {"model": body, "description": texts[status]} for status in sorted(texts)}


TokenId = Annotated[int, Field(ge=0, lt=1 << 31)]
Texts = Annotated[str, Field()] | Annotated[list[str], Field(min_length=1)]
TextsOrIds = (
    Annotated[str, Field()]
    | Annotated[list[str], Field(min_length=1)]
    | Annotated[list[TokenId], Field(min_length=1)]
    | Annotated[list[Annotated[list[TokenId], Field(min_length=1)]], Field(min_length=1)]
)
"""One text or several, as text or as token ids of the model's own tokenizer."""


def listed(given: Any) -> Any:  # noqa: ANN401
    """A body's texts, always as a list."""
    if isinstance(given, str) or (given and isinstance(given[0], int)):
        return [given]
    return given
