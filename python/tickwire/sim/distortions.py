"""Lasting changes of what a connection is sent: late, lost, doubled, out of order, or in odd pieces.

Each is a frozen dataclass; set as a link fault it holds until `Resume`, and a later one of the same
sort takes its place. Several sorts go together, in this order: `Lose`, `Duplicate` and `Reorder` choose
which messages of ticks go out, `Split` and `Fragment` cut them, `Delay` and `Dribble` time the bytes of
everything. What is random comes from a generator with the given seed, so that the same messages are
struck in every run.

The state machines below know no clock and no socket; `outbox` runs them.
"""

from __future__ import annotations

import math
import random
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from websockets.frames import Frame, Opcode

from tickwire.errors import ConfigError

if TYPE_CHECKING:
    from .messages import TickMessage

__all__ = [
    "Chosen",
    "Delay",
    "Distortion",
    "Dribble",
    "Duplicate",
    "Fragment",
    "Lose",
    "Pace",
    "Reorder",
    "Selection",
    "Split",
    "cut",
    "fragments",
]


@dataclass(frozen=True, slots=True)
class Delay:
    """Send everything later by `seconds` and up to `jitter_s` more; the order is kept."""

    seconds: float = 0.0
    jitter_s: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("seconds", "jitter_s"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ConfigError(f"{name}={value!r}: expected at least 0 seconds")


@dataclass(frozen=True, slots=True)
class Dribble:
    """Write at most so many bytes at once, with pauses between: a slow and a chopped link."""

    size_bytes: int = 1
    pause_s: float = 0.0

    def __post_init__(self) -> None:
        _check_at_least_1("size_bytes", self.size_bytes)
        if not (math.isfinite(self.pause_s) and self.pause_s >= 0):
            raise ConfigError(f"pause_s={self.pause_s!r}: expected at least 0 seconds")


@dataclass(frozen=True, slots=True)
class Fragment:
    """Send every WebSocket message in frames of at most so many bytes, pings between them if asked."""

    size_bytes: int = 16
    pings: bool = False

    def __post_init__(self) -> None:
        _check_at_least_1("size_bytes", self.size_bytes)


@dataclass(frozen=True, slots=True)
class Split:
    """Send every message of ticks as two WebSocket messages, cut at this byte or in the middle.

    No official server cuts a record so. A message of a single byte stays whole.
    """

    at_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.at_bytes is not None:
            _check_at_least_1("at_bytes", self.at_bytes)


@dataclass(frozen=True, slots=True)
class Lose:
    """Do not send this share of the messages of ticks; what is lost is not counted as sent.

    `kinds` limits it to messages with at least one tick of these kinds.
    """

    share: float = 1.0
    seed: int = 0
    kinds: tuple[str, ...] = ("trade", "quote", "depth")

    def __post_init__(self) -> None:
        _check_share(self.share)
        if not self.kinds or not set(self.kinds) <= {"trade", "quote", "depth"}:
            raise ConfigError(f"kinds={self.kinds!r}: expected some of 'trade', 'quote', 'depth'")


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Send this share of the messages of ticks twice, the copy `behind` messages later."""

    share: float = 1.0
    seed: int = 0
    behind: int = 0

    def __post_init__(self) -> None:
        _check_share(self.share)
        if self.behind < 0:
            raise ConfigError(f"behind={self.behind!r}: expected at least 0")


@dataclass(frozen=True, slots=True)
class Reorder:
    """Shuffle messages of ticks: each waits in a window of so many, from which a random one leaves.

    What is in the window leaves it with the end of the stream, or at `Resume`.
    """

    window: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        _check_at_least_1("window", self.window)


Distortion = Delay | Dribble | Fragment | Split | Lose | Duplicate | Reorder


class Selection:
    """Which messages of ticks go out, and in which order."""

    def __init__(self) -> None:
        self.lost_ticks = 0
        self._lose: tuple[Lose, random.Random] | None = None
        self._duplicate: tuple[Duplicate, random.Random] | None = None
        self._reorder: tuple[Reorder, random.Random] | None = None
        self._copies: deque[tuple[int, TickMessage]] = deque()
        self._passed = 0
        self._window: list[Chosen] = []

    def set(self, distortion: Lose | Duplicate | Reorder) -> None:
        """Let a distortion take the place of the one of its sort."""
        state = (distortion, random.Random(distortion.seed))
        match state:
            case (Lose(), _):
                self._lose = state
            case (Duplicate(), _):
                self._duplicate = state
            case (Reorder(), _):
                self._reorder = state

    def feed(self, message: TickMessage) -> list[Chosen]:
        """What goes out now that this message is due."""
        if self._lose is not None:
            lose, chance = self._lose
            if any(getattr(message, _FIELDS[kind]) for kind in lose.kinds) and chance.random() < lose.share:
                self.lost_ticks += message.ticks
                return []
        chosen = [Chosen(message, False)]
        self._passed += 1
        if self._duplicate is not None:
            duplicate, chance = self._duplicate
            if chance.random() < duplicate.share:
                self._copies.append((self._passed + duplicate.behind, message))
        while self._copies and self._copies[0][0] <= self._passed:
            chosen.append(Chosen(self._copies.popleft()[1], True))
        return self._shuffled(chosen)

    def _shuffled(self, chosen: list[Chosen]) -> list[Chosen]:
        if self._reorder is None:
            return chosen
        reorder, chance = self._reorder
        self._window += chosen
        gone = []
        while len(self._window) > reorder.window:
            gone.append(self._window.pop(chance.randrange(len(self._window))))
        return gone

    def rest(self) -> list[Chosen]:
        """All that is still held back."""
        chosen = self._window + [Chosen(message, True) for _, message in self._copies]
        self._copies.clear()
        self._window = []
        if self._reorder is not None:
            self._reorder[1].shuffle(chosen)
        return chosen


class Chosen(NamedTuple):
    """A message of ticks that goes out, and whether it has before."""

    message: TickMessage
    is_copy: bool


class Pace:
    """When what is sent now goes out, under a `Delay`."""

    def __init__(self, delay: Delay) -> None:
        self._delay = delay
        self._random = random.Random(delay.seed)
        self._latest_s = -math.inf

    def due_s(self, now_s: float) -> float:
        """The time for what is sent at `now_s`, never before that of what was sent earlier."""
        wait_s = self._delay.seconds + self._random.uniform(0.0, self._delay.jitter_s)
        self._latest_s = max(self._latest_s, now_s + wait_s)
        return self._latest_s


def cut(payload: bytes, split: Split) -> list[bytes]:
    """The WebSocket messages of one payload."""
    if len(payload) < 2:
        return [payload]
    at = len(payload) // 2 if split.at_bytes is None else min(split.at_bytes, len(payload) - 1)
    return [payload[:at], payload[at:]]


def fragments(opcode: Opcode, payload: bytes, fragment: Fragment) -> bytes:
    """One WebSocket message as frames."""
    size = fragment.size_bytes
    between = Frame(Opcode.PING, b"between").serialize(mask=False) if fragment.pings else b""
    parts = [payload[at : at + size] for at in range(0, len(payload), size)] or [b""]
    last = len(parts) - 1
    return between.join(
        Frame(Opcode.CONT if number else opcode, part, fin=number == last).serialize(mask=False)
        for number, part in enumerate(parts)
    )


_FIELDS = {"trade": "trades", "quote": "quotes", "depth": "depth"}


def _check_at_least_1(name: str, value: int) -> None:
    if value < 1:
        raise ConfigError(f"{name}={value!r}: expected at least 1")


def _check_share(share: float) -> None:
    if not 0 < share <= 1:
        raise ConfigError(f"share={share!r}: expected above 0 and up to 1")
