"""`TextPairs`: pairs of texts, graded by how like they are, or translations of each other.

Files of one JSON object a line, plain or compressed:

    similarity     sentence1, sentence2, score
    translation    sentence1, sentence2 and a language in ``lang``; or src, eng and lang

and the tab-separated ``sts-dev.csv`` and ``sts-test.csv`` of the STS benchmark (Cer et al. 2017, 1708.00055). A folder
with the Tatoeba files of LASER, ``tatoeba.deu-eng.deu`` beside ``tatoeba.deu-eng.eng``, is a set of translations.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trivec.errors import InputError
from trivec.evaluate.layouts.files import rows
from trivec.evaluate.runs import numbered_lines

_FIELDS = (("sentence1", "sentence2"), ("src", "eng"), ("src", "tgt"))
_STS_COLUMNS = (7, 9)


@dataclass(frozen=True)
class TextPairs:
    """Pairs of texts.

    Attributes:
        name: for tables.
        first: one text of each pair.
        second: the other.
        grades: how like the texts of each pair are, the more the higher; None where they are translations.
        languages: of each first text, or empty strings.
    """

    name: str
    first: Sequence[str]
    second: Sequence[str]
    grades: Sequence[float] | None
    languages: Sequence[str]


def read_pairs(path: Path) -> TextPairs | None:
    """Pairs from a file or folder; None if it holds something else.

    Raises:
        InputError: a line is broken.
    """
    if path.is_dir():
        return _tatoeba(path)
    if path.name.startswith("sts-") and path.suffix == ".csv":
        return _sts_benchmark(path)
    if ".jsonl" not in path.suffixes:
        return None
    objects = rows(path)
    first = next(objects, None)
    fields = _fields(first[1]) if first is not None else None
    return _from_rows(path, _again(first, objects), fields) if fields is not None else None


def _fields(row: Mapping[str, Any]) -> tuple[str, str] | None:
    return next((pair for pair in _FIELDS if all(field in row for field in pair)), None)


def _again(first: Any, rest: Iterator[Any]) -> Iterator[Any]:  # noqa: ANN401
    yield first
    yield from rest


def _from_rows(path: Path, found: Iterator[tuple[str, Mapping[str, Any]]], fields: tuple[str, str]) -> TextPairs:
    sides: tuple[list[str], list[str]] = ([], [])
    grades: list[float] = []
    languages = []
    for place, row in found:
        for side, field in zip(sides, fields, strict=True):
            if not isinstance(row.get(field), str):
                raise InputError(f"{place}: {field} is {row.get(field)!r:.40}, and should be a text")
            side.append(row[field])
        languages.append(str(row.get("lang") or ""))
        if "score" in row:
            grades.append(_grade(row["score"], place))
    if grades and len(grades) != len(languages):
        raise InputError(f"{path}: {len(grades)} of {len(languages)} pairs have a score: give one to all or to none")
    return TextPairs(path.name.partition(".")[0], *sides, grades or None, languages)


def _sts_benchmark(path: Path) -> TextPairs:
    found = []
    for number, line in numbered_lines(path):
        cells = line.split("\t")
        if not _STS_COLUMNS[0] <= len(cells) <= _STS_COLUMNS[1]:
            raise InputError(f"{path}:{number}: {len(cells)} columns, and the STS benchmark has seven or more")
        found.append((_grade(cells[4], f"{path}:{number}"), cells[5], cells[6]))
    if not found:
        raise InputError(f"{path} is empty: give pairs of sentences")
    grades, first, second = zip(*found, strict=True)
    return TextPairs(path.stem, first, second, grades, [""] * len(first))


def _tatoeba(folder: Path) -> TextPairs | None:
    first: list[str] = []
    second: list[str] = []
    languages: list[str] = []
    for english in sorted(folder.glob("tatoeba.*-eng.eng")):
        language = english.name.removeprefix("tatoeba.").removesuffix("-eng.eng")
        other = english.with_name(f"tatoeba.{language}-eng.{language}")
        sides = [[line for _, line in numbered_lines(path)] for path in (other, english)]
        if len(sides[0]) != len(sides[1]):
            raise InputError(
                f"{other} has {len(sides[0])} lines and {english.name} has {len(sides[1])}: they should be pairs"
            )
        first += sides[0]
        second += sides[1]
        languages += [language] * len(sides[0])
    return TextPairs(folder.name, first, second, None, languages) if first else None


def _grade(value: object, place: str) -> float:
    try:
        grade = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        grade = math.nan
    if not math.isfinite(grade):
        raise InputError(f"{place}: the score {value!r:.40} is no number")
    return grade
