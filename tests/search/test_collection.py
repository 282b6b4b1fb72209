"""Libraries: adding, replacing, deleting, reopening, searching, explaining, and what must never be lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import trivec
from trivec import Collection, Document, Embeddings, Encoder
from trivec.errors import FilterError, InputError, LibraryBusyError, LibraryError, LibraryMismatchError
from trivec.search import adding
from trivec.search.options import SearchOptions
from trivec.types import Passage

CITIES = [
    Document("paris", "Paris is the capital of France.", "Paris", {"lang": "en", "year": 2020, "tags": ["city"]}),
    Document("rom", "Rom ist die Hauptstadt von Italien.", "Rom", {"lang": "de", "year": 2021}),
    Document("tokyo", "東京は日本の首都です。", "東京", {"lang": "ja", "year": 2022}),
    Document("none", "water", "", {}),
]


@pytest.fixture(scope="session")
def encoder(load_tiny: Callable[..., Encoder]) -> Encoder:
    return load_tiny("m3")


@pytest.fixture(params=["memory", "native", "embedded"])
def library(request: pytest.FixtureRequest, tmp_path: Path, encoder: Encoder) -> Iterator[Collection]:
    path = ":memory:" if request.param == "memory" else tmp_path / "library"
    with trivec.open(path, model=encoder, store=request.param) as opened:
        yield opened


def ids(library: Collection) -> list[str]:
    return [document.id for document in library.documents()]


def test_documents_come_back_as_they_were_given(library: Collection) -> None:
    report = library.add(iter(CITIES))
    assert (report.added, report.updated, report.unchanged) == (4, 0, 0)
    assert list(library.documents()) == sorted(CITIES, key=lambda document: document.id)
    assert library.get("tokyo") == CITIES[2]
    assert library.get("nowhere") is None
    assert len(library) == 4


def test_unchanged_documents_are_not_encoded_again(library: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    library.add(CITIES)
    monkeypatch.setattr(library.encoder, "encode_documents", lambda *args: pytest.fail("encoded again"))
    report = library.add(CITIES)
    assert (report.added, report.updated, report.unchanged) == (0, 0, 4)


@pytest.mark.parametrize(
    "changed",
    [
        Document("paris", "Paris is big.", "Paris", CITIES[0].metadata),
        Document("paris", CITIES[0].text, "La ville", CITIES[0].metadata),
        Document("paris", CITIES[0].text, "Paris", {"lang": "fr"}),
    ],
)
def test_a_changed_document_replaces_the_old_one(library: Collection, changed: Document) -> None:
    library.add(CITIES)
    report = library.add([changed])
    assert (report.added, report.updated, report.unchanged) == (0, 1, 0)
    assert library.get("paris") == changed
    assert len(library) == 4


def long_text(sentences: int) -> str:
    return " ".join(f"Sentence number {n} is about water and night." for n in range(sentences))


def test_long_documents_become_passages_and_hits_point_at_both(library: Collection) -> None:
    text = long_text(200)
    library.add([Document("long", text, "A title"), Document("short", "science")])
    info = library.info()
    assert info.documents == 2
    assert info.passages > 4
    hits = library.search("Sentence number 150 is about", k=2)
    assert {hit.id for hit in hits} == {"long", "short"}
    (hit,) = (hit for hit in hits if hit.id == "long")
    assert text[hit.passage.start : hit.passage.end] == hit.text
    assert library.get("long") == Document("long", text, "A title")
    every = library.search("water", k=50, options=SearchOptions("dense", per_passage=True))
    assert len(every) == info.passages


def test_a_shorter_version_leaves_no_old_passages(library: Collection) -> None:
    library.add([Document("long", long_text(200))])
    library.add([Document("long", long_text(30))])
    assert library.get("long") == Document("long", long_text(30))
    passages = list(library.store.select())
    assert [p.count for p in passages] == [len(passages)] * len(passages)


def test_deleting_by_id_and_by_filter(library: Collection) -> None:
    library.add([*CITIES, Document("long", long_text(200), metadata={"lang": "en"})])
    assert library.delete(["rom", "nowhere"]) == 1
    assert library.delete(where='lang = "en"') == 2
    assert ids(library) == ["none", "tokyo"]
    assert library.store.count() == 2
    with pytest.raises(InputError, match="nothing to delete"):
        library.delete()


def test_filters_narrow_every_mode(library: Collection) -> None:
    library.add(CITIES)
    for mode in ("hybrid", "dense", "sparse", "multi"):
        assert {hit.id for hit in library.search("capital", mode=mode, where="year >= 2021")} <= {"rom", "tokyo"}
    assert {hit.id for hit in library.search("capital", mode="dense", where={"lang": ["de", "ja"]})} == {"rom", "tokyo"}
    assert [hit.id for hit in library.search("capital", mode="dense", where='tags = "city"')] == ["paris"]
    with pytest.raises(FilterError, match="lang"):
        library.search("capital", where="lang ==== 3")


def test_an_empty_library_has_no_hits(library: Collection) -> None:
    assert library.search("anything") == []
    assert library.info().documents == 0
    library.add([])
    assert library.search_batch(["a", "b"]) == [[], []]


def test_batches_equal_single_searches(library: Collection) -> None:
    library.add(CITIES)
    queries = ["capital of France", "", "首都", "water " * 300]
    together = library.search_batch(queries, k=3)
    assert [[hit.id for hit in hits] for hits in together] == [
        [hit.id for hit in library.search(query, k=3)] for query in queries
    ]


def test_difficult_texts_are_stored_and_found(library: Collection) -> None:
    texts = [
        "",
        "   ",
        "\x00",
        "a\ud800b",
        "</s> <mask> is text",
        "🙂👨‍👩‍👧",
        "مرحبا بالعالم",
        "x" * 5000,
        "word " * 3000,
    ]
    library.add([Document(str(n), text) for n, text in enumerate(texts)])
    assert len(library) == len(texts)
    for query in texts[:6]:
        assert library.search(query, k=3)
    assert library.get("3") == Document("3", "a\ufffdb")
    assert library.get("7") == Document("7", texts[7])


def test_bad_documents_are_refused_and_nothing_is_lost(library: Collection) -> None:
    library.add(CITIES)
    with pytest.raises(InputError, match="no id"):
        library.add([Document("", "text")])
    with pytest.raises(InputError, match=r"only trivec\.Document"):
        library.add(["text"])  # type: ignore[list-item]
    with pytest.raises(InputError, match="metadata"):
        library.add([Document("bad", "text", metadata={"x": {"nested": 1}})])  # type: ignore[dict-item]
    assert len(library) == 4


def test_what_was_read_before_a_failing_source_is_stored(library: Collection) -> None:
    def source() -> Iterator[Document]:
        yield from CITIES
        raise InputError("line 5 is broken")

    with pytest.raises(InputError, match="line 5"):
        library.add(source())
    assert len(library) == 4


def test_another_rule_takes_its_own_weights() -> None:
    tuned = SearchOptions(weights={"dense": 1.0, "bm25": 0.15})
    assert tuned.changed(fusion="rrf").weights is None
    assert tuned.changed(fusion="weighted-sum").weights == tuned.weights
    assert tuned.changed(fusion="rrf", weights={"dense": 2.0}).weights == {"dense": 2.0}


def test_a_model_without_a_sparse_head_mixes_bm25_by_standard_scores(
    tmp_path: Path, load_tiny: Callable[..., Encoder]
) -> None:
    with trivec.open(tmp_path / "library", model=load_tiny("bert")) as library:
        assert library.search_options.fusion == "z-score"
        library.add(CITIES)
        assert set(library.search("capital", k=1)[0].contributions) == {"dense", "bm25"}


def test_search_options_are_checked(library: Collection) -> None:
    library.add(CITIES)
    for arguments in ({"k": 0}, {"mode": "magic"}, {"fusion": "magic"}, {"weights": {"magic": 1.0}},
                      {"weights": {"dense": -1.0}}):  # fmt: skip
        with pytest.raises(InputError):
            library.search("x", **arguments)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="list of queries"):
        library.search_batch("x")


def test_hits_keep_every_signal_and_explain_themselves(library: Collection) -> None:
    library.add(CITIES)
    weights = {"dense": 1.0, "sparse": 0.3, "bm25": 0.5, "multi": 1.0}
    hit = library.search("what is the capital of France", k=1, weights=weights)[0]
    assert set(hit.signals) == {"dense", "sparse", "bm25", "multi"}
    assert sum(hit.contributions.values()) == pytest.approx(hit.score, abs=1e-5)
    explanation = hit.explain()
    bm25 = {word.word: word.weight for word in explanation.words if word.signal == "bm25"}
    assert {"the", "capital"} & set(bm25)
    for alignment in explanation.alignments:
        source = {"title": hit.title, "text": library.get(hit.id).text}[alignment.field]  # type: ignore[union-attr]
        assert source[alignment.document_start : alignment.document_end] == alignment.document_word
        assert -1.0001 <= alignment.similarity <= 1.0001
    assert json.loads(json.dumps(explanation.to_dict()))["document_id"] == hit.id
    assert json.loads(json.dumps(hit.to_dict()))["signals"] == dict(hit.signals)


def test_sparse_words_of_an_explanation_add_up_to_the_score(library: Collection) -> None:
    library.add([Document("a", CITIES[0].text), Document("b", "river mountain")])
    hit = library.search(CITIES[0].text, k=1, mode="sparse")[0]
    words = [word for word in hit.explain().words if word.signal == "sparse"]
    assert sum(word.weight for word in words) == pytest.approx(hit.score, rel=1e-4)


# -- on disk ---------------------------------------------------------------------------------------------------


def test_everything_is_there_after_reopening(tmp_path: Path, encoder: Encoder) -> None:
    with trivec.open(tmp_path / "library", model=encoder) as library:
        library.add(CITIES)
        before = [(hit.id, hit.score) for hit in library.search("capital", k=4)]
        library.configure(SearchOptions(fusion="rrf"))
    with trivec.open(tmp_path / "library") as library:
        assert library.search_options.fusion == "rrf"
        assert library.search_options.rule().weights == SearchOptions(fusion="rrf").rule().weights
        again = library.search("capital", k=4, options=SearchOptions())
        assert [(hit.id, hit.score) for hit in again] == before


def test_closing_again_does_nothing(library: Collection) -> None:
    library.add([Document("a", "the river")])
    library.close()
    library.close()


def test_a_library_of_another_model_is_refused(tmp_path: Path, encoder: Encoder, tiny: Callable[[str], Path]) -> None:
    with trivec.open(tmp_path / "library", model=encoder) as library:
        library.add(CITIES)
    with pytest.raises(LibraryMismatchError, match=r"trivec index .* --model"):
        trivec.open(tmp_path / "library", model=tiny("bert"))
    with trivec.open(tmp_path / "library", model=encoder) as library:
        assert len(library) == 4


def test_a_newer_library_is_refused(tmp_path: Path, encoder: Encoder) -> None:
    trivec.open(tmp_path / "library", model=encoder).close()
    path = tmp_path / "library" / "library.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    with pytest.raises(LibraryMismatchError, match="newer trivec"):
        trivec.open(tmp_path / "library")


def test_damaged_and_foreign_folders_are_refused(tmp_path: Path, encoder: Encoder) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.txt").write_text("mine")
    with pytest.raises(LibraryError, match="is no library"):
        trivec.open(tmp_path / "full", model=encoder)
    assert (tmp_path / "full" / "a.txt").read_text() == "mine"
    with pytest.raises(LibraryError, match="trivec index"):
        trivec.open(tmp_path / "nowhere", create=False)
    trivec.open(tmp_path / "broken", model=encoder).close()
    (tmp_path / "broken" / "library.json").write_text('{"format"')
    with pytest.raises(LibraryError, match="cannot be read"):
        trivec.open(tmp_path / "broken")
    (tmp_path / "file").write_text("x")
    with pytest.raises(LibraryError):
        trivec.open(tmp_path / "file" / "library", model=encoder)


def test_a_second_opening_of_an_embedded_store_names_the_process_that_has_it(tmp_path: Path, encoder: Encoder) -> None:
    folder = tmp_path / "library"
    with (
        trivec.open(folder, model=encoder, store="embedded"),
        pytest.raises(LibraryBusyError, match="already open"),
    ):
        trivec.open(folder, model=encoder)
    trivec.open(folder, model=encoder).close()


def test_readers_see_what_one_writer_adds_and_a_second_writer_is_refused(tmp_path: Path, encoder: Encoder) -> None:
    folder = tmp_path / "library"
    with trivec.open(folder, model=encoder) as writer, trivec.open(folder, model=encoder) as reader:
        writer.add(CITIES)
        assert len(reader) == 4
        assert reader.search("capital", k=4)
        with pytest.raises(LibraryBusyError, match="already open"):
            reader.add([Document("new", "water")])
        writer.delete(["paris"])
        assert reader.get("paris") is None
        assert "paris" not in [hit.id for hit in reader.search("capital", k=4)]
    with trivec.open(folder, model=encoder) as reader:
        assert reader.add([Document("new", "water")]).added == 1


def test_a_library_keeps_the_kind_of_store_it_was_made_with(tmp_path: Path, encoder: Encoder) -> None:
    trivec.open(tmp_path / "library", model=encoder, store="embedded").close()
    with pytest.raises(InputError, match="has the store 'embedded', not 'native'"):
        trivec.open(tmp_path / "library", model=encoder, store="native")
    with pytest.raises(InputError, match="there is no store 'cloud'"):
        trivec.open(tmp_path / "other", model=encoder, store="cloud")


def test_a_death_between_the_two_steps_of_a_shrinking_update_is_mended(
    tmp_path: Path, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*args: object) -> None:
        raise KeyboardInterrupt

    with trivec.open(tmp_path / "library", model=encoder, store="embedded") as library:
        library.add([Document("long", long_text(200))])
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(library.store, "delete", die)
            library.add([Document("long", long_text(30))])
        assert (tmp_path / "library" / adding.PENDING).is_file()
    with trivec.open(tmp_path / "library", model=encoder, store="embedded") as library:
        assert library.store.count() == library.store.fetch(["long#0"])[0].count  # type: ignore[union-attr]
        assert not (tmp_path / "library" / adding.PENDING).exists()


def test_a_death_between_the_passages_of_a_document_leaves_none_of_them(
    tmp_path: Path, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with trivec.open(tmp_path / "library", model=encoder, store="embedded") as library:
        library.add(CITIES)
        upsert = library.store.upsert

        def write_some(passages: list[Passage], vectors: Embeddings, remove: list[str]) -> None:
            upsert(passages[:2], vectors[:2])
            raise KeyboardInterrupt

        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(library.store, "upsert", write_some)
            library.add([Document("long", long_text(200))])
        assert library.store.count() == len(CITIES) + 2
    with trivec.open(tmp_path / "library", model=encoder, store="embedded") as library:
        assert library.store.count() == len(CITIES)
        assert library.add([Document("long", long_text(200))]).added == 1
        assert library.get("long") == Document("long", long_text(200))


def test_a_library_remembers_how_its_model_was_loaded(tmp_path: Path, tiny: Callable[[str], Path]) -> None:
    encoder = trivec.load(tiny("bert"), training_free_width=8)
    with trivec.open(tmp_path / "library", model=encoder) as library:
        library.add(CITIES)
    with trivec.open(tmp_path / "library") as library:
        assert library.encoder.checkpoint.multi_width == 8
        assert library.search("capital", k=1, mode="multi")


def test_a_death_before_the_update_keeps_the_old_version(
    tmp_path: Path, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with trivec.open(tmp_path / "library", model=encoder) as library:
        library.add([Document("long", long_text(200))])
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(
                type(library.store), "upsert", lambda *args, **named: (_ for _ in ()).throw(KeyboardInterrupt)
            )
            library.add([Document("long", long_text(30))])
    with trivec.open(tmp_path / "library", model=encoder) as library:
        assert library.get("long") == Document("long", long_text(200))


KILLED = textwrap.dedent(
    """
    import sys
    import trivec
    library = trivec.open(sys.argv[1], model=sys.argv[2])
    for number in range(100000):
        library.add([trivec.Document(str(number), f"water number {number}")])
        print(number, flush=True)
    """
)


def test_nothing_acknowledged_is_lost_when_the_process_is_killed(tmp_path: Path, tiny: Callable[[str], Path]) -> None:
    path = tmp_path / "library"
    command = [sys.executable, "-c", KILLED, str(path), str(tiny("m3"))]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    acknowledged = [int(process.stdout.readline()) for _ in range(20)]
    time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    acknowledged += [int(line) for line in process.stdout.read().split()]
    process.stdout.close()
    process.wait()
    with trivec.open(path) as library:
        found = {int(name) for name in ids(library)}
        assert set(acknowledged) <= found
        assert library.search("water number 7", k=1, mode="bm25")
        report = library.add([Document(str(n), f"water number {n}") for n in acknowledged])
        assert report.unchanged == len(acknowledged)


def test_a_first_stage_proposes_for_multi_vectors_alone(tmp_path: Path, encoder: Encoder) -> None:
    """Where it proposes all there is, the answer is that of MaxSim over everything."""
    documents = [Document(str(n), f"Sentence number {n} is about water and night.") for n in range(40)]
    with trivec.open(tmp_path / "staged", model=encoder, multi_first_stage="fixed-encoding") as staged:
        staged.add(documents)
        query = staged.encode_queries(["water number 7"], SearchOptions(mode="multi"))
        wanted = staged.store.search("multi", query, 5).ids
        scores = staged.store.score("multi", query, [f"{n}#0" for n in range(40)])
        assert [f"{n}#0" for n in sorted(range(40), key=lambda n: (-scores[n], str(n)))[:5]] == wanted
        hits = staged.search("water number 7", k=5, mode="multi")
        assert [f"{hit.id}#0" for hit in hits] == wanted
        assert set(hits[0].signals) == {"multi"}
        assert staged.search("water number 7", k=5)[0].signals.keys() > {"multi"}
    with trivec.open(tmp_path / "staged", model=encoder, multi_first_stage="fixed-encoding") as again:
        assert len(again) == 40
    with pytest.raises(InputError, match="has the first stage 'fixed-encoding', not 'exact'"):
        trivec.open(tmp_path / "staged", multi_first_stage="exact")
    with pytest.raises(InputError, match="store 'embedded' has no first stage 'fixed-encoding'"):
        trivec.open(tmp_path / "other", encoder, store="embedded", multi_first_stage="fixed-encoding")
    with pytest.raises(InputError, match="has the first stage 'exact'"):
        trivec.open(":memory:", encoder, multi_first_stage="fixed-encoding")
