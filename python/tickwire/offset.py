"""How far this machine's clock is ahead of the venue's, as far as arrivals can tell.

An arrival is later than its event by the clocks' difference plus the way, which is never negative;
so the smallest differences of the recent past are the best estimate of the first with the least of
the second (the idea of NTP's clock filter, RFC 5905 section 10). A single stamp from the future must
not shift it, so a difference below zero counts only where several samples agree.

Pure: it is given samples and tells nanoseconds. It corrects no tick; it is used to decide how long
after an idle bar's end to close it.
"""

from __future__ import annotations

from collections import deque

__all__ = ["ClockOffset"]

_WINDOW_NS = 300_000_000_000
_MOST = 512
_AGREE = 3


class ClockOffset:
    """The offset of one client. Not thread-safe: samples and questions come from one thread."""

    def __init__(self) -> None:
        self._samples: deque[tuple[int, int]] = deque(maxlen=_MOST)
        self._estimate_ns = 0

    def sample(self, ts_recv: int, ts_event: int) -> None:
        """One tick's arrival and event time, both int ns UTC; a few per second are plenty."""
        samples = self._samples
        if samples and samples[-1] == (ts_recv, ts_recv - ts_event):
            return
        while samples and samples[0][0] < ts_recv - _WINDOW_NS:
            samples.popleft()
        samples.append((ts_recv, ts_recv - ts_event))
        lowest = sorted(difference for _, difference in samples)[:_AGREE]
        # The smallest that is not below zero, unless as many as must agree are.
        self._estimate_ns = lowest[-1] if len(lowest) == _AGREE and lowest[-1] < 0 else max(0, lowest[0])

    @property
    def ns(self) -> int:
        """Subtract this from the local time of day to get the venue's; 0 before the first sample."""
        return self._estimate_ns
