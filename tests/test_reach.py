"""What of an answer of history can be believed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tickwire.reach import Reach, compare


def judged(
    history: dict[int, float], live: dict[int, tuple[float, bool]], **how: Any
) -> tuple[int, tuple[int, ...]]:
    """Bars of length 1 that open in 0 to 10."""
    reach = compare(
        0,
        10,
        (np.array([*history], np.int64), np.array([*history.values()], np.float64)),
        (
            np.array([*live], np.int64),
            np.array([volume for volume, _ in live.values()], np.float64),
            np.array([complete for _, complete in live.values()], np.bool_),
        ),
        last_end_ns=max(history, default=-1) + 1,
        **({"is_old": False} | how),
    )
    assert reach.is_behind or not reach.lacking
    return reach.end_ns, reach.lacking


@pytest.mark.parametrize(
    ("history", "live", "expected"),
    [
        # A bar at the end, or after it, shows that history has got there.
        ({3: 5.0, 9: 5.0}, {}, (10, ())),
        ({3: 5.0, 12: 5.0}, {}, (10, ())),
        # Nothing shows it.
        ({3: 5.0}, {}, (4, ())),
        ({}, {}, (0, ())),
        # Bars that were heard and that history has.
        ({3: 5.0, 9: 5.0}, {3: (4.0, False), 9: (5.0, True)}, (10, ())),
        # One that it lacks, and one of which it has less than a part that was heard.
        ({3: 5.0, 9: 5.0}, {4: (1.0, True)}, (10, (4,))),
        ({3: 5.0, 9: 5.0}, {3: (6.0, False)}, (10, (3,))),
        # Of a whole bar history may think otherwise.
        ({3: 5.0, 9: 5.0}, {3: (6.0, True)}, (10, ())),
        # Volumes that were added up in another order are the same.
        ({9: 0.3}, {9: (0.1 + 0.2, False)}, (10, ())),
        # What was heard after the end is not history's business here.
        ({9: 5.0}, {11: (5.0, True), 12: (5.0, False)}, (10, ())),
    ],
)
def test_what_is_known(
    history: dict[int, float],
    live: dict[int, tuple[float, bool]],
    expected: tuple[int, tuple[int, ...]],
) -> None:
    assert judged(history, live) == expected


def test_in_the_end_silence_is_believed_unless_somebody_heard_more() -> None:
    assert judged({3: 5.0}, {}, is_old=True) == (10, ())
    assert judged({}, {}, is_old=True) == (10, ())
    # Heard after the hole, and missing in history, which was asked for it: history is behind.
    assert judged({3: 5.0}, {12: (1.0, True)}, is_old=True) == (4, ())


def test_pieces_leave_out_what_is_lacking() -> None:
    def pieces(end_ns: int, *lacking: int) -> list[tuple[int, int]]:
        reach = Reach(end_ns, lacking, is_behind=True)
        assert reach.whole_ns == min((end_ns, *lacking))
        return reach.pieces(0, tuple(ts + 1 for ts in lacking))

    assert pieces(10, 3, 7) == [(0, 3), (4, 7), (8, 10)]
    assert pieces(10, 0, 9) == [(1, 9)]
    assert pieces(4, 6) == [(0, 4)]
    assert pieces(0) == []
    assert pieces(10) == [(0, 10)]
