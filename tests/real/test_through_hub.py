"""Recorded gold ticks, sent through a socket by the embedded hub, give the bars that others
published for them."""

from __future__ import annotations

from pathlib import Path

import polars as pl

import recorded
import tickwire as tw


def test_gold_through_the_hub_gives_the_published_bars(data: Path) -> None:
    ticks = recorded.ticks(data, "gc_comex_20131007_09_trades")
    symbols = ticks["instrument"].unique().sort().to_list()
    instruments = [tw.Instrument(symbol, tick_size=0.1) for symbol in symbols]
    live = tw.Engine(instruments, timeframes=["1m", "1h"])
    direct = tw.Engine(instruments, timeframes=["1m", "1h"])
    direct.push_table(recorded.trades(ticks))

    hours = live.subscribe(bars=["1h"])
    with tw.sim.Hub(tw.sim.Replay(ticks), records_per_message=20) as hub:
        with tw.connect(hub=hub.url, token=hub.token(), engine=live, streams=("trades",), clock="event"):
            hub.wait_finished(60)
            hub.wait_until(lambda _: live.stats()["received"] >= ticks.height, 60, what="the last tick")
        assert hub.sent.trades == live.stats()["received"] == live.stats()["accepted"] == ticks.height

    for symbol in symbols:
        for timeframe in ("1m", "1h"):
            assert live.bars(symbol, timeframe).equals(direct.bars(symbol, timeframe)), symbol
    assert len(hours.poll()) == sum(direct.bars(symbol, "1h").height for symbol in symbols)

    live.advance(1 << 62)
    ours = pl.concat(
        live.bars(symbol, "1m").select(
            pl.lit(symbol).alias("instrument"), pl.col("ts").to_physical().alias("ts_ns"), *recorded.OHLC
        )
        for symbol in symbols
    )
    # The publisher's bars go two days beyond the ticks, and include contracts that have none here.
    minutes = recorded.published(data, "gc_comex_lean").filter(
        pl.col("bar") == "1m", pl.col("instrument").is_in(symbols), pl.col("ts_ns") <= ticks["ts_ns"].max()
    )
    assert ours.height == minutes.height == 4_681
    assert ours.join(minutes, on=["instrument", "ts_ns", *recorded.OHLC]).height == 4_681
