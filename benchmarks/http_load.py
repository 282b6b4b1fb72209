"""A lean HTTP client that keeps a server busy: so many connections, each with one request at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import orjson


@dataclass(frozen=True)
class Request:
    """A body for a route, and what tells whether an answer is the right one."""

    route: str
    body: object
    is_right: Callable[[object], bool]


@dataclass
class Load:
    """What came of a load.

    Attributes:
        seconds: of each request that was answered.
        failed: statuses other than 200, and broken connections.
        wrong: answers that are not the right ones.
        elapsed: seconds of all.
    """

    seconds: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    wrong: int = 0
    elapsed: float = 0.0


async def keep_busy(
    port: int, requests: Sequence[Request], connections: int, seconds: float = 1e9, most: int = 1 << 62
) -> Load:
    """Send requests in turn over so many connections, until time or number is up."""
    load, started = Load(), time.perf_counter()
    number = 0

    async def work() -> None:
        nonlocal number
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while number < most and time.perf_counter() - started < seconds:
            request = requests[number % len(requests)]
            number += 1
            begun = time.perf_counter()
            try:
                status, content = await _ask(reader, writer, request)
            except (OSError, asyncio.IncompleteReadError) as error:
                load.failed.append(type(error).__name__)
                return
            load.seconds.append(time.perf_counter() - begun)
            if status != 200:
                load.failed.append(str(status))
            elif not request.is_right(orjson.loads(content)):
                load.wrong += 1
        writer.close()

    await asyncio.gather(*(work() for _ in range(connections)))
    load.elapsed = time.perf_counter() - started
    return load


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> tuple[int, bytes]:
    content = orjson.dumps(request.body)
    writer.write(
        f"POST {request.route} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        f"content-length: {len(content)}\r\n\r\n".encode()
        + content
    )
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    length = next(int(line.split(b":")[1]) for line in lines if line.lower().startswith(b"content-length:"))
    return int(lines[0].split()[1]), await reader.readexactly(length)
