"""`Engine`: what readers get. Frames, snapshots, retention, rings, several instruments."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

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


def test_frames_have_the_documented_columns() -> None:
    engine = engine_of()
    bars = {
        "ts": pl.Datetime("ns", "UTC"),
        **dict.fromkeys(["open", "high", "low", "close", "volume", "vwap"], pl.Float64),
        "trades": pl.Int64,
        "complete": pl.Boolean,
    }
    assert engine.bars("X", "1m").schema == bars
    when = {"ts_event": pl.Datetime("ns", "UTC"), "ts_recv": pl.Datetime("ns", "UTC")}
    assert engine.trades("X").schema == {**when, "price": pl.Float64, "size": pl.Float64, "side": pl.Int8}
    numbers = dict.fromkeys(["bid", "ask", "bid_size", "ask_size", "last"], pl.Float64)
    assert engine.quotes("X").schema == {**when, **numbers}
    engine.push_trade("X", T0, 10.0, 1.0)
    engine.push_quote("X", T0, 9.75, 10.25)
    assert engine.bars("X", "1m", partial=True).schema == bars
    assert engine.quotes("X")["bid_size"].to_list() == [None]
    assert engine.trades("X")["ts_recv"].to_list() == [None]


def test_last_since_and_partial() -> None:
    engine = engine_of()
    for second in range(10):
        engine.push_trade("X", T0 + second * S, 10.0, 1.0)
    assert labels(engine, last=3) == [6 * S, 7 * S, 8 * S]
    assert labels(engine, last=3, partial=True) == [7 * S, 8 * S, 9 * S]
    assert labels(engine, last=100, since=T0 + 7 * S) == [7 * S, 8 * S]
    assert labels(engine, since=T0 + 7 * S + 1, partial=True) == [8 * S, 9 * S]
    assert labels(engine, since=T0 + 100 * S, partial=True) == []


def test_a_frame_is_not_changed_by_what_comes_later() -> None:
    engine = engine_of()
    for second in range(5):
        engine.push_trade("X", T0 + second * S, 10.0, 1.0)
    frame, snapshot = engine.bars("X", "1s"), engine.snapshot("X")
    before = frame.clone()
    for second in range(5, 5_000):
        engine.push_trade("X", T0 + second * S, 11.0, 1.0)
    assert frame.equals(before)
    assert snapshot.bars("1s").equals(before)
    assert snapshot.trade.price == 10.0
    assert snapshot.stats["received"] == 5


@pytest.mark.parametrize("count", [1, 255, 256, 257, 4_095, 4_096, 4_097, 5_000, 20_000])
def test_any_number_of_bars(count: int) -> None:
    """Around the sizes at which bars change their form in memory; read once along the way."""
    engine = engine_of(("1s",))
    ts = T0 + np.arange(count + 1) * S
    price = np.arange(count + 1) % 50 + 1.0
    half = count // 2
    engine.push_trades("X", ts_event=ts[:half], price=price[:half], size=np.ones(half))
    engine.bars("X", "1s")
    engine.push_trades("X", ts_event=ts[half:], price=price[half:], size=np.ones(count + 1 - half))
    bars = engine.bars("X", "1s")
    assert bars["ts"].dt.epoch("ns").to_numpy().tolist() == ts[:-1].tolist()
    assert bars["close"].to_list() == price[:-1].tolist()
    assert engine.bars("X", "1s", last=min(count, 4_096)).n_chunks() == 1
    assert engine.bars("X", "1s", last=7).equals(bars.tail(7))


@pytest.mark.parametrize("retain", [1, 10, 300, 1_000, 5_000, 20_000])
def test_retention_keeps_what_was_asked_for_and_little_more(retain: int) -> None:
    engine = tw.Engine(tw.Instrument("X", tick_size=0.25, rules=FREE), ["1s"], retain=retain)
    most, now = retain + max(retain // 4, 512), T0
    for step in range(60):
        rows = max(retain // 7, 50) + step
        ts = now + np.arange(rows) * S
        now = int(ts[-1]) + S
        engine.push_trades("X", ts_event=ts, price=np.full(rows, 10.0), size=np.ones(rows))
        pushed = (now - T0) // S - 1
        kept = engine.bars("X", "1s") if step % 2 else engine.snapshot("X").bars("1s")
        assert min(retain, pushed) <= kept.height <= most
        assert kept["ts"].dt.epoch("ns")[-1] == now - 2 * S
        assert kept["ts"].diff().drop_nulls().unique().to_list() == [
            pl.Series([S]).cast(pl.Duration("ns"))[0]
        ]


def test_retention_per_timeframe() -> None:
    engine = tw.Engine(tw.Instrument("X", tick_size=0.25), ["1s", "1m"], retain={"1s": 5})
    engine.push_trades(
        "X", ts_event=T0 + np.arange(6_000) * S, price=np.full(6_000, 10.0), size=np.ones(6_000)
    )
    assert engine.bars("X", "1s").height <= 517
    assert engine.bars("X", "1m").height == 99
    assert engine.bars("X", "1m")["volume"].unique().to_list() == [60.0]


def test_the_ring_keeps_the_newest_ticks() -> None:
    engine = tw.Engine(tw.Instrument("X", tick_size=0.25, rules=FREE), ["1s"], capacity=100)
    for tick in range(1_000):
        engine.push_trade("X", T0 + tick, 10.0 + tick, 1.0, tick % 3 - 1, T0 + tick + 5)
    trades = engine.trades("X")
    # Rounded up to a power of two.
    assert trades.height == 128
    assert trades["price"].to_list() == [10.0 + tick for tick in range(872, 1_000)]
    assert trades["side"].to_list() == [tick % 3 - 1 for tick in range(872, 1_000)]
    assert engine.trades("X", last=3).equals(trades.tail(3))
    assert (trades["ts_recv"] - trades["ts_event"]).dt.total_nanoseconds().unique().to_list() == [5]


def test_instruments_do_not_mix() -> None:
    symbols = ["ESZ5", "ESH6", "NQZ5"]
    engine = tw.Engine([tw.Instrument(symbol, tick_size=0.25) for symbol in symbols], ["1s"])
    for index, symbol in enumerate(symbols):
        engine.push_trade(symbol, T0, 10.0 + index, 1.0)
    engine.advance(T0 + S)
    assert [engine.bars(symbol, "1s")["close"].to_list() for symbol in symbols] == [[10.0], [11.0], [12.0]]
    assert engine.stats("ESH6")["received"] == 1
    assert engine.stats()["received"] == 3


def test_ticks_of_unknown_instruments_are_counted_and_go_nowhere() -> None:
    engine = engine_of()
    assert not engine.push_trade("Y", T0, 10.0, 1.0)
    assert not engine.push_quote("Y", T0, 10.0, 11.0)
    assert engine.push_trades("Y", ts_event=[T0, T0], price=[1.0, 1.0], size=[1.0, 1.0]).rejected == 2
    stats = engine.stats()
    assert (stats["received"], stats["accepted"], stats["rejected"]) == (4, 0, 4)
    assert stats["rejections"] == {"unknown_instrument": 4}
    assert engine.stats("X")["received"] == 0


def test_a_table_of_several_instruments_keeps_its_order() -> None:
    engine = tw.Engine([tw.Instrument(symbol, tick_size=1.0) for symbol in "AB"], ["1s"])
    table = pl.DataFrame(
        {
            "symbol": ["B", "A", "B", "Z", "A"],
            "ts_event": [T0, T0, T0 + S, T0, T0],
            "price": [1.0, 2.0, 3.0, 4.0, 5.0],
            "size": [1.0] * 5,
            "side": ["buy", "sell", None, "buy", "sell"],
        }
    )
    receipt = engine.push_table(table)
    assert (receipt.received, receipt.accepted, receipt.rejected) == (5, 4, 1)
    assert engine.trades("A")["price"].to_list() == [2.0, 5.0]
    assert engine.trades("B")["price"].to_list() == [1.0, 3.0]
    assert engine.trades("B")["side"].to_list() == [1, 0]


def test_joined_shows_nothing_from_the_future() -> None:
    engine = engine_of(("1m", "5m"))
    five = T0 // (5 * M) * 5 * M
    for minute in range(13):
        engine.push_trade("X", five + minute * M, float(minute + 1), 1.0)
    joined = engine.joined("X", ["1m", "5m"])
    assert joined["close"].to_list() == [float(minute + 1) for minute in range(12)]
    # The five minutes from 0 close together with minute 4.
    assert joined["close_5m"].to_list() == [None] * 4 + [5.0] * 5 + [10.0] * 3
    assert engine.lazy("X", "1m").collect().equals(engine.bars("X", "1m"))


def test_other_time_zones_and_units_of_the_label() -> None:
    engine = engine_of()
    engine.push_trade("X", T0, 10.0, 1.0)
    bars = engine.bars("X", "1s", partial=True, tz="America/New_York", time_unit="ms")
    assert bars.schema["ts"] == pl.Datetime("ms", "America/New_York")
    assert bars["ts"].dt.epoch("ms")[0] == T0 // 1_000_000
    assert bars["ts"].dt.hour()[0] == 17


def test_objects_are_values() -> None:
    engine = engine_of()
    engine.push_trade("X", T0, 10.0, 1.0, 1, T0 + 3)
    trade, again = engine.last("X"), engine.last("X")
    assert trade == again
    assert hash(trade) == hash(again)
    assert len({trade, again}) == 1
    assert repr(trade) == f"Trade(symbol='X', ts_event={T0}, ts_recv={T0 + 3}, price=10.0, size=1.0, side=1)"
    with pytest.raises(AttributeError):
        trade.price = 11.0
    engine.push_quote("X", T0, 9.75, 10.25)
    assert engine.quote("X") == engine.snapshot("X").quote
    bar = engine.snapshot("X").open_bars("1m")[0]
    assert bar == engine.snapshot("X").open_bars("1m")[0]
    assert bar != engine.snapshot("X").open_bars("1s")[0]
    assert trade != bar
