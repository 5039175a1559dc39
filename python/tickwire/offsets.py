"""How far a zone's wall clock is ahead of UTC, and when that changes, found by looking.

`zoneinfo` knows a zone's history and, beyond it, its rule for all years to come, but does not list its
transitions. So its offsets are looked at every few days, and where two differ the transition is found by
halving.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .errors import ConfigError

__all__ = ["find_zone", "offsets_between"]

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
_SECOND = dt.timedelta(seconds=1)
# No zone ever went from one offset to another and back in less than a week but for an hour (Recife in 2000).
_STEP_S = 5 * 86_400


def find_zone(name: str, zone: object) -> dt.tzinfo:
    """A zone by its IANA name. `name` is the argument's, for the error.

    Raises:
        ConfigError: this system knows no such zone.
    """
    try:
        return zoneinfo.ZoneInfo(zone)  # type: ignore[arg-type]  # refuses what is no text
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        raise ConfigError(
            f'{name}: got {zone!r}, expected a time zone such as "America/New_York"; '
            "where the system has none, install tzdata"
        ) from None


def offsets_between(
    info: dt.tzinfo, first_s: int, last_s: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The transitions after `first_s` and up to some days after `last_s`, seconds UTC since 1970-01-01, and
    the offsets before the first of them and after each, seconds east: one more.
    """

    def offset(at_s: int) -> int:
        ahead = (_EPOCH + at_s * _SECOND).astimezone(info).utcoffset()
        return 0 if ahead is None else ahead // _SECOND

    starts, offsets = list[int](), [offset(first_s)]
    for late_s in range(first_s + _STEP_S, last_s + _STEP_S, _STEP_S):
        early_s = late_s - _STEP_S
        # One step may hold several transitions.
        while offset(late_s) != offsets[-1]:
            early_s = _first_change(offset, early_s, late_s)
            starts.append(early_s)
            offsets.append(offset(early_s))
    return np.array(starts, np.int64), np.array(offsets, np.int64)


def _first_change(offset: Callable[[int], int], early_s: int, late_s: int) -> int:
    """A second from which on the offset is not what it was at `early_s`, as it is not at `late_s`."""
    before = offset(early_s)
    while late_s - early_s > 1:
        middle_s = (early_s + late_s) // 2
        if offset(middle_s) == before:
            early_s = middle_s
        else:
            late_s = middle_s
    return late_s
