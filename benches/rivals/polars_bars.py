"""Polars: one eager `group_by_dynamic` per timeframe over a frame whose time column is known to be sorted.

It only aggregates: no validation, no ticks kept, no volume-weighted price. Making the frame from the
columns is not timed. (Its lazy `collect_all` over all timeframes takes about four times as long.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from benches.harness import Thunk
from benches.market import Trades

from . import Bars

NAME = "Polars group_by_dynamic"
DISTRIBUTION = "polars"

_OHLC = [
    pl.col("price").first().alias("open"),
    pl.col("price").max().alias("high"),
    pl.col("price").min().alias("low"),
    pl.col("price").last().alias("close"),
    pl.col("size").sum().alias("volume"),
    pl.len().alias("trades"),
]


def prepare(trades: Trades, timeframes: Sequence[str]) -> Thunk:
    """All timeframes, one after the other."""
    frame = pl.DataFrame({"ts": trades.ts_event, "price": trades.price, "size": trades.size}).with_columns(
        pl.col("ts").cast(pl.Datetime("ns", "UTC")).set_sorted()
    )

    def run() -> dict[str, pl.DataFrame]:
        return {every: frame.group_by_dynamic("ts", every=every).agg(_OHLC) for every in timeframes}

    return run


def bars(outcome: Mapping[str, pl.DataFrame]) -> dict[str, Bars]:
    """As arrays."""
    return {
        timeframe: Bars(
            frame["ts"].cast(pl.Int64).to_numpy(),
            *(frame[name].to_numpy() for name in ("open", "high", "low", "close", "volume")),
            frame["trades"].cast(pl.Int64).to_numpy(),
        )
        for timeframe, frame in outcome.items()
    }
