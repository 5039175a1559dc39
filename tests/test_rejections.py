"""`RejectionAlarm`: when it is raised, when it is lifted, and what a client says of it."""

from __future__ import annotations

import dataclasses
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tickwire as tw
from clocks import HandClock
from effort import examples
from hubs import PATIENCE_S
from live import engine_for
from tickwire import sim
from tickwire.events import RejectionRate
from tickwire.logs import EventLog
from tickwire.rejections import Count, RejectionAlarm

LIMITS = tw.RejectionLimits(share=0.1, clear=0.05, least=10, window_s=60.0)


def look(
    alarm: RejectionAlarm, now_s: float, received: int, **rejections: int
) -> list[tuple[str | None, str]]:
    return [(alert.reason, alert.state) for alert in alarm.look(now_s, {"X": Count(received, rejections)})]


def test_raised_and_lifted_with_a_margin_between() -> None:
    alarm = RejectionAlarm(LIMITS)
    assert look(alarm, 0, 0) == []
    assert look(alarm, 10, 100, band=10) == [], "a tenth is not more than a tenth"
    assert look(alarm, 20, 200, band=21) == [(None, "high")]
    assert look(alarm, 30, 300, band=24) == [], "8% is between the two"
    assert look(alarm, 40, 480, band=24) == [(None, "normal")]
    assert look(alarm, 50, 500, band=44) == [], "still 9% of a minute"
    assert look(alarm, 55, 520, band=64) == [(None, "high")]


def test_a_few_rejections_alarm_nobody() -> None:
    alarm = RejectionAlarm(LIMITS)
    look(alarm, 0, 0)
    assert look(alarm, 1, 9, size=9) == []
    assert look(alarm, 2, 10, size=9, grid=1) == [(None, "high")]


def test_old_rejections_are_forgotten() -> None:
    alarm = RejectionAlarm(LIMITS)
    look(alarm, 0, 0)
    assert look(alarm, 1, 100, band=50) == [(None, "high")]
    assert look(alarm, 62, 101, band=50) == [(None, "normal")]


def test_what_was_before_the_first_look_does_not_count() -> None:
    alarm = RejectionAlarm(LIMITS)
    assert look(alarm, 0, 1_000, band=1_000) == []
    assert look(alarm, 1, 1_100, band=1_000) == []
    # A reason that is new is new from its first tick on.
    assert look(alarm, 2, 1_120, band=1_000, skew=20) == [(None, "high")]


def test_a_reason_with_a_limit_of_its_own_is_judged_apart() -> None:
    limits = tw.RejectionLimits(share=0.1, clear=0.05, least=10, by_reason={"late": 0.5})
    alarm = RejectionAlarm(limits)
    look(alarm, 0, 0)
    assert look(alarm, 1, 100, late=50, band=5) == []
    assert look(alarm, 2, 200, late=101, band=5) == [("late", "high")]
    assert look(alarm, 3, 300, late=101, band=31) == [(None, "high")]
    assert look(alarm, 4, 700, late=101, band=31) == [("late", "normal"), (None, "normal")]


def test_an_alert_says_what_there_was() -> None:
    alarm = RejectionAlarm(LIMITS)
    look(alarm, 0, 0)
    (alert,) = alarm.look(1, {"X": Count(100, {"band": 8, "size": 4}), "Y": Count(100, {})})
    assert (alert.symbol, alert.received, alert.rejected, dict(alert.rejections)) == (
        "X",
        100,
        12,
        {"band": 8, "size": 4},
    )


@settings(max_examples=examples(100))
@given(st.lists(st.tuples(st.integers(0, 200), st.floats(0, 1)), max_size=40))
def test_against_plain_sums(steps: list[tuple[int, float]]) -> None:
    """A look a second with a window of ten: the newest ten steps decide."""
    limits = tw.RejectionLimits(share=0.2, clear=0.1, least=5, window_s=10.0)
    alarm = RejectionAlarm(limits)
    look(alarm, 0, 0)
    received = rejected = 0
    high = False
    history = [(0, 0)]
    for second, (ticks, share) in enumerate(steps, start=1):
        received += ticks
        rejected += int(ticks * share)
        history.append((received, rejected))
        then = history[max(0, second - 10)]
        new, bad = received - then[0], rejected - then[1]
        was, high = high, bad > 0.1 * new if high else bad >= 5 and bad > 0.2 * new
        expected = [] if was == high else [(None, "high" if high else "normal")]
        assert look(alarm, second, received, band=rejected) == expected


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"share": 0}, r"RejectionLimits\.share: got 0, expected a finite number above zero"),
        (
            {"share": 0.1, "clear": 0.1},
            r"RejectionLimits\.clear: got 0\.1, expected less than share \(0\.1\)",
        ),
        ({"least": 0}, r"RejectionLimits\.least: got 0, expected a whole number"),
        ({"by_reason": 0.1}, r"RejectionLimits\.by_reason: got 0\.1, expected a dict"),
        ({"by_reason": {"late": -1}}, r"RejectionLimits\.by_reason\['late'\]: got -1"),
    ],
)
def test_limits_that_cannot_be(wrong: dict, sentence: str) -> None:
    with pytest.raises(tw.ConfigError, match=sentence):
        tw.RejectionLimits(**wrong)


def test_a_client_tells_it() -> None:
    """Limits far below the market reject everything, until they are changed."""
    with sim.Hub(sim.Market(1, rate=500.0)) as hub:
        engine = engine_for(hub)
        (symbol,) = engine.symbols
        rules = engine.instrument(symbol).rules
        engine.set_rules(symbol, dataclasses.replace(rules, price_high=1e-9))
        limits = tw.RejectionLimits(least=5, window_s=2.0)
        client = tw.connect(hub.url, token=hub.token(), engine=engine, streams="trades", rejections=limits)
        with client, client.events() as events:
            high = next_alert(events)
            assert (high.symbol, high.state, high.reason) == (symbol, "high", None)
            assert high.rejected == high.received == high.rejections["limits"] >= 5
            engine.set_rules(symbol, rules)
            assert next_alert(events).state == "normal"


def next_alert(events: tw.EventStream) -> RejectionRate:
    while not isinstance(event := events.get(timeout=PATIENCE_S), RejectionRate):
        pass
    return event


def test_the_log_has_one_line_for_many(caplog: pytest.LogCaptureFixture) -> None:
    log = EventLog(HandClock())
    with caplog.at_level(logging.INFO, "tickwire.rejections"):
        for symbol in ("X", "Y", "Z"):
            event = RejectionRate(
                ts=0, client="c", symbol=symbol, reason=None, state="high", rejected=9, received=10, rejections={"band": 9}
            )  # fmt: skip
            log.write(event)
        log.write(tw.events.RejectionRate(**{**fields_of(event), "state": "normal"}))
    assert [(record.levelname, record.event.symbol) for record in caplog.records] == [
        ("WARNING", "X"),
        ("INFO", "Z"),
    ]


def fields_of(event: RejectionRate) -> dict:
    return {name: getattr(event, name) for name in event.__dataclass_fields__}
