"""The real clients of other services against a running server. Each test is skipped where its package is missing."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import numpy as np
import pytest
from serving import MakeApp, served

import trivec
from trivec.serve.keys import ApiKeys, hash_key

KEY = "tv-a-long-and-random-key"
TEXTS = ["Water and night.", "Die Hauptstadt und der Berg"]
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def url(make: MakeApp) -> Iterator[str]:
    with served(make(ApiKeys({hash_key(KEY): "test"}))) as address:
        yield address
    gc.collect()  # some of these clients cannot be closed: their connections end here, and not in another test


def test_openai(url: str, encoder: trivec.Encoder) -> None:
    openai = pytest.importorskip("openai")
    direct = encoder.encode_documents(TEXTS, ["dense"]).dense
    with openai.OpenAI(base_url=f"{url}/v1", api_key=KEY) as client:
        for extra in ({}, {"encoding_format": "float"}, {"extra_body": {"input_type": "document"}}):
            answer = client.embeddings.create(model="m3", input=TEXTS, **extra)
            np.testing.assert_allclose([row.embedding for row in answer.data], direct, atol=1e-6)
        assert len(client.embeddings.create(model="m3", input="a", dimensions=8).data[0].embedding) == 8
        assert next(iter(client.models.list())).id == "m3"
        assert client.models.retrieve("m3").owned_by == "trivec"
        with pytest.raises(openai.NotFoundError, match="no encoder"):
            client.embeddings.create(model="none", input="a")
        with pytest.raises(openai.BadRequestError):
            client.embeddings.create(model="m3", input=[])
    with openai.OpenAI(base_url=f"{url}/v1", api_key="wrong") as client, pytest.raises(openai.AuthenticationError):
        client.models.list()


def test_cohere(url: str, reranker: trivec.Reranker) -> None:
    cohere = pytest.importorskip("cohere")
    order = [one.number for one in reranker.rank("water", TEXTS)]
    for client in (cohere.ClientV2(KEY, base_url=url), cohere.Client(KEY, base_url=url)):
        answer = client.rerank(model=reranker.name, query="water", documents=TEXTS, top_n=2)
        assert [row.index for row in answer.results] == order
        assert 0 < answer.results[0].relevance_score < 1
        with pytest.raises(cohere.errors.NotFoundError, match="no reranker"):
            client.rerank(model="none", query="water", documents=TEXTS)


def test_hugging_face(url: str, encoder: trivec.Encoder) -> None:
    hub = pytest.importorskip("huggingface_hub")
    direct = encoder.encode_queries(TEXTS, ["dense"]).dense
    for base in (url, f"{url}/embed"):
        client = hub.InferenceClient(base, token=KEY)
        vectors = client.feature_extraction(TEXTS, prompt_name="query", truncate=True)
        np.testing.assert_allclose(vectors, direct, atol=1e-6)
    hub.close_session()
