"""mteb's own evaluation over our models gives what ours gives. Tasks are made here; nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

pytestmark = pytest.mark.filterwarnings("ignore:To copy construct from a tensor")  # mteb copies similarities so
mteb = pytest.importorskip("mteb")

from datasets import Dataset, DatasetDict  # noqa: E402
from mteb.abstasks import (  # noqa: E402
    AbsTaskBitextMining,
    AbsTaskClassification,
    AbsTaskPairClassification,
    AbsTaskRetrieval,
    AbsTaskSTS,
)
from mteb.abstasks.aggregate_task_metadata import AggregateTaskMetadata  # noqa: E402
from mteb.abstasks.aggregated_task import AbsTaskAggregate  # noqa: E402
from mteb.abstasks.task_metadata import TaskMetadata  # noqa: E402
from mteb.models import EncoderProtocol, SearchProtocol  # noqa: E402

from trivec import Encoder  # noqa: E402
from trivec.errors import InputError  # noqa: E402
from trivec.evaluate import EvaluateOptions, evaluate, measure, set_vectors  # noqa: E402
from trivec.evaluate.judged_sets import JudgedQuery, JudgedSet  # noqa: E402
from trivec.evaluate.mteb import ENCODER, MtebEncoder, MtebSearch, find_tasks, run_tasks  # noqa: E402
from trivec.search.long_documents import LongDocuments  # noqa: E402
from trivec.types import Document  # noqa: E402

SYSTEMS = (
    "dense", "sparse", "bm25", "multi", "dense+sparse", "dense+sparse+multi", "hybrid", "dense=1,bm25=0.5",
    "bm25-documents", "bm25-words",
)  # fmt: skip
INSTRUCTION = "what of the river and the mountain"
SENTENCES = [
    ("the capital city is on the river", "die hauptstadt ist und der river", 4.0),
    ("a book of science in the library", "where is the mountain", 0.5),
    ("山水火木", "山水火木土金", 4.5),
    ("что это за город", "το της πόλη", 1.0),
    ("", "night water", 0.0),
    ("water at night", "night water", 5.0),
]


def metadata(name: str, kind: str, main_score: str, **more: Any) -> TaskMetadata:
    return TaskMetadata(
        name=name, type=kind, main_score=main_score, description="", dataset={"path": "none", "revision": "1"},
        eval_langs=["eng-Latn"], **more,
    )  # fmt: skip


class Retrieval(AbsTaskRetrieval):
    """A judged set as a task of retrieval, or of reranking if queries have candidates."""

    metadata = metadata("OwnRetrieval", "Retrieval", "ndcg_at_10")

    def __init__(
        self,
        judged: JudgedSet,
        candidates: Mapping[str, Sequence[str]] | None = None,
        instruction: str | None = None,
    ) -> None:
        super().__init__()
        queries = [{"id": query.id, "text": query.text} for query in judged.queries]
        if instruction is not None:
            queries = [{**row, "instruction": instruction} for row in queries]
        corpus = [{"id": one.id, "title": one.title, "text": one.text} for one in judged.documents]
        self.dataset = {
            "default": {
                "test": {
                    "queries": Dataset.from_list(queries),
                    "corpus": Dataset.from_list(corpus),
                    "relevant_docs": judged.relevance,
                    "top_ranked": candidates,
                }
            }
        }
        self.data_loaded = True


class Sts(AbsTaskSTS):
    metadata = metadata("OwnSts", "STS", "cosine_spearman")

    def load_data(self, **options: object) -> None:
        first, second, scores = zip(*SENTENCES, strict=True)
        rows = {"sentence1": first, "sentence2": second, "score": scores}
        self.dataset = DatasetDict({"test": Dataset.from_dict(rows)})
        self.data_loaded = True


class Pairs(AbsTaskPairClassification):
    metadata = metadata("OwnPairs", "PairClassification", "max_ap")

    def load_data(self, **options: object) -> None:
        texts = [first for first, _, _ in SENTENCES if first]
        rows = {
            "sentence1": texts * 2,
            "sentence2": texts + texts[1:] + texts[:1],
            "labels": [1] * len(texts) + [0] * len(texts),
        }
        self.dataset = DatasetDict({"test": Dataset.from_dict(rows)})
        self.data_loaded = True


class Bitext(AbsTaskBitextMining):
    metadata = metadata("OwnBitext", "BitextMining", "f1")

    def load_data(self, **options: object) -> None:
        texts = [first for first, _, _ in SENTENCES if first]
        self.dataset = DatasetDict({"test": Dataset.from_dict({"sentence1": texts, "sentence2": texts})})
        self.data_loaded = True


class Classification(AbsTaskClassification):
    metadata = metadata("OwnClassification", "Classification", "accuracy")

    def load_data(self, **options: object) -> None:
        rows = Dataset.from_dict({"text": ["山水火木", "the river and the mountain"] * 8, "label": [0, 1] * 8})
        self.dataset = DatasetDict({"train": rows, "test": rows})
        self.data_loaded = True


class Unreachable(Sts):
    metadata = metadata("OwnUnreachable", "STS", "cosine_spearman")

    def load_data(self, **options: object) -> None:
        raise ConnectionError("the hub is far away")


class Second(Retrieval):
    metadata = metadata("OwnSecond", "Retrieval", "ndcg_at_10")
    reachable = False

    def evaluate(self, *arguments: Any, **options: Any) -> Any:
        if not self.reachable:
            raise ConnectionError("the hub is far away")
        return super().evaluate(*arguments, **options)


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


def test_tasks_are_run_and_written_as_mteb_writes_them(
    judged: JudgedSet, load_tiny: Callable[..., Encoder], tmp_path: Path
) -> None:
    encoder, systems = load_tiny("m3"), ["hybrid", ENCODER, "dense=1,bm25=0.5"]
    run = run_tasks(encoder, [Sts(), Retrieval(judged)], tmp_path, systems)
    assert [(one.task, one.kind, one.system) for one in run.scores] == [
        ("OwnSts", "STS", ENCODER), *(("OwnRetrieval", "Retrieval", system) for system in systems)
    ]  # fmt: skip
    assert run.failed == {}
    expected = evaluate(encoder, judged, EvaluateOptions(["hybrid"], ["nDCG@10"])).systems["hybrid"].measured.means()
    hybrid = run.scores[1]
    assert (hybrid.measure, hybrid.score) == ("ndcg_at_10", pytest.approx(expected["nDCG@10"], abs=1e-5))
    assert hybrid.subsets == {"test": {"default": hybrid.score}}
    folder = tmp_path / "results" / "local__m3" / encoder.fingerprint.digest
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("Own*.json")}
    assert names == {
        "OwnSts.json", "OwnRetrieval.json", "experiments/system_hybrid/OwnRetrieval.json",
        "experiments/system_dense=1,bm25=0.5/OwnRetrieval.json",
    }  # fmt: skip
    assert (folder / "model_meta.json").is_file()


def test_what_is_there_is_not_measured_again(
    judged: JudgedSet, load_tiny: Callable[..., Encoder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, calls = load_tiny("m3"), count_passes(monkeypatch)
    first = run_tasks(encoder, [Retrieval(judged)], tmp_path, ["dense"])
    assert calls() == 1
    again = run_tasks(encoder, [Retrieval(judged)], tmp_path, ["dense"])
    assert calls() == 1
    assert again.scores == first.scores
    assert run_tasks(encoder, [Retrieval(judged)], tmp_path, ["dense"], overwrite=True).scores == first.scores
    assert calls() == 2


def test_systems_share_the_vectors_that_are_kept(
    judged: JudgedSet, load_tiny: Callable[..., Encoder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, systems = count_passes(monkeypatch), ["bm25", "dense", "dense+sparse", "hybrid"]
    plain = run_tasks(load_tiny("m3"), [Retrieval(judged)], tmp_path / "plain", systems)
    assert calls() == 3
    kept = run_tasks(load_tiny("m3"), [Retrieval(judged)], tmp_path / "kept", systems, cache=tmp_path / "vectors")
    assert calls() == 4
    assert kept.scores == plain.scores


def count_passes(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How often passages have been encoded for a search."""
    encode, calls = LongDocuments.encode, []

    def counted(*arguments: Any) -> Any:
        calls.append(arguments)
        return encode(*arguments)

    monkeypatch.setattr(LongDocuments, "encode", counted)
    return lambda: len(calls)


def test_a_task_that_fails_keeps_no_other_from_being_run(load_tiny: Callable[..., Encoder], tmp_path: Path) -> None:
    run = run_tasks(load_tiny("bert"), [Unreachable(), Sts()], tmp_path)
    assert [one.task for one in run.scores] == ["OwnSts"]
    assert run.failed == {("OwnUnreachable", ENCODER): "the hub is far away"}


def test_a_task_made_of_others_is_taken_up_where_one_failed(
    judged: JudgedSet, load_tiny: Callable[..., Encoder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = AggregateTaskMetadata(
        name="OwnAggregate", type="Retrieval", main_score="ndcg_at_10", description="", eval_splits=["test"],
        tasks=[Retrieval(judged), Second(judged)],
    )  # fmt: skip
    task = type("Aggregate", (AbsTaskAggregate,), {"metadata": parts})()
    encoder, calls = load_tiny("m3"), count_passes(monkeypatch)
    run = run_tasks(encoder, [task], tmp_path, ["dense"])
    assert run.failed == {("OwnAggregate", "dense"): "the hub is far away"}
    assert run.scores == []
    monkeypatch.setattr(Second, "reachable", True)
    again = run_tasks(encoder, [task], tmp_path, ["dense"])
    assert calls() == 2
    value = evaluate(encoder, judged, EvaluateOptions(["dense"])).systems["dense"].measured.means()["nDCG@10"]
    assert [one.score for one in again.scores] == [pytest.approx(value, abs=1e-5)]
    assert again.failed == {}


def test_benchmarks_and_tasks_are_found_by_name() -> None:
    chinese = [task.metadata.name for task in find_tasks(["MTEB(cmn, v1)"])]
    assert {"T2Retrieval", "T2Reranking", "TNews", "STSB", "Ocnli"} <= set(chinese)
    assert [task.metadata.name for task in find_tasks(["CMTEB"])] == chinese
    assert [task.metadata.name for task in find_tasks(["STS17", "CMTEB", "STS17"])] == ["STS17", *chinese]


def test_tasks_are_limited_to_languages_and_splits() -> None:
    (miracl,) = find_tasks(["MIRACLRetrieval", "T2Retrieval"], languages=["deu", "fra"])
    assert miracl.hf_subsets == ["de", "fr"]
    (mldr,) = find_tasks(["MultiLongDocRetrieval", "STS17"], languages=["deu"], splits=["dev"])
    assert mldr.eval_splits == ["dev"]
    before = [task.hf_subsets for task in mteb.get_benchmark("MTEB(Multilingual, v2)").tasks]
    assert find_tasks(["MTEB(Multilingual, v2)"], languages=["deu"])
    assert [task.hf_subsets for task in mteb.get_benchmark("MTEB(Multilingual, v2)").tasks] == before


@pytest.mark.parametrize(
    ("names", "languages", "message"),
    [
        (["STS71"], [], "neither a task nor a benchmark 'STS71'.*Did you mean: 'STS17'"),
        (["MTEB(cn)"], [], "neither a task nor a benchmark 'MTEB\\(cn\\)'.*Did you mean: MTEB\\(cmn, v1\\)"),
        (["T2Retrieval"], ["fra"], "no task is left of T2Retrieval in the languages \\['fra'\\]"),
        ([], [], "no task is left of none"),
        (["STS17", "CIFAR10"], [], "CIFAR10 need images, sound or video"),
    ],
)
def test_tasks_that_cannot_be_run_are_refused(names: list[str], languages: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        find_tasks(names, languages)


def test_systems_that_cannot_be_measured_are_refused(load_tiny: Callable[..., Encoder], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no system 'nonsense'"):
        MtebSearch(load_tiny("m3"), "nonsense")
    with pytest.raises(InputError, match="needs sparse, and the model gives dense, bm25"):
        run_tasks(load_tiny("bert"), [Sts()], tmp_path, ["sparse"])
    with pytest.raises(InputError, match="one system at a time, and 'default' stands for several"):
        MtebSearch(load_tiny("m3"), "default")
    with pytest.raises(InputError, match="candidates must be at least 1, got 0"):
        MtebSearch(load_tiny("m3"), candidates=0)
    with pytest.raises(InputError, match="vectors are not rounded to 'int8'"):
        MtebEncoder(load_tiny("m3")).encode([], precision="int8")
