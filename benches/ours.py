"""tickwire's side of the comparisons: always the whole engine, with validation, ring and all timeframes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

import tickwire as tw

from .harness import Thunk
from .market import SYMBOL, TICK_SIZE, TIMEFRAMES, Records, Trades
from .rivals import Bars

__all__ = ["as_bars", "batch", "decode", "decoded", "engine", "receive", "single"]

NAME = "tickwire"

_PATIENCE_S = 300.0

_RETAIN = 2_000_000
"""More closed bars than any line makes, so that none is dropped before it is compared."""


def engine(
    timeframes: Sequence[str] = TIMEFRAMES, source: tuple[str, ...] = ("trade",), capacity: int = 65_536
) -> tw.Engine:
    """An engine as a user would make it: every rule at its default."""
    instrument = tw.Instrument(SYMBOL, tick_size=TICK_SIZE)
    return tw.Engine([instrument], timeframes, retain=_RETAIN, source=source, capacity=capacity)  # type: ignore[arg-type]


def batch(trades: Trades, timeframes: Sequence[str]) -> Thunk:
    """Columns in, one frame per timeframe out."""
    made = engine(timeframes)

    def run() -> dict[str, pl.DataFrame]:
        made.push_trades(SYMBOL, ts_event=trades.ts_event, price=trades.price, size=trades.size)
        return {name: made.bars(SYMBOL, name, partial=True) for name in timeframes}

    return run


def single(trades: Trades, timeframes: Sequence[str]) -> Thunk:
    """One `push_trade` per trade, then one frame per timeframe."""
    made = engine(timeframes)
    rows = list(zip(trades.ts_event.tolist(), trades.price.tolist(), trades.size.tolist(), strict=True))

    def run() -> dict[str, pl.DataFrame]:
        push = made.push_trade
        for ts, price, size in rows:
            push(SYMBOL, ts, price, size)
        return {name: made.bars(SYMBOL, name, partial=True) for name in timeframes}

    return run


def as_bars(outcome: Mapping[str, pl.DataFrame]) -> dict[str, Bars]:
    """Frames as arrays."""
    return {
        timeframe: Bars(
            frame["ts"].cast(pl.Int64).to_numpy(),
            *(frame[name].to_numpy() for name in ("open", "high", "low", "close", "volume")),
            frame["trades"].to_numpy(),
        )
        for timeframe, frame in outcome.items()
    }


def decode(records: Records, per_call: int) -> Thunk:
    """`push_bytes` into an engine with all timeframes; the counts are read at the end."""
    payloads = records.payloads(per_call)
    source = ("trade",) if records.target == "GatewayTrade" else ("mid",)
    made = engine(source=source, capacity=records.ticks)
    feed = made.feed(protocol=records.protocol)

    def run() -> tw.Engine:
        push = feed.push_bytes
        for payload in payloads:
            push(payload)
        stats = made.stats()
        assert stats["accepted"] == stats["received"] == records.ticks, stats
        return made

    return run


def decoded(made: tw.Engine, records: Records) -> NDArray[np.float64]:
    """The ticks that the engine kept: ts_event in µs, price, size, side; or ts_event, bid, ask, last."""
    if records.target == "GatewayTrade":
        frame, names = made.trades(SYMBOL), ["price", "size", "side"]
    else:
        frame, names = made.quotes(SYMBOL), ["bid", "ask", "last"]
    columns = [frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for name in names]
    return np.column_stack([frame["ts_event"].cast(pl.Int64).to_numpy() // 1_000, *columns])


def receive(url: str, ready: Callable[[], None]) -> int:
    """Connect as a strategy would, until the message `Done` comes back; the engine counts the trades."""
    made = engine()
    client = tw.connect(url, engine=made, streams=("trades",), clock="event")
    done = threading.Event()
    client.on_message("Done")(lambda message: done.set())
    with client:
        ready()
        if not done.wait(_PATIENCE_S):
            raise TimeoutError(f"tickwire came to no end; status: {client.status()}")
        return int(made.stats()["accepted"])
