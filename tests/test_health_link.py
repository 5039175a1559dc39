"""Quiet markets, frozen feeds, and when a bad link is left for a new one."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import random
import re
import zoneinfo
from collections.abc import Iterator
from typing import Any

import pytest

from effort import LONG
from health_signals import FINE, once, signals
from tickwire.health import TERMS, HealthModel, Signals
from tickwire.sessions import CME

HOUR_S = 3_600.0

# Quiet markets and frozen feeds


class Link:
    """A link as a client sees it: the hub pings after 15 s of silence, the client every 10 s."""

    def __init__(self) -> None:
        self.frame_s = self.hub_ping_s = self.ping_s = 0.0
        self.unanswered_s: float | None = None
        self.frozen = False

    def step(self, now_s: float, *, data: bool) -> dict[str, Any]:
        if not self.frozen:
            if data or now_s - self.frame_s >= 15:
                self.frame_s = now_s
            self.unanswered_s = None
        if now_s - self.ping_s >= 10:
            self.ping_s = now_s
            if not self.frozen:
                self.frame_s = now_s
            elif self.unanswered_s is None:
                self.unanswered_s = now_s
        return {
            "frame_age_s": now_s - self.frame_s,
            "ping_age_s": None if self.unanswered_s is None else now_s - self.unanswered_s,
        }


def test_breaks_and_a_weekend_are_healthy() -> None:
    """CME around its daily break, its weekend's beginning, middle and end: trades while it is open, nothing
    but pings while it is closed.
    """
    model, link = HealthModel(), Link()
    thursday = dt.datetime(2026, 2, 26, 15, tzinfo=zoneinfo.ZoneInfo("America/Chicago"))
    start_ns = int(thursday.timestamp()) * 10**9
    seen = []
    for hour in (*range(3), *range(24, 27), 48, *range(72, 75)):
        for second in range(hour * 3_600, hour * 3_600 + 3_600, 3):
            now_s, is_open = float(second), CME.is_open(start_ns + second * 10**9)
            measured = signals(
                **link.step(now_s, data=is_open),
                session_open=is_open,
                rate=80.0 if is_open else 0.0,
                connected_s=now_s,
            )
            health = model.assess(measured, now_s)
            # After hours without a look, nothing has been heard either.
            if second != hour * 3_600:
                assert (health.state, health.score) == ("healthy", 100), second
            assert model.wants_reconnect(now_s) is None
            if seen[-1:] != [is_open]:
                seen.append(is_open)
    assert seen == [True, False, True, False, True]


def test_an_open_but_silent_market_costs_little_and_no_reconnect() -> None:
    model, link = HealthModel(), Link()
    for second in range(3_600):
        health = model.assess(signals(**link.step(float(second), data=False), rate=0.0), float(second))
        assert (health.state, health.score) == ("healthy", 90)
        assert model.wants_reconnect(float(second)) is None


def test_a_frozen_feed_goes_down_although_the_connection_stands() -> None:
    """No frame comes and no pong, for minutes; it must not look healthy."""
    model, link = HealthModel(), Link()
    states, asked = [], []
    for second in range(200):
        link.frozen = second >= 100
        # As often as not, the session says that the market is closed: that is no excuse for a dead link.
        measured = signals(**link.step(float(second), data=True), session_open=False)
        states.append(model.assess(measured, float(second)).state)
        asked.append(model.wants_reconnect(float(second)))
    assert set(states[:100]) == {"healthy"}
    assert states[130:] == ["down"] * 70
    (reason,) = filter(None, asked[:170])
    assert re.fullmatch(r"a ping was not answered for .* s; nothing at all was heard for .* s", reason)


# Leaving a bad link

BAD_LINK = signals(round_trip_s=4.5)


def wishes(model: HealthModel, start_s: float, length_s: float, measured: Signals) -> list[float]:
    found = []
    for step in range(round(length_s) + 1):
        model.assess(measured, start_s + step)
        if model.wants_reconnect(start_s + step) is not None:
            found.append(start_s + step)
    return found


def test_a_bad_link_is_left_after_a_while_and_then_more_and_more_seldom() -> None:
    model = HealthModel()
    assert once(BAD_LINK).link_score < 50
    assert wishes(model, 0, 100, FINE) == []
    found = wishes(model, 101, 2 * HOUR_S, BAD_LINK)
    assert found[0] == 106
    gaps = [following - one for one, following in itertools.pairwise(found)]
    assert gaps == [60, 120, 240, 480, 960, 1_800, 1_800]


def test_a_good_link_for_long_starts_the_cool_down_anew() -> None:
    model = HealthModel()
    assert len(wishes(model, 0, 300, BAD_LINK)) == 3
    assert wishes(model, 301, 1_802, FINE) == []
    found = wishes(model, 2_104, 100, BAD_LINK)
    assert [moment - found[0] for moment in found] == [0, 60]


@pytest.mark.parametrize("how", ["not connected", "not looked"])
def test_time_that_proves_nothing_does_not(how: str) -> None:
    model = HealthModel()
    assert len(wishes(model, 0, 300, BAD_LINK)) == 3
    assert wishes(model, 301, 10, FINE) == []
    assert wishes(model, 312, 2_000 if how == "not connected" else 0, signals(connected=False)) == []
    assert wishes(model, 2_313, 10, FINE) == []
    found = wishes(model, 2_324, 1_000, BAD_LINK)
    # The cool-down goes on from where it was: 240 s was the last.
    assert found[1] - found[0] == 480


def test_a_short_dip_is_no_reason() -> None:
    model = HealthModel()
    for start in range(0, 1_000, 10):
        assert wishes(model, start, 4, BAD_LINK) == []
        assert wishes(model, start + 5, 4, FINE) == []


def test_a_young_connection_is_given_time() -> None:
    model = HealthModel()
    for age in range(60):
        model.assess(dataclasses.replace(BAD_LINK, connected_s=float(age)), float(age))
        assert model.wants_reconnect(float(age)) is None
    model.assess(dataclasses.replace(BAD_LINK, connected_s=60.0), 60.0)
    assert model.wants_reconnect(60.0) == "a ping takes 4.5 s to come back"


def test_a_client_that_was_held_up_does_not_blame_the_link() -> None:
    """A strategy that holds the interpreter makes pings late and looks late."""
    model = HealthModel()
    assert wishes(model, 0, 100, FINE) == []
    assert wishes(model, 112, 30, BAD_LINK) == []
    assert wishes(model, 143, 100, FINE) == []


def test_without_a_connection_there_is_nothing_to_leave() -> None:
    assert wishes(HealthModel(), 0, 1_000, signals(connected=False)) == []


NOT_THE_LINK = [term for term in TERMS if not term.link]


def test_nothing_but_the_link_causes_a_reconnect() -> None:
    """Everything else as bad as can be, for an hour."""
    worst = {
        "clock_offset_s" if t.signal == "clock_error_s" else t.signal: t.end
        for t in NOT_THE_LINK
        if t.signal != "rate_ratio"
    }
    measured = signals(**worst, rate=0.0)
    health = once(measured)
    assert (health.score, health.link_score) == (0, 100)
    assert {reason.cause for reason in health.reasons} == {term.cause for term in NOT_THE_LINK}
    assert wishes(HealthModel(), 0, HOUR_S, measured) == []


def wandering(rng: random.Random, length_s: int) -> Iterator[Signals]:
    """Every signal random for random times, connections that come and go."""
    measured, until_s, connected_at = FINE, 0.0, 0
    for second in range(0, length_s, 3):
        if second >= until_s:
            until_s = second + rng.expovariate(1 / rng.choice([3, 30, 300, 3_000]))
            was = measured.connected
            measured = Signals(
                connected=rng.random() < 0.9,
                session_open=rng.random() < 0.7,
                round_trip_s=rng.expovariate(1 / rng.choice([0.05, 1, 5])),
                ping_age_s=rng.choice([None, rng.uniform(0, 30)]),
                frame_age_s=rng.choice([rng.uniform(0, 15), rng.uniform(0, 40)]),
                delay_p50_s=rng.expovariate(10),
                rate=rng.expovariate(1 / 50),
                rate_normal=50.0,
                reconnects=rng.randrange(6),
                breakers_open=rng.randrange(4),
            )
            if measured.connected and not was:
                connected_at = second
        yield dataclasses.replace(measured, connected_s=float(second - connected_at))


@pytest.mark.parametrize("seed", range(10 if LONG else 2))
def test_48_hours_of_anything_cause_no_storm(seed: int) -> None:
    model, rng = HealthModel(), random.Random(seed)
    asked: list[float] = []
    length_s = 48 * 3_600
    for second, measured in zip(range(0, length_s, 3), wandering(rng, length_s), strict=True):
        health = model.assess(measured, float(second))
        assert (health.state == "down") or measured.connected
        if model.wants_reconnect(float(second)) is not None:
            assert measured.connected
            assert measured.connected_s >= 60
            asked.append(float(second))
    assert asked
    assert all(following - one >= 60 for one, following in itertools.pairwise(asked))
    # The cool-down grows unless the link was good for half an hour on end.
    for start in range(0, length_s, 3_600):
        assert sum(start <= moment < start + 3_600 for moment in asked) <= 6
