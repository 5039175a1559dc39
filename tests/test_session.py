"""Trading hours against wall clocks: another library's time zones, minute by minute."""

from __future__ import annotations

import dataclasses
import datetime as dt
import pickle
import threading
from typing import Any

import numpy as np
import polars as pl
import pytest

from tickwire.errors import ConfigError
from tickwire.session import Session
from tickwire.session_hours import EVERY_DAY, Hours
from tickwire.sessions import ALWAYS, CME

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
    again = Session("America/Chicago", hours=CME.hours)
    again.is_open(START_NS)
    assert again == CME
    assert hash(again) == hash(CME)
    assert pickle.loads(pickle.dumps(again)) == CME
    london = Session("Europe/London", "08:00", "16:30", holidays=["2026-12-25"])
    assert london == Session(
        "Europe/London", hours=[Hours("08:00", "16:30")], holidays=[dt.date(2026, 12, 25)]
    )
    assert repr(london) == (
        "Session(zone='Europe/London', hours=(Hours(open='08:00', close='16:30', kind='regular', "
        "days=('mon', 'tue', 'wed', 'thu', 'fri'), days_before=0, since=None, until=None),), "
        "special=((datetime.date(2026, 12, 25), ()),))"
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
        ({"open": None}, "got open=None and close='16:30', expected both, or hours"),
        ({"open": None, "close": None}, "got no hours, expected open and close"),
        ({"hours": [Hours("08:00", "09:00")]}, "got open or close beside hours"),
        ({"open": None, "close": None, "hours": ["08:00"]}, "hours: got '08:00', expected tickwire.Hours"),
        ({"holidays": "2026-12-25"}, "holidays: got '2026-12-25', expected dates such as"),
        ({"holidays": ["Christmas"]}, "holidays: got 'Christmas', expected a date such as"),
        (
            {"holidays": ["2026-12-25"], "early_closes": {"2026-12-25": "12:30"}},
            "early_closes: got 2026-12-25 again",
        ),
        ({"early_closes": {"2026-12-24": "noon"}}, "early_closes: got 'noon', expected a time of day"),
        ({"special": {"2026-12-24": ["08:00"]}}, "special: got '08:00', expected tickwire.Hours"),
        (
            {"special": {"2026-12-24": [Hours("08:00", "12:00"), Hours("11:00", "13:00")]}},
            "got hours of 2026-12-24 and 2026-12-24 that overlap",
        ),
    ],
)
def test_hours_that_cannot_be_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Session(**{"zone": "Europe/London", "open": "08:00", "close": "16:30"} | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "any"}, "kind: got 'any', expected a name such as \"regular\""),
        ({"kind": "two words"}, "kind: got 'two words'"),
        ({"days": ("monday",)}, "days: got"),
        ({"days_before": 7}, "days_before: got 7, expected a number of days, 0 to 6"),
        ({"since": "June"}, "since: got 'June', expected a date such as"),
        (
            {"since": "2026-01-02", "until": "2026-01-01"},
            "until: got 2026-01-01, expected a day not before since=",
        ),
        ({"open": "00:10 Frankfurt"}, "open: got 'Frankfurt', expected a time zone"),
    ],
)
def test_parts_of_a_day_that_cannot_be_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Hours(**{"open": "08:00", "close": "16:30"} | changes)


def test_hours_that_overlap_only_when_they_meet_are_refused() -> None:
    new = Hours("07:00", "12:00", since="2021-01-04")
    with pytest.raises(ConfigError, match="got hours of 2021-01-04 and 2021-01-04 that overlap"):
        Session("UTC", hours=[Hours("08:00", "16:00"), new])
    Session("UTC", hours=[Hours("08:00", "16:00", until="2021-01-03"), new])
    with pytest.raises(ConfigError, match="that are not in the order of their days"):
        Session("UTC", hours=[Hours("08:00", "09:00"), Hours("10:00", "11:00", days_before=3)])


def test_special_days() -> None:
    session = Session(
        "America/Chicago",
        "17:00",
        "16:00",
        holidays=lambda year: [dt.date(year, 12, 25)],
        early_closes={"2026-11-27": "12:15", dt.date(2026, 12, 24): "12:15"},
        special={"2026-11-26": [Hours("17:00", "12:00"), Hours("14:00", "15:00", kind="late")]},
    )
    # The whole trading day of Christmas, which begins in the evening of the 24th.
    assert not session.is_open(ns("2026-12-24T17:30:00-06:00"))
    assert session.next_change_ns(ns("2026-12-24T12:15:00-06:00")) == ns("2026-12-27T17:00:00-06:00")
    assert session.is_open(ns("2026-11-25T17:00:00-06:00"))
    assert session.next_change_ns(ns("2026-11-25T17:00:00-06:00")) == ns("2026-11-26T12:00:00-06:00")
    assert session.at(ns("2026-11-26T14:30:00-06:00")).kind == "late"
    assert session.at(ns("2026-11-26T16:30:00-06:00")).day == dt.date(2026, 11, 27)
    assert session.next_change_ns(ns("2026-11-26T17:00:00-06:00")) == ns("2026-11-27T12:15:00-06:00")
    assert len(session.holidays) == 131
    assert session.only("late").next_change_ns(START_NS) == ns("2026-11-26T14:00:00-06:00")


def test_a_session_with_changes() -> None:
    session = Session("Europe/London", "08:00", "16:30", early_closes={"2026-12-24": "12:30"})
    moved = dataclasses.replace(session, zone="Europe/Dublin")
    assert (moved.zone, moved.hours, moved.special) == ("Europe/Dublin", session.hours, session.special)
    assert moved.next_change_ns(ns("2026-12-24T08:00:00+00:00")) == ns("2026-12-24T12:30:00+00:00")


def test_an_early_close_ends_the_parts_that_come_later() -> None:
    session = Session(
        "Europe/London",
        hours=[Hours("08:00", "16:30"), Hours("16:30", "16:40", kind="auction")],
        early_closes={"2026-12-24": "12:30"},
    )
    assert session.special == ((dt.date(2026, 12, 24), (Hours("08:00", "12:30"),)),)


def test_a_market_that_has_ended() -> None:
    session = Session("UTC", hours=[Hours("08:00", "16:00", until="2026-01-02")])
    end = ns("2026-01-02T16:00:00+00:00")
    assert session.next_change_ns(end - 1) == end
    assert session.next_change_ns(end) is None
    assert session.at(end) == (False, None, None, None, None)
    # From far away.
    assert Session("UTC", hours=[Hours("08:00", "16:00", since="2026-01-02")]).next_change_ns(0) == ns(
        "2026-01-02T08:00:00+00:00"
    )
