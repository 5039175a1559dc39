"""The estimate of the clocks' offset against made-up delays, and the lateness of ticks."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwire.arrivals import Arrivals, ClockOffset

NS = 1_000_000_000


@pytest.mark.parametrize("skew_s", [-30.0, -1.0, 0.0, 3.0, 900.0])
def test_the_offset_is_found_within_the_jitter_of_the_way(skew_s: float) -> None:
    rng = random.Random(3)
    offset = ClockOffset()
    for second in range(200):
        event_ns = second * NS
        way_ns = round(rng.expovariate(20.0) * NS) + 1_000_000
        offset.sample(event_ns + way_ns + round(skew_s * NS), event_ns)
    assert skew_s * NS <= offset.ns <= (skew_s + 0.05) * NS


def test_one_stamp_from_the_future_shifts_nothing() -> None:
    offset = ClockOffset()
    for second in range(10):
        offset.sample(second * NS + 2_000_000, second * NS)
    offset.sample(11 * NS, 16 * NS)
    assert offset.ns >= 0
    offset.sample(12 * NS, 17 * NS)
    assert offset.ns >= 0
    # Three that agree are no accident: the venue's clock is ahead.
    offset.sample(13 * NS, 18 * NS)
    assert offset.ns == -5 * NS


def test_a_clock_that_was_set_is_followed_once_the_old_samples_are_out_of_the_window() -> None:
    offset = ClockOffset()
    for second in range(100):
        offset.sample(second * NS, second * NS)
    assert offset.ns == 0
    for second in range(100, 500):
        offset.sample((second + 10) * NS, second * NS)
    assert offset.ns == 10 * NS


@given(st.lists(st.tuples(st.integers(0, 10**12), st.integers(0, 10**12)), min_size=1, max_size=200))
def test_no_estimate_lies_outside_what_was_seen(samples: list[tuple[int, int]]) -> None:
    offset = ClockOffset()
    for ts_recv, ts_event in samples:
        offset.sample(ts_recv, ts_event)
    differences = [ts_recv - ts_event for ts_recv, ts_event in samples]
    assert min(0, *differences) <= offset.ns <= max(0, *differences)


def test_a_tick_that_was_looked_at_before_is_not_counted_again() -> None:
    arrivals = Arrivals()
    assert arrivals.event_delay_s is None
    for _ in range(50):
        arrivals.look("A", 2 * NS, 1 * NS)
    arrivals.look("A", 3 * NS, 3 * NS)
    arrivals.look("B", 4 * NS, 4 * NS)
    assert arrivals.offset_ns == 0
    assert arrivals.event_delay_s == 0.0
