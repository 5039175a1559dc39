"""Clocks for tests."""

from __future__ import annotations

import threading

from tickwire.clock import Clock

__all__ = ["HandClock"]

_POLL_S = 0.0005


class HandClock(Clock):
    """Time stands still until the test moves it; whoever waits sees it move."""

    __slots__ = ("_lock", "_now_s")

    START_NS = 1_700_000_000_000_000_000

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now_s = 1_000.0

    def advance(self, seconds: float) -> None:
        """Let so much time pass."""
        with self._lock:
            self._now_s += seconds

    def now_ns(self) -> int:
        return self.START_NS + int((self._now_s - 1_000.0) * 1e9)

    def monotonic_s(self) -> float:
        return self._now_s

    def wait(self, event: threading.Event, timeout_s: float | None) -> bool:
        deadline_s = None if timeout_s is None else self._now_s + timeout_s
        while not event.wait(_POLL_S):
            if deadline_s is not None and self._now_s >= deadline_s:
                return event.is_set()
        return True
