"""`Validator`: every rule against a naive model, alone and inside an engine, tick by tick and in columns."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tickwire as tw
from effort import examples
from rules_oracle import Oracle, Tick

S = 1_000_000_000
T0 = 1_700_000_040 * S
NAN, INF = math.nan, math.inf
ACTIONS = ("reject", "flag", "off")


def instrument(rules: tw.Rules, **more: Any) -> tw.Instrument:
    return tw.Instrument("X", tick_size=0.25, rules=rules, **more)


@st.composite
def rule_sets(draw: st.DrawFn) -> tw.Rules:
    actions = {
        name: draw(st.sampled_from(ACTIONS))
        for name in (
            "grid", "limits", "band", "size", "zero_size", "outsize", "skew", "stale", "backwards", "duplicate"
        )
    }  # fmt: skip
    return tw.Rules(
        **actions,
        spike=draw(st.sampled_from(["flag", "off"])),
        allow_negative=draw(st.booleans()),
        price_low=draw(st.sampled_from([None, 60.0])),
        price_high=draw(st.sampled_from([None, 140.0])),
        band_width=0.25,
        band_ticks=8.0,
        band_age="20s",
        outsize_times=8.0,
        spike_moves=6.0,
        spike_ticks=draw(st.integers(1, 3)),
        skew_limit="1s",
        stale_limit="2s",
        backwards_limit="1s",
    )


@st.composite
def streams(draw: st.DrawFn) -> list[Tick]:
    """Mostly an ordinary market, so that it is known what is usual, with oddities here and there."""
    seed = draw(st.integers(0, 2**32))
    rows = draw(st.integers(0, 120))
    odd_share = draw(st.sampled_from([0.02, 0.1, 0.4]))
    random = np.random.default_rng(seed)
    ts, quarters = T0, 400
    ticks: list[Tick] = []
    for _ in range(rows):
        ts += int(random.integers(0, S))
        quarters += int(random.integers(-2, 3))
        tick = Tick(ts, quarters / 4, float(random.integers(1, 6)), int(random.integers(-1, 2)))
        if random.random() < odd_share:
            odd: list[Any] = [
                {"price": tick.price + float(random.choice([-20, -8, 8, 20]))},
                {"price": tick.price + 0.1},
                {"price": float(random.choice([NAN, INF, -INF, 0.0, -5.0, 1e6]))},
                {"size": float(random.choice([0.0, -1.0, 60.0, 1e4, NAN, INF]))},
                {"ts": ts - int(random.integers(0, 4 * S))},
                {"ts": ts + int(random.integers(0, 60 * S))},
                {"recv": ts + int(random.integers(-3 * S, 4 * S))},
            ]
            tick = Tick(**{**tick.__dict__, **odd[int(random.integers(len(odd)))]})
        if ticks and random.random() < odd_share:
            tick = ticks[-1]
        ticks.append(tick)
    return ticks


@settings(max_examples=examples(150), deadline=None)
@given(rule_sets(), streams(), st.integers(0, 120))
def test_against_the_naive_rules(rules: tw.Rules, ticks: list[Tick], cut: int) -> None:
    """One by one, in columns cut in two, and in an engine without bars, where nothing is late."""
    oracle = Oracle(rules, 0.25)
    expected = [oracle.trade(tick) for tick in ticks]

    alone = tw.Validator(instrument(rules))
    spikes = []
    for row, tick in enumerate(ticks):
        verdict = alone.trade(tick.ts, tick.price, tick.size, tick.side, tick.recv)
        assert (verdict.accepted, verdict.reason) == (expected[row].reason is None, expected[row].reason)
        assert set(verdict.flags) == expected[row].flags - {"spike"}, (row, tick)
        assert bool(verdict) == verdict.accepted
        spikes += [(each.ts_event, each.price) for each in verdict.spike]
    assert spikes == [(each.tick.ts, each.tick.price) for each in expected if "spike" in each.flags]

    columns = tw.Validator(instrument(rules))
    verdicts = pl.concat(
        columns.trades(
            ts_event=[tick.ts for tick in part],
            price=[tick.price for tick in part],
            size=[tick.size for tick in part],
            side=[tick.side for tick in part],
        )
        for part in (ticks[:cut], ticks[cut:])
    ) if all(tick.recv is None for tick in ticks) else None  # fmt: skip
    if verdicts is not None:
        assert verdicts["reason"].to_list() == [each.reason for each in expected]
        assert columns.stats() == alone.stats()
        for flags, each in zip(verdicts["flags"].to_list()[cut:], expected[cut:], strict=True):
            assert set(flags) - {"spike"} == each.flags - {"spike"}
            assert "spike" not in flags or "spike" in each.flags

    engine = tw.Engine(instrument(rules), [])
    for tick in ticks:
        engine.push_trade("X", tick.ts, tick.price, tick.size, tick.side, tick.recv)
    assert engine.stats("X") == alone.stats()
    kept = engine.flagged_ticks("X")
    counts = dict(kept.group_by("reason").len().iter_rows())
    assert sum(counts.values()) <= 256
    if kept.height < 256:
        assert counts == engine.stats("X")["flags"]
    rejected = engine.rejected_ticks("X")
    assert rejected["reason"].to_list() == [each.reason for each in expected if each.reason][-256:]


def test_the_usual_size_is_near_the_median() -> None:
    """The running estimate against NumPy's median, on sizes whose tail is heavy."""
    sizes = np.random.default_rng(5).lognormal(3, 2, 4_000)
    median = float(np.median(sizes))
    for times, is_outsize in ((1.6, True), (0.6, False)):
        validator = tw.Validator(instrument(tw.Rules(outsize="reject", outsize_times=100.0)))
        ts = np.full(len(sizes), T0)
        validator.trades(ts_event=ts, price=np.full(len(sizes), 100.0), size=sizes)
        verdict = validator.trade(T0, 100.0, 100 * median * times)
        assert verdict.accepted != is_outsize


def test_a_market_whose_sizes_grow_is_followed() -> None:
    validator = tw.Validator(instrument(tw.Rules(outsize="reject", outsize_times=10.0)))
    verdicts = [validator.trade(T0, 100.0, size).accepted for size in [1.0] * 40 + [100.0] * 200]
    assert not verdicts[40]
    assert all(verdicts[140:])


@pytest.mark.parametrize("extreme", [5e-324, 1.7e308])
def test_extreme_sizes_leave_the_usual_one_where_it_can_come_back_from(extreme: float) -> None:
    validator = tw.Validator(instrument(tw.Rules(outsize="reject", outsize_times=10.0)))
    for size in [extreme] * 31 + [extreme * 0.5, extreme] * 50:
        validator.trade(T0, 100.0, size)
    # From one end of the numbers to a size of one are some 23,000 steps.
    ts_event = np.full(30_000, T0)
    ones = validator.trades(ts_event=ts_event, price=np.full(30_000, 100.0), size=np.ones(30_000))
    assert ones["accepted"][-1]
    assert not validator.trade(T0, 100.0, 100.0).accepted


def test_quotes() -> None:
    rules = tw.Rules(locked="flag", one_sided="reject", spike="flag", stale="flag", stale_quote_limit="1s")
    validator = tw.Validator(instrument(rules))
    for row in range(80):
        assert validator.quote(T0 + row, 99.75, 100.0 + 0.25 * (row % 2)).accepted
    assert validator.quote(T0 + 100, 100.0, 100.0).flags == ("locked",)
    assert validator.quote(T0 + 101, NAN, 100.0).reason == "one_sided"
    assert validator.quote(T0 + 102, 99.75, 100.0, ts_recv=T0 + 2 * S).flags == ("stale",)
    assert not validator.quote(T0 + 103, 99.75, 120.0).spike
    (odd,) = validator.quote(T0 + 104, 99.75, 100.0).spike
    assert odd == tw.Validator(instrument(rules)).quote(T0, NAN, 1.0).spike or odd.ask == 120.0
    assert isinstance(odd, tw.Quote)
    frame = tw.Validator(instrument(rules)).quotes(
        ts_event=[T0] * 3, bid=[100.0, NAN, 100.5], ask=[100.0, 100.0, 100.25]
    )
    assert frame.to_dict(as_series=False) == {
        "accepted": [True, False, True],
        "reason": [None, "one_sided", None],
        "flags": [["locked"], [], ["crossed"]],
    }
    assert frame.schema == {"accepted": pl.Boolean, "reason": pl.String, "flags": pl.List(pl.String)}


def test_an_empty_batch() -> None:
    frame = tw.Validator(instrument(tw.Rules())).trades(ts_event=[], price=[], size=[])
    assert frame.shape == (0, 3)


def test_stamping_by_arrival() -> None:
    by_arrival = tw.Validator(instrument(tw.Rules(), stamp="arrival"))
    assert by_arrival.trade(None, 100.0, 1.0, ts_recv=T0).accepted
    assert by_arrival.trade(None, 100.0, 1.0).reason == "no_event_time"
    assert tw.Validator(instrument(tw.Rules())).trade(None, 100.0, 1.0, ts_recv=T0).reason == "no_event_time"


def test_other_rules_from_here_on() -> None:
    validator = tw.Validator(instrument(tw.Rules(grid="reject")))
    assert validator.trade(T0, 100.0, 1.0).accepted
    assert validator.trade(T0, 100.1, 1.0).reason == "grid"
    validator.set_rules(tw.Rules(grid="flag"))
    assert validator.trade(T0, 100.1, 1.0).flags == ("grid",)
    assert validator.trade(T0, 300.0, 1.0).reason == "band", "the band stands where it stood"
    assert validator.stats()["rejections"] == {"grid": 1, "band": 1}


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(tw.ConfigError, match=r"instrument: got 'X', expected a tickwire\.Instrument"):
        tw.Validator("X")  # type: ignore[arg-type]
    validator = tw.Validator(instrument(tw.Rules()))
    with pytest.raises(tw.ConfigError, match=r"rules: got None, expected a tickwire\.Rules"):
        validator.set_rules(None)  # type: ignore[arg-type]
    with pytest.raises(tw.DataError, match="side: got 2, expected 1"):
        validator.trade(T0, 100.0, 1.0, 2)
    with pytest.raises(tw.DataError, match="price: got 1 rows, expected 2 as in ts_event"):
        validator.trades(ts_event=[T0, T0], price=[1.0], size=[1.0, 1.0])
    assert validator.stats()["received"] == 0
