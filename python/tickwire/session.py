"""Trading hours: whether a market is open at a moment, and when that changes.

    CME.is_open(ts_ns)            CME: Globex futures, Sunday 17:00 to Friday 16:00 in Chicago, closed from
    CME.next_change_ns(ts_ns)          16:00 to 17:00 every day
    Session("Europe/London", "08:00", "16:30")

Hours are wall-clock times of the zone, on every side of a daylight-saving transition: a time that a
transition skips means the moment of the skip, a time that comes twice means the first.

It knows no holidays and no early closes: on those days it says open.
"""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo
from dataclasses import dataclass, field

from .config import texts
from .errors import ConfigError

__all__ = ["ALWAYS", "CME", "Session"]

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
_SECOND = dt.timedelta(seconds=1)
_DAY_MINUTES = 24 * 60
# What does not change within two weeks never does: one week, and one more where a transition skips the only
# hours of the first.
_REACH_DAYS = 16


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A time in which nothing changes, int ns UTC from `start_ns` to before `end_ns`; None: without end."""

    start_ns: int
    end_ns: int | None
    is_open: bool


@dataclass(frozen=True, slots=True)
class Session:
    """The regular hours of a market.

    Attributes:
        zone: IANA name of the zone that the times are of.
        open, close: "HH:MM", to "24:00". Where the close is not after the open, the session opens on the day
            before: "17:00" to "16:00" on "mon" is Sunday 17:00 to Monday 16:00.
        days: the trading days, each the day of its close, of "mon" to "sun".
        break_start, break_end: a break inside each session, "HH:MM", or None for no break.
    """

    zone: str
    open: str
    close: str
    days: tuple[str, ...] = field(default=_DAYS[:5], kw_only=True)
    break_start: str | None = field(default=None, kw_only=True)
    break_end: str | None = field(default=None, kw_only=True)
    _info: dt.tzinfo = field(init=False, repr=False, compare=False)
    # Minutes of each open part, from the midnight that begins the trading day; below zero on the day before.
    _parts: tuple[tuple[int, int], ...] = field(init=False, repr=False, compare=False)
    # The stretch that was asked for last: a clock asks for the same one nearly always.
    _last: _Stretch = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        try:
            info = zoneinfo.ZoneInfo(self.zone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, TypeError, OSError):
            raise ConfigError(
                f'Session.zone: got {self.zone!r}, expected a time zone such as "America/Chicago"; '
                "where the system has none, install tzdata"
            ) from None
        days = tuple(texts("Session.days", self.days, '("mon", "tue")'))
        if not days or any(day not in _DAYS for day in days):
            raise ConfigError(f"Session.days: got {self.days!r}, expected some of {', '.join(_DAYS)}")
        start, end = _minutes("Session.open", self.open), _minutes("Session.close", self.close)
        if end <= start:
            start -= _DAY_MINUTES
        object.__setattr__(self, "days", days)
        object.__setattr__(self, "_info", info)
        object.__setattr__(self, "_parts", self._cut(start, end))
        object.__setattr__(self, "_last", _Stretch(0, 0, False))

    def is_open(self, ts_ns: int) -> bool:
        """Whether it is open at `ts_ns`, int ns UTC."""
        return self._stretch(ts_ns).is_open

    def next_change_ns(self, ts_ns: int) -> int | None:
        """The first moment after `ts_ns` at which it opens or closes, int ns UTC; None if it is always open."""
        return self._stretch(ts_ns).end_ns

    def _cut(self, start: int, end: int) -> tuple[tuple[int, int], ...]:
        if self.break_start is None and self.break_end is None:
            return ((start, end),)
        if self.break_start is None or self.break_end is None:
            raise ConfigError(
                "Session: got one end of the break, expected break_start and break_end, or neither"
            )
        pause = []
        for name in ("break_start", "break_end"):
            at = _minutes(f"Session.{name}", getattr(self, name))
            # The one of this time's days that is inside the session, if any is.
            pause.append(at - _DAY_MINUTES if at - _DAY_MINUTES > start else at)
        if not start < pause[0] < pause[1] < end:
            raise ConfigError(
                f"Session.break_start: got a break from {self.break_start} to {self.break_end}, "
                f"expected one inside {self.open} to {self.close}"
            )
        return (start, pause[0]), (pause[1], end)

    def _stretch(self, ts_ns: int) -> _Stretch:
        # Read once and replaced as a whole, so that threads may ask at the same time.
        last = self._last
        if last.start_ns <= ts_ns and (last.end_ns is None or ts_ns < last.end_ns):
            return last
        found = self._find(ts_ns)
        object.__setattr__(self, "_last", found)
        return found

    def _find(self, ts_ns: int) -> _Stretch:
        today = (_EPOCH + dt.timedelta(seconds=ts_ns // 10**9)).astimezone(self._info).date()
        # Open from `ts_ns` to `end`, parts that touch taken together; not open while the two are the same.
        end = ts_ns
        for ahead in range(_REACH_DAYS):
            day = today + dt.timedelta(days=ahead)
            if _DAYS[day.weekday()] not in self.days:
                continue
            for part in self._parts:
                opens, closes = (self._utc_ns(day, minute) for minute in part)
                if opens <= end:
                    end = max(end, closes)
                elif end > ts_ns:
                    return _Stretch(ts_ns, end, True)
                elif closes > opens:
                    return _Stretch(ts_ns, opens, False)
        # Every day has touched the next: it never closes.
        return _Stretch(ts_ns, None, True)

    def _utc_ns(self, day: dt.date, minute: int) -> int:
        local = dt.datetime.combine(day, dt.time()) + dt.timedelta(minutes=minute)
        aware = local.replace(tzinfo=self._info)
        late = aware.astimezone(dt.timezone.utc)
        if late.astimezone(self._info).replace(tzinfo=None) != local:
            # Skipped. With the offset from before the skip it comes out too late, with that from after it
            # too early, and the skip is where the offset changes.
            early = aware.replace(fold=1).astimezone(dt.timezone.utc)
            before = early.astimezone(self._info).utcoffset()
            while late - early > _SECOND:
                middle = early + (late - early) // (2 * _SECOND) * _SECOND
                if middle.astimezone(self._info).utcoffset() == before:
                    early = middle
                else:
                    late = middle
        return (late - _EPOCH) // _SECOND * 10**9


def _minutes(name: str, text: object) -> int:
    if isinstance(text, str) and (match := re.fullmatch(r"(\d\d):(\d\d)", text)):
        hours, minutes = int(match[1]), int(match[2])
        if minutes < 60 and hours * 60 + minutes <= _DAY_MINUTES:
            return hours * 60 + minutes
    raise ConfigError(f'{name}: got {text!r}, expected a time of day such as "16:30", to "24:00"')


CME = Session("America/Chicago", "17:00", "16:00")
"""Globex futures: Sunday 17:00 to Friday 16:00 in Chicago, closed from 16:00 to 17:00 every day."""

ALWAYS = Session("UTC", "00:00", "24:00", days=_DAYS)
"""Around the clock, every day."""
