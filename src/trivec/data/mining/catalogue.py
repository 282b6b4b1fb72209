"""The texts that mining works with, each once, in a file on disk: what a corpus holds is not bound by memory.

Texts are numbered from 0: candidates first, then positives that are no candidates, which are there to be scored. Two
texts of one normal form are one text, that of the first.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from trivec.data.examples import Example
from trivec.data.texts import text_key

_SCHEMA = """
CREATE TABLE texts (number INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, id TEXT, text TEXT NOT NULL);
CREATE TABLE names (id TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (id, number)) WITHOUT ROWID;
CREATE TABLE answers (query BLOB NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (query, number)) WITHOUT ROWID;
CREATE TABLE counts (name TEXT PRIMARY KEY, count INTEGER NOT NULL);
"""
_ASKED = 500
"""Values in one question to SQLite."""

_CACHE_KIB = 65_536


@dataclass(frozen=True, slots=True)
class Text:
    """A text of the catalogue; ``id`` is its own, or 32 hexadecimal digits of its key where it has none."""

    number: int
    id: str
    text: str


class TextCatalogue:
    """Texts by number, key and id; and which of them answer which query."""

    def __init__(self, path: Path) -> None:
        """Use `create` or `open`."""
        self._database = sqlite3.connect(path)
        self._database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self.candidates = self.examples = self._count = 0

    @classmethod
    def create(cls, path: Path) -> TextCatalogue:
        """Begin a new file. It is worth nothing until `finish`, so nothing is made durable before."""
        path.unlink(missing_ok=True)
        catalogue = cls(path)
        catalogue._database.execute("PRAGMA journal_mode = OFF")
        catalogue._database.execute("PRAGMA synchronous = OFF")
        catalogue._database.executescript(_SCHEMA)
        return catalogue

    @classmethod
    def open(cls, path: Path) -> TextCatalogue:
        """Open a finished file."""
        catalogue = cls(path)
        counts = dict(catalogue._database.execute("SELECT name, count FROM counts"))
        catalogue.candidates, catalogue.examples = counts["candidates"], counts["examples"]
        catalogue._count = counts["texts"]
        return catalogue

    # -- filling -------------------------------------------------------------------------------------------

    def add_candidates(self, texts: Iterable[tuple[str, str]]) -> None:
        """Add texts, each with its id, or "" for none. They must all come before the first `add_answers`."""
        for text, name in texts:
            self._add(text, name)
        self.candidates = len(self)

    def add_answers(self, examples: Iterable[Example]) -> None:
        """Add what is still missing of the positives, and note which queries they answer."""
        for example in examples:
            self.examples += 1
            key = text_key(example.query)
            for text, name in with_ids(example.positives, example.positive_ids):
                number = self._add(text, name)
                self._database.execute("INSERT OR IGNORE INTO answers VALUES (?, ?)", (key, number))

    def finish(self) -> None:
        """Make it all durable."""
        counts = {"texts": len(self), "candidates": self.candidates, "examples": self.examples}
        self._database.executemany("INSERT INTO counts VALUES (?, ?)", counts.items())
        self._database.commit()
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.execute("PRAGMA journal_mode = DELETE")

    def _add(self, text: str, name: str) -> int:
        key = text_key(text)
        found = self._database.execute("SELECT number FROM texts WHERE key = ?", (key,)).fetchone()
        number = self._count if found is None else int(found[0])
        if found is None:
            self._database.execute("INSERT INTO texts VALUES (?, ?, ?, ?)", (number, key, name or None, text))
            self._count += 1
        if name:
            self._database.execute("INSERT OR IGNORE INTO names VALUES (?, ?)", (name, number))
        return number

    # -- reading -------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return self._count

    def texts(self, numbers: Sequence[int]) -> list[Text]:
        """Texts by number, in the order asked."""
        rows = self._among("SELECT number, COALESCE(id, LOWER(HEX(key))), text FROM texts WHERE number IN", numbers)
        found = {int(number): Text(int(number), name, text) for number, name, text in rows}
        return [found[number] for number in numbers]

    def stretch(self, start: int, stop: int) -> list[str]:
        """The texts numbered from ``start`` to before ``stop``."""
        query = "SELECT text FROM texts WHERE number >= ? AND number < ? ORDER BY number"
        return [text for (text,) in self._database.execute(query, (start, stop))]

    def numbers(self, texts: Iterable[str]) -> list[int]:
        """Numbers of those of the texts that are known."""
        keys = list(map(text_key, texts))
        return [int(number) for (number,) in self._among("SELECT number FROM texts WHERE key IN", keys)]

    def named(self, ids: Sequence[str]) -> list[int]:
        """Numbers of the texts that have one of these ids."""
        return [int(number) for (number,) in self._among("SELECT number FROM names WHERE id IN", ids)]

    def answers(self, query: str) -> list[int]:
        """Numbers of the positives of all examples with this query."""
        rows = self._database.execute("SELECT number FROM answers WHERE query = ?", (text_key(query),))
        return [int(number) for (number,) in rows]

    def _among(
        self, question: str, values: Sequence[int] | Sequence[str] | Sequence[bytes]
    ) -> Iterator[tuple[str, ...]]:
        for start in range(0, len(values), _ASKED):
            some = values[start : start + _ASKED]
            yield from self._database.execute(f"{question} ({','.join('?' * len(some))})", some)

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()


def with_ids(texts: Sequence[str], ids: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Texts with their ids, or with "" where there are none."""
    return zip(texts, ids or itertools.repeat(""), strict=False)
