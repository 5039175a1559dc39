"""Health by example and by property: every row of the table, and the states. `test_health_link.py` has quiet
markets, frozen feeds, and when a link is left.

The rows are tried as the table in the documentation has them, and the table is compared with the code.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effort import examples
from health_signals import FINE, having, once, signals
from tickwire import health as health_module
from tickwire import health_terms
from tickwire.errors import ConfigError
from tickwire.health import TERMS, Health, HealthModel, HealthSettings, Signals, Term

PAGE = Path(__file__).resolve().parents[1] / "docs" / "health.md"


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
    text = re.sub(r"\s+", " ", PAGE.read_text() + (health_module.__doc__ or ""))
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
        f"healthy below {s.degraded_below:g} for {s.worse_after_s:g} s → degraded",
        f"degraded below {s.unhealthy_below:g} for {s.worse_after_s:g} s → unhealthy {s.healthy_from:g} or more for "
        f"{s.better_after_s:g} s → healthy",
        f"unhealthy below {s.down_below:g} for {s.worse_after_s:g} s → down {s.degraded_from:g} or more for "
        f"{s.better_after_s:g} s → degraded",
        f"down not connected: at once {s.unhealthy_from:g} or more for {s.better_after_s:g} s → unhealthy",
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


@settings(max_examples=examples(150))
@given(ANY)
def test_scores_lie_between_0_and_100(measured: Signals) -> None:
    health = once(measured)
    assert 0 <= health.score <= health.link_score <= 100
    assert all(reason.deduction > 0 for reason in health.reasons)
    assert (health.score == 100) is (not health.reasons)


@settings(max_examples=examples(150))
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


ONE_TERM = HealthSettings(terms=(Term("breakers", "breakers_open", 0, 100, 100, "{0}"),))


def scored(score: int) -> Signals:
    """Signals with this score, by the settings above."""
    return signals(breakers_open=100 - score)


def test_a_state_changes_only_when_the_score_has_stayed_beyond_its_edge() -> None:
    model = HealthModel(ONE_TERM)
    assert over(model, 0, 10, FINE).state == "healthy"
    assert over(model, 11, 2, scored(70)).state == "healthy"
    assert over(model, 14, 0, scored(76)).state == "healthy"  # which starts the time anew
    assert over(model, 15, 2, scored(70)).state == "healthy"
    assert over(model, 18, 0, scored(70)).state == "degraded"
    # The way to the next worse one takes as long again.
    assert over(model, 19, 2, scored(44)).state == "degraded"
    # Between the two edges, and on the lower one, it stays what it is.
    assert over(model, 22, 50, scored(45)).state == "degraded"
    assert over(model, 73, 46, scored(84)).state == "degraded"
    assert over(model, 120, 14, scored(86)).state == "degraded"
    changed = over(model, 135, 5, scored(86))
    assert (changed.state, changed.state_s) == ("healthy", 5)
    assert over(model, 141, 100, scored(75)).state == "healthy"


def test_a_score_on_an_edge_does_not_flap() -> None:
    model = HealthModel(ONE_TERM)
    model.assess(FINE, 0)
    around = (scored(86), scored(74))
    assert {model.assess(around[second % 2], second).state for second in range(1, 1_000)} == {"healthy"}


def test_it_falls_and_rises_by_as_many_states_as_the_score_says() -> None:
    model = HealthModel(ONE_TERM)
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
    with pytest.raises(ConfigError, match=r"Term\.end of 'x': got 1 to 1, expected two different"):
        Term("x", "rate", 1, 1, 10, "")
    with pytest.raises(ConfigError, match=r"Term\.most of 'x': got -1"):
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
