"""The circuit breaker by example: what opens it, how it comes back, and every way to call through it.

`test_breaker_model.py` compares it with a naive model under any sequence of calls.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tickwire.breaker import Breaker, BreakerChange, BreakerSettings
from tickwire.errors import BreakerOpen, ConfigError, TickwireError

PATIENCE_S = 30.0


class Time:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def time() -> Time:
    return Time()


def breaker(time: Time, fallback: Callable[..., Any] | None = None, **settings: Any) -> Breaker:
    settings = {"failures": 3, "rate": None, "recovery_s": 1.0, "jitter": 0.0} | settings
    return Breaker("b", BreakerSettings(**settings), fallback=fallback, clock=time)


def broken() -> None:
    raise LookupError("broken")


def fail(b: Breaker, times: int) -> None:
    for _ in range(times):
        with pytest.raises(LookupError):
            b.call(broken)


def opened(b: Breaker) -> Breaker:
    fail(b, 3)
    assert b.state == "open"
    return b


# Opening


def test_failures_in_a_row_open_it_and_a_success_breaks_the_row(time: Time) -> None:
    b = breaker(time)
    fail(b, 2)
    b.call(int)
    fail(b, 2)
    assert b.state == "closed"
    fail(b, 1)
    assert b.state == "open"
    assert b.status().reason == "3 failed in a row, the last: LookupError"


def test_a_look_at_it_does_not_break_the_row(time: Time) -> None:
    b = breaker(time)
    for _ in range(3):
        assert b.state == "closed"
        fail(b, 1)
        b.status()
    assert b.state == "open"
    assert b.status().calls == 3


def test_a_rate_over_the_newest_calls_opens_it(time: Time) -> None:
    b = breaker(time, failures=None, rate=0.5, window_calls=4, minimum_calls=4)
    fail(b, 3)  # too few calls for a rate
    for _ in range(4):
        b.call(int)
    fail(b, 1)  # the first three have left the window: 1 of 4
    assert b.state == "closed"
    fail(b, 1)
    assert b.state == "open"
    assert b.status().reason == "2 of 4 calls failed, the last: LookupError"


def test_a_rate_that_no_binary_fraction_equals_is_met_exactly(time: Time) -> None:
    b = breaker(time, failures=None, rate=0.1, window_calls=30, minimum_calls=30)
    for _ in range(27):
        b.call(int)
    fail(b, 2)
    assert b.state == "closed"
    fail(b, 1)  # 3 of 30, and 0.1 * 30 is more than 3
    assert b.state == "open"


def test_a_rate_over_the_newest_seconds_opens_it(time: Time) -> None:
    b = breaker(time, failures=None, rate=0.5, window_s=10.0, minimum_calls=4)
    fail(b, 3)
    time.now_s += 11.0
    for _ in range(3):
        b.call(int)
    fail(b, 2)  # 2 of 5
    assert b.state == "closed"
    fail(b, 1)
    assert b.state == "open"
    assert b.status().reason == "3 of 6 calls failed, the last: LookupError"


@pytest.mark.parametrize("decorated", [False, True])
def test_a_slow_call_is_a_failure_with_a_result(time: Time, decorated: bool) -> None:
    b = breaker(time, slow_call_s=0.5)

    def slow(value: int) -> int:
        time.now_s += 0.6
        return value

    for _ in range(3):
        assert (b(slow)(7) if decorated else b.call(slow, 7)) == 7
    status = b.status()
    assert (status.state, status.calls, status.failures, status.slow) == ("open", 3, 3, 3)
    assert status.reason == "3 failed in a row, the last: a call of 0.6 s, more than 0.5 s"


def test_a_slow_failure_counts_once(time: Time) -> None:
    b = breaker(time, slow_call_s=0.5)
    b.failure(1, 0.6, LookupError())
    status = b.status()
    assert (status.calls, status.failures, status.slow) == (1, 1, 1)


def test_slowness_can_be_left_out(time: Time) -> None:
    b = breaker(time, slow_call_s=None)
    for _ in range(5):
        b.success(1, 1e9)
    assert (b.state, b.status().failures) == ("closed", 0)


def test_ignored_exceptions_are_answers(time: Time) -> None:
    b = breaker(time, ignore=(KeyError,))
    for _ in range(5):
        with pytest.raises(KeyError):
            b.call({}.__getitem__, "nothing")
    status = b.status()
    assert (status.state, status.calls, status.failures) == ("closed", 5, 0)


def test_the_text_of_an_error_is_not_told(time: Time) -> None:
    b = breaker(time)
    for _ in range(3):
        b.failure(error=LookupError("secret"))
    with pytest.raises(BreakerOpen) as caught:
        b.call(int)
    assert "LookupError" in str(caught.value)
    assert "secret" not in str(caught.value) + repr(b.status())


# Coming back


def test_open_it_refuses_until_the_recovery_time_has_passed(time: Time) -> None:
    b = opened(breaker(time))
    time.now_s += 0.99
    with pytest.raises(BreakerOpen, match=r"breaker 'b' is open \(3 failed .*\); .* in 0\.01 s") as caught:
        b.call(int)
    assert isinstance(caught.value, TickwireError)
    assert caught.value.next_probe_s == pytest.approx(0.01)
    time.now_s += 0.01
    assert b.call(int, "5") == 5
    assert b.state == "closed"
    assert b.status().short_circuited == 1


def test_each_failed_probe_makes_it_wait_longer_up_to_a_cap_and_a_success_starts_anew(time: Time) -> None:
    b = opened(breaker(time, recovery_s=1.0, recovery_factor=3.0, recovery_max_s=10.0))
    waits = []
    for _ in range(5):
        waits.append(b.status().next_probe_s)
        time.now_s += waits[-1]
        fail(b, 1)
    assert waits == pytest.approx([1, 3, 9, 10, 10])
    time.now_s += 10
    b.call(int)
    assert b.state == "closed"
    fail(b, 3)
    assert b.status().next_probe_s == pytest.approx(1)
    assert b.status().opened == 7


def test_jitter_only_shortens(time: Time) -> None:
    waits = set()
    for part in (0.0, 0.5, 1.0):
        b = Breaker(
            "b",
            BreakerSettings(failures=1, recovery_s=8.0, jitter=0.25),
            clock=time,
            uniform=lambda part=part: part,
        )
        b.failure()
        waits.add(b.status().next_probe_s)
    assert sorted(waits) == pytest.approx([6, 7, 8])


def test_half_open_lets_so_many_through_and_closes_when_all_have_succeeded(time: Time) -> None:
    b = opened(breaker(time, probes=2))
    time.now_s += 1
    permits = [b.allow(), b.allow(), b.allow()]
    assert all(permits[:2])
    assert not permits[2]
    b.success(permit=permits[0])
    assert b.state == "half-open"
    assert not b.allow()
    b.success(permit=permits[1])
    assert b.state == "closed"


def test_the_first_probe_that_fails_opens_it(time: Time) -> None:
    b = opened(breaker(time, probes=2))
    time.now_s += 1
    one, other = b.allow(), b.allow()
    b.failure(error=LookupError(), permit=one)
    assert b.state == "open"
    b.success(permit=other)  # of a time that is over
    assert b.state == "open"
    assert b.status().reason == "a probe failed: LookupError"


def test_a_cancelled_probe_gives_its_place_back(time: Time) -> None:
    b = opened(breaker(time))
    time.now_s += 1

    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        b.call(interrupted)
    status = b.status()
    assert (status.state, status.calls, status.next_probe_s) == ("half-open", 3, 0.0)
    b.call(int)
    assert b.state == "closed"


def test_probes_that_never_end_have_failed(time: Time) -> None:
    b = opened(breaker(time, probe_limit_s=5.0))
    time.now_s += 1
    assert b.allow()
    time.now_s += 4.9
    assert b.status().next_probe_s == pytest.approx(0.1)
    assert not b.allow()
    assert b.state == "half-open"
    time.now_s += 0.1
    assert not b.allow()
    assert b.state == "open"
    assert b.status().next_probe_s == pytest.approx(2)
    assert b.status().reason == "no probe ended within 5 s"


def test_a_call_that_began_before_says_nothing_about_now(time: Time) -> None:
    b = breaker(time)
    early = b.allow()
    fail(b, 3)
    b.success(permit=early)
    assert b.state == "open"
    time.now_s += 1
    probe = b.allow()
    b.failure(permit=early)
    b.success(permit=early)
    assert b.state == "half-open"
    b.success(permit=probe)
    assert b.state == "closed"
    fail(b, 2)
    b.failure(permit=early)
    assert b.state == "closed"
    assert b.status().calls == 10


# By hand


def test_forced_open_lets_nothing_through_until_reset(time: Time) -> None:
    b = breaker(time)
    b.force_open()
    time.now_s += 1e6
    with pytest.raises(BreakerOpen, match=r"opened by hand.*; reset it"):
        b.call(int)
    status = b.status()
    assert (status.state, status.forced, status.next_probe_s) == ("open", True, None)
    b.reset()
    assert (b.call(int), b.state, b.status().forced) == (0, "closed", False)


def test_forced_closed_lets_everything_through_until_reset(time: Time) -> None:
    b = opened(breaker(time))
    b.force_close()
    fail(b, 10)
    assert (b.state, b.status().forced, b.status().failures) == ("closed", True, 13)
    b.reset()
    fail(b, 2)
    assert b.state == "closed"
    fail(b, 1)
    assert b.state == "open"


def test_reset_forgets_what_failed(time: Time) -> None:
    b = breaker(time)
    fail(b, 2)
    b.reset()
    fail(b, 2)
    assert b.state == "closed"


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


# Settings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"failures": 0}, r"failures: got 0, expected a whole number from 1"),
        ({"failures": None, "rate": None}, "got neither failures nor rate"),
        ({"rate": 1.5}, r"rate: got 1\.5, expected a share of at most 1"),
        ({"rate": 0}, "rate: got 0, expected a finite number above zero"),
        ({"window_s": -1.0}, r"window_s: got -1\.0"),
        ({"window_calls": True}, "window_calls: got True"),
        ({"minimum_calls": 101}, r"minimum_calls: got 101, expected at most window_calls \(100\)"),
        ({"slow_call_s": float("nan")}, "slow_call_s: got nan"),
        ({"recovery_factor": 0.5}, r"recovery_factor: got 0\.5, expected 1 or more"),
        ({"recovery_s": 61.0}, r"recovery_max_s: got 60\.0, expected at least recovery_s \(61\.0\)"),
        ({"jitter": 1.0}, r"jitter: got 1\.0, expected from 0 to less than 1"),
        ({"jitter": "some"}, "jitter: got 'some'"),
        ({"probes": 0}, "probes: got 0"),
        ({"probe_limit_s": 0}, "probe_limit_s: got 0"),
        ({"ignore": (KeyboardInterrupt,)}, "ignore: got .*KeyboardInterrupt"),
        ({"ignore": KeyError}, "ignore: got .*KeyError"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        BreakerSettings(**settings)


def test_a_breaker_of_wrong_parts_is_refused() -> None:
    with pytest.raises(ConfigError, match="settings: got 5"):
        Breaker("b", 5)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="fallback: got 5"):
        Breaker("b", fallback=5)  # type: ignore[arg-type]
