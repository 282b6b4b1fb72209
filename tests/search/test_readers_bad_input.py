"""Bad files of every format: each is refused with its place, what was seen and what to do, or skipped and counted."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trivec.errors import InputError
from trivec.search.readers import ReadOptions, ReadReport, read_documents

GOOD = b'{"id": "good", "text": "fine"}\n'
NOISE = "".join(json.dumps({"id": n, "text": f"text {n * 7919 % 1000}"}) + "\n" for n in range(2000)).encode()


def collect(source: Path, **options: Any) -> tuple[list[str], ReadReport]:
    report = ReadReport()
    return [document.id for document in read_documents(source, ReadOptions(**options), report)], report


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            b'{"id": "x", "headline": "a", "para": "b"}\n',
            r"no text field: the row has 'id', 'headline', 'para'.*--text",
        ),
        (b"{}\n", "no text field: the row has no fields"),
        (b'["text"]\n', r"not an object .* a list \['text'\]"),
        (b'"text"\n', "not an object .* text 'text'"),
        (b'{"text": "a" "b"}\n', "broken JSON .* at column 14, near .*--skip-bad"),
        (b'{"text": "a\n', "broken JSON"),
        (b'{"text": "never ends', "the file ends in this line, as if cut off"),
        (b'{"text": ' + b"[" * 100_000 + b"\n", "JSON that cannot be read"),
        (b'{"text": ' + b"9" * 5_000 + b"}\n", "JSON that cannot be read|not text"),
        (b'{"text": 5}\n', "field 'text' is a number 5, not text"),
        (b'{"text": "a", "title": ["b"]}\n', r"field 'title' is a list \['b'\], not text"),
        (b'{"text": "a", "id": 1.5}\n', "id in field 'id' is a number 1.5: make it"),
        (b'{"text": "a", "id": true}\n', "id in field 'id' is a truth value True"),
        (b'{"text": "a", "id": {"x": 1}}\n', "id in field 'id' is an object"),
        (b'{"text": "a", "id": ""}\n', "id in field 'id' is empty"),
        (b'{"text": "a", "id": "good"}\n', r"id 'good' is already taken by .*f\.jsonl:1: give"),
        (b'{"text": "caf\xe9"}\n', r"not utf-8 at byte 44 \(0xe9\): .*--encoding cp1252"),
    ],
)
def test_bad_line(tmp_path: Path, line: bytes, words: str) -> None:
    file = tmp_path / "f.jsonl"
    file.write_bytes(GOOD + line)
    with pytest.raises(InputError, match=f"^{re.escape(str(file))}:2: .*(?:{words})"):
        collect(file)
    ids, report = collect(file, skip_bad=True)
    assert ids == ["good"]
    assert (report.documents, report.skipped) == (1, 1)
    assert report.warnings[0].startswith("1 bad rows or files skipped")
    assert report.problems[0].startswith(f"{file}:2: ")


def test_reading_goes_on_after_bad_lines(tmp_path: Path) -> None:
    file = tmp_path / "f.jsonl"
    file.write_bytes(b"".join(b'{"text": 5}\n{"text": "caf\xe9"}\n{\n' + b'{"text": "good"}\n' for _ in range(10)))
    ids, report = collect(file, skip_bad=True)
    assert ids == [f"f.jsonl:{n}" for n in range(4, 41, 4)]
    assert report.skipped == 30
    assert len(report.problems) == 10


BAD_FILES: list[tuple[str, bytes, str]] = [
    ("f.txt", b"abc\0def", r"looks like binary \(NUL byte at byte 3\).*utf-16"),
    ("f.txt", b"one\ntwo \xff", r"f\.txt:2: not utf-8 at byte 8 \(0xff\): .*--encoding"),
    ("f.md", b"\xff\xfea", "not utf-16"),
    ("f.txt.gz", b"no gzip", r"no gzip data.*without \.gz"),
    ("f.txt.gz", gzip.compress(b"text" * 1000, mtime=0)[:-10], "ends too early, as if cut off"),
    ("f.html", b"<p>caf\xe9", "not utf-8"),
    ("f.html", b'<meta charset="nonsense"><p>caf\xe9', "not utf-8"),
    ("f.jsonl", b'{"text"\0: 5}', r"f\.jsonl:1: looks like binary"),
    ("f.jsonl", '{"text": "x"}\n'.encode("utf-16-le")[:-1], "looks like binary"),
    ("f.jsonl", "\ufeff{}".encode("utf-16-le")[:-1], r":1 or later: not utf-16"),
    ("f.json", b'{"documents": []}', r"not a list of objects but an object with the fields 'documents'"),
    ("f.json", b'{"text": "a"}\n{"text": "b"}', r"broken JSON \(Extra data at line 2.*name it \.jsonl"),
    ("f.json", b"", "broken JSON"),
    ("f.csv", b"name,words\na,b\n", "f.csv:1: no text column: the columns are 'name', 'words'.*--delimiter"),
    ("f.csv", b"text,text\na,b\n", "two columns are named 'text'"),
    ("f.parquet", b"PAR1 no", "no readable parquet"),
    ("f.pdf", b"not a pdf", "no readable PDF"),
    ("f.pdf", b"", "no readable PDF"),
]


@pytest.mark.parametrize(("name", "content", "words"), BAD_FILES)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_bad_file(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(InputError, match=words):
        collect(file)
    (tmp_path / "z.txt").write_text("fine")
    ids, report = collect(tmp_path, skip_bad=True)
    assert ids == ["z.txt"]
    assert report.skipped == 1
    assert str(file) in report.problems[0]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (b"3,c,d\n", r"f\.csv:3: 3 cells where the header has 2"),
        (b"3\n", "1 cells where the header has 2"),
        (b'3,"a"b\n', "broken table row"),
    ],
)
def test_bad_csv_row(tmp_path: Path, row: bytes, words: str) -> None:
    file = tmp_path / "f.csv"
    file.write_bytes(b"id,text\n1,a\n" + row + b"4,d\n")
    with pytest.raises(InputError, match=words):
        collect(file)
    ids, report = collect(file, skip_bad=True)
    assert (ids, report.skipped) == (["1", "4"], 1)


def test_csv_quote_that_is_never_closed(tmp_path: Path) -> None:
    file = tmp_path / "f.csv"
    file.write_bytes(b'id,text\n1,a\n2,"b\n3,c\n')
    with pytest.raises(InputError, match=r"f\.csv:3: broken table row .*not closed"):
        collect(file)
    assert collect(file, skip_bad=True)[0] == ["1"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"id_field": "nr"}, "no column 'nr'"),
        ({"metadata": ("a", "b")}, "no column 'b'"),
        ({"title_field": "T"}, "'T'"),
    ],
)
def test_csv_without_a_named_column(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    file = tmp_path / "f.csv"
    file.write_bytes(b"a,text\n1,x\n")
    with pytest.raises(InputError, match=words):
        collect(file, **options)


def test_row_without_the_id_field_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "f.jsonl"
    file.write_bytes(GOOD)
    with pytest.raises(InputError, match=r"no id in field 'key': the row has 'id', 'text'.*--id-field"):
        collect(file, id_field="key")
    with pytest.raises(InputError, match="no field 'a' or 'b'"):
        collect(file, text_fields=("a", "b"))


def test_truncated_gzip_names_the_line_and_keeps_what_came_before(tmp_path: Path) -> None:
    file = tmp_path / "f.jsonl.gz"
    packed = gzip.compress(NOISE, mtime=0)
    file.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(InputError, match=r"f\.jsonl\.gz:[1-9]\d*: the gzip data ends too early"):
        collect(file)
    ids, report = collect(file, skip_bad=True)
    assert 0 < len(ids) < 2000
    assert report.skipped == 1


def test_damaged_gzip(tmp_path: Path) -> None:
    file = tmp_path / "f.jsonl.gz"
    packed = bytearray(gzip.compress(NOISE, mtime=0))
    packed[len(packed) // 2 : len(packed) // 2 + 64] = b"\xff" * 64
    file.write_bytes(packed)
    with pytest.raises(InputError, match="damaged"):
        collect(file)


def test_duplicate_ids_across_files(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(GOOD)
    (tmp_path / "b.json").write_text('[{"id": "x", "text": "t"}, {"id": "good", "text": "t"}]')
    with pytest.raises(InputError, match=r"b\.json, item 2: the id 'good' is already taken by .*a\.jsonl:1"):
        collect(tmp_path)
    assert collect(tmp_path, skip_bad=True)[0] == ["good", "x"]


def test_sources_that_cannot_be_read_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere: cannot be read \(No such file.*check"):
        read_documents(tmp_path / "nowhere")
    file = tmp_path / "f.docx"
    file.touch()
    with pytest.raises(InputError, match=r"unknown kind of file '\.docx': rename it to one of \.txt, "):
        read_documents(file)


def test_folder_without_text_says_what_it_holds_and_what_is_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing in this folder: it must hold \.txt, .*\.parquet"):
        collect(tmp_path)
    (tmp_path / "a.png").touch()
    with pytest.raises(InputError, match=r"only other files \(\.png 1\)"):
        collect(tmp_path)


def test_dangling_link_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "a.txt").symlink_to(tmp_path / "gone.txt")
    (tmp_path / "b.txt").write_text("fine")
    with pytest.raises(InputError, match=r"a\.txt: cannot be read"):
        collect(tmp_path)
    assert collect(tmp_path, skip_bad=True)[0] == ["b.txt"]


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_file_without_permission(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("text")
    file.chmod(0)
    with pytest.raises(InputError, match="Permission denied"):
        collect(file)


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "up").symlink_to(tmp_path)
    (tmp_path / "a.txt").write_text("text")
    assert collect(tmp_path)[0] == ["a.txt"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"delimiter": ";;"}, "one character .* got ';;'"),
        ({"encoding": "utf-9"}, "unknown encoding 'utf-9': try"),
        ({"encoding": "base64"}, "unknown encoding"),
        ({"id_field": "a", "text_fields": ("a",)}, "id_field and text_fields both name 'a'"),
    ],
)
def test_options_that_contradict(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        ReadOptions(**options)


GOOD_FILES = {
    ".txt": b"hello\nw\xc3\xb6rld",
    ".md": b"---\ntitle: x\ntags: [a]\n---\n# Hi\n```\ncode\n```\n",
    ".html": b"<html lang=de><title>t</title><p>a<pre>\n b\n</pre><table><tr><td>x</table>&#xD800;",
    ".jsonl": b'{"id": 1, "text": "a \\ud83d"}\n{"text": "b", "m": [1, null]}\n',
    ".json": b'[{"id": 1, "text": "a"}, {"text": "b"}]',
    ".csv": b'id,text\n1,"a\nb"\n2,c\n',
    ".tsv": b"id\ttext\n1\ta\n",
}


@settings(max_examples=300, deadline=None)
@given(
    suffix=st.sampled_from(sorted(GOOD_FILES)),
    packed=st.booleans(),
    place=st.integers(0, 100),
    cut=st.integers(0, 30),
    noise=st.binary(max_size=4)
    | st.sampled_from([b"\xff\xfe", b"\xef\xbb\xbf", b'"', b"\n", b"{", b"[[", b"<![", b"---"]),
)
def test_damaged_files_give_documents_or_an_input_error(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, packed: bool, place: int, cut: int, noise: bytes
) -> None:
    data = gzip.compress(GOOD_FILES[suffix], mtime=0) if packed else GOOD_FILES[suffix]
    file = tmp_path_factory.getbasetemp() / f"damaged{suffix}{'.gz' if packed else ''}"
    file.write_bytes(data[:place] + noise + data[place + cut :])
    with contextlib.suppress(InputError):
        collect(file)
    collect(file, skip_bad=True)
