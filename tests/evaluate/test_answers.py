"""Answers in passages: golden cases in several scripts, and a matcher that looks at every place."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivec import Encoder
from trivec.errors import InputError
from trivec.evaluate.answers import clean, holds_answer, judge, tokens
from trivec.evaluate.evaluation import evaluate
from trivec.evaluate.layouts import read_judged
from trivec.evaluate.options import EvaluateOptions


@pytest.mark.parametrize(
    ("passage", "answer", "holds"),
    [
        ("The café opened in 1999.", "cafe\u0301", True),
        ("The cafe opened in 1999.", "café", False),
        ("It opened in 1999.", "199", False),
        ("He lives in New York City", "new york", True),
        ("New (York)", "New York", False),
        ("Rock 'n' Roll", "rock 'n' roll", True),
        ("กรุงเทพมหานคร เป็นเมืองหลวง", "เป็นเมืองหลวง", True),
        ("北京 是首都", "首都", False),
        ("北京 是首都", "是首都", True),
        ("كِتَاب جديد", "كِتَاب", True),
        ("price: $5", "$5", True),
        ("price: 5", "$5", False),
        ("nothing", "", False),
        ("nothing", " \u00ad\u200b", False),
    ],
)
def test_golden_cases(passage: str, answer: str, holds: bool) -> None:
    assert holds_answer(tokens(passage), [tokens(answer)]) is holds


def test_tokens_are_runs_and_signs() -> None:
    assert tokens("It's 3.5%,\tÉté_x") == ["it", "'", "s", "3", ".", "5", "%", ",", "e\u0301te\u0301", "_", "x"]


def test_cleaning_makes_variants_one() -> None:
    assert (
        clean("A\u2013B \u201cC\u201d D\u2019s \u2026 1\u20442 so\u00adft\x07\nNEXT")
        == 'a-b "c" d\'s ... 1/2 soft next'
    )


@given(st.text("aé ุ中-1", max_size=12), st.text("aé ุ中-1", max_size=4))
def test_random_texts_equal_brute_force(passage: str, answer: str) -> None:
    def plain(text: str) -> list[str]:
        found, run = [], ""
        for letter in unicodedata.normalize("NFD", text) + " ":
            if unicodedata.category(letter)[0] in "LNM":
                run += letter
                continue
            found += [run] if run else []
            found += [letter] if letter != " " else []
            run = ""
        return found

    own, wanted = plain(passage), plain(answer)
    expected = bool(wanted) and any(own[i : i + len(wanted)] == wanted for i in range(len(own)))
    assert holds_answer(tokens(passage), [tokens(answer)]) is expected


def test_lists_of_any_length_are_judged() -> None:
    texts = {"a": "paris is big", "b": "rome", "c": "the paris hotel"}
    rankings = [{"q1": {"a": 1.0, "b": 0.5}, "q2": {}}, {"q1": {"c": 1.0}, "q2": {"b": 1.0}}]
    found = judge(rankings, texts, {"q1": ["Paris", "?"], "q2": ["Paris"]})
    unseen = "(a passage with an answer)"
    assert found == {"q1": {unseen: 1, "a": 1, "b": 0, "c": 1}, "q2": {unseen: 1, "b": 0}}


@pytest.fixture
def mkqa(tmp_path: Path) -> Path:
    folder = tmp_path / "nq"
    (folder / "mkqa").mkdir(parents=True)
    corpus = [
        {"_id": "d1", "title": "The City", "text": "of PARIS\u2014old"},
        {"_id": "d2", "title": "", "text": "a river"},
    ]
    questions = [
        {"id": 7, "question": "paris", "answers": ["Paris", "..."]},
        {"id": 8, "question": "river", "answers": ["nowhere"]},
        {"id": 9, "question": "no answer", "answers": [" "]},
    ]
    for path, rows in ((folder / "corpus.jsonl", corpus), (folder / "mkqa" / "de.jsonl", questions)):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_mkqa_is_measured_by_answers(mkqa: Path, load_tiny: Callable[..., Encoder]) -> None:
    judged = read_judged(mkqa, "de")
    assert judged.name == "nq-de"
    assert [(query.id, query.language) for query in judged.queries] == [("7", "de"), ("8", "de")]
    assert [document.text for document in judged.documents] == ["the city of paris-old", "a river"]
    encoder = load_tiny("m3")
    found = evaluate(encoder, judged, EvaluateOptions(["dense", "bm25"], ["hit@20", "Success@100"]))
    assert found.systems["dense"].measured.means() == {"Success@20": 0.5, "Success@100": 0.5}
    assert found.worst[0].query.id == "8"
    with pytest.raises(InputError, match="nq-de has answers and no judgements, so nDCG@10, R@100 cannot be measured"):
        evaluate(encoder, judged)


def test_a_question_without_answers_is_named(mkqa: Path) -> None:
    (mkqa / "mkqa" / "de.jsonl").write_text('{"id": 1, "question": "x"}\n')
    with pytest.raises(InputError, match="is no question of MKQA"):
        read_judged(mkqa)
