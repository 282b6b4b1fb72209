"""Numbers for Prometheus. Each server has a registry of its own, so that several fit in one process."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
_SHARES = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
_COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Metrics:
    """What a server counts. It is an `Observer` of the batcher.

    Stages of a request: ``tokenize``, ``queue``, ``batch`` (a whole batch at the model), ``retrieve``, ``explain``,
    ``write``.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._requests = Histogram(
            "trivec_request_seconds", "From the first byte to the last.", ["route", "method", "status"],
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._stages = Histogram(
            "trivec_stage_seconds", "A stage of requests.", ["stage", "lane"], buckets=_SECONDS, registry=registry
        )
        self._fill = Histogram(
            "trivec_batch_fill", "Share of its token budget that a batch uses.", ["lane"],
            buckets=_SHARES, registry=registry,
        )  # fmt: skip
        self._batch_requests = Histogram(
            "trivec_batch_requests", "Requests in a batch.", ["lane"], buckets=_COUNTS, registry=registry
        )
        self._tokens = Counter("trivec_tokens", "Tokens taken into batches.", ["lane"], registry=registry)
        self._items = Counter("trivec_items", "Texts or pairs taken into batches.", ["lane"], registry=registry)
        self._queue_tokens = Gauge("trivec_queue_tokens", "Tokens that wait.", ["lane"], registry=registry)
        self._queue_requests = Gauge("trivec_queue_requests", "Requests that wait.", ["lane"], registry=registry)
        self._refused = Counter("trivec_refused", "Requests that were refused.", ["code"], registry=registry)
        self._open = Gauge("trivec_open_requests", "Requests that have no answer yet.", registry=registry)

    @contextlib.contextmanager
    def stage(self, name: str, lane: str = "") -> Iterator[None]:
        """Time a stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._stages.labels(name, lane).observe(time.perf_counter() - started)

    def began(self) -> None:
        """A request has come."""
        self._open.inc()

    def ended(self, route: str, method: str, status: int, seconds: float, code: str | None) -> None:
        """A request has been answered; ``code`` says why it was refused."""
        self._open.dec()
        self._requests.labels(route, method, str(status)).observe(seconds)
        if code is not None:
            self._refused.labels(code).inc()

    def batch(self, lane: str, tokens: int, items: int, requests: int, full: float, waits_s: Sequence[float]) -> None:
        """See `trivec.serve.batcher.Observer`."""
        self._tokens.labels(lane).inc(tokens)
        self._items.labels(lane).inc(items)
        self._fill.labels(lane).observe(full)
        self._batch_requests.labels(lane).observe(requests)
        for wait in waits_s:
            self._stages.labels("queue", lane).observe(wait)

    def ran(self, lane: str, seconds: float) -> None:
        """See `trivec.serve.batcher.Observer`."""
        self._stages.labels("batch", lane).observe(seconds)

    def queued(self, lane: str, tokens: int, requests: int) -> None:
        """See `trivec.serve.batcher.Observer`."""
        self._queue_tokens.labels(lane).set(tokens)
        self._queue_requests.labels(lane).set(requests)

    def page(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self.registry)
