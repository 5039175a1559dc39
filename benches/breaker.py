"""The lines of the report about the circuit breaker: one call per event, and one call per batch."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import tickwire as tw
from tickwire.breaker import Breaker, BreakerSettings
from tickwire.errors import BreakerOpen

from . import ours, rivals
from .harness import Contender, Goal, Line, Missing, Thunk, compare
from .lines import Options, present

__all__ = ["BATCH", "breaker", "per_batch"]

BATCH = 1_000
FAILURES = 5


def breaker(options: Options) -> list[Line]:
    """Closed breakers, which is how they are nearly always."""
    return [_call(options), _batch(options)]


def guard(function: Callable[..., Any], failures: int) -> Callable[..., Any]:
    """The function behind a breaker of the default settings, which also time each call."""
    return Breaker("bench", BreakerSettings(failures=failures, recovery_s=60.0))(function)


def script(guarded: Callable[[int], int], refused: type[Exception]) -> list[object]:
    """What a breaker makes of successes, too few failures in a row, a success, and enough failures."""
    seen: list[object] = []
    for number in [1, 2, *[-1] * (FAILURES - 1), 3, *[-2] * FAILURES, 4, -3]:
        try:
            seen.append(guarded(number))
        except refused:
            seen.append("refused")
        except LookupError:
            seen.append("failed")
    return seen


def handle(number: int) -> int:
    """The guarded function."""
    if number < 0:
        raise LookupError
    return number


def per_batch(made: Breaker, handler: Callable[[list[int]], object], events: list[int]) -> None:
    """A batch as the client hands it to a callback: one permit, one call, one end."""
    if permit := made.allow(len(events)):
        started_s = time.monotonic()
        handler(events)
        made.success(len(events), time.monotonic() - started_s, permit=permit)


def _call(options: Options) -> Line:
    missing: list[Missing] = []
    found = present(["circuitbreaker_call", "pybreaker_call"], missing)
    count = options.size(100_000)
    expected = script(guard(handle, FAILURES), BreakerOpen)
    assert expected.count("failed") == 2 * FAILURES - 1, expected
    for rival in found:
        theirs = script(rival.guard(handle, FAILURES), rival.REFUSED)
        assert theirs == expected, f"{rival.NAME}: {theirs} instead of {expected}"

    def loop(guarding: Callable[[Callable[..., Any], int], Callable[..., Any]]) -> Callable[[], Thunk]:
        def prepare() -> Thunk:
            guarded = guarding(handle, FAILURES)

            def run() -> None:
                for number in range(count):
                    guarded(number)

            return run

        return prepare

    contenders = [Contender(ours.NAME, loop(guard), tw.__version__)]
    contenders += [
        Contender(rival.NAME, loop(rival.guard), rivals.version(rival.DISTRIBUTION)) for rival in found
    ]
    contenders.append(Contender("no breaker", loop(lambda function, _: function)))
    return Line(
        "breaker call",
        "Circuit breaker, closed, one call per event",
        "call",
        f"{count:,} calls of a decorated function that returns its argument, in a Python loop, which is part of all "
        "times. tickwire also times every call (a slow one is a failure) and keeps a window for the failure rate.",
        compare(contenders, units=count, rounds=options.rounds),
        [Goal("circuitbreaker", 1.5, "speed"), Goal("pybreaker", 3, "speed")],
        missing,
    )


def _batch(options: Options) -> Line:
    events = list(range(BATCH))
    batches = max(1, options.size(1_000_000) // BATCH)
    checked = Breaker("bench")
    per_batch(checked, len, events)
    assert (checked.status().calls, checked.status().events) == (1, BATCH)

    def with_breaker() -> Thunk:
        made = Breaker("bench")

        def run() -> None:
            for _ in range(batches):
                per_batch(made, len, events)

        return run

    def without() -> Thunk:
        def run() -> None:
            for _ in range(batches):
                len(events)

        return run

    contenders = [
        Contender(ours.NAME, with_breaker, tw.__version__),
        Contender("no breaker", without),
    ]
    return Line(
        "breaker batch",
        f"Circuit breaker, closed, one call per batch of {BATCH:,}",
        "event",
        f"{batches:,} batches: a permit, a call of `len`, its end. At most 5 ns an event is the goal, which "
        "`test_floors.py` asserts.",
        compare(contenders, units=batches * BATCH, rounds=options.rounds),
    )
