"""What arrivals tell about time: the offset of the clocks, and how late ticks come.

How far this machine's clock is ahead of the venue's, as far as arrivals can tell.

An arrival is later than its event by the clocks' difference plus the way, which is never negative;
so the smallest differences of the recent past are the best estimate of the first with the least of
the second (the idea of NTP's clock filter, RFC 5905 section 10). A single stamp from the future must
not shift it, so a difference below zero counts only where several samples agree.

Pure: it is given samples. It corrects no tick; it is used to decide how long after an idle bar's end
to close it, and by health.
"""

from __future__ import annotations

import statistics
from collections import deque

__all__ = ["Arrivals", "ClockOffset"]

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


class Arrivals:
    """The clocks' offset and the lateness of ticks, from the newest tick of each instrument."""

    def __init__(self) -> None:
        self._offset = ClockOffset()
        self._seen: dict[str, int] = {}
        self._late_ns: deque[int] = deque(maxlen=64)

    def look(self, symbol: str, ts_recv: int, ts_event: int) -> None:
        """The newest tick of an instrument; one that was looked at before is passed over."""
        if self._seen.get(symbol) != ts_recv:
            self._seen[symbol] = ts_recv
            self._offset.sample(ts_recv, ts_event)
            self._late_ns.append(ts_recv - ts_event)

    @property
    def offset_ns(self) -> int:
        """How far this machine's clock is ahead of the venue's."""
        return self._offset.ns

    @property
    def event_delay_s(self) -> float | None:
        """From event to arrival, less the clock offset, in seconds: median of the recent past."""
        if not self._late_ns:
            return None
        return max(0.0, (statistics.median(self._late_ns) - self._offset.ns) / 1e9)
