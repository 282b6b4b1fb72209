"""Our own encoding: all heads at once."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from trivec.serve.schemas.base import Answer, Own, SparseVector, Texts


class EncodeRequest(Own):
    """Texts to encode."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"texts": ["Water boils at 100 °C."]},
                {"texts": "when does water boil?", "role": "query", "heads": ["dense", "sparse"]},
            ]
        }
    )

    model: str | None = Field(None, description="A name that /v1/models lists; without it the first of them.")
    texts: Texts = Field(description="One text or several.")
    role: Literal["query", "document", "none"] = Field("document", description="Which prompt goes before the texts.")
    heads: Annotated[list[Literal["dense", "sparse", "multi", "terms"]], Field(min_length=1)] | None = Field(
        None, description="Which vectors to give; without it all that the model has but terms."
    )
    truncate: bool = Field(True, description="Cut texts that are too long for the model, instead of refusing them.")


class Vectors(Answer):
    """The vectors of one text."""

    dense: list[float] | None = None
    sparse: SparseVector | None = None
    multi: list[list[float]] | None = Field(None, description="One vector a token.")
    terms: SparseVector | None = Field(None, description="How often each subword occurs.")


class EncodeResponse(Answer):
    """Vectors in the order of the texts."""

    model: str
    fingerprint: dict[str, Any] = Field(description="What the vectors depend on.")
    vocabulary_size: int = Field(description="Width of sparse vectors.")
    tokens: list[int] = Field(description="Tokens that the model read of each text.")
    vectors: list[Vectors]
