"""Rankings for AIR-Bench's leaderboard, in the form that its tools write and check."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from trivec import Encoder
from trivec.errors import InputError
from trivec.evaluate.air_bench_bundle import BundleOptions, write_bundle
from trivec.evaluate.judged_sets import JudgedQuery
from trivec.evaluate.layouts.air_bench import find_sets, read_unjudged
from trivec.evaluate.options import EvaluateOptions
from trivec.evaluate.ranked_sets import rank_set

from miniatures import write_air_bench


@pytest.fixture
def benchmark_folder(tmp_path: Path) -> Path:
    """Three sets of two collections."""
    own = write_air_bench(tmp_path / "air-bench")
    for dataset in ("gemini", "llama2"):
        shutil.copytree(own, tmp_path / "air-bench" / "long-doc_arxiv_en" / "AIR-Bench_24.05" / dataset)
    return tmp_path / "air-bench"


def test_sets_are_found_from_any_folder_above(benchmark_folder: Path) -> None:
    names = ["long-doc_arxiv_en-gemini", "long-doc_arxiv_en-llama2", "qa_web_en-default"]
    assert [one.name for one in find_sets(benchmark_folder)] == names
    assert [one.name for one in find_sets(benchmark_folder / "long-doc_arxiv_en")] == names[:2]
    (one,) = find_sets(benchmark_folder / "long-doc_arxiv_en" / "AIR-Bench_24.05" / "llama2")
    assert (one.task, one.domain, one.language, one.dataset) == ("long-doc", "arxiv", "en", "llama2")
    assert one.version == "AIR-Bench_24.05"


def test_queries_without_judgements_are_read(benchmark_folder: Path) -> None:
    unjudged = read_unjudged(find_sets(benchmark_folder)[-1], "test")
    assert unjudged.queries == [JudgedQuery("q2", "what falls", language="en")]
    assert unjudged.relevance == {}
    with pytest.raises(InputError, match=r"has no train_queries\.jsonl"):
        read_unjudged(find_sets(benchmark_folder)[-1], "train")


@pytest.mark.parametrize("system", ["hybrid", "bm25-documents"])
def test_a_bundle_holds_each_set_as_the_leaderboard_wants_it(
    system: str, benchmark_folder: Path, load_tiny: Callable[..., Encoder], tmp_path: Path
) -> None:
    encoder, sets = load_tiny("m3"), find_sets(benchmark_folder)
    told: list[str] = []
    options = BundleOptions("ours", system)
    queries = write_bundle(encoder, sets, tmp_path / "new" / "ours.zip", options, report=told.append)
    members = [
        "long-doc/arxiv/en_gemini_test.json",
        "long-doc/arxiv/en_llama2_test.json",
        "qa/web/en_default_test.json",
    ]
    assert told == members
    assert queries == dict.fromkeys(members, 1)
    with zipfile.ZipFile(tmp_path / "new" / "ours.zip") as bundle:
        assert bundle.namelist() == members
        found = json.loads(bundle.read(members[2]))
    results = found.pop("search_results")
    assert found == {
        "model_name": "ours",
        "reranker_name": "NoReranker",
        "benchmark_version": "AIR-Bench_24.05",
        "task_type": "qa",
        "domain": "web",
        "language": "en",
        "dataset_name": "default",
        "split": "test",
    }
    expected = rank_set(encoder, read_unjudged(sets[2], "test"), EvaluateOptions([system])).rankings[system]
    assert results == expected
    assert list((tmp_path / "new").iterdir()) == [tmp_path / "new" / "ours.zip"]


def test_what_cannot_be_bundled_leaves_nothing(
    benchmark_folder: Path, load_tiny: Callable[..., Encoder], tmp_path: Path
) -> None:
    encoder, sets, path = load_tiny("m3"), find_sets(benchmark_folder), tmp_path / "new" / "ours.zip"
    (benchmark_folder / "long-doc_arxiv_en" / "AIR-Bench_24.05" / "llama2" / "test_queries.jsonl").unlink()
    with pytest.raises(InputError, match=r"llama2 has no test_queries\.jsonl"):
        write_bundle(encoder, sets, path, BundleOptions("ours", "dense"))
    with pytest.raises(InputError, match="is named twice in"):
        write_bundle(encoder, [sets[0], sets[0]], path, BundleOptions("ours"))
    with pytest.raises(InputError, match="'default' stands for several"):
        write_bundle(encoder, sets, path, BundleOptions("ours", "default"))
    renamed = benchmark_folder / "mine"
    shutil.copytree(benchmark_folder / "qa_web_en", renamed)
    with pytest.raises(InputError, match="is not named as AIR-Bench names its sets"):
        write_bundle(encoder, find_sets(renamed), path, BundleOptions("ours"))
    assert not path.exists()
    path.write_text("there")
    with pytest.raises(InputError, match=r"ours\.zip exists"):
        write_bundle(encoder, sets, path, BundleOptions("ours"))
    with pytest.raises(InputError, match="holds no set of AIR-Bench"):
        find_sets(tmp_path / "new")
