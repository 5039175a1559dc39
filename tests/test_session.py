"""Trading hours against wall clocks: another library's time zones, minute by minute."""

from __future__ import annotations

import datetime as dt
import pickle
import threading
from typing import Any

import numpy as np
import polars as pl
import pytest

from tickwire.errors import ConfigError
from tickwire.session import ALWAYS, CME, Session
from tickwire.session_hours import EVERY_DAY

MINUTE_NS = 60 * 10**9
START_NS = int(dt.datetime(2024, 1, 1, tzinfo=dt.UTC).timestamp()) * 10**9
MINUTES = (dt.date(2028, 1, 1) - dt.date(2024, 1, 1)).days * 24 * 60


def ns(text: str) -> int:
    """A moment with its offset, as int ns UTC."""
    moment = dt.datetime.fromisoformat(text)
    assert moment.tzinfo is not None
    return int(moment.timestamp()) * 10**9


def walls(zone: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Weekday (Monday 0) and minute of the day on the wall, for every minute of 2024 to 2027."""
    moments = pl.Series(np.arange(MINUTES, dtype=np.int64) * 60_000 + START_NS // 10**6).cast(
        pl.Datetime("ms", "UTC")
    )
    local = moments.dt.convert_time_zone(zone)
    weekday = local.dt.weekday().to_numpy().astype(np.int64) - 1
    return weekday, local.dt.hour().to_numpy().astype(np.int64) * 60 + local.dt.minute().to_numpy()


def asked(session: Session) -> np.ndarray[Any, Any]:
    return np.fromiter(
        (session.is_open(START_NS + minute * MINUTE_NS) for minute in range(MINUTES)), bool, MINUTES
    )


def clock(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])


def same(session: Session, expected: np.ndarray[Any, Any]) -> None:
    """Every minute, and every change, which must be exactly where the minutes differ."""
    got = asked(session)
    wrong = np.flatnonzero(got != expected)
    where = [str(dt.datetime.fromtimestamp((START_NS + int(m) * MINUTE_NS) / 1e9, dt.UTC)) for m in wrong[:5]]
    assert not where, where
    changes = np.flatnonzero(expected[1:] != expected[:-1]) + 1
    moment, walked = START_NS, []
    for _ in changes:
        following = session.next_change_ns(moment)
        assert following is not None
        assert session.is_open(following) is not session.is_open(following - 1)
        moment = following
        walked.append((moment - START_NS) // MINUTE_NS)
    assert walked == changes.tolist()


def test_cme_every_minute_of_four_years() -> None:
    weekday, minute = walls("America/Chicago")
    closed = (
        (weekday == 5)
        | ((weekday == 6) & (minute < clock("17:00")))
        | ((weekday == 4) & (minute >= clock("16:00")))
        | ((minute >= clock("16:00")) & (minute < clock("17:00")))
    )
    same(CME, ~closed)


def test_london_every_minute_of_four_years() -> None:
    weekday, minute = walls("Europe/London")
    same(
        Session("Europe/London", "08:00", "16:30"),
        (weekday < 5) & (minute >= clock("08:00")) & (minute < clock("16:30")),
    )


def test_sydney_overnight_with_a_break_every_minute_of_four_years() -> None:
    """Where summer is in January, and a night session belongs to the day after it."""
    weekday, minute = walls("Australia/Sydney")
    day = (minute >= clock("09:50")) & (minute < clock("16:30"))
    night = (minute >= clock("17:10")) & np.isin(weekday, (6, 0, 1, 2, 3))
    morning = (minute < clock("07:00")) & (weekday < 5)
    session = Session("Australia/Sydney", "17:10", "16:30", break_start="07:00", break_end="09:50")
    same(session, ((weekday < 5) & (day | morning)) | night)


def test_around_the_clock() -> None:
    for moment in (0, START_NS, ns("2026-03-08T07:30:00+00:00"), 2**63 - 1, -(2**63)):
        assert ALWAYS.is_open(moment)
        assert ALWAYS.next_change_ns(moment) is None
    summer = Session("Europe/London", "00:00", "00:00", days=EVERY_DAY)
    assert summer.is_open(ns("2026-03-29T01:30:00+00:00"))
    assert summer.next_change_ns(START_NS) is None


def test_six_days_without_a_night() -> None:
    """Days that touch are one stretch."""
    session = Session("UTC", "00:00", "24:00", days=("mon", "tue", "wed", "thu", "fri", "sat"))
    assert session.next_change_ns(ns("2026-01-05T00:00:00+00:00")) == ns("2026-01-11T00:00:00+00:00")
    assert session.next_change_ns(ns("2026-01-11T00:00:00+00:00")) == ns("2026-01-12T00:00:00+00:00")


def test_days_from_evening_to_evening() -> None:
    session = Session("America/New_York", "17:00", "17:00")
    moment = ns("2026-01-04T17:00:00-05:00")
    assert session.is_open(moment)
    assert not session.is_open(moment - 1)
    assert session.next_change_ns(moment) == ns("2026-01-09T17:00:00-05:00")


def test_one_day_a_week() -> None:
    session = Session("UTC", "10:00", "11:00", days=("wed",))
    moment = ns("2026-01-07T11:00:00+00:00")
    assert not session.is_open(moment)
    assert session.next_change_ns(moment) == ns("2026-01-14T10:00:00+00:00")


NIGHTS = Session("America/New_York", "02:30", "01:30", days=EVERY_DAY)


def test_a_time_that_is_skipped_is_the_moment_of_the_skip() -> None:
    # 2026-03-08: 02:00 EST is 03:00 EDT, and there is no 02:30.
    skip = ns("2026-03-08T02:00:00-05:00")
    assert NIGHTS.next_change_ns(ns("2026-03-08T01:30:00-05:00")) == skip
    assert not NIGHTS.is_open(skip - 1)
    assert NIGHTS.is_open(skip)
    assert NIGHTS.next_change_ns(skip) == ns("2026-03-09T01:30:00-04:00")


def test_a_time_that_comes_twice_is_the_first() -> None:
    # 2026-11-01: 01:30 EDT, and an hour later 01:30 EST.
    close = ns("2026-11-01T01:30:00-04:00")
    assert NIGHTS.next_change_ns(close - 1) == close
    assert not NIGHTS.is_open(ns("2026-11-01T01:15:00-05:00"))
    assert NIGHTS.next_change_ns(close) == ns("2026-11-01T02:30:00-05:00")


def test_hours_that_are_skipped_altogether_are_none() -> None:
    session = Session("America/New_York", "02:10", "02:50", days=("sun",))
    for moment in ("2026-03-01T02:50:00-05:00", "2026-03-08T12:00:00-04:00"):
        assert not session.is_open(ns(moment))
        assert session.next_change_ns(ns(moment)) == ns("2026-03-15T02:10:00-04:00")


def test_a_transition_by_half_an_hour() -> None:
    # Lord Howe Island goes from 02:00 (+10:30) to 02:30 (+11:00) on 2026-10-04.
    session = Session("Australia/Lord_Howe", "02:15", "05:00", days=("sun",))
    assert session.next_change_ns(ns("2026-10-03T12:00:00+00:00")) == ns("2026-10-04T02:00:00+10:30")


def test_from_many_threads() -> None:
    session = Session("America/Chicago", "17:00", "16:00")
    moments = [START_NS + hour * 60 * MINUTE_NS for hour in range(24 * 60)]
    expected = [CME.is_open(moment) for moment in moments]
    wrong: list[int] = []

    def ask(step: int) -> None:
        for index in range(step, 20 * len(moments), 7):
            at = index % len(moments)
            if session.is_open(moments[at]) is not expected[at]:
                wrong.append(at)

    threads = [threading.Thread(target=ask, args=(step,)) for step in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong


def test_a_session_is_a_value() -> None:
    again = Session("America/Chicago", "17:00", "16:00")
    again.is_open(START_NS)
    assert again == CME
    assert hash(again) == hash(CME)
    assert pickle.loads(pickle.dumps(again)) == CME
    assert repr(CME) == (
        "Session(zone='America/Chicago', open='17:00', close='16:00', days=('mon', 'tue', 'wed', 'thu', 'fri'), "
        "break_start=None, break_end=None)"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"zone": "Chicago"}, "zone: got 'Chicago', expected a time zone"),
        ({"zone": "../etc/passwd"}, "zone: got"),
        ({"zone": None}, "zone: got None"),
        ({"open": "5pm"}, "open: got '5pm', expected a time of day"),
        ({"open": "08:60"}, "open: got '08:60'"),
        ({"close": "24:01"}, "close: got '24:01'"),
        ({"close": 16}, "close: got 16"),
        ({"days": ()}, r"days: got \(\), expected some of mon"),
        ({"days": ("monday",)}, "days: got"),
        ({"days": "mon"}, "days: got 'mon', expected a list such as"),
        ({"break_start": "12:00"}, "got one end of the break"),
        (
            {"break_start": "12:00", "break_end": "12:00"},
            "break from 12:00 to 12:00, expected one inside 08:00 to 16:30",
        ),
        ({"break_start": "07:00", "break_end": "09:00"}, "break from 07:00"),
        ({"break_start": "16:00", "break_end": "16:30"}, "break from 16:00"),
    ],
)
def test_hours_that_cannot_be_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Session(**{"zone": "Europe/London", "open": "08:00", "close": "16:30"} | changes)
