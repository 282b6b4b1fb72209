"""``trivec air-bench``: a bundle for the leaderboard, and what is refused."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from cli_runs import Run


def write_set(home: Path) -> None:
    home.mkdir(parents=True)
    rows = [{"id": "d1", "text": "the city of paris"}, {"id": "d2", "text": "water and bread"}]
    (home / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (home / "test_queries.jsonl").write_text(json.dumps({"id": "q", "text": "bread"}) + "\n")


def test_a_bundle_is_written(run: Run, model: Path, workplace: Path) -> None:
    write_set(workplace / "qa_web_en" / "AIR-Bench_24.05" / "default")
    outcome = run("air-bench", model, "qa_web_en", "--out", "ours.zip", "--name", "ours")
    assert (outcome.code, outcome.out) == (0, "ours.zip: 1 sets, 1 queries\n")
    with zipfile.ZipFile(workplace / "ours.zip") as bundle:
        found = json.loads(bundle.read("qa/web/en_default_test.json"))
    assert found["model_name"] == "ours"
    assert next(iter(found["search_results"]["q"])) == "d2"
    again = run("air-bench", model, "qa_web_en", "--out", "two.zip", "--system", "bm25", "--json")
    assert again.json == {"file": "two.zip", "queries": {"qa/web/en_default_test.json": 1}}


def test_what_cannot_be_bundled(run: Run, model: Path, workplace: Path) -> None:
    write_set(workplace / "qa_web_en" / "AIR-Bench_24.05" / "default")
    for words, message in (
        ([], "SETS requires an argument"),
        (["nowhere"], "holds no set of AIR-Bench"),
        (["qa_web_en", "--split", "dev"], "has no dev_queries.jsonl"),
        (["qa_web_en", "--system", "magic"], "there is no system 'magic'"),
    ):
        outcome = run("air-bench", model, *words, "--out", "new.zip")
        assert (outcome.code, outcome.out) == (2, "")
        assert message in outcome.err
    assert not (workplace / "new.zip").exists()
