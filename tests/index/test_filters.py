"""The filter language: what is read, what it means, and what is said when it cannot be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivec.errors import FilterError
from trivec.index.conditions import And, Comparison, Exists, Filter, Membership, Not, Or
from trivec.index.filters import parse_filter
from trivec.types import MetadataValue, Passage

from store_cases import filters

LANG, YEAR = Comparison("lang", "=", "de"), Comparison("year", ">=", 2000)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('lang = "de"', LANG),
        ("lang == 'de'", LANG),
        ("lang!='de'", Comparison("lang", "!=", "de")),
        ("year>=2000", YEAR),
        ("x < -1.5e3", Comparison("x", "<", -1500.0)),
        ("x <= +.5", Comparison("x", "<=", 0.5)),
        ('day > "2024-01-31"', Comparison("day", ">", "2024-01-31")),
        ("ok = TRUE", Comparison("ok", "=", True)),
        ("ok = null", Comparison("ok", "=", None)),
        ("a.b-c_1 = 1", Comparison("a.b-c_1", "=", 1)),
        ("größe = 1", Comparison("größe", "=", 1)),
        ("`odd \\`name\\u0041` = 1", Comparison("odd `nameA", "=", 1)),
        (r'x = "a\"b\\c\n"', Comparison("x", "=", 'a"b\\c\n')),
        ('x = "it\'s"', Comparison("x", "=", "it's")),
        ('lang in ["de", 1, null]', Membership("lang", ("de", 1, None))),
        ('lang any ["de"]', Membership("lang", ("de",))),
        ("lang not in []", Not(Membership("lang", ()))),
        ('tags all ["a", "b"]', Membership("tags", ("a", "b"), "all")),
        ("exists year", Exists("year")),
        ("missing `not`", Not(Exists("not"))),
        ("not exists year", Not(Exists("year"))),
        ('lang = "de" and year >= 2000', And((LANG, YEAR))),
        ('lang = "de" or year >= 2000 and exists x', Or((LANG, And((YEAR, Exists("x")))))),
        ('(lang = "de" OR year >= 2000) AND exists x', And((Or((LANG, YEAR)), Exists("x")))),
        ('not lang = "de" and year >= 2000', And((Not(LANG), YEAR))),
        ("((exists x))", Exists("x")),
        ("  ", None),
    ],
)
def test_expressions_are_read(expression: str, expected: Filter | None) -> None:
    assert parse_filter(expression) == expected


@pytest.mark.parametrize(
    ("mapping", "expression"),
    [
        ({"lang": "de"}, 'lang = "de"'),
        ({"lang": ["de", "fr"]}, 'lang in ["de", "fr"]'),
        ({"year": {">=": 2000, "<": 2010}}, "year >= 2000 and year < 2010"),
        ({"tags": {"all": ["a"]}, "x": {"not in": [1]}}, 'tags all ["a"] and x not in [1]'),
        ({"x": {"exists": True}, "y": {"exists": False}}, "exists x and missing y"),
        ({"x": {"missing": True}, "y": None}, "missing x and y = null"),
        ({}, ""),
    ],
)
def test_mappings_are_read(mapping: Mapping[str, Any], expression: str) -> None:
    assert parse_filter(mapping) == parse_filter(expression)


@given(filters)
def test_a_filter_written_and_read_is_the_same(where: Filter) -> None:
    assert parse_filter(str(where)) == where
    assert parse_filter(where) is where


@given(st.text(), st.text())
def test_any_name_and_text_can_be_written_and_read(field: str, text: str) -> None:
    where = Comparison(field, "=", text)
    assert parse_filter(str(where)) == where


@given(st.text(alphabet="ab=<>!()[],\"'`\\ 1.-+enotradi~é\n"))
def test_any_text_is_read_or_refused_with_a_filter_error(expression: str) -> None:
    try:
        where = parse_filter(expression)
    except FilterError:
        return
    assert parse_filter(str(where) if where else None) == where


@pytest.mark.parametrize(
    ("expression", "caret", "message"),
    [
        ("lang =", 6, "expected text in quotes, a number, true, false or null after '=', found the end"),
        ("lang = de", 7, "text takes quotes"),
        ("lang de", 5, "expected one of = != < <= > >= in, not in, any, all"),
        ('"lang" = 1', 0, "a field's name takes no quotes"),
        ("in = 1", 0, "expected the name of a field"),
        ('year > "soon"', 7, 'give a number, or a date such as "2024-01-31"'),
        ("ok < true", 5, "< cannot compare with true"),
        ("x in 1", 5, "expected '['"),
        ("x in [1 2]", 8, "expected ',' or ']'"),
        ("x not 1", 6, "expected 'in' after 'not'"),
        ("(x = 1", 6, "expected ')'"),
        ("x = 1 y = 2", 6, "expected 'and', 'or' or the end"),
        ("x = 1 and", 9, "expected the name of a field"),
        ("x ~ 1", 2, "'~' has no meaning here"),
        ("x = 2024-01-31", 4, "put text and dates in quotes"),
        ("x = 1e999", 4, "is not a number"),
        ('x = "abc', 4, "never closed"),
        (r'x = "\q"', 5, "unknown escape"),
        ("(" * 200 + "x = 1" + ")" * 200, 100, "at most 100"),
    ],
)
def test_errors_show_the_place_and_what_was_expected(expression: str, caret: int, message: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse_filter(expression)
    first, shown, pointer = str(caught.value).rsplit("\n", 2)
    assert message in first
    assert shown == f"    {expression}"
    assert pointer == " " * (4 + caret) + "^"


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (7, "cannot be made of int"),
        ({"x": {"like": 1}}, "unknown operator 'like' for field 'x'"),
        ({"x": {"in": "abc"}}, "give a list"),
        ({"x": {"exists": 1}}, "give True or False"),
        ({3: 1}, "must be text"),
        ({"x": object()}, "give text, a number"),
        ({"x": float("nan")}, "finite"),
        ({"x": {"<": "soon"}}, "give a number, or a date"),
    ],
)
def test_mappings_that_mean_nothing_are_refused(where: Any, message: str) -> None:
    with pytest.raises(FilterError, match=message):
        parse_filter(where)


def test_joining_fewer_than_two_conditions_is_refused() -> None:
    with pytest.raises(FilterError, match="at least two"):
        And((LANG,))


@pytest.mark.parametrize(
    ("value", "expression", "expected"),
    [
        ("de", 'x = "de"', True),
        ("de", 'x = "DE"', False),
        (1, "x = 1.0", True),
        (True, "x = 1", False),
        (1, "x = true", False),
        (True, "x = true", True),
        ("1", "x = 1", False),
        (2**53 + 1, f"x = {2**53}", False),
        (None, "x = null", True),
        ([], "x = null", False),
        (["a", None], "x = null", True),
        (["a", "b"], 'x = "b"', True),
        (["a", "b"], 'x != "b"', False),
        (["a", "b"], 'x in ["b", "c"]', True),
        (["a", "b"], 'x all ["b", "c"]', False),
        (["a", "b"], 'x all ["b", "a"]', True),
        ("a", "x in []", False),
        ("a", "x all []", True),
        ([1, 5], "x > 4 and x < 2", True),
        (5, "x >= 5", True),
        (True, "x > 0", False),
        ("5", "x > 0", False),
        ("2024-01-31", 'x >= "2024-01-31T00:00:00Z"', True),
        ("2024-01-31T01:00:00+02:00", 'x < "2024-01-31"', True),
        ("2024-01-31 12:00", 'x > "2024-01-31"', True),
        ("20240131", 'x > "2024-01-01"', False),
        ("yesterday", 'x < "2024-01-01"', False),
        (2024, 'x < "2024-01-01"', False),
        ("2024-01-31", 'x = "2024-01-31T00:00:00"', False),
        (None, "exists x", False),
        ([None], "exists x", False),
        ([], "missing x", True),
        ("", "exists x", True),
        (0, "exists x", True),
        ("a", "exists y", False),
        ("a", 'y != "a"', True),
        ("a", "not y > 1", True),
        ("a", 'id = "doc" and title = "Title"', True),
        ("a", "exists id and exists title", True),
    ],
)
def test_conditions_mean_what_the_language_says(value: MetadataValue, expression: str, expected: bool) -> None:
    where = parse_filter(expression)
    assert where is not None
    assert where.matches(Passage("doc", "text", "Title", {"x": value})) is expected


def test_an_empty_title_is_missing_and_metadata_cannot_hide_the_id() -> None:
    passage = Passage("doc", "text", "", {"title": "other", "id": "other"})
    for expression in ("missing title", 'title != "other"', 'id = "doc"'):
        where = parse_filter(expression)
        assert where is not None and where.matches(passage)
