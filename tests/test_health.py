"""Health by example and by property: every row of the table, states, and when a link is left.

The rows are tried as the table in the documentation has them, and the table is compared with the code.
"""

from __future__ import annotations

import dataclasses
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effort import LONG, examples
from tickwire import health_terms
from tickwire.errors import ConfigError
from tickwire.health import TERMS, Health, HealthModel, HealthSettings, Signals, Term
from tickwire.session import CME

PAGE = Path(__file__).resolve().parents[1] / "docs" / "health.md"
FINE = Signals(
    connected=True,
    connected_s=3_600.0,
    round_trip_s=0.05,
    ping_age_s=0.0,
    frame_age_s=0.2,
    delay_p50_s=1e-4,
    delay_p99_s=2e-3,
    event_delay_s=0.1,
    clock_offset_s=-0.01,
    rate=100.0,
    rate_normal=90.0,
    malformed_share=0.0,
    callback_error_share=0.0,
    buffer_fill=0.1,
    queue_fill=0.0,
    shed_share=0.0,
)
HOUR_S = 3_600.0


def signals(**changes: Any) -> Signals:
    return dataclasses.replace(FINE, **changes)


def having(signal: str, value: float, **changes: Any) -> Signals:
    """Fine, but for one signal of the table."""
    if signal == "rate_ratio":
        return signals(rate=value * 10.0, rate_normal=10.0, **changes)
    if signal == "clock_error_s":
        return signals(clock_offset_s=-value, **changes)
    return signals(**{signal: value} | changes)


def once(measured: Signals) -> Health:
    return HealthModel().assess(measured, 0.0)


def over(
    model: HealthModel, start_s: float, length_s: float, measured: Signals, step_s: float = 1.0
) -> Health:
    """Assess the same every second, from `start_s` to `start_s + length_s`."""
    last = model.assess(measured, start_s)
    for step in range(1, round(length_s / step_s) + 1):
        last = model.assess(measured, start_s + step * step_s)
    return last


# The table


def rows(text: str) -> list[list[str]]:
    cells = [
        [cell.strip(" `") for cell in line.split("|")[1:-1]] for line in text.splitlines() if line[:1] == "|"
    ]
    return [row for row in cells if len(row) == 7][2:]


@pytest.mark.parametrize("text", [PAGE.read_text(), health_terms.__doc__ or ""], ids=["page", "docstring"])
def test_the_table_says_what_the_code_does(text: str) -> None:
    words = {True: "yes", False: "no"}
    assert rows(text) == [
        [t.cause, t.signal, f"{t.start:g}", f"{t.end:g}", f"{t.most:g}", words[t.link], words[t.open_only]]
        for t in TERMS
    ]


def test_the_numbers_in_the_text_are_the_settings() -> None:
    """Those of the page, spelled as `{name}`; and the states' table of the module."""
    text = re.sub(r"\s+", " ", PAGE.read_text())
    s = HealthSettings()
    for words in (
        f"healthy | below {s.degraded_below:g} for {s.worse_after_s:g} s | |",
        f"degraded | below {s.unhealthy_below:g} for {s.worse_after_s:g} s | {s.healthy_from:g} or more",
        f"unhealthy | below {s.down_below:g} for {s.worse_after_s:g} s | {s.degraded_from:g} or more",
        f"{s.unhealthy_from:g} or more for {s.better_after_s:g} s",
        f"below {s.reconnect_below:g} for {s.reconnect_after_s:g} s",
        f"at least {s.settle_s:g} s old",
        f"cool-down is {s.cool_down_s:g} s",
        f"up to {s.cool_down_max_s / 60:g} minutes",
        f"more than {s.look_s:g} s apart",
    ):
        assert words in text, words


def test_every_signal_is_explained_on_the_page() -> None:
    text = PAGE.read_text()
    for field in dataclasses.fields(Signals):
        assert re.search(rf"^- .*`{field.name}`.*: ", text, re.MULTILINE), field.name


@pytest.mark.parametrize("term", TERMS, ids=lambda term: term.cause)
def test_each_term_deducts_as_the_table_says_and_nothing_else_does(term: Term) -> None:
    assert once(FINE).score == once(having(term.signal, term.start)).score == 100
    beyond = term.end + (term.end - term.start)
    cases = [((term.start + term.end) / 2, term.most / 2), (term.end, term.most)]
    if beyond >= 0:
        cases.append((beyond, term.most))
    for value, deduction in cases:
        health = once(having(term.signal, value))
        assert [(reason.cause, reason.deduction) for reason in health.reasons] == [
            (term.cause, pytest.approx(deduction))
        ]
        assert health.score == pytest.approx(100 - deduction)
        assert health.link_score == pytest.approx(100 - deduction if term.link else 100)
        assert "{" not in health.reasons[0].words
        closed = once(having(term.signal, value, session_open=False))
        assert closed.score == (100 if term.open_only else health.score)


def test_reasons_are_in_words_and_the_heaviest_is_first() -> None:
    health = once(signals(round_trip_s=1.234, breakers_open=2, malformed_share=0.1, rate=0.0))
    assert [reason.words for reason in health.reasons] == [
        "10.00% of the records could not be read",
        "2 circuit breakers are not closed",
        "a ping takes 1.23 s to come back",
        "messages come at 0% of the usual rate",
    ]
    assert health.score == pytest.approx(100 - sum(reason.deduction for reason in health.reasons))


def test_what_was_not_measured_deducts_nothing() -> None:
    assert once(Signals(connected=True)).reasons == ()


def test_without_a_connection_it_is_down_at_zero() -> None:
    health = once(signals(connected=False, why="the hub refused"))
    assert (health.score, health.link_score, health.state) == (0, 0, "down")
    assert health.reasons == (("connection", 100.0, "not connected: the hub refused"),)
    assert once(Signals(connected=False)).reasons[0].words == "not connected"


# Properties

FIELDS = {
    "session_open": st.booleans(),
    "connected_s": st.floats(0, 1e6),
    **{
        name: st.none() | st.floats(0, 1e4)
        for name in ("round_trip_s", "ping_age_s", "frame_age_s", "rate_normal", "rate")
    },
    **{
        name: st.none() | st.floats(-10, 100)
        for name in ("delay_p50_s", "delay_p99_s", "event_delay_s", "clock_offset_s")
    },
    **{
        name: st.none() | st.floats(0, 1)
        for name in ("malformed_share", "callback_error_share", "buffer_fill", "queue_fill", "shed_share")
    },
    **{name: st.integers(0, 50) for name in ("reconnects", "breakers_open", "token_failures")},
}
ANY = st.builds(Signals, connected=st.sampled_from([True, True, True, False]), **FIELDS)


@settings(max_examples=examples(300))
@given(ANY)
def test_scores_lie_between_0_and_100(measured: Signals) -> None:
    health = once(measured)
    assert 0 <= health.score <= health.link_score <= 100
    assert all(reason.deduction > 0 for reason in health.reasons)
    assert (health.score == 100) is (not health.reasons)


@settings(max_examples=examples(300))
@given(ANY, st.sampled_from(TERMS), st.floats(0, 100), st.floats(0, 100))
def test_the_score_never_gets_better_as_a_signal_gets_worse(
    measured: Signals, term: Term, one: float, other: float
) -> None:
    better, worse = sorted((one, other), reverse=term.end < term.start)
    base = dataclasses.asdict(measured)

    def at(value: float) -> Health:
        if term.signal == "rate_ratio":
            return once(Signals(**base | {"rate": value, "rate_normal": 50.0}))
        name = "clock_offset_s" if term.signal == "clock_error_s" else term.signal
        return once(Signals(**base | {name: value}))

    assert at(better).score >= at(worse).score
    assert at(better).link_score >= at(worse).link_score


# States


def scored(score: float) -> Signals:
    """Signals with this score, none of it the link's."""
    left = 100 - score
    values: dict[str, float] = {}
    for term in TERMS:
        if not term.link and not term.open_only and left > 0:
            part = min(left / term.most, 1.0)
            name = "clock_offset_s" if term.signal == "clock_error_s" else term.signal
            values[name] = term.start + part * (term.end - term.start)
            left -= part * term.most
    made = signals(**values)
    assert once(made).score == pytest.approx(score)
    return made


def test_a_state_changes_only_when_the_score_has_stayed_beyond_its_edge() -> None:
    model = HealthModel()
    assert over(model, 0, 10, FINE).state == "healthy"
    assert over(model, 11, 2, scored(70)).state == "healthy"
    assert over(model, 14, 0, scored(76)).state == "healthy"  # which starts the time anew
    assert over(model, 15, 2, scored(70)).state == "healthy"
    assert over(model, 18, 0, scored(70)).state == "degraded"
    # Between the two edges it stays what it is.
    assert over(model, 19, 100, scored(84)).state == "degraded"
    assert over(model, 120, 14, scored(86)).state == "degraded"
    changed = over(model, 135, 5, scored(86))
    assert (changed.state, changed.state_s) == ("healthy", 5)
    assert over(model, 141, 100, scored(76)).state == "healthy"


def test_a_score_on_an_edge_does_not_flap() -> None:
    model, states = HealthModel(), []
    model.assess(FINE, 0)
    for second in range(1, 1_000):
        states.append(model.assess(scored(74 if second % 2 else 86), second).state)
    assert set(states) == {"healthy"}


def test_it_falls_and_rises_by_as_many_states_as_the_score_says() -> None:
    model = HealthModel()
    over(model, 0, 1, FINE)
    assert over(model, 2, 3, scored(5)).state == "down"
    assert over(model, 6, 14, scored(100)).state == "down"
    assert over(model, 21, 0, scored(60)).state == "degraded"
    assert over(model, 22, 3, scored(15)).state == "unhealthy"
    assert over(model, 26, 100, scored(50)).state == "unhealthy"
    assert over(model, 127, 15, scored(55)).state == "degraded"


def test_a_lost_connection_is_down_at_once_and_a_new_one_is_judged_by_itself() -> None:
    model = HealthModel()
    lost = signals(connected=False)
    assert model.assess(lost, 0).state == "down"
    assert model.assess(FINE, 1).state == "healthy"
    assert model.assess(lost, 2).state == "down"
    assert model.assess(signals(reconnects=5), 3).state == "degraded"
    assert over(model, 4, 14, FINE).state == "degraded"
    health = model.assess(FINE, 19)
    assert (health.state, health.state_s) == ("healthy", 0)


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


def test_a_weekend_and_the_breaks_of_a_week_are_healthy() -> None:
    """A week of CME from Thursday: trades while it is open, nothing but pings while it is closed."""
    model, link = HealthModel(), Link()
    start_ns = 1_772_000_000 * 10**9
    openings = set()
    for second in range(0, 7 * 86_400, 2):
        is_open = CME.is_open(start_ns + second * 10**9)
        openings.add(is_open)
        measured = signals(
            **link.step(float(second), data=is_open),
            session_open=is_open,
            rate=80.0 if is_open else 0.0,
            connected_s=float(second),
        )
        health = model.assess(measured, float(second))
        assert (health.state, health.score) == ("healthy", 100), second
        assert model.wants_reconnect(float(second)) is None
    assert openings == {True, False}


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
    gaps = [following - one for one, following in zip(found, found[1:], strict=False)]
    assert gaps == [60, 120, 240, 480, 960, 1_800, 1_800]


def test_a_good_link_for_long_starts_the_cool_down_anew() -> None:
    model = HealthModel()
    assert len(wishes(model, 0, 300, BAD_LINK)) == 3
    assert wishes(model, 301, 1_802, FINE) == []
    found = wishes(model, 2_104, 100, BAD_LINK)
    assert [moment - found[0] for moment in found] == [0, 60]


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
    for second in range(0, length_s, 2):
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
    for second, measured in zip(range(0, length_s, 2), wandering(rng, length_s), strict=True):
        health = model.assess(measured, float(second))
        assert (health.state == "down") or measured.connected
        if model.wants_reconnect(float(second)) is not None:
            assert measured.connected
            assert measured.connected_s >= 60
            asked.append(float(second))
    assert asked
    assert all(following - one >= 60 for one, following in zip(asked, asked[1:], strict=False))
    # The cool-down grows unless the link was good for half an hour on end.
    for start in range(0, length_s, 3_600):
        assert sum(start <= moment < start + 3_600 for moment in asked) <= 6


# Settings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"worse_after_s": 0}, "worse_after_s: got 0, expected a finite number above zero"),
        ({"healthy_from": 75.0}, r"healthy_from: got 75\.0, expected more than degraded_below"),
        ({"healthy_from": 101.0}, r"healthy_from: got 101\.0"),
        ({"down_below": 30.0}, r"unhealthy_from: got 20\.0, expected more than down_below \(30\.0\)"),
        ({"cool_down_max_s": 10.0}, r"cool_down_max_s: got 10\.0, expected at least cool_down_s \(60\.0\)"),
        ({"terms": list(TERMS)}, "terms: got .*, expected a tuple of Term"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        HealthSettings(**changes)


def test_terms_that_cannot_work_are_refused() -> None:
    with pytest.raises(ConfigError, match="signal: got 'mood', expected an attribute of Signals"):
        Term("mood", "mood", 0, 1, 10, "")
    with pytest.raises(ConfigError, match="Term.end of 'x': got 1 to 1, expected two different"):
        Term("x", "rate", 1, 1, 10, "")
    with pytest.raises(ConfigError, match="Term.most of 'x': got -1"):
        Term("x", "rate", 1, 2, -1, "")


def test_a_signal_that_is_no_number_is_refused() -> None:
    with pytest.raises(ConfigError, match="rate: got NaN, expected a number"):
        signals(rate=float("nan"))


def test_a_model_of_wrong_parts_is_refused() -> None:
    with pytest.raises(ConfigError, match="settings: got 5"):
        HealthModel(5)  # type: ignore[arg-type]


def test_other_weights() -> None:
    heavier = (Term("breakers", "breakers_open", 0, 1, 80, "{0}"),)
    model = HealthModel(HealthSettings(terms=heavier))
    assert model.assess(signals(breakers_open=1, round_trip_s=5.0), 0).score == 20
