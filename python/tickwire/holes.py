"""What history has to be asked for, and when: the planner behind backfill.

A hole is a time of which an engine lacks bars of one series (symbol and timeframe). It is asked for
once its bars have been closed for a while, by the engine's own closing time, because a bar that ticks
still enter cannot be replaced and history takes a while to know what was traded. Of long holes the
newest pages come first, and what is closed does not wait for the rest. One request is under way at a
time; a hole that opens meanwhile where the request is is kept beside it, and asked for again.

A pure state machine: the monotonic time (`now_s`), the closing times and the calendar are given. It
does not know what history answers (see `reach`), and holds at most `MOST` holes of a series.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from .backfill_settings import BackfillSettings

__all__ = ["Holes", "Request"]

SeriesSpan = Callable[[str, str, int], tuple[int, int]]
"""From symbol, timeframe and a time to the bar that holds it: start and end, ns UTC."""

ClosedTime = Callable[[str], int | None]
"""The time up to which a symbol's bars are closed, ns UTC; None: no bar is closed yet."""

# So many bars more are asked for than are missing, if they are closed.
_MORE_BARS = 60

# So many times history that shows nothing is asked again before it is believed.
_LOOKS = 8

# While bars have to close first, they are looked at so often.
_POLL_S = 0.25


class Request(NamedTuple):
    """Bars that are missing: those that open in `start_ns <= ts < end_ns`, all of them closed.

    History is asked for a few more, up to `ask_end_ns`, which show how far it has got.
    """

    symbol: str
    timeframe: str
    start_ns: int
    end_ns: int
    ask_end_ns: int


@dataclass(slots=True)
class _Hole:
    start_ns: int
    end_ns: int
    attempts: int = 0
    not_before_s: float | None = None
    after_closed_ns: int | None = None
    """Not before bars up to this time are closed."""


class Holes:
    """The holes of all series. Belongs to one thread."""

    MOST = 256

    def __init__(
        self, span: SeriesSpan, closed: ClosedTime, settings: BackfillSettings, jitter: Callable[[], float]
    ) -> None:
        """`jitter`: a random number from 0 to 1 for each delay."""
        self._span = span
        self._closed = closed
        self._settings = settings
        self._jitter = jitter
        self._series: dict[tuple[str, str], list[_Hole]] = {}
        self._taken: tuple[Request, int] | None = None

    def add(self, symbol: str, timeframe: str, start_ns: int, end_ns: int) -> None:
        """Bars of this time are missing, or may be. Holes that overlap become one."""
        first_ns, _ = self._span(symbol, timeframe, start_ns)
        _, last_ns = self._span(symbol, timeframe, end_ns - 1)
        self._put(symbol, timeframe, _Hole(first_ns, last_ns))

    def take(self, now_s: float) -> Request | None:
        """What to ask for now, the newest first; to be answered by `filled`, `unproven`, `behind` or
        `failed`.
        """
        candidates = [
            (hole, symbol, timeframe)
            for (symbol, timeframe), holes in self._series.items()
            for hole in holes
            if hole.not_before_s is None or hole.not_before_s <= now_s
        ]
        candidates.sort(key=lambda candidate: -candidate[0].end_ns)
        for hole, symbol, timeframe in candidates:
            request = self._due(symbol, timeframe, hole)
            if request is not None:
                self._taken = (request, hole.attempts)
                self._cut_out(hole, request)
                return request
        return None

    def wait_s(self, now_s: float) -> float | None:
        """How long nothing will be due, in seconds; None for as long as nothing is added."""
        holes = [hole for holes in self._series.values() for hole in holes]
        if not holes:
            return None
        waits = [0.0 if hole.not_before_s is None else hole.not_before_s - now_s for hole in holes]
        return max(min(waits), _POLL_S)

    @property
    def is_last(self) -> bool:
        """Whether the request that is under way will not come again."""
        return self._taken is not None and self._taken[1] + 1 >= self._settings.attempts

    def filled(self) -> None:
        """All of the request was put in."""
        self._answered()

    def unproven(self, until_ns: int) -> None:
        """It was put in up to `until_ns`, and nothing shows that history knows more, nor that there is more.

        The rest is asked for again when more has closed, which may show the one or the other.
        """
        request, _ = self._answered()
        closed_ns = self._closed(request.symbol) or request.end_ns
        more_ns = round(self._settings.quiet_s * 1e9 / _LOOKS)
        hole = _Hole(max(until_ns, request.start_ns), request.end_ns, after_closed_ns=closed_ns + more_ns)
        self._put(request.symbol, request.timeframe, hole)

    def behind(self, until_ns: int, now_s: float) -> float | None:
        """It was put in up to `until_ns`, and history is known to lack more; seconds until the rest comes
        again, None if it is given up.
        """
        request, attempts = self._answered()
        start_ns = max(until_ns, request.start_ns)
        attempts = 0 if start_ns > request.start_ns else attempts
        return self._again(request, start_ns, attempts, 0.0, now_s)

    def failed(
        self, now_s: float, *, permanent: bool, retry_after_s: float | None, start_ns: int | None = None
    ) -> float | None:
        """The request has failed; seconds until it comes again (from `start_ns` on, if what is before was
        put in), None if it is given up.
        """
        request, attempts = self._answered()
        if permanent:
            return None
        start_ns = request.start_ns if start_ns is None else start_ns
        return self._again(request, start_ns, attempts, retry_after_s or 0.0, now_s)

    def pending(self) -> list[Request]:
        """The holes, the oldest of each series first, without what is under way."""
        return [
            Request(symbol, timeframe, hole.start_ns, hole.end_ns, hole.end_ns)
            for (symbol, timeframe), holes in self._series.items()
            for hole in holes
        ]

    def _due(self, symbol: str, timeframe: str, hole: _Hole) -> Request | None:
        closed_ns = self._closed(symbol)
        if closed_ns is None or (hole.after_closed_ns is not None and closed_ns < hole.after_closed_ns):
            return None
        settled_ns, _ = self._span(symbol, timeframe, closed_ns - round(self._settings.settle_s * 1e9))
        end_ns = min(settled_ns, hole.end_ns)
        first, after = self._span(symbol, timeframe, hole.start_ns)
        bar_ns = after - first
        if end_ns < hole.end_ns and end_ns - hole.start_ns < self._settings.worth_bars * bar_ns:
            return None
        start_ns = hole.start_ns
        if end_ns - start_ns > self._settings.page_bars * bar_ns:
            start_ns, _ = self._span(symbol, timeframe, end_ns - self._settings.page_bars * bar_ns)
        more_ns, _ = self._span(symbol, timeframe, min(closed_ns, end_ns + _MORE_BARS * bar_ns))
        return Request(symbol, timeframe, max(start_ns, hole.start_ns), end_ns, max(end_ns, more_ns))

    def _cut_out(self, hole: _Hole, request: Request) -> None:
        holes = self._series[request.symbol, request.timeframe]
        holes.remove(hole)
        rest = [(hole.start_ns, request.start_ns), (request.end_ns, hole.end_ns)]
        holes += [_Hole(start, end) for start, end in rest if start < end]
        holes.sort(key=lambda one: one.start_ns)
        self._forget_empty(request)

    def _forget_empty(self, request: Request) -> None:
        if not self._series[request.symbol, request.timeframe]:
            del self._series[request.symbol, request.timeframe]

    def _answered(self) -> tuple[Request, int]:
        if self._taken is None:
            raise RuntimeError("no request is under way")
        taken, self._taken = self._taken, None
        return taken

    def _again(
        self, request: Request, start_ns: int, attempts: int, least_s: float, now_s: float
    ) -> float | None:
        if attempts + 1 >= self._settings.attempts:
            return None
        settings = self._settings
        # Beyond 2**32 the limit has long been reached, and a float would overflow in the end.
        full_s = min(settings.retry_max_s, settings.retry_min_s * 2.0 ** min(attempts, 32))
        delay_s = max(full_s * (1.0 - self._jitter() / 2), least_s)
        hole = _Hole(start_ns, request.end_ns, attempts + 1, now_s + delay_s)
        self._put(request.symbol, request.timeframe, hole)
        return delay_s

    def _put(self, symbol: str, timeframe: str, hole: _Hole) -> None:
        holes = self._series.setdefault((symbol, timeframe), [])
        apart = []
        for other in holes:
            if other.end_ns <= hole.start_ns or hole.end_ns <= other.start_ns:
                apart.append(other)
            else:
                _unite(hole, other)
        apart.append(hole)
        apart.sort(key=lambda one: one.start_ns)
        if len(apart) > self.MOST:
            _unite(apart[1], apart.pop(0))
        holes[:] = apart


def _unite(hole: _Hole, other: _Hole) -> None:
    """Make `hole` both of them, and what lies between."""
    hole.start_ns = min(hole.start_ns, other.start_ns)
    hole.end_ns = max(hole.end_ns, other.end_ns)
    hole.attempts = min(hole.attempts, other.attempts)
    times_s = [one.not_before_s for one in (hole, other) if one.not_before_s is not None]
    hole.not_before_s = max(times_s, default=None)
    hole.after_closed_ns = None
