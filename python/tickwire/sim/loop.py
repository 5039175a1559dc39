"""Event loops for hubs that own theirs: on the clock they are given, with fine timers on the real one.

`epoll_wait` counts in milliseconds and asyncio rounds up, so that a timer fires up to a millisecond
late: more than everything else in the measured way of a tick. `select` counts in microseconds, and an
epoll descriptor can itself be selected on. Where there is no epoll the standard loop is used.

A loop on another clock reads its time from it and waits through it, so that a clock that jumps from
one deadline to the next drives the hub like any other thread.
"""

from __future__ import annotations

import asyncio
import select
import selectors
import sys
from typing import TYPE_CHECKING, Any

from tickwire.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["EARLY_S", "new_event_loop"]

EARLY_S = 1e-6
"""A timer may fire so much before its time, by the loop's resolution and by rounding. Whoever looks at
the clock in it and waits for the rest would wait for nothing, and for ever on a clock that only moves
by what is waited for."""

_FINE_BELOW_S = 0.1
"""Longer waits go to epoll: a millisecond does not matter to them."""

_SELECT_LIMIT = 1_024
"""`select` takes descriptors below this one only."""


def new_event_loop(clock: Clock | None = None) -> asyncio.AbstractEventLoop:
    """A loop on `clock`; on the real one its timers are good to some tens of microseconds."""
    if clock is None or type(clock) is Clock:
        return _fine_loop()
    return _ClockLoop(clock)


if sys.platform == "linux":

    class _FineSelector(selectors.EpollSelector):
        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            if timeout is not None and 0 < timeout < _FINE_BELOW_S and self.fileno() < _SELECT_LIMIT:
                select.select([self.fileno()], [], [], timeout)
                timeout = 0
            return super().select(timeout)

    def _fine_loop() -> asyncio.AbstractEventLoop:
        return asyncio.SelectorEventLoop(_FineSelector())

else:

    def _fine_loop() -> asyncio.AbstractEventLoop:
        return asyncio.new_event_loop()


class _ClockLoop(asyncio.SelectorEventLoop):
    def __init__(self, clock: Clock) -> None:
        super().__init__(_ClockSelector(clock))
        self._hub_clock = clock

    def time(self) -> float:
        return self._hub_clock.monotonic_s()


class _ClockSelector(selectors.BaseSelector):
    """A selector whose waiting is the clock's business."""

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
