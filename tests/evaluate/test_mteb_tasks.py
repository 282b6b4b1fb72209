"""Running tasks of mteb by name: what is written, what is not measured again, and what fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.filterwarnings("ignore:To copy construct from a tensor")  # mteb copies similarities so
mteb = pytest.importorskip("mteb")

from mteb.abstasks.aggregate_task_metadata import AggregateTaskMetadata  # noqa: E402
from mteb.abstasks.aggregated_task import AbsTaskAggregate  # noqa: E402

from trivec import Encoder  # noqa: E402
from trivec.errors import InputError  # noqa: E402
from trivec.evaluate import EvaluateOptions, evaluate  # noqa: E402
from trivec.evaluate.judged_sets import JudgedSet  # noqa: E402
from trivec.evaluate.mteb import ENCODER, MtebEncoder, MtebSearch, find_tasks, run_tasks  # noqa: E402
from trivec.search.long_documents import LongDocuments  # noqa: E402

from mteb_tasks import Retrieval, Second, Sts, Unreachable  # noqa: E402


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
    with pytest.raises(InputError, match="one system at a time is ranked by here, and 'default' stands for several"):
        MtebSearch(load_tiny("m3"), "default")
    with pytest.raises(InputError, match="candidates must be at least 1, got 0"):
        MtebSearch(load_tiny("m3"), candidates=0)
    with pytest.raises(InputError, match="vectors are not rounded to 'int8'"):
        MtebEncoder(load_tiny("m3")).encode([], precision="int8")
