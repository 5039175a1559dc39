"""Breakers that open quickly, on a clock that stands until it is moved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tickwire.breaker import Breaker, BreakerSettings


class Time:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


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
