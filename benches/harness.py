"""How things are timed against each other.

Contenders of one line run in turn, one round after the other, in one process that is pinned to one
core, so that whatever disturbs the machine disturbs all of them. A ratio is taken within a round and
the median over the rounds is reported. Time is CPU time of the whole process, all threads included:
on a shared machine wall time measures the neighbours. The garbage collector runs between the timed
parts and is off inside them.

It asserts nothing: every line checks that its contenders have the same results before it times them.
"""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["CORES", "Contender", "Goal", "Line", "Missing", "Result", "compare", "measure_ns", "pin"]

CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
"""The cores this process was given, before it pinned itself to one; empty where the system cannot tell."""

Thunk = Callable[[], Any]
"""The timed part; what it returns is kept alive until the clock has stopped."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One side of a comparison.

    Attributes:
        name: as in the table.
        prepare: makes everything that is not timed, and returns the timed part. Called every round.
        version: of the library, or "".
        units: how many ticks, calls or messages one run handles, where it is fewer than the line's.
    """

    name: str
    prepare: Callable[[], Thunk]
    version: str = ""
    units: int | None = None


@dataclass(frozen=True, slots=True)
class Missing:
    """A rival that cannot take part, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Goal:
    """What the ratio to a rival must be.

    "time": our time is at most `bound` times the rival's. "speed": we are at least `bound` times as fast.
    """

    rival: str
    bound: float
    kind: Literal["time", "speed"]

    def ratio(self, slower: float) -> float:
        """The ratio as the goal counts it, from how many times our time the rival took."""
        return 1 / slower if self.kind == "time" else slower

    def met(self, slower: float) -> bool:
        """Whether that is good enough."""
        ratio = self.ratio(slower)
        return ratio <= self.bound if self.kind == "time" else ratio >= self.bound

    def text(self) -> str:
        """For the table."""
        if self.kind == "time":
            return f"at most {self.bound:g} times its time"
        return f"at least {self.bound:g} times as fast"


@dataclass(slots=True)
class Result:
    """What was measured of one contender.

    Attributes:
        per_unit_ns: medians of each round, ns of CPU time per unit.
        ratios: by round, this contender's time over the first one's.
        note: what else there is to say of it.
    """

    name: str
    version: str
    per_unit_ns: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    note: str = ""

    @property
    def median_ns(self) -> float:
        """Median over the rounds."""
        return statistics.median(self.per_unit_ns)

    @property
    def slower(self) -> float:
        """How many times the first contender's time this one took; median over the rounds."""
        return statistics.median(self.ratios)


@dataclass(slots=True)
class Line:
    """One line of the report: a question, its contenders (ours first) and its goals."""

    key: str
    title: str
    unit: str
    detail: str
    results: list[Result]
    goals: list[Goal] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)

    @property
    def ours(self) -> Result:
        """The first contender."""
        return self.results[0]

    def rival(self, name: str) -> Result | None:
        """A contender by name, if it took part."""
        return next((result for result in self.results if result.name == name), None)


def pin(core: int | None = None) -> None:
    """Run on one core from now on, the last of `CORES` unless told; nothing where the system cannot.

    Call it before a library is imported that starts a pool of threads.
    """
    if CORES:
        os.sched_setaffinity(0, {CORES[-1] if core is None else core})


def measure_ns(thunk: Thunk) -> int:
    """CPU time of one call, ns, of all threads of this process."""
    gc.collect()
    gc.disable()
    try:
        start = time.process_time_ns()
        kept = thunk()
        elapsed = time.process_time_ns() - start
    finally:
        gc.enable()
    # Freed only now: giving memory back is not part of the work.
    del kept
    return elapsed


def compare(contenders: Sequence[Contender], *, units: int, rounds: int) -> list[Result]:
    """Run the contenders in turn, `rounds` times after one round that is not counted."""
    results = [Result(contender.name, contender.version) for contender in contenders]
    for number in range(rounds + 1):
        per_unit = []
        for contender in contenders:
            thunk = contender.prepare()
            per_unit.append(measure_ns(thunk) / (contender.units or units))
            del thunk
        if number == 0:
            continue
        for result, value in zip(results, per_unit, strict=True):
            result.per_unit_ns.append(value)
            result.ratios.append(value / per_unit[0])
    return results
