"""OpenAI's dialect: embeddings and models."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from trivec.serve.schemas.base import Answer, Foreign, SparseVector, TextsOrIds, failures


class EmbeddingsRequest(Foreign):
    """Texts to encode. The last three fields are additions of trivec."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"model": "m3-small", "input": "Water boils at 100 °C."},
                {"model": "m3-small", "input": ["when does water boil?"], "input_type": "query", "dimensions": 128},
            ]
        }
    )

    model: str | None = Field(None, description="A name that /v1/models lists; without it the first of them.")
    input: TextsOrIds = Field(
        description="One text or several. Token ids are those of the model's own tokenizer, without special tokens."
    )
    encoding_format: Literal["float", "base64"] | None = Field(
        None, description="base64: little-endian 32-bit floats, as the client of OpenAI asks for."
    )
    dimensions: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Keep the first so many of the dense vector, scaled to unit length again."
    )
    user: str | None = Field(None, description="Ignored.")
    input_type: Literal["query", "document", "none"] = Field(
        "document", description="Which of the model's prompts goes before the texts."
    )
    heads: Annotated[list[Literal["dense", "sparse", "multi"]], Field(min_length=1)] = Field(
        ["dense"], description="Which vectors to give. Token ids allow dense and multi."
    )
    truncate: bool = Field(False, description="Cut texts that are too long for the model, instead of refusing them.")


class Embedding(Answer):
    """The vectors of one text."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str = Field(description="The dense vector; empty if it was not asked for.")
    sparse: SparseVector | None = Field(None, description="With heads: sparse.")
    multi_vector: list[list[float]] | None = Field(None, description="With heads: multi. One vector a token.")


class Usage(Answer):
    """Tokens that the model read, special tokens and prompt included."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingsResponse(Answer):
    """Vectors in the order of the texts."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: Usage


class Model(Answer):
    """A model of this server."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str
    kind: Literal["encoder", "reranker"]
    heads: list[str]
    dimensions: int | None
    max_length: int | None


class ModelList(Answer):
    """All models of this server."""

    object: Literal["list"] = "list"
    data: list[Model]


class ErrorDetail(Answer):
    """What went wrong."""

    message: str = Field(description="What was wrong, the value seen, and what to do next.")
    type: str
    param: str | None
    code: str | None = Field(description="Names the kind of failure, for programs.")


class ErrorBody(Answer):
    """A failure, in OpenAI's dialect and in ours."""

    error: ErrorDetail


ERRORS = failures(
    ErrorBody,
    {
        400: "The request cannot be read, or asks for what cannot be.",
        403: "The server changes no libraries.",
        404: "There is no such model, library or document.",
        409: "Another process writes to the library.",
        422: "The model or library cannot do that.",
    },
)
