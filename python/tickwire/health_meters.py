"""What turns counters into signals: fed once a second, never per tick.

    Recent     how much a counter grew in the recent past
    RateMeter  messages per second now, and what is usual while the market is open
    share      one such growth as a part of another

Each belongs to one thread. Times are monotonic seconds.
"""

from __future__ import annotations

import math
from collections import deque

from .config import positive

__all__ = ["RateMeter", "Recent", "share"]


class Recent:
    """How much a counter grew over the newest `window_s` seconds, in steps of a sixtieth of that."""

    __slots__ = ("_marks", "_step_s", "_window_s")

    STEPS = 60

    def __init__(self, window_s: float) -> None:
        positive("window_s", window_s)
        self._window_s = window_s
        self._step_s = window_s / self.STEPS
        # (time, what the counter said), oldest first; the first is the newest that the window does not hold.
        self._marks: deque[tuple[float, float]] = deque()

    def update(self, total: float, now_s: float) -> float:
        """The counter says `total`; returns how much it grew. A counter that went back began anew."""
        marks = self._marks
        if marks and total < marks[-1][1]:
            marks.clear()
            marks.append((now_s, 0.0))
        if not marks or now_s - marks[-1][0] >= self._step_s:
            marks.append((now_s, total))
        while len(marks) > 1 and marks[1][0] <= now_s - self._window_s:
            marks.popleft()
        return total - marks[0][1]


class RateMeter:
    """Messages per second now and usually: exponentially weighted means of what a counter says.

    The usual rate is learned only while the market is open and a connection stands, and is known after
    `learn_s` seconds of that. A rate below `least` is too low to say what is usual.

    Attributes:
        rate: now; None before the second look at the counter.
        normal: usually; None until it is known.
    """

    __slots__ = ("_last", "_learned_s", "_mean", "_settings", "normal", "rate")

    def __init__(
        self, *, now_s: float = 10.0, normal_s: float = 1_800.0, learn_s: float = 300.0, least: float = 0.2
    ) -> None:
        for name, value in (("now_s", now_s), ("normal_s", normal_s), ("learn_s", learn_s), ("least", least)):
            positive(name, value)
        self._settings = (now_s, normal_s, learn_s, least)
        self._last: tuple[float, float] | None = None
        self._learned_s = 0.0
        self._mean = 0.0
        self.rate: float | None = None
        self.normal: float | None = None

    def update(self, total: float, now_s: float, *, learn: bool) -> None:
        """The counter says `total`. `learn`: whether the market was open and connected since the last look."""
        last, self._last = self._last, (now_s, total)
        if last is None or now_s <= last[0] or total < last[1]:
            return
        passed_s = now_s - last[0]
        rate = (total - last[1]) / passed_s
        short_s, long_s, learn_s, least = self._settings
        if self.rate is None:
            self.rate = rate
        else:
            self.rate += (rate - self.rate) * -math.expm1(-passed_s / short_s)
        if not learn:
            return
        self._learned_s += passed_s
        # Until as much time has passed as the mean reaches back, it is the plain mean of all.
        weight = max(-math.expm1(-passed_s / long_s), passed_s / self._learned_s)
        self._mean += (rate - self._mean) * weight
        self.normal = self._mean if self._learned_s >= learn_s and self._mean >= least else None


def share(part: float, whole: float) -> float | None:
    """A part of a whole, 0 to 1; None of nothing."""
    return min(part / whole, 1.0) if whole > 0 else None
