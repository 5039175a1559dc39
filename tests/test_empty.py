"""Bars without ticks: left out, or filled flat at the previous close."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import recorded
import tickwire as tw

S = 1_000_000_000
T0 = 1_700_000_040 * S
FREE = tw.Rules(band="off", grid="off")


def engine_of(timeframes: list[str], **settings: object) -> tw.Engine:
    instrument = tw.Instrument("X", tick_size=0.25, rules=FREE, **{"empty": "flat"} | settings)  # type: ignore[arg-type]
    return tw.Engine(instrument, timeframes)


def push(engine: tw.Engine, seconds: float, price: float, size: float = 1.0) -> bool:
    ts = T0 + round(seconds * S)
    return engine.push_trade("X", ts, price, size, ts_recv=ts)


def rows(engine: tw.Engine, timeframe: str) -> list[tuple[int, float, float, int, bool]]:
    """Second, open, close, trades, complete of all closed bars."""
    frame = engine.bars("X", timeframe).select(
        (pl.col("ts").dt.epoch("ns") - T0) // S, "open", "close", "trades", "complete"
    )
    return frame.rows()


def test_a_bar_without_ticks_is_flat_at_the_previous_close() -> None:
    engine = engine_of(["1s"])
    news = engine.subscribe(bars=["1s"])
    push(engine, 0.2, 100.0)
    push(engine, 0.5, 101.0)
    push(engine, 3.5, 102.0)
    assert rows(engine, "1s") == [
        (0, 100.0, 101.0, 2, True),
        (1, 101.0, 101.0, 0, True),
        (2, 101.0, 101.0, 0, True),
    ]
    flat = engine.bars("X", "1s").row(1, named=True)
    assert (flat["high"], flat["low"], flat["volume"], flat["vwap"]) == (101.0, 101.0, 0.0, None)
    assert [(bar.close, bar.complete, bar.revision) for bar in news.poll()] == [(101.0, True, 0)] * 3


def test_time_alone_fills_and_nothing_is_filled_before_the_first_tick() -> None:
    engine = engine_of(["1s", "5s"])
    engine.advance(T0 - 10 * S)
    assert rows(engine, "1s") == []
    push(engine, 0.5, 100.0)
    engine.advance(T0 + 11 * S)
    assert [row[0] for row in rows(engine, "1s")] == list(range(11))
    # Five seconds of flat bars are flat themselves; those with a trade are of the trade alone.
    assert rows(engine, "5s") == [(0, 100.0, 100.0, 1, True), (5, 100.0, 100.0, 0, True)]
    push(engine, 13.5, 105.0)
    engine.advance(T0 + 15 * S)
    assert rows(engine, "5s")[-1] == (10, 105.0, 105.0, 1, True)


def test_a_bar_that_is_still_open_may_be_flat() -> None:
    engine = engine_of(["1s", "1m"])
    push(engine, 0.5, 100.0)
    engine.advance(T0 + 65 * S)
    (minute,) = engine.snapshot("X").open_bars("1m")
    assert (minute.ts, minute.open, minute.trades, minute.complete) == (T0 + 60 * S, 100.0, 0, False)


def test_flat_bars_in_a_row_are_limited() -> None:
    engine = engine_of(["1s", "1m"], flat_limit=3)
    push(engine, 0.5, 100.0)
    engine.advance(T0 + 86_400 * S)
    assert [row[0] for row in rows(engine, "1s")] == [0, 1, 2, 3]
    push(engine, 86_400.5, 101.0)
    engine.advance(T0 + 90_000 * S)
    assert [row[0] for row in rows(engine, "1s")][4:] == [86_400, 86_401, 86_402, 86_403]
    assert [row[0] for row in rows(engine, "1m")] == [0, 86_400]


def test_the_end_of_time_is_no_loop() -> None:
    engine = engine_of(["1s", "1mo"], flat_limit=1_000_000)
    engine.push_trade("X", 2**63 - 5 * S, 100.0, 1.0, ts_recv=2**63 - 5 * S)
    engine.advance(2**63 - 1)
    assert engine.bars("X", "1s").height < 7


def test_a_gap_makes_no_flat_bars_nor_does_what_follows_until_a_price_is_known() -> None:
    engine = engine_of(["1s"])
    push(engine, 0.5, 100.0)
    engine.mark_gap(T0 + 3 * S + 1, T0 + 5 * S)
    engine.advance(T0 + 8 * S)
    assert rows(engine, "1s") == [(0, 100.0, 100.0, 1, True), *((n, 100.0, 100.0, 0, True) for n in (1, 2))]
    push(engine, 9.5, 104.0)
    engine.advance(T0 + 12 * S)
    assert rows(engine, "1s")[3:] == [
        (9, 104.0, 104.0, 1, True),
        *((n, 104.0, 104.0, 0, True) for n in (10, 11)),
    ]


def test_nothing_is_filled_outside_the_session() -> None:
    """A quiet evening in New York: flat until the close, and from the next open on at the old price."""
    session = tw.Session("America/New_York", "09:30", "16:00")
    friday = dt.datetime(2024, 3, 8, 20, 50, tzinfo=dt.timezone.utc)  # 15:50
    ns = int(friday.timestamp()) * S
    engine = engine_of(["1m", "30m"], session=session, flat_limit=15)
    engine.push_trade("X", ns, 100.0, 1.0, ts_recv=ns)
    # Over the weekend, on which the clocks change.
    engine.advance(ns + 3 * 86_400 * S)
    bars = engine.bars("X", "1m", tz="America/New_York").select(pl.col("ts").dt.strftime("%a %H:%M"))
    monday = [f"Mon 09:{minute}" for minute in range(30, 36)]
    assert bars["ts"].to_list() == [*(f"Fri 15:{minute}" for minute in range(50, 60)), *monday]
    halves = engine.bars("X", "30m", tz="America/New_York").select(pl.col("ts").dt.strftime("%a %H:%M"))
    assert halves["ts"].to_list() == ["Fri 15:30", "Mon 09:30"]
    assert set(engine.bars("X", "1m")["close"]) == {100.0}


def history(seconds: list[int], close: float) -> pl.DataFrame:
    count = len(seconds)
    price = dict.fromkeys(("open", "high", "low", "close"), [close] * count)
    ts = pl.Series([T0 + second * S for second in seconds], dtype=pl.Int64)
    return pl.DataFrame({"ts": ts, **price, "volume": [1.0] * count, "trades": [1] * count})


def test_backfill_makes_the_price_known_again() -> None:
    engine = engine_of(["1s", "5s"])
    push(engine, 0.5, 100.0)
    engine.mark_gap(T0 + 2 * S, T0 + 5 * S)
    engine.advance(T0 + 6 * S)
    assert [row[0] for row in rows(engine, "1s")] == [0, 1]
    engine.replace_bars("X", "1s", history([2, 3], 107.0), T0 + 2 * S, T0 + 5 * S)
    engine.advance(T0 + 8 * S)
    assert rows(engine, "1s")[2:] == [
        (2, 107.0, 107.0, 1, True),
        (3, 107.0, 107.0, 1, True),
        # What was over before is as history says.
        *((second, 107.0, 107.0, 0, True) for second in (6, 7)),
    ]
    assert rows(engine, "5s") == [(0, 100.0, 107.0, 3, True)]


def test_a_seed_is_gone_on_from() -> None:
    engine = engine_of(["1s", "5s"])
    engine.push_bars("X", "1s", history([0, 1, 2], 50.0))
    engine.advance(T0 + 5 * S)
    assert [row[:3] for row in rows(engine, "1s")][3:] == [(3, 50.0, 50.0), (4, 50.0, 50.0)]
    # Bars of another timeframe say nothing of these.
    other = engine_of(["2s", "3s"])
    push(other, 0.5, 100.0)
    other.advance(T0 + 3 * S)
    other.push_bars("X", "2s", history([2, 4, 6, 8], 50.0))
    assert [row[0] for row in rows(other, "3s")] == [0]


def test_a_late_tick_moves_the_flat_bars_that_follow_it() -> None:
    engine = engine_of(["1s", "5s", "1m"], late="revise")
    push(engine, 0.5, 100.0)
    engine.advance(T0 + 12 * S)
    news = engine.subscribe(bars=["1s", "5s"])
    assert push(engine, 0.7, 103.0)
    assert {row[2] for row in rows(engine, "1s")} == {103.0}
    assert rows(engine, "5s") == [(0, 100.0, 103.0, 2, True), (5, 103.0, 103.0, 0, True)]
    assert {(bar.close, bar.revision) for bar in news.poll()} == {(103.0, 1)}
    engine.advance(T0 + 13 * S)
    assert rows(engine, "1s")[-1] == (12, 103.0, 103.0, 0, True)
    # A flat bar that turns out to have been traded.
    assert push(engine, 7.5, 110.0, 2.0)
    assert [row[2:4] for row in rows(engine, "1s")[6:9]] == [(103.0, 0), (110.0, 1), (110.0, 0)]
    assert rows(engine, "5s")[1] == (5, 110.0, 110.0, 1, True)
    (minute,) = engine.snapshot("X").open_bars("1m")
    assert (minute.open, minute.close, minute.trades, minute.volume) == (100.0, 110.0, 3, 4.0)


@pytest.mark.parametrize("timeframes", [["1m"], ["1s", "1m"]])
def test_kraken_publishes_its_flat_minutes(data: Path, timeframes: list[str]) -> None:
    """Every minute between the first and the last full one as the exchange has it, empty ones included."""
    name = "xbtusdt_kraken_20251110"
    ticks, published = recorded.ticks(data, f"{name}_trades"), recorded.published(data, f"{name}_1m")
    engine = tw.Engine(tw.Instrument("XBTUSDT", tick_size=0.1), timeframes, empty="flat")
    engine.push_table(recorded.trades(ticks))
    # The recording begins within its first minute, and the last is not over.
    bars = engine.bars("XBTUSDT", "1m")[1:]
    expected = published.filter(
        pl.col("ts_ns").is_between(*bars["ts"].dt.epoch("ns").to_list()[:: bars.height - 1])
    )
    assert expected.height == 409
    assert (expected["n"] == 0).sum() == 137
    assert bars["ts"].dt.epoch("ns").to_list() == expected["ts_ns"].to_list()
    assert bars.select(*recorded.OHLC).equals(expected.select(*recorded.OHLC))
    assert bars["trades"].to_list() == expected["n"].to_list()
    assert np.allclose(bars["volume"], expected["volume"], rtol=1e-12, atol=0)
    assert (bars["vwap"].is_null() == (expected["n"] == 0)).all()
    assert bars["complete"].all()
