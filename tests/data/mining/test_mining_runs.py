"""Same bytes whatever happens: shards, interruptions, a kept index; and bounded memory."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planted import ByNumber, PlantedEncoder, inputs, line_of_texts, read_rows, text_at, write_rows

from trivec.data.mining import Inputs, MiningOptions, Shard, Source, mine
from trivec.data.mining import index as index_module
from trivec.data.mining import mining as mining_module
from trivec.data.mining.work import WorkFolder
from trivec.errors import InputError, LibraryBusyError
from trivec.index.lock import FolderLock

OPTIONS = MiningOptions(
    sources=(Source("dense", 2), Source("bm25"), Source("random")), ranks=(1, 30), negatives=6, percent=0.9
)


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mining_module, "_WINDOW", 8)
    monkeypatch.setattr(index_module, "_WINDOW", 16)


@pytest.fixture
def pairs(tmp_path: Path) -> Inputs:
    rng = np.random.default_rng(1)
    words = [f"w{n}" for n in range(12)]

    def text(name: str) -> str:
        return text_at(f"{name} {' '.join(rng.choice(words, 3))}", *rng.normal(size=3))

    return inputs(tmp_path, ({"query": text(f"query {n}"), "pos": [text(f"answer {n}")], "n": n} for n in range(53)))


def mined(pairs: Inputs, out: Path, **settings: Any) -> bytes:
    mine(pairs, out, settings.pop("encoder", None) or PlantedEncoder(), OPTIONS, allow_few=True, **settings)
    return out.read_bytes()


def test_the_same_bytes_again_and_other_bytes_for_another_seed(pairs: Inputs, tmp_path: Path) -> None:
    first = mined(pairs, tmp_path / "a.jsonl", audit=tmp_path / "a.audit.jsonl")
    assert mined(pairs, tmp_path / "b.jsonl", audit=tmp_path / "b.audit.jsonl") == first
    assert (tmp_path / "a.audit.jsonl").read_bytes() == (tmp_path / "b.audit.jsonl").read_bytes()
    other = MiningOptions(**{**vars(OPTIONS), "seed": 1})
    mine(pairs, tmp_path / "c.jsonl", PlantedEncoder(), other, allow_few=True)  # type: ignore[arg-type]
    assert (tmp_path / "c.jsonl").read_bytes() != first
    assert [row["n"] for row in read_rows(tmp_path / "a.jsonl")] == list(range(53))
    zipped = mined(pairs, tmp_path / "a.jsonl.gz")
    assert zipped == mined(pairs, tmp_path / "d.jsonl.gz")


@pytest.mark.parametrize("count", [2, 4])
def test_shards_together_are_the_whole(count: int, pairs: Inputs, tmp_path: Path) -> None:
    whole = mined(pairs, tmp_path / "whole.jsonl")
    parts = [
        mined(pairs, tmp_path / f"{number}.jsonl", shard=Shard(number, count), index=tmp_path / "index")
        for number in range(1, count + 1)
    ]
    assert b"".join(parts) == whole
    with pytest.raises(InputError, match="no shard 3 of 2"):
        Shard(3, 2)


class Stops(PlantedEncoder):
    """Ends the process, as far as the run can tell, at the nth call."""

    def __init__(self, calls: int) -> None:
        super().__init__()
        self.calls = calls

    def encode(self, *arguments: Any) -> Any:
        self.calls -= 1
        if self.calls < 0:
            raise SystemExit
        return super().encode(*arguments)


def test_a_run_that_was_killed_goes_on_where_it_was(pairs: Inputs, tmp_path: Path) -> None:
    whole = mined(pairs, tmp_path / "whole.jsonl")
    out = tmp_path / "out.jsonl"
    calls = 0
    for stopped_after in (2, 1, 3, 2, 99):
        encoder = Stops(stopped_after)
        try:
            result = mined(pairs, out, encoder=encoder)
        except SystemExit:
            assert not out.exists()
            calls += stopped_after
        else:
            calls += 99 - encoder.calls
    assert result == whole
    assert calls == 4 + 7  # four windows of 53 texts, seven of 53 queries: none was encoded twice
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "pairs.jsonl", "whole.jsonl"]


def test_a_kill_while_the_result_is_written(pairs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = mined(pairs, tmp_path / "whole.jsonl")
    out = tmp_path / "out.jsonl"
    for name in ("write", "remove"):
        with monkeypatch.context() as patch:
            patch.setattr(WorkFolder, name, lambda *_: (_ for _ in ()).throw(SystemExit))
            with pytest.raises(SystemExit):
                mined(pairs, out)
        encoder = PlantedEncoder()
        assert mined(pairs, out, encoder=encoder) == whole
        assert encoder.documents == []
        out.unlink()


def test_work_of_other_options_or_texts_is_not_used(pairs: Inputs, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    with pytest.raises(SystemExit):
        mined(pairs, out, encoder=Stops(6))
    other = MiningOptions(**{**vars(OPTIONS), "negatives": 3})
    encoder = PlantedEncoder()
    mine(pairs, out, encoder, other, allow_few=True)  # type: ignore[arg-type]
    assert encoder.documents == []  # the index is the same
    assert max(len(row["neg"]) for row in read_rows(out)) == 3
    with pytest.raises(SystemExit):
        mined(pairs, out, encoder=Stops(6))
    rows = read_rows(tmp_path / "pairs.jsonl")
    write_rows(tmp_path / "pairs.jsonl", [*rows[1:], rows[0]])
    expected = mined(pairs, tmp_path / "whole.jsonl")
    assert mined(pairs, out) == expected
    with pytest.raises(SystemExit):
        mined(pairs, out, encoder=Stops(6))
    assert mined(pairs, out, encoder=PlantedEncoder("2")).replace(b"x", b"") != expected  # the model is named in it


def test_teachers_are_not_mixed(pairs: Inputs, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    with pytest.raises(SystemExit):
        mined(pairs, out, encoder=Stops(8), teacher=ByNumber(lambda text: 1.0, "first"))
    mined(pairs, out, teacher=ByNumber(lambda text: float("answer" in text), "second"))
    assert {row["teacher"] for row in read_rows(out)} == {"second"}


def test_a_kept_index_serves_other_runs_and_refuses_others(pairs: Inputs, tmp_path: Path) -> None:
    folder = tmp_path / "index"
    first = mined(pairs, tmp_path / "a.jsonl", index=folder)
    encoder = PlantedEncoder()
    assert mined(pairs, tmp_path / "b.jsonl", index=folder, encoder=encoder) == first
    assert encoder.documents == []
    lock = FolderLock(folder)
    assert mined(pairs, tmp_path / "b.jsonl", index=folder) == first  # needs nothing from whoever writes there
    lock.release()
    with pytest.raises(InputError, match="differs in model"):
        mined(pairs, tmp_path / "c.jsonl", index=folder, encoder=PlantedEncoder("2"))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letters.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds 'letters\.txt'"):
        mined(pairs, tmp_path / "c.jsonl", index=tmp_path / "other")


def test_two_runs_for_one_result_are_refused(pairs: Inputs, tmp_path: Path) -> None:
    work = tmp_path / ".out.jsonl.mining"
    work.mkdir()
    lock = FolderLock(work)
    with pytest.raises(LibraryBusyError):
        mined(pairs, tmp_path / "out.jsonl")
    lock.release()


@pytest.mark.parametrize("name", ["out.txt", "out.jsonl.bz2", "out"])
def test_names_that_are_no_results(name: str, pairs: Inputs, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no name for the result"):
        mined(pairs, tmp_path / name)
    with pytest.raises(InputError, match="no name for an audit"):
        mined(pairs, tmp_path / "out.jsonl", audit=tmp_path / "audit.gz")


def test_bad_lines_are_named_or_skipped(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    rows = [{"query": text_at(f"q{n}", 1, 0), "pos": [text_at(f"p{n}", 1, n)]} for n in range(12)]
    path.write_text("\n".join([*map(json.dumps, rows[:3]), "{", *map(json.dumps, rows[3:])]))
    with pytest.raises(InputError, match=r"pairs\.jsonl:4"):
        mined(Inputs([path]), tmp_path / "out.jsonl")
    skipping = Inputs([path], skip_bad=True)
    mined(skipping, tmp_path / "out.jsonl")
    assert len(read_rows(tmp_path / "out.jsonl")) == 12
    assert skipping.bad.count == 1


def test_memory_does_not_grow_with_the_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "_WINDOW", 64)

    def peak(count: int) -> int:
        folder = tmp_path / str(count)
        folder.mkdir()
        corpus = [{"_id": str(n), "text": text_at(f"{n}" + "x" * 20_000, 1 - n / count, 0)} for n in range(count)]
        found = inputs(folder, [{"query": text_at("query", 1, 0), "pos": [text_at("answer", 2, 0)]}], corpus)
        del corpus
        encoder = PlantedEncoder()
        encoder.documents = Forgets()  # type: ignore[assignment]
        tracemalloc.start()
        mine(found, folder / "out.jsonl", encoder, MiningOptions(near_duplicate=None))  # type: ignore[arg-type]
        largest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return largest

    peak(210)  # imports
    assert peak(1000) < peak(250) + 3_000_000  # 15 MB of text more


class Forgets(list[str]):
    def __iadd__(self, other: Any) -> Forgets:  # type: ignore[misc]
        return self


def test_an_approximate_search_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(index_module, "_WINDOW", 512)
    corpus = line_of_texts(300)
    found = inputs(tmp_path, [{"query": text_at("query", 1, 0), "pos": [text_at("answer", 2, 0)]}], corpus)
    exact = mine(found, tmp_path / "exact.jsonl", PlantedEncoder(), MiningOptions())  # type: ignore[arg-type]
    assert exact.recall is None
    options = MiningOptions(graph_from=100)
    report = mine(found, tmp_path / "graph.jsonl", PlantedEncoder(), options)  # type: ignore[arg-type]
    assert report.recall is not None and report.recall > 0.9
    monkeypatch.setattr(mining_module, "dense_recall", lambda *_: 0.5)
    mine(found, tmp_path / "graph.jsonl", PlantedEncoder(), options)  # type: ignore[arg-type]
    assert "50.0 % of the best 200" in caplog.text
