"""What a person chooses on the page: weights, a reranker, a second column, filters, and what is relevant."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest
from browsing import ATTACK, MORE, QUERY, Open, explained, ids, search, slide
from playwright.sync_api import Page, Route, expect

import trivec
from trivec.data import read_examples
from trivec.evaluate import read_judged

pytestmark = pytest.mark.browser


def test_sliders_rank_at_once_and_the_search_agrees(open_page: Open, library: trivec.Collection) -> None:
    page = open_page()
    search(page)
    explained(page)
    page.wait_for_load_state("networkidle")
    held: list[Route] = []
    page.route("**/search", lambda route: held.append(route))
    weights: dict[str, float] = {"dense": 0.0, "sparse": 0.0, "bm25": 2.0, "multi": 0.0}
    for name, value in (("BM25", 2), ("Dense", 0), ("Sparse", 0), ("Multi", 0)):
        slide(page, name, value)
    expected = library.search(QUERY, weights=weights)  # type: ignore[arg-type]
    scores = [f"{hit.score:.3f}" for hit in expected]
    shown = page.locator(".hit .total strong").all_text_contents()
    assert shown[: len(scores)] == scores  # no search has been answered
    assert {"dense", "sparse", "multi"}.isdisjoint(page.locator(".hit").first.locator("dt").all_inner_texts())
    page.wait_for_timeout(600)
    assert len(held) == 1
    assert held[0].request.post_data_json["weights"] == weights
    held[0].continue_()
    expect(page.locator(".hit")).to_have_count(len(expected))
    assert ids(page) == [hit.id for hit in expected]
    expect(page).to_have_url(re.compile("weights=dense%3A0%2Csparse%3A0%2Cbm25%3A2"))
    page.get_by_role("button", name="As the library").click()
    expect(page.get_by_role("slider", name="Dense")).to_have_value("1")


def test_a_reranker(open_page: Open, library: trivec.Collection, reranker: trivec.Reranker) -> None:
    page = open_page()
    page.get_by_label("Reranker").select_option(reranker.name)
    page.get_by_label("Hits it reads").fill("5")
    page.get_by_label("Weight of the first stage").fill("0.5")
    search(page, "water")
    expected = library.search("water", reranker=reranker, depth=10, first_stage=0.5)
    page.get_by_label("Hits it reads").fill("10")
    page.get_by_label("Hits it reads").blur()
    expect(page.locator(".hit .total strong").first).to_have_text(f"{expected[0].score:.3f}".replace("-", "−"))
    assert ids(page) == [hit.id for hit in expected]
    expect(page.locator(".hit").first.locator("dd.rerank .number")).to_have_text(re.compile(r"\d %"))
    slide(page, "Sparse", 2)
    expect(page).to_have_url(re.compile("sparse%3A2"))


def test_two_settings_side_by_side(open_page: Open, library: trivec.Collection) -> None:
    page = open_page(f"?q={QUERY}")
    expect(page.locator(".hit").first).to_be_visible()
    page.get_by_role("button", name="Compare").click()
    right = page.get_by_role("region", name="Right")
    right.get_by_role("radio", name="BM25").check(force=True)
    expect(page).to_have_url(re.compile("b.mode=bm25"))
    here = [hit.id for hit in library.search(QUERY)]
    there = [hit.id for hit in library.search(QUERY, mode="bm25")]
    expect(right.locator(".hit")).to_have_count(len(there))
    assert (ids(page, 0), ids(page, 1)) == (here, there)
    left = page.get_by_role("region", name="Left")
    for rank, name in enumerate(here, start=1):
        told = left.locator(f'.hit[data-id="{name}"] .change')
        if name not in there:
            expect(told).to_contain_text("only here")
        else:
            way = there.index(name) + 1 - rank
            expect(told).to_contain_text("same rank" if not way else f"{'▲' if way > 0 else '▼'} {abs(way)}")
    expect(left.locator(".shared")).to_contain_text(f"{len(set(here) & set(there))} of {len(here)} in both")
    page.reload()
    expect(page.get_by_role("region", name="Right").locator(".told")).to_have_text("library: bm25")


def test_filters(open_page: Open, library: trivec.Collection) -> None:
    page = open_page(f"?q={QUERY}")
    facets = page.locator(".facets")
    facets.get_by_text("lang", exact=True).click()
    facets.get_by_label("en").check()
    expect(page.locator(".hit")).to_have_count(3)
    assert set(ids(page)) == {"paris", "water", "signs"}
    page.get_by_label("Expression").fill("year > 2000")
    expect(page.locator(".hit")).to_have_count(1)
    assert ids(page) == ["paris"]
    page.get_by_label("Expression").fill("year >")
    expect(page.locator(".error.expression")).to_contain_text("cannot read the filter")
    expect(page.get_by_label("Expression")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Expression").fill("")
    expect(page.locator(".error.expression")).to_be_hidden()
    facets.get_by_label("en").uncheck()
    facets.get_by_label(ATTACK).check()
    expect(page.locator(".hit")).to_have_count(1)


def test_marks_are_kept_and_their_files_can_be_read(open_page: Open, tmp_path: Path) -> None:
    page = open_page(f"?q={QUERY}")
    expect(page.locator(".hit").first).to_be_visible()
    for name in ("paris", "signs"):
        page.locator(f'.hit[data-id="{name}"]').get_by_role("button", name="Relevant", exact=True).click()
    page.locator('.hit[data-id="a/b c"]').get_by_role("button", name="Not relevant").click()
    page.reload()
    marked = page.locator('.hit[data-id="paris"]').get_by_role("button", name="Relevant", exact=True)
    expect(marked).to_have_attribute("aria-pressed", "true")
    search(page, "night")
    page.locator('.hit[data-id="berlin"]').get_by_role("button", name="Not relevant").click()
    expect(page.get_by_text("4 marks (2 relevant) in 2 queries")).to_be_visible()

    (example,) = read_examples([saved(page, "Save for training", tmp_path)])
    assert (example.query, example.positive_ids, example.negative_ids) == (QUERY, ("paris", "signs"), ("a/b c",))
    assert example.positives[0] == "Paris Paris is the capital city of the country."
    assert example.negatives == ("science book and water",)

    with zipfile.ZipFile(saved(page, "Save for evaluation", tmp_path)) as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path / "set")
    found = read_judged(tmp_path / "set")
    by_text = {query.text: found.relevance[query.id] for query in found.queries}
    assert set(by_text) == {QUERY}  # nothing was right for the other, so nothing can be measured by it
    assert by_text[QUERY] == {"paris": 1, "signs": 1, "a/b c": 0}
    assert {document.id: document.text for document in found.documents}["signs"] == MORE[2].text

    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Forget").click()
    expect(page.get_by_text("Mark hits as relevant or not")).to_be_visible()


def saved(page: Page, button: str, folder: Path) -> Path:
    with page.expect_download() as download:
        page.get_by_role("button", name=button).click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path
