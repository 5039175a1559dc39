"""An event loop with timers finer than a millisecond, for hubs that own their loop.

`epoll_wait` counts in milliseconds and asyncio rounds up, so that a timer fires up to a millisecond
late: more than everything else in the measured way of a tick. `select` counts in microseconds, and an
epoll descriptor can itself be selected on. Where there is no epoll the standard loop is used.
"""

from __future__ import annotations

import asyncio
import select
import selectors
import sys

__all__ = ["new_event_loop"]

_FINE_BELOW_S = 0.1
"""Longer waits go to epoll: a millisecond does not matter to them."""

_SELECT_LIMIT = 1_024
"""`select` takes descriptors below this one only."""

if sys.platform == "linux":

    class _FineSelector(selectors.EpollSelector):
        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            if timeout is not None and 0 < timeout < _FINE_BELOW_S and self.fileno() < _SELECT_LIMIT:
                select.select([self.fileno()], [], [], timeout)
                timeout = 0
            return super().select(timeout)

    def new_event_loop() -> asyncio.AbstractEventLoop:
        """A loop whose timers are good to some tens of microseconds."""
        return asyncio.SelectorEventLoop(_FineSelector())

else:

    def new_event_loop() -> asyncio.AbstractEventLoop:
        """The standard loop."""
        return asyncio.new_event_loop()
