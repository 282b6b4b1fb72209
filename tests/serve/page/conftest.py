"""A browser, and pages of a server on tiny models in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("playwright", reason="the tests of the page need playwright: pip install -e '.[dev]'")

from browsing import KEY, MORE, SWITCHES, Open, find_chromium
from playwright.sync_api import Browser, Page, expect, sync_playwright
from serving import MakeApp, served

import trivec
from trivec.serve.keys import ApiKeys, hash_key

expect.set_options(timeout=20_000)


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
            opened = browser.new_context(**{"reduced_motion": "reduce", **context})
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
