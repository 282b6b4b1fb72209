"""How a server behaves: where it listens, what it admits, how it batches."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from trivec.errors import InputError


@dataclass(frozen=True)
class Limits:
    """The most that one request may ask for. What is above is refused before any work is done.

    Attributes:
        body_bytes: of a body; one that is streamed in has no end, but no line of it may be longer.
        texts: to encode, or documents to rerank or add, in one request.
        tokens: of all texts of a request together.
        hits: of a search, and how many a reranker reads.
        candidates: passages that each signal of a search proposes.
        text_characters: of one text.
        body_timeout_s: between two parts of a body; whoever sends more slowly is sent away.
        request_timeout_s: in a queue and at work; none of the answer is given after it.
    """

    body_bytes: int = 16 << 20
    texts: int = 2048
    tokens: int = 1 << 19
    hits: int = 1000
    candidates: int = 10_000
    text_characters: int = 1 << 20
    body_timeout_s: float = 30.0
    request_timeout_s: float = 120.0

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            if getattr(self, name) <= 0:
                raise InputError(f"{name} must be above 0, got {getattr(self, name)}")


@dataclass(frozen=True)
class LaneOptions:
    """One queue of the batcher.

    Attributes:
        batch_tokens: a batch is full with so many.
        wait_s: how long the first text of a batch waits for others while another batch runs and a worker is free.
        queue_tokens: how many may wait; who comes then is told to come again.
        urgent: goes before the other lanes, and may take the worker that is kept free for it.
    """

    batch_tokens: int
    wait_s: float
    queue_tokens: int
    urgent: bool = False


@dataclass(frozen=True)
class BatchOptions:
    """All queues.

    Attributes:
        lanes: by name.
        workers: batches that run at once. With two or more, one is kept for urgent lanes.
        patience_s: a lane that was passed over for so long goes first, so that none starves.
        queue_requests: requests that may wait in a lane, however small.
    """

    lanes: dict[str, LaneOptions] = field(
        default_factory=lambda: {
            "queries": LaneOptions(1024, 0.002, 1 << 18, urgent=True),
            "documents": LaneOptions(2048, 0.005, 1 << 20),
            "reranking": LaneOptions(4096, 0.005, 1 << 20),
        }
    )
    workers: int = 2
    patience_s: float = 1.0
    queue_requests: int = 4096


@dataclass(frozen=True)
class ServeOptions:
    """A server.

    Attributes:
        host: address to listen on.
        port: 0 takes any that is free.
        limits: of a request.
        batches: how requests are joined.
        keys: file with hashed keys, see `trivec.serve.keys`.
        public: listen on other than loopback addresses though there are no keys.
        allowed_hosts: names under which the server may be asked; empty is any. Without keys on loopback it is
            ``localhost`` and the like, so that no page of another site can reach the server by a name of its own.
        origins: of pages that browsers may let call the server (CORS).
        read_only: refuse what changes libraries.
        page: answer ``GET /`` with the page for people.
        log_texts: write messages that may hold texts of users to the log.
        drain_s: how long work may take that is under way when the server is told to end.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    limits: Limits = field(default_factory=Limits)
    batches: BatchOptions = field(default_factory=BatchOptions)
    keys: Path | None = None
    public: bool = False
    allowed_hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    read_only: bool = False
    page: bool = True
    log_texts: bool = False
    drain_s: int = 30
