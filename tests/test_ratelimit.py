"""A rate limit keeps every window within its count, and makes nobody wait longer than needed."""

from __future__ import annotations

import math
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwire.errors import ConfigError
from tickwire.ratelimit import RateLimit


@given(
    count=st.integers(1, 6),
    per_s=st.sampled_from([0.5, 3.0, 30.0]),
    steps=st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=60),
)
def test_every_window_holds_and_no_wait_is_longer_than_needed(
    count: int, per_s: float, steps: list[tuple[int, bool]]
) -> None:
    limit = RateLimit(count, per_s)
    starts: list[float] = []
    now_s = 100.0
    for quarter_seconds, patient in steps:
        now_s += quarter_seconds / 4
        # By the definition: not before those in front, and not as one too many of any window.
        expected_s = max([now_s, *starts[-1:]])
        if len(starts) >= count:
            expected_s = max(expected_s, starts[-count] + per_s)
        wait_s = limit.reserve(now_s, math.inf if patient else 0.0)
        assert wait_s == pytest.approx(expected_s - now_s, abs=1e-9)
        if patient or wait_s <= 0:
            starts.append(now_s + wait_s)
    for first, later in zip(starts, starts[count:], strict=False):
        assert later - first >= per_s - 1e-9


def test_a_penalty_holds_everybody_back_until_it_is_over() -> None:
    limit = RateLimit(10, 1.0)
    limit.penalise(105.0)
    limit.penalise(103.0)
    assert limit.reserve(100.0) == 5.0
    assert limit.reserve(106.0) == 0.0


def test_threads_share_one_allowance() -> None:
    limit = RateLimit(100, 60.0)
    waits: list[float] = []

    def ask() -> None:
        waits.extend(limit.reserve(0.0) for _ in range(50))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(waits) == [0.0] * 100 + [60.0] * 100


@pytest.mark.parametrize(("count", "per_s"), [(0, 1.0), (1.5, 1.0), (1, 0.0), (1, math.nan)])
def test_what_is_no_limit_is_refused(count: int, per_s: float) -> None:
    with pytest.raises(ConfigError, match="RateLimit"):
        RateLimit(count, per_s)
