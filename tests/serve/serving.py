"""What the tests of the server share."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import uvicorn
from fastapi import FastAPI

from trivec import Document
from trivec.serve.connections import GuardedConnection
from trivec.serve.lifetime import bind

DOCUMENTS = [
    Document("paris", "Paris is the capital city of the country.", "Paris", {"lang": "en", "year": 2001}),
    Document("berlin", "Berlin ist die Hauptstadt und der Berg.", "Berlin", {"lang": "de"}),
    Document("water", "Water and night, river and mountain. The library has a book.", metadata={"lang": "en"}),
    Document("a/b c", "science book and water", metadata={"tags": ["x", "y"]}),
]

MakeApp = Callable[..., FastAPI]


@contextlib.contextmanager
def served(app: FastAPI, connections: type[asyncio.Protocol] = GuardedConnection) -> Iterator[str]:
    """The address of a server that runs in a thread."""
    with bind("127.0.0.1", 0) as listener:
        config = uvicorn.Config(app, http=connections, log_config=None, lifespan="on", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)
