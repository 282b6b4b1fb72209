"""NarrativeQA: questions about whole stories, which are old text files and web pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from trivec.errors import InputError
from trivec.evaluate.judged_sets import JudgedQuery
from trivec.evaluate.layouts import read_judged
from trivec.types import Document

from miniatures import write, write_narrative_qa


def test_questions_and_stories_of_the_test_split(tmp_path: Path) -> None:
    judged = read_judged(write_narrative_qa(tmp_path))
    assert judged.queries == [
        JudgedQuery("q2", 'What is "blue", then?', language="en"),
        JudgedQuery("q3", "What falls?", language="en"),
    ]
    assert judged.documents == [Document("a1", "The sky’s blue.\n"), Document("b2", "INT. CAFÉ\n Rain falls.")]
    assert judged.relevance == {"q2": {"a1": 1}, "q3": {"b2": 1}}


def test_a_split_can_be_named(tmp_path: Path) -> None:
    folder = write_narrative_qa(tmp_path)
    write(folder / "tmp" / "c3.content", "The sun.")
    assert [query.text for query in read_judged(folder, "train").queries] == ["What shines?"]
    with pytest.raises(InputError, match=r"has no story of the set valid in documents\.csv: .* \(it has test, train\)"):
        read_judged(folder, "valid")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    folder = write_narrative_qa(tmp_path)
    with pytest.raises(InputError, match=r"1 of the 1 stories of train are not there, the first is .*c3\.content"):
        read_judged(folder, "train")
    write(folder / "qaps.csv", "document_id,set,answer1\n")
    with pytest.raises(InputError, match=r"qaps\.csv:1: no column 'question': the columns are document_id, set"):
        read_judged(folder)


def test_bytes_without_a_meaning_in_windows_1252(tmp_path: Path) -> None:
    folder = write_narrative_qa(tmp_path)
    write(folder / "tmp" / "a1.content", b"caf\xe9 \x81")
    write(folder / "tmp" / "b2.content", b"<PRE>caf\xe9 \x81x</PRE>")
    assert [document.text for document in read_judged(folder).documents] == ["café \x81", "café \x81x"]
