"""The batcher: small requests of many clients become batches that a model likes.

A request is some items with their costs in tokens. It waits in a *lane*, in a group of requests that may run together.
While nothing runs, a group is taken at once: whoever is alone gains nothing by waiting for company. While something
runs, it is taken when it fills a batch, or when its oldest item has waited long enough; while all workers are busy,
groups grow by themselves. Then:

- urgent lanes go before others, and one worker is kept for them; a lane that was passed over too long goes first
- groups of a lane take turns, and so do the requests of a group: a large one gives way after each batch
- each request gets the results of its own items, in their order, whatever batches they were in
- if a batch fails, its requests are run one by one, so that nobody fails by another's fault
- a request whose caller is gone leaves the queue
- a lane holds so many tokens and no more

Nothing here knows models or HTTP. All of it runs in one event loop but for the work itself, which has threads.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

from trivec.serve.failures import Overloaded, Unavailable
from trivec.serve.lanes import Lane, Share, Ticket
from trivec.serve.options import BatchOptions

Run = Callable[[Sequence[Any]], Any]
"""Takes items and gives something of the same length that can be sliced."""

_LEAST_SPEED = 100.0
"""Tokens a second that are assumed before anything was measured."""


class Observer(Protocol):
    """Is told what the batcher does."""

    def batch(self, lane: str, tokens: int, items: int, requests: int, full: float, waits_s: Sequence[float]) -> None:
        """A batch is about to run: ``full`` is its share of the token budget, ``waits_s`` how long each waited."""

    def ran(self, lane: str, seconds: float) -> None:
        """A batch has run."""

    def queued(self, lane: str, tokens: int, requests: int) -> None:
        """So much waits now."""


@dataclass(frozen=True)
class Job:
    """What a request wants done.

    Attributes:
        lane: the queue.
        key: requests with equal keys may run together.
        run: does it; the first request's of a batch is taken for all.
        items: what it is given.
        costs: of each item, in tokens.
    """

    lane: str
    key: Hashable
    run: Run
    items: Sequence[Any]
    costs: Sequence[int]


class Batcher:
    """Runs jobs in batches, see the module.

    Args:
        options: lanes and workers.
        observer: is told.
        clock: seconds, rising.
    """

    def __init__(
        self, options: BatchOptions, observer: Observer | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._options = options
        self._lanes = {name: Lane(name, lane) for name, lane in options.lanes.items()}
        self._observer = observer
        self._clock = clock
        self._pool = ThreadPoolExecutor(options.workers, "trivec-batch")
        self._running: set[asyncio.Task[None]] = set()
        self._busy_with_bulk = 0
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False

    async def submit(self, job: Job, timeout_s: float | None = None) -> list[Any]:
        """Results of a job's items: slices that make the whole when they are joined in order.

        Raises:
            Overloaded: the lane is full.
            Unavailable: the server ends, or the time is over.
        """
        lane = self._lanes[job.lane]
        if self._closing:
            raise Unavailable("the server is ending: ask again later", retry_after_s=5)
        if not job.items:
            return [await asyncio.get_running_loop().run_in_executor(self._pool, job.run, job.items)]
        ticket = Ticket(job.items, job.costs, job.run, asyncio.get_running_loop().create_future(), self._clock())
        self._admit(lane, ticket)
        lane.add(job.key, ticket)
        self._tell_queue(lane)
        self._pump()
        try:
            async with asyncio.timeout(timeout_s):
                await ticket.done
        except TimeoutError as error:
            raise Unavailable(
                f"no answer within {timeout_s:g} seconds: ask for less, or later", code="timeout", retry_after_s=5
            ) from error
        finally:
            if lane.discard(job.key, ticket):
                self._tell_queue(lane)
        return [part for _, part in sorted(ticket.parts, key=lambda numbered: numbered[0])]

    def retry_after_s(self, lane: str) -> int:
        """In how many seconds a lane will have room, by the speed of late."""
        waiting = self._lanes[lane]
        return int(min(60, max(1, waiting.tokens / max(waiting.speed, _LEAST_SPEED))))

    async def drain(self) -> None:
        """Take nothing more, and finish all there is."""
        self._closing = True
        self._pump()
        while self._running:
            await asyncio.wait(self._running)
        self._pool.shutdown()

    # -- admitting -----------------------------------------------------------------------------------------

    def _admit(self, lane: Lane, ticket: Ticket) -> None:
        """Refuse a request that a lane has no room for. An empty lane takes any."""
        crowded = lane.tokens > 0 and lane.tokens + ticket.waiting_tokens > lane.options.queue_tokens
        if crowded or lane.requests >= self._options.queue_requests:
            raise Overloaded(
                f"{lane.requests} requests with {lane.tokens} tokens are waiting: ask again later",
                retry_after_s=self.retry_after_s(lane.name),
            )

    # -- choosing ------------------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Start what can be started, and come again when the next group has waited long enough."""
        now = self._clock()
        while len(self._running) < self._options.workers and (lane := self._next_lane(now)) is not None:
            batch = lane.take(now, self._at_once)
            self._tell_queue(lane)
            self._busy_with_bulk += not lane.options.urgent
            task = asyncio.get_running_loop().create_task(self._run(lane, batch, now))
            self._running.add(task)
            task.add_done_callback(self._finished)
        self._set_timer(now)

    def _next_lane(self, now: float) -> Lane | None:
        """The lane whose turn it is: one that was passed over, else an urgent one, else the one served longest ago."""
        ready = [lane for lane in self._lanes.values() if self._may_run(lane) and lane.ready(now, self._at_once)]
        return min(
            ready,
            key=lambda lane: (
                now - lane.passed_over_since < self._options.patience_s,
                not lane.options.urgent,
                lane.served_at,
            ),
            default=None,
        )

    @property
    def _at_once(self) -> bool:
        """Whether there is nothing to wait for."""
        return self._closing or not self._running

    def _may_run(self, lane: Lane) -> bool:
        """Whether a worker is left for this lane: bulk work leaves one alone."""
        return lane.options.urgent or self._busy_with_bulk < max(1, self._options.workers - 1)

    def _set_timer(self, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = [lane.due for lane in self._lanes.values() if lane.due is not None and self._may_run(lane)]
        if due and len(self._running) < self._options.workers:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, min(due) - now), self._pump)

    # -- running -------------------------------------------------------------------------------------------

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._pump()

    async def _run(self, lane: Lane, batch: list[Share], now: float) -> None:
        tokens = sum(share.tokens for share in batch)
        if self._observer is not None:
            waits = [now - share.ticket.since for share in batch if share.start == 0]
            items = sum(share.stop - share.start for share in batch)
            self._observer.batch(lane.name, tokens, items, len(batch), tokens / lane.options.batch_tokens, waits)
        started = self._clock()
        try:
            await self._run_together(batch)
        finally:
            self._busy_with_bulk -= not lane.options.urgent
            seconds = self._clock() - started
            lane.measured(tokens, seconds)
            if self._observer is not None:
                self._observer.ran(lane.name, seconds)

    async def _run_together(self, batch: list[Share]) -> None:
        try:
            result = await self._work(batch)
        except Exception as error:
            if len(batch) == 1:
                batch[0].ticket.fail(error)
                return
            for share in batch:  # one of them is at fault: the others shall not suffer
                await self._run_together([share])
            return
        first = 0
        for share in batch:
            last = first + share.stop - share.start
            share.ticket.take(share.start, share.stop, result[first:last])
            first = last

    async def _work(self, batch: list[Share]) -> Any:  # noqa: ANN401
        items = [item for share in batch for item in share.ticket.items[share.start : share.stop]]
        return await asyncio.get_running_loop().run_in_executor(self._pool, batch[0].ticket.run, items)

    def _tell_queue(self, lane: Lane) -> None:
        if self._observer is not None:
            self._observer.queued(lane.name, lane.tokens, lane.requests)
