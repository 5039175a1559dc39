"""Sessions from `exchange-calendars`: the hours, holidays, early closes and late opens of stock exchanges.

That library is an extra, `pip install "tickwire[calendars]"`, and is imported only when it is asked for.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np

from .errors import ConfigError
from .session import Session
from .session_hours import EVERY_DAY, Hours

__all__ = ["from_exchange_calendars"]

_EPOCH = dt.date(1970, 1, 1)


def from_exchange_calendars(
    name: str, start: dt.date | str | None = None, end: dt.date | str | None = None
) -> Session:
    """The session of an exchange, with the holidays and special hours that `exchange-calendars` knows.

    Before `start` and after `end` it has the ordinary hours of then, and no holidays.

    Args:
        name: what that library calls the exchange: a MIC such as "XNYS", "XLON", "XASX", "XTKS".
        start, end: the first and the last day to take over; None: that library's own limits, some twenty
            years back and one ahead of today.

    Raises:
        ConfigError: the extra is not installed, or the library has no such calendar, or not of such days.
    """
    try:
        import exchange_calendars
    except ImportError as error:
        raise ConfigError(
            f"from_exchange_calendars: needs exchange-calendars, and {error.name} is not installed; "
            'run: python -m pip install "tickwire[calendars]"'
        ) from None
    try:
        calendar = exchange_calendars.get_calendar(name, start=start, end=end)
    except (exchange_calendars.errors.CalendarError, ValueError, TypeError) as error:
        # Some of the messages list thousands of days.
        raise ConfigError(f"name: got {name!r} from {start} to {end}: {str(error)[:200]}") from error
    hours = _ordinary(calendar)
    ordinary = Session(calendar.tz.key, hours=hours)
    return Session(calendar.tz.key, hours=hours, special=_special(calendar, ordinary))


def _ordinary(calendar: Any) -> list[Hours]:
    """The hours of ordinary weeks, one set for each time in which they stayed the same."""
    opens, closes = calendar.open_times, calendar.close_times
    pauses, resumes = calendar.break_start_times or (), calendar.break_end_times or ()
    turns = sorted(
        {since.date() for times in (opens, closes, pauses, resumes) for since, _ in times if since}
    )
    days = tuple(day for day, held in zip(EVERY_DAY, calendar.weekmask, strict=True) if held == "1")
    hours = []
    for since, after in zip([None, *turns], [*turns, None], strict=True):
        bounds = {"since": since, "until": None if after is None else after - dt.timedelta(1)}
        texts = [_at(times, since) for times in (opens, pauses, resumes, closes)]
        first, pause, resume, last = texts
        if first is None or last is None:
            continue
        if calendar.close_offset and last == "00:00":
            last = "24:00"
        parts = [(first, last)] if pause is None or resume is None else [(first, pause), (resume, last)]
        hours += [Hours(begin, finish, days=days, **bounds) for begin, finish in parts]
    return hours


def _at(times: Any, day: dt.date | None) -> str | None:
    """The time of day that holds from a day on, of pairs of a first day and a time."""
    held = [at for since, at in times if since is None or (day is not None and since.date() <= day)]
    return held[-1].strftime("%H:%M") if held and held[-1] is not None else None


def _special(calendar: Any, ordinary: Session) -> dict[dt.date, list[Hours]]:
    """The days of the calendar that are not as `ordinary` has them."""
    schedule = calendar.schedule
    days = _ns(schedule.index) // (86_400 * 10**9)
    columns = [_ns(schedule[name]).tolist() for name in ("open", "break_start", "break_end", "close")]
    nothing = int(np.datetime64("NaT").astype(np.int64))
    actual = {
        day: [(first, last)] if nothing in (pause, resume) else [(first, pause), (resume, last)]
        for day, first, pause, resume, last in zip(days.tolist(), *columns, strict=True)
    }
    first_day, last_day = int(days[0]), int(days[-1])
    table = ordinary.table((_EPOCH + dt.timedelta(first_day)).year, (_EPOCH + dt.timedelta(last_day)).year)
    expected: dict[int, list[tuple[int, int]]] = {}
    for day, first, last in zip(
        table.day.tolist(), table.open_ns.tolist(), table.close_ns.tolist(), strict=True
    ):
        if first_day <= day <= last_day:
            expected.setdefault(day, []).append((first, last))
    return {
        _EPOCH + dt.timedelta(day): [_hours(calendar, day, span) for span in actual.get(day, ())]
        for day in sorted(expected.keys() | actual.keys())
        if expected.get(day) != actual.get(day)
    }


def _hours(calendar: Any, day: int, span: tuple[int, int]) -> Hours:
    """Hours of one day, from moments to the wall."""
    midnight = dt.datetime.combine(_EPOCH + dt.timedelta(day), dt.time())
    texts = []
    for at_ns in span:
        local = dt.datetime.fromtimestamp(at_ns // 10**9, calendar.tz).replace(tzinfo=None)
        texts.append("24:00" if local - midnight == dt.timedelta(1) else local.strftime("%H:%M"))
    return Hours(*texts)


def _ns(column: Any) -> Any:
    return column.to_numpy("datetime64[ns]").astype(np.int64)
