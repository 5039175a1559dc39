"""Every way to call through a circuit breaker, its listeners, and many threads at once."""

from __future__ import annotations

import asyncio
import itertools
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from breaker_time import Time, breaker, broken, fail, opened
from tickwire.breaker import Breaker, BreakerChange, BreakerSettings
from tickwire.errors import BreakerOpen, ConfigError

PATIENCE_S = 30.0


@pytest.fixture
def time() -> Time:
    return Time()


# Ways to call


def test_a_fallback_takes_the_call(time: Time) -> None:
    b = opened(breaker(time, fallback=lambda *args, **kwargs: ("instead", args, kwargs)))
    assert b.call(broken, 1, key=2) == ("instead", (1,), {"key": 2})
    assert b(broken)(3) == ("instead", (3,), {})
    assert b.status().short_circuited == 2


def test_a_decorated_function_keeps_its_name_and_a_method_its_self(time: Time) -> None:
    b = breaker(time)

    class Strategy:
        @b
        def on_trade(self, price: float) -> tuple[object, float]:
            """What it does."""
            return self, price

    strategy = Strategy()
    assert strategy.on_trade(1.5) == (strategy, 1.5)
    assert Strategy.on_trade.__doc__ == "What it does."
    assert b.status().calls == 1


def test_a_decorated_function_fails_and_probes_like_any_call(time: Time) -> None:
    b = breaker(time)
    guarded = b(broken)
    for _ in range(3):
        with pytest.raises(LookupError):
            guarded()
    with pytest.raises(BreakerOpen):
        guarded()
    time.now_s += 1
    with pytest.raises(LookupError):
        guarded()
    time.now_s += 2
    assert b(int)() == 0
    assert b.state == "closed"


def test_coroutine_functions(time: Time) -> None:
    b = breaker(time, slow_call_s=0.5)

    @b
    async def twice(value: int) -> int:
        await asyncio.sleep(0)
        return 2 * value

    @b
    async def bad() -> None:
        raise LookupError

    async def main() -> None:
        assert await twice(2) == 4
        assert await b.call_async(twice.__wrapped__, 3) == 6  # type: ignore[attr-defined]
        for _ in range(3):
            with pytest.raises(LookupError):
                await bad()
        with pytest.raises(BreakerOpen):
            await twice(1)
        b.fallback = asyncio.coroutines.iscoroutinefunction
        assert await twice(1) is False
        b.fallback = twice.__wrapped__  # type: ignore[attr-defined]
        assert await bad_with(5) == 10

    async def bad_with(value: int) -> int:
        return await b.call_async(bad.__wrapped__, value)  # type: ignore[attr-defined]

    asyncio.run(main())
    assert (b.status().calls, b.status().failures, b.status().short_circuited) == (5, 3, 3)


def test_a_cancelled_coroutine_counts_for_nothing(time: Time) -> None:
    b = opened(breaker(time))
    time.now_s += 1

    async def main() -> None:
        task = asyncio.create_task(b.call_async(asyncio.sleep, 3_600))
        await asyncio.sleep(0)
        assert b.status().next_probe_s == pytest.approx(30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert (b.state, b.status().calls, b.status().next_probe_s) == ("half-open", 3, 0.0)


def test_a_with_block_is_one_call(time: Time) -> None:
    b = breaker(time, slow_call_s=0.5)
    with b.calling(10):
        time.now_s += 0.1
    with pytest.raises(LookupError), b.calling():
        broken()
    with b.calling():
        time.now_s += 1
    with pytest.raises(LookupError), b.calling():
        broken()
    with pytest.raises(BreakerOpen), b.calling(3):
        pytest.fail("it was refused")
    status = b.status()
    assert (status.calls, status.events, status.failures, status.slow) == (4, 13, 3, 1)
    assert (status.short_circuited, status.events_refused) == (1, 3)


def test_a_batch_is_one_call_with_many_events(time: Time) -> None:
    b = breaker(time)
    b.success(1_000)
    b.failure(1_000)
    b.failure(1_000)
    assert b.state == "closed"
    b.failure(500)
    assert b.state == "open"
    assert not b.allow(250)
    status = b.status()
    assert (status.calls, status.events, status.failures) == (4, 3_500, 3)
    assert (status.short_circuited, status.events_refused) == (1, 250)


@pytest.mark.parametrize("kind", ["generator", "async generator"])
def test_a_generator_function_is_refused(time: Time, kind: str) -> None:
    def generator() -> Any:
        yield

    async def async_generator() -> Any:
        yield

    with pytest.raises(ConfigError, match=f"{kind.replace(' ', '_')}, whose call runs none of its body"):
        breaker(time)(generator if kind == "generator" else async_generator)


# Listeners


def test_listeners_hear_every_change_in_order(time: Time) -> None:
    b = breaker(time)
    heard: list[BreakerChange] = []
    b.add_listener(heard.append)
    opened(b)
    time.now_s += 1
    b.call(int)
    b.force_open()
    b.remove_listener(heard.append)
    b.reset()
    assert [(change.before, change.state) for change in heard] == [
        ("closed", "open"),
        ("open", "half-open"),
        ("half-open", "closed"),
        ("closed", "open"),
    ]
    assert heard[2].reason == "all probes succeeded"
    assert {change.breaker for change in heard} == {"b"}


def test_a_listener_may_raise(time: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    b = breaker(time)
    raised: list[type[BaseException]] = []
    heard: list[str] = []

    def bad(change: BreakerChange) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(threading, "excepthook", lambda args: raised.append(args.exc_type))
    b.add_listener(bad)
    b.add_listener(lambda change: heard.append(change.state))
    opened(b)
    b.reset()
    assert raised == [ZeroDivisionError, ZeroDivisionError]
    assert heard == ["open", "closed"]


def test_a_listener_may_change_the_breaker(time: Time) -> None:
    b = breaker(time)
    heard: list[str] = []

    def insist(change: BreakerChange) -> None:
        heard.append(change.state)
        if change.state == "open":
            b.reset()

    b.add_listener(insist)
    b.add_listener(lambda change: heard.append("second " + change.state))
    fail(b, 3)
    assert b.state == "closed"
    assert heard == ["open", "second open", "closed", "second closed"]


def test_an_interrupted_listener_leaves_the_breaker_working(time: Time) -> None:
    b = breaker(time)
    heard: list[str] = []

    def interrupted(change: BreakerChange) -> None:
        heard.append(change.state)
        if change.state == "open":
            raise KeyboardInterrupt

    b.add_listener(interrupted)
    with pytest.raises(KeyboardInterrupt):
        b.force_open()
    b.reset()
    assert heard == ["open", "closed"]


# Threads


def test_from_many_threads_nothing_is_miscounted() -> None:
    """Closed, open and half-open all the time: every call is counted once, and listeners keep their order."""
    b = Breaker("b", BreakerSettings(failures=3, recovery_s=1e-4, jitter=0.0, probes=2))
    heard: list[BreakerChange] = []
    b.add_listener(heard.append)
    results: list[tuple[int, int, int]] = []
    start = threading.Barrier(4)

    def work(seed: int) -> None:
        made = failed = refused = 0
        outcomes = itertools.cycle([True, True, False, True, False, False, False, True][seed:])

        def handle(good: bool) -> None:
            if not good:
                broken()

        ways: list[Callable[[bool], None]] = [b(handle), lambda good: b.call(handle, good)]
        start.wait(PATIENCE_S)
        for number in range(5_000):
            try:
                ways[number % 2](next(outcomes))
                made += 1
            except LookupError:
                made += 1
                failed += 1
            except BreakerOpen:
                refused += 1
        results.append((made, failed, refused))

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
    finally:
        sys.setswitchinterval(before)
    made, failed, refused = (sum(column) for column in zip(*results, strict=True))
    status = b.status()
    assert made + refused == 20_000
    assert (status.calls, status.failures, status.short_circuited) == (made, failed, refused)
    assert status.opened == sum(change.state == "open" for change in heard) > 1
    for one, following in itertools.pairwise(heard):
        assert one.state == following.before
