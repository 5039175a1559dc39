"""What arrivals tell about time: the offset of the clocks, and how late ticks come.

How far this machine's clock is ahead of the venue's is estimated by the engine, from every tick, for
each instrument: see `Engine.stats`. All instruments of a connection share the two clocks, and the way is
never negative, so the least of their offsets has the least of the way in it.

Pure: it is given what to look at. It corrects no tick; it is used to decide how long after an idle bar's
end to close it, and by health.
"""

from __future__ import annotations

import statistics
from collections import deque

__all__ = ["Arrivals"]


class Arrivals:
    """The clocks' offset and the lateness of ticks, from the newest tick of each instrument. Not
    thread-safe: written by one thread.
    """

    def __init__(self) -> None:
        self._offsets_ns: dict[str, int] = {}
        self._seen: dict[str, int] = {}
        self._late_ns: deque[int] = deque(maxlen=64)

    def look(self, symbol: str, ts_recv: int, ts_event: int, offset_ns: int | None) -> None:
        """The newest tick of an instrument, and the offset of the clocks by its ticks, int ns; a tick that
        was looked at before is passed over.
        """
        if self._seen.get(symbol) != ts_recv:
            self._seen[symbol] = ts_recv
            self._late_ns.append(ts_recv - ts_event)
        if offset_ns is not None:
            # Replaced as a whole: another thread may be asking.
            self._offsets_ns = self._offsets_ns | {symbol: offset_ns}

    @property
    def offset_ns(self) -> int:
        """How far this machine's clock is ahead of the venue's; 0 before that is known."""
        return min(self._offsets_ns.values(), default=0)

    @property
    def event_delay_s(self) -> float | None:
        """From event to arrival, less the clock offset, in seconds: median of the recent past."""
        if not self._late_ns:
            return None
        return max(0.0, (statistics.median(self._late_ns) - self.offset_ns) / 1e9)
