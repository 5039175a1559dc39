"""Bars of what a hub has streamed, and of a past that was never streamed; shares no code with the engine.

Everything is kept as bars of one second; a bar of any other length is put together from those when it is
asked for. The past is made up from the seed, an hour at a time: random walks that lead to the price at
which the market starts, with some seconds in which nothing is traded.
"""

from __future__ import annotations

import bisect
import functools
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .contracts import Contract

__all__ = ["BAR", "UNITS", "Bars", "Past", "SecondBars", "buckets", "together"]

_NS = 1_000_000_000
_HOUR_S = 3_600
_MONDAY_S = 4 * 86_400
UNITS = {1: 1, 2: 60, 3: _HOUR_S, 4: 86_400, 5: 7 * 86_400}
"""Codes of the vendor's units and their seconds; 6, a month, has no fixed length."""
_MONTH = 6
_SILENT = 0.15
"""The share of seconds of the past in which nothing is traded."""


BAR = np.dtype(
    [("start_s", "i8"), ("end_s", "i8")]
    + [(name, "f8") for name in ("open", "high", "low", "close", "volume")]
    + [("trades", "i8")]
)
"""Opening and closing times in seconds since 1970, prices, sum of sizes, number of trades."""

Bars = NDArray[np.void]
"""An array of `BAR`s, the oldest first."""


def together(bars: Bars, unit: int, number: int) -> Bars:
    """Bars of a number of units, put together from smaller ones."""
    start_s, end_s = buckets(bars["start_s"], unit, number)
    if not len(bars):
        return bars
    first = np.flatnonzero(np.concatenate([[True], start_s[1:] != start_s[:-1]]))
    last = np.concatenate([first[1:], [len(bars)]]) - 1
    larger = bars[first]
    larger["start_s"], larger["end_s"] = start_s[first], end_s[first]
    larger["high"] = np.maximum.reduceat(bars["high"], first)
    larger["low"] = np.minimum.reduceat(bars["low"], first)
    larger["close"] = bars["close"][last]
    for name in ("volume", "trades"):
        larger[name] = np.add.reduceat(bars[name], first)
    return larger


def buckets(
    times_s: NDArray[np.int64], unit: int, number: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Start and end of the bars that these times belong to, in seconds since 1970."""
    if unit == _MONTH:
        months = times_s.astype("datetime64[s]").astype("datetime64[M]").astype(np.int64)
        months -= months % number
        ends = months + number
        return _seconds(months), _seconds(ends)
    length_s = UNITS[unit] * number
    anchor_s = _MONDAY_S if unit == 5 else 0
    start_s = (times_s - anchor_s) // length_s * length_s + anchor_s
    return start_s, start_s + length_s


def _seconds(months: NDArray[np.int64]) -> NDArray[np.int64]:
    return months.astype("datetime64[M]").astype("datetime64[s]").astype(np.int64)


class SecondBars:
    """Bars of one second of one instrument, from its trades in any order of time."""

    def __init__(self) -> None:
        self._seconds: list[int] = []
        self._bars: dict[int, list[float]] = {}

    def trade(self, ts_ns: int, price: float, size: float) -> None:
        """Take a trade in. Among equal times the order of the calls decides."""
        second = ts_ns // _NS
        bar = self._bars.get(second)
        if bar is None:
            # First and last time, open, high, low, close, volume, trades.
            self._bars[second] = [ts_ns, ts_ns, price, price, price, price, size, 1]
            bisect.insort(self._seconds, second)
            return
        if ts_ns < bar[0]:
            bar[0], bar[2] = ts_ns, price
        if ts_ns >= bar[1]:
            bar[1], bar[5] = ts_ns, price
        bar[3] = max(bar[3], price)
        bar[4] = min(bar[4], price)
        bar[6] += size
        bar[7] += 1

    def bars(self, from_s: int, to_s: int) -> Bars:
        """Those that open in `from_s <= start_s < to_s`."""
        first, last = (bisect.bisect_left(self._seconds, edge) for edge in (from_s, to_s))
        seconds = self._seconds[first:last]
        rows = [(second, second + 1, *self._bars[second][2:]) for second in seconds]
        return np.array(rows, BAR)


class Past:
    """What was traded before a market began."""

    def __init__(self, contract: Contract, seed: int, index: int, begin_s: int, days: int) -> None:
        """`index`: the contract's place among those of the market."""
        self._contract = contract
        self._key = (seed, index)
        self._begin_s = begin_s
        self._hours = 24 * days
        # Hours do not change; those asked for together are near each other.
        self._hour = functools.lru_cache(maxsize=1_000)(self._made_up)

    def bars(self, from_s: int, to_s: int) -> Bars:
        """Bars of one second that open in `from_s <= start_s < to_s`."""
        oldest = min(-(-(self._begin_s - from_s) // _HOUR_S), self._hours)
        newest = max(0, (self._begin_s - to_s) // _HOUR_S)
        hours = [np.empty(0, BAR), *map(self._hour, range(oldest, newest, -1))]
        bars = np.concatenate(hours)
        return bars[(bars["start_s"] >= from_s) & (bars["start_s"] < to_s)]

    def _price(self, hour: int) -> int:
        """In ticks, so many hours before the beginning."""
        contract = self._contract
        if hour == 0:
            return contract.start_ticks()
        rng = np.random.default_rng([*self._key, 2, hour])
        return max(8, round(contract.start_ticks() + 60 * contract.volatility_ticks * rng.normal()))

    def _made_up(self, hour: int) -> Bars:
        """The bars of one hour, which begins so many hours before the beginning."""
        rng = np.random.default_rng([*self._key, 3, hour])
        before, after = self._price(hour), self._price(hour - 1)
        steps = np.cumsum(rng.normal(0.0, self._contract.volatility_ticks, _HOUR_S + 1))
        # A bridge: the walk less the line between its ends, on the line between the two prices.
        along = np.linspace(0.0, 1.0, _HOUR_S + 1)
        walk = steps - steps[0] - (steps[-1] - steps[0]) * along + before + (after - before) * along
        path = np.maximum(np.rint(walk), 4).astype(np.int64)
        first, last = path[:-1], path[1:]
        reach = rng.integers(0, 3, (2, _HOUR_S))
        numerator, denominator = self._contract.scaled_tick()
        bars = np.empty(_HOUR_S, BAR)
        bars["start_s"] = self._begin_s - hour * _HOUR_S + np.arange(_HOUR_S)
        bars["end_s"] = bars["start_s"] + 1
        bars["open"], bars["close"] = first, last
        bars["high"], bars["low"] = np.maximum(first, last) + reach[0], np.minimum(first, last) - reach[1]
        for name in ("open", "high", "low", "close"):
            bars[name] = bars[name] * numerator / denominator
        bars["trades"] = 1 + rng.poisson(3.0, _HOUR_S)
        bars["volume"] = bars["trades"] * rng.integers(1, 6, _HOUR_S)
        return bars[rng.random(_HOUR_S) >= _SILENT]
