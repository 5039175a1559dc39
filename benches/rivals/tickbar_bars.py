"""tickbar: a Rust aggregator per timeframe, fed whole columns, or ready `Tick` objects one by one.

Its prices and volumes are integers, so that prices go in as ticks of the grid; converting them is not
timed, in either direction. Nor is the first trade: with it an aggregator walks from 1970 to the present,
bar by bar, which takes most of a second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tickbar
from numpy.typing import NDArray

from benches.harness import Thunk
from benches.market import TICK_SIZE, Trades

from . import Bars

NAME = "tickbar"
DISTRIBUTION = "tickbar"

_SECONDS = {"s": 1, "m": 60, "h": 3_600}


def _begun(timeframes: Sequence[str], first: tickbar.Tick) -> dict[str, tickbar.TickAggregator]:
    made = {name: tickbar.TickAggregator(int(name[:-1]) * _SECONDS[name[-1]]) for name in timeframes}
    for aggregator in made.values():
        aggregator.push_tick(first)
    return made


def _columns(trades: Trades) -> list[NDArray[np.int64]]:
    price = np.round(trades.price / TICK_SIZE).astype(np.int64)
    return [trades.ts_event, price, trades.size.astype(np.int64)]


def _finish(aggregators: Mapping[str, tickbar.TickAggregator]) -> dict[str, tickbar.BarSeries]:
    return {name: aggregator.finalize() for name, aggregator in aggregators.items()}


def prepare(trades: Trades, timeframes: Sequence[str]) -> Thunk:
    """Columns through the buffer protocol."""
    columns = _columns(trades)
    aggregators = _begun(timeframes, tickbar.Tick(*(int(column[0]) for column in columns)))
    rest = [column[1:] for column in columns]

    def run() -> dict[str, tickbar.BarSeries]:
        for aggregator in aggregators.values():
            aggregator.push_from_buffer(*rest)
        return _finish(aggregators)

    return run


def prepare_objects(trades: Trades, timeframes: Sequence[str]) -> Thunk:
    """Ready `Tick` objects, one call per aggregator and tick."""
    rows = zip(*(column.tolist() for column in _columns(trades)), strict=True)
    first, *ticks = [tickbar.Tick(*row) for row in rows]
    aggregators = _begun(timeframes, first)

    def run() -> dict[str, tickbar.BarSeries]:
        pushes = [aggregator.push_tick for aggregator in aggregators.values()]
        for tick in ticks:
            for push in pushes:
                push(tick)
        return _finish(aggregators)

    return run


def bars(outcome: Mapping[str, tickbar.BarSeries]) -> dict[str, Bars]:
    """As arrays, prices in their own unit again."""
    found = {}
    for timeframe, series in outcome.items():
        ts, open_, high, low, close, volume, trades, _ = np.array(series.to_records()).T
        prices = (column * TICK_SIZE for column in (open_, high, low, close))
        found[timeframe] = Bars(
            ts.astype(np.int64), *prices, volume.astype(np.float64), trades.astype(np.int64)
        )
    return found
