"""TREC collections: topics in all their forms, documents of the disks, and any other corpus."""

from __future__ import annotations

import gzip
import logging
from pathlib import Path

import pytest

from trivec.errors import InputError
from trivec.evaluate.judged_sets import JudgedQuery
from trivec.evaluate.layouts import read_judged
from trivec.evaluate.layouts.trec_documents import read_trec_documents
from trivec.evaluate.layouts.trec_topics import read_trec_topics
from trivec.types import Document

from miniatures import ROBUST_TOPICS, write, write_covid, write_deep_learning, write_robust


def test_topics_and_documents_of_the_disks(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        judged = read_judged(write_robust(tmp_path))
    assert judged.name == "robust04"
    assert judged.queries == [JudgedQuery("301", "International Organized Crime"), JudgedQuery("302", "Oil & Gas")]
    assert judged.documents == [
        Document("FT911-1", "Crime & money .\n\nThe end.", "FT 14 MAY 91 / The mob"),
        Document("FT911-2", "Café."),
    ]
    assert judged.relevance == {"301": {"FT911-1": 1, "FT911-2": 0}, "302": {"FT911-2": 2}}
    assert "1 files do not begin with <DOC>" in caplog.text


def test_topics_in_xml_and_a_corpus_of_any_kind(tmp_path: Path) -> None:
    judged = read_judged(write_covid(tmp_path))
    assert judged.queries == [JudgedQuery("1", "coronavirus origin")]
    assert judged.documents == [Document("001", "It is blue.", "Sky"), Document("d#2", "Rain falls.")]
    assert judged.relevance == {"1": {"001": 2, "d#2": 0}}


def test_topics_as_a_table_and_the_collection_of_ms_marco(tmp_path: Path) -> None:
    judged = read_judged(write_deep_learning(tmp_path))
    assert judged.queries == [JudgedQuery("264014", "how long is life cycle of flea")]
    assert judged.documents == [Document("7", "The flea lives long."), Document("8", "Rain falls.")]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("<top>\n<head> Tipster\n<num> Number:  051\n<dom> Domain: x\n<title> Topic:  Airbus\n<desc> d\n", "Airbus"),
        ("<topics><top lang='en'><num>051</num><title>Airbus</title><desc>d</desc></top></topics>", "Airbus"),
        ("<TOP><NUM>051<TITLE>Airbus<DESC>d</TOP>", "Airbus"),
        ("<top><num> Number: 051\n<desc> Description:\nWho sells\nplanes?\n<narr> x</top>", "Who sells planes?"),
        ("<topics><topic number='051'><title> Airbus\n</title></topic></topics>", "Airbus"),
        ("<topics><topic id='051'>A man\nwho flies.</topic></topics>", "A man who flies."),
        ("<topics><topic><num>051</num><description>Airbus</description></topic></topics>", "Airbus"),
        ("051\tAirbus\n", "Airbus"),
    ],
)
def test_forms_of_topics(content: str, expected: str, tmp_path: Path) -> None:
    write(tmp_path / "topics.txt", content)
    assert read_trec_topics(tmp_path / "topics.txt") == {"051": JudgedQuery("051", expected)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<top><title> Airbus</top>", r"topics\.txt:1: the topic has no <num>"),
        ("\n\n<top><num> 1 <narr> x</top>", r"topics\.txt:3: query '1' has no text"),
        ("<top><num>1<title>a</top><top><num>1<title>b</top>", "the query id '1' stands twice"),
        ("<topics><topic><query>a</query></topic></topics>", r"topics\.txt, topic 1: it has no number"),
        ("<topics><topic number='1'><disease>x</disease></topic></topics>", r"topic 1: query '1' has no text"),
        ("<topics><topic number='1'>a & b</topic></topics>", r"neither <top> nor readable XML \(not well-formed"),
        ("<topics></topics>", "has no topic"),
        ("301 no tab\n", r"topics\.txt:1: query '301 no tab' has no text"),
    ],
)
def test_broken_topics_are_named(content: str, message: str, tmp_path: Path) -> None:
    write(tmp_path / "topics.txt", content)
    with pytest.raises(InputError, match=message):
        read_trec_topics(tmp_path / "topics.txt")


def test_a_number_with_zeros_may_be_judged_without(tmp_path: Path) -> None:
    own = write_covid(tmp_path)
    write(own / "topics-rnd5.xml", "<topics><topic number='051'>a</topic><topic number='007'>b</topic></topics>")
    write(own / "qrels-covid_d5_j0.5-5.txt", "51 0 001 1\n007 0 001 1\n")
    assert [query.id for query in read_judged(own).queries] == ["51", "007"]


def test_splits_are_what_files_are_called(tmp_path: Path) -> None:
    own = write_covid(tmp_path)
    write(own / "qrels-rnd5.txt", "1 0 d#2 1\n")
    write(own / "topics-rnd1.xml", "<topics><topic number='1'>origin</topic></topics>")
    assert read_judged(own, "rnd5").queries == [JudgedQuery("1", "coronavirus origin")]
    with pytest.raises(
        InputError, match="topic '1' is 'coronavirus origin', and 'origin' in another file: name topics"
    ):
        read_judged(own)
    with pytest.raises(InputError, match=r"has no qrels\.rnd9\.txt: .* \(it has covid_d5_j0\.5-5, rnd5\)"):
        read_judged(own, "rnd9")


def test_topics_and_judgements_in_folders_of_their_own(tmp_path: Path) -> None:
    write(tmp_path / "topics" / "topics.txt", "1\tsky\n")
    write(tmp_path / "qrels" / "qrels.tsv", "1\t0\tsky.txt\t1\n")
    write(tmp_path / "corpus" / "sky.txt", "It is blue.")
    judged = read_judged(tmp_path)
    assert [(document.id, document.text) for document in judged.documents] == [("sky.txt", "It is blue.")]


def test_what_is_missing_of_a_corpus_is_named(tmp_path: Path) -> None:
    own = write_covid(tmp_path)
    (own / "corpus.jsonl").rename(own / "texts.jsonl")
    with pytest.raises(InputError, match=r"has no corpus: put corpus\.jsonl"):
        read_judged(own)
    write(own / "docs" / "FT911_1.Z", b"\x1f\x9d\x90abc")
    with pytest.raises(InputError, match=r"FT911_1\.Z is compressed by compress, .*: unpack it"):
        read_judged(own)


def test_shards_of_a_corpus_have_ids_of_their_own(tmp_path: Path) -> None:
    own = write_covid(tmp_path)
    for shard in ("docs-1", "docs-2"):
        (own / "corpus.jsonl").exists() and (own / "corpus.jsonl").unlink()
        write(own / f"{shard}.jsonl.gz", [{"id": "001", "text": "a"}])
    with pytest.raises(InputError, match=r"docs-2\.jsonl\.gz: the id '001' is already taken in an earlier file"):
        read_judged(own)


def _documents(path: Path, content: str) -> list[Document]:
    write(path, content)
    return read_trec_documents([path])


def test_documents_of_several_publishers(tmp_path: Path) -> None:
    journal = "<DOC>\n<DOCNO> WSJ-1 </DOCNO>\n<HL> A  Deal </HL>\n<LP> First. </LP>\n<TEXT>\nSecond.\n</TEXT>\n</DOC>\n"
    page = (
        "<doc id=1><DOCNO>GX-1</DOCNO><DOCHDR>\nhttp://x\nHTTP/1.1 200 OK\n</DOCHDR>\n<html><head><title>Law</title>"
        "<script>var a;</script></head><body>Page 1 &lt; 2</body></html></doc>"
    )
    empty = "<DOC><DOCNO>E-1</DOCNO><TEXT> </TEXT></DOC>"
    assert _documents(tmp_path / "one.gz", journal + page + empty) == [
        Document("WSJ-1", "First.\n\nSecond.", "A Deal"),
        Document("GX-1", "Page 1 < 2", "Law"),
    ]
    assert gzip.decompress((tmp_path / "one.gz").read_bytes())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<DOC><TEXT>x</TEXT></DOC>", "one:1: the document has no <DOCNO>"),
        ("<DOC>\n<DOCNO>1</DOCNO></DOC>\n\n<DOC>\n<DOCNO>2</DOCNO>\n", "one:4: the document has no </DOC>, as if"),
        ("<DOC><DOCNO>1</DOCNO><TEXT>x</TEXT></DOC>" * 2, "one:1: the number '1' is taken by an earlier document"),
        ("<DOC><DOCNO>1</DOCNO></DOC>\nabc</DOC>", "one:2: 'abc' where <DOC> should be"),
    ],
)
def test_broken_documents_are_named(content: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        _documents(tmp_path / "one", content)


def test_topics_may_have_bytes_of_latin_1(tmp_path: Path) -> None:
    write(tmp_path / "topics.txt", ROBUST_TOPICS.replace("Oil", "Caf\xe9").encode("latin-1"))
    assert read_trec_topics(tmp_path / "topics.txt")["302"].text == "Café & Gas"
