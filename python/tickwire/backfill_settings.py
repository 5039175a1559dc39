"""Settings of backfill, checked once, and how far back a seed goes."""

from __future__ import annotations

import datetime as dt
import math
import re
from dataclasses import dataclass, fields

from .errors import ConfigError
from .units import duration_ns

__all__ = ["BackfillSettings", "seed_ns"]

_DAYS = re.compile(r"(\d+)(d|w)")
_DAY_NS = 86_400_000_000_000
_LONGEST_DAYS = 36_500


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillSettings:
    """When history is asked, how much at once, and when it is given up.

    Attributes:
        settle_s: how long bars must have been closed before history is asked for them.
        quiet_s: how long ago a hole must have ended before history that shows nothing after it is
            believed to be up to date. Otherwise a later bar, or one that was heard live, has to prove it.
        request_s: time limit of one call of the history.
        retry_min_s, retry_max_s: bounds of the doubling delays between attempts, each shortened by up to
            half at random.
        attempts: after so many failures in a row a hole is given up.
        hanging: calls beyond their time limit that may not have returned; with so many, no other is made.
        page_bars: bars that are put in at once; a few more are asked for, which should fit a page of the
            server's.
        portion_bars: about so many of them at a time, while ticks of the instrument wait. Larger bars that
            are closed are not cut, so it may be more: with daily bars, the seconds of a whole day.
        seed_pages, gap_pages: pages of a timeframe in a seed or a gap, before larger timeframes are asked
            for what lies before.
        worth_bars: bars of a hole that are fetched before the rest of it has been closed.
    """

    settle_s: float = 2.0
    quiet_s: float = 60.0
    request_s: float = 60.0
    retry_min_s: float = 1.0
    retry_max_s: float = 300.0
    attempts: int = 20
    hanging: int = 2
    page_bars: int = 19_900
    portion_bars: int = 2_000
    seed_pages: int = 1
    gap_pages: int = 10
    worth_bars: int = 60

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name.endswith("_s"):
                if not (isinstance(value, int | float) and math.isfinite(value) and value >= 0):
                    raise ConfigError(f"{field.name}: got {value!r}, expected seconds from 0 up")
            elif isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(f"{field.name}: got {value!r}, expected a whole number from 1 up")
        if not 0 < self.retry_min_s <= self.retry_max_s:
            raise ConfigError(
                f"retry_min_s: got {self.retry_min_s!r}, expected more than 0 and at most retry_max_s, "
                f"which is {self.retry_max_s!r}"
            )
        if self.request_s == 0:
            raise ConfigError("request_s: got 0, expected seconds above 0")


def seed_ns(value: str | dt.timedelta | None) -> int:
    """How far before the join a seed begins, ns: "5d", "2w", "36h", a timedelta; None is 0.

    Raises:
        ConfigError: anything else.
    """
    if value is None:
        return 0
    if isinstance(value, str) and (match := _DAYS.fullmatch(value)):
        days = int(match[1]) * (7 if match[2] == "w" else 1)
        if days > _LONGEST_DAYS:
            raise ConfigError(f"seed: got {value!r}, expected at most {_LONGEST_DAYS} days")
        return days * _DAY_NS
    try:
        return duration_ns("seed", value)
    except ConfigError:
        raise ConfigError(
            f'seed: got {value!r}, expected a length of time such as "5d", "2w" or "36h", or a timedelta'
        ) from None
