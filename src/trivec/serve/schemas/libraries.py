"""Our own dialect: libraries, searches, documents."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from trivec.serve.schemas.base import Answer, Own

_Weight = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
_Whole = Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)]
_Finite = Annotated[float, Field(allow_inf_nan=False)]
Scalar = str | bool | _Whole | _Finite | None
Id = Annotated[str, Field(min_length=1, max_length=1024)]
Count = Annotated[int, Field(ge=1)]


class DocumentBody(Own):
    """A text with a name."""

    id: Id = Field(description="Unique in the library: a document with an id that is there replaces it.")
    text: str
    title: str = ""
    metadata: dict[str, Scalar | list[Scalar]] = Field({}, description="Scalars or lists of scalars, for filters.")


class AddRequest(Own):
    """Documents to add or replace."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"documents": [{"id": "1", "text": "Water boils at 100 °C.", "metadata": {"lang": "en"}}]}]
        }
    )

    documents: Annotated[list[DocumentBody], Field(min_length=1)]


class AddResponse(Answer):
    """What was done. It is durable when this arrives."""

    added: int
    updated: int
    unchanged: int
    passages: int = Field(description="That were encoded.")


class DeleteRequest(Own):
    """Documents to remove."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"ids": ["1"]}, {"where": 'lang = "de"'}]})

    ids: list[Id] = Field([], description="Of documents.")
    where: str | dict[str, Any] | None = Field(None, description="A filter; all that pass it are removed.")


class DeleteResponse(Answer):
    """What was done."""

    deleted: int


class DocumentAnswer(Answer):
    """A document of a library."""

    id: str
    text: str
    title: str
    metadata: dict[str, Any]


class DocumentList(Answer):
    """Documents, ordered by id."""

    documents: list[DocumentAnswer]
    next: str | None = Field(description="Send it as after for the following ones; null at the end.")


class SearchRequest(Own):
    """What is looked for. What is not given is the library's own way."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"query": "when does water boil?", "k": 3},
                {"query": "Wasser", "where": 'lang = "en"', "mode": "dense", "explain": True},
            ]
        }
    )

    query: str = Field(description="A question or keywords, in any language of the model.")
    k: Count = Field(10, description="How many documents.")
    mode: Literal["hybrid", "dense", "sparse", "bm25", "multi"] | None = Field(
        None, description="hybrid mixes all signals; any other ranks by that one."
    )
    where: str | dict[str, Any] | None = Field(None, description="A filter over metadata.")
    weights: dict[Literal["dense", "sparse", "bm25", "multi"], _Weight] | None = Field(
        None, description="Of the signals in the mix."
    )
    fusion: str | None = Field(None, description="weighted-sum, rrf, z-score or min-max.")
    candidates: Count | None = Field(None, description="How many passages each first-stage signal proposes.")
    shortlist: Count | None = Field(None, description="How many of them get a MaxSim score.")
    per_passage: bool | None = Field(None, description="List every matching passage, not each document once.")
    reranker: str | None = Field(None, description="A reranker that /v1/models lists; an empty name is none.")
    depth: Count | None = Field(None, description="How many hits it reads.")
    first_stage: _Weight | None = Field(None, description="Weight of the order before beside its own.")
    explain: bool = Field(False, description="Say why: matched words, token pairs, each signal's share.")


class PassageAnswer(Answer):
    """Where in its document a hit lies, in characters."""

    number: int
    count: int
    start: int
    end: int


class RerankingAnswer(Answer):
    """What a reranker thought of a hit, and where it stood before."""

    model: str
    score: float
    probability: float
    first_rank: int
    first_score: float


class HitAnswer(Answer):
    """A passage that answers the query."""

    rank: int
    score: float
    id: str
    title: str
    text: str
    metadata: dict[str, Any]
    passage: PassageAnswer
    signals: dict[str, float] = Field(description="The raw score by each signal.")
    contributions: dict[str, float] = Field(description="What each added to the score.")
    reranking: RerankingAnswer | None = None
    explanation: dict[str, Any] | None = Field(None, description="With explain.")


class SearchResponse(Answer):
    """Hits, best first."""

    library: str
    query: str
    hits: list[HitAnswer]
    seconds: float


class NamedPassage(Own):
    """A passage of a document."""

    id: Id = Field(description="Of the document.")
    number: Annotated[int, Field(ge=0, lt=1 << 31)] = Field(0, description="Of its passages, from 0.")


class ExplainRequest(Own):
    """Passages that a query is held against, found or not."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"query": "when does water boil?", "passages": [{"id": "boiling"}]}]}
    )

    query: str
    passages: Annotated[list[NamedPassage], Field(min_length=1, max_length=100)]


class ExplainResponse(Answer):
    """In the order of the passages."""

    explanations: list[dict[str, Any] | None] = Field(description="As of a search; null where there is no passage.")


class SearchWay(Answer):
    """How a library is searched if a request says nothing else."""

    mode: str
    fusion: str
    weights: dict[str, float] = Field(description="Of each signal that the library has; 0 takes no part.")
    candidates: int
    shortlist: int
    per_passage: bool
    reranker: str
    depth: int | None
    first_stage: float | None
    rules: dict[str, dict[str, float]] = Field(description="Each fusion rule with its own weights.")


class LibraryAnswer(Answer):
    """A library of this server."""

    name: str
    model: str
    signals: list[str]
    documents: int
    passages: int
    bytes: int
    store: str
    read_only: bool
    search: SearchWay
    languages: dict[str, int] | None = Field(None, description="Documents by the metadata field lang.")


class LibraryList(Answer):
    """All libraries of this server."""

    libraries: list[LibraryAnswer]


class IngestLine(Answer):
    """A line of the answer to a stream of documents."""

    status: Literal["progress", "done", "failed"]
    received: int = Field(description="Documents read so far.")
    acknowledged: int = Field(description="Documents that are durable now: a crash does not lose them.")
    added: int
    updated: int
    unchanged: int
    error: dict[str, Any] | None = Field(None, description="With failed: what was wrong, and in which line.")
