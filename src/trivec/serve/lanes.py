"""What waits: requests in groups, groups in lanes."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from trivec.serve.options import LaneOptions

_MEMORY = 0.8
"""How much of the measured speed comes from before the last batch."""


@dataclass(eq=False)
class Ticket:
    """A request on its way.

    Attributes:
        items: what is to be done.
        costs: of each item.
        run: does it.
        done: its end; the result is in ``parts``.
        since: when it came.
        started: items that were taken into batches.
        finished: items whose results are there.
        parts: (number of the first item, results), in any order.
    """

    items: Sequence[Any]
    costs: Sequence[int]
    run: Callable[[Sequence[Any]], Any]
    done: asyncio.Future[None]
    since: float
    started: int = 0
    finished: int = 0
    parts: list[tuple[int, Any]] = field(default_factory=list)
    waiting_tokens: int = 0

    def __post_init__(self) -> None:
        self.waiting_tokens = sum(self.costs)

    def take(self, start: int, stop: int, part: Any) -> None:  # noqa: ANN401
        """Results of some items have come."""
        self.parts.append((start, part))
        self.finished += stop - start
        if self.finished == len(self.items) and not self.done.done():
            self.done.set_result(None)

    def fail(self, error: Exception) -> None:
        """Some items could not be done."""
        if not self.done.done():
            self.done.set_exception(error)


class Share(NamedTuple):
    """The part of a batch that is a request's: its items from ``start`` to ``stop``."""

    ticket: Ticket
    start: int
    stop: int
    tokens: int


@dataclass(eq=False)
class _Group:
    """Requests that may run together, whose turn it is first; ``tokens`` of them are not taken yet."""

    tickets: deque[Ticket] = field(default_factory=deque)
    tokens: int = 0

    @property
    def since(self) -> float:
        return min(ticket.since for ticket in self.tickets)


class Lane:
    """A queue.

    Attributes:
        name: of the lane.
        options: its size and its haste.
        tokens: that wait.
        requests: that wait.
        served_at: when a batch was last taken.
        passed_over_since: since when something waits that has not been served; endless future if nothing waits.
        speed: tokens a second, of late.
    """

    def __init__(self, name: str, options: LaneOptions) -> None:
        self.name = name
        self.options = options
        self.tokens = 0
        self.requests = 0
        self.served_at = float("-inf")
        self.speed = 0.0
        self._groups: OrderedDict[Hashable, _Group] = OrderedDict()

    @property
    def passed_over_since(self) -> float:
        """Since when something waits."""
        oldest = min((group.since for group in self._groups.values()), default=float("inf"))
        return max(self.served_at, oldest)

    @property
    def due(self) -> float | None:
        """When the next group has waited long enough; None if none waits."""
        oldest = min((group.since for group in self._groups.values()), default=None)
        return None if oldest is None else oldest + self.options.wait_s

    def add(self, key: Hashable, ticket: Ticket) -> None:
        """A request joins its group."""
        group = self._groups.setdefault(key, _Group())
        group.tickets.append(ticket)
        group.tokens += ticket.waiting_tokens
        self.tokens += ticket.waiting_tokens
        self.requests += 1

    def discard(self, key: Hashable, ticket: Ticket) -> bool:
        """What still waits of a request leaves; False if nothing did."""
        group = self._groups.get(key)
        if group is None or ticket not in group.tickets:
            return False
        self._leave(key, group, ticket)
        return True

    def ready(self, now: float, at_once: bool) -> bool:
        """Whether a batch can be taken."""
        return any(self._is_ready(group, now, at_once) for group in self._groups.values())

    def take(self, now: float, at_once: bool) -> list[Share]:
        """The next batch: from the ready group that was served longest ago, as much as fits, at least one item."""
        key = next(key for key, group in self._groups.items() if self._is_ready(group, now, at_once))
        group = self._groups[key]
        batch: list[Share] = []
        room = self.options.batch_tokens
        for ticket in list(group.tickets):
            share = self._share(ticket, room, first=not batch)
            if share is None:
                break
            batch.append(share)
            room -= share.tokens
            self._taken(key, group, share)
            if ticket.started < len(ticket.items):
                break
        if key in self._groups:
            self._groups.move_to_end(key)
        self.served_at = now
        return batch

    def measured(self, tokens: int, seconds: float) -> None:
        """A batch has run: adjust the speed."""
        latest = tokens / max(seconds, 1e-6)
        self.speed = latest if not self.speed else _MEMORY * self.speed + (1 - _MEMORY) * latest

    def _is_ready(self, group: _Group, now: float, at_once: bool) -> bool:
        waited = now - group.since >= self.options.wait_s
        begun = any(ticket.started for ticket in group.tickets)
        return at_once or waited or begun or group.tokens >= self.options.batch_tokens

    def _share(self, ticket: Ticket, room: int, first: bool) -> Share | None:
        stop, tokens = ticket.started, 0
        while stop < len(ticket.items):
            cost = ticket.costs[stop]
            if tokens + cost > room and not (first and stop == ticket.started):
                break
            tokens += cost
            stop += 1
        return Share(ticket, ticket.started, stop, tokens) if stop > ticket.started else None

    def _taken(self, key: Hashable, group: _Group, share: Share) -> None:
        """Items are in a batch: the request leaves the queue, or goes to the end of its group."""
        ticket = share.ticket
        ticket.started = share.stop
        ticket.waiting_tokens -= share.tokens
        group.tokens -= share.tokens
        self.tokens -= share.tokens
        if ticket.started == len(ticket.items):
            self._leave(key, group, ticket)
        else:
            group.tickets.remove(ticket)
            group.tickets.append(ticket)

    def _leave(self, key: Hashable, group: _Group, ticket: Ticket) -> None:
        group.tickets.remove(ticket)
        group.tokens -= ticket.waiting_tokens
        self.tokens -= ticket.waiting_tokens
        ticket.waiting_tokens = 0
        self.requests -= 1
        if not group.tickets:
            del self._groups[key]
