"""A limit on how often a server is asked: so many requests within a sliding window.

Pure: the caller brings the time and does the waiting. It counts the requests made through it, so one
`RateLimit` must be shared by all who spend the same allowance. It does not know what other programs
of the same user spend; a server that is asked too often says so (429), which `penalise` heeds.
"""

from __future__ import annotations

import math
import threading
from collections import deque

from .config import count as whole
from .config import positive

__all__ = ["RateLimit"]

_MOST = 1_000_000


class RateLimit:
    """At most `count` requests in any `per_s` seconds. All methods may be called from any thread."""

    def __init__(self, count: int, per_s: float) -> None:
        self._count = whole("RateLimit.count", count, _MOST)
        positive("RateLimit.per_s", per_s)
        self._per_s = per_s
        self._lock = threading.Lock()
        self._starts: deque[float] = deque(maxlen=self._count)
        """When the last requests were, or will be, made; never decreasing."""
        self._until_s = -math.inf

    def reserve(self, now_s: float, most_s: float = math.inf) -> float:
        """Take the next place: seconds to wait, from `now_s` on, before the request may be made.

        If that is more than `most_s`, no place is taken. Places are given out in the order asked for.
        `now_s` is of a monotonic clock.
        """
        with self._lock:
            start_s = max(now_s, self._until_s)
            if self._starts:
                start_s = max(start_s, self._starts[-1])
            if len(self._starts) == self._count:
                start_s = max(start_s, self._starts[0] + self._per_s)
            wait_s = start_s - now_s
            if wait_s <= most_s:
                self._starts.append(start_s)
            return wait_s

    def penalise(self, until_s: float) -> None:
        """Let nobody in before `until_s`, as the server has asked. Places that were taken stay taken."""
        with self._lock:
            self._until_s = max(self._until_s, until_s)

    def __repr__(self) -> str:
        return f"RateLimit({self._count}, {self._per_s})"
