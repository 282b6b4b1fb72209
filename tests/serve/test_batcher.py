"""The batcher by itself: budget, deadline, turns, priority, bounds, cancelling, faults, and whose answer is whose."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from trivec.serve.batcher import Batcher, Job
from trivec.serve.failures import Overloaded, Unavailable
from trivec.serve.options import BatchOptions, LaneOptions

LONG = 60.0


class Recorder:
    """Doubles numbers, and remembers batches. While it is held, work waits."""

    def __init__(self, held: bool = False) -> None:
        self.batches: list[list[int]] = []
        self._open = threading.Event()
        if not held:
            self._open.set()

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        assert self._open.wait(LONG)
        return [2 * item for item in items]

    def release(self) -> None:
        self._open.set()


def options(workers: int = 1, queue_tokens: int = 1000, wait_s: float = 0.0, **more: Any) -> BatchOptions:
    lanes = {
        "queries": LaneOptions(10, wait_s, queue_tokens, urgent=True),
        "documents": LaneOptions(10, wait_s, queue_tokens),
    }
    return BatchOptions(lanes, workers, **more)


def job(run: Callable[..., Any], items: Sequence[Any], lane: str = "documents", key: str = "k", cost: int = 1) -> Job:
    return Job(lane, key, run, items, [cost] * len(items))


def play(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), LONG))


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0.005)


def joined(parts: Sequence[Sequence[int]]) -> list[int]:
    return [value for part in parts for value in part]


def test_requests_are_joined_up_to_the_token_budget() -> None:
    async def story() -> None:
        run = Recorder(held=True)
        batcher = Batcher(options())
        first = asyncio.ensure_future(batcher.submit(job(run, [0])))
        await settle()
        others = [asyncio.ensure_future(batcher.submit(job(run, [n], cost=4))) for n in range(1, 6)]
        await settle()
        run.release()
        assert joined(await first) == [0]
        assert [joined(await one) for one in others] == [[2], [4], [6], [8], [10]]
        assert run.batches == [[0], [1, 2], [3, 4], [5]]
        await batcher.drain()

    play(story)


def test_nobody_waits_for_company_while_nothing_runs() -> None:
    async def story() -> None:
        run = Recorder()
        batcher = Batcher(options(wait_s=2 * LONG))
        assert joined(await batcher.submit(job(run, [0]))) == [0]
        await asyncio.gather(*(batcher.submit(job(run, [n])) for n in range(1, 4)))
        assert run.batches == [[0], [1], [2, 3]]
        await batcher.drain()

    play(story)


@pytest.mark.parametrize(("wait_s", "cost"), [(0.05, 1), (2 * LONG, 5)])
def test_while_something_runs_a_batch_waits_until_its_deadline_or_until_it_is_full(wait_s: float, cost: int) -> None:
    async def story() -> None:
        run, other = Recorder(), Recorder(held=True)
        batcher = Batcher(options(workers=2, wait_s=wait_s))
        running = asyncio.ensure_future(batcher.submit(job(other, [7])))
        await settle()
        first = asyncio.ensure_future(batcher.submit(job(run, [0], lane="queries", cost=cost)))
        await settle()
        second = asyncio.ensure_future(batcher.submit(job(run, [1], lane="queries", cost=cost)))
        await asyncio.gather(first, second)
        assert run.batches == [[0, 1]]
        other.release()
        await running
        await batcher.drain()

    play(story)


def test_what_waits_for_company_goes_when_there_is_none_any_more() -> None:
    async def story() -> None:
        run, other = Recorder(), Recorder(held=True)
        batcher = Batcher(options(workers=2, wait_s=2 * LONG))
        running = asyncio.ensure_future(batcher.submit(job(other, [7])))
        await settle()
        waiting = asyncio.ensure_future(batcher.submit(job(run, [0], lane="queries")))
        await settle()
        assert run.batches == []
        other.release()
        await running
        assert joined(await waiting) == [0]
        await batcher.drain()

    play(story)


def test_only_equal_keys_run_together() -> None:
    async def story() -> None:
        run = Recorder()
        batcher = Batcher(options(wait_s=0.02))
        await asyncio.gather(*(batcher.submit(job(run, [n], key=str(n % 2))) for n in range(6)))
        assert sorted(run.batches) == [[0], [1, 3, 5], [2, 4]]
        await batcher.drain()

    play(story)


def test_a_large_request_gives_way_after_each_batch() -> None:
    async def story() -> None:
        run = Recorder(held=True)
        batcher = Batcher(options())
        large = asyncio.ensure_future(batcher.submit(job(run, list(range(100)))))
        await settle()
        small = asyncio.ensure_future(batcher.submit(job(run, [1000])))
        await settle()
        run.release()
        assert joined(await small) == [2000]
        assert joined(await large) == [2 * n for n in range(100)]
        assert 1000 in joined(run.batches[:3])
        await batcher.drain()

    play(story)


def test_queries_go_first_and_find_a_free_worker() -> None:
    async def story() -> None:
        run, bulk = Recorder(), Recorder(held=True)
        batcher = Batcher(options(workers=2))
        documents = [asyncio.ensure_future(batcher.submit(job(bulk, [n], cost=10))) for n in range(4)]
        await settle()
        assert len(bulk.batches) == 1  # the other worker is kept
        assert joined(await batcher.submit(job(run, [7], lane="queries"))) == [14]
        bulk.release()
        await asyncio.gather(*documents)
        await batcher.drain()

        run = Recorder(held=True)
        single = Batcher(options(workers=1))
        waiting = [asyncio.ensure_future(single.submit(job(run, [n], cost=10))) for n in range(3)]
        await settle()
        waiting.append(asyncio.ensure_future(single.submit(job(run, [9], lane="queries"))))
        await settle()
        run.release()
        await asyncio.gather(*waiting)
        assert run.batches == [[0], [9], [1], [2]]
        await single.drain()

    play(story)


def test_no_lane_starves() -> None:
    async def story() -> None:
        run = Recorder()
        batcher = Batcher(options(patience_s=0.05))
        answered = asyncio.Event()

        async def ask_on() -> None:
            while not answered.is_set():
                await batcher.submit(job(run, [1], lane="queries", cost=10))

        askers = [asyncio.ensure_future(ask_on()) for _ in range(4)]
        await settle()
        await batcher.submit(job(run, [2]))
        answered.set()
        await asyncio.gather(*askers)
        await batcher.drain()

    play(story)


def test_a_full_lane_refuses_and_says_when_to_come_again() -> None:
    async def story() -> None:
        run = Recorder(held=True)
        batcher = Batcher(options(queue_tokens=20))
        waiting = [asyncio.ensure_future(batcher.submit(job(run, [n], cost=10))) for n in range(3)]
        await settle()
        with pytest.raises(Overloaded) as refused:
            await batcher.submit(job(run, [9]))
        assert refused.value.retry_after_s is not None
        assert 1 <= refused.value.retry_after_s <= 60
        waiting.append(asyncio.ensure_future(batcher.submit(job(run, [4], lane="queries"))))
        run.release()
        await asyncio.gather(*waiting)
        await batcher.drain()

    play(story)


def test_an_empty_lane_takes_a_request_that_is_larger_than_its_bound() -> None:
    async def story() -> None:
        batcher = Batcher(options(queue_tokens=20))
        assert len(joined(await batcher.submit(job(Recorder(), list(range(500)))))) == 500
        await batcher.drain()

    play(story)


def test_so_many_requests_may_wait() -> None:
    async def story() -> None:
        run = Recorder(held=True)
        batcher = Batcher(options(queue_requests=2))
        waiting = [asyncio.ensure_future(batcher.submit(job(run, [n], cost=10))) for n in range(3)]
        await settle()
        with pytest.raises(Overloaded):
            await batcher.submit(job(run, [9]))
        run.release()
        await asyncio.gather(*waiting)
        await batcher.drain()

    play(story)


def test_who_leaves_leaves_the_queue() -> None:
    async def story() -> None:
        run = Recorder(held=True)
        batcher = Batcher(options(queue_tokens=10))
        first = asyncio.ensure_future(batcher.submit(job(run, [0])))
        await settle()
        second = asyncio.ensure_future(batcher.submit(job(run, [1], cost=10)))
        await settle()
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        third = asyncio.ensure_future(batcher.submit(job(run, [2], cost=10)))
        await settle()
        run.release()
        assert joined(await first) == [0]
        assert joined(await third) == [4]
        assert run.batches == [[0], [2]]
        await batcher.drain()

    play(story)


def test_time_is_up() -> None:
    async def story() -> None:
        run = Recorder(held=True)
        batcher = Batcher(options())
        with pytest.raises(Unavailable, match="no answer within"):
            await batcher.submit(job(run, [0]), timeout_s=0.02)
        run.release()
        assert joined(await batcher.submit(job(run, [1]), timeout_s=LONG)) == [2]
        await batcher.drain()

    play(story)


def test_nobody_fails_by_anothers_fault() -> None:
    def run(items: Sequence[int]) -> list[int]:
        if 3 in items:
            raise ValueError("three")
        return [2 * item for item in items]

    async def story() -> None:
        batcher = Batcher(options(wait_s=0.02))
        answers = await asyncio.gather(*(batcher.submit(job(run, [n])) for n in range(5)), return_exceptions=True)
        assert isinstance(answers[3], ValueError)
        assert [joined(one) for n, one in enumerate(answers) if n != 3] == [[0], [2], [4], [8]]  # type: ignore[arg-type]
        await batcher.drain()

    play(story)


def test_draining_finishes_what_there_is_and_takes_nothing_more() -> None:
    async def story() -> None:
        run = Recorder()
        batcher = Batcher(options(wait_s=LONG))
        waiting = [asyncio.ensure_future(batcher.submit(job(run, [n], key=str(n)))) for n in range(7)]
        await asyncio.sleep(0)
        await batcher.drain()
        assert [joined(await one) for one in waiting] == [[2 * n] for n in range(7)]
        with pytest.raises(Unavailable):
            await batcher.submit(job(run, [1]))

    play(story)


def test_an_empty_request_is_answered() -> None:
    async def story() -> None:
        batcher = Batcher(options())
        assert joined(await batcher.submit(job(Recorder(), []))) == []
        await batcher.drain()

    play(story)


@pytest.mark.parametrize("seed", range(5))
def test_everybody_gets_the_answers_to_their_own_items(seed: int) -> None:
    """256 clients, requests of all sizes, some of which are given up: no answer is lost, and none is another's."""
    rng = random.Random(seed)

    def run(items: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        if rng.random() < 0.05:
            raise RuntimeError("now and then")
        return [(client, -number) for client, number in items]

    async def ask(batcher: Batcher, client: int) -> int:
        await asyncio.sleep(rng.random() * 0.02)
        count = rng.choice([1, 1, 1, 2, 5, 40])
        items = [(client, number) for number in range(count)]
        lane = rng.choice(["queries", "documents"])
        work = Job(lane, rng.choice("ab"), run, items, [rng.randint(1, 6) for _ in items])
        if rng.random() < 0.1:
            work_task = asyncio.ensure_future(batcher.submit(work))
            await asyncio.sleep(rng.random() * 0.01)
            if work_task.cancel():
                await asyncio.gather(work_task, return_exceptions=True)
                return 0
        try:
            answers = joined(await batcher.submit(work))  # type: ignore[arg-type]
        except RuntimeError:
            return 0
        assert answers == [(client, -number) for number in range(count)]  # type: ignore[comparison-overlap]
        return 1

    async def story() -> None:
        batcher = Batcher(options(workers=3, queue_tokens=100_000, wait_s=0.001))
        answered = await asyncio.gather(*(ask(batcher, client) for client in range(256)))
        assert sum(answered) > 128
        await batcher.drain()

    play(story)
