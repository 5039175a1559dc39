"""Bars that others published, reproduced from the ticks they were made of.

One engine holds every instrument of every recording; the recordings are fed interleaved, in pieces,
so that nothing of one can leak into another unnoticed. Published and own bars are compared both ways:
none may be missing, doubled or extra.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

import recorded
import tickwire as tw
from recorded import OHLC

S = 1_000_000_000
FAR_NS = 2_000_000_000 * S
# COMEX gold trades in dimes; the others as in their venues' rules.
TICK_SIZES = {"XBTUSDT": 0.1, "ESU4": 0.25, "EURUSD": 0.00001, "IQFEED_EQ": 0.0001}
PIECE_ROWS = 4_000


@functools.cache
def sources(data: Path) -> dict[str, pl.DataFrame]:
    iqfeed = recorded.ticks(data, "iqfeed_equity_20210301_03_trades")
    return {
        "gold": recorded.trades(recorded.ticks(data, "gc_comex_20131007_09_trades")),
        "kraken": recorded.trades(recorded.ticks(data, "xbtusdt_kraken_20251110_trades")),
        "esu4": recorded.trades(recorded.ticks(data, "esu4_databento_20240701_trades_mbp1")),
        "esu4 quotes": recorded.quotes(recorded.ticks(data, "esu4_databento_20240701_trades_mbp1")),
        "eurusd": recorded.quotes(recorded.ticks(data, "eurusd_oanda_201405_quotes")),
        # C and E are the conditions that the publisher lets make prices.
        "iqfeed": recorded.trades(iqfeed.filter(pl.col("basis").is_in(["C", "E"]))),
    }


def interleaved(tables: dict[str, pl.DataFrame]) -> Iterator[pl.DataFrame]:
    pieces = {name: list(table.iter_slices(PIECE_ROWS)) for name, table in tables.items()}
    order = [name for name, parts in pieces.items() for _ in parts]
    random.Random(1).shuffle(order)
    for name in order:
        yield pieces[name].pop(0)


@pytest.fixture(scope="module")
def engine(data: Path) -> tw.Engine:
    tables = sources(data)
    symbols = sorted({symbol for table in tables.values() for symbol in table["symbol"].unique()})
    engine = tw.Engine(
        [
            tw.Instrument(
                symbol,
                tick_size=TICK_SIZES.get(symbol, 0.1),
                source=("bid", "ask") if symbol == "EURUSD" else None,
            )
            for symbol in symbols
        ],
        timeframes=["1s", "5s", "1m"],
    )
    assert len(symbols) == 11 + 4
    for piece in interleaved(tables):
        engine.push_table(piece)
    engine.advance(FAR_NS)
    return engine


def own(engine: tw.Engine, symbol: str, timeframe: str, source: str = "trade") -> pl.DataFrame:
    bars = engine.bars(symbol, timeframe, source=source)
    return bars.with_columns(ts_ns=pl.col("ts").dt.epoch("ns"), instrument=pl.lit(symbol))


def same(mine: pl.DataFrame, theirs: pl.DataFrame, exact: list[str], count: int) -> None:
    """Both have the same `count` labels, each once, and the same values under them."""
    keys = ["instrument", "ts_ns"]
    mine, theirs = (frame.select(keys + exact).sort(keys) for frame in (mine, theirs))
    assert not mine.select(pl.struct(keys).is_duplicated()).to_series().any()
    missing, extra = theirs.join(mine, on=keys, how="anti"), mine.join(theirs, on=keys, how="anti")
    assert (missing.height, extra.height) == (0, 0), f"missing {missing}, extra {extra}"
    differing = mine.join(theirs, on=keys).filter(
        pl.any_horizontal(pl.col(column) != pl.col(f"{column}_right") for column in exact)
    )
    assert differing.height == 0, differing
    assert mine.height == theirs.height == count


def test_every_tick_was_accepted(engine: tw.Engine, data: Path) -> None:
    stats = engine.stats()
    sent = sum(table.height for table in sources(data).values())
    assert engine.rejections() == {}
    assert (stats["received"], stats["accepted"]) == (sent, sent)


def test_gold_minutes_of_eleven_expiries(engine: tw.Engine, data: Path) -> None:
    expiries = sources(data)["gold"]["symbol"].unique().to_list()
    # The publisher's bars go two days beyond the ticks.
    until = sources(data)["gold"]["ts_event"].max()
    theirs = recorded.published(data, "gc_comex_lean").filter(
        pl.col("bar") == "1m", pl.col("instrument").is_in(expiries), pl.col("ts_ns") <= until
    )
    mine = pl.concat(own(engine, symbol, "1m") for symbol in expiries)
    same(mine, theirs, OHLC, 4_681)
    # In twenty minutes the publisher leaves out the size of the day's very last trade.
    volumes = mine.join(theirs, on=["instrument", "ts_ns"])
    assert volumes.filter(pl.col("volume") == pl.col("volume_right")).height == 4_661
    assert volumes.filter(pl.col("volume") < pl.col("volume_right")).height == 0


def test_kraken_minutes_with_volume_and_count(engine: tw.Engine, data: Path) -> None:
    mine = own(engine, "XBTUSDT", "1m")
    # The recording begins and ends inside a minute.
    mine = mine.filter(pl.col("ts_ns").is_between(mine["ts_ns"].min(), mine["ts_ns"].max(), closed="none"))
    theirs = (
        recorded.published(data, "xbtusdt_kraken_20251110_1m")
        .filter(pl.col("ts_ns").is_between(mine["ts_ns"].min(), mine["ts_ns"].max()))
        # Kraken fills minutes without trades at the last close.
        .filter(pl.col("n") > 0)
        .rename({"n": "trades"})
    )
    same(mine, theirs, [*OHLC, "trades"], 272)
    volumes = mine.join(theirs, on="ts_ns")
    assert volumes.filter((pl.col("volume") / pl.col("volume_right") - 1).abs() > 1e-12).height == 0


def test_es_minutes_with_volume(engine: tw.Engine, data: Path) -> None:
    mine = own(engine, "ESU4", "1m")
    theirs = recorded.published(data, "esu4_nqu4_databento_20240701_1m").filter(
        pl.col("instrument") == "ESU4", pl.col("ts_ns").is_between(mine["ts_ns"].min(), mine["ts_ns"].max())
    )
    same(mine, theirs, [*OHLC, "volume"], 4)


@pytest.mark.parametrize("source", ["bid", "ask"])
@pytest.mark.parametrize(("timeframe", "count"), [("1s", 88_607), ("1m", 6_926)])
def test_eurusd_bid_and_ask(engine: tw.Engine, data: Path, source: str, timeframe: str, count: int) -> None:
    theirs = recorded.published(data, "eurusd_oanda_201405_lean").filter(
        pl.col("bar") == timeframe, pl.col("kind") == source
    )
    same(own(engine, "EURUSD", timeframe, source), theirs, OHLC, count)


@pytest.mark.parametrize(("timeframe", "count"), [("1s", 7_949), ("5s", 5_878)])
def test_iqfeed_seconds_with_volume(engine: tw.Engine, data: Path, timeframe: str, count: int) -> None:
    theirs = recorded.published(data, "iqfeed_equity_20210301_03").filter(pl.col("bar") == timeframe)
    same(own(engine, "IQFEED_EQ", timeframe), theirs, [*OHLC, "volume"], count)


def test_excluded_conditions_would_show(data: Path) -> None:
    """The comparison can fail: with all conditions the IQFeed bars differ."""
    everything = recorded.trades(recorded.ticks(data, "iqfeed_equity_20210301_03_trades"))
    engine = tw.Engine(tw.Instrument("IQFEED_EQ", tick_size=0.0001), ["1s"])
    engine.push_table(everything)
    engine.advance(FAR_NS)
    theirs = recorded.published(data, "iqfeed_equity_20210301_03").filter(pl.col("bar") == "1s")
    with pytest.raises(AssertionError):
        same(own(engine, "IQFEED_EQ", "1s"), theirs, [*OHLC, "volume"], 7_949)
