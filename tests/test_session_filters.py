"""`session=` of an engine's readers: what lies in the hours, against loops over what was pushed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tickwire as tw
from tickwire import sessions

S = 10**9
RTH = sessions.NYSE.only("regular")
FREE = tw.Rules(band="off", grid="off")
# Ticks of these days fall in all hours of the stock market, and outside of them.
MONDAY = int(dt.datetime(2026, 3, 9, tzinfo=dt.UTC).timestamp())


def engine_of(**options: Any) -> tw.Engine:
    return tw.Engine(
        [
            tw.Instrument("STOCK", tick_size=0.01, rules=FREE, session=sessions.NYSE, **options),
            tw.Instrument("FUTURE", tick_size=0.01, rules=FREE, session=tw.CME, **options),
            tw.Instrument("OTHER", tick_size=0.01, rules=FREE, **options),
        ],
        ["1m", "30m"],
    )


def clock(ts: int) -> dt.time:
    """The time in New York; daylight saving time began the day before."""
    return (dt.datetime.fromtimestamp(ts // S, dt.UTC) - dt.timedelta(hours=4)).time()


def is_regular(ts: int) -> bool:
    weekend = dt.datetime.fromtimestamp(ts // S, dt.UTC).weekday() >= 5
    return not weekend and dt.time(9, 30) <= clock(ts) < dt.time(16)


def is_extended(ts: int) -> bool:
    return dt.time(4) <= clock(ts) < dt.time(9, 30) or dt.time(16) <= clock(ts) < dt.time(20)


def push(engine: tw.Engine, symbol: str = "STOCK", minutes: range = range(0, 1440, 7)) -> list[int]:
    """A trade and a quote every seventh minute; their times."""
    times = [(MONDAY + 60 * minute) * S for minute in minutes]
    for place, ts in enumerate(times):
        assert engine.push_trade(symbol, ts, 100.0 + place, 2.0)
        assert engine.push_quote(symbol, ts, 99.0 + place, 101.0 + place)
    return times


@pytest.mark.parametrize(
    ("session", "holds"),
    [
        ("regular", is_regular),
        (("pre", "post"), is_extended),
        ("any", lambda ts: is_regular(ts) or is_extended(ts)),
        (RTH, is_regular),
        (None, lambda _: True),
    ],
)
def test_frames(session: Any, holds: Callable[[int], bool]) -> None:
    engine = engine_of()
    times = [ts for ts in push(engine) if holds(ts)]
    assert engine.trades("STOCK", session=session)["ts_event"].dt.timestamp("ns").to_list() == times
    assert engine.quotes("STOCK", session=session)["ts_event"].dt.timestamp("ns").to_list() == times
    bars = engine.bars("STOCK", "1m", session=session, partial=True)["ts"].dt.timestamp("ns").to_list()
    assert bars == times
    for last in (1, 5, 37, 10_000):
        found = engine.bars("STOCK", "1m", last, session=session, partial=True)["ts"]
        assert found.dt.timestamp("ns").to_list() == times[-last:]
        assert len(engine.trades("STOCK", last, session=session)) == len(times[-last:])


def test_a_bar_belongs_to_the_hours_in_which_it_opens() -> None:
    engine = engine_of()
    push(engine)
    shown = engine.bars("STOCK", "30m", session="regular", tz="America/New_York", time_unit="ms")["ts"]
    assert [str(ts.time()) for ts in (shown[0], shown[-1])] == ["09:30:00", "15:30:00"]
    assert len(shown) == 13


def test_hours_of_another_market() -> None:
    engine = engine_of()
    times = push(engine, "OTHER", range(0, 1440, 7))
    found = engine.trades("OTHER", session=RTH)["ts_event"].dt.timestamp("ns").to_list()
    assert found == [ts for ts in times if is_regular(ts)]


@pytest.mark.parametrize(
    ("session", "message"),
    [
        ("regular", "session: got 'regular', but 'OTHER' has no session"),
        (("pre", "post"), r"session: got \('pre', 'post'\), but 'OTHER' has no session"),
        ((), r"session: got \(\), expected kinds of hours"),
        (5, "session: got 5, expected kinds of hours"),
    ],
)
def test_hours_that_it_does_not_have(session: Any, message: str) -> None:
    engine = engine_of()
    for ask in (
        lambda: engine.bars("OTHER", "1m", session=session),
        lambda: engine.trades("OTHER", session=session),
        lambda: engine.subscribe(trades=True, symbols=["OTHER"], session=session),
        lambda: engine.session_vwap("OTHER", session),
    ):
        with pytest.raises(tw.ConfigError, match=message):
            ask()
    with pytest.raises(tw.ConfigError, match="kind: got 'night', expected some of pre, regular, post"):
        engine.bars("STOCK", "1m", session="night")


def test_a_subscription_gets_what_lies_in_each_instruments_hours() -> None:
    engine = engine_of()
    with engine.subscribe(["1m"], trades=True, symbols=["STOCK", "FUTURE"], session="regular") as sub:
        stock, future = push(engine), push(engine, "FUTURE")
        expected = {
            "STOCK": [ts for ts in stock if is_regular(ts)],
            # From 17:00 to 18:00 in New York Chicago has its break.
            "FUTURE": [ts for ts in future if not dt.time(17) <= clock(ts) < dt.time(18)],
        }
        bars = {symbol: [ts for ts in times if ts < stock[-1]] for symbol, times in expected.items()}
        published = sum(len(times) for times in (*expected.values(), *bars.values()))
        stats = sub.stats()
        assert stats == {
            "published": published,
            "delivered": 0,
            "pending": published,
            "shed": 0,
            "filtered": 2 * len(stock) + 2 * (len(stock) - 1) - published,
        }
        items = sub.poll()
        for symbol, times in expected.items():
            got = [item for item in items if item.symbol == symbol]
            assert [item.ts_event for item in got if isinstance(item, tw.Trade)] == times
            assert [item.ts for item in got if isinstance(item, tw.Bar)] == bars[symbol]
        assert sub.stats() == stats | {"delivered": published, "pending": 0}
    assert sub.stats() == stats | {"delivered": published, "pending": 0}


@given(
    steps=st.lists(st.tuples(st.integers(1, 90), st.booleans()), max_size=120),
    capacity=st.integers(1, 40),
)
def test_what_is_published_is_delivered_pending_or_shed(steps: list[tuple[int, bool]], capacity: int) -> None:
    """Whenever it is looked at, whatever was lost, and nothing of it lies outside."""
    engine = engine_of()
    sub = engine.subscribe(["1m"], trades=True, symbols=["STOCK"], session="regular", capacity=capacity)
    now, pushed, got = MONDAY, list[int](), list[int]()
    for minutes, looks in steps:
        now += 60 * minutes
        pushed.append(now * S)
        engine.push_trade("STOCK", now * S, 100.0, 1.0, ts_recv=now * S)
        stats = sub.stats()
        assert stats["published"] == stats["delivered"] + stats["pending"] + stats["shed"]
        assert stats["published"] + stats["filtered"] == 2 * len(pushed) - 1
        if looks:
            items = sub.poll()
            assert len(items) == stats["pending"]
            got += [item.ts_event for item in items if isinstance(item, tw.Trade)]
            assert all(is_regular(item.ts) for item in items if isinstance(item, tw.Bar))
    assert all(is_regular(ts) for ts in got)
    assert got == [ts for ts in pushed if ts in set(got)]
    if not sub.stats()["shed"]:
        got += [item.ts_event for item in sub.poll() if isinstance(item, tw.Trade)]
        assert got == [ts for ts in pushed if is_regular(ts)]


def test_waiting_for_one_that_lies_inside() -> None:
    engine = engine_of()
    with engine.subscribe(trades=True, symbols=["STOCK"], session="regular") as sub:
        push(engine, minutes=range(0, 60, 7))
        with pytest.raises(TimeoutError):
            sub.get(timeout=0)
        push(engine, minutes=range(15 * 60, 15 * 60 + 1))
        item = sub.get(timeout=5)
        assert isinstance(item, tw.Trade)
        assert is_regular(item.ts_event)
    assert list(sub) == []


def test_vwap_of_the_session() -> None:
    engine = engine_of()
    push(engine)
    kept = engine.trades("STOCK", session="regular")
    expected = (kept["price"] * kept["size"]).cum_sum() / kept["size"].cum_sum()
    vwap = engine.session_vwap("STOCK", "regular")
    assert vwap.columns == ["ts", "day", "vwap", "volume"]
    assert vwap["vwap"].to_list() == pytest.approx(expected.to_list(), rel=1e-12)
    assert vwap["day"].unique().to_list() == [dt.date(2026, 3, 9)]
    longer = engine.session_vwap("STOCK", "regular", timeframe="30m")
    assert longer["vwap"][-1] == pytest.approx(expected[-1], rel=1e-12)
    # All hours of the stock market, and those of the futures, whose day begins in the evening.
    assert engine.session_vwap("STOCK")["volume"][-1] == 2.0 * len(engine.trades("STOCK", session="any"))
    push(engine, "FUTURE")
    days = engine.session_vwap("FUTURE")["day"].unique().sort().to_list()
    assert days == [dt.date(2026, 3, 9), dt.date(2026, 3, 10)]
