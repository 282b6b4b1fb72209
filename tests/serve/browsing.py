"""A real browser on a real server, for the tests of the page."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI

from trivec.serve.lifetime import bind

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


def find_chromium(own: str) -> str:
    """The browser of the variable ``CHROMIUM``, of the path, or playwright's own; skips the test if there is none."""
    candidates = [os.environ.get("CHROMIUM"), *map(shutil.which, NAMES), own]
    for candidate in candidates:
        if candidate and Path(candidate).exists():
            return candidate
    pytest.skip("there is no Chromium: install one, or set CHROMIUM to its path")


@contextlib.contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The address of a server that runs in a thread."""
    with bind("127.0.0.1", 0) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)
