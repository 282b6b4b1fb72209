"""Clients that send the head of a request too slowly, or without an end."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from serving import MakeApp, served

from trivec.serve.connections import GuardedConnection

HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
Connect = Callable[[], socket.socket]


class Strict(GuardedConnection):
    head_seconds = 0.4
    head_bytes = 1000


@pytest.fixture
def connect(make: MakeApp) -> Iterator[Connect]:
    with served(make(), Strict) as url:
        where = urlsplit(url)
        yield lambda: socket.create_connection((where.hostname, where.port or 0), timeout=10)


def _everything(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(4096), b""))


@pytest.mark.parametrize("beginning", [b"G", b"GET /health HTTP/1.1\r\nHost: localhost\r\n", b"\r\n"])
def test_half_of_a_head_is_not_waited_for(connect: Connect, beginning: bytes) -> None:
    with connect() as slow:
        slow.sendall(beginning)
        assert _everything(slow).startswith(b"HTTP/1.1 408 ")
    with connect() as other:
        other.sendall(HEALTH)
        assert other.recv(100).startswith(b"HTTP/1.1 200 ")


def test_drops_that_keep_coming_are_no_head(connect: Connect) -> None:
    with connect() as slow:
        slow.sendall(b"GET /health HTTP/1.1\r\nx: ")
        with pytest.raises(OSError):
            for _ in range(100):
                slow.sendall(b"a")
                time.sleep(0.05)


def test_who_sends_nothing_is_not_waited_for(connect: Connect) -> None:
    with connect() as silent:
        assert _everything(silent) == b""


@pytest.mark.parametrize("headers", [b"x: " + b"a" * 3000, b"a: b\r\n" * 500])
def test_a_head_without_end_is_not_read_on(connect: Connect, headers: bytes) -> None:
    with connect() as endless:
        endless.sendall(b"GET /health HTTP/1.1\r\n" + headers)
        assert _everything(endless).startswith(b"HTTP/1.1 431 ")


def test_one_after_the_other_may_take_its_time(connect: Connect) -> None:
    body = b'{"inputs": "' + b"water " * 300 + b'"}'
    embed = b"POST /embed HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    with connect() as connection:
        for _ in range(3):
            connection.sendall(HEALTH)
            assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
            time.sleep(0.6)
        connection.sendall(embed % len(body) + body[:1000])
        time.sleep(0.6)
        connection.sendall(body[1000:])
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
