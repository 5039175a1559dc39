"""The lines of the report about local time: a column of times, and one."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Callable

import numpy as np

import tickwire as tw

from . import ours
from .harness import Contender, Goal, Line, Thunk, compare
from .lines import Options
from .market import trades

__all__ = ["daylight"]

ZONE = "America/New_York"
DAY_NS = 86_400 * 10**9


def daylight(options: Options) -> list[Line]:
    """From UTC to local time, and to the bars of a local day."""
    return [_column(options), _one(options)]


def _column(options: Options) -> Line:
    zone = tw.Zone(ZONE)
    ts = trades(options.trades, 100.0).ts_event
    engine = tw.Engine(tw.Instrument("X", tick_size=1.0, align=ZONE), ["1d"])
    all_time = zone.transitions(0, 2**63 - 1)
    starts = np.array([each.ts for each in all_time])
    offsets = np.array([zone.offset_ns(0), *(each.after_ns for each in all_time)])

    def searched() -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return ts + offsets[np.searchsorted(starts, ts, "right")]

    assert np.array_equal(zone.to_local(ts), searched())
    days = engine.bar_span("X", "1d", ts)[0]
    assert np.array_equal(np.unique(days), np.unique(zone.localize(searched() // DAY_NS * DAY_NS)))
    contenders = [
        Contender(ours.NAME, lambda: lambda: zone.to_local(ts), tw.__version__),
        Contender("bars of a day", lambda: lambda: engine.bar_span("X", "1d", ts), tw.__version__),
        Contender("np.searchsorted", lambda: lambda: np.searchsorted(starts, ts, "right"), np.__version__),
        Contender("and what it finds", lambda: searched, np.__version__),
    ]
    return Line(
        "daylight column",
        "UTC to local time, a column",
        "time",
        f"{len(ts):,} times, ascending; {len(starts)} transitions of {ZONE}. np.searchsorted alone only finds the row "
        "of the table. The bars of a day are the starts and the ends of both.",
        compare(contenders, units=len(ts), rounds=options.rounds),
        [Goal("np.searchsorted", 1.0, "time")],
        [],
    )


def _one(options: Options) -> Line:
    zone, info = tw.Zone(ZONE), zoneinfo.ZoneInfo(ZONE)
    rows = trades(options.size(200_000), 100.0).ts_event.tolist()
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)

    def python(ts: int) -> int:
        offset = (epoch + dt.timedelta(seconds=ts // 10**9)).astimezone(info).utcoffset()
        assert offset is not None
        return ts + offset // dt.timedelta(microseconds=1) * 1_000

    assert [zone.to_local(ts) for ts in rows[:1_000]] == [python(ts) for ts in rows[:1_000]]

    def loop(function: Callable[[int], int]) -> Callable[[], Thunk]:
        def run() -> None:
            for ts in rows:
                function(ts)

        return lambda: run

    return Line(
        "daylight time",
        "UTC to local time, one call per time",
        "call",
        f"{len(rows):,} calls in a Python loop, which is part of all times.",
        compare(
            [
                Contender(ours.NAME, loop(zone.to_local), tw.__version__),
                Contender("zoneinfo", loop(python)),
            ],
            units=len(rows),
            rounds=options.rounds,
        ),
        [Goal("zoneinfo", 4, "speed")],
        [],
    )
