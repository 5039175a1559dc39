"""A circuit breaker under any sequence of calls, against a model that keeps every call and works
everything out anew.

The clock moves in eighths of a second, which binary fractions hold exactly, so that both sides agree on
every edge.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from effort import examples
from tickwire.breaker import Breaker, BreakerChange, BreakerSettings
from tickwire.errors import BreakerOpen

SLOW_S = 0.5
SLICES = 10


@dataclass
class Model:
    """What a breaker is said to do, in lists."""

    settings: BreakerSettings
    now_s: float = 100.0
    state: str = "closed"
    forced: bool = False
    # (time, good) of the calls that count for the present closed state.
    ends: list[tuple[float, bool]] = field(default_factory=list)
    calls: int = 0
    events: int = 0
    failures: int = 0
    slow: int = 0
    refused: int = 0
    refused_events: int = 0
    probes_out: int = 0
    probes_good: int = 0
    failed_probes: int = 0
    half_open_s: float = 0.0
    opened_s: float = 0.0
    changes: list[tuple[str, str]] = field(default_factory=list)

    def change(self, state: str) -> None:
        if state != self.state:
            self.changes.append((self.state, state))
        self.state = state

    def wait_s(self) -> float:
        s = self.settings
        return float(min(s.recovery_s * s.recovery_factor**self.failed_probes, s.recovery_max_s))

    def open(self, *, failed_probe: bool) -> None:
        self.failed_probes = self.failed_probes + 1 if failed_probe else 0
        self.opened_s, self.forced = self.now_s, False
        self.change("open")

    def close(self, *, forced: bool = False) -> None:
        self.ends, self.forced = [], forced
        self.change("closed")

    def allow(self, n: int) -> bool:
        if self.state == "open" and not self.forced and self.now_s >= self.opened_s + self.wait_s():
            self.change("half-open")
            self.probes_out = self.probes_good = 0
            self.half_open_s = self.now_s
        if self.state == "closed":
            return True
        if self.state == "half-open":
            if self.probes_out < self.settings.probes:
                self.probes_out += 1
                return True
            if self.now_s >= self.half_open_s + self.settings.probe_limit_s:
                self.open(failed_probe=True)
        self.refused += 1
        self.refused_events += n
        return False

    def end(self, n: int, good: bool, slow: bool, current: bool) -> None:
        self.calls += 1
        self.events += n
        self.failures += not good or slow
        self.slow += slow
        good = good and not slow
        if not current:
            return
        if self.state == "closed":
            self.ends.append((self.now_s, good))
            if not good and not self.forced and self.too_many():
                self.open(failed_probe=False)
        elif self.state == "half-open":
            if not good:
                self.open(failed_probe=True)
            else:
                self.probes_good += 1
                if self.probes_good == self.settings.probes:
                    self.close()

    def too_many(self) -> bool:
        s = self.settings
        newest = [] if s.failures is None else [good for _, good in self.ends[-s.failures :]]
        if newest and len(newest) == s.failures and not any(newest):
            return True
        if s.rate is None:
            return False
        if s.window_s is None:
            window = self.ends[-s.window_calls :]
        else:
            oldest = math.floor(self.now_s / s.window_s * SLICES) - SLICES + 1
            window = [end for end in self.ends if math.floor(end[0] / s.window_s * SLICES) >= oldest]
        bad = sum(not good for _, good in window)
        return len(window) >= s.minimum_calls and bad / len(window) >= s.rate


class AnyCalls(RuleBasedStateMachine):
    """Calls that begin, end well or badly or slowly or never, batches, time, and hands."""

    @initialize(
        failures=st.sampled_from([None, None, 2, 5]),
        rate=st.sampled_from([0.2, 0.5, 0.75, 1.0]),
        window=st.sampled_from([("calls", 5), ("calls", 8), ("s", 1.25), ("s", 10.0)]),
        minimum=st.integers(1, 5),
        probes=st.integers(1, 3),
    )
    def start(
        self, failures: int | None, rate: float, window: tuple[str, float], minimum: int, probes: int
    ) -> None:
        kind, size = window
        made = BreakerSettings(
            failures=failures,
            rate=rate,
            window_calls=int(size) if kind == "calls" else 100,
            window_s=size if kind == "s" else None,
            minimum_calls=minimum,
            slow_call_s=SLOW_S,
            recovery_s=0.5,
            recovery_max_s=3.0,
            probes=probes,
            probe_limit_s=4.0,
            jitter=0.0,
        )
        self.model = Model(made)
        self.breaker = Breaker("b", made, clock=lambda: self.model.now_s)
        self.guarded = self.breaker(self.handle)
        self.heard: list[BreakerChange] = []
        self.breaker.add_listener(self.heard.append)
        # Permits that are out, in which era they were given, and for how many events.
        self.out: list[tuple[int, int, int]] = []
        self.repeats = 0

    def handle(self, good: bool, took_s: float) -> None:
        self.model.now_s += took_s
        if not good:
            raise LookupError

    def era(self) -> int:
        """A number that goes up with each change of state, and with each state set anew by hand."""
        return len(self.model.changes) + self.repeats

    @rule(eighths=st.sampled_from([1, 2, 4, 9, 32, 100]))
    def time_passes(self, eighths: int) -> None:
        self.model.now_s += eighths / 8

    @rule(good=st.booleans(), took_s=st.sampled_from([0.0, 0.0, 0.125, 0.625]), decorated=st.booleans())
    def one_call(self, good: bool, took_s: float, decorated: bool) -> None:
        model = self.model
        allowed = model.allow(1)
        refused = self.breaker.status().short_circuited
        try:
            if decorated:
                self.guarded(good, took_s)
            else:
                self.breaker.call(self.handle, good, took_s)
        except LookupError:
            assert allowed
            assert not good
        except BreakerOpen:
            assert not allowed
        assert (self.breaker.status().short_circuited > refused) is not allowed
        if allowed:
            model.end(1, good, took_s > SLOW_S, True)

    @rule(goods=st.lists(st.booleans(), min_size=4, max_size=12), eighths=st.sampled_from([0, 0, 1, 8]))
    def several_calls(self, goods: list[bool], eighths: int) -> None:
        for good in goods:
            self.one_call(good, 0.0, good)
            self.same()
            self.model.now_s += eighths / 8

    @rule(n=st.sampled_from([1, 10, 1_000]))
    def a_call_begins(self, n: int) -> None:
        allowed = self.model.allow(n)
        permit = self.breaker.allow(n)
        assert bool(permit) is allowed
        if permit:
            self.out.append((permit, self.era(), n))

    @precondition(lambda self: self.out)
    @rule(which=st.integers(0, 99), good=st.booleans(), slow=st.booleans())
    def a_call_ends(self, which: int, good: bool, slow: bool) -> None:
        permit, era, n = self.out.pop(which % len(self.out))
        current = era == self.era()
        took_s = SLOW_S + 0.125 if slow else 0.0
        self.model.end(n, good, slow, current)
        if good:
            self.breaker.success(n, took_s, permit=permit)
        else:
            self.breaker.failure(n, took_s, LookupError(), permit=permit)

    @precondition(lambda self: self.out)
    @rule(which=st.integers(0, 99))
    def a_call_is_abandoned(self, which: int) -> None:
        permit, era, _ = self.out.pop(which % len(self.out))
        if era == self.era() and self.model.state == "half-open":
            self.model.probes_out -= 1
        self.breaker.abandon(permit)

    @rule(good=st.booleans())
    def an_end_without_a_permit(self, good: bool) -> None:
        self.model.end(1, good, False, True)
        (self.breaker.success if good else self.breaker.failure)()

    @rule(how=st.sampled_from(["force_open", "force_close", "reset", "reset"]))
    def by_hand(self, how: str) -> None:
        model, before = self.model, self.model.state
        getattr(self.breaker, how)()
        if how == "force_open":
            model.open(failed_probe=False)
            model.forced = True
        else:
            model.close(forced=how == "force_close")
        # What began before it was asked for does not count after it, even where the state is the same.
        self.repeats += model.state == before

    @invariant()
    def same(self) -> None:
        model, status = self.model, self.breaker.status()
        assert (status.state, status.forced) == (model.state, model.forced)
        assert (status.calls, status.events) == (model.calls, model.events)
        assert (status.failures, status.slow) == (model.failures, model.slow)
        assert (status.short_circuited, status.events_refused) == (model.refused, model.refused_events)
        assert [(change.before, change.state) for change in self.heard] == model.changes
        assert status.opened == sum(after == "open" for _, after in model.changes)
        if model.state == "open" and not model.forced:
            assert status.next_probe_s == max(model.opened_s + model.wait_s() - model.now_s, 0)
        elif model.state == "half-open":
            full = model.probes_out >= model.settings.probes
            end_s = model.half_open_s + model.settings.probe_limit_s
            assert status.next_probe_s == (max(end_s - model.now_s, 0) if full else 0)
        else:
            assert status.next_probe_s is None


AnyCalls.TestCase.settings = settings(max_examples=examples(150), stateful_step_count=40)
TestAnyCalls = AnyCalls.TestCase
