"""nautilus_trader: one `TimeBarAggregator` per timeframe, each fed ready `TradeTick` objects.

The aggregators close their bars by timers of a clock that the caller moves. It is moved once per
second of data here, not once per tick, and the bars go to a list: less than its own engine does.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from nautilus_trader.common.component import TestClock
from nautilus_trader.data.aggregation import TimeBarAggregator
from nautilus_trader.model.data import Bar, BarType, TradeTick
from nautilus_trader.model.enums import AggressorSide
from nautilus_trader.model.identifiers import TradeId
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.test_kit.providers import TestInstrumentProvider

from benches.harness import Thunk
from benches.market import Trades

from . import Bars

NAME = "nautilus_trader aggregators"
DISTRIBUTION = "nautilus_trader"

_UNITS = {"s": "SECOND", "m": "MINUTE", "h": "HOUR"}
_SECOND_NS = 10**9


def _ready_ticks(trades: Trades, instrument: Any) -> list[TradeTick]:
    side, trade_id = AggressorSide.NO_AGGRESSOR, TradeId("1")
    columns = (trades.ts_event.tolist(), trades.price.tolist(), trades.size.tolist())
    return [
        TradeTick(instrument.id, Price(price, 2), Quantity(size, 0), side, trade_id, ts, ts)
        for ts, price, size in zip(*columns, strict=True)
    ]


def prepare(trades: Trades, timeframes: Sequence[str]) -> Thunk:
    """Aggregators and ticks are made beforehand."""
    instrument = TestInstrumentProvider.es_future(2025, 12)
    ticks = _ready_ticks(trades, instrument)
    seconds = [
        (second, list(group)) for second, group in itertools.groupby(ticks, lambda t: t.ts_init // _SECOND_NS)
    ]
    clock = TestClock()
    clock.set_time(seconds[0][0] * _SECOND_NS)
    closed: dict[str, list[Bar]] = {name: [] for name in timeframes}
    aggregators = [
        TimeBarAggregator(
            instrument,
            BarType.from_str(f"{instrument.id}-{int(name[:-1])}-{_UNITS[name[-1]]}-LAST-INTERNAL"),
            closed[name].append,
            clock,
            interval_type="right-open",
            timestamp_on_close=False,
            build_with_no_updates=False,
        )
        for name in timeframes
    ]
    # The end of the longest bar that any trade is in, so that all of them close.
    hours = (int(trades.ts_event[-1]) // (3_600 * _SECOND_NS) + 1) * 3_600 * _SECOND_NS

    def run() -> dict[str, list[Bar]]:
        handlers = [aggregator.handle_trade_tick for aggregator in aggregators]
        for second, group in seconds:
            for event in clock.advance_time(second * _SECOND_NS):
                event.handle()
            for tick in group:
                for handle in handlers:
                    handle(tick)
        for event in clock.advance_time(hours):
            event.handle()
        return closed

    return run


def bars(outcome: Mapping[str, list[Bar]]) -> dict[str, Bars]:
    """As arrays; a bar of this library has no number of trades."""
    found = {}
    for timeframe, made in outcome.items():
        columns = [
            np.array([getattr(bar, name).as_double() for bar in made])
            for name in ("open", "high", "low", "close", "volume")
        ]
        found[timeframe] = Bars(np.array([bar.ts_event for bar in made]), *columns, None)
    return found
