"""`Hours`: hours that come again on every trading day, as a user writes them and in minutes."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from .config import texts
from .errors import ConfigError
from .offsets import find_zone

__all__ = ["EVERY_DAY", "WEEKDAYS", "Clock", "Hours", "as_clock", "as_date", "as_hours", "one_day"]

EVERY_DAY = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WEEKDAYS = EVERY_DAY[:5]
_DAY_MINUTES = 24 * 60
_EPOCH = dt.date(1970, 1, 1)
_CLOCK = re.compile(r"(\d\d):(\d\d)(?: (\S+))?")


@dataclass(frozen=True, slots=True)
class Clock:
    """A time of day on the wall: minutes from the midnight that begins a trading day, below zero before
    it, and the zone of the wall if it is not the session's.
    """

    minutes: int
    zone: str | None


@dataclass(frozen=True, slots=True)
class Hours:
    """Hours of trading that come again on every trading day.

    Attributes:
        open, close: "HH:MM" on the session's wall, to "24:00", or on that of another zone, "00:10 UTC".
            Where the close is not after the open, they begin on the day before: "17:00" to "16:00" on
            "mon" is Sunday 17:00 to Monday 16:00.
        kind: what they are called: "regular", "extended", "pre", "post", "auction", or any other name.
        days: the trading days, of "mon" to "sun".
        days_before: so many days before the trading day they close. Of a market whose Friday night belongs
            to Monday, the hours of that night have days=("mon",) and days_before=2: they close on Saturday.
        since, until: the first and the last trading day of these hours, a date or "YYYY-MM-DD"; None: no end.

    Raises:
        ConfigError: hours that cannot be.
    """

    open: str
    close: str
    kind: str = field(default="regular", kw_only=True)
    days: tuple[str, ...] = field(default=WEEKDAYS, kw_only=True)
    days_before: int = field(default=0, kw_only=True)
    since: dt.date | str | None = field(default=None, kw_only=True)
    until: dt.date | str | None = field(default=None, kw_only=True)
    # The same in numbers: wall-clock times from the midnight of the trading day, and days since 1970-01-01.
    opening: Clock = field(init=False, repr=False, compare=False)
    closing: Clock = field(init=False, repr=False, compare=False)
    first_day: int | None = field(init=False, repr=False, compare=False)
    last_day: int | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        opening, closing = as_clock("open", self.open), as_clock("close", self.close)
        if not isinstance(self.kind, str) or not self.kind.isidentifier() or self.kind == "any":
            raise ConfigError(
                f'kind: got {self.kind!r}, expected a name such as "regular" or "extended"; "any" means all'
            )
        days = tuple(texts("days", self.days, '("mon", "tue")'))
        if not days or any(day not in EVERY_DAY for day in days):
            raise ConfigError(f"days: got {self.days!r}, expected some of {', '.join(EVERY_DAY)}")
        if isinstance(self.days_before, bool) or self.days_before not in range(7):
            raise ConfigError(f"days_before: got {self.days_before!r}, expected a number of days, 0 to 6")
        since = None if self.since is None else as_date("since", self.since)
        until = None if self.until is None else as_date("until", self.until)
        if since is not None and until is not None and until < since:
            raise ConfigError(f"until: got {until}, expected a day not before since={since}")
        before = -self.days_before * _DAY_MINUTES
        wraps = _DAY_MINUTES if closing.minutes <= opening.minutes else 0
        for name, value in (
            ("days", days),
            ("since", since),
            ("until", until),
            ("opening", Clock(opening.minutes + before - wraps, opening.zone)),
            ("closing", Clock(closing.minutes + before, closing.zone)),
            ("first_day", None if since is None else (since - _EPOCH).days),
            ("last_day", None if until is None else (until - _EPOCH).days),
        ):
            object.__setattr__(self, name, value)

    def on(self, day: int) -> bool:
        """Whether a day, counted from 1970-01-01, has these hours."""
        return (
            # The first day was a Thursday.
            EVERY_DAY[(day + 3) % 7] in self.days
            and (self.first_day is None or self.first_day <= day)
            and (self.last_day is None or day <= self.last_day)
        )


def one_day(
    opens: str | None,
    closes: str | None,
    days: tuple[str, ...],
    break_start: str | None,
    break_end: str | None,
) -> tuple[Hours, ...]:
    """The hours of a market that opens once a day, perhaps with a break."""
    if opens is None or closes is None:
        raise ConfigError(f"Session: got open={opens!r} and close={closes!r}, expected both, or hours")
    whole = Hours(opens, closes, days=days)
    if break_start is None and break_end is None:
        return (whole,)
    if break_start is None or break_end is None:
        raise ConfigError("Session: got one end of the break, expected break_start and break_end, or neither")
    start = whole.opening.minutes
    # The one of these times' days that is inside the session, if any is.
    pause = [
        at - _DAY_MINUTES if at - _DAY_MINUTES > start else at
        for at in (
            as_clock("break_start", break_start).minutes,
            as_clock("break_end", break_end).minutes,
        )
    ]
    if not start < pause[0] < pause[1] < whole.closing.minutes:
        raise ConfigError(
            f"break_start: got a break from {break_start} to {break_end}, "
            f"expected one inside {opens} to {closes}"
        )
    evening = pause[0] < 0
    return Hours(opens, break_start, days=days, days_before=int(evening)), Hours(break_end, closes, days=days)


def as_hours(name: str, hours: object) -> tuple[Hours, ...]:
    """Several `Hours`, or one."""
    several = tuple(hours) if isinstance(hours, Iterable) else (hours,)
    for one in several:
        if not isinstance(one, Hours):
            raise ConfigError(f"{name}: got {one!r}, expected tickwire.Hours")
    return several


def as_date(name: str, value: object) -> dt.date:
    """A date, or one written as "YYYY-MM-DD"."""
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value
    if isinstance(value, str):
        try:
            return dt.date.fromisoformat(value)
        except ValueError:
            pass
    raise ConfigError(f'{name}: got {value!r}, expected a date such as "2026-12-25"')


def as_clock(name: str, text: object) -> Clock:
    """A time of day as it is written, perhaps with its zone."""
    if isinstance(text, str) and (match := _CLOCK.fullmatch(text)):
        hours, minutes = int(match[1]), int(match[2])
        if minutes < 60 and hours * 60 + minutes <= _DAY_MINUTES:
            if match[3] is not None:
                find_zone(name, match[3])
            return Clock(hours * 60 + minutes, match[3])
    raise ConfigError(f'{name}: got {text!r}, expected a time of day such as "16:30", to "24:00"')
