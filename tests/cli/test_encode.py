"""``encode``: parts that hold the encoder's vectors, and can be gone on with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_runs import ROWS, Run, write_jsonl

import trivec
from trivec import Embeddings
from trivec.encode.long_text import LongText


def test_parts_hold_the_vectors_of_title_and_text(
    run: Run, source: Path, model: Path, same_vectors: Callable[..., None]
) -> None:
    heads = ["--heads", "dense", "sparse", "multi"]
    outcome = run("encode", source, "--out", "vectors", "--model", model, *heads, "--shard-size", 3, "--json")
    assert outcome.code == 0, outcome.err
    result = outcome.json
    assert {name: result[name] for name in ("texts", "parts", "kept")} == {"texts": 4, "parts": 2, "kept": 0}
    names = sorted(path.name for path in Path("vectors").iterdir())
    assert names == ["part-00000.ids.txt", "part-00000.safetensors", "part-00001.ids.txt", "part-00001.safetensors",
                     "vectors.json"]  # fmt: skip
    lines = [json.loads(line) for part in names[::2][:2] for line in Path("vectors", part).read_text().splitlines()]
    assert lines == [row["id"] for row in ROWS]
    found = Embeddings.concatenate([Embeddings.load(Path("vectors", part)) for part in names[1:4:2]])
    texts = [f"{row['title']} {row['text']}" if "title" in row else row["text"] for row in ROWS]
    same_vectors(found, trivec.load(model).encode_documents(texts, ["dense", "sparse", "multi"]))


def test_finished_parts_are_kept(run: Run, source: Path, model: Path) -> None:
    words = ["encode", source, "--out", "vectors", "--model", model, "--shard-size", 1, "--json"]
    assert run(*words).json["kept"] == 0
    first = Path("vectors/part-00000.safetensors")
    Path("vectors/part-00002.safetensors").unlink()
    before = first.stat().st_mtime_ns
    assert run(*words).json == run(*words).json | {"kept": 2}
    assert first.stat().st_mtime_ns == before


@pytest.mark.parametrize("method", ["cut", "windows", "mcls"])
def test_long_texts_are_encoded_as_asked(
    method: LongText, run: Run, workplace: Path, model: Path, same_vectors: Callable[..., None]
) -> None:
    texts = ["water river city night " * 20, "the city"]
    source = write_jsonl(workplace / "long.jsonl", [{"id": str(n), "text": text} for n, text in enumerate(texts)])
    words = ["encode", source, "--model", model, "--max-length", 24]
    assert run(*words, "--out", "vectors", "--long-text", method).code == 0
    found = Embeddings.load(Path("vectors/part-00000.safetensors"))
    heads = ["dense", "sparse", "multi"]
    same_vectors(found, trivec.load(model).encode_documents(texts, heads, max_length=24, long_text=method))
    assert found.multi is not None
    assert (found.multi.lengths[0] > 24) == (method == "windows")
    other = run(*words, "--out", "vectors", "--long-text", "windows" if method == "cut" else "cut")
    assert other.code == 2
    assert "made in another way" in other.err


def test_mcls_is_refused_for_mean_pooling(run: Run, source: Path, tiny: Callable[[str], Path]) -> None:
    outcome = run("encode", source, "--out", "vectors", "--model", tiny("st-mean"), "--long-text", "mcls")
    assert outcome.code == 2
    assert "mean pooling" in outcome.err
    assert not Path("vectors").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--heads", "dense"], "heads"),
        (["--prompt", "query", "--max-length", 9], "max_length: 512 / 9"),
        (["--shard-size", 3], "shard_size: 2 / 3"),
    ],
)
def test_parts_made_in_another_way_are_refused(
    words: list[str], message: str, run: Run, source: Path, model: Path
) -> None:
    assert run("encode", source, "--out", "vectors", "--model", model, "--shard-size", 2).code == 0
    size = [] if "--shard-size" in words else ["--shard-size", 2]
    outcome = run("encode", source, "--out", "vectors", "--model", model, *size, *words)
    assert outcome.code == 2
    assert "made in another way" in outcome.err
    assert message in outcome.err


def test_parts_of_other_texts_or_of_another_model_are_refused(
    run: Run, source: Path, model: Path, workplace: Path, tiny: Callable[[str], Path]
) -> None:
    words = ["--out", "vectors", "--model", model, "--shard-size", 2]
    assert run("encode", source, *words).code == 0
    changed = write_jsonl(workplace / "changed.jsonl", [*ROWS[:3], {**ROWS[3], "text": "other"}])
    shorter = write_jsonl(workplace / "shorter.jsonl", ROWS[:2])
    assert "part-00001 holds the vectors of other texts" in run("encode", changed, *words).err
    assert "gives only 1" in run("encode", shorter, *words).err
    outcome = run("encode", source, "--out", "vectors", "--model", tiny("bert"), "--shard-size", 2)
    assert "made in another way" in outcome.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--max-length", 0], "max_length"),
        (["--shard-size", 0], "--shard-size"),
        (["--heads", "smell"], '"smell"'),
        (["--prompt", "poem"], '"poem"'),
        (["--long-text", "fold"], '"fold"'),
        (["--out", "docs.jsonl"], "choose another folder"),
    ],
)
def test_wrong_options_make_nothing(words: list[object], message: str, run: Run, source: Path, model: Path) -> None:
    out = [] if "--out" in words else ["--out", "vectors"]
    outcome = run("encode", source, *out, "--model", model, *words)
    assert outcome.code == 2
    assert message in outcome.err
    assert not Path("vectors").exists()


def test_a_missing_head_is_named(run: Run, source: Path, tiny: Callable[[str], Path]) -> None:
    outcome = run("encode", source, "--out", "vectors", "--model", tiny("bert"), "--heads", "sparse")
    assert outcome.code == 2
    assert "no 'sparse' head" in outcome.err


def test_nothing_to_encode(run: Run, workplace: Path, model: Path) -> None:
    (workplace / "empty.txt").write_text(" ")
    outcome = run("encode", "empty.txt", "--out", "vectors", "--model", model)
    assert outcome.code == 2
    assert "no documents" in outcome.err


def test_a_broken_line_leaves_only_whole_parts(run: Run, workplace: Path, model: Path) -> None:
    source = write_jsonl(workplace / "docs.jsonl", [*ROWS[:3], "{broken"])
    words = ["encode", source, "--out", "vectors", "--model", model, "--shard-size", 2, "--json"]
    outcome = run(*words)
    assert outcome.code == 2
    assert "docs.jsonl:4" in outcome.err
    write_jsonl(source, ROWS)
    assert run(*words).json["kept"] == 1
