from __future__ import annotations

import pytest

import trivec
from trivec.encode import catalogue
from trivec.encode.catalogue import DEFAULT_RERANKER, MODELS, RERANKERS, all_names, find, find_reranker
from trivec.types import HEADS

EN = "Represent this sentence for searching relevant passages: "
ZH = "为这个句子生成表示以用于检索相关文章："

PROMPTS = {
    "m3-small": ("query: ", "passage: "),
    "m3-small-base": ("query: ", "passage: "),
    "BAAI/bge-m3": ("", ""),
    "BAAI/bge-m3-unsupervised": ("", ""),
    "BAAI/bge-m3-retromae": ("", ""),
    **{f"BAAI/bge-{size}-en{version}": (EN, "") for size in ("small", "base", "large") for version in ("", "-v1.5")},
    **{f"BAAI/bge-{size}-zh{version}": (ZH, "") for size in ("small", "base", "large") for version in ("", "-v1.5")},
    "BAAI/bge-large-zh-noinstruct": ("", ""),
    "BAAI/llm-embedder": (
        "Represent this query for retrieving relevant documents: ",
        "Represent this document for retrieval: ",
    ),
    **{f"Shitao/bge-{task}": (EN, "") for task in ("hotpotqa", "msmarco", "quora")},
    **{f"intfloat/multilingual-e5-{size}": ("query: ", "passage: ") for size in ("small", "base", "large")},
    "sentence-transformers/all-MiniLM-L6-v2": ("", ""),
}

TASK_PROMPTS = {
    "qa": ("Represent this query for retrieving relevant documents: ", "Represent this document for retrieval: "),
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


def test_prompts_are_those_that_the_models_were_trained_with() -> None:
    """Byte for byte: a blank at the end of a prompt, and none behind the Chinese colon."""
    assert {model.name: (model.query_prompt, model.document_prompt) for model in MODELS} == PROMPTS


def test_prompts_by_task_are_those_of_llm_embedder() -> None:
    model = find("llm-embedder")
    assert dict(model.task_prompts) == TASK_PROMPTS
    assert next(iter(model.task_prompts.values())) == (model.query_prompt, model.document_prompt)
    assert [other.name for other in MODELS if other.task_prompts] == [model.name]


def test_every_prompt_ends_where_the_text_may_begin() -> None:
    prompts = [prompt for model in MODELS for prompt in (model.query_prompt, model.document_prompt)]
    prompts += [prompt for pair in TASK_PROMPTS.values() for prompt in pair]
    for prompt in prompts:
        assert prompt == "" or prompt.endswith((": ", "："))
        assert prompt == prompt.lstrip()


def test_a_name_leads_to_one_model() -> None:
    """Names, aliases, and hub names without their owner."""
    names = [{model.name, model.name.rsplit("/", 1)[-1], *model.aliases} for model in MODELS]
    names += [{model.name} for model in RERANKERS]
    assert sum(map(len, names)) == len(set().union(*names))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_every_model_is_found_by_all_its_names(model: catalogue.KnownModel) -> None:
    for name in (model.name, model.name.rsplit("/", 1)[-1], *model.aliases):
        assert find(name) is model


@pytest.mark.parametrize("name", ["", "bge", "BAAI", "baai/bge-m3", "BAAI/", "other/bge-m3"])
def test_other_names_are_not_found(name: str) -> None:
    assert find(name) is None


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_lines_are_complete(model: catalogue.KnownModel) -> None:
    assert model.dimensions in (384, 512, 768, 1024)
    assert model.max_length in (256, 512, 8192)
    assert model.pooling in ("cls", "mean")
    assert set(model.heads) <= set(HEADS)
    assert model.heads[0] == "dense"
    assert model.languages
    assert model.licence


def test_rerankers_are_no_encoders() -> None:
    for model in RERANKERS:
        assert find(model.name) is None
        assert find_reranker(model.name) is model
    assert find_reranker("m3-small") is None
    assert DEFAULT_RERANKER in {model.name for model in RERANKERS}
    assert {"m3-small", "bge-m3", *(model.name for model in RERANKERS)} <= set(all_names())


def test_facts_that_folders_do_not_tell() -> None:
    assert find("bge-m3").heads == ("dense", "sparse", "multi")
    assert find("bge-m3").max_length == 8192
    assert {find(f"multilingual-e5-{size}").pooling for size in ("small", "base", "large")} == {"mean"}
    assert {find(f"bge-{size}-en-v1.5").pooling for size in ("small", "base", "large")} == {"cls"}
    assert find("all-MiniLM-L6-v2").max_length == 256


def test_the_default_model_is_in_the_catalogue() -> None:
    assert find(catalogue.DEFAULT_MODEL) is MODELS[0]


@pytest.mark.model
def test_the_default_model_is_as_its_line_says(m3_small: trivec.Encoder) -> None:
    known, checkpoint = find("m3-small"), m3_small.checkpoint
    assert checkpoint.dense_width == known.dimensions
    assert (checkpoint.query_prompt, checkpoint.document_prompt) == (known.query_prompt, known.document_prompt)
    assert (checkpoint.pooling, checkpoint.max_length) == (known.pooling, known.max_length)
    assert set(m3_small.heads) == {*known.heads, "terms"}
