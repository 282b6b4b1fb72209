"""A real server process: it finishes what is under way when it is told to end, and loses nothing it acknowledged."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from processes import Process

import trivec
from trivec import Document
from trivec.client import Client, ServerError
from trivec.search.verification import verify_library

STREAM = "/v1/libraries/library/documents/stream"


def documents(count: int, first: int = 0) -> list[Document]:
    return [Document(f"n{number}", f"water and night, number {number}. " * 8) for number in range(first, first + count)]


def test_it_serves_and_ends_well(start: Callable[..., Process]) -> None:
    server = start()
    with Client(server.url) as client:
        assert [hit.id for hit in client.search("library", "water", k=1)] == ["first"]
    assert server.end() == 0
    assert server.lines[-1]["event"] == "ended"
    assert "water" not in json.dumps(server.lines)


def test_a_signal_to_end_finishes_what_is_under_way(start: Callable[..., Process], folder: Path) -> None:
    server = start()
    answers: list[int] = []

    def ask(number: int) -> None:
        with Client(server.url, retries=0) as client:
            answers.append(len(client.encode_documents([f"water {number} " * 60] * 60, heads=["dense"])))

    askers = [threading.Thread(target=ask, args=(number,), daemon=True) for number in range(4)]
    for asker in askers:
        asker.start()
    deadline = time.monotonic() + 30
    while _open_requests(server) < 4 and not answers and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.end() == 0
    for asker in askers:
        asker.join(60)
    assert answers == [60] * 4
    assert verify_library(folder).problems == ()


def _open_requests(server: Process) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request("GET", "/metrics")
        page = connection.getresponse().read().decode()
    finally:
        connection.close()
    line = next(line for line in page.splitlines() if line.startswith("trivec_open_requests "))
    return int(float(line.split()[1])) - 1


@pytest.mark.parametrize("wait_s", [0.05, 0.4, 1.0])
def test_what_is_acknowledged_survives_a_kill(wait_s: float, start: Callable[..., Process], folder: Path) -> None:
    server = start()
    acknowledged = 0
    killer = threading.Timer(wait_s, server.process.kill)
    with contextlib.suppress(ServerError), Client(server.url) as client:
        for number in range(200):
            client.add("library", documents(20, 20 * number))
            acknowledged += 20
            if number == 0:
                killer.start()
    server.wait()
    with trivec.open(folder, create=False) as library:
        held = {document.id for document in library.documents()}
    assert held >= {"first", *(document.id for document in documents(acknowledged))}
    assert verify_library(folder).problems == ()
    again = start()
    with Client(again.url) as client:
        assert client.add("library", documents(20))["unchanged"] == 20
    assert again.end() == 0


def test_what_a_stream_acknowledged_survives_a_kill(start: Callable[..., Process], folder: Path) -> None:
    server = start()
    told: list[int] = []
    connection = socket.create_connection(("127.0.0.1", server.port))

    def send() -> None:
        head = f"POST {STREAM} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        with contextlib.suppress(OSError):
            connection.sendall(head.encode())
            for document in documents(5000):
                line = json.dumps({"id": document.id, "text": document.text}).encode() + b"\n"
                connection.sendall(f"{len(line):x}\r\n".encode() + line + b"\r\n")

    sender = threading.Thread(target=send)
    sender.start()
    with contextlib.suppress(OSError), connection.makefile() as answer:
        for line in answer:
            if line.startswith("{"):
                told.append(json.loads(line)["acknowledged"])
                server.process.kill()
    sender.join()
    connection.close()
    server.wait()
    assert told
    with trivec.open(folder, create=False) as library:
        held = {document.id for document in library.documents()}
    assert held >= {document.id for document in documents(max(told))}
    assert verify_library(folder).problems == ()


def test_odd_connections_do_no_harm(start: Callable[..., Process]) -> None:
    server = start("--max-body", 10_000)
    garbage = [
        b"\x00\x01\x02\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
        b"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 100_000,
        b"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        b"GET /v1/libraries/../../etc/passwd/search HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"A" * 200_000,
    ]
    for bytes_sent in garbage:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", server.port), timeout=10) as odd:
            odd.sendall(bytes_sent)
            odd.shutdown(socket.SHUT_WR)
            odd.settimeout(5)
            head = odd.recv(100)
            assert b" 500 " not in head
    with Client(server.url) as client:
        assert client.search("library", "water", k=1)
    assert server.end() == 0


def test_keys_from_the_environment(start: Callable[..., Process]) -> None:
    server = start("--host", "0.0.0.0", TRIVEC_API_KEYS="a-long-random-key-of-mine")
    url = f"http://127.0.0.1:{server.port}"
    with Client(url) as client, pytest.raises(ServerError) as refused:
        client.models()
    assert refused.value.status == 401
    with Client(url, key="a-long-random-key-of-mine") as client:
        assert client.models()
    assert server.end(signal.SIGINT) == 0
    assert "a-long-random-key-of-mine" not in json.dumps(server.lines)
