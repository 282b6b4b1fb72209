"""``trivec eval``: tables, results on disk, and what cannot be measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_runs import Run

from trivec.evaluate.runs import read_run

import tiny_models

SYSTEMS = ["dense", "sparse", "bm25", "multi", "dense+sparse", "dense+sparse+multi", "hybrid"]


@pytest.fixture
def judged(workplace: Path) -> Path:
    folder = workplace / "places"
    (folder / "qrels").mkdir(parents=True)
    texts = {"d1": "the city of paris", "d2": "a river in the city", "d3": "water and bread", "d4": "the house"}
    rows = [{"_id": name, "text": text} for name, text in texts.items()]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    queries = [{"_id": "q1", "text": "paris", "lang": "en"}, {"_id": "q2", "text": "bread", "lang": "de"}]
    (folder / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in queries))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td3\t1\n")
    return folder


def test_a_table_for_each_measure(run: Run, model: Path, judged: Path) -> None:
    outcome = run("eval", model, judged, "--measure", "nDCG@10", "recall@2")
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    assert lines[0] == "nDCG@10"
    assert lines[1].split() == ["set", *SYSTEMS]
    assert lines[2].split()[0] == "places"
    assert float(lines[2].split()[3]) == 1.0  # each query's word stands in its document alone
    assert lines[4] == "R@2"
    assert ", 4 passages " in lines[-1]


def test_several_sets_have_a_mean(run: Run, model: Path, judged: Path) -> None:
    other = judged.rename(judged.with_name("copy"))
    (judged / "qrels").mkdir(parents=True)
    for name in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv"):
        (judged / name).write_bytes((other / name).read_bytes())
    outcome = run("eval", model, judged, other, "--systems", "bm25", "dense=1,bm25=0.5", "--measure", "RR@10")
    assert [line.split()[0] for line in outcome.out.splitlines()[1:5]] == ["set", "places", "copy", "mean"]
    assert outcome.out.splitlines()[1].split() == ["set", "bm25", "dense=1,bm25=0.5"]


def test_results_can_be_compared(run: Run, model: Path, judged: Path, workplace: Path) -> None:
    outcome = run("eval", model, judged, "--out", "results", "--cache", "vectors", "--card", "README.md", "--json")
    assert outcome.code == 0
    assert "ndcg_at_10" in (workplace / "README.md").read_text()
    told, stored = json.loads(outcome.out), json.loads((workplace / "results" / "results.json").read_text())
    assert told == stored
    [result] = stored["results"]
    assert (result["set"], result["queries"], result["documents"]) == ("places", 2, 4)
    assert result["systems"]["bm25"]["values"]["nDCG@10"] == 1.0
    assert result["systems"]["hybrid"]["fusion"] == "weighted-sum"
    assert set(result["by_language"]["nDCG@10"]) == {"en", "de"}
    runs = workplace / "results" / "runs" / "places"
    assert sorted(path.stem for path in runs.iterdir()) == sorted(SYSTEMS)
    assert next(iter(read_run(runs / "bm25.run").rankings["q1"])) == "d1"
    qrels = judged / "qrels" / "test.tsv"
    assert run("compare", runs / "bm25.run", runs / "dense.run", "--qrels", qrels).code == 0
    assert list((workplace / "vectors").glob("*.safetensors"))
    assert run("eval", model, judged, "--out", "results", "--cache", "vectors", "--systems", "dense").code == 0


def test_a_preset_and_what_is_said_beside_it(run: Run, model: Path, judged: Path) -> None:
    outcome = run("eval", model, judged, "--preset", "m3-miracl", "--json").json
    assert outcome["options"]["measures"] == ["nDCG@10", "R@100"]
    assert outcome["options"]["long_documents"] == "cut"
    assert list(outcome["results"][0]["systems"]) == ["dense", "sparse", "multi", "dense+sparse", "dense+sparse+multi"]
    words = ["--measure", "RR@5", "--systems", "default", "bm25-words", "--max-length", "16"]
    outcome = run("eval", model, judged, "--preset", "m3-miracl", *words, "--json").json
    assert (outcome["options"]["measures"], outcome["options"]["max_length"]) == (["RR@5"], 16)
    assert list(outcome["results"][0]["systems"]) == [*SYSTEMS, "bm25-words"]


def test_what_the_reader_must_know_is_told(run: Run, model: Path, judged: Path) -> None:
    with (judged / "qrels" / "test.tsv").open("a") as file:
        file.write("q1\tgone\t1\n")
    outcome = run("eval", model, judged, "--systems", "dense")
    assert "places: 1 relevant documents are not in the corpus" in outcome.err
    assert run("eval", model, judged, "--systems", "dense", "--quiet").err == ""


def test_pairs_beside_sets(run: Run, model: Path, judged: Path, workplace: Path) -> None:
    sides = [("paris", "the city of paris"), ("a river", "water"), ("bread", "the house")]
    rows = [{"sentence1": first, "sentence2": second, "score": 3 - n} for n, (first, second) in enumerate(sides)]
    (workplace / "sts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    rows = [{"src": first, "eng": second, "lang": "ab"[n % 2]} for n, (first, second) in enumerate(sides)]
    (workplace / "bitext.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    outcome = run("eval", model, "sts.jsonl", judged, "bitext.jsonl", "--systems", "dense", "multi", "--out", "results")
    assert outcome.code == 0
    lines = [line.split() for line in outcome.out.splitlines()]
    assert ["pairs", "dense", "multi"] in lines
    assert {"Spearman", "Pearson", "accuracy"} <= {line[0] for line in lines if len(line) == 1}
    assert lines[-1][:2] == ["6", "pairs,"]
    stored = json.loads((workplace / "results" / "results.json").read_text())["results"]
    assert [one.get("pairs", one.get("set")) for one in stored] == ["places", "sts", "bitext"]
    assert set(stored[2]["by_language"]) == {"a", "b"}
    page = (workplace / "results" / "report.html").read_text(encoding="utf-8")
    assert "sts, 3 pairs" in page and "accuracy by language" in page
    assert run("eval", model, "sts.jsonl", "--out", "pairs").code == 0
    whole, cut = (
        run("eval", model, "sts.jsonl", "--json", *words).json["results"] for words in ([], ["--max-length", 4])
    )
    assert whole[0]["fingerprint"] != cut[0]["fingerprint"]
    run("index", judged / "corpus.jsonl", "--out", "library", "--model", model)
    assert "sts holds pairs, and a library is searched" in run("eval", "library", "sts.jsonl").err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "there is no nowhere"),
        (["places", "places"], "two sets have the same name"),
        (["places", "--systems", "magic"], "there is no system 'magic'"),
        (["places", "--measure", "magic"], "there is no measure 'magic'"),
        (["places", "--split", "dev"], "has no qrels/dev.tsv"),
        (["places", "--candidates", "0"], "candidates must be at least 1"),
        (["places", "--max-length", "0"], "max_length must be at least 1"),
        (["places", "--preset", "magic"], "there is no preset 'magic'"),
        (["places", "--out", "places"], "is not empty and holds no results"),
        (["places", "--out", "places/corpus.jsonl"], "is a file"),
    ],
)
def test_what_cannot_be_measured(words: list[str], message: str, run: Run, model: Path, judged: Path) -> None:
    outcome = run("eval", model, *words)
    assert (outcome.code, outcome.out) == (2, "")
    assert message in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_a_report_shows_systems_languages_scores_and_poor_queries(
    run: Run, model: Path, judged: Path, workplace: Path
) -> None:
    with (judged / "qrels" / "test.tsv").open("a") as file:
        file.write("q1\tgone\t1\n")
    assert run("eval", model, judged, "--out", "results").code == 0
    page = (workplace / "results" / "report.html").read_text(encoding="utf-8")
    for told in ("2 queries, 4 documents in 4 passages", "nDCG@10 by language of the query", "Quality and size",
                 "Scores by multi", "Worst queries of hybrid", "found first: d"):  # fmt: skip
        assert told in page


def test_a_library_is_measured_as_it_is_searched(run: Run, model: Path, judged: Path, workplace: Path) -> None:
    assert run("index", judged / "corpus.jsonl", "--out", "library", "--model", model).code == 0
    outcome = run("eval", "library", judged, "--out", "results", "--measure", "nDCG@10")
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    assert lines[1].split() == ["set", *SYSTEMS]
    assert lines[4] == "milliseconds a search"
    assert "Quality and time" in (workplace / "results" / "report.html").read_text(encoding="utf-8")
    [result] = json.loads((workplace / "results" / "results.json").read_text())["results"]
    assert result["systems"]["bm25"]["values"]["nDCG@10"] == 1.0
    assert result["systems"]["dense"]["latency_ms"]["p50"] > 0
    assert result["cost"]["library_bytes"] > 0
    (workplace / "asked.jsonl").write_text((judged / "queries.jsonl").read_text())
    words = ["--queries", "asked.jsonl", "--qrels", judged / "qrels" / "test.tsv", "--systems", "bm25", "--json"]
    [loose] = run("eval", "library", *words).json["results"]
    assert (loose["set"], loose["systems"]["bm25"]["values"]["nDCG@10"]) == ("asked", 1.0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["library"], "give folders of sets, or for a library --queries and --qrels"),
        (["library", "--queries", "places/queries.jsonl"], "give folders of sets"),
        (["library", "places", "--cache", "vectors"], "--cache is for models"),
        (["library", "places", "--preset", "beir", "--max-length", "9"], "--preset, --max-length is for models"),
        (["library", "other"], "none of the 1 documents that other judges as relevant is in the library"),
    ],
)
def test_what_cannot_be_measured_of_a_library(
    words: list[str], message: str, run: Run, library: Path, judged: Path, workplace: Path
) -> None:
    (workplace / "other").mkdir()
    for name, text in (("corpus.jsonl", '{"_id": "x9", "text": "x"}'), ("queries.jsonl", '{"_id": "q", "text": "x"}')):
        (workplace / "other" / name).write_text(text)
    (workplace / "other" / "qrels.tsv").write_text("q\tx9\t1\n")
    outcome = run("eval", *words)
    assert (outcome.code, outcome.out) == (2, "")
    assert message in outcome.err


def test_a_report_can_leave_texts_out(run: Run, model: Path, judged: Path, workplace: Path) -> None:
    assert run("eval", model, judged, "--out", "results", "--without-texts").code == 0
    page = (workplace / "results" / "report.html").read_text(encoding="utf-8")
    assert "Scores by multi" in page
    assert "Worst queries" not in page and "a river in the city" not in page


def test_a_reranker_gives_systems(run: Run, model: Path, judged: Path, workplace: Path) -> None:
    tiny_models.write_tiny_reranker(workplace / "reranker")
    words = ["--systems", "bm25", "hybrid", "--rerank", "reranker", "--depth", 1, 3, "--out", "results"]
    outcome = run("eval", model, judged, *words, "--json")
    names = ["bm25", "hybrid", "hybrid+rerank@1", "hybrid+rerank@3"]
    assert list(outcome.json["results"][0]["systems"]) == names
    assert sorted(path.stem for path in (workplace / "results" / "runs" / "places").iterdir()) == sorted(names)
    assert "--depth is for a reranker" in run("eval", model, judged, "--depth", 3).err


def test_the_first_stage_has_a_say(run: Run, model: Path, judged: Path, workplace: Path) -> None:
    tiny_models.write_tiny_reranker(workplace / "reranker")
    words = ["--systems", "bm25", "dense", "--rerank", "reranker", "--depth", 3, "--first-stage", 0, 0.5]
    outcome = run("eval", model, judged, *words, "--out", "results")
    names = ["bm25", "dense", "dense+rerank@3", "dense+rerank@3,first-stage=0.5"]
    assert outcome.out.splitlines()[1].split() == ["set", *names]
    assert "reranked by reranker, no calibrated probabilities" in outcome.out
    told = json.loads((workplace / "results" / "results.json").read_text())["results"][0]["systems"]
    assert [told[name].get("first_stage") for name in names] == [None, None, 0.0, 0.5]
    assert sorted(path.stem for path in (workplace / "results" / "runs" / "places").iterdir()) == sorted(names)
    for wrong, message in (
        (["--first-stage", 1], "--first-stage is for a reranker: name one by --rerank"),
        (["--depth", 3, "--first-stage", 1], "--depth and --first-stage are for a reranker"),
        (["--rerank", "reranker", "--first-stage", -1], "first_stage must be a weight of at least 0, got -1"),
        (["--rerank", "reranker", "--first-stage", "nan"], "first_stage must be a weight of at least 0, got nan"),
        (["--rerank", "nowhere"], "there is no model 'nowhere'"),
    ):
        outcome = run("eval", model, judged, *wrong)
        assert (outcome.code, outcome.out) == (2, "")
        assert message in outcome.err


def test_loose_files_are_for_libraries(run: Run, model: Path, judged: Path) -> None:
    words = ["--queries", judged / "queries.jsonl", "--qrels", judged / "qrels" / "test.tsv"]
    assert "are for libraries" in run("eval", model, *words).err
