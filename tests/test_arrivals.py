"""The offset of the clocks as a connection uses it, and the lateness of ticks."""

from __future__ import annotations

from tickwire.arrivals import Arrivals

NS = 1_000_000_000


def test_a_tick_that_was_looked_at_before_is_not_counted_again() -> None:
    arrivals = Arrivals()
    assert arrivals.event_delay_s is None
    assert arrivals.offset_ns == 0
    for _ in range(50):
        arrivals.look("A", 2 * NS, 1 * NS, None)
    arrivals.look("A", 3 * NS, 3 * NS, None)
    arrivals.look("B", 4 * NS, 4 * NS, None)
    assert arrivals.event_delay_s == 0.0


def test_the_least_offset_of_all_instruments_has_the_least_of_the_way_in_it() -> None:
    arrivals = Arrivals()
    arrivals.look("A", 3 * NS, 1 * NS, 2 * NS)
    assert arrivals.offset_ns == 2 * NS
    arrivals.look("B", 4 * NS, 5 * NS, -1 * NS)
    assert arrivals.offset_ns == -1 * NS
    # Its own estimate takes the place of the one before.
    arrivals.look("B", 9 * NS, 5 * NS, 4 * NS)
    arrivals.look("A", 9 * NS, 5 * NS, None)
    assert arrivals.offset_ns == 2 * NS


def test_the_delay_is_less_the_offset() -> None:
    arrivals = Arrivals()
    for second in range(10):
        arrivals.look("A", (second + 5) * NS, second * NS, 4 * NS)
    assert arrivals.event_delay_s == 1.0
