"""The page in a real Chromium: what a person who searches sees."""

from __future__ import annotations

import json
import re

import pytest
from browsing import ATTACK, KEY, QUERY, Open, explained, ids, search
from playwright.sync_api import expect

import trivec

pytestmark = pytest.mark.browser


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


def test_nothing_is_lost_that_was_done_before_the_server_answered(open_page: Open) -> None:
    slow = """
        const plain = window.fetch;
        const released = new Promise((done) => { window.release = done; });
        window.fetch = (path, request) => released.then(() => plain(path, request));
    """
    page = open_page(script=slow)
    page.get_by_role("searchbox").fill("water")
    page.get_by_role("searchbox").press("Enter")
    expect(page.get_by_role("button", name="Library", exact=True)).to_be_disabled()
    page.evaluate("window.release()")
    page.get_by_role("button", name="Library", exact=True).click()
    expect(page.locator(".dot").first).to_be_visible()
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.get_by_role("searchbox")).to_have_value("water")
    expect(page.locator(".hit").first).to_be_visible()


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
