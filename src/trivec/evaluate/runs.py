"""Runs: for each query the documents that a system found, in the file format of TREC.

A line is ``query Q0 document rank score tag``. What counts is the score: the rank is written for people, and ignored
when a file is read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trivec.data.opening import open_content
from trivec.errors import InputError
from trivec.evaluate.measures import Ranking, ranked
from trivec.tensorfile import replacing


@dataclass(frozen=True)
class Run:
    """What a system found.

    Attributes:
        name: of the system.
        rankings: by query id.
    """

    name: str
    rankings: Mapping[str, Ranking]


def write_run(run: Run, path: Path) -> None:
    """Write a run, best documents first; scores so exact that reading gives the same single-precision numbers.

    Raises:
        InputError: an id is empty or has a blank in it, which the format cannot hold.
    """
    for name in [run.name, *run.rankings, *{document for ranking in run.rankings.values() for document in ranking}]:
        if not name or name.split() != [name]:
            raise InputError(f"the id {name!r:.80} is empty or has blanks, and a run file separates by blanks")
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for query, ranking in run.rankings.items():
            for rank, document in enumerate(ranked(ranking), start=1):
                file.write(f"{query} Q0 {document} {rank} {np.float32(ranking[document])!s} {run.name}\n")


def read_run(path: Path) -> Run:
    """Read a run; its name is the tag of its first line.

    Raises:
        InputError: a line is none of a run, or names a document of a query twice.
    """
    rankings: dict[str, dict[str, float]] = {}
    tag = ""
    for number, line in numbered_lines(path):
        cells = line.split()
        if len(cells) not in (5, 6):
            raise InputError(
                f"{path}:{number}: {len(cells)} columns, and a run has six (query Q0 document rank score tag)"
            )
        query, _, document, _, score, *rest = cells
        value = _number(score)
        if value is None:
            raise InputError(f"{path}:{number}: the score {score!r:.40} is no number")
        ranking = rankings.setdefault(query, {})
        if document in ranking:
            raise InputError(f"{path}:{number}: {document!r:.80} stands twice in the ranking of query {query!r:.80}")
        ranking[document] = value
        tag = tag or (rest[0] if rest else "")
    if not rankings:
        raise InputError(f"{path} is empty: a run has a line for each document that was found")
    return Run(tag or path.name.partition(".")[0], rankings)


def read_relevance(path: Path) -> dict[str, dict[str, int]]:
    """Judgements: ``query 0 document grade`` as TREC has them, or three columns ``query document grade``.

    Columns are separated by tabs or blanks; a first line whose last column is no number is a header.

    Raises:
        InputError: a line is neither, a grade is no whole number, or a pair is judged twice and differently.
    """
    relevance: dict[str, dict[str, int]] = {}
    for number, line in numbered_lines(path):
        cells = line.split("\t") if "\t" in line else line.split()
        grade = _number(cells[-1]) if len(cells) in (3, 4) else None
        if grade is None and number == 1 and len(cells) in (3, 4):
            continue
        if grade is None or not grade.is_integer():
            raise InputError(
                f"{path}:{number}: {line!r:.60} is no judgement: give query, document and a whole number, or the four "
                "columns of TREC"
            )
        add_grade(relevance, cells[0].strip(), cells[-2].strip(), int(grade), f"{path}:{number}")
    if not relevance:
        raise InputError(f"{path} holds no judgements: give query, document and grade on each line")
    return relevance


def add_grade(relevance: dict[str, dict[str, int]], query: str, document: str, grade: int, place: str) -> None:
    """Take a judgement that was found at a place.

    Raises:
        InputError: the pair is judged already, and differently.
    """
    known = relevance.setdefault(query, {}).setdefault(document, grade)
    if known != grade:
        raise InputError(
            f"{place}: document {document!r:.80} is judged {known} and {grade} for query {query!r:.80}: leave one of "
            "the lines out"
        )


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines that are not blank; a line ends at a line feed only, for ids may hold any other character."""
    if not path.is_file():
        raise InputError(f"there is no file {path}: check the path")
    with open_content(path) as file:
        for number, raw in enumerate(file, start=1):
            try:
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                raise InputError(f"{path}:{number}: not utf-8 (byte {error.start + 1}): convert it first") from error
            if line.strip():
                yield number, line


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
