"""Published bars put in as history: what larger timeframes they roll up to."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import recorded
import tickwire as tw
from recorded import OHLC

COLUMNS = [pl.col("ts_ns").alias("ts"), *OHLC, "volume"]
LARGER = {"5m": 2_943, "15m": 981, "30m": 491, "1h": 246}


@pytest.fixture(scope="module")
def nq(data: Path) -> pl.DataFrame:
    return recorded.published(data, "nq_firstrate_202311_multi")


def minutes(nq: pl.DataFrame) -> pl.DataFrame:
    return nq.filter(pl.col("bar") == "1m").select(COLUMNS)


def check(engine: tw.Engine, nq: pl.DataFrame) -> None:
    for timeframe, count in LARGER.items():
        theirs = nq.filter(pl.col("bar") == timeframe).select(COLUMNS).sort("ts")
        mine = engine.bars("NQ", timeframe).with_columns(pl.col("ts").dt.epoch("ns"))
        assert mine.select(theirs.columns).equals(theirs), timeframe
        assert mine.height == count
        assert mine["complete"].all()


def test_minutes_roll_up_to_the_published_larger_bars(nq: pl.DataFrame) -> None:
    engine = tw.Engine(tw.Instrument("NQ", tick_size=0.25), ["1m", *LARGER])
    given = minutes(nq)
    outcome = engine.push_bars("NQ", "1m", given)
    assert outcome == {"received": 14_714, "inserted": 14_714, "replaced": 0, "existing": 0, "open": 0}
    assert engine.bars("NQ", "1m").select(OHLC).equals(given.sort("ts").select(OHLC))
    check(engine, nq)


def test_the_same_in_pieces_newest_first(nq: pl.DataFrame) -> None:
    """As a history service answers: page after page into the past, each newest first."""
    engine = tw.Engine(tw.Instrument("NQ", tick_size=0.25), ["1m", *LARGER])
    for page in minutes(nq).sort("ts", descending=True).iter_slices(1_000):
        engine.push_bars("NQ", "1m", page)
    check(engine, nq)


def test_projectx_bars_as_delivered(data: Path) -> None:
    bars = recorded.published(data, "mnq_projectx_20260819_1m")
    assert bars["ts_ns"].is_sorted(descending=True), "the service delivers the newest first"
    symbol = "CON.F.US.MNQ.U26"
    engine = tw.Engine(tw.Instrument(symbol, tick_size=0.25), ["1m", "5m", "1h"])
    assert engine.push_bars(symbol, "1m", bars.select(COLUMNS))["inserted"] == 120
    given = bars.select(COLUMNS).sort("ts")
    mine = engine.bars(symbol, "1m").with_columns(pl.col("ts").dt.epoch("ns"))
    assert mine.select(given.columns).equals(given)
    expected = (
        given.with_columns(pl.col("ts").cast(pl.Datetime("ns", "UTC")))
        .group_by_dynamic("ts", every="5m")
        .agg(
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
            pl.col("volume").sum(),
        )
    )
    # The newest five minutes are closed only if their last minute is among the bars.
    whole = expected.filter(pl.col("ts").dt.offset_by("4m").dt.epoch("ns") <= given["ts"].max())
    assert engine.bars(symbol, "5m").select(whole.columns).equals(whole)
    assert engine.bars(symbol, "5m", partial=True).select(expected.columns).equals(expected)
