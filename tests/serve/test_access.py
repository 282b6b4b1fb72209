"""What every request passes: keys, hosts, origins, bodies, ids, the log, the metrics."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from serving import MakeApp

import trivec
from trivec.errors import InputError
from trivec.serve.keys import ApiKeys, hash_key, new_key
from trivec.serve.lifetime import bind, guarded, is_loopback
from trivec.serve.logs import JsonLines
from trivec.serve.options import Limits, ServeOptions

KEY = "tv-a-long-and-random-key"
KEYS = ApiKeys({hash_key(KEY): "laptop"})


def test_without_a_key_there_is_health_alone(make: MakeApp) -> None:
    with TestClient(make(KEYS)) as client:
        for path in ("/v1/models", "/metrics", "/openapi.json", "/none", "/v1/libraries/library/documents/stream"):
            refused = client.get(path)
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"] == "Bearer"
        for wrong in (b"tv-another", b"", "ключ".encode(), b"\xff"):
            assert client.get("/v1/models", headers={"authorization": b"Bearer " + wrong}).status_code == 401
        assert client.get("/v1/models", headers={"authorization": f"Basic {KEY}"}).status_code == 401
        assert client.get("/health").status_code == 200
        assert client.get("/v1/models", headers={"authorization": f"Bearer {KEY}"}).status_code == 200
        assert client.get("/v1/models", headers={"x-api-key": KEY}).status_code == 200
        paths = client.get("/openapi.json", headers={"x-api-key": KEY}).json()["paths"]
        assert paths["/embed"]["post"]["security"] == paths["/"]["post"]["security"] == [{"key": []}]
        assert client.get("/").status_code == 200
        assert not [path for path in ("/", "/health") if "security" in paths[path]["get"]]


def test_keys_are_read_from_file_and_environment(tmp_path: Path) -> None:
    key, line = new_key("laptop")
    file = tmp_path / "keys"
    file.write_text(f"# mine\n{line}  # the old one\n\n")
    keys = ApiKeys.read(file, {"TRIVEC_API_KEYS": f"another-long-random-key, {hash_key('a third one')}"})
    assert key not in file.read_text()
    assert keys.name_of(key) == "laptop"
    assert keys.name_of("another-long-random-key") == "environment-1"
    assert keys.name_of("a third one") == "environment-2"
    assert keys.name_of("none") is None
    assert not ApiKeys.read(None, {})


@pytest.mark.parametrize("content", ["", "# nothing", "laptop tv-plain-key", "sha256:00", "a b c"])
def test_a_file_that_holds_no_hashes_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "keys").write_text(content)
    with pytest.raises(InputError, match="--new-key"):
        ApiKeys.read(tmp_path / "keys", {})


def test_keys_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--new-key"):
        ApiKeys.read(tmp_path / "none", {})
    with pytest.raises(InputError, match="at least 16"):
        ApiKeys.read(None, {"TRIVEC_API_KEYS": "short"})
    with pytest.raises(InputError, match="name"):
        new_key("two words")


def test_a_public_address_needs_keys_unless_forced() -> None:
    with pytest.raises(InputError, match="--keys"):
        guarded(ServeOptions(host="0.0.0.0"), ApiKeys({}))
    assert guarded(ServeOptions(host="0.0.0.0", public=True), ApiKeys({})).allowed_hosts == ()
    assert guarded(ServeOptions(host="0.0.0.0"), KEYS).allowed_hosts == ()
    assert "localhost" in guarded(ServeOptions(), ApiKeys({})).allowed_hosts
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "::", "example.org")] == [
        True, True, True, False, False, False,
    ]  # fmt: skip


def test_a_port_that_is_taken() -> None:
    with bind("127.0.0.1", 0) as first, pytest.raises(InputError, match="--port"):
        bind("127.0.0.1", first.getsockname()[1])
    with pytest.raises(InputError, match="port"):
        bind("127.0.0.1", 70_000)


def test_foreign_names_are_refused(make: MakeApp) -> None:
    with TestClient(make(allowed_hosts=("localhost",))) as client:
        assert client.get("/health", headers={"host": "localhost:8000"}).status_code == 200
        assert client.get("/health", headers={"host": "evil.example"}).status_code == 400


def test_origins(make: MakeApp) -> None:
    asked = {"origin": "https://a.example", "access-control-request-method": "POST"}
    with TestClient(make(KEYS, origins=("https://a.example",))) as client:
        allowed = client.options("/v1/embeddings", headers=asked)
        assert allowed.headers["access-control-allow-origin"] == "https://a.example"
        assert client.options("/v1/embeddings", headers={**asked, "origin": "https://b.example"}).status_code == 400
    with TestClient(make()) as client:
        assert "access-control-allow-origin" not in client.get("/health", headers=asked).headers


def test_bodies_have_bounds(make: MakeApp) -> None:
    limits = Limits(body_bytes=2000, texts=3, tokens=100, text_characters=500)
    with TestClient(make(limits=limits)) as client:

        def status(content: Any) -> int:
            return client.post("/v1/embeddings", content=content).status_code

        def pieces() -> Any:
            yield from [b"x" * 500] * 8

        assert status(b"x" * 3000) == 413
        assert status(pieces()) == 413
        for texts, expected in ((["a"] * 4, 413), (["a " * 80] * 3, 413), (["a" * 501], 413), (["a"] * 3, 200)):
            assert client.post("/v1/embeddings", json={"input": texts}).status_code == expected
        line = json.dumps({"id": "a", "text": "water " * 70}) + "\n"
        stream = client.post("/v1/libraries/library/documents/stream", content=line * 20)
        assert json.loads(stream.text.splitlines()[-1])["received"] == 20  # a stream has no end, but a line has
        long = client.post("/v1/libraries/library/documents/stream", content=b"x" * 5000)
        assert json.loads(long.text.splitlines()[-1])["status"] == "failed"


def test_a_server_that_only_reads(make: MakeApp, library: trivec.Collection) -> None:
    documents = "/v1/libraries/library/documents"
    with TestClient(make(read_only=True)) as client:
        assert client.post(documents, json={"documents": [{"id": "a", "text": "a"}]}).status_code == 403
        assert client.post(f"{documents}/stream", content=b"").status_code == 403
        assert client.delete(f"{documents}/water").status_code == 403
        assert client.get(f"{documents}/water").status_code == 200
        assert len(library) == 4


def test_every_answer_has_an_id_and_a_line_in_the_log(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "trivec.serve"):
        own = client.post(
            "/v1/libraries/library/search", json={"query": "secret words"}, headers={"x-request-id": "a-1"}
        )
        odd = client.post("/v1/libraries/secret/search", json={"query": ""}, headers={"x-request-id": "a b\x7f"})
    assert own.headers["x-request-id"] == "a-1"
    assert len(odd.headers["x-request-id"]) == 32
    lines = [json.loads(JsonLines().format(record)) for record in caplog.records if record.name == "trivec.serve"]
    assert [(line["status"], line["route"]) for line in lines] == [
        (200, "/v1/libraries/{name}/search"), (404, "/v1/libraries/{name}/search"),
    ]  # fmt: skip
    assert lines[0]["id"] == "a-1"
    assert "secret" not in json.dumps(lines)


def test_the_log_of_a_fault_tells_where_and_not_what() -> None:
    try:
        raise ValueError("secret words")
    except ValueError as error:
        record = logging.LogRecord("trivec.serve", logging.ERROR, "", 0, "fault", (), (type(error), error, None))
        record.exc_info = (type(error), error, error.__traceback__)
    line = JsonLines().format(record)
    assert "ValueError" in line
    assert "test_access.py" in line
    assert "secret" not in line
    assert "secret" in JsonLines(texts=True).format(record)


def test_a_fault_of_ours_is_a_500_without_a_traceback(
    make: MakeApp, encoder: trivec.Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object, **options: object) -> None:
        raise RuntimeError("secret words")

    with TestClient(make()) as client:
        monkeypatch.setattr(encoder, "encode", broken)
        response = client.post("/v1/embeddings", json={"input": "a"})
        assert response.status_code == 500
        assert "secret" not in response.text
        assert response.json()["error"]["code"] == "internal_error"
        monkeypatch.undo()
        assert client.post("/v1/embeddings", json={"input": "a"}).status_code == 200


def test_metrics(client: TestClient) -> None:
    client.post("/v1/embeddings", json={"input": ["water", "night"]})
    client.post("/v1/libraries/library/search", json={"query": "water"})
    client.post("/v1/embeddings", json={"input": []})
    page = client.get("/metrics").text
    for line in (
        'trivec_request_seconds_count{method="POST",route="/v1/embeddings",status="200"} 1.0',
        'trivec_refused_total{code="invalid_request"} 1.0',
        'trivec_items_total{lane="documents"} 2.0',
        'trivec_items_total{lane="queries"} 1.0',
        'trivec_batch_fill_count{lane="queries"} 1.0',
        'trivec_queue_requests{lane="queries"} 0.0',
        'trivec_stage_seconds_count{lane="",stage="retrieve"} 1.0',
        'trivec_stage_seconds_count{lane="queries",stage="queue"} 1.0',
        "trivec_open_requests 1.0",
    ):
        assert line in page.splitlines(), line
    assert "water" not in page


def test_the_description_has_an_example_for_every_body(client: TestClient) -> None:
    described = client.get("/openapi.json").json()
    assert len(described["paths"]) >= 17
    for name, schema in described["components"]["schemas"].items():
        if name.endswith("Request"):
            assert schema["examples"], name
            assert schema["description"], name
    assert "HTTPValidationError" not in described["components"]["schemas"]


def test_wrong_methods_and_paths(client: TestClient) -> None:
    assert client.get("/v1/embeddings").status_code == 405
    assert client.put("/embed").json()["error"]
    for path in ("/none", "/v1/../../etc/passwd", "/%2F", "/%00", "/docs", "/redoc"):
        assert client.get(path).status_code in (404, 405)
