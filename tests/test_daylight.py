"""Which transitions are told, and when."""

from __future__ import annotations

import logging

import pytest

import tickwire as tw
from live import engine_for
from tickwire import sim
from tickwire.daylight import Daylight
from virtual_time import VirtualClock
from zones import NS

HOUR = 3_600 * NS
SPRING, AUTUMN = 1_710_054_000 * NS, 1_730_613_600 * NS
LONDON_SPRING = 1_711_846_800 * NS


def told(daylight: Daylight, now_ns: int) -> list[tuple[str, int]]:
    return [(zone, transition.ts) for zone, transition in daylight.due(now_ns)]


def test_each_is_told_ahead_and_when_it_has_come() -> None:
    daylight = Daylight([tw.Zone("America/New_York"), tw.Zone("Europe/London")], 24 * HOUR)
    spring, london = ("America/New_York", SPRING), ("Europe/London", LONDON_SPRING)
    heard = {}
    for hour in range(-48, 24 * 30):
        if due := told(daylight, SPRING + hour * HOUR):
            heard[hour] = due
    between = (LONDON_SPRING - SPRING) // HOUR
    assert heard == {-24: [spring], 0: [spring], between - 24: [london], between: [london]}


def test_a_first_look_tells_what_is_near_and_nothing_of_the_past() -> None:
    daylight = Daylight([tw.Zone("America/New_York")], 24 * HOUR)
    assert told(daylight, SPRING - HOUR) == [("America/New_York", SPRING)]
    assert told(daylight, SPRING - HOUR + 1) == []
    assert told(Daylight([tw.Zone("America/New_York")], 24 * HOUR), SPRING) == []


def test_what_came_while_nobody_asked_is_told_once() -> None:
    daylight = Daylight([tw.Zone("America/New_York")], HOUR)
    assert told(daylight, SPRING - 2 * HOUR) == []
    assert told(daylight, AUTUMN - HOUR) == [("America/New_York", SPRING), ("America/New_York", AUTUMN)]
    # The clock of this machine was set back, and went on.
    assert told(daylight, AUTUMN - 2 * HOUR) == []
    assert told(daylight, AUTUMN) == [("America/New_York", AUTUMN)]


def test_a_client_tells_of_the_zones_that_its_bars_and_hours_go_by(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tickwire.daylight")
    clock = VirtualClock(start_ns=SPRING - 90 * NS)
    with sim.Hub(sim.Market(1, rate=1.0), clock=clock) as hub:
        options = {"token": hub.token(), "time_source": clock, "daylight_ahead": "60s"}
        engine = engine_for(hub, align="America/New_York")
        with tw.connect(hub.url, engine=engine, **options) as client, client.events() as events:
            clock.sleep(100.0)
            told = [event for event in events.poll() if isinstance(event, tw.events.DaylightTransition)]
    assert {(event.zone, event.at_ns, event.before_ns, event.after_ns) for event in told} == {
        ("America/New_York", SPRING, -5 * HOUR, -4 * HOUR)
    }
    ahead, come = told
    # It looks about once a second.
    assert 58 < ahead.in_s <= 60
    assert -2 < come.in_s <= 0
    assert [record.__dict__["event"] for record in caplog.records] == told


def test_where_time_is_the_data_s_own_no_clock_is_watched() -> None:
    clock = VirtualClock(start_ns=SPRING - 60 * NS)
    with sim.Hub(sim.Market(1, rate=1.0), clock=clock) as hub:
        engine = engine_for(hub, align="America/New_York")
        options = {"token": hub.token(), "time_source": clock, "clock": "event"}
        with tw.connect(hub.url, engine=engine, **options) as client, client.events() as events:
            clock.sleep(120.0)
            assert not any(isinstance(event, tw.events.DaylightTransition) for event in events.poll())
