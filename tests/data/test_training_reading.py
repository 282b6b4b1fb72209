"""Files of all formats and compressions give the same examples; bad ones are named with file and line."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from trivec.data import BadLines, Example, read_examples, to_json
from trivec.data import opening as opening_module
from trivec.errors import InputError, MissingPackageError

EXAMPLES = [Example(f"query {i} ü", (f"right {i}",), (f"wrong {i}",)) for i in range(5)]
FLAT = [{"query": e.query, "positive": e.positives[0], "negative": e.negatives[0]} for e in EXAMPLES]


def lines(rows: list[Any]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def read(*paths: Path, **options: Any) -> list[Example]:
    return list(read_examples(paths, **options))


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


JSONL = lines([to_json(e) for e in EXAMPLES])
CSV = "query,positive,negative\r\n" + "".join(f'"{r["query"]}",{r["positive"]},{r["negative"]}\r\n' for r in FLAT)
TSV = "".join("\t".join(row) + "\n" for row in [list(FLAT[0]), *(list(r.values()) for r in FLAT)])
TRIPLES = "".join("\t".join(row.values()) + "\n" for row in FLAT)


@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstandard.compress], ids=["plain", "gzip", "zstd"])
@pytest.mark.parametrize(
    ("name", "data", "options"),
    [
        ("a.jsonl", JSONL, {}),
        ("a.ndjson", lines(FLAT), {}),
        ("a.jsonl", b"\xef\xbb\xbf" + JSONL.replace(b"\n", b"\r\n\n"), {}),
        ("a.json", JSONL, {}),
        ("a.json", json.dumps(FLAT, indent=1).encode(), {}),
        ("a.json", b"\xef\xbb\xbf  " + json.dumps(FLAT, ensure_ascii=False).encode(), {}),
        ("a.csv", CSV.encode(), {}),
        ("a.csv", CSV.encode("cp1252"), {"encoding": "cp1252"}),
        ("a.csv", CSV.encode("utf-16"), {}),
        ("a.tsv", TSV.encode(), {}),
        ("a.txt", TRIPLES.encode(), {"format": "triples"}),
        ("a.tsv", TRIPLES.encode(), {"format": "triples"}),
        ("a.data", JSONL, {"format": "jsonl"}),
    ],
)
def test_formats_and_compressions(
    tmp_path: Path, compress: Callable[[bytes], bytes], name: str, data: bytes, options: dict[str, Any]
) -> None:
    path = write(tmp_path / name, compress(data))
    assert read(path, **options) == EXAMPLES
    assert read(path, **options)[0].place.startswith(str(path))
    for suffix in (".gz", ".zst"):  # the content decides, not the name
        assert read(write(tmp_path / f"{name}{suffix}", compress(data)), **options) == EXAMPLES


def test_places_are_lines_and_items(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", b"\n" + JSONL)
    assert [e.place for e in read(path)] == [f"{path}:{i}" for i in range(2, 7)]
    path = write(tmp_path / "a.json", json.dumps(FLAT).encode())
    assert read(path)[2].place == f"{path}, item 3"
    path = write(tmp_path / "a.csv", b'query,positive\n"two\nlines",p\nq,p\n')
    assert [e.place for e in read(path)] == [f"{path}:2", f"{path}:4"]


def test_zstd_of_several_frames(tmp_path: Path) -> None:
    half = JSONL.index(b"query 3")
    data = zstandard.compress(JSONL[:half]) + zstandard.compress(b"") + zstandard.compress(JSONL[half:])
    assert read(write(tmp_path / "a.jsonl.zst", data)) == EXAMPLES


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (zstandard.compress(JSONL)[:-8], "zstd data ends too early, as if cut off"),
        (zstandard.compress(JSONL)[:9] + b"x" * 90, "damaged zstd data"),
        (gzip.compress(JSONL, mtime=0)[:-20], "gzip data ends too early"),
        (gzip.compress(JSONL, mtime=0)[:20] + b"x" * 90, "damaged or no gzip data"),
    ],
    ids=["zstd cut off", "zstd damaged", "gzip cut off", "gzip damaged"],
)
def test_cut_off_and_damaged_compression(tmp_path: Path, data: bytes, words: str) -> None:
    path = write(tmp_path / "a.jsonl", data)
    with pytest.raises(InputError, match=words) as caught:
        read(path)
    assert str(path) in str(caught.value)
    other = write(tmp_path / "b.jsonl", JSONL)
    bad = BadLines(skip=True)
    assert read(path, other, bad=bad)[-5:] == EXAMPLES
    assert bad.count == 1


def test_zstd_without_its_package_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def require(module: str, extra: str, purpose: str) -> None:
        raise MissingPackageError(f"{module} {extra} {purpose}")

    monkeypatch.setattr(opening_module, "require", require)
    with pytest.raises(MissingPackageError, match=r"zstandard train reading .*a\.jsonl"):
        read(write(tmp_path / "a.jsonl", zstandard.compress(JSONL)))


BAD_FILES = [
    ("a.jsonl", b'{"query": "q", "pos": "p"}\n', ":3: 'pos' is text 'p', not a list"),
    ("a.jsonl", b'{"query": "q", "pos": ["p"}\n', r":3: broken JSON .* at column 27.*--skip-bad"),
    ("a.jsonl", b'{"query": "q", "pos": ["p"], "pos_scores": [NaN]}\n', ":3: score 1 of 'pos' is nan"),
    ("a.jsonl", b'{"query": "q", "pos": ["p"], "pos_scores": [1e999]}\n', ":3: score 1 of 'pos' is inf"),
    ("a.jsonl", b'{"query": "\xff", "pos": ["p"]}\n', r":3: not utf-8 at byte \d+ \(0xff\)"),
    ("a.jsonl", b"[1]\n", ":3: not an object"),
]


@pytest.mark.parametrize(("name", "line", "words"), BAD_FILES)
def test_bad_lines_are_named_or_skipped(tmp_path: Path, name: str, line: bytes, words: str) -> None:
    good = lines([to_json(e) for e in EXAMPLES])
    first, second, rest = good.split(b"\n", 2)
    path = write(tmp_path / name, first + b"\n" + second + b"\n" + line + rest)
    with pytest.raises(InputError, match=words) as caught:
        read(path)
    assert str(path) in str(caught.value)
    bad = BadLines(skip=True)
    assert read(path, bad=bad) == EXAMPLES
    assert bad.count == 1
    assert [str(caught.value)] == bad.messages
    assert bad.warnings[0].startswith("1 bad rows or files skipped")


def test_only_the_first_messages_are_kept(tmp_path: Path) -> None:
    bad = BadLines(skip=True)
    assert read(write(tmp_path / "a.jsonl", b"{}\n" * 50), bad=bad) == []
    assert bad.count == 50
    assert len(bad.messages) == 10


def test_a_last_line_that_was_cut_off(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r":5: broken JSON .*the file ends in this line"):
        read(write(tmp_path / "a.jsonl", JSONL[:-5]))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'[{"query": "q", "pos": ["p"]}', r"item 1: the file ends where ',' or '\]' should"),
        (b'[{"query": "q", "pos": ["p"]} 5]', "item 1: '5' stands where ','"),
        (b'[{"query": "q", "pos": ["p"]}, {"query": ]', "item 2: broken JSON .* the rest is lost"),
        (b"[" * 100_000, "item 1: "),
        (b'["\xff"]', "not utf-8"),
        (b'{"data": [\n1]}', "json:1: broken JSON"),
    ],
)
def test_broken_lists(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read(write(tmp_path / "a.json", data))


def test_lists_across_blocks(tmp_path: Path) -> None:
    rows = [{"query": f"q{i}", "pos": ["p" * (i * 7919 % 150_000 + 1)]} for i in range(30)]
    found = read(write(tmp_path / "a.json", json.dumps(rows, indent=3).encode()))
    assert [to_json(e) for e in found] == [row | {"neg": []} for row in rows]
    assert read(write(tmp_path / "b.json", b" [ ] ")) == []


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.csv", b"q,p\nx,y\n", ":1: the first line is no header with no query: there are 'q', 'p'.*as triples"),
        ("a.csv", b"query,positive,query\n", ":1: two columns are named 'query'"),
        ("a.csv", b"query,positive\na,b\nc,d,e\n", ":3: 3 cells where the header has 2"),
        ("a.csv", b'query,positive\na,"b"x\n', ":2: broken table row"),
        ("a.csv", b"query,positive,score\na,b,high\n", ":2: 'score' is 'high': give a number"),
        ("a.csv", b"query,positive,score\na,b,nan\n", ":2: score 1 of 'pos' is nan"),
        ("a.csv", b"query,positive\n,b\n", ":2: 'query' is null"),
        ("a.csv", b"query,pos\na,b\n", ":2: 'pos' is text 'b', not a list"),
    ],
)
def test_bad_tables(tmp_path: Path, name: str, data: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read(write(tmp_path / name, data))


def test_tables_hold_scores_and_missing_negatives(tmp_path: Path) -> None:
    data = b"query,positive,negative_1,negative_2,positive_scores,lang\nq,p,,n,0.5,en\nr,p,,,,\n"
    assert read(write(tmp_path / "a.csv", data)) == [
        Example("q", ("p",), ("n",), (0.5,), extra={"lang": "en"}),
        Example("r", ("p",), extra={"lang": None}),
    ]


def test_triples_with_many_negatives_and_pairs(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", b'q\tp "quoted\tn\tm\r\n\nr\tp\nalone\n')
    bad = BadLines(skip=True)
    found = read(path, format="triples", bad=bad)
    assert found == [Example("q", ('p "quoted',), ("n", "m")), Example("r", ("p",))]
    assert bad.messages == [f"{path}:4: no tab: give query, positive and negatives"]


def test_lone_surrogates_are_replaced(tmp_path: Path) -> None:
    assert read(write(tmp_path / "a.jsonl", b'{"query": "a\\ud800b", "pos": ["p"]}\n'))[0].query == "a\ufffdb"


def test_large_numbers_are_read(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.jsonl", b'{"query": "q", "pos": ["p"], "pos_scores": [1e308], "n": 18446744073709551615}\n'
    )
    found = read(path)[0]
    assert found.positive_scores == (1e308,)
    assert math.isfinite(found.positive_scores[0])
    assert found.extra["n"] == 2**64 - 1
