"""Known models: where they come from, and what their folders do not say about themselves.

Prompts are byte-exact, trailing blanks included: a model answers worse when one byte of its prompt is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from trivec.encode import m3_small, m3_small_reranker, minilm_reranker, smollm2
from trivec.encode.checkpoints.checkpoint import Pooling
from trivec.types import Head

BGE_EN_QUERY = "Represent this sentence for searching relevant passages: "
BGE_ZH_QUERY = "为这个句子生成表示以用于检索相关文章："

LLM_EMBEDDER_PROMPTS: Mapping[str, tuple[str, str]] = {
    "qa": (
        "Represent this query for retrieving relevant documents: ",
        "Represent this document for retrieval: ",
    ),
    "convsearch": (
        "Encode this query and context for searching relevant passages: ",
        "Encode this passage for retrieval: ",
    ),
    "chat": (
        "Embed this dialogue to find useful historical dialogues: ",
        "Embed this historical dialogue for retrieval: ",
    ),
    "lrlm": (
        "Embed this text chunk for finding useful historical chunks: ",
        "Embed this historical text chunk for retrieval: ",
    ),
    "icl": (
        "Convert this example into vector to look for useful examples: ",
        "Convert this example into vector for retrieval: ",
    ),
    "tool": (
        "Transform this user request for fetching helpful tool descriptions: ",
        "Transform this tool description for retrieval: ",
    ),
}
"""(query, document) prompts of llm-embedder for each of its tasks (Zhang et al. 2023, 2310.07554)."""


@dataclass(frozen=True)
class KnownModel:
    """One line of the catalogue.

    Attributes:
        name: as `trivec.load` takes it; a hub name, or one of ours.
        dimensions: width of the dense vector.
        max_length: tokens per text.
        pooling: which hidden states make the dense vector.
        heads: trained heads of the published checkpoint.
        task_prompts: (query, document) by task, for models that tell tasks apart by prompt; the first is the
            default and equals ``query_prompt`` and ``document_prompt``.
    """

    name: str
    languages: str
    dimensions: int
    licence: str = "MIT"
    max_length: int = 512
    pooling: Pooling = "cls"
    heads: tuple[Head, ...] = ("dense",)
    query_prompt: str = ""
    document_prompt: str = ""
    task_prompts: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class KnownReranker:
    """A line for a model that makes no vectors, but ranks: `trivec.load_reranker` takes its name."""

    name: str
    kind: Literal["cross-encoder", "language model"]
    languages: str
    parameters: int
    licence: str
    max_length: int


def _bge(size: str, language: str, dimensions: int) -> list[KnownModel]:
    prompt = BGE_EN_QUERY if language == "en" else BGE_ZH_QUERY
    return [
        KnownModel(f"BAAI/bge-{size}-{language}{version}", language, dimensions, query_prompt=prompt)
        for version in ("", "-v1.5")
    ]


def _e5(size: str, dimensions: int) -> KnownModel:
    return KnownModel(
        f"intfloat/multilingual-e5-{size}", "100 languages", dimensions, pooling="mean",
        query_prompt="query: ", document_prompt="passage: ",
    )  # fmt: skip


def _m3_small(name: str, heads: tuple[Head, ...]) -> KnownModel:
    return KnownModel(
        name, "100 languages", 384, pooling="mean", heads=heads,
        query_prompt=m3_small.QUERY_PROMPT, document_prompt=m3_small.DOCUMENT_PROMPT,
    )  # fmt: skip


def _cocktail(task: str) -> KnownModel:
    """bge-base-en-v1.5 fine-tuned on one task, an ingredient of LM-Cocktail (Xiao et al. 2023, 2311.13534)."""
    return KnownModel(f"Shitao/bge-{task}", "en", 768, query_prompt=BGE_EN_QUERY)


_QA = LLM_EMBEDDER_PROMPTS["qa"]

MODELS: tuple[KnownModel, ...] = (
    _m3_small(m3_small.NAME, ("dense", "sparse", "multi")),
    _m3_small(m3_small.BASE_NAME, ("dense", "multi")),
    KnownModel("BAAI/bge-m3", "100+ languages", 1024, max_length=8192, heads=("dense", "sparse", "multi"),
               aliases=("bge-m3",)),
    KnownModel("BAAI/bge-m3-unsupervised", "100+ languages", 1024, max_length=8192),
    KnownModel("BAAI/bge-m3-retromae", "100+ languages", 1024, max_length=8192),
    *_bge("small", "en", 384), *_bge("base", "en", 768), *_bge("large", "en", 1024),
    *_bge("small", "zh", 512), *_bge("base", "zh", 768), *_bge("large", "zh", 1024),
    KnownModel("BAAI/bge-large-zh-noinstruct", "zh", 1024),
    KnownModel("BAAI/llm-embedder", "en", 768, query_prompt=_QA[0], document_prompt=_QA[1],
               task_prompts=LLM_EMBEDDER_PROMPTS),
    *(_cocktail(task) for task in ("hotpotqa", "msmarco", "quora")),
    _e5("small", 384), _e5("base", 768), _e5("large", 1024),
    KnownModel("sentence-transformers/all-MiniLM-L6-v2", "en", 384, "Apache-2.0", 256, "mean",
               aliases=("all-MiniLM-L6-v2",)),
)  # fmt: skip

RERANKERS: tuple[KnownReranker, ...] = (
    KnownReranker(
        m3_small_reranker.NAME,
        "cross-encoder",
        "100 languages",
        m3_small_reranker.PARAMETERS,
        "MIT",
        m3_small.MAX_LENGTH,
    ),
    KnownReranker(
        minilm_reranker.NAME,
        "cross-encoder",
        "en",
        minilm_reranker.PARAMETERS,
        "Apache-2.0",
        minilm_reranker.MAX_LENGTH,
    ),
    KnownReranker(smollm2.NAME, "language model", "en", smollm2.PARAMETERS, "Apache-2.0", smollm2.MAX_LENGTH),
)

DEFAULT_MODEL = m3_small.NAME
DEFAULT_RERANKER = m3_small_reranker.NAME


def find(name: str) -> KnownModel | None:
    """The catalogue's line for a name, an alias, or a hub name without its owner."""
    for model in MODELS:
        if name in (model.name, model.name.rsplit("/", 1)[-1], *model.aliases):
            return model
    return None


def find_reranker(name: str) -> KnownReranker | None:
    """The line of a model that ranks."""
    return next((model for model in RERANKERS if model.name == name), None)


def all_names() -> list[str]:
    """Names and aliases of all models."""
    encoders = [name for model in MODELS for name in (model.name, *model.aliases)]
    return encoders + [model.name for model in RERANKERS]
