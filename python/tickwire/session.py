"""Trading hours: whether a market is open at a moment, when that changes, and all its hours as columns.

    london = Session("Europe/London", "08:00", "16:30", holidays=["2026-12-25"], early_closes={"2026-12-24": "12:30"})
    london.is_open(ts_ns)
    london.next_change_ns(ts_ns)
    london.table()                the spans of trading and their trading days, 1970 to 2100

Hours are wall-clock times of the zone, on every side of a daylight-saving transition: a time that a
transition skips means the moment of the skip, a time that comes twice means the first. Hours that are
skipped altogether are none.

A session knows the holidays and early closes that it is given, and no others: on those days it says open.
`tickwire.sessions` has the hours of exchanges.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .errors import ConfigError
from .offsets import find_zone
from .session_hours import EVERY_DAY, WEEKDAYS, Clock, Hours, as_clock, as_date, as_hours, one_day
from .session_table import DAY_S, SessionTable, wall_s

__all__ = ["Session", "SessionState"]

FIRST_YEAR, LAST_YEAR = 1970, 2100
_EPOCH = dt.date(1970, 1, 1)
# Hours begin at most eight days before their trading day, and end before it does.
_MARGIN_DAYS = 9
# What does not change within a year never does, unless hours or special days say so.
_WINDOW_DAYS = 400
_MOST_S = np.iinfo(np.int64).max // 10**9
# Beyond the years 1678 and 2261, which int64 ns do not hold in full, it says what it says at their end.
_FIRST_NS = (dt.date(1678, 1, 1) - _EPOCH).days * DAY_S * 10**9
_LAST_NS = (dt.date(2262, 1, 1) - _EPOCH).days * DAY_S * 10**9

Holidays = Iterable[dt.date | str] | Callable[[int], Iterable[dt.date | str]]
EarlyCloses = Mapping[dt.date, str] | Mapping[str, str]
Special = (
    Mapping[dt.date, Iterable[Hours]]
    | Mapping[str, Iterable[Hours]]
    | Iterable[tuple[dt.date | str, Iterable[Hours]]]
)


class SessionState(NamedTuple):
    """A session at a moment.

    Attributes:
        is_open: whether it trades.
        kind: of the hours that hold the moment; None while it is closed.
        day: the trading day; while it is closed, the one that comes next. None if there is none.
        open_ns, close_ns: those hours, or the next ones, ns UTC.
    """

    is_open: bool
    kind: str | None
    day: dt.date | None
    open_ns: int | None
    close_ns: int | None


class _Window(NamedTuple):
    """The hours around a moment, known in `start_ns <= ts < end_ns`."""

    start_ns: int
    end_ns: int
    table: SessionTable
    changes: list[int]
    """When it opens and when it closes, by turns."""


@dataclass(frozen=True, slots=True, init=False)
class Session:
    """The hours of a market.

    The short form has one kind of hours a day, perhaps with a break: `Session(zone, open, close)`. The long
    form lists `hours`, which may be of several kinds, have begun or ended on some day, and come on different
    days of the week.

    Attributes:
        zone: IANA name of the zone that the times are of.
        hours: the hours of an ordinary week.
        special: trading days with other hours than those, in order, each with its hours: none on holidays.
    """

    zone: str
    hours: tuple[Hours, ...]
    special: tuple[tuple[dt.date, tuple[Hours, ...]], ...]
    # Replaced as a whole, so that threads may ask at the same time.
    _window: _Window | None = field(init=False, repr=False, compare=False)

    def __init__(
        self,
        zone: str,
        open: str | None = None,  # noqa: A002  # what it is called in every market
        close: str | None = None,
        *,
        days: tuple[str, ...] = WEEKDAYS,
        break_start: str | None = None,
        break_end: str | None = None,
        hours: Iterable[Hours] = (),
        holidays: Holidays = (),
        early_closes: EarlyCloses | None = None,
        special: Special = (),
    ) -> None:
        """Either `open` and `close`, or `hours`.

        Args:
            open, close: "HH:MM", to "24:00". Where the close is not after the open, it opens on the day
                before: "17:00" to "16:00" on "mon" is Sunday 17:00 to Monday 16:00.
            days: the trading days, each the day of its close, of "mon" to "sun".
            break_start, break_end: a break inside each session, "HH:MM", or None for no break.
            hours: all hours of the week, instead.
            holidays: trading days without hours: dates, or a function that has those of a year, which is
                asked for 1970 to 2100.
            early_closes: trading days on which all hours end at a time, "HH:MM".
            special: trading days with hours of their own, of which days, since and until are not looked at:
                a mapping, or pairs.

        Raises:
            ConfigError: hours that cannot be, or that overlap.
        """
        find_zone("Session.zone", zone)
        hours = as_hours("hours", hours)
        if open is not None or close is not None:
            if hours:
                raise ConfigError("Session: got open or close beside hours, expected the one or the other")
            hours = one_day(open, close, days, break_start, break_end)
        set_field = object.__setattr__
        set_field(self, "zone", zone)
        set_field(self, "hours", hours)
        if not hours and not special:
            raise ConfigError('Session: got no hours, expected open and close, e.g. "08:00", "16:30"')
        set_field(self, "special", ())
        set_field(self, "_window", None)
        set_field(self, "special", self._special(holidays, early_closes or {}, special))
        self._check()

    def is_open(self, ts_ns: int) -> bool:
        """Whether it is open at `ts_ns`, int ns UTC."""
        window, ts_ns = self._around(ts_ns)
        return bisect_right(window.changes, ts_ns) % 2 == 1

    def next_change_ns(self, ts_ns: int) -> int | None:
        """The first moment after `ts_ns` at which it opens or closes, int ns UTC; None if there is none."""
        window, ts_ns = self._around(ts_ns)
        turns_ns = (max(self._turns(), default=0) + _MARGIN_DAYS) * DAY_S * 10**9
        whole = False
        while True:
            place = bisect_right(window.changes, ts_ns)
            if place < len(window.changes) and window.changes[place] < window.end_ns:
                return window.changes[place]
            if (whole and ts_ns > turns_ns) or window.end_ns >= _LAST_NS:
                return None
            # It may change at this very end.
            ts_ns, whole = window.end_ns - 1, True
            window = self._look(window.end_ns)

    def at(self, ts_ns: int) -> SessionState:
        """The session at `ts_ns`, int ns UTC: which hours hold it, or come next."""
        is_open = self.is_open(ts_ns)
        opening = ts_ns if is_open else self.next_change_ns(ts_ns)
        if opening is None:
            return SessionState(False, None, None, None, None)
        table = self._around(opening)[0].table
        row = int(table.span_of([opening])[0])
        day = _EPOCH + dt.timedelta(int(table.day[row]))
        kind = self.kinds[table.kind[row]] if is_open else None
        return SessionState(is_open, kind, day, int(table.open_ns[row]), int(table.close_ns[row]))

    def table(self, first_year: int = FIRST_YEAR, last_year: int = LAST_YEAR) -> SessionTable:
        """The spans of all trading days of these years. Made once, and shared."""
        for name, year in (("first_year", first_year), ("last_year", last_year)):
            if isinstance(year, bool) or not isinstance(year, int) or not 1678 <= year <= 2261:
                raise ConfigError(f"{name}: got {year!r}, expected a year from 1678 to 2261")
        return _table(self, first_year, last_year)

    def only(self, *kinds: str) -> Session:
        """The same market with some kinds of its hours: `NYSE.only("regular")`.

        Raises:
            ConfigError: no such kind.
        """
        for kind in kinds:
            if kind not in self.kinds:
                raise ConfigError(f"kind: got {kind!r}, expected some of {', '.join(self.kinds)}")
        return Session(
            self.zone,
            hours=[one for one in self.hours if one.kind in kinds],
            special=[(day, [one for one in hours if one.kind in kinds]) for day, hours in self.special],
        )

    @property
    def holidays(self) -> tuple[dt.date, ...]:
        """The trading days that it was told are none."""
        return tuple(day for day, hours in self.special if not hours)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of its hours."""
        special = (one for _, hours in self.special for one in hours)
        return tuple(dict.fromkeys(one.kind for one in (*self.hours, *special)))

    def _special(
        self,
        holidays: Holidays,
        early_closes: EarlyCloses,
        special: Special,
    ) -> tuple[tuple[dt.date, tuple[Hours, ...]], ...]:
        if callable(holidays):
            of_year = holidays
            holidays = [day for year in range(FIRST_YEAR, LAST_YEAR + 1) for day in of_year(year)]
        if isinstance(holidays, str):
            raise ConfigError(f'holidays: got {holidays!r}, expected dates such as ["2026-12-25"]')
        found: dict[dt.date, tuple[Hours, ...]] = {}
        for name, day, hours in (
            *(("holidays", as_date("holidays", day), ()) for day in holidays),
            *(
                ("special", as_date("special", day), as_hours("special", own))
                for day, own in dict(special).items()
            ),
            *(
                ("early_closes", date, self._cut(date, close))
                for date, close in ((as_date("early_closes", day), at) for day, at in early_closes.items())
            ),
        ):
            if found.setdefault(day, hours) != hours:
                raise ConfigError(f"{name}: got {day} again, with other hours; say each day once")
        return tuple(sorted(found.items()))

    def _cut(self, day: dt.date, close: str) -> tuple[Hours, ...]:
        """The ordinary hours of a day, up to `close`."""
        end = as_clock("early_closes", close)
        return tuple(
            replace(one, close=close) if one.closing.minutes > end.minutes else one
            for one in self.hours
            if one.on(_number(day)) and one.opening.minutes < end.minutes
        )

    def _spans(self, days: NDArray[np.int64]) -> SessionTable:
        """The spans of these trading days, ascending and each given once."""
        kinds = self.kinds
        special_days = np.array([_number(day) for day, _ in self.special], np.int64)
        ordinary = days[~np.isin(days, special_days)]
        rows: dict[tuple[Clock, Clock, str], list[NDArray[np.int64]]] = {}
        for one in self.hours:
            rows.setdefault((one.opening, one.closing, one.kind), []).append(_when(one, ordinary))
        for number in np.flatnonzero(np.isin(special_days, days)):
            for one in self.special[number][1]:
                rows.setdefault((one.opening, one.closing, one.kind), []).append(special_days[[number]])
        nothing = np.empty(0, np.int64)
        columns = [(nothing, nothing, nothing, nothing.astype(np.int8))]
        bounds = (int(days.min()) - _MARGIN_DAYS, int(days.max()) + 1)
        for (opening, closing, kind), parts in rows.items():
            day = np.concatenate(parts)
            opens, closes = (
                np.clip(self._utc_s(day, clock, *bounds), -_MOST_S, _MOST_S) * 10**9
                for clock in (opening, closing)
            )
            columns.append((opens, closes, day, np.full(len(day), kinds.index(kind), np.int8)))
        opens, closes, day, kind_column = (np.concatenate(column) for column in zip(*columns, strict=True))
        order = np.lexsort((closes, opens))
        order = order[(opens < closes)[order]]
        return SessionTable(opens[order], closes[order], day[order], kind_column[order], kinds)

    def _utc_s(self, day: NDArray[np.int64], clock: Clock, first: int, last: int) -> NDArray[np.int64]:
        info = find_zone("zone", clock.zone or self.zone)
        return wall_s(info, day * DAY_S + clock.minutes * 60, first, last)

    def _around(self, ts_ns: int) -> tuple[_Window, int]:
        """The hours around a moment, and the moment that they are asked for."""
        window = self._window
        if window is None or not window.start_ns <= ts_ns < window.end_ns:
            ts_ns = min(max(ts_ns, _FIRST_NS), _LAST_NS - 1)
            window = self._look(ts_ns)
            object.__setattr__(self, "_window", window)
        return window, ts_ns

    def _look(self, ts_ns: int) -> _Window:
        today = ts_ns // 10**9 // DAY_S
        first, last = today - _MARGIN_DAYS, today + _WINDOW_DAYS
        table = self._spans(np.arange(first, last + _MARGIN_DAYS))
        end_ns = min(last * DAY_S * 10**9, _LAST_NS)
        return _Window((today - 1) * DAY_S * 10**9, end_ns, table, table.changes_ns().tolist())

    def _turns(self) -> list[int]:
        """The days on which hours begin or end to hold, or are special, since 1970-01-01."""
        bounds = [day for one in self.hours for day in (one.first_day, one.last_day) if day is not None]
        return bounds + [_number(day) for day, _ in self.special]

    def _check(self) -> None:
        """Refuse hours that overlap: in an ordinary year, and around each day on which something turns."""
        around = np.array(self._turns(), np.int64)[:, None] + np.arange(-_MARGIN_DAYS, _MARGIN_DAYS)
        year = _number(dt.date(2024, 1, 1)) + np.arange(_WINDOW_DAYS)
        days = np.unique(np.concatenate((year, around.ravel())))
        table = self._spans(days)
        overlaps = table.open_ns[1:] < table.close_ns[:-1]
        if (wrong := overlaps | (table.day[1:] < table.day[:-1])).any():
            row = int(np.flatnonzero(wrong)[0])
            day, other = (_EPOCH + dt.timedelta(int(day)) for day in table.day[row : row + 2])
            what = "overlap" if overlaps[row] else "are not in the order of their days"
            raise ConfigError(
                f"Session: got hours of {day} and {other} that {what}, expected one after another"
            )


@lru_cache(maxsize=256)
def _table(session: Session, first_year: int, last_year: int) -> SessionTable:
    first, after = _number(dt.date(first_year, 1, 1)), _number(dt.date(last_year + 1, 1, 1))
    return session._spans(np.arange(first, after))


def _number(day: dt.date) -> int:
    """Days since 1970-01-01."""
    return (day - _EPOCH).days


def _when(hours: Hours, days: NDArray[np.int64]) -> NDArray[np.int64]:
    """Those of the days that have these hours, as `Hours.on` says it."""
    chosen = np.isin((days + 3) % 7, [EVERY_DAY.index(day) for day in hours.days])
    if hours.first_day is not None:
        chosen &= days >= hours.first_day
    if hours.last_day is not None:
        chosen &= days <= hours.last_day
    return days[chosen]
