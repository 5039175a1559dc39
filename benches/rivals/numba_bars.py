"""numba: what one would write by hand for this one job, compiled. The smallest timeframe is made from
the trades, every larger one from the bars of the smallest.

It knows the number of rows beforehand, keeps no ticks, checks nothing and cannot go on after the last
row; it stands here for what is left above the memory's own speed. Compiling is not timed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numba
import numpy as np

from benches.harness import Thunk
from benches.market import Trades

from . import Bars

NAME = "numba, written by hand"
DISTRIBUTION = "numba"

_SECONDS = {"s": 1, "m": 60, "h": 3_600}


@numba.njit(cache=False)
def _from_trades(ts, price, size, length):  # type: ignore[no-untyped-def]
    most = min(len(ts), (ts[-1] - ts[0]) // length + 2)
    start = np.empty(most, np.int64)
    open_, high, low = np.empty(most), np.empty(most), np.empty(most)
    close, volume = np.empty(most), np.empty(most)
    trades = np.empty(most, np.int64)
    n, end = -1, np.int64(0)
    for i in range(len(ts)):
        p = price[i]
        if ts[i] >= end:
            n += 1
            start[n] = ts[i] - ts[i] % length
            end = start[n] + length
            open_[n] = high[n] = low[n] = p
            volume[n] = 0.0
            trades[n] = 0
        elif p > high[n]:
            high[n] = p
        elif p < low[n]:
            low[n] = p
        close[n] = p
        volume[n] += size[i]
        trades[n] += 1
    n += 1
    return start[:n], open_[:n], high[:n], low[:n], close[:n], volume[:n], trades[:n]


@numba.njit(cache=False)
def _from_bars(bars, length):  # type: ignore[no-untyped-def]
    ts, open_in, high_in, low_in, close_in, volume_in, trades_in = bars
    most = min(len(ts), (ts[-1] - ts[0]) // length + 2)
    start = np.empty(most, np.int64)
    open_, high, low = np.empty(most), np.empty(most), np.empty(most)
    close, volume = np.empty(most), np.empty(most)
    trades = np.empty(most, np.int64)
    n, end = -1, np.int64(0)
    for i in range(len(ts)):
        if ts[i] >= end:
            n += 1
            start[n] = ts[i] - ts[i] % length
            end = start[n] + length
            open_[n], high[n], low[n] = open_in[i], high_in[i], low_in[i]
            volume[n] = 0.0
            trades[n] = 0
        high[n] = max(high[n], high_in[i])
        low[n] = min(low[n], low_in[i])
        close[n] = close_in[i]
        volume[n] += volume_in[i]
        trades[n] += trades_in[i]
    n += 1
    return start[:n], open_[:n], high[:n], low[:n], close[:n], volume[:n], trades[:n]


def prepare(trades: Trades, timeframes: Sequence[str]) -> Thunk:
    """The timeframes must be whole multiples of the first one."""
    lengths = [int(name[:-1]) * _SECONDS[name[-1]] * 10**9 for name in timeframes]

    def run() -> dict[str, tuple[np.ndarray, ...]]:
        first = _from_trades(trades.ts_event, trades.price, trades.size, lengths[0])
        larger = [_from_bars(first, length) for length in lengths[1:]]
        return dict(zip(timeframes, [first, *larger], strict=True))

    return run


def bars(outcome: Mapping[str, tuple[np.ndarray, ...]]) -> dict[str, Bars]:
    """They are arrays already."""
    return {timeframe: Bars(*columns) for timeframe, columns in outcome.items()}
