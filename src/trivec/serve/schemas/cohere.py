"""The dialect of Cohere and Jina: reranking."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from trivec.serve.schemas.base import Answer, Foreign, failures


class DocumentText(Foreign):
    """A document as an object."""

    text: str


class RerankRequest(Foreign):
    """Documents to be put in order."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "query": "when does water boil?",
                    "documents": ["Water boils at 100 °C.", "Paris is a city."],
                    "top_n": 1,
                }
            ]
        }
    )

    model: str | None = Field(None, description="A reranker that /v1/models lists; without it the first of them.")
    query: str
    documents: Annotated[list[str | DocumentText], Field(min_length=1)]
    top_n: Annotated[int, Field(ge=1)] | None = Field(None, description="Give the best so many; without it all.")
    return_documents: bool | None = Field(None, description="Give the texts as well.")
    max_tokens_per_doc: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Read no more of a document, at four bytes a token. The model's own window counts as well."
    )


class RerankResult(Answer):
    """A document in its new place."""

    index: int = Field(description="Its number in the request.")
    relevance_score: float = Field(description="Between 0 and 1; a probability if the reranker is calibrated.")
    document: DocumentText | None = Field(None, description="With return_documents.")


class ApiVersion(Answer):
    """Of the dialect."""

    version: str


class BilledUnits(Answer):
    """Always one search."""

    search_units: int


class Meta(Answer):
    """What Cohere's clients expect."""

    api_version: ApiVersion
    billed_units: BilledUnits


class RerankUsage(Answer):
    """What Jina's clients expect: tokens of all pairs, estimated at four bytes each."""

    total_tokens: int


class RerankResponse(Answer):
    """Documents, best first."""

    id: str = Field(description="The request's id.")
    model: str
    results: list[RerankResult]
    meta: Meta
    usage: RerankUsage


class MessageBody(Answer):
    """A failure."""

    message: str


ERRORS = failures(
    MessageBody,
    {
        400: "The request cannot be read.",
        404: "There is no such model.",
        422: "The model cannot do that.",
    },
)
