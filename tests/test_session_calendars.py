"""Sessions of `exchange-calendars`, span by span, and the built-in hours against them."""

from __future__ import annotations

import datetime as dt
import sys

import pytest

import tickwire as tw
from tickwire import sessions

EPOCH = dt.date(1970, 1, 1)
START, END = "2018-01-02", "2026-06-30"
MINUTE_NS = 60 * 10**9

# The library reads columns in a way that a later pandas will change.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

Spans = dict[int, list[tuple[int, int]]]


def known(name: str) -> Spans:
    """The spans of each trading day, by the library."""
    xcals = pytest.importorskip("exchange_calendars", reason="needs the extra [calendars]")
    spans: Spans = {}
    for row in xcals.get_calendar(name, start=START, end=END).schedule.itertuples():
        # What is no time is not even equal to itself.
        has_break = row.break_start == row.break_start
        pairs = (
            [(row.open, row.break_start), (row.break_end, row.close)]
            if has_break
            else [(row.open, row.close)]
        )
        spans[(row.Index.date() - EPOCH).days] = [(first.value, last.value) for first, last in pairs]
    return spans


def spans(session: tw.Session, days: Spans) -> Spans:
    """The spans of a session between the first and the last of some days."""
    table = session.table()
    earliest, latest = min(days), max(days)
    found: Spans = {}
    for day, first, last in zip(
        table.day.tolist(), table.open_ns.tolist(), table.close_ns.tolist(), strict=True
    ):
        if earliest <= day <= latest:
            found.setdefault(day, []).append((first, last))
    return found


@pytest.mark.parametrize("name", ["XNYS", "XLON", "XASX", "CMES", "XEUR", "XTKS", "XHKG", "24/7"])
def test_every_span_of_eight_years(name: str) -> None:
    """Holidays, early closes, late opens, lunch breaks, and hours that have changed."""
    expected = known(name)
    assert spans(sessions.from_exchange_calendars(name, START, END), expected) == expected


@pytest.mark.parametrize(
    ("name", "built_in", "early_minutes"),
    [
        ("XNYS", sessions.NYSE.only("regular"), {180}),
        ("XLON", sessions.LSE.only("regular"), {240}),
        ("XASX", sessions.ASX.only("regular"), {110}),
        ("XEUR", sessions.EUREX.only("regular"), set()),
    ],
)
def test_built_in_hours_on_ordinary_days(name: str, built_in: tw.Session, early_minutes: set[int]) -> None:
    """They differ on holidays, when the library has none, and on early closes, which are that much shorter."""
    expected = known(name)
    found = spans(built_in, expected)
    assert expected.keys() < found.keys()
    differences = {day: expected[day] for day in expected if expected[day] != found[day]}
    assert len(differences) < len(expected) / 50
    assert {day for day, hours in differences.items() if hours[0][0] != found[day][0][0]} == set()
    shorter = {(found[day][0][1] - hours[0][1]) // MINUTE_NS for day, hours in differences.items()}
    assert shorter == early_minutes


def test_futures_differ_by_the_break_that_the_library_does_not_have() -> None:
    """Its CMES trades without a break from 17:00 to 17:00, so the built-in hours lie inside."""
    expected = known("CMES")
    found = spans(sessions.CME, expected)
    full = [day for day, hours in expected.items() if hours[0][1] - hours[0][0] > 22 * 60 * MINUTE_NS]
    assert len(full) > 0.9 * len(expected)
    for day in full:
        assert found[day][0][0] == expected[day][0][0]
        assert found[day][-1][1] < expected[day][0][1]


def test_holidays_for_a_session_of_ones_own() -> None:
    pytest.importorskip("exchange_calendars", reason="needs the extra [calendars]")
    holidays = sessions.from_exchange_calendars("XNYS", START, END).holidays
    assert dt.date(2018, 12, 5) in holidays  # a day of mourning
    session = tw.Session("America/New_York", hours=sessions.NYSE.hours, holidays=holidays)
    noon = int(dt.datetime(2018, 12, 5, 17, tzinfo=dt.UTC).timestamp()) * 10**9
    assert sessions.NYSE.is_open(noon)
    assert not session.is_open(noon)
    assert session.kinds == ("pre", "regular", "post")


def test_what_it_does_not_have() -> None:
    pytest.importorskip("exchange_calendars", reason="needs the extra [calendars]")
    with pytest.raises(tw.ConfigError, match="name: got 'NOWHERE'"):
        sessions.from_exchange_calendars("NOWHERE")
    with pytest.raises(tw.ConfigError, match="name: got 'XNYS' from 2030-01-01 to 2020-01-01"):
        sessions.from_exchange_calendars("XNYS", "2030-01-01", "2020-01-01")


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "exchange_calendars", None)
    with pytest.raises(tw.ConfigError, match=r"pip install \"tickwire\[calendars\]\""):
        sessions.from_exchange_calendars("XNYS")
