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

from tickwire.clock import Clock, ClockLoop

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
    return ClockLoop(clock)


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
