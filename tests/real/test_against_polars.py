"""Bars of every recording and timeframe, against an independent engine: Polars' group_by_dynamic.

Polars is given exactly the ticks that the engine accepts, in the order (event time, arrival): with a
lateness as long as a recording nothing is late, and the band is off, so what remains to be filtered
is said here in one line per stream. Prices and counts must be equal, sums within 1e-12 relative.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import recorded
import tickwire as tw

RECORDINGS = [
    "btcusdt_binance_spot_20240808_09",
    "es_mdp3_20190829_trades_bbo",
    "esu4_databento_20240701_trades_mbp1",
    "eurusd_oanda_201405_quotes",
    "gc_comex_20131007_09_trades",
    "iqfeed_equity_20210301_03_trades",
    "taq_xxx_20180102_03_cleaned",
    "taq_xxx_20180102_03_raw",
    "xagusd_dst_2012_eu_spring",
    "xagusd_dst_2012_us_spring",
    "xagusd_dst_2013_us_autumn",
    "xbtusdt_kraken_20251110_trades",
]
# 2m and 3m do not nest, nor do 7s and 90s in most of the others: each kind of root and chain occurs.
TIMEFRAMES = ["1s", "7s", "90s", "5s", "1m", "2m", "3m", "5m", "1h", "4h", "1d", "1w", "1mo", "2mo"]
FAR_NS = 4_000_000_000 * 10**9
EXACT = ["open", "high", "low", "close", "trades"]


def expected_bars(ticks: pl.DataFrame, timeframe: str) -> pl.DataFrame:
    """`ticks` has ts, price, size in order of arrival."""
    notional = (pl.col("price") * pl.col("size")).sum()
    return (
        ticks.sort("ts", maintain_order=True)
        .group_by_dynamic("ts", every=timeframe)
        .agg(
            pl.col("price").first().alias("open"),
            pl.col("price").max().alias("high"),
            pl.col("price").min().alias("low"),
            pl.col("price").last().alias("close"),
            pl.col("size").sum().alias("volume"),
            (notional / pl.col("size").sum()).alias("vwap"),
            pl.len().cast(pl.Int64).alias("trades"),
        )
        .with_columns(pl.when(pl.col("volume") > 0).then("vwap").alias("vwap"))
    )


def compare(mine: pl.DataFrame, theirs: pl.DataFrame) -> None:
    assert mine["ts"].equals(theirs["ts"])
    assert mine.select(EXACT).equals(theirs.select(EXACT))
    for column in ("volume", "vwap"):
        assert mine[column].is_null().equals(theirs[column].is_null()), column
        error = ((mine[column] - theirs[column]) / theirs[column]).abs().fill_nan(0.0).max()
        assert (error or 0.0) <= 1e-12, f"{column}: {error}"


def as_ticks(table: pl.DataFrame, price: pl.Expr, size: pl.Expr) -> pl.DataFrame:
    return table.select(
        pl.col("ts_event").cast(pl.Datetime("ns", "UTC")).alias("ts"),
        price.alias("price"),
        size.alias("size"),
    ).filter(pl.col("price").is_not_null())


def engine_of(symbol: str, table: pl.DataFrame, source: tuple[str, ...]) -> tw.Engine:
    span_s = (table["ts_event"].max() - table["ts_event"].min()) // 10**9 + 1
    rules = tw.Rules(band="off", grid="off")
    instrument = tw.Instrument(symbol, tick_size=1e-6, source=source, lateness=f"{span_s}s", rules=rules)
    # Larger than any recording: nothing may be dropped by retention here.
    engine = tw.Engine(instrument, TIMEFRAMES, retain=1_000_000)
    engine.push_table(table)
    return engine


@pytest.mark.parametrize("name", RECORDINGS)
def test_trades(data: Path, name: str) -> None:
    table = recorded.trades(recorded.ticks(data, name))
    if table.is_empty():
        table = recorded.quotes(recorded.ticks(data, name))
        assert table.height > 1_000, "a recording without trades must have quotes"
        return
    for (symbol,), own in table.group_by("symbol", maintain_order=True):
        engine = engine_of(str(symbol), own, ("trade",))
        assert engine.stats()["accepted"] == own.height, engine.rejections()
        ticks = as_ticks(own, pl.col("price"), pl.col("size"))
        for timeframe in TIMEFRAMES:
            theirs = expected_bars(ticks, timeframe)
            # Nothing is closed before the lateness is over: the same bars, still open.
            compare(engine.bars(str(symbol), timeframe, partial=True), theirs)
        engine.advance(FAR_NS)
        for timeframe in TIMEFRAMES:
            compare(engine.bars(str(symbol), timeframe), expected_bars(ticks, timeframe))


@pytest.mark.parametrize("name", RECORDINGS)
def test_quotes(data: Path, name: str) -> None:
    table = recorded.quotes(recorded.ticks(data, name))
    # A price of zero stands for an empty side in some feeds; the engine takes no such price.
    positive = (pl.col("bid").fill_null(1.0) > 0) & (pl.col("ask").fill_null(1.0) > 0)
    for (symbol,), own in table.group_by("symbol", maintain_order=True):
        engine = engine_of(str(symbol), own, ("bid", "ask", "mid"))
        accepted = own.filter(positive)
        assert engine.rejections() == (
            {"not_positive": own.height - accepted.height} if own.height > accepted.height else {}
        )
        engine.advance(FAR_NS)
        prices = {"bid": pl.col("bid"), "ask": pl.col("ask"), "mid": (pl.col("bid") + pl.col("ask")) * 0.5}
        for source, price in prices.items():
            ticks = as_ticks(accepted, price, pl.lit(0.0))
            for timeframe in TIMEFRAMES:
                compare(engine.bars(str(symbol), timeframe, source=source), expected_bars(ticks, timeframe))
