"""A real browser on a real server, and what a person does in it, for the tests of the page."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from trivec import Document

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

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


def find_chromium(own: str) -> str:
    """The browser of the variable ``CHROMIUM``, of the path, or playwright's own; skips the test if there is none."""
    candidates = [os.environ.get("CHROMIUM"), *map(shutil.which, NAMES), own]
    for candidate in candidates:
        if candidate and Path(candidate).exists():
            return candidate
    pytest.skip("there is no Chromium: install one, or set CHROMIUM to its path")


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
