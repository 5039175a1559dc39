"""`Subscription`: what is delivered, in which order, and what is counted as lost. Waiting is in
test_subscription_waiting.py.
"""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tickwire as tw
from effort import examples

S = 1_000_000_000
T0 = 1_700_000_040 * S
FREE = tw.Rules(band="off")


def engine_of(*symbols: str, capacity: int = 65_536, source: object = ("trade", "bid")) -> tw.Engine:
    instruments = [
        tw.Instrument(symbol, tick_size=0.25, rules=FREE, source=source) for symbol in symbols or "X"
    ]
    return tw.Engine(instruments, ["1s", "5s"], capacity=capacity)


def trade(engine: tw.Engine, second: float, price: float = 10.0, symbol: str = "X") -> None:
    assert engine.push_trade(symbol, T0 + round(second * S), price, 1.0)


def balanced(sub: tw.Subscription) -> dict[str, int]:
    stats = sub.stats()
    assert stats["published"] == stats["delivered"] + stats["pending"] + stats["shed"], stats
    assert stats.pop("filtered") == 0
    return stats


# What is delivered


def test_from_now_on_and_only_what_was_asked_for() -> None:
    engine = engine_of("X", "Y")
    trade(engine, 0)
    trades = engine.subscribe(trades=True)
    of_y = engine.subscribe(trades=True, quotes=True, symbols=["Y"])
    bars = engine.subscribe(bars=["5s"])
    bids = engine.subscribe(bars=["1s"], source="bid")
    trade(engine, 1, 11.0)
    trade(engine, 0.5, 12.0, "Y")
    engine.push_quote("Y", T0, 9.75, 10.25)
    engine.push_trade("X", T0 - S, 1.0, 1.0)
    engine.advance(T0 + 5 * S)
    # Instruments are merged by event time.
    assert [(item.symbol, item.price) for item in trades.poll()] == [("Y", 12.0), ("X", 11.0)]
    assert [type(item).__name__ for item in of_y.poll()] == ["Quote", "Trade"]
    assert [(bar.symbol, bar.timeframe, bar.source, bar.close) for bar in bars.poll()] == [
        ("X", "5s", "trade", 11.0),
        ("Y", "5s", "trade", 12.0),
    ]
    assert [(bar.symbol, bar.source, bar.close) for bar in bids.poll()] == [("Y", "bid", 9.75)]


def test_bars_come_by_their_ends_smaller_first_and_before_ticks_of_that_time() -> None:
    engine = engine_of()
    sub = engine.subscribe(bars=["5s", "1s"], trades=True)
    for second in (3, 4, 5):
        trade(engine, second)
    order = [
        (item.timeframe, (item.ts_end - T0) // S)
        if isinstance(item, tw.Bar)
        else ("tick", (item.ts_event - T0) // S)
        for item in sub.poll()
    ]
    assert order == [("tick", 3), ("1s", 4), ("tick", 4), ("1s", 5), ("5s", 5), ("tick", 5)]


def test_items_are_what_the_frames_show() -> None:
    engine = engine_of()
    sub = engine.subscribe(bars=["1s"])
    for tick in range(500):
        trade(engine, tick / 7, 10.0 + tick % 13)
    items, frame = sub.poll(), engine.bars("X", "1s")
    columns = ["open", "high", "low", "close", "volume", "vwap", "trades", "complete"]
    assert [tuple(getattr(bar, name) for name in columns) for bar in items] == frame.select(columns).rows()
    assert [bar.ts for bar in items] == frame["ts"].dt.epoch("ns").to_list()
    assert {(bar.ts_end - bar.ts, bar.revision) for bar in items} == {(S, 0)}


def test_when_a_call_returns_its_items_are_there() -> None:
    engine = engine_of()
    sub = engine.subscribe(trades=True)
    for tick in range(100):
        trade(engine, tick / 10, 10.0 + tick)
        assert sub.get(timeout=0).price == 10.0 + tick
    with pytest.raises(TimeoutError, match="nothing came within 0"):
        sub.get(timeout=0)


# Capacity


def test_what_is_not_fetched_in_time_is_shed_oldest_first() -> None:
    engine = engine_of()
    sub = engine.subscribe(trades=True, capacity=8)
    for tick in range(20):
        trade(engine, tick / 100, 10.0 + tick)
    assert balanced(sub) == {"published": 20, "delivered": 0, "pending": 8, "shed": 12}
    assert [item.price for item in sub.poll()] == [10.0 + tick for tick in range(12, 20)]
    assert balanced(sub) == {"published": 20, "delivered": 8, "pending": 0, "shed": 12}


def test_a_batch_larger_than_the_ring() -> None:
    engine = engine_of(capacity=64)
    sub = engine.subscribe(trades=True, capacity=64)
    count = 1_000
    engine.push_trades(
        "X", ts_event=[T0] * count, price=[float(n + 1) for n in range(count)], size=[1.0] * count
    )
    assert balanced(sub) == {"published": count, "delivered": 0, "pending": 64, "shed": count - 64}
    assert [item.price for item in sub.poll()] == [float(n + 1) for n in range(count - 64, count)]


def test_capacity_is_per_stream() -> None:
    engine = engine_of("X", "Y")
    sub = engine.subscribe(trades=True, bars=["1s"], capacity=4)
    for second in range(11):
        trade(engine, second, symbol="X")
    trade(engine, 0, symbol="Y")
    assert balanced(sub) == {"published": 11 + 10 + 1, "delivered": 0, "pending": 4 + 4 + 1, "shed": 7 + 6}


STEP = st.one_of(
    st.tuples(st.just("trades"), st.integers(1, 30)),
    st.tuples(st.just("quotes"), st.integers(1, 30)),
    st.tuples(st.just("advance"), st.integers(1, 12)),
    st.tuples(st.just("poll"), st.just(0)),
    st.tuples(st.just("get"), st.integers(1, 9)),
)


@settings(max_examples=examples(150))
@given(steps=st.lists(STEP, max_size=40), capacity=st.integers(1, 20), close_at=st.integers(0, 60))
def test_published_is_delivered_plus_pending_plus_shed(
    steps: list[tuple[str, int]], capacity: int, close_at: int
) -> None:
    engine = engine_of(capacity=32)
    sub = engine.subscribe(trades=True, quotes=True, bars=["1s", "5s"], capacity=capacity)
    got: list[tw.Bar | tw.Trade | tw.Quote] = []
    ticks, published, second = 0, 0, 0
    for number, (kind, count) in enumerate(steps):
        if number == close_at:
            sub.close()
        bars = sum(engine.bars("X", timeframe).height for timeframe in ("1s", "5s"))
        for _ in range(count if kind in ("trades", "quotes") else 0):
            ticks += 1
            # The price tells the order of all ticks.
            if kind == "trades":
                engine.push_trade("X", T0 + second * S, float(ticks), 1.0)
            else:
                engine.push_quote("X", T0 + second * S, float(ticks), float(ticks))
            published += number < close_at
        if kind == "advance":
            second += count
            engine.advance(T0 + second * S)
        bars = sum(engine.bars("X", timeframe).height for timeframe in ("1s", "5s")) - bars
        published += bars if number < close_at else 0
        if kind == "poll":
            got += sub.poll()
        for _ in range(count if kind == "get" else 0):
            with contextlib.suppress(TimeoutError, tw.SubscriptionClosed):
                got.append(sub.get(timeout=0))
        stats = balanced(sub)
        assert stats["delivered"] == len(got)
        assert stats["published"] == published
    got += sub.poll()
    # Nothing twice, nothing out of order, and the newest are never the ones that are lost.
    for kind in (tw.Trade, tw.Quote):
        prices = [item.price if kind is tw.Trade else item.bid for item in got if isinstance(item, kind)]
        assert prices == sorted(set(prices))
    for timeframe in ("1s", "5s"):
        labels = [item.ts for item in got if isinstance(item, tw.Bar) and item.timeframe == timeframe]
        assert labels == sorted(set(labels))
        if close_at > len(steps):
            kept = engine.bars("X", timeframe)["ts"].dt.epoch("ns").to_list()[-capacity:]
            assert labels[len(labels) - len(kept) :] == kept
    assert len(got) == published - balanced(sub)["shed"]


# Closing


def test_closing_ends_it_after_what_it_holds() -> None:
    engine = engine_of()
    sub = engine.subscribe(trades=True)
    trade(engine, 0, 10.0)
    trade(engine, 0, 11.0)
    sub.close()
    sub.close()
    assert sub.closed
    # A busy market does not keep a closed subscription alive.
    trade(engine, 0, 12.0)
    assert balanced(sub) == {"published": 2, "delivered": 0, "pending": 2, "shed": 0}
    assert [item.price for item in sub] == [10.0, 11.0]
    with pytest.raises(tw.SubscriptionClosed):
        sub.get()
    assert sub.poll() == []
    assert balanced(sub) == {"published": 2, "delivered": 2, "pending": 0, "shed": 0}


def test_the_with_statement_closes() -> None:
    engine = engine_of()
    with engine.subscribe(trades=True) as sub:
        assert not sub.closed
    assert sub.closed


def test_dropped_subscriptions_cost_nothing() -> None:
    engine = engine_of()
    for _ in range(50):
        engine.subscribe(bars=["1s"], trades=True, capacity=4).poll()
    kept = engine.subscribe(bars=["1s"])
    for second in range(3):
        trade(engine, second)
    assert len(kept.poll()) == 2
