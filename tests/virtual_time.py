"""Time that jumps: days of a client and its hub in seconds, every wait in them exact.

    clock = VirtualClock(start_ns=...)
    with Hub(market, clock=clock) as hub, connect(hub.url, time_source=clock, ...) as client:
        clock.sleep(86_400.0)

Time stands still while any thread that it concerns has something to do, and goes to the earliest deadline
when all of them wait and nothing is ready: no socket readable, no event set. Of several that wait for
the same moment one is woken after the other, in the order in which they began to wait. It concerns
the thread that made the clock and all whose names begin with "tickwire", the library's and the hub's.

The thread of the test lets time pass by `sleep` and `until` alone; whatever else it does takes none. It
must not block on what needs time to pass but within `passing`. It needs what Linux has: an epoll
that can be polled, and an eventfd.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import select
import selectors
import threading
from collections.abc import Callable, Iterator
from typing import Any

from tickwire.clock import Clock

__all__ = ["VirtualClock"]

# Threads wait in slices of real time, and look around after each: a thread that ends tells nobody, and
# it may have been the last that was not waiting.
_SLICE_S = 0.005
_LONG_SLICE_S = 0.05


class _Alarm:
    """What wakes one thread; it lives as long as the thread does."""

    def __init__(self) -> None:
        self._fd = os.eventfd(0, os.EFD_NONBLOCK)
        self._waiting = select.poll()
        self._waiting.register(self._fd, select.POLLIN)
        self._probing = select.poll()
        self._watched: int | None = None

    def ring(self) -> None:
        os.eventfd_write(self._fd, 1)

    def watch(self, fd: int) -> None:
        """Wait for this descriptor, and for no other."""
        if fd != self._watched:
            for poll in (self._waiting, self._probing):
                if self._watched is not None:
                    poll.unregister(self._watched)
                poll.register(fd, select.POLLIN)
            self._watched = fd

    def is_ready(self) -> bool:
        """Whether the descriptor has something, asked by any thread under the clock's lock."""
        return bool(self._probing.poll(0))

    def wait(self) -> bool:
        """Wait for a slice, or until it rings; whether the descriptor has something."""
        ready = {fd for fd, _ in self._waiting.poll(_LONG_SLICE_S * 1e3)}
        if self._fd in ready:
            os.eventfd_read(self._fd)
        return self._watched in ready

    def __del__(self) -> None:
        os.close(self._fd)


class _Parked:
    """One thread that waits."""

    __slots__ = ("deadline_ns", "due", "is_ready", "order", "ring")

    def __init__(
        self, order: int, deadline_ns: int | None, is_ready: Callable[[], bool], ring: Callable[[], None]
    ) -> None:
        self.order = order
        self.deadline_ns = deadline_ns
        self.is_ready = is_ready
        self.ring = ring
        self.due = False


class VirtualClock(Clock):
    """Time for a client and its hub; see the module. `start_ns`: time of day at the start, ns UTC."""

    __slots__ = (
        "_away",
        "_elapsed_ns",
        "_local",
        "_lock",
        "_orders",
        "_owner",
        "_parked",
        "_start_ns",
        "jumps",
    )

    def __init__(self, start_ns: int = 1_761_850_800_000_000_000) -> None:
        self._start_ns = start_ns
        self._elapsed_ns = 0
        self._lock = threading.Lock()
        self._parked: dict[int, _Parked] = {}
        self._orders = itertools.count()
        self._local = threading.local()
        self._owner = threading.current_thread()
        self._away = False
        self.jumps = 0

    # For whoever reads it or waits by it

    def now_ns(self) -> int:
        return self._start_ns + self._elapsed_ns

    def monotonic_s(self) -> float:
        return self._elapsed_ns / 1e9

    def wait(self, event: threading.Event, timeout_s: float | None) -> bool:
        if event.is_set() or (timeout_s is not None and timeout_s <= 0):
            return event.is_set()
        slice_s = _LONG_SLICE_S if timeout_s is None else _SLICE_S
        with self._parking(timeout_s, event.is_set, lambda: None) as parked:
            while not (parked.due or event.wait(slice_s)):
                self._look()
        return event.is_set()

    def select(
        self, selector: selectors.BaseSelector, timeout_s: float | None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        ready = selector.select(0)
        if not ready and (timeout_s is None or timeout_s > 0):
            self._doze(selector.fileno(), timeout_s)  # type: ignore[attr-defined]
            ready = selector.select(0)
        return ready

    # For the test

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return self._elapsed_ns / 1e9

    def sleep(self, seconds: float) -> None:
        """Let so much time pass."""
        alarm = threading.Event()
        with self._parking(seconds, alarm.is_set, alarm.set) as parked:
            while not (parked.due or alarm.wait(_SLICE_S)):
                self._look()

    def until(self, condition: Callable[[], Any], limit_s: float, *, step_s: float = 0.01) -> None:
        """Let time pass until `condition`, asked every `step_s` of it; fails after `limit_s`."""
        deadline_s = self.elapsed_s + limit_s
        while not condition():
            assert self.elapsed_s < deadline_s, f"what the test waits for did not happen within {limit_s} s"
            self.sleep(step_s)

    @contextlib.contextmanager
    def passing(self) -> Iterator[None]:
        """Let time pass while this thread blocks on something that is not the clock's."""
        self._away = True
        self._look()
        try:
            yield
        finally:
            self._away = False

    # Inside

    def _doze(self, fd: int, timeout_s: float | None) -> None:
        try:
            alarm: _Alarm = self._local.alarm
        except AttributeError:
            alarm = self._local.alarm = _Alarm()
        alarm.watch(fd)
        with self._parking(timeout_s, alarm.is_ready, alarm.ring) as parked:
            while not (parked.due or alarm.wait()):
                self._look()

    @contextlib.contextmanager
    def _parking(
        self, timeout_s: float | None, is_ready: Callable[[], bool], ring: Callable[[], None]
    ) -> Iterator[_Parked]:
        # In whole microseconds: a wait for what floating point has left over of another one ends, too,
        # and times do not depend on who was the first of two at one moment.
        deadline_ns = None
        if timeout_s is not None:
            deadline_ns = self._elapsed_ns + 1_000 * max(1, math.ceil(timeout_s * 1e6 - 1e-3))
        parked = _Parked(next(self._orders), deadline_ns, is_ready, ring)
        ident = threading.get_ident()
        with self._lock:
            self._parked[ident] = parked
            self._jump(parked)
        try:
            yield parked
        finally:
            with self._lock:
                self._parked.pop(ident, None)

    def _look(self) -> None:
        with self._lock:
            self._jump(None)

    def _jump(self, mine: _Parked | None) -> None:
        parked = self._parked
        for thread in threading.enumerate():
            if thread.ident not in parked and self._concerns(thread):
                return
        earliest: _Parked | None = None
        for one in parked.values():
            if one.is_ready():
                return
            if one.deadline_ns is not None and (
                earliest is None or (one.deadline_ns, one.order) < (earliest.deadline_ns, earliest.order)
            ):
                earliest = one
        if earliest is None or earliest.deadline_ns is None:
            return
        self.jumps += 1
        self._elapsed_ns = max(self._elapsed_ns, earliest.deadline_ns)
        # From here on it counts as one that has something to do.
        del parked[next(ident for ident, one in parked.items() if one is earliest)]
        earliest.due = True
        if earliest is not mine:
            earliest.ring()

    def _concerns(self, thread: threading.Thread) -> bool:
        if thread is self._owner:
            return not self._away
        return thread.name.startswith("tickwire")
