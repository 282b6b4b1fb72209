"""mteb's own evaluation over our models gives what ours gives. Tasks are made here; nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

pytestmark = pytest.mark.filterwarnings("ignore:To copy construct from a tensor")  # mteb copies similarities so
mteb = pytest.importorskip("mteb")

from mteb.models import EncoderProtocol, SearchProtocol  # noqa: E402

from trivec import Encoder  # noqa: E402
from trivec.evaluate import EvaluateOptions, evaluate, measure, set_vectors  # noqa: E402
from trivec.evaluate.judged_sets import JudgedQuery, JudgedSet  # noqa: E402
from trivec.evaluate.mteb import MtebEncoder, MtebSearch  # noqa: E402
from trivec.search.long_documents import LongDocuments  # noqa: E402
from trivec.types import Document  # noqa: E402

from mteb_tasks import SENTENCES, Bitext, Classification, Pairs, Retrieval, Sts  # noqa: E402

SYSTEMS = (
    "dense", "sparse", "bm25", "multi", "dense+sparse", "dense+sparse+multi", "hybrid", "dense=1,bm25=0.5",
    "bm25-documents", "bm25-words",
)  # fmt: skip
INSTRUCTION = "what of the river and the mountain"


@pytest.fixture(scope="module")
def hard(judged: JudgedSet) -> JudgedSet:
    """With documents that have no text, or nothing but a title, and queries that share a term with none."""
    documents = [
        *judged.documents,
        Document("empty", ""),
        Document("title", "", "river mountain"),
        Document("山", "山水"),
    ]
    queries = [*judged.queries, JudgedQuery("zh", "山 水"), JudgedQuery("none", "~"), JudgedQuery("title", "mountain")]
    relevance = {**judged.relevance, "zh": {"山": 1, "empty": 0}, "none": {"d1": 1}, "title": {"title": 1}}
    return JudgedSet("hard", queries, documents, relevance)


def scores(model: object, task: Any) -> dict[str, float]:
    """Of mteb, over the default subset of the test split."""
    (result,) = mteb.evaluate(model, task, cache=None, co2_tracker=False, show_progress_bar=False).task_results
    (found,) = result.scores["test"]
    return found


@pytest.mark.parametrize("system", SYSTEMS)
def test_retrieval_equals_our_own(system: str, hard: JudgedSet, load_tiny: Callable[..., Encoder]) -> None:
    encoder = load_tiny("m3")
    found = scores(MtebSearch(encoder, system), Retrieval(hard))
    options = EvaluateOptions([system], ["nDCG@10", "R@100", "AP@10", "RR@10"])
    expected = evaluate(encoder, hard, options).systems[system].measured.means()
    assert found["ndcg_at_10"] == pytest.approx(expected["nDCG@10"], abs=1e-5)
    assert found["recall_at_100"] == pytest.approx(expected["R@100"], abs=1e-5)
    assert found["map_at_10"] == pytest.approx(expected["AP@10"], abs=1e-5)
    assert found["mrr_at_10"] == pytest.approx(expected["RR@10"], abs=1e-5)


@pytest.mark.parametrize("name", ["m3", "st-mean"])
def test_the_encoder_ranks_as_dense_does_on_cut_documents(
    name: str, hard: JudgedSet, load_tiny: Callable[..., Encoder]
) -> None:
    encoder = load_tiny(name)
    options = EvaluateOptions(["dense"], ["nDCG@10"], long_documents=LongDocuments("cut"))
    expected = evaluate(encoder, hard, options).systems["dense"].measured.means()["nDCG@10"]
    assert scores(MtebEncoder(encoder), Retrieval(hard))["ndcg_at_10"] == pytest.approx(expected, abs=1e-5)
    search = MtebSearch(encoder, "dense", LongDocuments("cut"))
    assert scores(search, Retrieval(hard))["ndcg_at_10"] == pytest.approx(expected, abs=1e-5)


def test_instructions_stand_after_the_query(judged: JudgedSet, load_tiny: Callable[..., Encoder]) -> None:
    encoder = load_tiny("m3")
    instructed = [replace(query, text=f"{query.text} {INSTRUCTION}") for query in judged.queries]
    expected = evaluate(encoder, replace(judged, queries=instructed), EvaluateOptions(["hybrid"], ["nDCG@10"]))
    value = expected.systems["hybrid"].measured.means()["nDCG@10"]
    task = Retrieval(judged, instruction=INSTRUCTION)
    assert scores(MtebSearch(encoder), task)["ndcg_at_10"] == pytest.approx(value, abs=1e-5)
    assert value != pytest.approx(scores(MtebSearch(encoder), Retrieval(judged))["ndcg_at_10"], abs=1e-3)


@pytest.mark.parametrize("passages_a_part", [2048, 7])
@pytest.mark.parametrize("system", SYSTEMS)
def test_reranking_is_the_same_ranking_of_the_candidates_alone(
    system: str,
    passages_a_part: int,
    hard: JudgedSet,
    load_tiny: Callable[..., Encoder],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(set_vectors, "_PART", passages_a_part)
    encoder = load_tiny("m3")
    names = [document.id for document in hard.documents]
    candidates = {query.id: names[place : place + 20 : 2] for place, query in enumerate(hard.queries)}
    candidates["title"] = ["empty", "title", "d0", "not there"]
    everything = evaluate(encoder, hard, EvaluateOptions([system], ["nDCG@10"])).systems[system].run.rankings
    expected = {
        query: {name: everything[query].get(name, 0.0) for name in own if name in names}
        for query, own in candidates.items()
    }
    found = ranked_by(MtebSearch(encoder, system), hard, candidates)
    for query, ranking in expected.items():
        assert found[query] == pytest.approx(ranking, abs=1e-5)
    value = measure(found, hard.relevance).means()["nDCG@10"]
    task = Retrieval(hard, candidates)
    assert scores(MtebSearch(encoder, system), task)["ndcg_at_10"] == pytest.approx(value, abs=1e-5)


def ranked_by(
    search: MtebSearch, judged: JudgedSet, candidates: Mapping[str, Sequence[str]] | None, top_k: int = 1000
) -> dict[str, dict[str, float]]:
    data = Retrieval(judged).dataset["default"]["test"]
    search.index(data["corpus"])
    return search.search(
        data["queries"], task_metadata=Retrieval.metadata, top_k=top_k, encode_kwargs={}, top_ranked=candidates
    )


def test_no_more_documents_than_are_asked_for(judged: JudgedSet, load_tiny: Callable[..., Encoder]) -> None:
    search = MtebSearch(load_tiny("m3"), "dense")
    assert {len(own) for own in ranked_by(search, judged, None, top_k=3).values()} == {3}
    candidates = {query.id: [document.id for document in judged.documents] for query in judged.queries}
    assert ranked_by(search, judged, candidates, top_k=3) == {
        query: pytest.approx(own, abs=1e-5) for query, own in ranked_by(search, judged, None, top_k=3).items()
    }


def test_a_mix_tells_where_its_candidates_may_be_too_few(
    judged: JudgedSet, load_tiny: Callable[..., Encoder], caplog: pytest.LogCaptureFixture
) -> None:
    more = [Document(f"{name}{document.id}", document.text) for name in "abc" for document in judged.documents]
    larger = replace(judged, documents=[*judged.documents, *more])
    ranked_by(MtebSearch(load_tiny("m3"), "dense+sparse"), larger, None, top_k=100)
    assert not caplog.records
    ranked_by(MtebSearch(load_tiny("m3"), "dense+sparse", candidates=5), larger, None, top_k=100)
    assert "more candidates than 100 could change the first 100 documents of dense+sparse" in caplog.text


@pytest.mark.parametrize("name", ["m3", "st-mean"])
def test_sts_is_the_correlation_with_our_cosine(name: str, load_tiny: Callable[..., Encoder]) -> None:
    encoder = load_tiny(name)
    first, second, human = zip(*SENTENCES, strict=True)
    sides = [encoder.encode_queries(side, ["dense"]).dense for side in (first, second)]
    unit = [side / np.linalg.norm(side, axis=1, keepdims=True) for side in sides if side is not None]
    found = scores(MtebEncoder(encoder), Sts())
    assert found["cosine_spearman"] == pytest.approx(spearmanr((unit[0] * unit[1]).sum(axis=1), human)[0])
    assert found["spearman"] == pytest.approx(spearmanr((sides[0] * sides[1]).sum(axis=1), human)[0])


@pytest.mark.parametrize("name", ["m3", "st-mean", "bert"])
def test_other_kinds_of_tasks_run(name: str, load_tiny: Callable[..., Encoder]) -> None:
    model = MtebEncoder(load_tiny(name))
    assert scores(model, Bitext())["f1"] == 1.0
    assert scores(model, Pairs())["cosine_ap"] == pytest.approx(1.0)
    assert scores(model, Classification())["accuracy"] == 1.0


def test_each_type_of_text_gets_its_prompt(load_tiny: Callable[..., Encoder]) -> None:
    encoder, texts = load_tiny("st-mean"), ["the river", "山水火木", ""]
    model = MtebEncoder(encoder)
    batches = [{"text": texts[:2]}, {"text": texts[2:]}]
    expected = {
        "query": encoder.encode(texts, ["dense"], "query: ").dense,
        "document": encoder.encode(texts, ["dense"], "passage: ").dense,
        None: encoder.encode(texts, ["dense"], "query: ").dense,
    }
    for prompt_type, vectors in expected.items():
        np.testing.assert_array_equal(model.encode(batches, prompt_type=prompt_type), vectors)
    other = MtebEncoder(encoder, symmetric_prompt="")
    np.testing.assert_array_equal(other.encode(batches), encoder.encode(texts, ["dense"]).dense)


def test_texts_get_no_prompt_of_queries_where_passages_have_none(load_tiny: Callable[..., Encoder]) -> None:
    encoder = load_tiny("m3")
    checkpoint = replace(encoder.checkpoint, query_prompt="represent: ")
    model = MtebEncoder(Encoder(checkpoint, encoder.runtime, encoder.tokenizer, encoder.fingerprint))
    assert [model.prompt(kind) for kind in ("query", "document", None)] == ["represent: ", "", ""]


def test_titles_are_joined_as_elsewhere(load_tiny: Callable[..., Encoder]) -> None:
    encoder = load_tiny("m3")
    batch = {"text": ["x", "x"], "title": ["the river", ""], "body": ["and the mountain ", " night "]}
    expected = encoder.encode_documents(["the river and the mountain ", " night "], ["dense"]).dense
    np.testing.assert_array_equal(MtebEncoder(encoder).encode([batch], prompt_type="document"), expected)


def test_mteb_takes_them_for_what_they_are(load_tiny: Callable[..., Encoder]) -> None:
    encoder, search = MtebEncoder(load_tiny("m3")), MtebSearch(load_tiny("m3"))
    assert isinstance(encoder, EncoderProtocol) and not isinstance(encoder, SearchProtocol)
    assert isinstance(search, SearchProtocol) and not isinstance(search, EncoderProtocol)


def test_the_record_of_a_model(load_tiny: Callable[..., Encoder]) -> None:
    encoder = load_tiny("st-mean")
    meta = MtebEncoder(encoder).mteb_model_meta
    assert (meta.name, meta.revision) == ("local/st-mean", encoder.fingerprint.digest)
    assert (meta.embed_dim, meta.max_tokens, meta.use_instructions) == (16, 512, True)
    assert (meta.similarity_fn_name, meta.model_type, meta.framework) == ("dot", ["dense"], ["ONNX"])
    assert meta.languages is None
    assert meta.experiment_name is None
    assert meta.to_dict()["name"] == "local/st-mean"


@pytest.mark.parametrize(
    ("system", "kind", "similarity"),
    [("dense", "dense", "cosine"), ("sparse", "sparse", "dot"), ("bm25-words", "sparse", "custom"),
     ("multi", "late-interaction", "MaxSim"), ("dense = 1, bm25 = 0.5", "hybrid", "custom")],
)  # fmt: skip
def test_a_system_is_an_experiment_with_the_model(
    system: str, kind: str, similarity: str, load_tiny: Callable[..., Encoder]
) -> None:
    meta = MtebSearch(load_tiny("m3"), system).mteb_model_meta
    assert (meta.model_type, meta.similarity_fn_name) == ([kind], similarity)
    assert meta.experiment_name == f"system_{system.replace(' ', '')}"
    other = MtebSearch(load_tiny("m3"), system, LongDocuments("cut")).mteb_model_meta
    assert other.experiment_name == f"long_documents_cut__system_{system.replace(' ', '')}"


def test_what_mteb_knows_of_a_model_is_kept(load_tiny: Callable[..., Encoder]) -> None:
    encoder = load_tiny("m3")

    def named(name: str) -> Any:
        checkpoint = replace(encoder.checkpoint, name=name)
        return MtebEncoder(Encoder(checkpoint, encoder.runtime, encoder.tokenizer, encoder.fingerprint)).mteb_model_meta

    known = named("BAAI/bge-m3")
    assert known.name == "BAAI/bge-m3" and known.revision == encoder.fingerprint.digest
    assert known.license == "mit" and "MIRACLRetrieval" in known.training_datasets
    assert known.loader is None and known.embed_dim == 32
    small = named("m3-small")
    assert (small.name, small.adapted_from) == ("trivec/m3-small", "intfloat/multilingual-e5-small")
    assert "swa-Latn" in small.languages
