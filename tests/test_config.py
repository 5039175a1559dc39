"""`Instrument` and `Rules`: defaults, what an engine's own settings fill in, and values that compare."""

from __future__ import annotations

import dataclasses

import pytest

import tickwire as tw
from tickwire.config import Spec, sources

S = 1_000_000_000


def spec_of(instrument: tw.Instrument) -> Spec:
    return Spec.of(
        instrument,
        align="utc",
        source=("trade", "mid"),
        lateness_ns=5 * S,
        late="revise",
        horizon_ns=60 * S,
        empty="flat",
        flat_limit=7,
        split="keep",
        restart="never",
        capacity=64,
        book_levels=10,
    )


def test_the_documented_defaults() -> None:
    rules = tw.Rules()
    assert (rules.grid, rules.band, rules.size, rules.skew, rules.crossed) == (
        "flag",
        "reject",
        "reject",
        "reject",
        "flag",
    )
    assert (rules.allow_negative, rules.band_width, rules.band_ticks, rules.band_agree) == (
        False,
        0.1,
        200.0,
        3,
    )
    assert (rules.band_age_ns, rules.skew_ns) == (60 * S, 5 * S)
    instrument = tw.Instrument("ES", tick_size=0.25)
    assert (instrument.source, instrument.lateness, instrument.stamp, instrument.rules) == (
        None,
        None,
        "event",
        rules,
    )


def test_what_an_instrument_leaves_open_the_engine_decides() -> None:
    spec = spec_of(tw.Instrument("ES", tick_size=0.25))
    assert (spec.sources, spec.lateness_ns, spec.stamp_arrival) == (("trade", "mid"), 5 * S, False)
    assert (spec.late, spec.horizon_ns, spec.empty, spec.flat_limit) == ("revise", 60 * S, "flat", 7)


def test_what_an_instrument_says_counts() -> None:
    spec = spec_of(tw.Instrument("ES", tick_size=1, source="bid", lateness="0s", stamp="arrival"))
    assert (spec.sources, spec.lateness_ns, spec.stamp_arrival) == (("bid",), 0, True)
    assert isinstance(spec.tick_size, float)
    own = tw.Instrument("ES", tick_size=1, late="reject", horizon="1s", empty="skip", flat_limit=1)
    spec = spec_of(own)
    assert (spec.late, spec.horizon_ns, spec.empty, spec.flat_limit) == ("reject", S, "skip", 1)


def test_sources_are_a_tuple_of_each_once() -> None:
    assert sources("source", "trade") == ("trade",)
    assert sources("source", ("bid", "ask", "bid")) == ("bid", "ask")
    assert tw.Instrument("ES", tick_size=1.0, source=["bid", "ask"]).source == ("bid", "ask")  # type: ignore[arg-type]


def test_they_are_values() -> None:
    one, same = (tw.Instrument("ES", tick_size=0.25, source="bid") for _ in range(2))
    assert one == same
    assert hash(one) == hash(same)
    assert dataclasses.replace(one, tick_size=0.5) != one
    assert dataclasses.replace(tw.Rules(), band_age="5m").band_age_ns == 300 * S


def test_the_engine_hands_back_what_it_was_given() -> None:
    given = tw.Instrument("ES", tick_size=0.25, lateness="2s")
    engine = tw.Engine(given)
    assert engine.instrument("ES") is given
    assert engine.symbols == ("ES",)
    assert engine.timeframes == ("1s", "1m", "5m", "1h", "1d")


def test_instruments_from_any_iterable() -> None:
    engine = tw.Engine(
        (tw.Instrument(symbol, tick_size=1.0) for symbol in "ABC"), (text for text in ("1m", "1s"))
    )
    assert engine.symbols == ("A", "B", "C")
    assert engine.timeframes == ("1s", "1m")


@pytest.mark.parametrize("symbol", ["ES", "CON.F.US.EP.Z25", "ES Z5", "BTC-USDT@perp", "株価", "🪙"])
def test_any_contract_id(symbol: str) -> None:
    engine = tw.Engine(tw.Instrument(symbol, tick_size=1.0), ["1s"])
    assert engine.push_trade(symbol, S, 10.0, 1.0)
    assert engine.last(symbol).symbol == symbol
