"""Ticks outside of an instrument's hours, over every path into an engine; the price band after a break."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import tickwire as tw
from recorded import quotes, ticks
from tickwire import sessions

S = 10**9
FREE: dict[str, Any] = {"grid": "off", "band": "off"}


def ns(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).timestamp()) * S


# A Friday's close and the Sunday after it, in Chicago.
CLOSE, OPEN = ns("2026-03-13T16:00:00-05:00"), ns("2026-03-15T17:00:00-05:00")


def engine_of(rules: tw.Rules, session: tw.Session | None = tw.CME) -> tw.Engine:
    return tw.Engine([tw.Instrument("ES", tick_size=0.25, rules=rules, session=session)], ["1m"])


@pytest.mark.parametrize(
    ("action", "accepted", "rejected", "flagged"),
    [("reject", 3, 2, 0), ("flag", 5, 0, 2), ("off", 5, 0, 0)],
)
def test_trades_outside(action: Any, accepted: int, rejected: int, flagged: int) -> None:
    times = [CLOSE - 1, CLOSE, OPEN - 1, OPEN, OPEN + S]
    one_by_one, at_once = (engine_of(tw.Rules(session=action, **FREE)) for _ in range(2))
    found = [one_by_one.push_trade("ES", ts, 100.0, 1.0) for ts in times]
    assert found == [action != "reject" or ts not in times[1:3] for ts in times]
    receipt = at_once.push_trades("ES", ts_event=times, price=[100.0] * 5, size=[1.0] * 5)
    assert (receipt.received, receipt.accepted, receipt.rejected) == (5, accepted, rejected)
    for engine in (one_by_one, at_once):
        assert engine.rejections().get("session", 0) == rejected
        stats = engine.stats("ES")
        assert stats["received"] == stats["accepted"] + rejected == 5
        assert stats["flags"].get("session", 0) == flagged
        assert len(engine.trades("ES")) == accepted
    assert one_by_one.trades("ES").equals(at_once.trades("ES"))


def test_columns_that_cross_hours() -> None:
    """Blocks of trades are looked at by their ends, and trades one by one: the same is found."""
    generator = np.random.default_rng(5)
    steps = generator.integers(1, 40, 20_000) * S
    times = CLOSE - 4 * 3600 * S + np.cumsum(steps)
    engine = engine_of(tw.Rules(session="reject", **FREE))
    size = np.ones(len(times))
    engine.push_trades("ES", ts_event=times, price=100.0 * size, size=size)
    inside = tw.CME.table().holds(times)
    assert 0 < inside.sum() < len(times)
    assert engine.rejections() == {"session": int((~inside).sum())}
    assert engine.trades("ES")["ts_event"].dt.timestamp("ns").to_list() == times[inside].tolist()


def test_a_rule_for_an_instrument_without_a_session() -> None:
    with pytest.raises(tw.ConfigError, match="rules: got session='reject', but 'ES' has no session"):
        engine_of(tw.Rules(session="reject"), session=None)
    engine = engine_of(tw.Rules(), session=None)
    with pytest.raises(tw.ConfigError, match="rules: got session='flag', but 'ES' has no session"):
        engine.set_rules("ES", tw.Rules(session="flag"))
    assert engine.instrument("ES").rules == tw.Rules()


def test_changed_while_running() -> None:
    engine = engine_of(tw.Rules(**FREE))
    assert engine.push_trade("ES", CLOSE, 100.0, 1.0)
    engine.set_rules("ES", tw.Rules(session="reject", **FREE))
    assert not engine.push_trade("ES", CLOSE + S, 100.0, 1.0)
    assert engine.push_trade("ES", OPEN, 100.0, 1.0)


def test_a_price_gap_over_the_weekend_locks_nobody_out() -> None:
    """However long the band is held against ticks within a session."""
    rules = tw.Rules(band_age="90m", band_agree=1_000)
    spans = {"one": tw.Session("UTC", "08:00", "08:30"), "none": None}
    start = ns("2026-03-12T08:00:00+00:00")
    early = tw.Session("UTC", hours=[tw.Hours("08:00", "08:30"), tw.Hours("09:00", "09:30", kind="late")])
    found = {}
    for name, session in (spans | {"two": early}).items():
        engine = engine_of(rules, session)
        engine.push_trade("ES", start + 1200 * S, 100.0, 1.0)
        assert not engine.push_trade("ES", start + 1210 * S, 400.0, 1.0)
        found[name] = engine.push_trade("ES", start + 3600 * S, 400.0, 1.0)
    # Where a break between two hours is known, the first price after it is believed.
    assert found == {"one": False, "none": False, "two": True}


def test_the_rules_alone() -> None:
    validator = tw.Validator(
        tw.Instrument("ES", tick_size=0.25, session=tw.CME, rules=tw.Rules(session="flag", **FREE))
    )
    assert validator.trade(CLOSE - 1, 100.0, 1.0).flags == ()
    assert validator.trade(CLOSE, 100.0, 1.0).flags == ("session",)
    assert validator.quote(OPEN - 1, 99.75, 100.0).flags == ("session",)


def test_recorded_quotes_that_came_late(data: Path) -> None:
    """Of three recordings of spot silver, what lies outside its hours: at most a second after the close."""
    hours = tw.Session("America/New_York", "18:00", "17:00")
    late = {}
    for name in ("xagusd_dst_2012_us_spring", "xagusd_dst_2012_eu_spring", "xagusd_dst_2013_us_autumn"):
        frame = quotes(ticks(data, name))
        symbol = frame["symbol"][0]
        rules = tw.Rules(session="reject", crossed="off", **FREE)
        engine = tw.Engine([tw.Instrument(symbol, tick_size=0.001, rules=rules, session=hours)], ["1m"])
        engine.push_table(frame)
        late[name] = engine.rejections().get("session", 0)
        held = hours.table().holds(frame["ts_event"].to_numpy())
        assert late[name] == frame.filter(pl.Series(~held)).height
    assert max(late.values()) <= 3
    assert sum(late.values()) > 0


def test_built_in_hours_serve_as_rules(data: Path) -> None:
    frame = ticks(data, "gc_comex_20131007_09_trades").filter(pl.col("instrument") == "GC201312")
    rules = tw.Rules(session="reject", band="off")
    engine = tw.Engine(
        [tw.Instrument("GC", tick_size=0.1, rules=rules, session=sessions.COMEX)], ["1m"], capacity=1 << 18
    )
    receipt = engine.push_trades(
        "GC",
        ts_event=frame["ts_ns"].to_numpy(),
        price=frame["price"].to_numpy(),
        size=frame["size"].to_numpy(),
    )
    assert receipt.accepted == len(frame)
