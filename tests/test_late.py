"""Late ticks: rejected and counted, or revisions of the closed bars that they belong to."""

from __future__ import annotations

import random

import numpy as np
import polars as pl
import pytest

import tickwire as tw

S = 1_000_000_000
T0 = 1_700_000_040 * S
FREE = tw.Rules(band="off", grid="off")


def engine_of(timeframes: list[str], **settings: object) -> tw.Engine:
    instrument = tw.Instrument("X", tick_size=0.25, rules=FREE, **settings)  # type: ignore[arg-type]
    return tw.Engine(instrument, timeframes)


def push(engine: tw.Engine, seconds: float, price: float, size: float = 1.0) -> bool:
    ts = T0 + round(seconds * S)
    return engine.push_trade("X", ts, price, size, ts_recv=ts)


def ohlc(bar: tw.Bar) -> tuple[float, ...]:
    return bar.open, bar.high, bar.low, bar.close


def test_a_late_tick_is_rejected_unless_the_instrument_revises() -> None:
    engine = engine_of(["1s"])
    push(engine, 0.5, 100.0)
    push(engine, 1.5, 101.0)
    assert not push(engine, 0.7, 99.0)
    stats = engine.stats("X")
    assert (stats["rejections"], stats["revised"]) == ({"late": 1}, 0)


def test_a_late_tick_revises_its_bars_in_every_timeframe() -> None:
    engine = engine_of(["1s", "5s", "1m"], late="revise")
    news = engine.subscribe(bars=["1s", "5s", "1m"], trades=True)
    for second in range(7):
        push(engine, second + 0.5, 100.0 + second)
    news.poll()
    assert push(engine, 2.7, 90.0, 3.0)
    late = news.poll()
    seconds = engine.bars("X", "1s")
    assert seconds.row(2)[1:6] == (102.0, 102.0, 90.0, 90.0, 4.0)
    five, minute = engine.bars("X", "5s"), engine.snapshot("X").open_bars("1m")
    assert five.row(0)[1:6] == (100.0, 104.0, 90.0, 104.0, 8.0)
    assert ohlc(minute[0]) == (100.0, 106.0, 90.0, 106.0)
    assert minute[0].volume == 10.0
    bars = [item for item in late if isinstance(item, tw.Bar)]
    assert [(bar.timeframe, bar.ts, bar.revision) for bar in bars] == [
        ("1s", T0 + 2 * S, 1),
        ("5s", T0, 1),
    ]
    assert [item.price for item in late if isinstance(item, tw.Trade)] == [90.0]
    stats = engine.stats("X")
    assert (stats["accepted"], stats["rejected"], stats["revised"]) == (8, 0, 1)


def test_open_and_close_stay_those_of_the_first_and_last_tick() -> None:
    engine = engine_of(["1s", "1m"], late="revise")
    push(engine, 0.4, 100.0)
    push(engine, 0.6, 101.0)
    push(engine, 1.5, 105.0)
    closed = []
    for at, price in [(0.5, 200.0), (0.3, 201.0), (0.6, 202.0), (0.3, 203.0), (0.9, 204.0)]:
        push(engine, at, price)
        bar = engine.snapshot("X").closed_bar("1s")
        assert bar is not None
        closed.append((bar.open, bar.close, bar.revision))
    assert closed == [
        (100.0, 101.0, 1),
        (201.0, 101.0, 2),
        (201.0, 202.0, 3),
        (201.0, 202.0, 4),
        (201.0, 204.0, 5),
    ]
    assert ohlc(engine.snapshot("X").open_bars("1m")[0]) == (201.0, 204.0, 100.0, 105.0)


def test_a_tick_older_than_the_horizon_is_late() -> None:
    engine = engine_of(["1s", "1m"], late="revise", horizon="10s")
    for second in range(31):
        push(engine, second + 0.5, 100.0)
    # The closing time is 30.5 s. A bar that ended 10 s before it, or earlier, is final.
    assert not push(engine, 19.7, 99.0)
    assert push(engine, 20.0, 99.0)
    stats = engine.stats("X")
    assert (stats["rejections"], stats["revised"]) == ({"late": 1}, 1)


def test_a_late_tick_makes_a_bar_where_there_was_none() -> None:
    engine = engine_of(["1s", "1m"], late="revise")
    news = engine.subscribe(bars=["1s"])
    for second in (0, 5, 6):
        push(engine, second + 0.5, 100.0 + second)
    news.poll()
    push(engine, 3.2, 99.0)
    assert engine.bars("X", "1s")["close"].to_list() == [100.0, 99.0, 105.0]
    assert [(bar.ts, bar.revision) for bar in news.poll()] == [(T0 + 3 * S, 0)]
    push(engine, 7.5, 107.0)
    assert engine.bars("X", "1s")["close"].to_list() == [100.0, 99.0, 105.0, 106.0]


def test_what_history_has_spoken_of_is_final() -> None:
    """History holds all trades of its time; a tick that comes after it would count twice."""
    engine = engine_of(["1s", "1m"], late="revise")
    for second in range(10):
        push(engine, second + 0.5, 100.0)
    row = {"ts": [T0 + 3 * S], "open": [1.0], "high": [1.0], "low": [1.0], "close": [1.0], "volume": [5.0]}
    engine.push_bars("X", "1s", pl.DataFrame(row), replace=True)
    assert not push(engine, 3.7, 99.0)
    assert push(engine, 4.7, 99.0)
    assert engine.bars("X", "1s")["volume"].to_list() == [1.0, 1.0, 1.0, 5.0, 2.0, 1.0, 1.0, 1.0, 1.0]
    # What was left alone is still of ticks.
    engine.push_bars("X", "1s", pl.DataFrame(row).with_columns(ts=T0 + 5 * S))
    assert push(engine, 5.7, 99.0)


def test_what_retention_has_dropped_is_final() -> None:
    engine = tw.Engine(
        tw.Instrument("X", tick_size=0.25, rules=FREE, late="revise", horizon="10h"), ["1s"], retain=1
    )
    for second in range(3_000):
        push(engine, second + 0.5, 100.0)
    kept = engine.bars("X", "1s").height
    assert kept < 1_000
    oldest = 2_999 - kept
    assert not push(engine, oldest - 0.5, 90.0)
    assert push(engine, oldest + 0.7, 90.0)
    assert engine.bars("X", "1s").height == kept
    assert engine.bars("X", "1s")["close"][0] == 90.0


def test_bids_and_asks_are_revised_together() -> None:
    engine = engine_of(["1s", "1m"], late="revise", source=("bid", "ask", "mid"))
    for second in range(3):
        ts = T0 + second * S
        engine.push_quote("X", ts, 10.0, 12.0, ts_recv=ts)
    assert engine.push_quote("X", T0 + S // 2, 8.0, float("nan"), ts_recv=T0 + 3 * S)
    bars = {source: engine.bars("X", "1s", source=source)["low"][0] for source in ("bid", "ask", "mid")}
    assert bars == {"bid": 8.0, "ask": 12.0, "mid": 11.0}
    assert engine.stats("X")["revised"] == 1


def ticks(count: int, seed: int) -> pl.DataFrame:
    """Ticks out of order by up to twenty seconds, each of another price."""
    rng = random.Random(seed)
    rows = [
        {"symbol": "X", "ts_event": T0 + number * S // 7, "price": 100.0 + number / 4, "size": rng.random()}
        for number in range(count)
    ]
    rows.sort(key=lambda row: row["ts_event"] + rng.random() * 20 * S)
    return pl.DataFrame(rows)


@pytest.mark.parametrize("seed", range(4))
def test_in_the_end_the_order_of_arrival_does_not_matter(seed: int) -> None:
    """The bars of a stream that is out of order, batch by batch, are those of the sorted stream."""
    timeframes = ["1s", "2s", "3s", "10s", "1m", "1h"]
    table = ticks(9_000, seed)
    table = table.with_columns(ts_recv=pl.col("ts_event").cum_max() + 1)
    revising = engine_of(timeframes, late="revise", horizon="1m")
    news = revising.subscribe(bars=timeframes, capacity=1 << 16)
    single = engine_of(timeframes, late="revise", horizon="1m")
    latest: dict[tuple[str, int], tw.Bar] = {}
    for part in table.iter_slices(137):
        revising.push_table(part)
        for bar in news.poll():
            assert isinstance(bar, tw.Bar)
            known = latest.get((bar.timeframe, bar.ts))
            assert known is None or bar.revision > known.revision
            latest[bar.timeframe, bar.ts] = bar
    for row in table.iter_rows(named=True):
        single.push_trade("X", row["ts_event"], row["price"], row["size"], ts_recv=row["ts_recv"])
    ordered = engine_of(timeframes)
    ordered.push_table(table.sort("ts_event"))
    for engine in (revising, single, ordered):
        engine.advance(T0 + 3_600 * S)
    for bar in news.poll():
        latest[bar.timeframe, bar.ts] = bar
    assert revising.stats() == single.stats()
    assert revising.stats()["revised"] > 1_000
    assert revising.rejections() == {}
    for timeframe in timeframes:
        bars, expected = (engine.bars("X", timeframe) for engine in (revising, ordered))
        exact = ["ts", "open", "high", "low", "close", "trades", "complete"]
        assert bars.select(exact).equals(expected.select(exact))
        assert single.bars("X", timeframe).equals(bars)
        for name in ("volume", "vwap"):
            assert np.allclose(bars[name], expected[name], rtol=1e-12, atol=0)
        told = [bar for bar in latest.values() if bar.timeframe == timeframe]
        told.sort(key=lambda bar: bar.ts)
        assert [(bar.ts, *ohlc(bar), bar.trades) for bar in told] == list(
            bars.select(pl.col("ts").dt.epoch("ns"), "open", "high", "low", "close", "trades").iter_rows()
        )


@pytest.mark.parametrize(
    ("argument", "value"),
    [("late", "drop"), ("empty", "fill"), ("horizon", "soon"), ("flat_limit", 0), ("flat_limit", 10**9)],
)
def test_what_cannot_be_is_told_apart(argument: str, value: object) -> None:
    with pytest.raises(tw.ConfigError, match=argument):
        tw.Instrument("X", tick_size=0.25, **{argument: value})  # type: ignore[arg-type]
    with pytest.raises(tw.ConfigError, match=argument):
        tw.Engine(tw.Instrument("X", tick_size=0.25), **{argument: value})  # type: ignore[arg-type]
