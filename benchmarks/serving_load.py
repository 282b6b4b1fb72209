"""`trivec serve` under load, beside a plain server of the same model, in one run.

    python benchmarks/serving_load.py --data EVAL_FOLDER --model FOLDER --peer-python PYTHON --out RESULT.json

Queries of several languages are embedded one a request, at several numbers of connections, in turns: trivec, then the
peer. Then a library is searched, and then so many requests are sent that memory would show a leak. Every answer is
compared with the direct call.

``--peer-python`` is an interpreter with sentence-transformers, fastapi and uvicorn.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import trivec
from http_load import Load, Request, keep_busy
from trivec.evaluate import read_judged

from common import environment, write_result

SETS = ("xquad_en", "xquad_zh", "xquad_ar", "facqa_id", "tldr_shell", "medquad_en", "thquad_tr", "xquad_hi")
CLOSE = 1e-3
"""How much a number of a vector may differ: the batch that a text is in changes the order of sums."""


def main() -> None:
    """Measure, and write it down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of sets in BEIR layout")
    parser.add_argument("--model", default="m3-small")
    parser.add_argument("--peer-python", help="without it, no peer")
    parser.add_argument("--peer-model", help="the model as the peer loads it; without it, --model")
    parser.add_argument("--connections", type=int, nargs="*", default=[1, 8, 64, 256])
    parser.add_argument("--seconds", type=float, default=60.0, help="of each load")
    parser.add_argument("--requests", type=int, default=20_000, help="for the memory")
    parser.add_argument("--library-set", default="facqa_id", help="its documents are searched")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    queries = some_queries(given.data, 400)
    encoder = trivec.load(given.model)
    result: dict[str, Any] = {"environment": environment("fastapi", "uvicorn"), "model": encoder.name, "embed": []}
    embed = embedding_requests(encoder, queries)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as servers:
        library = make_library(Path(folder) / "library", encoder, given.data / given.library_set)
        search = search_requests(library, queries)
        library.close()
        ports = {"trivec": servers.enter_context(serving(trivec_command(given.model, Path(folder) / "library")))}
        if given.peer_python:
            script = str(Path(__file__).with_name("serving_peer.py"))
            command = [given.peer_python, script, given.peer_model or given.model]
            ports["peer"] = servers.enter_context(serving(lambda port: [*command, str(port)]))
        for port in ports.values():
            run(port.number, [Request(one.route, one.body, lambda _: True) for one in embed[:50]], 4, 1e9, 50)
        own = {name: embed if name == "trivec" else peer_requests(port.number, embed) for name, port in ports.items()}
        for connections in given.connections:
            for name, port in ports.items():
                row = described(run(port.number, own[name], connections, given.seconds))
                result["embed"].append({"server": name, "connections": connections, **row})
                print(json.dumps(result["embed"][-1]), flush=True)
        if "peer" in ports:
            ports["peer"].stop()
        result["search"] = []
        for connections in given.connections:
            row = described(run(ports["trivec"].number, search, connections, given.seconds))
            result["search"].append({"connections": connections, **row})
            print("search", json.dumps(result["search"][-1]), flush=True)
        result["memory"] = memory(ports["trivec"], [*embed, *search], given.requests)
        print("memory", json.dumps(result["memory"]), flush=True)
    result["growth"] = growth(result["embed"])
    print(json.dumps(result["growth"]))
    write_result(given.out, result)


def some_queries(data: Path, count: int) -> list[str]:
    """Queries of several languages and lengths."""
    drawn = random.Random(0)
    texts = [query.text for name in SETS if (data / name).is_dir() for query in read_judged(data / name).queries]
    return drawn.sample(sorted(set(texts)), count)


def embedding_requests(encoder: trivec.Encoder, queries: Sequence[str]) -> list[Request]:
    """One query each, with the vector that it has."""
    vectors = [encoder.encode_documents([query], ["dense"]).dense for query in queries]
    return [
        Request("/v1/embeddings", {"input": [query]}, lambda answer, right=vector: is_vector(answer, right))
        for query, vector in zip(queries, vectors, strict=True)
    ]


def peer_requests(port: int, requests: Sequence[Request]) -> list[Request]:
    """The same, with the vectors that the peer gives when nobody else asks."""
    answers: list[Any] = []

    def keep(answer: Any) -> bool:
        answers.append(answer)
        return True

    alone = [Request(request.route, request.body, keep) for request in requests]
    run(port, alone, 1, 1e9, len(alone))
    rights = [np.asarray([row["embedding"] for row in answer["data"]], np.float32) for answer in answers]
    return [
        Request(request.route, request.body, lambda answer, right=right: is_vector(answer, right))
        for request, right in zip(requests, rights, strict=True)
    ]


def is_vector(answer: Any, right: Any) -> bool:
    """Whether an answer holds this vector."""
    return bool(np.abs(np.asarray([row["embedding"] for row in answer["data"]]) - right).max() < CLOSE)


def make_library(folder: Path, encoder: trivec.Encoder, source: Path) -> trivec.Collection:
    """A library of a set's documents."""
    library = trivec.open(folder, model=encoder)
    library.add(read_judged(source).documents)
    return library


def search_requests(library: trivec.Collection, queries: Sequence[str]) -> list[Request]:
    """One search each, with the documents and scores that it finds."""
    requests = []
    for query in queries:
        right = {hit.id: hit.score for hit in library.search(query, k=5)}
        body = {"query": query, "k": 5}
        requests.append(
            Request("/v1/libraries/library/search", body, lambda answer, right=right: are_hits(answer, right))
        )
    return requests


def are_hits(answer: Any, right: dict[str, float]) -> bool:
    """Whether an answer has these hits; the last ones may change places where scores are equal."""
    found = {hit["id"]: hit["score"] for hit in answer["hits"]}
    values = np.abs(np.asarray(list(found.values())) - np.asarray(list(right.values())))
    return len(found) == len(right) and bool(values.max(initial=0) < CLOSE)


class Server:
    """A server that runs beside us."""

    def __init__(self, process: subprocess.Popen[bytes], number: int) -> None:
        self.process = process
        self.number = number

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(60)

    def memory_mb(self) -> float:
        """Resident."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


@contextlib.contextmanager
def serving(command: Any) -> Iterator[Server]:
    """A server on a free port, until the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(command(port), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    server = Server(process, port)
    try:
        for _ in range(240):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/openapi.json", timeout=5).read()
                break
            time.sleep(0.5)
        yield server
    finally:
        server.stop()


def trivec_command(model: str, library: Path) -> Any:
    """Starts `trivec serve` on a port."""
    return lambda port: [
        sys.executable,
        "-m",
        "trivec.cli",
        "serve",
        str(library),
        "--model",
        model,
        "--port",
        str(port),
    ]


def run(port: int, requests: Sequence[Request], connections: int, seconds: float, most: int = 1 << 62) -> Load:
    """A load, to its end."""
    return asyncio.run(keep_busy(port, requests, connections, seconds, most))


def described(load: Load) -> dict[str, Any]:
    """A load in numbers."""
    milliseconds = 1000 * np.asarray(load.seconds)
    return {
        "requests": len(load.seconds),
        "failed": len(load.failed),
        "wrong": load.wrong,
        "a second": round(len(load.seconds) / load.elapsed, 1),
        **{f"p{share} ms": round(float(np.percentile(milliseconds, share)), 1) for share in (50, 95, 99)},
    }


def memory(server: Server, requests: Sequence[Request], count: int) -> dict[str, Any]:
    """Resident memory before and after so many requests, and on the way."""
    found, load, part = [server.memory_mb()], Load(), max(1, count // 10)
    for _ in range(10):
        one = run(server.number, requests, 32, 1e9, part)
        load.failed += one.failed
        load.wrong += one.wrong
        found.append(server.memory_mb())
    megabytes = [round(value, 1) for value in found]
    return {"requests": part * 10, "failed": len(load.failed), "wrong": load.wrong, "megabytes": megabytes}


def growth(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Throughput by server and connections, as a multiple of one request at a time."""
    alone = {row["server"]: row["a second"] for row in rows if row["connections"] == 1}
    return {
        f"{row['server']}, {row['connections']}": round(row["a second"] / alone[row["server"]], 2)
        for row in rows
        if row["server"] in alone
    }


if __name__ == "__main__":
    main()
