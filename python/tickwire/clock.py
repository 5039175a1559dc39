"""The only reader of the wall clock.

Whatever stamps an arrival or closes an idle bar asks a `Clock` that it was given, so that a test or
a replay can be the time. Durations and deadlines do not belong here: they use `time.monotonic`,
which no clock adjustment moves.
"""

from __future__ import annotations

import time
from typing import Protocol

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """Anything that tells the time of day."""

    def now_ns(self) -> int:
        """Nanoseconds since 1970-01-01 UTC."""


class SystemClock:
    """The clock of this machine, as the system disciplines it."""

    __slots__ = ()

    def now_ns(self) -> int:
        """Nanoseconds since 1970-01-01 UTC."""
        return time.time_ns()

    def __repr__(self) -> str:
        return "SystemClock()"
