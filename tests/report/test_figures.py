"""Figures are well-formed, show every value inside their frame, and take names as text."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from trivec.report.bars import bars
from trivec.report.curves import Curve, chart
from trivec.report.distributions import distributions
from trivec.report.heat_map import heat_map
from trivec.report.page import table, write_page
from trivec.report.scatter import scatter

NAMES = ("a & b", "<script>", "ünï")


def parsed(picture: str) -> ElementTree.Element:
    return ElementTree.fromstring(picture)


def assert_inside(root: ElementTree.Element) -> None:
    """Every label starts inside the drawing; those that end at a place have room for their letters before it."""
    drawing = next(root.iter("svg"))
    _, _, width, height = map(float, drawing.attrib["viewBox"].split())
    for text in drawing.iter("text"):
        x, y, length = float(text.attrib["x"]), float(text.attrib["y"]), 7.2 * len(text.text or "")
        left = {"start": x, "middle": x - length / 2, "end": x - length}[text.attrib["text-anchor"]]
        assert left >= 0 and left + length <= width and 0 < y <= height


def test_a_chart_fits_its_curves() -> None:
    picture = chart("Loss <1>", [Curve("a & b", list(range(1000)), [1.0] * 1000), Curve("one", [5], [2.0])])
    assert picture.count("<polyline") == 2
    assert "Loss &lt;1&gt;" in picture and "a &amp; b" in picture
    points = picture.split('points="')[1].split('"')[0].split()
    assert len(points) <= 300
    assert points[0].startswith("64.") and points[-1].startswith("7")
    assert_inside(parsed(picture))


@pytest.mark.parametrize("values", [(0.9, 0.45, 0.0), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)])
def test_bars_are_as_long_as_their_values(values: tuple[float, ...]) -> None:
    root = parsed(bars("nDCG", dict(zip(NAMES, values, strict=True))))
    lengths = [float(bar.attrib["width"]) for bar in root.iter("rect")]
    assert len(lengths) == 3
    if values[1] == 0.45:
        assert lengths[1] == pytest.approx(lengths[0] / 2, abs=0.1)
    assert_inside(root)


def test_labels_of_points_hide_no_other() -> None:
    points = {f"system number {number}": (1000.0 + number, 0.5 + number / 1000) for number in range(7)}
    root = parsed(scatter("Quality", points, "bytes", "nDCG"))
    labels = [text for text in root.iter("text") if text.attrib.get("class") == "value"]
    heights = sorted(float(text.attrib["y"]) for text in labels)
    assert len(heights) == 7
    assert min(b - a for a, b in pairwise(heights)) >= 14
    assert_inside(root)
    assert_inside(parsed(scatter("One", {"alone": (5.0, 0.5)}, "bytes", "nDCG")))


def test_distributions_leave_out_what_is_empty() -> None:
    root = parsed(distributions("Scores", {"relevant": [0.5, 0.9], "none": [], "others": [0.1, 0.1, 0.2]}))
    assert len([path for path in root.iter("path") if "fill-opacity" in path.attrib]) == 2
    assert_inside(root)
    assert distributions("Scores", {"relevant": []}) == ""
    assert parsed(distributions("Scores", {"same": [1.0, 1.0]})) is not None


def test_the_best_of_a_row_stands_out() -> None:
    root = parsed(heat_map("By language", ["dense", "sparse"], {"de": [0.5, 0.25], "fr": [0.3, 0.3]}))
    cells = [cell for cell in root.iter("td") if "style" in cell.attrib]
    assert [cell.find("b") is not None for cell in cells] == [True, False, True, True]
    assert [re.search(r"([\d.]+)\)$", cell.attrib["style"])[1] for cell in cells] == ["0.45", "0.00", "0.00", "0.00"]  # type: ignore[index]


def test_a_page_needs_nothing_else_and_takes_names_as_text(tmp_path: Path) -> None:
    write_page(tmp_path / "page.html", "<b>", [table(["<i>"], [["<u>"]], [[True]]), bars("x", {"<s>": 1.0})])
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    for tag in ("<b>&lt;u&gt;</b>", "&lt;b&gt;", "&lt;i&gt;", "&lt;s&gt;", "prefers-color-scheme: dark"):
        assert tag in page
    assert not re.search(r"https?://|<script|<link|@import", page)
    assert table(["a"], []) == ""
