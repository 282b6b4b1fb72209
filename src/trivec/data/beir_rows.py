"""A folder in BEIR's layout: texts are named by ids, and put together by way of a database on disk.

    corpus.jsonl     _id, title, text
    queries.jsonl    _id, text; all other fields are kept
    qrels/train.tsv  query-id, corpus-id, score: above 0 a positive, else a negative    (or qrels.tsv, train.qrels)
    triples*.tsv     query id, id of a positive, id of a negative                       (optional)
    *.trec, *.run    lines of a run, QUERY Q0 PASSAGE RANK SCORE NAME                   (optional)

All may be compressed. The first `RUN_DEPTH` passages of a run that nobody called positive become negatives, in the
order of their ranks, after those that somebody judged. Queries without a positive are passed over. Of several passages
with one id the first counts.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trivec.data.json_rows import read_lines
from trivec.data.opening import COMPRESSED_SUFFIXES, open_content, plain_suffix
from trivec.data.rows import Row
from trivec.errors import InputError
from trivec.search.readers.decoding import decode_lines
from trivec.search.readers.json_text import kind_of
from trivec.search.readers.reading import Reading, SourceFile
from trivec.types import join_title

RUN_DEPTH = 100
"""Passages of a run beyond this rank are left."""

_RUN_SUFFIXES = (".trec", ".run")
_ENDINGS = ("", *COMPRESSED_SUFFIXES)

_TABLES = """
CREATE TABLE judged (query TEXT, passage TEXT, is_positive INTEGER, number INTEGER, place TEXT,
    PRIMARY KEY (query, passage)) WITHOUT ROWID;
CREATE TABLE passage (id TEXT PRIMARY KEY, text TEXT);
CREATE TABLE query (id TEXT PRIMARY KEY) WITHOUT ROWID;
PRAGMA synchronous = OFF;
PRAGMA journal_mode = OFF;
"""


@dataclass(frozen=True, slots=True)
class BeirFolder:
    """The files of such a folder."""

    corpus: Path
    queries: Path
    judgements: tuple[Path, ...]
    triples: tuple[Path, ...]
    runs: tuple[Path, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """All of them."""
        return (self.corpus, self.queries, *self.judgements, *self.triples, *self.runs)

    @classmethod
    def find(cls, folder: Path) -> BeirFolder | None:
        """The files in this folder; None if it has no corpus and queries.

        Raises:
            InputError: nothing says which passage answers which query.
        """
        corpus, queries = _one(folder, "corpus.jsonl"), _one(folder, "queries.jsonl")
        if corpus is None or queries is None:
            return None
        names = ("qrels/train.tsv", "qrels.tsv", "train.qrels")
        judgements = next((path for name in names if (path := _one(folder, name))), None)
        files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
        triples = tuple(path for path in files if path.name.startswith("triples") and plain_suffix(path) == ".tsv")
        if judgements is None and not triples:
            raise InputError(
                f"{folder}: neither qrels/train.tsv nor qrels.tsv nor triples.tsv: name so the judgements that may be "
                "trained on; those of other splits are not touched"
            )
        runs = tuple(path for path in files if plain_suffix(path) in _RUN_SUFFIXES)
        return cls(corpus, queries, (judgements,) if judgements else (), triples, runs)


def _one(folder: Path, name: str) -> Path | None:
    return next((path for ending in _ENDINGS if (path := folder / f"{name}{ending}").is_file()), None)


def read_beir(file: SourceFile, reading: Reading) -> Iterator[Row]:
    """The queries of a BEIR folder that have a positive, with the texts of their passages.

    Args:
        file: the folder.
        reading: the rule for bad lines.
    """
    found = BeirFolder.find(file.path)
    if found is None:
        raise InputError(f"{file.path}: no corpus.jsonl and queries.jsonl: it is no folder in BEIR's layout")
    with tempfile.TemporaryDirectory(prefix="trivec-") as scratch:
        texts = _Texts(Path(scratch) / "texts.sqlite", found, reading)
        try:
            texts.fill()
            yield from texts.rows()
            texts.report_unknown_queries()
        finally:
            texts.close()


class _Texts:
    """Passages by id, and what is known of each pair of query and passage."""

    def __init__(self, path: Path, folder: BeirFolder, reading: Reading) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.executescript(_TABLES)
        self._folder = folder
        self._reading = reading
        self._numbers = 0

    def close(self) -> None:
        self._database.close()

    def fill(self) -> None:
        """Read everything but the queries; of the corpus only what is spoken of is kept."""
        self._database.execute("BEGIN")
        for path in self._folder.judgements:
            self._read_judgements(path)
        for path in self._folder.triples:
            self._read_triples(path)
        for path in self._folder.runs:
            self._read_run(path)
        insert = "INSERT INTO passage SELECT ?1, ?2 WHERE ?1 IN wanted ON CONFLICT DO NOTHING"
        self._database.execute("CREATE TEMP TABLE wanted (id TEXT PRIMARY KEY) WITHOUT ROWID")
        self._database.execute("INSERT INTO wanted SELECT DISTINCT passage FROM judged")
        for place, row in self._documents(self._folder.corpus):
            title = row.get("title") or ""
            if not isinstance(title, str):
                self._bad(place, f"'title' is {kind_of(title)} {title!r:.60}: make it a string")
                continue
            self._database.execute(insert, (row["_id"], join_title(title, str(row["text"]))))

    def rows(self) -> Iterator[Row]:
        """The queries in the order of their file."""
        for place, row in self._documents(self._folder.queries):
            query = str(row["_id"])
            if not self._database.execute("INSERT OR IGNORE INTO query VALUES (?)", (query,)).rowcount:
                self._bad(place, f"the id {query!r:.80} is that of an earlier query: give each its own")
                continue
            positives, negatives = self._passages(query)
            if positives:
                yield (
                    place,
                    {
                        **{name: value for name, value in row.items() if name not in ("_id", "text")},
                        "query": row["text"],
                        "query_id": query,
                        "pos": [text for _, text in positives],
                        "pos_ids": [passage for passage, _ in positives],
                        "neg": [text for _, text in negatives],
                        "neg_ids": [passage for passage, _ in negatives],
                    },
                )

    def report_unknown_queries(self) -> None:
        """Name the judgements of queries that do not exist. A run may well know more queries than are trained on."""
        unknown = self._database.execute(
            "SELECT query, place FROM judged WHERE is_positive AND query NOT IN (SELECT id FROM query) ORDER BY number"
        )
        for query, place in unknown:
            self._bad(place, f"no query {query!r:.80} in {self._folder.queries}: add it, or take the line out")

    def _passages(self, query: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """Ids and texts of the positives and of the negatives of a query."""
        found: tuple[list[tuple[str, str]], list[tuple[str, str]]] = ([], [])
        known = self._database.execute(
            "SELECT judged.passage, text, is_positive, place FROM judged LEFT JOIN passage ON id = judged.passage "
            "WHERE query = ? ORDER BY number",
            (query,),
        )
        for passage, text, is_positive, place in known.fetchall():
            if text is None:
                self._bad(place, f"no passage {passage!r:.80} in {self._folder.corpus}: add it, or take the line out")
            else:
                found[0 if is_positive else 1].append((passage, text))
        return found

    def _documents(self, path: Path) -> Iterator[tuple[str, dict[str, object]]]:
        for place, row in read_lines(SourceFile(path, path.name), self._reading):
            if not isinstance(row, dict):
                self._bad(place, f"not an object but {kind_of(row)} {row!r:.60}: give one with '_id' and 'text'")
            elif wrong := next((name for name in ("_id", "text") if not isinstance(row.get(name), str)), None):
                value = row.get(wrong)
                self._bad(place, f"{wrong!r} is {kind_of(value)} {value!r:.60}: make it a string")
            else:
                yield place, row

    def _read_judgements(self, path: Path) -> None:
        for number, place, cells in self._lines(path):
            if len(cells) == 4:  # the form of TREC, with a column of zeros
                cells = [cells[0], *cells[2:]]
            if len(cells) != 3:
                self._bad(place, f"{len(cells)} columns: give query id, passage id and score")
            elif _is_number(cells[2]):
                self._judge(cells[0], cells[1], float(cells[2]) > 0, place)
            elif number > 1:  # else a header
                self._bad(place, f"the score is {cells[2]!r:.60}: give a number, above 0 for a positive")

    def _read_triples(self, path: Path) -> None:
        for _, place, cells in self._lines(path):
            if len(cells) not in (2, 3):
                self._bad(place, f"{len(cells)} columns: give query id, id of a positive, id of a negative")
                continue
            for passage, is_positive in zip(cells[1:], (True, False), strict=False):
                self._judge(cells[0], passage, is_positive, place)

    def _read_run(self, path: Path) -> None:
        for _, place, cells in self._lines(path):
            if len(cells) != 6 or not cells[3].isdecimal():
                self._bad(place, "no line of a run: give QUERY Q0 PASSAGE RANK SCORE NAME")
            elif int(cells[3]) <= RUN_DEPTH:
                self._judge(cells[0], cells[2], False, place)

    def _judge(self, query: str, passage: str, is_positive: bool, place: str) -> None:
        """Remember a pair. Whoever calls it positive is right; otherwise the first counts."""
        self._numbers += 1
        self._database.execute(
            "INSERT INTO judged VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET is_positive = 1 "
            "WHERE excluded.is_positive",
            (query, passage, is_positive, self._numbers, place),
        )

    def _lines(self, path: Path) -> Iterator[tuple[int, str, list[str]]]:
        file = SourceFile(path, path.name)
        with open_content(path) as stream:
            for number, line in decode_lines(stream, file, self._reading):
                if cells := line.split():
                    yield number, file.place(number), cells

    def _bad(self, place: str, problem: str) -> None:
        self._reading.bad(InputError(f"{place}: {problem}"))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
