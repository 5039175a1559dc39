"""How far history can be believed: telling "nothing was traded" from "not known yet".

History says nothing of bars without trades, and may lag behind the market. What was heard live bears
witness: a closed bar that is missing in history, or that has less volume there although a part of it was
missed here, shows that history has not got there. A bar of history at the end of what was asked for, or
after it, shows that it has. Where neither is to be found, time has to tell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Reach", "compare"]

_SAME = 1.0 - 1e-9
"""For volumes that were added up in another order."""

_Times = NDArray[np.int64]
_Volumes = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Reach:
    """What of a request is known.

    Attributes:
        end_ns: up to when history can be believed, but for the bars below.
        lacking: opening times, ascending, of bars heard live that history lacks or has less of.
        is_behind: whether something shows that history will know more.
    """

    end_ns: int
    lacking: tuple[int, ...]
    is_behind: bool

    @property
    def whole_ns(self) -> int:
        """Up to when everything is known."""
        return min((self.end_ns, *self.lacking[:1]))

    def pieces(self, start_ns: int, ends_ns: tuple[int, ...]) -> list[tuple[int, int]]:
        """What can be put in from `start_ns` on, beside the lacking bars, which end at `ends_ns`."""
        starts = (start_ns, *ends_ns)
        ends = (*(min(ts, self.end_ns) for ts in self.lacking), self.end_ns)
        return [(start, end) for start, end in zip(starts, ends, strict=True) if start < end]


def compare(
    start_ns: int,
    end_ns: int,
    history: tuple[_Times, _Volumes],
    live: tuple[_Times, _Volumes, NDArray[np.bool_]],
    *,
    last_end_ns: int,
    is_old: bool,
) -> Reach:
    """What is known of bars that open in `start_ns <= ts < end_ns`, int ns UTC.

    Args:
        history: opening times, ascending, and volumes of its bars from `start_ns` on; it was asked for
            some after `end_ns`, too.
        live: opening times, ascending, volumes, and whether they are complete, of the bars that were
            closed here in the time that history was asked for.
        last_end_ns: end of the last bar of history; `start_ns` if it has none.
        is_old: whether `end_ns` is so long ago that history is believed unless a witness speaks
            against it.
    """
    times, volumes = history
    live_times, live_volumes, complete = live
    given = np.full(len(live_times), -1.0)
    found = np.isin(live_times, times)
    given[found] = volumes[np.searchsorted(times, live_times[found])]
    lacking = (live_times < end_ns) & (~found | (~complete & (given < live_volumes * _SAME)))
    is_behind = bool((live_times >= last_end_ns).any())
    reached = last_end_ns >= end_ns or (is_old and not is_behind)
    return Reach(
        end_ns if reached else min(max(start_ns, last_end_ns), end_ns),
        tuple(int(ts) for ts in live_times[lacking]),
        is_behind or bool(lacking.any()),
    )
