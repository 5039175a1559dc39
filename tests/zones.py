"""Time zones with every peculiarity that is known of since 1970, and what `zoneinfo` says of them."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Iterator

NS = 10**9
UTC = dt.timezone.utc
EPOCH = dt.datetime(1970, 1, 1, tzinfo=UTC)
MINUTE = dt.timedelta(minutes=1)
DAY = dt.timedelta(days=1)

ZONES = (
    "America/New_York",
    "America/Chicago",
    "America/Los_Angeles",
    "America/Toronto",
    "America/St_Johns",  # at one minute past midnight; by two hours in 1988
    "America/Sao_Paulo",  # at midnight, until 2019
    "America/Santiago",  # at midnight
    "America/Asuncion",  # at midnight; no more since 2024
    "America/Havana",  # at midnight
    "America/Caracas",  # from -4 h to -4:30 in 2007, and back in 2016
    "America/Phoenix",  # none
    "Europe/London",
    "Europe/Berlin",
    "Europe/Lisbon",  # changed its zone in 1992 and 1996
    "Europe/Moscow",  # changed its zone in 2011 and 2014
    "Europe/Istanbul",
    "Europe/Dublin",
    "Africa/Casablanca",  # out of daylight time in Ramadan
    "Africa/Cairo",
    "Asia/Tokyo",  # none
    "Asia/Kolkata",  # +5:30
    "Asia/Kathmandu",  # +5:45
    "Asia/Tehran",  # +3:30, at midnight, until 2022
    "Asia/Gaza",  # other rules every year
    "Asia/Pyongyang",  # by half an hour in 2015 and 2018
    "Australia/Sydney",
    "Australia/Adelaide",  # +9:30
    "Australia/Lord_Howe",  # by half an hour
    "Pacific/Auckland",
    "Pacific/Chatham",  # +12:45
    "Pacific/Apia",  # left out 30 December 2011
    "Antarctica/Troll",  # by two hours
)


def local(ts: int, name: str) -> dt.datetime:
    """Local time at a moment (int ns UTC, whole seconds)."""
    return (EPOCH + dt.timedelta(seconds=ts // NS)).astimezone(zoneinfo.ZoneInfo(name))


def ns(moment: dt.datetime) -> int:
    """A moment in int ns UTC."""
    return (moment - EPOCH) // dt.timedelta(microseconds=1) * 1_000


def first_moment(date: dt.date, name: str) -> int:
    """When a local date begins, or a later one if that date was left out, int ns UTC."""
    info = zoneinfo.ZoneInfo(name)
    midnight = dt.datetime.combine(date, dt.time(), info)
    moment = midnight.astimezone(UTC)
    if moment.astimezone(info).replace(tzinfo=None) != midnight.replace(tzinfo=None):
        # Midnight was left out.
        moment -= 26 * 60 * MINUTE
        while moment.astimezone(info).date() < date:
            moment += MINUTE
    return ns(moment)


def transitions(name: str, first_year: int, last_year: int) -> Iterator[tuple[int, int, int]]:
    """Every transition of some years: int ns UTC, and the offsets before and after, ns. Found by the hour."""
    info = zoneinfo.ZoneInfo(name)

    def offset(at_s: int) -> int:
        elapsed = dt.datetime.fromtimestamp(at_s, info).utcoffset()
        assert elapsed is not None
        return elapsed // dt.timedelta(seconds=1)

    first = int(dt.datetime(first_year, 1, 1, tzinfo=UTC).timestamp())
    last = int(dt.datetime(last_year + 1, 1, 1, tzinfo=UTC).timestamp())
    before = offset(first)
    for late in range(first, last, 86_400):
        if offset(late) == before:
            continue
        at = late - 86_400
        while offset(at) == before:
            at += 60
        yield at * NS, before * NS, offset(at) * NS
        before = offset(late)
