"""Time, and waiting for it: the only module of the connection that reads a clock or sleeps.

Whatever stamps an arrival, measures a duration or waits does so through the `Clock` it was given,
so that a test or a simulation can be the time: a subclass may run faster than the world, or jump
from one deadline to the next. Time of day and durations are kept apart, because the first is
adjusted while a program runs and the second never goes back.
"""

from __future__ import annotations

import asyncio
import selectors
import threading
import time
from collections.abc import Mapping
from typing import Any

__all__ = ["Clock", "ClockLoop"]


class Clock:
    """The clock of this machine. Subclass it to be another one; every method may be called from any thread."""

    __slots__ = ()

    def now_ns(self) -> int:
        """Time of day: nanoseconds since 1970-01-01 UTC, as the system disciplines it."""
        return time.time_ns()

    def monotonic_s(self) -> float:
        """Seconds since some moment, for durations and deadlines; never goes back."""
        return time.monotonic()

    def wait(self, event: threading.Event, timeout_s: float | None) -> bool:
        """Wait until `event` is set or `timeout_s` seconds have passed (None: for ever); whether it is set."""
        return event.wait(timeout_s)

    def select(
        self, selector: selectors.BaseSelector, timeout_s: float | None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        """What of `selector` is ready, waiting at most `timeout_s` seconds (None: for ever)."""
        return selector.select(timeout_s)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class ClockLoop(asyncio.SelectorEventLoop):
    """An event loop on a clock: its timers go by it, and its waiting is the clock's business."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(_ClockSelector(clock))
        self._given_clock = clock

    def time(self) -> float:
        """Seconds of the clock."""
        return self._given_clock.monotonic_s()


class _ClockSelector(selectors.BaseSelector):
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._inner = selectors.DefaultSelector()

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._inner.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.modify(fileobj, events, data)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return self._clock.select(self._inner, timeout)

    def close(self) -> None:
        self._inner.close()

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        return self._inner.get_key(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._inner.get_map()
