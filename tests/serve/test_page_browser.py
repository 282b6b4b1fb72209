"""The page in a real Chromium: what a person sees, hears and does."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright", reason="the tests of the page need playwright: pip install -e '.[dev]'")

from browsing import SWITCHES, find_chromium, served
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright
from serving import MakeApp

import trivec
from trivec import Document
from trivec.data import read_examples
from trivec.evaluate import read_judged
from trivec.serve.keys import ApiKeys, hash_key

pytestmark = pytest.mark.browser
expect.set_options(timeout=20_000)

QUERY = "the capital city and water"
KEY = "tv-a-long-and-random-key"
ATTACK = '<img src=x onerror="window.hurt = 1"><script>window.hurt = 1</script>'
MORE = [
    Document("attack", f"water {ATTACK}", ATTACK, {"lang": ATTACK}),
    Document("hebrew", "המים של ההר והעיר", "מים", {"lang": "he"}),
    Document("signs", "😀😀 the water of the 😀 river and a city", "😀 water", {"lang": "en"}),
    Document("long", "night and mountain. " * 50 + "The capital city has water. " + "book of science. " * 30),
]

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        own = find_chromium(playwright.chromium.executable_path)
        with_switches = playwright.chromium.launch(executable_path=own, args=SWITCHES)
        yield with_switches
        with_switches.close()


@pytest.fixture
def open_page(browser: Browser, make: MakeApp, library: trivec.Collection) -> Iterator[Open]:
    """Opens the page, and finds at the end that nothing went wrong in it unseen."""
    library.add(MORE)
    wrong: list[str] = []
    with served(make()) as plain, served(make(ApiKeys({hash_key(KEY): "laptop"}))) as locked:

        def begin(address: str = "", *, with_keys: bool = False, script: str = "", **context: Any) -> Page:
            opened = browser.new_context(reduced_motion="reduce", **context)
            opened.set_default_timeout(60_000)
            page = opened.new_page()
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on("console", lambda message: wrong.append(message.text) if is_wrong(message.text) else None)
            if script:
                page.add_init_script(script)
            page.goto(f"{locked if with_keys else plain}/{address}")
            return page

        yield begin
        for context in browser.contexts:
            context.close()
    assert not wrong


def is_wrong(message: str) -> bool:
    """Violations of the page's policy and the like; not the browser's own notes about answers with a status of 4xx."""
    return "Content Security Policy" in message or "Uncaught" in message


def ids(page: Page, column: int = 0) -> list[str]:
    hits = page.locator(".column").nth(column).locator(".hit")
    return hits.evaluate_all("hits => hits.map(hit => hit.dataset.id)")


def search(page: Page, query: str = QUERY) -> None:
    page.get_by_role("searchbox").fill(query)
    expect(page.get_by_role("status").first).to_contain_text("hits in")


def explained(page: Page) -> None:
    """Wait for the words of the hits."""
    expect(page.locator(".hit mark").first).to_be_visible()


def slide(page: Page, name: str, value: float) -> None:
    page.get_by_role("slider", name=name).evaluate(
        "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input', {bubbles: true})); }", value
    )


def test_a_search_while_typing(open_page: Open, library: trivec.Collection) -> None:
    page = open_page()
    expect(page.get_by_text("8 documents")).to_be_visible()
    page.get_by_role("searchbox").press_sequentially(QUERY)
    expect(page.get_by_role("status").first).to_have_text(re.compile(r"8 hits in \d+"))
    assert ids(page) == [hit.id for hit in library.search(QUERY)]
    expect(page).to_have_url(re.compile(r"\?q=the\+capital"))
    first = page.locator(".hit").first
    expect(first.locator("dd.dense .number")).to_have_text(re.compile(r"^−?\d\.\d{3}$"))
    expect(first.locator(".total strong")).to_have_text(f"{library.search(QUERY)[0].score:.3f}")


def test_an_address_is_a_search(open_page: Open, library: trivec.Collection) -> None:
    page = open_page("?q=water&mode=bm25&where=lang+%3D+%22en%22&k=20")
    expect(page.get_by_role("searchbox")).to_have_value("water")
    expect(page.get_by_role("radio", name="BM25")).to_be_checked()
    expect(page.get_by_label("Expression")).to_have_value('lang = "en"')
    expect(page.locator(".hit").first).to_be_visible()
    assert ids(page) == [hit.id for hit in library.search("water", mode="bm25", where='lang = "en"')]
    page.get_by_role("radio", name="Dense").check(force=True)
    expect(page).to_have_url(re.compile("mode=dense"))


def test_an_older_answer_never_replaces_a_newer_one(open_page: Open) -> None:
    stubborn = """
        const plain = window.fetch;
        window.fetch = async (path, request) => {  // is slow for one query, and cannot be stopped
            const slow = request?.body?.includes('"query":"night"');
            const answer = await plain(path, {...request, signal: undefined});
            if (slow) await new Promise((done) => { window.release = done; });
            return answer;
        };
    """
    page = open_page(script=stubborn)
    page.get_by_role("searchbox").fill("night")
    page.wait_for_function("() => Boolean(window.release)")
    search(page, "berlin")
    before = ids(page)
    page.evaluate("window.release()")
    page.wait_for_timeout(300)
    assert ids(page) == before
    expect(page.locator("mark", has_text="Berlin").first).to_be_visible()
    expect(page.locator("mark", has_text="night")).to_have_count(0)


def test_matched_words_and_alignments(open_page: Open) -> None:
    page = open_page()
    search(page)
    explained(page)
    hit = page.locator('.hit[data-id="signs"]')
    expect(hit.locator(".title mark", has_text="water")).to_be_visible()
    opener = hit.get_by_role("button", name="Why")
    expect(opener).to_have_attribute("aria-expanded", "false")
    opener.click()
    expect(opener).to_have_attribute("aria-expanded", "true")
    chips = hit.locator(".chip")
    expect(chips.first).to_be_visible()
    assert " ".join(chips.locator("bdi").all_inner_texts()) in QUERY
    for row in hit.locator(".as-table tbody tr").all():
        query_word, document_word, field, similarity = row.locator("th, td").all_text_contents()
        chip = hit.locator(".chip").filter(has=page.get_by_text(query_word, exact=True)).first
        chip.focus()
        expect(hit.locator(".aligned-pair")).to_contain_text(f"{document_word} in the {field}: similarity {similarity}")
        aligned = hit.locator(".title mark.aligned" if field == "title" else ".snippet mark.aligned")
        assert "".join(aligned.all_text_contents()) == document_word
        chip.blur()
    chips.first.click()
    expect(chips.first).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Escape")
    expect(opener).to_have_attribute("aria-expanded", "false")


def test_a_long_text_is_shown_around_its_matches(open_page: Open) -> None:
    page = open_page()
    search(page, "capital city")
    hit = page.locator('.hit[data-id="long"]').first
    expect(hit.locator("mark", has_text="capital")).to_be_visible()
    text = hit.locator(".snippet").inner_text()
    assert text.startswith("…")
    assert text.endswith("…")
    assert len(text) < 400
    hit.get_by_role("button", name="Show all").click()
    assert len(hit.locator(".snippet").inner_text()) > 900


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


def test_the_key_is_asked_for_and_kept_for_the_tab(open_page: Open) -> None:
    page = open_page(with_keys=True)
    box = page.get_by_role("dialog", name="This server wants a key")
    box.get_by_label("Key").fill("a wrong one")
    box.get_by_role("button", name="Use it").click()
    expect(box).to_contain_text("this key is not known")
    box.get_by_label("Key").fill(KEY)
    box.get_by_label("Key").press("Enter")
    search(page, "water")
    page.reload()
    search(page, "night")
    assert KEY in json.dumps(page.evaluate("({...sessionStorage})"))
    assert KEY not in json.dumps(page.evaluate("({...localStorage})"))
    assert KEY not in page.url
    other = open_page(with_keys=True)
    other.get_by_role("button", name="Not now").click()
    expect(other.get_by_role("alert")).to_contain_text("have a key")


def test_by_keys_alone(open_page: Open) -> None:
    page = open_page()
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("water")
    expect(page.get_by_role("status").first).to_contain_text("hits in")
    page.keyboard.press("ArrowDown")
    hits = page.locator(".hit")
    expect(hits.nth(0)).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("k")
    expect(hits.nth(1)).to_be_focused()
    page.keyboard.press("r")
    expect(hits.nth(1).get_by_role("button", name="Relevant", exact=True)).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("status").first).to_have_text("Marked as relevant.")
    page.keyboard.press("n")
    expect(hits.nth(1).get_by_role("button", name="Not relevant")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Enter")
    expect(hits.nth(1).locator(".chip").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(hits.nth(1).locator(".detail")).to_be_hidden()
    expect(hits.nth(1)).to_be_focused()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("r n j ?")
    expect(page.get_by_role("searchbox")).to_have_value("r n j ?")


@pytest.mark.parametrize("address", ["?q=water", "?q=water&b.library=library&b.mode=dense", "?view=library"])
def test_on_a_telephone_nothing_is_wider_than_the_screen(open_page: Open, address: str) -> None:
    page = open_page(address, viewport={"width": 360, "height": 740})
    if "view" in address:
        expect(page.locator(".dot").first).to_be_visible()
    else:
        explained(page)
        page.locator(".hit .open").first.click()
        expect(page.locator(".chip").first).to_be_visible()
        expect(page.get_by_role("slider", name="Dense").first).to_be_hidden()
        page.locator(".settings > summary").first.click()
        expect(page.get_by_role("slider", name="Dense").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    wide = """() => [...document.querySelectorAll("main *")].filter((node) => {
        const box = node.getBoundingClientRect();
        return box.width && box.right > 361 && !node.closest(".scroll, .expression, .spoken, svg");
    }).map((node) => node.className)"""
    assert page.evaluate(wide) == []


def test_light_and_dark(open_page: Open) -> None:
    def paper(page: Page) -> str:
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    light, dark = open_page(color_scheme="light"), open_page(color_scheme="dark")
    bright, dim = paper(light), paper(dark)
    assert bright != dim
    switch = light.get_by_role("button", name="Colours")
    switch.click()
    switch.click()
    expect(switch).to_have_text("Dark")
    assert paper(light) == dim
    light.reload()
    assert paper(light) == dim


def test_text_goes_in_its_own_direction(open_page: Open) -> None:
    page = open_page("?q=מים")
    hit = page.locator('.hit[data-id="hebrew"]')
    expect(hit).to_be_visible()
    direction = "node => getComputedStyle(node).direction"
    assert hit.locator(".title").evaluate(direction) == "rtl"
    assert hit.locator(".snippet").evaluate(direction) == "rtl"
    assert page.get_by_role("searchbox").evaluate(direction) == "rtl"
    assert page.locator('.hit[data-id="signs"] .snippet').evaluate(direction) == "ltr"


def test_texts_are_never_markup(open_page: Open) -> None:
    page = open_page(f"?q={ATTACK}&where={ATTACK}")
    page.get_by_label("Expression").fill("")
    hit = page.locator('.hit[data-id="attack"]')
    expect(hit.locator(".title")).to_have_text(ATTACK)
    hit.get_by_role("button", name="Why").click()
    expect(hit.locator(".as-table")).to_be_visible()
    page.get_by_role("button", name="Library", exact=True).click()
    expect(page.locator(".legend").get_by_text(ATTACK)).to_be_visible()
    assert page.evaluate("[window.hurt, document.images.length, document.scripts.length]") == [None, 0, 2]


def test_the_library_as_a_whole(open_page: Open) -> None:
    page = open_page()
    page.get_by_role("button", name="Library", exact=True).click()
    expect(page).to_have_url(re.compile("view=library"))
    expect(page.locator(".dot").nth(7)).to_be_visible()
    expect(page.get_by_text("All 8 documents")).to_be_visible()
    expect(page.locator(".facts-list")).to_contain_text("Documents8")
    expect(page.locator(".legend")).to_contain_text("en3")
    plane = page.get_by_role("application")
    plane.focus()
    page.keyboard.press("ArrowRight")
    title = page.locator(".map-title").inner_text()
    page.keyboard.press("Enter")
    expect(page.get_by_role("searchbox")).to_have_value(title)
    expect(page.locator(".hit").first).to_be_visible()
    page.go_back()
    expect(page.locator(".plane")).to_be_visible()


def test_what_the_server_refuses_is_told(open_page: Open) -> None:
    page = open_page()
    page.route("**/search", lambda route: route.abort())
    page.get_by_role("searchbox").fill("water")
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_fault_for_people_who_hear_or_read_the_page_otherwise(open_page: Open, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = open_page("", color_scheme=scheme)
    page.get_by_role("searchbox").wait_for()

    def check(state: str) -> None:
        found = axe.run(page).response["violations"]
        serious = {one["id"]: one["nodes"][0]["html"] for one in found if one["impact"] in ("serious", "critical")}
        assert not serious, state

    check("start")
    search(page)
    explained(page)
    page.locator(".facets summary").first.click()
    page.locator(".hit .open").first.click()
    expect(page.locator(".chip").first).to_be_visible()
    page.locator(".hit .judge.yes").first.click()
    page.locator(".hit .judge.no").nth(1).click()
    page.locator(".as-table > summary").first.click()
    check("hits")
    page.get_by_label("Expression").fill("year >")
    expect(page.locator(".error.expression")).to_be_visible()
    check("a filter that cannot be read")
    page.get_by_label("Expression").fill("")
    page.get_by_role("button", name="Compare").click()
    expect(page.locator(".change.same").first).to_be_visible()
    check("two columns")
    page.get_by_role("button", name="Library", exact=True).click()
    expect(page.locator(".dot").first).to_be_visible()
    check("library")
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Keys of this page").click()
    check("keys")
