"""`Rules`: which ticks are believed, what is counted, and that nothing else changes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tickwire as tw
from effort import examples

S = 1_000_000_000
T0 = 1_700_000_040 * S
NAN, INF = math.nan, math.inf


def engine_of(rules: tw.Rules | None = None, **instrument: object) -> tw.Engine:
    given = {"tick_size": 0.25, "rules": rules or tw.Rules()} | instrument
    return tw.Engine(tw.Instrument("X", **given), ["1s", "1m"])


def trade(
    engine: tw.Engine, price: float = 100.0, size: float = 1.0, ts: int | None = T0, **more: object
) -> str:
    """Pushes one trade; "ok", "flag: reason" or the reason of the rejection."""
    before = engine.stats()
    accepted = engine.push_trade("X", ts, price, size, **more)
    return verdict(before, engine.stats(), accepted)


def quote(
    engine: tw.Engine, bid: float, ask: float, *sizes: float, ts: int | None = T0, **more: object
) -> str:
    before = engine.stats()
    accepted = engine.push_quote("X", ts, bid, ask, *sizes, **more)
    return verdict(before, engine.stats(), accepted)


def verdict(before: dict, after: dict, accepted: bool) -> str:
    assert after["received"] == before["received"] + 1
    assert after["received"] == after["accepted"] + after["rejected"]
    assert after["rejected"] == sum(after["rejections"].values())
    assert after["accepted"] == before["accepted"] + accepted
    new = {
        kind: [name for name, count in after[kind].items() if count > before[kind].get(name, 0)]
        for kind in ("rejections", "flags")
    }
    if not accepted:
        assert new["flags"] == []
        (reason,) = new["rejections"]
        return reason
    assert new["rejections"] == []
    return "flag: " + ", ".join(new["flags"]) if new["flags"] else "ok"


@pytest.mark.parametrize(
    ("tick", "expected"),
    [
        ({}, "ok"),
        ({"ts": None}, "no_event_time"),
        ({"price": NAN}, "not_finite"),
        ({"price": INF}, "not_finite"),
        ({"price": -INF}, "not_finite"),
        ({"price": 0.0}, "not_positive"),
        ({"price": -0.25}, "not_positive"),
        ({"size": -1.0}, "size"),
        ({"size": NAN}, "size"),
        ({"size": INF}, "size"),
        ({"size": 0.0}, "ok"),
        ({"price": 100.1}, "flag: grid"),
        ({"ts_recv": T0 - 5 * S}, "ok"),
        ({"ts_recv": T0 - 5 * S - 1}, "skew"),
        ({"ts_recv": T0 + 3_600 * S}, "ok"),
    ],
)
def test_trades(tick: dict, expected: str) -> None:
    assert trade(engine_of(), **tick) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((99.75, 100.0, 1.0, 2.0), "ok"),
        ((99.75, 100.0, NAN, NAN), "ok"),
        ((NAN, 100.0), "ok"),
        ((99.75, NAN), "ok"),
        ((NAN, NAN), "not_finite"),
        ((INF, 100.0), "not_finite"),
        ((0.0, 100.0), "not_positive"),
        ((99.75, 100.0, -1.0, 2.0), "size"),
        ((99.75, 100.0, 1.0, INF), "size"),
        ((100.0, 100.0), "ok"),
        ((100.25, 100.0), "flag: crossed"),
        ((99.8, 100.0), "flag: grid"),
    ],
)
def test_quotes(values: tuple[float, ...], expected: str) -> None:
    assert quote(engine_of(), *values) == expected


def test_a_quote_of_a_last_price_alone() -> None:
    assert quote(engine_of(), NAN, NAN, last=100.0) == "ok"


@pytest.mark.parametrize(("action", "expected"), [("reject", "{}"), ("flag", "flag: {}"), ("off", "ok")])
@pytest.mark.parametrize("rule", ["grid", "band", "size", "skew", "crossed"])
def test_every_rule_rejects_flags_or_is_off(rule: str, action: str, expected: str) -> None:
    engine = engine_of(tw.Rules(**{"band": "off", "grid": "off"} | {rule: action}))
    trade(engine)
    quote(engine, 99.75, 100.25)
    outcome = {
        "grid": lambda: trade(engine, 100.1),
        "band": lambda: trade(engine, 200.0),
        "size": lambda: trade(engine, size=-1.0),
        "skew": lambda: trade(engine, ts_recv=T0 - 60 * S),
        "crossed": lambda: quote(engine, 100.5, 100.25),
    }[rule]()
    assert outcome == expected.format(rule)


def test_sizes_that_are_no_numbers_pass_no_rule() -> None:
    engine = engine_of(tw.Rules(size="off"))
    assert trade(engine, size=NAN) == "size"
    assert trade(engine, size=INF) == "size"
    engine.advance(T0 + S)
    assert engine.bars("X", "1s").height == 0


def test_negative_prices_where_they_are_legal() -> None:
    engine = engine_of(tw.Rules(allow_negative=True))
    for price in (0.5, 0.0, -37.75, -37.63):
        trade(engine, price)
    assert engine.push_quote("X", T0, -40.0, -39.75)
    row = engine.bars("X", "1m", partial=True).row(0, named=True)
    assert (row["open"], row["low"], row["close"]) == (0.5, -37.75, -37.63)
    assert engine.stats()["flags"] == {"grid": 1}
    assert math.isclose(row["vwap"], (0.5 - 37.75 - 37.63) / 4)


@pytest.mark.parametrize(
    "tick_size", [0.25, 0.01, 0.1, 0.05, 1e-5, 5e-5, 1 / 32, 1 / 64 / 2, 2.5, 10.0, 1e-8, 0.0025]
)
@settings(max_examples=examples(40))
@given(steps=st.integers(1, 2_000_000), off=st.sampled_from([0.1, 0.3, 0.5, 0.9]))
def test_the_grid_against_exact_fractions(tick_size: float, steps: int, off: float) -> None:
    """A price read from its decimals is on the grid; one that lies between two steps is not."""
    exact = Fraction(str(tick_size)) if tick_size != 1 / 32 else Fraction(1, 32)
    on_grid = float(steps * exact)
    between = float((steps + Fraction(off)) * exact)
    engine = tw.Engine(
        tw.Instrument("X", tick_size=tick_size, rules=tw.Rules(grid="reject", band="off")), ["1s"]
    )
    assert trade(engine, on_grid) == "ok"
    assert trade(engine, between) == "grid"


def test_stamping_by_arrival() -> None:
    engine = engine_of(stamp="arrival")
    assert trade(engine, ts=None, ts_recv=T0 + 7) == "ok"
    assert engine.last("X").ts_event == T0 + 7
    assert trade(engine, ts=None) == "no_event_time"
    assert quote(engine, 99.75, 100.0, ts=None, ts_recv=T0 + 9) == "ok"
    assert engine.quote("X").ts_event == T0 + 9
    # A tick that has an event time keeps it.
    assert trade(engine, ts=T0 + 1, ts_recv=T0 + 5) == "ok"
    assert engine.last("X").ts_event == T0 + 1


def test_the_skew_limit_is_the_rules() -> None:
    engine = engine_of(tw.Rules(skew_limit="1s"))
    assert trade(engine, ts_recv=T0 - S) == "ok"
    assert trade(engine, ts_recv=T0 - S - 1) == "skew"


def test_without_arrival_time_nothing_is_judged_by_a_clock() -> None:
    engine = engine_of()
    assert trade(engine, ts=4_000_000_000 * S) == "ok"


# The band


def test_a_stray_price_is_refused_and_the_band_stays() -> None:
    engine = engine_of(tw.Rules(band_ticks=1.0))
    assert trade(engine, 100.0) == "ok"
    assert trade(engine, 110.0) == "ok"
    assert trade(engine, 121.25) == "band"
    assert trade(engine, 98.75) == "band"
    assert trade(engine, 121.0) == "ok"
    assert engine.trades("X").height == 3


def test_agreeing_prices_move_the_band() -> None:
    engine = engine_of(tw.Rules(band_agree=3))
    trade(engine, 1_000.0)
    assert [trade(engine, price) for price in (2_000.0, 2_100.0, 2_050.0, 2_060.0)] == [
        "band",
        "band",
        "ok",
        "ok",
    ]
    # The way back is a gap like any other.
    assert [trade(engine, 1_000.0) for _ in range(3)] == ["band", "band", "ok"]


def test_disagreeing_prices_and_a_price_within_the_band_start_anew() -> None:
    engine = engine_of(tw.Rules(band_agree=3))
    trade(engine, 1_000.0)
    assert [trade(engine, price) for price in (2_000.0, 4_000.0, 2_000.0, 4_000.0)] == ["band"] * 4
    assert [trade(engine, price) for price in (2_000.0, 2_000.0, 1_000.0, 2_000.0, 2_000.0)] == [
        *["band"] * 2,
        "ok",
        *["band"] * 2,
    ]
    assert trade(engine, 2_000.0) == "ok"


def test_near_zero_agreeing_goes_by_ticks() -> None:
    """A fraction of a price near zero is no room: three prints around zero agree."""
    engine = engine_of(tw.Rules(allow_negative=True, band_ticks=20.0))
    trade(engine, 1_000.0)
    assert [trade(engine, price) for price in (0.25, -0.5, 0.0)] == ["band", "band", "ok"]


def test_an_old_band_is_not_held_against_a_tick() -> None:
    engine = engine_of(tw.Rules(band_age="60s"))
    trade(engine, 1_000.0)
    assert trade(engine, 2_000.0, ts=T0 + 60 * S) == "band"
    assert trade(engine, 2_000.0, ts=T0 + 60 * S + 1) == "ok"


def test_a_tick_refused_for_another_reason_moves_no_band() -> None:
    engine = engine_of(tw.Rules(band_agree=2, size="reject"))
    trade(engine, 1_000.0)
    for _ in range(5):
        assert trade(engine, 2_000.0, size=-1.0) == "size"
    assert trade(engine, 2_000.0) == "band"


def test_trades_and_quotes_have_bands_of_their_own() -> None:
    engine = engine_of()
    trade(engine, 1_000.0)
    assert quote(engine, 2_000.0, 2_000.25) == "ok"
    assert quote(engine, 1_000.0, 1_000.25) == "band"
    assert trade(engine, 2_000.0) == "band"
    # One side far off moves the middle out of the band.
    assert quote(engine, 0.25, 2_000.25) == "band"


@dataclass
class Band:
    """The band's rules, from their description."""

    width: float
    floor: float
    agree: int
    age_ns: int
    anchor: float | None = None
    anchored: int = 0
    run: list[float] = field(default_factory=list)

    def half(self, price: float) -> float:
        return max(abs(price) * self.width, self.floor)

    def accepts(self, price: float, ts: int) -> bool:
        if self.anchor is None or abs(price - self.anchor) <= self.half(self.anchor):
            return self._take(price, ts)
        agrees = bool(self.run) and abs(price - self.run[-1]) <= self.half(self.run[-1])
        self.run = [*self.run, price] if agrees else [price]
        if ts - self.anchored > self.age_ns or len(self.run) >= self.agree:
            return self._take(price, ts)
        return False

    def _take(self, price: float, ts: int) -> bool:
        self.anchored = ts if self.anchor is None else max(self.anchored, ts)
        self.anchor, self.run = price, []
        return True


@settings(max_examples=examples(200))
@given(
    agree=st.integers(1, 4),
    width=st.sampled_from([0.25, 0.5]),
    steps=st.lists(st.tuples(st.integers(-64, 64), st.integers(0, 3)), min_size=1, max_size=60),
)
def test_the_band_against_its_description(agree: int, width: float, steps: list[tuple[int, int]]) -> None:
    rules = tw.Rules(allow_negative=True, band_width=width, band_ticks=3.0, band_agree=agree, band_age="2s")
    engine = tw.Engine(tw.Instrument("X", tick_size=1.0, rules=rules), [])
    model = Band(width, 3.0, agree, 2 * S)
    now = T0
    for price, pause in steps:
        now += pause * S
        assert (trade(engine, float(price), ts=now) == "ok") == model.accepts(float(price), now)
