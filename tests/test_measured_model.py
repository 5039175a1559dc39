"""Bars by count, volume, notional, range and Renko against the naive model, after every single tick.

Ticks come in any order, twice, without size, far ahead, with and without arrival times. Trades and
quotes, whole trades and divided ones, alone and beside time bars that reject what is late.
"""

from __future__ import annotations

import math
import random
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tickwire as tw
from effort import examples
from measured_oracle import Cut, MeasuredBars, bars, parse
from oracle import NS

BASE_NS = 1_709_251_195 * NS
UNGUARDED = tw.Rules(band="off", grid="off", skew="off")
TIMEFRAMES = ("1t", "3t", "4v", "0.8v", "250n", "1r", "3r", "1renko", "2renko")
UNSIZED = tuple(timeframe for timeframe in TIMEFRAMES if parse(timeframe)[1] not in "vn")
TICK_SIZES = (Fraction(1, 4), Fraction(1, 100), Fraction(3, 10), Fraction(1, 32))
SIZES = (0.0, 1.0, 1.0, 3.0, 0.1, 0.7, 1e-7, 25.0)


@st.composite
def ticks(draw: st.DrawFn, most: int = 25) -> list[tuple[int, int, float, int | None]]:
    """Time, price in half ticks, size and arrival time."""
    made: list[tuple[int, int, float, int | None]] = []
    now, price = BASE_NS, 800
    for _ in range(draw(st.integers(1, most))):
        now += draw(st.sampled_from([0, 0, 1, NS, 3 * NS, -NS, -20 * NS]))
        price = max(2, price + draw(st.sampled_from([0, 0, 1, -1, 2, -2, 4, -4, 9, -31])))
        stray = draw(st.sampled_from([0] * 20 + [7_200 * NS]))
        recv = draw(st.sampled_from([None, now, now + NS]))
        made.append((now + stray, price, draw(st.sampled_from(SIZES)), recv))
        if draw(st.integers(0, 9)) == 0:
            made.append(made[-1])
    return made


def same(bar: tw.Bar, cut: Cut, tick_size: Fraction) -> bool:
    prices = tuple(float(price * tick_size) for price in (cut.open, cut.high, cut.low, cut.close))
    # What is left of a divided trade is as exact as the trade was large.
    lost = 1e-12 * max(SIZES)
    notional = bar.vwap * bar.volume if bar.volume else 0.0
    return (
        (bar.ts, bar.ts_end, bar.trades) == (cut.ts, cut.ts_end, cut.trades)
        and (bar.open, bar.high, bar.low, bar.close) == prices
        and math.isclose(bar.volume, cut.volume, rel_tol=2e-12, abs_tol=lost)
        and math.isclose(notional, cut.notional * tick_size, rel_tol=4e-12, abs_tol=lost * bar.high)
        and math.isnan(bar.vwap) == (bar.volume == 0)
    )


def check(engine: tw.Engine, model: MeasuredBars, timeframe: str, source: str = "trade") -> None:
    closed, still = model.bars(timeframe)
    snapshot = engine.snapshot("X")
    opened = snapshot.open_bars(timeframe, source)
    assert len(opened) == (still is not None), (timeframe, opened, still)
    assert still is None or same(opened[0], still, model.tick_size), (timeframe, opened, still)
    newest = snapshot.closed_bar(timeframe, source)
    assert (newest is None and not closed) or same(newest, closed[-1], model.tick_size), (timeframe, newest)
    frame = engine.bars("X", timeframe, source=source)  # type: ignore[arg-type]
    assert frame["ts"].dt.epoch("ns").to_list() == [cut.ts for cut in closed]
    assert frame["ts_end"].dt.epoch("ns").to_list() == [cut.ts_end for cut in closed]
    assert frame["close"].to_list() == [float(cut.close * model.tick_size) for cut in closed]
    assert frame["trades"].to_list() == [cut.trades for cut in closed]
    assert frame["complete"].all()
    whole = engine.bars("X", timeframe, source=source, partial=True)  # type: ignore[arg-type]
    assert whole["ts"].is_sorted()
    assert whole["ts_end"].is_sorted()
    assert (whole["high"] >= whole[["open", "close"]].max_horizontal()).all()
    assert (whole["low"] <= whole[["open", "close"]].min_horizontal()).all()
    assert whole["trades"].sum() == len(model.prints)
    sizes = float(sum(one.size for one in model.prints))
    assert math.isclose(whole["volume"].sum(), sizes, rel_tol=1e-12, abs_tol=1e-15)


@settings(max_examples=examples(40))
@given(ticks(), st.sampled_from(TICK_SIZES), st.sampled_from(["keep", "split"]), st.booleans())
def test_every_prefix_is_what_the_model_says(
    stream: list[tuple[int, int, float, int | None]], tick_size: Fraction, split: str, timed: bool
) -> None:
    instrument = tw.Instrument("X", tick_size=float(tick_size), rules=UNGUARDED)
    timeframes = [*TIMEFRAMES, *(["2s", "1m"] if timed else [])]
    engine = tw.Engine(instrument, timeframes, split=split)  # type: ignore[arg-type]
    news = engine.subscribe(bars=TIMEFRAMES)
    model = MeasuredBars(tick_size, split)
    delivered: dict[str, list[tw.Bar]] = {timeframe: [] for timeframe in TIMEFRAMES}
    for index, (ts, half_ticks, size, recv) in enumerate(stream):
        price = Fraction(half_ticks, 2)
        accepted = engine.push_trade("X", ts, float(price * tick_size), size, ts_recv=recv)
        assert accepted or timed, "without time bars nothing is late"
        if accepted:
            model.push(ts, price, size, recv)
        check(engine, model, TIMEFRAMES[index % len(TIMEFRAMES)])
        for bar in news.poll():
            delivered[bar.timeframe].append(bar)
    engine.advance(BASE_NS + 86_400 * NS)
    for timeframe in TIMEFRAMES:
        check(engine, model, timeframe)
        closed, _ = model.bars(timeframe)
        assert len(delivered[timeframe]) == len(closed)
        assert all(same(bar, cut, tick_size) for bar, cut in zip(delivered[timeframe], closed, strict=True))
        length, unit = parse(timeframe)
        if unit == "v" and split == "split":
            assert all(bar.volume == float(length) for bar in delivered[timeframe])


@settings(max_examples=examples(25))
@given(ticks(), st.sampled_from(TICK_SIZES))
def test_quotes_are_cut_as_trades_are(
    stream: list[tuple[int, int, float, int | None]], tick_size: Fraction
) -> None:
    instrument = tw.Instrument("X", tick_size=float(tick_size), rules=UNGUARDED)
    engine = tw.Engine(instrument, UNSIZED, source=("bid", "mid", "ask"))
    models = {source: MeasuredBars(tick_size) for source in ("bid", "mid", "ask")}
    for ts, half_ticks, size, recv in stream:
        # The middle of a spread of an odd number of ticks lies between the ticks.
        bid, ask = Fraction(half_ticks // 2), Fraction(half_ticks // 2 + 1 + int(size))
        assert engine.push_quote("X", ts, float(bid * tick_size), float(ask * tick_size), ts_recv=recv)
        for source, price in (("bid", bid), ("mid", (bid + ask) / 2), ("ask", ask)):
            models[source].push(ts, price, 0.0, recv)
    for source, model in models.items():
        for timeframe in UNSIZED:
            closed, still = model.bars(timeframe)
            snapshot = engine.snapshot("X")
            frame = snapshot.bars(timeframe, source=source)
            assert frame["ts_end"].dt.epoch("ns").to_list() == [cut.ts_end for cut in closed]
            assert frame["trades"].to_list() == [cut.trades for cut in closed]
            # The engine's middle is the nearest number to half the sum of two that are rounded themselves.
            for got, expected in zip(frame["close"], closed, strict=True):
                assert math.isclose(got, float(expected.close * tick_size), rel_tol=1e-15)
            assert len(snapshot.open_bars(timeframe, source)) == (still is not None)


@pytest.mark.parametrize("split", ["keep", "split"])
@pytest.mark.parametrize("seed", range(2))
def test_long_batches_are_what_the_model_says(seed: int, split: str) -> None:
    """Runs that need no look at each tick, with here and there one that does."""
    rng = random.Random(seed)
    tick_size = TICK_SIZES[seed]
    timeframes = ("1t", "7t", "50v", "0.9v", "1e4n", "4r", "3renko", "1s")
    engine = tw.Engine(
        tw.Instrument("X", tick_size=float(tick_size), rules=UNGUARDED),
        timeframes,
        split=split,  # type: ignore[arg-type]
    )
    model = MeasuredBars(tick_size, split)
    ts, price = BASE_NS, 400
    columns: dict[str, list[float]] = {"ts_event": [], "price": [], "size": []}
    for row in range(1_500):
        ts += rng.choice([0, 1, 1_000_000, 40_000_000])
        price = max(10, price + rng.choice([-1, 0, 0, 1]) * rng.choice([1, 1, 1, 1, 6]))
        back = 30_000_000 if row % 401 == 400 else 0
        columns["ts_event"].append(ts - back)
        columns["price"].append(float(price * tick_size))
        columns["size"].append(rng.choice([0.0, 1.0, 2.0, 0.3, 0.1, 12.0]))
    begin = 0
    while begin < 1_500:
        end = min(1_500, begin + rng.choice([1, 64, 200, 500]))
        receipt = engine.push_trades("X", **{name: values[begin:end] for name, values in columns.items()})
        assert receipt.rejected in (0, 1), "what steps back over the end of a second is late"
        begin = end
    kept = engine.trades("X")
    for ts, price_f, size in kept.select(kept["ts_event"].dt.epoch("ns"), "price", "size").iter_rows():
        ticks_off = Fraction(price_f).limit_denominator(10_000) / tick_size
        model.push(ts, ticks_off, size)
    for timeframe in timeframes[:-1]:
        closed, still = bars(timeframe, model.prints, tick_size, split)
        frame = engine.bars("X", timeframe)
        assert frame.height == len(closed), timeframe
        for name in ("ts", "ts_end"):
            assert frame[name].dt.epoch("ns").to_list() == [getattr(cut, name) for cut in closed], timeframe
        for name in ("open", "high", "low", "close"):
            expected = [float(getattr(cut, name) * tick_size) for cut in closed]
            assert frame[name].to_list() == expected, (timeframe, name)
        assert frame["trades"].to_list() == [cut.trades for cut in closed]
        for got, cut in zip(frame["volume"], closed, strict=True):
            assert math.isclose(got, cut.volume, rel_tol=2e-12)
        assert len(engine.snapshot("X").open_bars(timeframe)) == (still is not None)
