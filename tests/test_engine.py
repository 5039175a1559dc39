"""`Engine`: the rules of the data as a user meets them. Checks of single ticks are in test_rules.py."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl

import tickwire as tw

S = 1_000_000_000
M = 60 * S
H = 60 * M
# 2023-11-14 22:14:00 UTC, the start of a minute.
T0 = 1_700_000_040 * S
FREE = tw.Rules(band="off")


def engine_of(timeframes: tuple[str, ...] = ("1s", "1m"), **instrument: Any) -> tw.Engine:
    instrument = {"tick_size": 0.25, "rules": FREE} | instrument
    return tw.Engine(tw.Instrument("X", **instrument), timeframes)


def labels(engine: tw.Engine, timeframe: str = "1s", **how: Any) -> list[int]:
    """Labels of bars, ns after T0."""
    return (engine.bars("X", timeframe, **how)["ts"].dt.epoch("ns") - T0).to_list()


def ohlc(engine: tw.Engine, timeframe: str = "1s", **how: Any) -> list[tuple[float, ...]]:
    return engine.bars("X", timeframe, **how).select("open", "high", "low", "close").rows()


# Bars


def test_bars_are_left_closed_and_labelled_by_their_open() -> None:
    engine = engine_of()
    for ts, price in [(T0, 1.0), (T0 + S - 1, 2.0), (T0 + S, 3.0), (T0 + 2 * S, 4.0)]:
        engine.push_trade("X", ts, price, 1.0)
    assert labels(engine) == [0, S]
    assert ohlc(engine) == [(1.0, 2.0, 1.0, 2.0), (3.0, 3.0, 3.0, 3.0)]
    bar = engine.snapshot("X").closed_bar("1s")
    assert (bar.ts, bar.ts_end) == (T0 + S, T0 + 2 * S)


def test_open_and_close_go_by_event_time_then_arrival() -> None:
    engine = engine_of()
    for ts, price in [(5, 50.0), (3, 30.0), (9, 90.0), (3, 31.0), (9, 91.0), (7, 10.0)]:
        engine.push_trade("X", T0 + ts, price, 1.0)
    assert ohlc(engine, partial=True) == [(30.0, 91.0, 10.0, 91.0)]


def test_empty_buckets_make_no_bars() -> None:
    engine = engine_of()
    for second in (0, 1, 7, 130):
        engine.push_trade("X", T0 + second * S, 10.0, 1.0)
    assert labels(engine) == [0, S, 7 * S]
    assert labels(engine, "1m") == [0]


def test_volume_vwap_and_count() -> None:
    engine = engine_of()
    for price, size in [(10.0, 1.0), (11.0, 3.0), (12.0, 0.0)]:
        engine.push_trade("X", T0, price, size)
    row = engine.bars("X", "1m", partial=True).row(0, named=True)
    assert (row["volume"], row["vwap"], row["trades"], row["high"]) == (4.0, 10.75, 3, 12.0)


def test_a_bar_of_zero_size_prints_has_prices_and_no_vwap() -> None:
    engine = engine_of()
    assert engine.push_trade("X", T0, 10.0, 0.0)
    engine.advance(T0 + S)
    row = engine.bars("X", "1s").row(0, named=True)
    assert (row["open"], row["volume"], row["vwap"], row["trades"]) == (10.0, 0.0, None, 1)
    assert math.isnan(engine.snapshot("X").closed_bar("1s").vwap)


def test_sums_of_whole_sizes_are_exact_and_others_nearly() -> None:
    engine = engine_of(("1d",))
    day, size = np.full(200_000, T0), np.full(200_000, 0.1)
    engine.push_trades("X", ts_event=day, price=np.full(200_000, 3.0), size=size)
    assert abs(engine.bars("X", "1d", partial=True)["volume"][0] / 20_000.0 - 1) < 1e-12
    big = engine_of(("1d",))
    for part in (2.0**52, 1.0, 2.0**51, 1.0):
        big.push_trade("X", T0, 3.0, part)
    assert big.bars("X", "1d", partial=True)["volume"][0] == 2.0**52 + 2.0**51 + 2.0


def test_timeframes_are_sorted_and_each_once() -> None:
    engine = engine_of(("1h", "1s", "1mo", "1m", "1s", "1w"))
    assert engine.timeframes == ("1s", "1m", "1h", "1w", "1mo")


def test_weeks_begin_on_monday_and_months_on_the_first() -> None:
    engine = engine_of(("1d", "1w", "1mo", "3mo"))
    engine.push_trade("X", T0, 10.0, 1.0)
    starts = [
        engine.bars("X", timeframe, partial=True)["ts"][0].isoformat()[:10] for timeframe in engine.timeframes
    ]
    assert starts == ["2023-11-14", "2023-11-13", "2023-11-01", "2023-10-01"]


def test_before_the_epoch() -> None:
    engine = engine_of(("1s", "1w", "1mo"))
    engine.push_trade("X", -1, 10.0, 1.0)
    spans = [engine.snapshot("X").open_bars(timeframe)[0] for timeframe in engine.timeframes]
    assert [bar.ts for bar in spans] == [-S, -3 * 86_400 * S, -31 * 86_400 * S]
    assert [bar.ts_end for bar in spans] == [0, 4 * 86_400 * S, 0]


def test_without_timeframes_nothing_is_late() -> None:
    engine = engine_of(())
    for ts in (T0, T0 + H, T0 - H, T0 + 2 * H, 0):
        assert engine.push_trade("X", ts, 10.0, 1.0)
    assert engine.stats()["trades"] == 5


# Watermark, lateness, late ticks


def test_a_tick_whose_smallest_bar_is_closed_is_late_for_all_timeframes() -> None:
    engine = engine_of()
    engine.push_trade("X", T0, 10.0, 1.0)
    engine.push_trade("X", T0 + S, 11.0, 1.0)
    # Its minute is open, but its second is not: no timeframe sees it.
    assert not engine.push_trade("X", T0 + S - 1, 99.0, 1.0)
    assert engine.rejections() == {"late": 1}
    assert ohlc(engine, "1m", partial=True) == [(10.0, 11.0, 10.0, 11.0)]
    assert engine.last("X").price == 11.0
    assert engine.trades("X").height == 2


def test_lateness_keeps_bars_open() -> None:
    engine = engine_of(lateness="3s")
    engine.push_trade("X", T0, 10.0, 1.0)
    engine.push_trade("X", T0 + 4 * S - 1, 11.0, 1.0)
    assert labels(engine) == []
    assert engine.push_trade("X", T0 + S - 1, 9.0, 1.0)
    assert [bar.ts - T0 for bar in engine.snapshot("X").open_bars("1s")] == [0, 3 * S]
    engine.push_trade("X", T0 + 4 * S, 11.0, 1.0)
    assert ohlc(engine) == [(10.0, 10.0, 9.0, 9.0)]
    assert not engine.push_trade("X", T0 + S - 1, 9.0, 1.0)


def test_lateness_of_the_engine_and_of_the_instrument() -> None:
    own = tw.Instrument("OWN", tick_size=1.0, lateness="0s")
    inherits = tw.Instrument("INHERITS", tick_size=1.0)
    engine = tw.Engine([own, inherits], ["1s"], lateness="1m")
    for symbol in ("OWN", "INHERITS"):
        engine.push_trade(symbol, T0, 10.0, 1.0)
        engine.push_trade(symbol, T0 + S, 10.0, 1.0)
    assert (engine.bars("OWN", "1s").height, engine.bars("INHERITS", "1s").height) == (1, 0)


def test_an_early_tick_may_open_a_bar_before_the_newest() -> None:
    engine = engine_of(lateness="1h")
    for minute in (5, 1, 3):
        engine.push_trade("X", T0 + minute * M, float(minute + 1), 1.0)
    assert labels(engine, "1m", partial=True) == [M, 3 * M, 5 * M]


def test_one_stamp_from_the_future_closes_nothing() -> None:
    engine = engine_of()
    engine.push_trade("X", T0, 10.0, 1.0)
    engine.push_trade("X", T0 + 1, 10.0, 1.0)
    # Poison: no arrival time tells that it is wrong. It is kept, in a bar of its own time.
    assert engine.push_trade("X", T0 + 100 * H, 66.0, 1.0)
    assert labels(engine) == []
    for second in (0, 1, 2):
        assert engine.push_trade("X", T0 + second * S, 10.0, 1.0)
    assert labels(engine) == [0, S]
    assert ohlc(engine, "1m", partial=True) == [(10.0, 10.0, 10.0, 10.0), (66.0, 66.0, 66.0, 66.0)]


def test_a_second_tick_beyond_a_jump_makes_it_believed() -> None:
    engine = engine_of()
    for ts in (T0, T0 + 1, T0 + 9 * H, T0 + 9 * H + 5):
        engine.push_trade("X", ts, 10.0, 1.0)
    assert labels(engine) == [0]
    assert engine.snapshot("X").closing_time() == T0 + 9 * H + 5


def test_a_jump_confirmed_by_an_older_tick_closes_that_ticks_bar_too() -> None:
    engine = engine_of()
    engine.push_trade("X", T0 + 2 * S, 12.0, 1.0)
    assert engine.push_trade("X", T0, 10.0, 1.0)
    assert engine.snapshot("X").closing_time() == T0 + 2 * S
    assert labels(engine) == [0]
    assert [bar.ts - T0 for bar in engine.snapshot("X").open_bars("1s")] == [2 * S]


def test_with_arrival_time_one_tick_is_enough_unless_it_is_ahead_of_it() -> None:
    engine = engine_of()
    engine.push_trade("X", T0, 10.0, 1.0, ts_recv=T0)
    # Ahead of its own arrival, but within the allowed skew: applied, and believed by nobody.
    assert engine.push_trade("X", T0 + 4 * S, 10.0, 1.0, ts_recv=T0 + 3 * S)
    assert labels(engine) == []
    assert engine.push_trade("X", T0 + 50 * H, 10.0, 1.0, ts_recv=T0 + 50 * H)
    assert labels(engine) == [0, 4 * S]


def test_quotes_never_move_the_trades_watermark() -> None:
    engine = engine_of(source=("trade", "bid"))
    engine.push_trade("X", T0, 10.0, 1.0)
    for second in range(120):
        assert engine.push_quote("X", T0 + second * S, 9.75, 10.25)
    assert labels(engine) == []
    assert len(labels(engine, source="bid")) == 119
    assert engine.push_trade("X", T0, 10.0, 1.0)
    snapshot = engine.snapshot("X")
    assert (snapshot.closing_time(), snapshot.closing_time("bid")) == (T0, T0 + 119 * S)


def test_quotes_make_no_trade_bars() -> None:
    engine = engine_of()
    engine.push_quote("X", T0, 9.75, 10.25)
    assert engine.bars("X", "1s", partial=True).height == 0
    assert engine.quote("X").bid == 9.75
    assert engine.last("X") is None


def test_a_quote_stream_without_bars_has_no_late_quotes() -> None:
    engine = engine_of()
    assert engine.push_quote("X", T0 + H, 9.75, 10.25)
    assert engine.push_quote("X", T0, 9.75, 10.25)


def test_sources_of_quotes() -> None:
    engine = engine_of(source=("bid", "ask", "mid", "last"))
    engine.push_quote("X", T0, 9.0, 11.0, 5.0, 6.0, last=10.25)
    # Sides that are absent make no price of theirs.
    engine.push_quote("X", T0 + 1, 8.0, math.nan)
    engine.push_quote("X", T0 + 2, math.nan, 12.0)
    closes = {source: ohlc(engine, partial=True, source=source) for source in ("bid", "ask", "mid", "last")}
    assert closes == {
        "bid": [(9.0, 9.0, 8.0, 8.0)],
        "ask": [(11.0, 12.0, 11.0, 12.0)],
        "mid": [(10.0, 10.0, 10.0, 10.0)],
        "last": [(10.25, 10.25, 10.25, 10.25)],
    }
    assert engine.bars("X", "1s", partial=True, source="bid")["volume"][0] == 0.0


# advance and gaps


def test_advance_closes_what_ends_by_then_and_makes_its_ticks_late() -> None:
    engine = engine_of(lateness="1h")
    engine.push_trade("X", T0, 10.0, 1.0)
    engine.advance(T0 + S - 1)
    assert labels(engine) == []
    engine.advance(T0 + S)
    assert labels(engine) == [0]
    assert labels(engine, "1m") == []
    assert not engine.push_trade("X", T0 + S - 1, 10.0, 1.0)
    assert engine.push_trade("X", T0 + S, 10.0, 1.0)
    engine.advance(T0)
    assert engine.snapshot("X").closing_time() == T0 + S


def test_advance_reaches_every_instrument_and_stream() -> None:
    engine = tw.Engine(
        [tw.Instrument("A", tick_size=1.0), tw.Instrument("B", tick_size=1.0, source="ask")], ["1m"]
    )
    engine.push_trade("A", T0, 10.0, 1.0)
    engine.push_quote("B", T0, 9.0, 10.0)
    engine.advance(T0 + M)
    assert engine.bars("A", "1m").height == 1
    assert engine.bars("B", "1m", source="ask").height == 1


def test_a_gap_marks_what_it_touches_and_nothing_else() -> None:
    engine = engine_of(("1s", "10s", "1m"))
    for second in range(0, 60, 5):
        engine.push_trade("X", T0 + second * S, 10.0, 1.0)
    # From within the bar at 20 to the end of the one at 30; closed bars and those still open.
    engine.mark_gap(T0 + 20 * S + 1, T0 + 31 * S)
    for second in range(60, 80, 5):
        engine.push_trade("X", T0 + second * S, 10.0, 1.0)

    def incomplete(timeframe: str) -> list[int]:
        bars = engine.bars("X", timeframe).filter(~pl.col("complete"))
        return ((bars["ts"].dt.epoch("ns") - T0) // S).to_list()

    assert incomplete("1s") == [20, 25, 30]
    assert incomplete("10s") == [20, 30]
    assert incomplete("1m") == [0]


def test_joining_marks_the_first_bars_only() -> None:
    engine = engine_of(("1s", "1m"))
    engine.push_trade("X", T0, 10.0, 1.0)
    engine.advance(T0 + M)
    engine.mark_gap(None, T0 + 90 * S)
    for second in (89, 90, 91, 120, 180):
        engine.push_trade("X", T0 + second * S, 10.0, 1.0)
    assert engine.bars("X", "1s")["complete"].to_list() == [True, False, True, True, True]
    assert engine.bars("X", "1m")["complete"].to_list() == [True, False, True]


def test_a_gap_of_one_instrument() -> None:
    engine = tw.Engine([tw.Instrument(symbol, tick_size=1.0) for symbol in "AB"], ["1s"])
    for symbol in "AB":
        engine.push_trade(symbol, T0, 10.0, 1.0)
    engine.mark_gap(T0, T0 + 1, symbols=["B"])
    engine.advance(T0 + S)
    assert [engine.bars(symbol, "1s")["complete"].to_list() for symbol in "AB"] == [[True], [False]]
