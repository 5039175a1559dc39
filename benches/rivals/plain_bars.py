"""Plain Python: one `__slots__` object per timeframe, updated by a method call per trade."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from benches.harness import Thunk
from benches.market import Trades

from . import Bars

NAME = "plain Python class"
DISTRIBUTION = ""

_SECONDS = {"s": 1, "m": 60, "h": 3_600}


class _Builder:
    __slots__ = ("close", "closed", "end", "high", "length", "low", "open", "start", "trades", "volume")

    def __init__(self, length_ns: int) -> None:
        self.length = length_ns
        self.start = self.end = 0
        self.open = self.high = self.low = self.close = self.volume = 0.0
        self.trades = 0
        self.closed: list[tuple[int, float, float, float, float, float, int]] = []

    def push(self, ts: int, price: float, size: float) -> None:
        if ts >= self.end:
            self.finish()
            self.start = ts - ts % self.length
            self.end = self.start + self.length
            self.open = self.high = self.low = price
            self.volume = 0.0
            self.trades = 0
        elif price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price
        self.close = price
        self.volume += size
        self.trades += 1

    def finish(self) -> None:
        if self.trades:
            bar = (self.start, self.open, self.high, self.low, self.close, self.volume, self.trades)
            self.closed.append(bar)


def prepare(trades: Trades, timeframes: Sequence[str]) -> Thunk:
    """One call per builder and trade."""
    rows = list(zip(trades.ts_event.tolist(), trades.price.tolist(), trades.size.tolist(), strict=True))

    def run() -> dict[str, _Builder]:
        builders = {name: _Builder(int(name[:-1]) * _SECONDS[name[-1]] * 10**9) for name in timeframes}
        pushes = [builder.push for builder in builders.values()]
        for ts, price, size in rows:
            for push in pushes:
                push(ts, price, size)
        for builder in builders.values():
            builder.finish()
        return builders

    return run


def bars(outcome: Mapping[str, _Builder]) -> dict[str, Bars]:
    """As arrays."""
    found = {}
    for timeframe, builder in outcome.items():
        ts, open_, high, low, close, volume, trades = zip(*builder.closed, strict=True)
        found[timeframe] = Bars(
            np.array(ts),
            *(np.array(column) for column in (open_, high, low, close, volume)),
            np.array(trades),
        )
    return found
