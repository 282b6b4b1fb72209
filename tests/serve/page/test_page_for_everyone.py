"""The page by keys, by ear, on a telephone, in other colours, and in scripts that run the other way."""

from __future__ import annotations

import pytest
from browsing import Open, explained, search
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


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


def test_nothing_moves_for_who_asked_for_that(open_page: Open) -> None:
    moving = """() => [...document.querySelectorAll("*")]
        .some((node) => parseFloat(getComputedStyle(node).transitionDuration))"""
    still, lively = open_page("?q=water"), open_page("?q=water", reduced_motion="no-preference")
    for page, moves in ((still, False), (lively, True)):
        explained(page)
        assert page.evaluate(moving) == moves


def test_bars_and_pressed_buttons_are_seen_in_the_colours_of_the_system(open_page: Open) -> None:
    page = open_page("?q=water", forced_colors="active")
    explained(page)
    paper, pressed, bar, mark = (
        page.locator(place).first.evaluate("node => getComputedStyle(node).backgroundColor")
        for place in ("body", 'button[aria-pressed="true"]', ".hit .bar", ".hit mark")
    )
    assert paper not in (pressed, bar, mark)


def test_text_goes_in_its_own_direction(open_page: Open) -> None:
    page = open_page("?q=מים")
    hit = page.locator('.hit[data-id="hebrew"]')
    expect(hit).to_be_visible()
    direction = "node => getComputedStyle(node).direction"
    assert hit.locator(".title").evaluate(direction) == "rtl"
    assert hit.locator(".snippet").evaluate(direction) == "rtl"
    assert page.get_by_role("searchbox").evaluate(direction) == "rtl"
    assert page.locator('.hit[data-id="signs"] .snippet').evaluate(direction) == "ltr"


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
