"""``trivec convert``: a set in another layout, and what cannot be converted."""

from __future__ import annotations

import json
from pathlib import Path

from cli_runs import Run


def write_topics(folder: Path) -> Path:
    folder.mkdir()
    (folder / "topics.tsv").write_text("1\tparis\n2\tbread\n")
    (folder / "qrels.txt").write_text("1 0 d1 2\n2 0 d2 1\n")
    rows = [{"id": "d1", "text": "the city of paris"}, {"id": "d2", "text": "water and bread"}]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_a_set_is_written_for_other_tools(run: Run, workplace: Path) -> None:
    write_topics(workplace / "trec")
    outcome = run("convert", "trec", "beir")
    assert (outcome.code, outcome.out) == (0, "beir: 2 documents, 2 queries\n")
    lines = (workplace / "beir" / "qrels" / "test.tsv").read_text().splitlines()
    assert lines == ["query-id\tcorpus-id\tscore", "1\td1\t2", "2\td2\t1"]
    assert run("convert", "beir", "again", "--json").json == {"folder": "again", "documents": 2, "queries": 2}
    assert (workplace / "again" / "corpus.jsonl").read_bytes() == (workplace / "beir" / "corpus.jsonl").read_bytes()


def test_what_cannot_be_converted(run: Run, workplace: Path) -> None:
    write_topics(workplace / "trec")
    for words, message in ((["trec", "trec"], "trec exists"), (["nowhere", "new"], "there is no nowhere"),
                           (["trec", "new", "--split", "dev"], "has no qrels.dev.txt")):  # fmt: skip
        outcome = run("convert", *words)
        assert (outcome.code, outcome.out) == (2, "")
        assert message in outcome.err
    assert not (workplace / "new").exists()
