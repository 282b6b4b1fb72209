"""The dialect of text-embeddings-inference."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from trivec.serve.schemas.base import Answer, Foreign, Texts, TextsOrIds, failures

Direction = Literal["left", "right", "Left", "Right"]


class _Cutting(Foreign):
    truncate: bool | None = Field(None, description="False refuses texts that are too long; else they are cut.")
    truncation_direction: Direction = Field(
        "right", description="left is refused for texts that are too long: they are cut at their end."
    )


class EmbedRequest(_Cutting):
    """Texts for dense vectors."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"inputs": "Water boils at 100 °C."}]})

    inputs: TextsOrIds
    prompt_name: str | None = Field(
        None, description="query, document or none: the prompt before the texts. Without it document."
    )
    normalize: bool = Field(True, description="False is refused for models that normalize.")
    dimensions: Annotated[int, Field(ge=1)] | None = Field(None, description="Keep the first so many.")


class EmbedTextsRequest(_Cutting):
    """Texts for sparse or multi-vectors."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"inputs": ["Water boils at 100 °C."]}]})

    inputs: Texts
    prompt_name: str | None = Field(
        None, description="query, document or none: the prompt before the texts. Without it document."
    )


class Weight(Answer):
    """A token and its weight."""

    index: int
    value: float


class TeiRerankRequest(_Cutting):
    """Texts to be put in order."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"query": "when does water boil?", "texts": ["Water boils at 100 °C.", "Paris is a city."]}]
        }
    )

    query: str
    texts: Annotated[list[str], Field(min_length=1)]
    raw_scores: bool = Field(False, description="Logits instead of numbers between 0 and 1.")
    return_text: bool = Field(False, description="Give the texts as well.")


class Rank(Answer):
    """A text in its new place."""

    index: int
    score: float
    text: str | None = None


class Info(Answer):
    """What this server is."""

    model_id: str
    model_sha: str | None
    model_dtype: str
    model_type: dict[str, Any]
    max_concurrent_requests: int
    max_input_length: int
    max_batch_tokens: int
    max_client_batch_size: int
    auto_truncate: bool
    tokenization_workers: int
    version: str


class TeiError(Answer):
    """A failure."""

    error: str
    error_type: str


ERRORS = failures(
    TeiError,
    {
        400: "The request cannot be read.",
        404: "There is no model for that.",
        422: "The request cannot be used, or the model cannot do that.",
    },
)
