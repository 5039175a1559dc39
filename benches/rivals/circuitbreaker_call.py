"""circuitbreaker: a decorated function. It counts failures in a row, and times nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from circuitbreaker import CircuitBreaker, CircuitBreakerError

__all__ = ["DISTRIBUTION", "NAME", "REFUSED", "guard"]

NAME = "circuitbreaker"
DISTRIBUTION = "circuitbreaker"
REFUSED = CircuitBreakerError


def guard(function: Callable[..., Any], failures: int) -> Callable[..., Any]:
    """The function behind a breaker that opens after so many failures in a row."""
    return CircuitBreaker(failure_threshold=failures, recovery_timeout=3_600)(function)
