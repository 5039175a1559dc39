"""The sliding window of a circuit breaker: how many of its newest calls there were, and how many failed.

Calls are known by their position, a count that goes up by one with every call that ends. Only failures
are told to a window: a success is nothing but a position that no failure has. So a success costs the
breaker one count, whatever the window.

    CallWindow    the newest so many calls
    TimeWindow    the calls of the newest so many seconds, in slices

The two kinds, and slices for the second, are those of resilience4j (docs, "CircuitBreaker: Count-based
sliding window, Time-based sliding window").
"""

from __future__ import annotations

import math
from collections import deque
from typing import Protocol

__all__ = ["CallWindow", "TimeWindow", "Window"]


class Window(Protocol):
    """What a breaker asks of a window; always under the breaker's lock.

    Attributes:
        roll_at_s: from this time on, `roll` must be called before the next position is taken.
    """

    roll_at_s: float

    def clear(self, position: int, now_s: float) -> None:
        """Forget all calls up to this position."""

    def roll(self, position: int, now_s: float) -> None:
        """Time has reached `roll_at_s`, and `position` calls have ended before."""

    def failed(self, position: int) -> tuple[int, int]:
        """The call with this position failed: calls in the window and failures among them, it included."""


class CallWindow:
    """The newest `size` calls."""

    __slots__ = ("_base", "_failures", "_size", "roll_at_s")

    def __init__(self, size: int) -> None:
        self._size = size
        # Positions of failures, oldest first; never more than `size`.
        self._failures: deque[int] = deque()
        self._base = 0
        self.roll_at_s = math.inf

    def clear(self, position: int, now_s: float) -> None:  # noqa: ARG002  # this window has no time
        self._failures.clear()
        self._base = position

    def roll(self, position: int, now_s: float) -> None:
        """Never due."""

    def failed(self, position: int) -> tuple[int, int]:
        failures = self._failures
        failures.append(position)
        first = max(position - self._size, self._base)
        while failures[0] <= first:
            failures.popleft()
        return position - first, len(failures)


class TimeWindow:
    """The calls of the newest `length_s` seconds: those of the current slice of time and the nine before."""

    __slots__ = ("_failures", "_marks", "_slice", "_slice_s", "roll_at_s")

    SLICES = 10

    def __init__(self, length_s: float) -> None:
        self._slice_s = length_s / self.SLICES
        self._slice = -1
        self._failures = 0
        # What had been counted when a slice of time began: (slice, calls, failures); one for each slice
        # of the window in which a call ended.
        self._marks: deque[tuple[int, int, int]] = deque()
        self.roll_at_s = -math.inf

    def clear(self, position: int, now_s: float) -> None:
        self._marks.clear()
        self.roll(position, now_s)

    def roll(self, position: int, now_s: float) -> None:
        # Not the slice before, even if the division is a rounding error short of the next one.
        now = int(now_s // self._slice_s)
        self._slice = now if not self._marks else max(now, self._slice + 1)
        while self._marks and self._marks[0][0] <= self._slice - self.SLICES:
            self._marks.popleft()
        self._marks.append((self._slice, position, self._failures))
        self.roll_at_s = (self._slice + 1) * self._slice_s

    def failed(self, position: int) -> tuple[int, int]:
        self._failures += 1
        _, calls, failures = self._marks[0]
        return position - calls, self._failures - failures
