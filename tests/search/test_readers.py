"""Good files of every format, and what becomes of their fields."""

from __future__ import annotations

import datetime
import gzip
import io
import json
import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from trivec.errors import InputError, MissingPackageError
from trivec.search.readers import ReadOptions, ReadReport, read_documents
from trivec.types import Document


def read(source: Path | str, **options: Any) -> list[Document]:
    return list(read_documents(source, ReadOptions(**options), ReadReport()))


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def write_rows(path: Path, *rows: object) -> Path:
    return write(path, "".join(json.dumps(row) + "\n" for row in rows))


def test_plain_text_is_one_document(tmp_path: Path) -> None:
    file = write(tmp_path / "a.txt", "First line.\r\nSecond line.\n")
    assert read(file) == [
        Document("a.txt", "First line.\nSecond line.\n", "", {"path": "a.txt", "folder": "", "format": "txt"})
    ]


def test_folder_is_read_in_order_without_hidden_and_unknown_files(tmp_path: Path) -> None:
    for name in ("b/z.txt", "b/a.md", "a.txt", ".hidden.txt", ".git/x.txt", "c.TXT", "c.png", "README"):
        write(tmp_path / name, "text")
    report = ReadReport()
    documents = list(read_documents(tmp_path, report=report))
    assert [document.id for document in documents] == ["a.txt", "b/a.md", "b/z.txt", "c.TXT"]
    assert documents[1].metadata == {"path": "b/a.md", "folder": "b", "format": "md"}
    assert report.other_files == {".png": 1, "no suffix": 1}
    assert report.warnings == ["2 files of other types left out: .png 1, no suffix 1"]


def test_folder_can_be_limited_to_suffixes(tmp_path: Path) -> None:
    for name in ("a.txt", "b.md", "c.md.gz"):
        content = b"text"
        write(tmp_path / name, gzip.compress(content, mtime=0) if name.endswith("gz") else content)
    assert [document.id for document in read(tmp_path, suffixes=("md",))] == ["b.md", "c.md.gz"]
    with pytest.raises(InputError, match=r"unknown suffix 'doc'.*\.txt"):
        read(tmp_path, suffixes=("doc",))


@pytest.mark.parametrize(
    ("row", "document"),
    [
        ({"id": "1", "text": "t"}, Document("1", "t")),
        ({"_id": 7, "title": "T", "contents": "t"}, Document("7", "t", "T")),
        ({"docid": "x", "body": "t", "title": None}, Document("x", "t")),
        ({"doc_id": "x", "passage": "t"}, Document("x", "t")),
        ({"content": "t"}, Document("f.jsonl:1", "t")),
        ({"id": None, "text": None, "content": "t"}, Document("f.jsonl:1", "t", "", {"text": None})),
        ({"title": "only", "text": ""}, Document("f.jsonl:1", "", "only")),
        (
            {"text": "t", "year": 2020, "tags": ["a", 1], "ok": True, "none": None, "score": 0.5},
            Document("f.jsonl:1", "t", "", {"year": 2020, "tags": ["a", 1], "ok": True, "none": None, "score": 0.5}),
        ),
        (
            {"text": "t", "lang": "de", "metadata": {"lang": "en", "url": "u", "deep": {"x": 1}}},
            Document("f.jsonl:1", "t", "", {"lang": "de", "url": "u"}),
        ),
    ],
)  # fmt: skip
def test_row_fields(tmp_path: Path, row: dict[str, object], document: Document) -> None:
    assert read(write_rows(tmp_path / "f.jsonl", row)) == [document]


def test_named_fields(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "f.jsonl", {"key": 5, "head": "T", "q": "Q", "a": "A", "x": 1, "y": 2, "id": "no"})
    documents = read(file, id_field="key", title_field="head", text_fields=("q", "a"), metadata=("y",))
    assert documents == [Document("5", "Q\n\nA", "T", {"y": 2})]


def test_nested_and_embedding_like_metadata_is_dropped_and_counted(tmp_path: Path) -> None:
    rows = [{"id": n, "text": "t", "deep": {"x": 1}, "vector": [0.5] * 300, "mixed": ["a", {}]} for n in range(3)]
    report = ReadReport()
    documents = list(read_documents(write_rows(tmp_path / "f.jsonl", *rows), report=report))
    assert all(document.metadata == {} for document in documents)
    assert report.dropped_fields == {"deep": 3, "vector": 3, "mixed": 3}
    assert len(report.warnings) == 1
    kept = read(tmp_path / "f.jsonl", metadata=("vector",))
    assert kept[0].metadata == {"vector": [0.5] * 300}


def test_jsonl_takes_what_orjson_refuses(tmp_path: Path) -> None:
    file = write(tmp_path / "f.jsonl", '{"text": "a\\ud800b", "n": NaN, "i": [Infinity]}\n\n{"text": "\\ud83d\\ude00"}')
    assert read(file) == [
        Document("f.jsonl:1", "a\ufffdb", "", {"n": None, "i": [None]}),
        Document("f.jsonl:3", "😀"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_byte_order_marks_are_recognised(tmp_path: Path, encoding: str) -> None:
    lines = '{"id": 1, "text": "żółw\u2028 x"}\n{"id": 2, "text": "亀"}\n'
    assert [d.text for d in read(write(tmp_path / "f.jsonl", lines.encode(encoding)))] == ["żółw\u2028 x", "亀"]
    assert [d.text for d in read(write(tmp_path / "f.csv", "text\n亀\n".encode(encoding)))] == ["亀"]
    assert [d.text for d in read(write(tmp_path / "f.txt", "亀".encode(encoding)))] == ["亀"]
    assert [d.text for d in read(write(tmp_path / "f.json", '[{"text": "亀"}]'.encode(encoding)))] == ["亀"]


@pytest.mark.parametrize(("encoding", "text"), [("cp1252", "Müller"), ("shift_jis", "亀"), ("utf-16-le", "亀x")])
def test_other_encodings_on_request(tmp_path: Path, encoding: str, text: str) -> None:
    assert read(write(tmp_path / "f.txt", text.encode(encoding)), encoding=encoding)[0].text == text
    row = f'{{"text": "{text}"}}\n'.encode(encoding)
    assert read(write(tmp_path / "f.jsonl", row), encoding=encoding)[0].text == text


def test_compressed_files(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl.gz", gzip.compress(b'{"text": "one"}\n', mtime=0))
    write(tmp_path / "b.csv.gz", gzip.compress(b"text\ntwo\n", mtime=0))
    write(tmp_path / "c.txt.gz", gzip.compress(b"three", mtime=0))
    assert [(d.id, d.text) for d in read(tmp_path)] == [
        ("a.jsonl.gz:1", "one"), ("b.csv.gz:2", "two"), ("c.txt.gz", "three"),
    ]  # fmt: skip


def test_json_list(tmp_path: Path) -> None:
    file = write(tmp_path / "f.json", '[{"id": 1, "text": "a"},\n {"text": "b", "x": 1}]')
    assert read(file) == [Document("1", "a"), Document("f.json:2", "b", "", {"x": 1})]


def test_csv_with_quotes_newlines_and_empty_cells(tmp_path: Path) -> None:
    file = write(tmp_path / "f.csv", 'id,title,text,n\n007,"A, ""b""","line\nline",5\n\n8,,plain,\n9,T,,\n')
    assert read(file) == [
        Document("007", "line\nline", 'A, "b"', {"n": "5"}),
        Document("8", "plain", "", {"n": None}),
        Document("9", "", "T", {"n": None}),
    ]


def test_csv_cells_may_be_long_and_rows_without_id_are_named_by_line(tmp_path: Path) -> None:
    file = write(tmp_path / "f.csv", f'text;n\n"a\n{"x" * 200_000}";1\nb;2\n')
    assert [(d.id, len(d.text)) for d in read(file, delimiter=";")] == [("f.csv:2", 200_002), ("f.csv:4", 1)]


def test_tsv_takes_quotes_as_they_are(tmp_path: Path) -> None:
    file = write(tmp_path / "f.tsv", 'id\ttext\n1\t"open quote\n2\tsay "hi"\n')
    assert [d.text for d in read(file)] == ['"open quote', 'say "hi"']


def test_parquet(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = 1200
    table = arrow.table(
        {
            "id": list(range(rows)),
            "text": [f"text {n}" for n in range(rows)],
            "day": [datetime.date(2024, 1, 2)] * rows,
            "tags": [["a", "b"]] * rows,
            "blob": [b"x"] * rows,
        }
    )
    parquet.write_table(table, tmp_path / "f.parquet")
    documents = read(tmp_path / "f.parquet")
    assert len(documents) == rows
    assert documents[700] == Document("700", "text 700", "", {"day": "2024-01-02", "tags": ["a", "b"]})
    assert read(tmp_path / "f.parquet", metadata=("day",))[0].metadata == {"day": "2024-01-02"}


def test_markdown_front_matter_and_heading(tmp_path: Path) -> None:
    file = write(
        tmp_path / "f.md", "---\ntags: [a, b]\ndate: 2024-05-06\nauthor: {name: x}\n---\n# The *Title* #\n\nBody"
    )
    report = ReadReport()
    assert list(read_documents(file, report=report)) == [
        Document(
            "f.md", "# The *Title* #\n\nBody", "The Title",
            {"tags": ["a", "b"], "date": "2024-05-06", "path": "f.md", "folder": "", "format": "md"},
        )
    ]  # fmt: skip
    assert report.dropped_fields == {"author": 1}


@pytest.mark.parametrize(
    ("text", "title", "start"),
    [
        ("---\ntitle: From front matter\n---\n# Heading\n", "From front matter", "# H"),
        ("intro\n\n## See [this](http://x) `now`\n", "See this now", "intro"),
        ("```\n# a comment\n```\n\n# Real\n", "Real", "```"),
        ("Underlined\n=====\ntext", "Underlined", "Und"),
        ("no heading\n#hashtag\n", "", "no"),
        ("---\njust prose\n---\nmore", "", "---"),
        ("---\n---\ntext", "", "text"),
    ],
)
def test_markdown_title(tmp_path: Path, text: str, title: str, start: str) -> None:
    document = read(write(tmp_path / "f.md", text))[0]
    assert (document.title, document.text[: len(start)]) == (title, start)


def test_broken_front_matter_stays_in_the_text_with_a_note(tmp_path: Path) -> None:
    text = "---\ntitle: Dune: Part Two\n---\nBody"
    report = ReadReport()
    documents = list(read_documents(write(tmp_path / "f.md", text), report=report))
    assert documents[0].text == text
    assert report.noted == 1
    assert "front matter is no YAML" in report.warnings[0]


def test_html_blocks_title_and_language(tmp_path: Path) -> None:
    page = """<?xml version="1.0"?><html lang="pt-BR"><head><title> A
      page </title><style>p {}</style><script>var x = "<p>";</script></head><body>
      <nav><ul><li>Home</li></ul></nav><h1>Heading</h1><p>One <b>bold</b>,
      two<br>three&nbsp;&amp; four.</p><!-- not this --><div>a</div><div>b</div>
      <table><tr><td>1</td><td>2</td></tr><tr><td>3</td></tr></table>
      <pre>def f():\n    return 1\n</pre><svg><title>no</title></svg></body></html>"""
    document = read(write(tmp_path / "f.html", page))[0]
    assert document.title == "A page"
    assert document.metadata["lang"] == "pt-BR"
    assert document.text == (
        "Heading\n\nOne bold, two\nthree & four.\n\na\nb\n\n1 2\n3\n\ndef f():\n    return 1"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ('<meta charset="windows-1251"><p>Привет'.encode("cp1251"), "Привет"),
        ('<meta charset="windows-1251"><p>Привет'.encode(), "Привет"),
        ('<meta charset="iso-8859-1"><p>“q”'.encode("cp1252"), "“q”"),
        ('<meta charset="iso-2022-jp"><p>亀'.encode("iso-2022-jp"), "亀"),
        ("<p>亀".encode("utf-16"), "亀"),
        (b"just words", "just words"),
        (b"<div>" * 5000 + b"deep", "deep"),
    ],
)
def test_html_encodings_and_odd_pages(tmp_path: Path, page: bytes, text: str) -> None:
    assert read(write(tmp_path / "f.htm", page))[0].text == text


def test_html_without_title_takes_the_first_heading(tmp_path: Path) -> None:
    assert read(write(tmp_path / "f.html", "<h1>Big <i>news</i></h1><p>x</p>"))[0].title == "Big news"


def test_beir_folder_reads_only_the_corpus(tmp_path: Path) -> None:
    row = json.dumps({"_id": "d1", "title": "T", "text": "t", "metadata": {}})
    write(tmp_path / "corpus.jsonl.gz", gzip.compress(row.encode(), mtime=0))
    write_rows(tmp_path / "queries.jsonl", {"_id": "q1", "text": "query"})
    write(tmp_path / "qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t1\n")
    assert read(tmp_path) == [Document("d1", "t", "T")]


@pytest.mark.parametrize(
    ("piped", "documents"),
    [
        (b' \n {"id": "a", "text": "t"}\n{"text": "u"}\n', [Document("a", "t"), Document("stdin:3", "u")]),
        (b"one\n\n two \r\n", [Document("stdin:1", "one"), Document("stdin:3", "two")]),
        ("one".encode("utf-16"), [Document("stdin:1", "one")]),
        (b"\n \n", []),
    ],
)
def test_stdin(monkeypatch: pytest.MonkeyPatch, piped: bytes, documents: list[Document]) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(piped))))
    assert read("-") == documents


def test_blank_documents_are_skipped_and_counted(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "f.jsonl", {"text": " \n"}, {"text": "", "title": ""}, {"text": "x"})
    report = ReadReport()
    assert [d.text for d in read_documents(file, report=report)] == ["x"]
    assert (report.documents, report.blank) == (1, 2)
    assert report.warnings == [f"2 documents without text skipped, the first at {file}:1"]


def test_without_a_report_warnings_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = write_rows(tmp_path / "f.jsonl", {"text": "x"}, {"text": ""})
    with caplog.at_level(logging.WARNING):
        list(read_documents(file))
    assert caplog.messages == [f"1 documents without text skipped, the first at {file}:2"]


def test_misspelt_field_names_are_reported(tmp_path: Path) -> None:
    report = ReadReport()
    file = write_rows(tmp_path / "f.jsonl", {"text": "x", "title": "t", "year": 1})
    list(read_documents(file, ReadOptions(title_field="titel", metadata=("year", "yaer")), report))
    assert report.unseen_fields == ("titel", "yaer")


def test_reading_is_lazy(tmp_path: Path) -> None:
    file = write(tmp_path / "f.jsonl", '{"text": "good"}\n{broken\n')
    documents = read_documents(file)
    assert next(documents).text == "good"
    with pytest.raises(InputError):
        next(documents)


def test_missing_package_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pypdf", None)
    with pytest.raises(MissingPackageError, match=r"trivec\[docs\]"):
        read(write(tmp_path / "f.pdf", b"%PDF-1.4"))


def test_libraries_inside_a_folder_are_no_sources(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", b"mine")
    for marks in (("library.json", "store/store.json"), ("vectors.json", "part-00000.safetensors")):
        for mark in marks:
            write(tmp_path / marks[0].split(".")[0] / mark, b"{}")
    assert [document.id for document in read_documents(tmp_path)] == ["a.txt"]
