"""The page's files: what they are sent with, who may read them, and that a wheel has them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from serving import MakeApp

from trivec.serve.keys import ApiKeys, hash_key
from trivec.serve.page_files import MEDIA_TYPES, page_files

KEY = "tv-a-long-and-random-key"
KEYS = ApiKeys({hash_key(KEY): "laptop"})
ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "src" / "trivec" / "serve" / "page"


def test_the_page_is_sent_with_what_keeps_it_safe(client: TestClient) -> None:
    for path, media_type in {
        "/": "text/html",
        "/page/page.js": "text/javascript",
        "/page/base.css": "text/css",
        "/page/icon.svg": "image/svg+xml",
    }.items():
        answer = client.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == f"{media_type}; charset=utf-8"
        policy = answer.headers["content-security-policy"].split("; ")
        assert {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} <= set(policy)
        assert not any("unsafe" in rule for rule in policy)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"


def test_a_browser_that_has_a_file_is_told_so(client: TestClient) -> None:
    first = client.get("/page/page.js")
    assert first.headers["cache-control"] == "no-cache"
    again = client.get("/page/page.js", headers={"if-none-match": f'"other", W/{first.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert client.get("/page/page.js", headers={"if-none-match": '"other"'}).status_code == 200
    assert client.head("/").content == b""


@pytest.mark.parametrize("name", ["none.js", "%2e%2e%2fpage.py", "page.py", "index.html", ""])
def test_there_are_no_other_files(client: TestClient, name: str) -> None:
    assert client.get(f"/page/{name}").status_code == 404


def test_the_root_still_encodes(client: TestClient) -> None:
    assert len(client.post("/", json={"inputs": "water"}).json()) == 1
    assert client.put("/").status_code == 405


def test_the_page_needs_no_key_and_gives_nothing_away(make: MakeApp) -> None:
    with TestClient(make(KEYS)) as client:
        assert all(client.get(path).status_code == 200 for path in page_files())
        assert client.post("/", json={"inputs": "water"}).status_code == 401
        for path in ("/page/none.js", "/page/%2e%2e/v1/libraries", "/v1/libraries", "/v1/libraries/library/overview"):
            assert client.get(path).status_code == 401


def test_the_page_may_be_switched_off(make: MakeApp) -> None:
    with TestClient(make(page=False)) as client:
        assert client.get("/").status_code == 405
        assert client.get("/page/page.js").status_code == 404
    with TestClient(make(KEYS, page=False)) as client:
        assert client.get("/").status_code == 401


def test_every_file_that_is_named_is_there() -> None:
    sources = {path: file.content.decode() for path, file in page_files().items()}
    named = {f"/{name}" for name in re.findall(r'(?:src|href)="(page/[^"]+)"', sources["/"])}
    for path, source in sources.items():
        if path.endswith(".js"):
            named |= {f"/page/{name}" for name in re.findall(r'from "\./([^"]+)"', source)}
    assert named | {"/", "/page/types.js"} == set(sources)


def test_nothing_is_loaded_from_elsewhere_and_no_markup_is_made_of_texts() -> None:
    for path, file in page_files().items():
        source = file.content.decode().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?:|//[a-z]+\.|@import|innerHTML|outerHTML|insertAdjacentHTML|eval\(", source), path
    html = page_files()["/"].content.decode()
    assert not re.search(r"<style|style=|\son\w+=|<script(?! [^>]*src=)", html)


def test_a_wheel_has_every_file(monkeypatch: pytest.MonkeyPatch) -> None:
    setuptools = pytest.importorskip("setuptools")
    monkeypatch.chdir(ROOT)
    distribution = setuptools.Distribution({"packages": ["trivec.serve"], "package_dir": {"": "src"}})
    distribution.parse_config_files()
    distribution.include_package_data = False  # what version control knows is no matter here
    build = distribution.get_command_obj("build_py")
    build.ensure_finalized()
    packed = {name for package, _, _, names in build.data_files if package.startswith("trivec") for name in names}
    here = {f"page/{file.name}" for file in FOLDER.iterdir() if file.suffix in MEDIA_TYPES}
    assert here <= {name.removeprefix("serve/") for name in packed}
