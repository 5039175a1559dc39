"""Trading hours as columns: the spans in which a market trades, in ns UTC.

    table = tw.CME.table()
    table.open_ns, table.close_ns, table.day, table.kind       one row per span
    table.only("regular").holds(ts_ns)                         a column of times, all at once

Spans ascend, are disjoint, and hold their opening but not their close; two may touch. A `SessionTable`
knows nothing of zones and rules: `Session` makes it.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import ConfigError
from .offsets import offsets_between
from .units import int_column

__all__ = ["DAY_S", "SessionTable", "wall_s"]

DAY_S = 86_400
_BLOCK_DAYS = 512


@dataclass(frozen=True, slots=True, eq=False)
class SessionTable:
    """Spans of trading, one row each, in the order of time. The columns are read-only.

    Attributes:
        open_ns, close_ns: int64, shape (n,), ns UTC: it trades in open_ns <= ts < close_ns.
        day: int64, shape (n,), the trading day, in days since 1970-01-01. Several spans may share one.
        kind: int8, shape (n,), what kind of hours it is: an index into `kinds`.
        kinds: the names of the kinds.
    """

    open_ns: NDArray[np.int64]
    close_ns: NDArray[np.int64]
    day: NDArray[np.int64]
    kind: NDArray[np.int8]
    kinds: tuple[str, ...]

    def __post_init__(self) -> None:
        for column in (self.open_ns, self.close_ns, self.day, self.kind):
            column.flags.writeable = False

    def __len__(self) -> int:
        return len(self.open_ns)

    def only(self, *kinds: str) -> SessionTable:
        """The spans of some kinds.

        Raises:
            ConfigError: no such kind.
        """
        for kind in kinds:
            if kind not in self.kinds:
                raise ConfigError(f"kind: got {kind!r}, expected some of {', '.join(self.kinds)}")
        return self._rows(np.isin(self.kind, [self.kinds.index(kind) for kind in kinds]))

    def span_of(self, ts_ns: ArrayLike) -> NDArray[np.int64]:
        """The row whose span holds each time (int64 ns UTC or datetime64, shape (n,)); -1 outside."""
        times = int_column("ts_ns", ts_ns)
        if not len(times) or not len(self):
            return np.full(len(times), -1, np.int64)
        # Among the few spans that can hold one of them a search is several times faster.
        first = max(int(np.searchsorted(self.open_ns, times.min(), "right")) - 1, 0)
        last = int(np.searchsorted(self.open_ns, times.max(), "right"))
        row = np.searchsorted(self.open_ns[first:last], times, "right") - 1 + first
        inside = (row >= 0) & (times < self.close_ns[np.maximum(row, 0)])
        return np.where(inside, row, -1)

    def holds(self, ts_ns: ArrayLike) -> NDArray[np.bool_]:
        """Whether each time is inside a span (int64 ns UTC or datetime64, shape (n,))."""
        return self.span_of(ts_ns) >= 0

    def changes_ns(self) -> NDArray[np.int64]:
        """When it opens and when it closes, by turns, int64 ns UTC; spans that touch taken together."""
        apart = self.open_ns[1:] != self.close_ns[:-1]
        end = np.ones(min(len(self), 1), bool)
        opens = self.open_ns[np.concatenate((end, apart))]
        closes = self.close_ns[np.concatenate((apart, end))]
        changes: NDArray[np.int64] = np.column_stack((opens, closes)).ravel()
        return changes

    def _rows(self, rows: NDArray[np.bool_]) -> SessionTable:
        columns = (self.open_ns[rows], self.close_ns[rows], self.day[rows], self.kind[rows])
        return SessionTable(*columns, self.kinds)


def wall_s(info: dt.tzinfo, local_s: NDArray[np.int64], first_day: int, last_day: int) -> NDArray[np.int64]:
    """Wall-clock times of a zone as UTC: the first moment at which the wall shows that time or a later one.

    So a time that a transition skips is the moment of the skip, and of one that comes twice it is the
    first. Seconds since 1970-01-01, shape (n,), the given ones by the wall, in any order, and all from
    `first_day` to `last_day`.
    """
    # With two days more, for what a wall is ahead or behind, and in large blocks, which are found again.
    first, last = (first_day - 2) // _BLOCK_DAYS, -(-(last_day + 2) // _BLOCK_DAYS)
    starts, offsets = _offsets(info, first * _BLOCK_DAYS, last * _BLOCK_DAYS)
    # How far the wall gets before each offset ends; where it is set back, no further than before.
    reached = np.maximum.accumulate(np.append(starts[1:], np.iinfo(np.int64).max // 2) + offsets)
    row = np.searchsorted(reached, local_s, "right")
    moments: NDArray[np.int64] = np.maximum(local_s - offsets[row], starts[row])
    return moments


@lru_cache(maxsize=64)
def _offsets(info: dt.tzinfo, first_day: int, last_day: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The offsets of a zone over some days UTC: from when on, and how many seconds east."""
    starts, offsets = offsets_between(info, first_day * DAY_S, last_day * DAY_S)
    return np.append(first_day * DAY_S, starts), offsets
