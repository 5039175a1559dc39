"""How long ticks take from the hub's schedule to the engine and to a strategy.

The hub stamps every tick with the time at which it was due to be sent, so that a hub that is behind
counts against the result too: nothing is left out by measuring only what came. Both processes read
the same clock. A tick is in the engine when `push_bytes` has returned for the read that brought it,
and at the strategy when its subscription hands it out; on a busy machine the strategy can have it
first, since returning means getting the interpreter back. Every tick that a strategy gets is counted.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from tickwire import _core
from tickwire.clock import Clock
from tickwire.engine import Engine
from tickwire.subscription import Subscription

__all__ = ["Histogram", "Latency", "Strategy", "TimedEngine"]

# How long a read is remembered for ticks of it that the strategy has yet to take.
_REMEMBERED_NS = 60_000_000_000

_T = TypeVar("_T")


class Histogram:
    """Counts of durations in buckets 2 % wide, from 1 µs to 1,000 s; its size does not grow."""

    _edges_ns = np.geomspace(1e3, 1e12, 1 + round(np.log(1e9) / np.log(1.02)))

    def __init__(self) -> None:
        self._counts = np.zeros(len(self._edges_ns) - 1, np.int64)

    def record(self, durations_ns: NDArray[np.int64]) -> None:
        """Count durations; shorter and longer ones go to the outermost buckets."""
        inside = np.clip(durations_ns, self._edges_ns[0], self._edges_ns[-1])
        self._counts += np.histogram(inside, self._edges_ns)[0]

    @property
    def count(self) -> int:
        """How many durations were counted."""
        return int(self._counts.sum())

    def quantile_us(self, quantile: float) -> float | None:
        """The upper edge, in µs, of the bucket that holds this quantile; None while it is empty."""
        if not self.count:
            return None
        reached = np.cumsum(self._counts) >= max(1, quantile * self.count)
        return round(float(self._edges_ns[1 + int(np.argmax(reached))]) / 1e3, 1)


class TimedEngine(Engine):
    """An engine that notes when each read of its connections has been applied: (arrival, done), ns."""

    reads: deque[tuple[int, int]]

    def __new__(cls, *arguments: Any, **options: Any) -> Self:
        """As `Engine`."""
        made = super().__new__(cls, *arguments, **options)
        made.reads = deque()
        return made

    def feed(self, name: str = "main", **options: Any) -> Any:
        """The feed, with a note taken after each push."""
        return _TimedFeed(super().feed(name, **options), self.reads, Clock())


class _TimedFeed:
    def __init__(self, feed: _core.Feed, reads: deque[tuple[int, int]], clock: Clock) -> None:
        self._feed = feed
        self._push = feed.push_bytes
        self._reads = reads
        self._clock = clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._feed, name)

    def push_bytes(self, data: bytes, ts_recv: int) -> _core.Receipt:
        receipt = self._push(data, ts_recv)
        self._reads.append((ts_recv, self._clock.now_ns()))
        return receipt


class Strategy(threading.Thread):
    """A strategy that takes every tick and notes when it did: (event time, arrival, here), ns."""

    def __init__(self, ticks: Subscription) -> None:
        super().__init__(name="tickwire demo strategy", daemon=True)
        self._ticks = ticks
        self.taken: deque[tuple[int, int, int]] = deque()

    def run(self) -> None:
        now_ns, note = Clock().now_ns, self.taken.append
        tick: Any
        for tick in self._ticks:
            note((tick.ts_event, tick.ts_recv, now_ns()))


class Latency:
    """Collects from a `TimedEngine` and a `Strategy`; `collect` is called now and then, by one thread."""

    def __init__(self, engine: TimedEngine, strategy: Strategy) -> None:
        self._engine = engine
        self._strategy = strategy
        self._reads = np.empty((0, 2), np.int64)
        self._ticks = np.empty((0, 3), np.int64)
        self.to_engine = Histogram()
        self.to_strategy = Histogram()

    def collect(self) -> None:
        """Count everything that has been noted since the last call."""
        # Ticks first: the read that brought one was noted before, or is a moment from being noted.
        taken = _drained(self._strategy.taken, 3)
        self.to_strategy.record(taken[:, 2] - taken[:, 0])
        ticks = np.concatenate([self._ticks, taken])
        reads = np.concatenate([self._reads, _drained(self._engine.reads, 2)])
        if len(reads):
            self._reads = reads[reads[:, 0] >= reads[-1, 0] - _REMEMBERED_NS]
            noted = ticks[:, 1] <= reads[-1, 0]
            at = np.searchsorted(reads[:, 0], ticks[noted, 1], side="right") - 1
            self.to_engine.record(reads[at, 1] - ticks[noted, 0])
            ticks = ticks[~noted]
        self._ticks = ticks

    def summary(self) -> dict[str, dict[str, float | None]]:
        """p50 and p99 in µs."""
        pairs = {"engine": self.to_engine, "strategy": self.to_strategy}
        return {
            name: {"p50": histogram.quantile_us(0.5), "p99": histogram.quantile_us(0.99)}
            for name, histogram in pairs.items()
        }


def _drained(notes: deque[_T], columns: int) -> NDArray[np.int64]:
    """What has been noted so far, taken out. Others may append meanwhile."""
    taken = [notes.popleft() for _ in range(len(notes))]
    return np.array(taken, np.int64).reshape(len(taken), columns)
