"""Clocks that are not the world's, for hubs under test."""

from __future__ import annotations

import selectors

from hubs import PATIENCE_S
from tickwire import sim
from tickwire.clock import Clock

EPOCH_NS = 1_772_000_000_000_000_000
"""Time of day when they start, ns UTC."""


class SetClock(Clock):
    """Stands still but for `advance`: what is timed waits for the test."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0

    def advance(self, hub: sim.Hub, seconds: float) -> None:
        """Go on by so much, between two turns of the hub's loop."""

        def go() -> bool:
            self.elapsed_s += seconds
            return True

        hub.wait_until(lambda _: go())

    def now_ns(self) -> int:
        return EPOCH_NS + round(self.elapsed_s * 1e9)

    def monotonic_s(self) -> float:
        return self.elapsed_s

    def select(
        self, selector: selectors.BaseSelector, timeout_s: float | None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        deadline_s = None if timeout_s is None else self.elapsed_s + timeout_s
        while True:
            if deadline_s is not None and self.elapsed_s >= deadline_s:
                return selector.select(0)
            if ready := selector.select(0.001):
                return ready


class JumpingClock(SetClock):
    """Jumps to the next deadline whenever no socket of the one loop that runs on it has anything to say."""

    def select(
        self, selector: selectors.BaseSelector, timeout_s: float | None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        # What one end writes on loopback is with the other end before the write returns, unless the
        # kernel holds it back for company, which TCP_NODELAY forbids.
        ready = selector.select(0)
        if not ready:
            if timeout_s is None:
                return selector.select(PATIENCE_S)
            self.elapsed_s += timeout_s
        return ready
