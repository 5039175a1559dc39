"""Wrong stamps and wrong clocks: what they cannot do to bars."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import recorded
import tickwire as tw
from effort import examples

S = 1_000_000_000
MS = 1_000_000
T0 = 1_700_000_040 * S
FREE = tw.Rules(band="off", grid="off", skew="off")
TIMEFRAMES = ["1s", "5s", "1m"]


def engine_of(**settings: Any) -> tw.Engine:
    return tw.Engine(tw.Instrument("X", tick_size=0.25, **{"rules": FREE} | settings), TIMEFRAMES)


@st.composite
def poisoned(draw: st.DrawFn) -> tuple[list[tuple[int, float]], set[int], int, int | None]:
    """Honest ticks in order (time, price), after which of them a wrong stamp comes, how far that is ahead,
    and how far the local clock is ahead of the venue's; None: without arrival times.
    """
    steps = draw(st.lists(st.integers(1, 3_000), min_size=8, max_size=60))
    prices = draw(st.lists(st.integers(0, 40), min_size=len(steps), max_size=len(steps)))
    ts, ticks = T0, []
    for step, price in zip(steps, prices, strict=True):
        ts += step * MS
        ticks.append((ts, 100.0 + price / 4))
    # Isolated: an honest tick stands between any two of them.
    after = set(draw(st.lists(st.integers(0, len(ticks) - 2), max_size=8)))
    offset = draw(st.one_of(st.none(), st.integers(-5_000, 5_000)))
    # Without arrival times only a jump of more than an hour looks like one.
    ahead = draw(st.integers(3_601 if offset is None else 200, 10**6))
    return ticks, after, ahead * S, None if offset is None else offset * MS


def push(engine: tw.Engine, ts: int, price: float, now: int, offset: int | None) -> bool:
    return engine.push_trade("X", ts, price, 1.0, ts_recv=None if offset is None else now + offset)


@settings(max_examples=examples(150))
@given(poisoned())
def test_isolated_stamps_from_the_future_change_nothing_for_honest_ticks(
    case: tuple[list[tuple[int, float]], set[int], int, int | None],
) -> None:
    ticks, after, ahead, offset = case
    honest, engine = engine_of(), engine_of()
    for number, (ts, price) in enumerate(ticks):
        # The way takes a few milliseconds, more or less.
        now = ts + (number * 7919 % 13 + 2) * MS
        assert push(honest, ts, price, now, offset)
        assert push(engine, ts, price, now, offset), "an honest tick is late"
        if number in after:
            push(engine, ts + ahead, 1.0, now + MS, offset)
        closing = engine.snapshot("X").closing_time()
        assert closing is None or closing <= ts, "closed early"
    assert engine.rejections() == {}
    # All ticks are in, so that time may pass: the bars of the wrong stamps are still to come.
    for one in (honest, engine):
        one.advance(T0 + 195 * S)
    for timeframe in TIMEFRAMES:
        assert engine.bars("X", timeframe).equals(honest.bars("X", timeframe))


@pytest.mark.parametrize("offset_s", [-60.0, -1.27, 0.0, 2.5, 60.0])
def test_the_offset_of_the_clocks_is_found_and_reported(offset_s: float) -> None:
    engine, rng = engine_of(), random.Random(5)
    assert engine.stats("X")["clock_offset_ns"] is None
    for number in range(500):
        ts = T0 + number * S // 4
        way = rng.randrange(3, 100) * MS
        engine.push_trade("X", ts, 100.0, 1.0, ts_recv=ts + way + round(offset_s * S))
    found = engine.stats("X")["clock_offset_ns"]
    assert 0 <= found - offset_s * S <= 40 * MS
    assert engine.snapshot("X").stats["clock_offset_ns"] == engine.stats()["clock_offset_ns"] == found


def test_a_clock_far_behind_costs_two_ticks_and_no_more() -> None:
    """The skew rule of five seconds is held against the estimate, which takes three arrivals."""
    engine = engine_of(rules=tw.Rules(band="off"))
    for number in range(100):
        ts = T0 + number * S
        engine.push_trade("X", ts, 100.0, 1.0, ts_recv=ts - 30 * S + number % 3 * MS)
    assert engine.rejections() == {"skew": 2}
    # What is ahead of even that is still wrong.
    assert not engine.push_trade("X", T0 + 106 * S, 100.0, 1.0, ts_recv=T0 + 70 * S)
    assert engine.snapshot("X").closing_time() >= T0 + 98 * S


def test_a_backlog_on_joining_does_not_make_live_ticks_wrong() -> None:
    """Old ticks look like a clock that is ahead; those that come at once afterwards are no less true."""
    engine = engine_of(rules=tw.Rules(band="off"))
    for number in range(5):
        engine.push_trade("X", T0 + number * S, 100.0, 1.0, ts_recv=T0 + 600 * S + number)
    for number in range(5):
        ts = T0 + (600 + number) * S
        assert engine.push_trade("X", ts, 100.0, 1.0, ts_recv=ts + MS + number)
    assert engine.rejections() == {}
    assert engine.snapshot("X").closing_time() == T0 + 604 * S


def test_binance_with_a_clock_behind_loses_nothing(data: Path) -> None:
    """Its trades came 1.27 s before they happened, by the local clock, by which its quotes are stamped."""
    rows = recorded.ticks(data, "btcusdt_binance_spot_20240808_09")
    engine = tw.Engine(
        tw.Instrument("BTCUSDT", tick_size=0.01, lateness="1s"), ["1s", "1m", "1h"], source=("trade", "mid")
    )
    recorded.push_rows(engine, rows)
    stats = engine.stats("BTCUSDT")
    assert (stats["received"], stats["rejections"]) == (rows.height, {})
    assert -1.28 * S <= stats["clock_offset_ns"] <= -1.26 * S
    # Bars close though every trade is ahead of its arrival.
    trades = rows.filter(pl.col("kind") == "trade")
    closing = engine.snapshot("BTCUSDT").closing_time()
    assert closing > trades["ts_ns"].max() - 3 * S
    engine.advance(rows["ts_ns"].max() + 3_600 * S)
    minutes = (
        trades.group_by(pl.col("ts_ns") // (60 * S) * (60 * S)).agg(pl.len(), pl.sum("size")).sort("ts_ns")
    )
    bars = engine.bars("BTCUSDT", "1m")
    assert bars["trades"].to_list() == minutes["len"].to_list()
