"""Local time: when an exchange's wall clock is moved, and what it shows.

    new_york = tw.Zone("America/New_York")
    new_york.to_local(ts)                         int ns UTC, or a column of them
    new_york.localize(local, fold="raise")        and back
    new_york.next_transition(ts)                  Transition(ts=…, before_ns=…, after_ns=…)

Local times are int ns since 1970-01-01T00:00 by the wall clock. Datetimes without a time zone are taken for
local times here, and refused everywhere else.

The transitions from 1970 to 2200 come from `zoneinfo`, which knows a zone's history and, beyond it, its rule
for all years to come. It does not list them: its offsets are looked at every few days, and where two differ
the transition is found by halving, once per zone. Before 1970 and after 2200 the nearest offset goes on. Rust
gets the table and never sees a name.
"""

from __future__ import annotations

import datetime as dt
import functools
from typing import Literal, NamedTuple, Self, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core
from .errors import ConfigError
from .offsets import find_zone, offsets_between
from .units import time_ns

__all__ = ["Fold", "Gap", "Transition", "Zone", "zone"]

Fold = Literal["earlier", "later", "raise"]
Gap = Literal["shift", "raise"]

FIRST_YEAR, LAST_YEAR = 1970, 2200
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
_LAST_S = int(_EPOCH.replace(year=LAST_YEAR + 1).timestamp())
_NS = 10**9


class Transition(NamedTuple):
    """A moment at which a wall clock is moved.

    Attributes:
        ts: int ns UTC.
        before_ns, after_ns: how far local time is ahead of UTC until then, and from then on.
    """

    ts: int
    before_ns: int
    after_ns: int

    @property
    def shift_ns(self) -> int:
        """By how much the clock is set: above zero forward, as in spring."""
        return self.after_ns - self.before_ns


class Zone(_core.Zone):
    """The local time of a place, 1970 to 2200.

    Args:
        name: IANA name, e.g. "America/New_York".

    Raises:
        ConfigError: a zone that this system does not know.
    """

    def __new__(cls, name: str) -> Self:
        return super().__new__(cls, name, *_table(name))

    @overload
    def localize(self, local: int | dt.datetime, fold: Fold = ..., gap: Gap = ...) -> int: ...
    @overload
    def localize(self, local: ArrayLike, fold: Fold = ..., gap: Gap = ...) -> NDArray[np.int64]: ...
    def localize(
        self, local: int | dt.datetime | ArrayLike, fold: Fold = "earlier", gap: Gap = "shift"
    ) -> int | NDArray[np.int64]:
        """The moments of local times, int ns UTC.

        Args:
            local: local ns, a datetime without a time zone, or a column: int64 or datetime64, shape (n,).
            fold: which moment is meant where the clock was set back and shows a time twice.
            gap: what is meant where the clock was set forward and leaves a time out: "shift" as long
                after the transition as the time lies in the part that is left out, as Python's own fold=0.

        Raises:
            DataError: a time that is shown twice or never, where that is to raise.
            ConfigError: another policy.
        """
        if isinstance(local, dt.datetime):
            if local.tzinfo is not None:
                raise ConfigError(f"local: got {local!r}, expected a datetime without a time zone")
            local = (local.replace(tzinfo=_EPOCH.tzinfo) - _EPOCH) // dt.timedelta(microseconds=1) * 1_000
        moments: int | NDArray[np.int64] = self._localize(local, fold, gap)
        return moments

    def transitions(self, start: int | dt.datetime, end: int | dt.datetime) -> list[Transition]:
        """Those in `start <= ts < end`, int ns UTC or datetimes with a time zone; oldest first."""
        starts, offsets = _table(self.name)
        first, after = np.searchsorted(starts, [time_ns("start", start), time_ns("end", end)]).tolist()
        return [_transition(starts, offsets, row) for row in range(first, after)]

    def next_transition(self, ts: int | dt.datetime) -> Transition | None:
        """The first one after `ts`, int ns UTC or a datetime with a time zone; None if none is to come."""
        starts, offsets = _table(self.name)
        row = int(np.searchsorted(starts, time_ns("ts", ts), "right"))
        return _transition(starts, offsets, row) if row < len(starts) else None

    def __repr__(self) -> str:
        return f"Zone({self.name!r})"


@functools.cache
def zone(name: str) -> Zone:
    """The `Zone` of this name; always the same one."""
    return Zone(name)


def _transition(starts: NDArray[np.int64], offsets: NDArray[np.int64], row: int) -> Transition:
    return Transition(int(starts[row]), int(offsets[row]), int(offsets[row + 1]))


@functools.cache
def _table(name: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The transitions of a zone, ns UTC, and the offsets before the first and after each, ns."""
    starts, offsets = offsets_between(find_zone("zone", name), 0, _LAST_S)
    return starts * _NS, offsets * _NS
