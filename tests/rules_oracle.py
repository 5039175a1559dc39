"""The rules for trades, written down naively: every question is answered from the list of all ticks before.

What is usual is worked out anew from the whole list each time, the grid with exact fractions.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field
from fractions import Fraction

import tickwire as tw
from oracle import Clock

WARM_UP = 31
UP = 1.03125


@dataclass(frozen=True)
class Tick:
    ts: int
    price: float
    size: float = 1.0
    side: int = 0
    recv: int | None = None


@dataclass
class Seen:
    """A tick and what was said of it."""

    tick: Tick
    reason: str | None = None
    flags: set[str] = field(default_factory=set)


def usual(numbers: list[float]) -> float | None:
    """The running median: of the first 31, then a step of a thirty-second up or down with each."""
    if len(numbers) < WARM_UP:
        return None
    value = statistics.median(numbers[:WARM_UP])
    for number in numbers[WARM_UP:]:
        if number > value:
            value *= UP
        elif number < value:
            value *= 1 / UP
    return value


class Oracle:
    """Judges trades one after another."""

    def __init__(self, rules: tw.Rules, tick_size: float) -> None:
        self.rules = rules
        self.tick_size = tick_size
        self.seen: list[Seen] = []
        self.anchor: tuple[float, int] | None = None
        self.run: list[float] = []
        self.behind = 0
        self.newest: int | None = None
        self.clock = Clock()
        self.sizes: list[float] = []
        self.moves: list[float] = []
        self.jump: tuple[float, float, list[Seen]] | None = None

    @property
    def accepted(self) -> list[Seen]:
        return [each for each in self.seen if each.reason is None]

    def trade(self, tick: Tick) -> Seen:
        seen = Seen(tick)
        self.clock.sample(tick.ts, tick.recv)
        before = self.accepted
        seen.reason = self._broken(tick, seen.flags)
        if seen.reason is not None:
            seen.flags = set()
        elif self.rules.spike != "off":
            self._spike(seen, before)
        self.seen.append(seen)
        return seen

    def _broken(self, tick: Tick, flags: set[str]) -> str | None:
        """The first rule that rejects; those that flag are added to `flags`."""
        rules = self.rules
        if not math.isfinite(tick.price):
            return "not_finite"
        if tick.price <= 0 and not rules.allow_negative:
            return "not_positive"
        low, high = rules.price_low, rules.price_high
        checks = [
            ("limits", (low is not None and tick.price < low) or (high is not None and tick.price > high))
        ]
        if not math.isfinite(tick.size):
            # Whatever the rules say, but after what the price has to say.
            checks.append(("", True))
        checks.append(("size", tick.size < 0))
        checks.append(("zero_size", tick.size == 0))
        for name, broken in checks:
            if broken and name == "":
                return "size"
            if broken and self._acts(name, flags):
                return name
        if rules.outsize != "off" and tick.size > 0:
            known = usual(self.sizes)
            self.sizes.append(tick.size)
            broken = known is not None and tick.size > rules.outsize_times * known
            if broken and self._acts("outsize", flags):
                return "outsize"
        if Fraction(tick.price) % Fraction(self.tick_size) and self._acts("grid", flags):
            return "grid"
        if tick.recv is not None:
            # Where the clock of arrivals is behind, ticks come before they happen.
            behind_ns = -min(self.clock.offset() or 0, 0)
            if tick.ts - tick.recv > rules.skew_ns + behind_ns and self._acts("skew", flags):
                return "skew"
            if tick.recv - tick.ts > rules.stale_ns and self._acts("stale", flags):
                return "stale"
        return self._remembered(tick, flags)

    def _remembered(self, tick: Tick, flags: set[str]) -> str | None:
        rules = self.rules
        remembers = any(
            getattr(rules, name) != "off" for name in ("outsize", "backwards", "duplicate", "spike")
        )
        if remembers and self._backwards(tick) and self._acts("backwards", flags):
            return "backwards"
        if self.accepted:
            last = self.accepted[-1].tick
            same = (last.ts, last.price, last.size, last.side) == (tick.ts, tick.price, tick.size, tick.side)
            if same and self._acts("duplicate", flags):
                return "duplicate"
        if rules.band != "off" and not self._in_band(tick) and self._acts("band", flags):
            return "band"
        self.newest = tick.ts if self.newest is None else max(self.newest, tick.ts)
        return None

    def _acts(self, name: str, flags: set[str]) -> bool:
        """Whether the rule rejects; one that flags does."""
        action = getattr(self.rules, name)
        if action == "flag":
            flags.add(name)
        return action == "reject"

    def _backwards(self, tick: Tick) -> bool:
        if self.newest is None or tick.ts >= self.newest - self.rules.backwards_ns:
            self.behind = 0
            return False
        self.behind += 1
        if self.behind < self.rules.band_agree:
            return True
        self.behind = 0
        self.newest = tick.ts
        return False

    def _half(self, price: float) -> float:
        return max(abs(price) * self.rules.band_width, self.rules.band_ticks * self.tick_size)

    def _in_band(self, tick: Tick) -> bool:
        rules, price = self.rules, tick.price
        if self.anchor is not None:
            anchor, since = self.anchor
            half = self._half(anchor)
            if not anchor - half <= price <= anchor + half:
                agrees = bool(self.run) and abs(price - self.run[-1]) <= self._half(self.run[-1])
                self.run = [*self.run, price] if agrees else [price]
                if tick.ts - since <= rules.band_age_ns and len(self.run) < rules.band_agree:
                    return False
            self.anchor = (price, max(since, tick.ts))
        else:
            self.anchor = (price, tick.ts)
        self.run = []
        return True

    def _spike(self, seen: Seen, before: list[Seen]) -> None:
        if not before:
            return
        price, last = seen.tick.price, before[-1].tick.price
        if self.jump is not None:
            base, height, suspects = self.jump
            if (price - base) / height < 0.5:
                for suspect in suspects:
                    suspect.flags.add("spike")
                self.jump = None
                return
            if len(suspects) < self.rules.spike_ticks:
                suspects.append(seen)
                return
            self.jump = None
        moved = abs(price - last)
        known = usual(self.moves)
        if known is not None and moved > self.rules.spike_moves * max(known, self.tick_size):
            self.jump = (last, price - last, [seen])
        if moved:
            self.moves.append(moved)
