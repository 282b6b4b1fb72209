"""The store on disk: what survives closing, killing and copying, and who may open it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trivec import scoring
from trivec.embeddings import Embeddings
from trivec.errors import InputError, LibraryBusyError, LibraryError, LibraryMismatchError
from trivec.index import EmbeddedOptions, EmbeddedStore, VectorSchema, parse_filter
from trivec.ragged import Ragged
from trivec.types import FloatArray, MetadataValue, Passage

from store_cases import MEMORY_FOLDER, Model, check_store, embeddings

HERE = Path(__file__).parent


def many(count: int, first: int = 0) -> list[Passage]:
    return [Passage(f"d{i}", f"text {i}", metadata={"tenth": i % 10}) for i in range(first, first + count)]


def fill(store: EmbeddedStore, model: Model, count: int, first: int = 0) -> None:
    vectors = embeddings(first, count)
    store.upsert(many(count, first), vectors)
    model.upsert(many(count, first), vectors)


def check(store: EmbeddedStore, model: Model) -> None:
    for where in (None, {"tenth": 3}):
        check_store(store, model, embeddings(99, 1), parse_filter(where), 10)


def start(code: str, *arguments: str) -> subprocess.Popen[str]:
    """Another process that runs Python code."""
    command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    environment = os.environ | {"PYTHONPATH": str(HERE)}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def test_everything_is_there_after_closing_and_opening(tmp_path: Path) -> None:
    model = Model({}, {})
    with closing(EmbeddedStore.create(tmp_path / "store")) as store:
        fill(store, model, 50)
    for round_ in range(3):
        with closing(EmbeddedStore.open(tmp_path / "store")) as store:
            check(store, model)
            store.delete([f"d{round_}#0"])
            model.delete([f"d{round_}#0"])
            fill(store, model, 5, first=100 * round_ + 40)
            check(store, model)


def test_options_and_schema_are_kept(tmp_path: Path) -> None:
    options = EmbeddedOptions(multi_dtype="float32", exact_below=7)
    schema = VectorSchema({"dense": 3})
    with closing(EmbeddedStore.create(tmp_path / "store", schema, options)) as store:
        assert store.signals == ("dense",)
    with closing(EmbeddedStore.open(tmp_path / "store")) as store:
        assert store.options == options
        assert store.signals == ("dense",)
        with pytest.raises(LibraryMismatchError):
            store.upsert(many(1), embeddings(0, 1))


@pytest.mark.parametrize(("dtype", "limit"), [("float16", 1e-4), ("float32", 1e-6)])
def test_scores_of_any_vectors_are_those_of_scoring(tmp_path: Path, dtype: str, limit: float) -> None:
    rng = np.random.default_rng(0)

    def unit(*shape: int) -> FloatArray:
        values = rng.standard_normal(shape, dtype=np.float32)
        return np.asarray(values / np.linalg.norm(values, axis=-1, keepdims=True), np.float32)

    def texts(count: int) -> Embeddings:
        return Embeddings(dense=unit(count, 64), multi=Ragged.from_rows([unit(9, 32) for _ in range(count)]))

    vectors, query = texts(100), texts(1)
    passages = many(100)
    ids = [passage.id for passage in passages]
    options = EmbeddedOptions(multi_dtype=dtype)  # type: ignore[arg-type]
    with closing(EmbeddedStore.create(tmp_path / "store", options=options)) as store:
        store.upsert(passages, vectors)
        np.testing.assert_allclose(store.score("dense", query, ids), scoring.dense_scores(query, vectors)[0], atol=1e-6)
        np.testing.assert_allclose(
            store.score("multi", query, ids), scoring.maxsim_scores(query, vectors)[0], atol=limit
        )


def test_the_graph_finds_nearly_all_neighbours_also_behind_a_filter(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    vectors = Embeddings(dense=rng.standard_normal((3000, 16), dtype=np.float32))
    with closing(EmbeddedStore.create(tmp_path / "store", options=EmbeddedOptions(exact_below=1000))) as store:
        store.upsert(many(3000), vectors)
        store.optimize()
        store.upsert(many(100), vectors[2900:])
        for where, rows in ((None, np.arange(100, 3000)), ("tenth = 3 and id != 'd3'", np.arange(103, 3000, 10))):
            found = 0
            for query in vectors[:20]:
                best, _ = scoring.search(query, vectors[rows], 20, by="dense")
                got = store.search("dense", query, 20, parse_filter(where)).ids
                found += len({f"d{rows[row]}#0" for row in best[0]} & set(got))
            assert found >= 0.8 * 400 if where is None else found > 0


KILLED_WHILE_WRITING = """
    import sys
    from store_cases import embeddings
    from trivec.index import EmbeddedStore
    from trivec.types import Passage

    store = EmbeddedStore.open(sys.argv[1])
    for batch in range(10_000):
        ids = range(batch * 20, batch * 20 + 20)
        passages = [Passage(f"d{i}", f"text {i}", metadata={"tenth": i % 10}) for i in ids]
        store.upsert(passages, embeddings(batch * 20, 20))
        if batch % 7 == 6:
            store.delete([f"d{batch * 20}#0"])
        if batch == 30:
            store.flush()
        print(batch, flush=True)
"""


@pytest.mark.parametrize("acknowledged", [3, 45])
def test_nothing_acknowledged_is_lost_when_the_process_is_killed(tmp_path: Path, acknowledged: int) -> None:
    model = Model({}, {})
    with closing(EmbeddedStore.create(tmp_path / "store")) as store:
        fill(store, model, 1, first=10**6)
    process = start(KILLED_WHILE_WRITING, str(tmp_path / "store"))
    assert process.stdout is not None
    last = -1
    for line in process.stdout:
        last = int(line)
        if last == acknowledged:
            process.send_signal(signal.SIGKILL)
    process.communicate()
    with closing(EmbeddedStore.open(tmp_path / "store")) as store:
        for batch in range(last + 1):
            model.upsert(many(20, batch * 20), embeddings(batch * 20, 20))
            if batch % 7 == 6:
                model.delete([f"d{batch * 20}#0"])
        unfinished = [f"d{i}#0" for i in range((last + 1) * 20, (last + 2) * 20)]
        assert sum(passage is not None for passage in store.fetch(unfinished)) in (0, 19, 20)
        store.delete(unfinished)
        check(store, model)


HOLDING_A_STORE = """
    import sys
    from trivec.index import EmbeddedStore

    store = EmbeddedStore.open(sys.argv[1])
    print(1, flush=True)
    input()
"""


def test_two_processes_cannot_have_one_store_and_the_message_names_the_holder(tmp_path: Path) -> None:
    EmbeddedStore.create(tmp_path / "store").close()
    holder = start(HOLDING_A_STORE, str(tmp_path / "store"))
    assert holder.stdout is not None and holder.stdout.readline() == "1\n"
    with pytest.raises(LibraryBusyError, match=f"open in process {holder.pid}"):
        EmbeddedStore.open(tmp_path / "store")
    holder.kill()
    holder.communicate()
    EmbeddedStore.open(tmp_path / "store").close()


def test_one_process_cannot_open_a_store_twice(tmp_path: Path) -> None:
    with closing(EmbeddedStore.create(tmp_path / "store")) as store:
        fill(store, Model({}, {}), 1)
        with pytest.raises(LibraryBusyError, match="already open in this process"):
            EmbeddedStore.open(tmp_path / "store")
        assert store.count() == 1
    EmbeddedStore.open(tmp_path / "store").close()


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = EmbeddedStore.create(tmp_path / "store")
    fill(store, Model({}, {}), 1)
    store.close()
    store.close()
    with pytest.raises(LibraryError, match="is closed"):
        store.count()


def test_a_snapshot_is_a_store_of_its_own(tmp_path: Path) -> None:
    model = Model({}, {})
    with closing(EmbeddedStore.create(tmp_path / "store")) as store:
        fill(store, model, 30)
        store.snapshot(tmp_path / "copies" / "copy")
        fill(store, Model({}, {}), 30, first=1000)
        with pytest.raises(InputError, match="exists already"):
            store.snapshot(tmp_path / "copies" / "copy")
    with closing(EmbeddedStore.open(tmp_path / "copies" / "copy")) as copy:
        check(copy, model)
        assert copy.stats().bytes < 2**24
    assert [path.name for path in (tmp_path / "copies").iterdir()] == ["copy"]


def test_bm25_is_counted_again_when_its_file_is_missing_damaged_or_of_another_time(tmp_path: Path) -> None:
    model = Model({}, {})
    path = tmp_path / "store" / "bm25.safetensors"
    with closing(EmbeddedStore.create(tmp_path / "store")) as store:
        fill(store, model, 20)
        store.flush()
        old = path.read_bytes()
        fill(store, model, 3, first=50)
        assert not path.exists()
    for content in (None, b"damaged", old):
        path.unlink() if content is None else path.write_bytes(content)
        with closing(EmbeddedStore.open(tmp_path / "store")) as store:
            check(store, model)
        assert path.exists()


def test_a_write_that_breaks_off_leaves_no_bm25_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model({}, {})
    with closing(EmbeddedStore.create(tmp_path / "store")) as store:
        fill(store, model, 5)
        store.flush()
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr("trivec.index.bm25.Bm25Index.add", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
            store.upsert(many(5), embeddings(77, 5))
        model.upsert(many(5), embeddings(77, 5))
    with closing(EmbeddedStore.open(tmp_path / "store")) as store:
        check(store, model)


def test_folders_without_a_sound_store_are_refused_with_a_reason(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="there is no store"):
        EmbeddedStore.open(tmp_path / "nothing")
    (tmp_path / "file").touch()
    with pytest.raises(LibraryError, match="is not empty"):
        EmbeddedStore.create(tmp_path)
    folder = tmp_path / "store"
    with closing(EmbeddedStore.create(folder)) as store:
        fill(store, Model({}, {}), 3)
    settings_text = (folder / "store.json").read_text()
    (folder / "store.json").write_text(settings_text.replace('"version": 1', '"version": 9'))
    with pytest.raises(LibraryMismatchError, match="upgrade trivec"):
        EmbeddedStore.open(folder)
    (folder / "store.json").write_text("{")
    with pytest.raises(LibraryError, match="is damaged"):
        EmbeddedStore.open(folder)
    (folder / "store.json").write_text(settings_text)
    (folder / "shard" / "edge_config.json").write_text("{")
    with pytest.raises(LibraryError, match="cannot open the store"):
        EmbeddedStore.open(folder)


def test_a_store_killed_before_its_first_batch_settled_is_empty(tmp_path: Path) -> None:
    with closing(EmbeddedStore.create(tmp_path / "store")) as store:
        before = (tmp_path / "store" / "store.json").read_text()
        fill(store, Model({}, {}), 3)
    (tmp_path / "store" / "store.json").write_text(before)
    model = Model({}, {})
    with closing(EmbeddedStore.open(tmp_path / "store")) as store:
        assert store.count() == 0
        fill(store, model, 4)
        check(store, model)


field_names = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
values = st.sampled_from([1, True, "a", None, "2024-01-31"])


@pytest.mark.parametrize(("index_fields_from", "fields", "examples"), [(10**6, 20, 30), (0, 6, 8)])
def test_fields_may_have_any_name(index_fields_from: int, fields: int, examples: int) -> None:
    @settings(max_examples=examples, deadline=None)
    @given(st.dictionaries(field_names, values, min_size=fields, max_size=fields))
    def check_names(metadata: dict[str, MetadataValue]) -> None:
        passages = [Passage("d", "", metadata=metadata), Passage("e", "", metadata={f"{f}'": 1 for f in metadata})]
        options = EmbeddedOptions(index_fields_from=index_fields_from)
        with (
            tempfile.TemporaryDirectory(dir=MEMORY_FOLDER) as folder,
            closing(EmbeddedStore.create(folder, options=options)) as store,
        ):
            store.upsert(passages, embeddings(0, 2))
            assert store.fetch(["d#0", "e#0"]) == passages
            for field, value in metadata.items():
                for wanted in (value, {"exists": value is not None}, {">": 0}, {"<": "2025-01-01"}):
                    where = parse_filter({field: wanted})
                    assert where is not None
                    assert list(store.select(where)) == [p for p in passages if where.matches(p)]

    check_names()


def test_threads_may_search_while_another_writes(tmp_path: Path) -> None:
    model = Model({}, {})
    failures: list[BaseException] = []
    done = threading.Event()
    with closing(EmbeddedStore.create(tmp_path / "store")) as store:
        fill(store, model, 100)

        def search() -> None:
            try:
                while not done.is_set():
                    for name in store.signals:
                        ids = store.search(name, embeddings(5, 1), 5, parse_filter("tenth > 2")).ids
                        store.score(name, embeddings(5, 1), ids)
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=search) for _ in range(2)]
        for thread in threads:
            thread.start()
        for batch in range(20):
            fill(store, model, 20, first=batch * 30)
            store.delete([f"d{batch * 30}#0"])
            model.delete([f"d{batch * 30}#0"])
        store.optimize()
        done.set()
        for thread in threads:
            thread.join()
        assert not failures
        check(store, model)


def test_an_id_that_is_no_text_is_unknown(tmp_path: Path) -> None:
    with closing(EmbeddedStore.create(tmp_path / "store")) as store:
        fill(store, Model({}, {}), 2)
        assert store.fetch(["\udc00#0", "d1#0"]) == [None, many(2)[1]]
