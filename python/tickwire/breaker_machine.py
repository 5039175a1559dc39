"""The state machine of a circuit breaker: one caller at a time, the time given with every call.

`Breaker` puts a lock, a clock and listeners around it. Nothing here runs foreign code. What happened
is left in `changes` for whoever tells the listeners.

A permit is the number of the time spent in a state (its era). A result counts for the state only if
it names the present era, or none (0): the end of a call that began before the breaker opened says
nothing about how it is half-open.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from .breaker_settings import BreakerSettings
from .breaker_window import CallWindow, TimeWindow, Window

__all__ = ["BreakerChange", "BreakerState", "BreakerStatus", "Machine"]

BreakerState = Literal["closed", "open", "half-open"]


@dataclass(frozen=True, slots=True)
class BreakerChange:
    """A change of state, for listeners; `reason` says why, in words."""

    breaker: str
    state: BreakerState
    before: BreakerState
    reason: str


@dataclass(frozen=True, slots=True)
class BreakerStatus:
    """A breaker at one moment.

    Attributes:
        name, state: which, and how it is.
        forced: whether it was opened or closed by hand, and stays so until `reset`.
        reason: why it is in this state, in words.
        state_s: for how many seconds it has been.
        next_probe_s: seconds until a call is let through again: 0 when the next one is, None where
            none is awaited (closed, or forced open).
        calls, events: calls that ended, and the events that they carried.
        failures: of these calls, so many failed, slow ones included.
        slow: of these failures, so many took too long.
        short_circuited, events_refused: calls that were refused, and the events that they carried.
        opened: how often it has opened.
    """

    name: str
    state: BreakerState
    forced: bool
    reason: str
    state_s: float
    next_probe_s: float | None
    calls: int
    events: int
    failures: int
    slow: int
    short_circuited: int
    events_refused: int
    opened: int


class Machine:
    """State and counts of one breaker.

    Attributes:
        closed: the present permit while it is closed, else 0. May be read without the lock.
        roll_at_s: from this time on a success must go through `succeeded`, not `tick` alone. May be read
            without the lock.
        tick: counts a call that ended well in the closed state. Taking the next number of an
            `itertools.count` is one step that no other thread can split: it needs no lock.
        changes: what nobody has been told yet.
    """

    __slots__ = (
        "_era",
        "_extra_events",
        "_failures",
        "_forced",
        "_last_failure",
        "_looks",
        "_name",
        "_next_probe_s",
        "_opened",
        "_probes_admitted",
        "_probes_succeeded",
        "_reason",
        "_recovery_s",
        "_refused_calls",
        "_refused_events",
        "_run",
        "_settings",
        "_since_s",
        "_slow",
        "_uniform",
        "_window",
        "changes",
        "closed",
        "roll_at_s",
        "state",
        "tick",
    )

    def __init__(
        self, name: str, settings: BreakerSettings, uniform: Callable[[], float], now_s: float
    ) -> None:
        self._name = name
        self._settings = settings
        self._uniform = uniform
        self.tick = itertools.count().__next__
        # Numbers that were taken only to look at the count.
        self._looks = 0
        self._extra_events = self._failures = self._slow = 0
        self._refused_calls = self._refused_events = self._opened = 0
        self._window: Window = (
            CallWindow(settings.window_calls) if settings.window_s is None else TimeWindow(settings.window_s)
        )
        self.roll_at_s = self._window.roll_at_s
        self._era = self.closed = 1
        self.state: BreakerState = "closed"
        self._forced = False
        self._reason = "new"
        self._since_s = now_s
        # The position of the newest failure, and how many failed in a row up to it.
        self._last_failure = self._run = 0
        self._recovery_s = settings.recovery_s
        # Open: when a probe is let through. Half-open: when probes that have not ended have failed.
        self._next_probe_s = 0.0
        self._probes_admitted = self._probes_succeeded = 0
        self.changes: deque[BreakerChange] = deque()

    # Calls

    def admit(self, n: int, now_s: float) -> int:
        """A permit for a call with `n` events, or 0."""
        settings = self._settings
        if self.state == "open" and not self._forced and now_s >= self._next_probe_s:
            self._change("half-open", "the recovery time has passed", now_s)
            self._probes_admitted = self._probes_succeeded = 0
            self._next_probe_s = now_s + settings.probe_limit_s
        if self.state == "half-open":
            if self._probes_admitted < settings.probes:
                self._probes_admitted += 1
                return self._era
            if now_s >= self._next_probe_s:
                self._open(f"no probe ended within {settings.probe_limit_s:g} s", now_s)
        if self.state == "closed":
            return self._era
        self._refused_calls += 1
        self._refused_events += n
        return 0

    def succeeded(self, n: int, now_s: float, permit: int) -> None:
        """A call with `n` events ended well."""
        self._roll(now_s)
        self.tick()
        self._extra_events += n - 1
        if self.state == "half-open" and permit in (0, self._era):
            self._probes_succeeded += 1
            if self._probes_succeeded >= self._settings.probes:
                self.close("all probes succeeded", now_s)

    def failed(self, n: int, how: str, slow: bool, now_s: float, permit: int) -> None:
        """A call with `n` events failed: `how`, in words."""
        self._roll(now_s)
        position = self.tick() - self._looks + 1
        self._extra_events += n - 1
        self._failures += 1
        self._slow += slow
        if permit not in (0, self._era):
            return
        if self.state == "closed":
            self._judge(position, how, now_s)
        elif self.state == "half-open":
            self._open(f"a probe failed: {how}", now_s)

    def abandoned(self, permit: int) -> None:
        """A call that had a permit was not made, or was cancelled."""
        if self.state == "half-open" and permit == self._era:
            self._probes_admitted -= 1

    # By hand

    def force_open(self, now_s: float) -> None:
        """Refuse calls until it is closed by hand."""
        self._open("opened by hand", now_s)
        self._forced = True

    def close(self, reason: str, now_s: float, *, forced: bool = False) -> None:
        """Close it and forget what failed."""
        self._forced = forced
        self._run = 0
        self._window.clear(self._calls(), now_s)
        self.roll_at_s = self._window.roll_at_s
        self._change("closed", reason, now_s)

    # Looking at it

    def status(self, now_s: float) -> BreakerStatus:
        """State and counts."""
        calls = self._calls()
        return BreakerStatus(
            name=self._name,
            state=self.state,
            forced=self._forced,
            reason=self._reason,
            state_s=max(now_s - self._since_s, 0.0),
            next_probe_s=self._wait_s(now_s),
            calls=calls,
            events=calls + self._extra_events,
            failures=self._failures,
            slow=self._slow,
            short_circuited=self._refused_calls,
            events_refused=self._refused_events,
            opened=self._opened,
        )

    def _wait_s(self, now_s: float) -> float | None:
        if self.state == "closed" or self._forced:
            return None
        if self.state == "half-open" and self._probes_admitted < self._settings.probes:
            return 0.0
        return max(self._next_probe_s - now_s, 0.0)

    def _calls(self) -> int:
        calls = self.tick() - self._looks
        self._looks += 1
        return calls

    # Steps

    def _roll(self, now_s: float) -> None:
        if now_s >= self.roll_at_s:
            self._window.roll(self._calls(), now_s)
            self.roll_at_s = self._window.roll_at_s

    def _judge(self, position: int, how: str, now_s: float) -> None:
        settings = self._settings
        # No success has come between two failures if their positions are neighbours.
        self._run = self._run + 1 if position == self._last_failure + 1 else 1
        self._last_failure = position
        calls, failures = self._window.failed(position)
        if self._forced:
            return
        if settings.failures is not None and self._run >= settings.failures:
            self._open(f"{self._run} failed in a row, the last: {how}", now_s)
        elif (
            settings.rate is not None
            and calls >= settings.minimum_calls
            and failures / calls >= settings.rate
        ):
            self._open(f"{failures} of {calls} calls failed, the last: {how}", now_s)

    def _open(self, reason: str, now_s: float) -> None:
        settings = self._settings
        self._opened += self.state != "open"
        self._recovery_s = (
            min(self._recovery_s * settings.recovery_factor, settings.recovery_max_s)
            if self.state == "half-open"
            else settings.recovery_s
        )
        self._next_probe_s = now_s + self._recovery_s * (1 - settings.jitter * self._uniform())
        self._forced = False
        self._change("open", reason, now_s)

    def _change(self, state: BreakerState, reason: str, now_s: float) -> None:
        before, self.state, self._reason = self.state, state, reason
        self._era += 1
        self.closed = self._era if state == "closed" else 0
        if before != state:
            self._since_s = now_s
            self.changes.append(BreakerChange(self._name, state, before, reason))
