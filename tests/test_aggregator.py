"""`BarAggregator`: the bars of an engine, without one."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tickwire as tw
from effort import examples
from oracle import NS

T0 = 1_709_251_195 * NS
TIMEFRAMES = ("1s", "7s", "1m", "1h", "3t", "4v", "0.7v", "250n", "3r", "2renko")
UNGUARDED = tw.Rules(band="off", grid="off", skew="off")

Tick = tuple[int, float, float, int | None]


def ticks(rng: random.Random, count: int) -> list[Tick]:
    made: list[Tick] = []
    now, price = T0, 400
    for _ in range(count):
        now += rng.choice([0, 1, NS // 3, NS, 9 * NS, -NS, -5 * NS])
        price = max(4, price + rng.choice([-1, 0, 0, 1, 5, -9]))
        stray = 7_200 * NS if rng.random() < 0.03 else 0
        recv = rng.choice([None, now, now + NS])
        made.append((now + stray, price / 4, rng.choice([0.0, 1.0, 2.5, 0.1, 12.0]), recv))
    return made


def as_engine(bars: list[tw.Bar]) -> dict[str, list[tw.Bar]]:
    return {timeframe: [bar for bar in bars if bar.timeframe == timeframe] for timeframe in TIMEFRAMES}


@settings(max_examples=examples(30))
@given(st.integers(0, 10_000), st.sampled_from(["0s", "2s"]), st.sampled_from(["keep", "split"]))
def test_the_bars_of_an_engine(seed: int, lateness: str, split: str) -> None:
    rng = random.Random(seed)
    engine = tw.Engine(
        tw.Instrument("X", tick_size=0.25, rules=UNGUARDED),
        TIMEFRAMES,
        lateness=lateness,
        split=split,  # type: ignore[arg-type]
    )
    single, batched = (
        tw.BarAggregator(TIMEFRAMES, symbol="X", tick_size=0.25, lateness=lateness, split=split)  # type: ignore[arg-type]
        for _ in range(2)
    )
    assert single.timeframes == engine.timeframes
    closed: list[tw.Bar] = []
    closed_by_batches: list[tw.Bar] = []
    news = engine.subscribe(bars=TIMEFRAMES)
    stream = ticks(rng, 120)
    for begin in range(0, len(stream), 40):
        part = stream[begin : begin + 40]
        for ts, price, size, recv in part:
            engine.push_trade("X", ts, price, size, ts_recv=recv)
            closed += single.push(ts, price, size, recv)
        columns = list(zip(*part, strict=True))
        no_time = -(2**63)
        closed_by_batches += batched.push_many(
            ts_event=columns[0],
            price=columns[1],
            size=columns[2],
            ts_recv=[no_time if recv is None else recv for recv in columns[3]],
        )
        now = part[-1][0] - NS
        engine.advance(now)
        closed += single.advance(now)
        closed_by_batches += batched.advance(now)
    assert as_engine(closed) == as_engine(news.poll())
    assert closed_by_batches == closed
    assert single.late == batched.late == engine.rejections().get("late", 0)
    snapshot = engine.snapshot("X")
    for timeframe in TIMEFRAMES:
        assert single.open_bars(timeframe) == snapshot.open_bars(timeframe)
        assert batched.open_bars(timeframe) == snapshot.open_bars(timeframe)


def test_quotes_have_no_sizes() -> None:
    bars = tw.BarAggregator(["2t", "1s"], source="mid")
    assert bars.push(T0, 1.5) == []
    (bar,) = bars.push(T0 + 1, 2.5)
    assert (bar.symbol, bar.source, bar.timeframe, bar.volume) == ("", "mid", "2t", 0.0)
    assert bars.push_many(ts_event=[T0 + 2], price=[3.5]) == []
    assert [bar.trades for bar in bars.advance(T0 + NS)] == [3]


def test_what_cannot_work_is_refused() -> None:
    with pytest.raises(tw.ConfigError, match=r"tick_size: got None.*8r"):
        tw.BarAggregator(["1m", "8r"])
    with pytest.raises(tw.ConfigError, match="quotes carry no volume"):
        tw.BarAggregator(["100v"], source="bid")
    for options in ({"tick_size": 0}, {"source": "bids"}, {"split": "both"}, {"lateness": "soon"}):
        with pytest.raises(tw.ConfigError, match=next(iter(options))):
            tw.BarAggregator(["1m"], **options)  # type: ignore[arg-type]
    with pytest.raises(tw.ConfigError, match="got timeframe"):
        tw.BarAggregator(["1x"])
    bars = tw.BarAggregator(["1m"])
    with pytest.raises(tw.ConfigError, match="expected one of the aggregator's: 1m"):
        bars.open_bars("5m")


def test_what_is_no_number_changes_nothing() -> None:
    bars = tw.BarAggregator(["2t"])
    bars.push(T0, 100.0, 1)
    for price, size in ((float("nan"), 1.0), (float("inf"), 1.0), (1.0, -1.0), (1.0, float("nan"))):
        with pytest.raises(tw.DataError, match=r"got (NaN|inf|-1), expected a finite"):
            bars.push(T0, price, size)
        with pytest.raises(tw.DataError, match="in row 1"):
            bars.push_many(ts_event=[T0, T0], price=[1.0, price], size=[1.0, size])
    with pytest.raises(tw.DataError, match="2 rows, expected 1"):
        bars.push_many(ts_event=[T0], price=[1.0, 2.0])
    assert bars.open_bars("2t")[0].trades == 1
