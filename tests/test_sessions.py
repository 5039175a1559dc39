"""The hours of exchanges, against hand-written rules on the wall, minute by minute, and against recorded ticks."""

from __future__ import annotations

import datetime as dt
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

import tickwire as tw
from effort import LONG
from recorded import ticks
from tickwire import sessions

# Those in which hours have changed.
YEARS = range(1990, 2038) if LONG else (2015, 2018, 2021)
EPOCH = dt.date(1970, 1, 1)
MINUTE_NS = 60 * 10**9
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WEEK = DAYS[:5]
BUILT_IN = ("ALWAYS", "ASX", "CBOT", "CME", "COMEX", "EUREX", "FX", "LSE", "NYSE")


@cache
def minutes() -> NDArray[np.int64]:
    """Minutes UTC since 1970-01-01."""
    bounds = [[(dt.date(year + after, 1, 1) - EPOCH).days * 1440 for after in (0, 1)] for year in YEARS]
    return np.concatenate([np.arange(*pair) for pair in bounds])


@cache
def wall(zone: str) -> NDArray[np.int64]:
    """What the wall shows in every minute UTC, in minutes since 1970-01-01, by the zones of Polars."""
    moments = pl.Series(minutes() * 60_000).cast(pl.Datetime("ms", "UTC"))
    local = moments.dt.convert_time_zone(zone).dt.replace_time_zone(None)
    return local.dt.timestamp("ms").to_numpy() // 60_000


def clock(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])


def span(
    zone: str, first: str, last: str, since: str = "1970-01-01", until: str = "2200-01-01"
) -> NDArray[Any]:
    """Whether a minute lies between two times of the week: "sun 17:00" to "mon 16:00" of trading day mon."""
    now = wall(zone)
    begin, end = (DAYS.index(text[:3]) * 1440 + clock(text[4:]) for text in (first, last))
    length = (end - begin) % (7 * 1440)
    # 1970-01-05 was a Monday.
    inside = (now - 4 * 1440 - begin) % (7 * 1440) < length
    day = (now - (now - 4 * 1440 - begin) % (7 * 1440) + length) // 1440
    bounds = [(dt.date.fromisoformat(text) - EPOCH).days for text in (since, until)]
    return inside & (day >= bounds[0]) & (day < bounds[1])


def every(zone: str, first: str, last: str, before: int = 0, **held: str) -> NDArray[Any]:
    """On each weekday: `first`, `before` days earlier, to `last`."""
    parts = [
        span(zone, f"{DAYS[(number - before) % 7]} {first}", f"{day} {last}", **held)
        for number, day in enumerate(WEEK)
    ]
    return np.logical_or.reduce(parts)


def expected(name: str) -> NDArray[np.bool_]:
    chicago, york, berlin, london, sydney = (
        "America/Chicago",
        "America/New_York",
        "Europe/Berlin",
        "Europe/London",
        "Australia/Sydney",
    )
    utc = minutes() % 1440
    match name:
        case "ALWAYS":
            return np.ones(len(utc), bool)
        case "CME":
            return (
                every(chicago, "17:00", "15:15", 1, until="2021-06-28")
                | every(chicago, "15:30", "16:15", until="2015-09-21")
                | every(chicago, "15:30", "16:00", since="2015-09-21", until="2021-06-28")
                | every(chicago, "17:00", "16:00", 1, since="2021-06-28")
            )
        case "CBOT":
            return (
                every(chicago, "17:00", "14:00", 1, until="2013-04-08")
                | every(chicago, "19:00", "07:45", 1, since="2013-04-08")
                | every(chicago, "08:30", "13:15", since="2013-04-08", until="2015-07-06")
                | every(chicago, "08:30", "13:20", since="2015-07-06")
            )
        case "COMEX":
            return every(york, "18:00", "17:15", 1, until="2015-09-21") | every(
                york, "18:00", "17:00", 1, since="2015-09-21"
            )
        case "FX":
            return span(york, "sun 17:00", "fri 17:00")
        case "NYSE":
            return every(york, "04:00", "20:00")
        case "LSE":
            return every(london, "07:50", "16:40")
        case "ASX":
            return every(sydney, "09:59", "16:22")
        case "EUREX":
            early = every(berlin, "00:00", "08:00", since="2018-12-10") & (utc >= 10)
            # In summer the wall is past midnight before the day of UTC is.
            early &= ~((utc >= 22 * 60) | (wall(berlin) % 1440 < utc))
            return early | every(berlin, "08:00", "22:00")
    raise AssertionError(name)


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_minute_of_the_years_in_which_hours_have_changed(name: str) -> None:
    session = getattr(sessions, name)
    times = minutes() * MINUTE_NS
    got, want = session.table().holds(times), expected(name)
    wrong = np.flatnonzero(got != want)
    assert not len(wrong), [str(dt.datetime.fromtimestamp(times[at] // 10**9, dt.UTC)) for at in wrong[:5]]


# Hours after which the wall of the zone shows the date of the trading day, at every minute of trading.
@pytest.mark.parametrize(
    ("name", "zone", "ahead"),
    [
        ("CME", "America/Chicago", 7),
        ("CBOT", "America/Chicago", 7),
        ("COMEX", "America/New_York", 6),
        ("FX", "America/New_York", 7),
        ("NYSE", "America/New_York", 0),
        ("LSE", "Europe/London", 0),
        ("ASX", "Australia/Sydney", 0),
        ("EUREX", "Europe/Berlin", 0),
        ("ALWAYS", "UTC", 0),
    ],
)
def test_the_trading_day_is_that_of_the_close(name: str, zone: str, ahead: int) -> None:
    table = getattr(sessions, name).table()
    row = table.span_of(minutes() * MINUTE_NS)
    day = (wall(zone) + ahead * 60) // 1440
    assert (table.day[row] == day)[row >= 0].all()


@pytest.mark.parametrize("name", BUILT_IN)
def test_moments_asked_for_one_by_one(name: str) -> None:
    """`is_open`, `next_change_ns` and `at` say what the table says, around each change of three years."""
    session: tw.Session = getattr(sessions, name)
    table = session.table()
    changes = table.changes_ns()
    near = changes[(changes > 1_600_000_000 * 10**9) & (changes < 1_700_000_000 * 10**9)]
    for moment in near.tolist():
        for ts in (moment - 1, moment, moment + MINUTE_NS // 2):
            row = int(table.span_of([ts])[0])
            assert session.is_open(ts) is (row >= 0)
            assert session.next_change_ns(ts) == changes[np.searchsorted(changes, ts, "right")]
            state = session.at(ts)
            at = row if row >= 0 else int(np.searchsorted(table.open_ns, ts))
            assert state == (
                row >= 0,
                session.kinds[table.kind[at]] if row >= 0 else None,
                EPOCH + dt.timedelta(int(table.day[at])),
                table.open_ns[at],
                table.close_ns[at],
            )


def test_kinds_of_hours() -> None:
    assert sessions.NYSE.kinds == ("pre", "regular", "post")
    regular = sessions.NYSE.only("regular")
    assert regular == tw.Session("America/New_York", "09:30", "16:00")
    table = sessions.NYSE.table()
    np.testing.assert_array_equal(table.only("regular").open_ns, regular.table().open_ns)
    np.testing.assert_array_equal(table.only("regular").close_ns, regular.table().close_ns)
    assert len(table.only("pre", "post")) == 2 * len(regular.table())
    with pytest.raises(tw.ConfigError, match="kind: got 'auction', expected some of pre, regular, post"):
        sessions.NYSE.only("auction")


def outside(data: Path, name: str, session: tw.Session) -> tuple[pl.DataFrame, pl.Series]:
    """A recorded market, and its ticks outside the session."""
    frame = ticks(data, name)
    held = session.table().holds(frame["ts_ns"].to_numpy())
    return frame, frame["ts_ns"].filter(pl.Series(~held))


@pytest.mark.parametrize(
    ("name", "session"),
    [
        ("gc_comex_20131007_09_trades", "COMEX"),
        ("eurusd_oanda_201405_quotes", "FX"),
        ("iqfeed_equity_20210301_03_trades", "NYSE"),
        ("es_mdp3_20190829_trades_bbo", "CME"),
        ("esu4_databento_20240701_trades_mbp1", "CME"),
        ("btcusdt_binance_spot_20240808_09", "ALWAYS"),
    ],
)
def test_recorded_ticks_lie_inside(data: Path, name: str, session: str) -> None:
    _, strays = outside(data, name, getattr(sessions, session))
    assert strays.is_empty()


def test_gold_closes_where_the_session_does(data: Path) -> None:
    """In 2013 to 17:15, and the first trade comes with the open."""
    frame, _ = outside(data, "gc_comex_20131007_09_trades", sessions.COMEX)
    table = sessions.COMEX.table()
    times = np.sort(frame["ts_ns"].to_numpy())
    breaks = np.flatnonzero(np.diff(times) > 30 * MINUTE_NS)
    assert len(breaks) == 3
    for at in breaks:
        row = int(table.span_of([times[at]])[0])
        assert table.close_ns[row] - times[at] < 10 * 10**9
        assert 0 <= times[at + 1] - table.open_ns[row + 1] < 10**9


@pytest.mark.parametrize(
    ("name", "closes"),
    [
        # Standard time, then daylight saving time from 11 March.
        (
            "xagusd_dst_2012_us_spring",
            {"2012-03-08": 22, "2012-03-09": 22, "2012-03-12": 21, "2012-03-13": 21},
        ),
        # Nothing moves: New York had moved two weeks before Europe did.
        ("xagusd_dst_2012_eu_spring", {"2012-03-23": 21, "2012-03-26": 21}),
        # Daylight saving time, then standard time from 3 November.
        (
            "xagusd_dst_2013_us_autumn",
            {"2013-10-31": 21, "2013-11-01": 21, "2013-11-04": 22, "2013-11-05": 22},
        ),
    ],
)
def test_the_break_of_silver_moves_with_new_york(data: Path, name: str, closes: dict[str, int]) -> None:
    """Spot silver breaks from 17:00 to 18:00 in New York. What lies outside is what came late by a second."""
    spot = tw.Session("America/New_York", "18:00", "17:00")
    frame, strays = outside(data, name, spot)
    table = spot.table()
    rows = np.unique(table.span_of(frame["ts_ns"].to_numpy()))
    hours = [
        dt.datetime.fromtimestamp(int(table.close_ns[row]) / 1e9, dt.UTC)
        for row in rows
        if row >= 0 and table.close_ns[row] <= frame["ts_ns"].max()
    ]
    assert {str(close.date()): close.hour for close in hours} == closes
    late = strays.to_numpy() - table.close_ns[np.searchsorted(table.open_ns, strays.to_numpy()) - 1]
    assert (late < 10**9).all()
    assert len(strays) <= 3
    # And the hour after each close is empty of all others.
    for close in hours:
        begin = int(close.timestamp()) * 10**9
        assert frame["ts_ns"].is_between(begin + 10**9, begin + 60 * MINUTE_NS, closed="left").sum() == 0
