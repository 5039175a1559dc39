"""The rules of bars, written down naively: every bar is made anew from all accepted ticks.

Nothing is rolled up, nothing is kept between two questions but the ticks and the watermark, and the
calendar is `datetime`'s. Slow, and plain enough to be believed.
"""

from __future__ import annotations

import datetime as dt
import itertools
import math
import re
from dataclasses import dataclass, field

NS = 1_000_000_000
JUMP_NS = 3_600 * NS
WINDOW_NS = 150 * NS
LENGTH_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
MONDAY_S = 4 * 86_400


@dataclass(frozen=True)
class Tick:
    ts: int
    price: float
    size: float = 1.0
    recv: int | None = None


@dataclass(frozen=True)
class Row:
    """A bar; sums are exact."""

    ts: int
    ts_end: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    notional: float
    trades: int


def bucket(timeframe: str, ts: int) -> tuple[int, int]:
    """Start and end of the bar that `ts` belongs to, ns UTC."""
    count, unit = re.fullmatch(r"(\d+)(mo|[smhdw])", timeframe).groups()
    if unit == "mo":
        moment = dt.datetime.fromtimestamp(ts // NS, dt.timezone.utc)
        months = (moment.year - 1970) * 12 + moment.month - 1
        first = months - months % int(count)
        return month_start(first), month_start(first + int(count))
    length = int(count) * LENGTH_S[unit] * NS
    anchor = MONDAY_S * NS if unit == "w" else 0
    start = (ts - anchor) // length * length + anchor
    return start, start + length


def month_start(months: int) -> int:
    return int(dt.datetime(1970 + months // 12, months % 12 + 1, 1, tzinfo=dt.timezone.utc).timestamp()) * NS


def bar_of(ticks: list[Tick], start: int, end: int) -> Row:
    # Sorting is stable: among equal times the arrival decides.
    ordered = sorted(ticks, key=lambda tick: tick.ts)
    prices = [tick.price for tick in ordered]
    return Row(
        start,
        end,
        prices[0],
        max(prices),
        min(prices),
        prices[-1],
        math.fsum(tick.size for tick in ordered),
        math.fsum(tick.price * tick.size for tick in ordered),
        len(ordered),
    )


@dataclass
class Clock:
    """How far the clock of arrivals is ahead of the events': the smallest difference that three arrivals
    in a row did not exceed, in the newest two windows of time.
    """

    arrivals: list[tuple[int, int]] = field(default_factory=list)
    lows: list[tuple[int, int]] = field(default_factory=list)
    """After each tick its arrival, and the largest of the newest three differences."""

    def sample(self, ts: int, recv: int | None) -> None:
        if recv is None:
            return
        if self.arrivals and self.arrivals[-1][0] == recv:
            # They came together, and the last was the least on its way.
            self.arrivals.pop()
        self.arrivals.append((recv, recv - ts))
        if len(self.arrivals) >= 3:
            self.lows.append((recv, max(difference for _, difference in self.arrivals[-3:])))

    def offset(self) -> int | None:
        windows: list[list[int]] = []
        start = 0
        for recv, low in self.lows:
            # The first of all has a window of its own.
            if len(windows) < 2 or not 0 <= recv - start < WINDOW_NS:
                windows.append([low])
                start = recv
            else:
                windows[-1].append(low)
        return min(itertools.chain(*windows[-2:]), default=None)


@dataclass
class Watermark:
    lateness_ns: int = 0
    believed: int | None = None
    doubted: int | None = None
    closing: int | None = None
    """Bars that end by then are closed."""
    clock: Clock = field(default_factory=Clock)

    def observe(self, tick: Tick) -> None:
        if self.believed is not None and tick.ts <= self.believed:
            self.doubted = None
        elif tick.recv is not None:
            if tick.ts <= tick.recv - min(self.clock.offset() or 0, 0):
                self._believe(tick.ts)
                self.doubted = None
        elif self.believed is not None and tick.ts <= self.believed + JUMP_NS:
            self._believe(tick.ts)
            self.doubted = None
        elif self.doubted is None:
            self.doubted = tick.ts
        else:
            # Two ticks far ahead: as far as both of them go is believed, and the farther one only if
            # it is no jump from there.
            nearer, self.doubted = sorted((self.doubted, tick.ts))
            self._believe(nearer)
            if self.doubted <= self.believed + JUMP_NS:
                self._believe(self.doubted)
                self.doubted = None

    def advance(self, now: int) -> None:
        self.closing = now if self.closing is None else max(self.closing, now)

    def _believe(self, ts: int) -> None:
        if self.believed is None or ts > self.believed:
            self.believed = ts
            self.advance(ts - self.lateness_ns)


@dataclass
class Bars:
    """One instrument and source. `entry` are the timeframes whose closed bars make a tick late: the
    smallest, and those that no smaller one nests in.
    """

    timeframes: list[str]
    entry: list[str]
    lateness_ns: int = 0
    accepted: list[Tick] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.watermark = Watermark(self.lateness_ns)

    def push(self, tick: Tick) -> bool:
        """Whether the tick is accepted."""
        self.watermark.clock.sample(tick.ts, tick.recv)
        if any(self._is_closed(bucket(timeframe, tick.ts)[1]) for timeframe in self.entry):
            return False
        self.accepted.append(tick)
        self.watermark.observe(tick)
        return True

    def advance(self, now: int) -> None:
        self.watermark.advance(now)

    def bars(self, timeframe: str) -> tuple[list[Row], list[Row]]:
        """Closed and open bars, oldest first."""
        groups: dict[tuple[int, int], list[Tick]] = {}
        for tick in self.accepted:
            groups.setdefault(bucket(timeframe, tick.ts), []).append(tick)
        rows = [bar_of(ticks, *span) for span, ticks in sorted(groups.items())]
        closed = [row for row in rows if self._is_closed(row.ts_end)]
        return closed, rows[len(closed) :]

    def _is_closed(self, end: int) -> bool:
        return self.watermark.closing is not None and end <= self.watermark.closing
