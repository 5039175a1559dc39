"""All hours as columns: any rules, against a wall that is looked at minute by minute."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import tickwire as tw
from effort import examples
from tickwire.session_hours import EVERY_DAY

EPOCH = dt.date(1970, 1, 1)
MINUTE_NS = 60 * 10**9
# Transitions by an hour, by half an hour, at midnight, and a day that was left out.
ZONES = (
    ("America/New_York", dt.date(2026, 3, 8)),
    ("America/New_York", dt.date(2026, 11, 1)),
    ("Europe/London", dt.date(2026, 10, 25)),
    ("Australia/Sydney", dt.date(2026, 4, 5)),
    ("Australia/Lord_Howe", dt.date(2026, 4, 5)),
    ("Australia/Lord_Howe", dt.date(2026, 10, 4)),
    ("America/Havana", dt.date(2024, 3, 10)),
    ("America/Havana", dt.date(2024, 11, 3)),
    ("America/Asuncion", dt.date(2023, 10, 1)),
    ("Pacific/Apia", dt.date(2011, 12, 30)),
    ("Asia/Kolkata", dt.date(2026, 1, 1)),
)


def number(day: dt.date) -> int:
    return (day - EPOCH).days


def wall_ns(zone: str, local_minutes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The first minute at which the wall shows each time or a later one: by looking at every minute."""
    first = int(local_minutes.min()) - 3 * 1440
    utc = np.arange(first, int(local_minutes.max()) + 3 * 1440)
    shown = (
        pl.Series(utc * 60_000)
        .cast(pl.Datetime("ms", "UTC"))
        .dt.convert_time_zone(zone)
        .dt.replace_time_zone(None)
        .dt.timestamp("ms")
        .to_numpy()
        // 60_000
    )
    at = [int(np.argmax(shown >= minute)) for minute in local_minutes]
    return utc[at] * MINUTE_NS


def naive(zone: str, hours: list[tw.Hours], first: int, last: int) -> list[tuple[int, int, int, str]]:
    """Spans, days and kinds of the trading days from `first` to `last`, ascending."""
    rows = []
    for day in range(first, last + 1):
        date = EPOCH + dt.timedelta(day)
        for one in hours:
            if EVERY_DAY[date.weekday()] not in one.days:
                continue
            begin, end = (int(text[:2]) * 60 + int(text[3:]) for text in (one.open, one.close))
            if end <= begin:
                begin -= 1440
            midnight = (day - one.days_before) * 1440
            rows.append((midnight + begin, midnight + end, day, one.kind))
    opens, closes = (wall_ns(zone, np.array([row[at] for row in rows], np.int64)).tolist() for at in (0, 1))
    spans = [(begin, end, row[2], row[3]) for begin, end, row in zip(opens, closes, rows, strict=True)]
    return sorted(span for span in spans if span[0] < span[1])


@st.composite
def weeks(draw: st.DrawFn) -> list[tw.Hours]:
    """One to three parts of a trading day, apart, which may begin the evening before."""
    minutes = draw(st.lists(st.integers(-420, 1019), min_size=2, max_size=6, unique=True).map(sorted))
    days = tuple(draw(st.lists(st.sampled_from(EVERY_DAY), min_size=1, max_size=7, unique=True)))
    kinds = ("early", "regular", "late")
    parts = list(zip(minutes[::2], minutes[1::2], kinds, strict=False))

    def text(minute: int) -> str:
        return f"{minute % 1440 // 60:02d}:{minute % 60:02d}"

    return [
        tw.Hours(
            text(begin),
            "24:00" if end == 0 else text(end),
            kind=kind,
            days=days,
            days_before=int(end <= 0),
        )
        for begin, end, kind in parts
    ]


@settings(max_examples=examples(40), deadline=None)
@given(hours=weeks(), place=st.sampled_from(ZONES))
def test_any_hours_around_transitions(hours: list[tw.Hours], place: tuple[str, dt.date]) -> None:
    zone, date = place
    session = tw.Session(zone, hours=hours)
    table = session.table()
    first, last = number(date) - 9, number(date) + 9
    rows = (table.day >= first) & (table.day <= last)
    kinds = [table.kinds[kind] for kind in table.kind[rows]]
    found = zip(table.open_ns[rows], table.close_ns[rows], table.day[rows], kinds, strict=True)
    assert list(found) == naive(zone, hours, first, last)


@settings(max_examples=examples(30), deadline=None)
@given(hours=weeks(), place=st.sampled_from(ZONES), special=st.data())
def test_tables_are_ascending_and_agree_with_moments(
    hours: list[tw.Hours], place: tuple[str, dt.date], special: Any
) -> None:
    zone, date = place
    holidays = special.draw(
        st.lists(st.integers(-12, 12).map(lambda n: date + dt.timedelta(n)), unique=True, max_size=4)
    )
    session = tw.Session(zone, hours=hours, holidays=holidays)
    table = session.table()
    assert (table.open_ns < table.close_ns).all()
    assert (table.close_ns[:-1] <= table.open_ns[1:]).all()
    assert (np.diff(table.day) >= 0).all()
    assert not np.isin(table.day, [number(day) for day in holidays]).any()
    changes = table.changes_ns()
    begin = number(date) * 86_400 * 10**9
    offsets = special.draw(st.lists(st.integers(-15 * 1440, 15 * 1440), min_size=1, max_size=20))
    near = changes[np.abs(changes - begin) < 12 * 86_400 * 10**9].tolist()
    for ts in [begin + offset * MINUTE_NS for offset in offsets] + near:
        assert session.is_open(ts) is bool(table.holds([ts])[0])
        following = np.searchsorted(changes, ts, "right")
        assert session.next_change_ns(ts) == changes[following]


def test_columns_are_shared_and_read_only() -> None:
    table = tw.CME.table()
    assert tw.CME.table() is table
    assert [column.dtype for column in (table.open_ns, table.close_ns, table.day)] == [np.int64] * 3
    with pytest.raises(ValueError, match="read-only"):
        table.open_ns[0] = 0
    years = [dt.date(1970, 1, 1) + dt.timedelta(int(table.day[at])) for at in (0, -1)]
    assert years == [dt.date(1970, 1, 1), dt.date(2100, 12, 31)]


def test_spans_of_times() -> None:
    table = tw.CME.table()
    row = 20_000
    times = [table.open_ns[row] - 1, table.open_ns[row], table.close_ns[row] - 1, table.close_ns[row]]
    assert table.span_of(times).tolist() == [-1, row, row, -1]
    assert table.span_of(np.array(times).view("datetime64[ns]")).tolist() == [-1, row, row, -1]
    assert table.span_of([]).tolist() == []
    assert table.holds([-(2**63), 2**63 - 1]).tolist() == [False, False]
    with pytest.raises(tw.DataError, match="ts_ns: got dtype float64"):
        table.holds([1.5])


def test_years_that_a_table_cannot_have() -> None:
    assert len(tw.ALWAYS.table(2024, 2024)) == 366
    with pytest.raises(tw.ConfigError, match="last_year: got 2300, expected a year from 1678 to 2261"):
        tw.CME.table(2000, 2300)
    with pytest.raises(tw.ConfigError, match="first_year: got '2000'"):
        tw.CME.table("2000")  # type: ignore[arg-type]  # what is tested


def test_a_night_that_belongs_to_the_monday_after() -> None:
    night = {"kind": "night", "days": ("tue", "wed", "thu", "fri")}
    session = tw.Session(
        "Australia/Sydney",
        hours=[
            tw.Hours("17:10", "07:00", **night),  # type: ignore[arg-type]  # one dict for two calls
            tw.Hours("17:10", "07:00", kind="night", days=("mon",), days_before=2),
            tw.Hours("09:50", "16:30"),
        ],
    )
    table = session.table()
    day = number(dt.date(2026, 1, 12))
    rows = np.flatnonzero(table.day == day)
    opens = [str(np.datetime64(int(ns), "ns")) for ns in table.open_ns[rows]]
    assert opens == ["2026-01-09T06:10:00.000000000", "2026-01-11T22:50:00.000000000"]
    # The 9th was a Friday; its evening is of Monday the 12th, and Saturday and Sunday have nothing.
    assert table.day[rows[0] - 1] == number(dt.date(2026, 1, 9))
