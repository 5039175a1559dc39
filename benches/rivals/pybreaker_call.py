"""pybreaker: a decorated function. It counts failures in a row under a lock held during the call, and times nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pybreaker import CircuitBreaker, CircuitBreakerError

__all__ = ["DISTRIBUTION", "NAME", "REFUSED", "guard"]

NAME = "pybreaker"
DISTRIBUTION = "pybreaker"
REFUSED = CircuitBreakerError


def guard(function: Callable[..., Any], failures: int) -> Callable[..., Any]:
    """The function behind a breaker that opens after so many failures in a row."""
    return CircuitBreaker(fail_max=failures, reset_timeout=3_600, throw_new_error_on_trip=False)(function)
