"""What health is judged by: the signals that a client measures, and what each may deduct.

| cause | signal | from | to | deducts | link | only while open |
|---|---|---|---|---|---|---|
| round trip | round_trip_s | 0.25 | 5 | 60 | yes | no |
| ping unanswered | ping_age_s | 3 | 15 | 60 | yes | no |
| silence | frame_age_s | 16 | 30 | 60 | yes | no |
| delay here | delay_p50_s | 0.02 | 0.5 | 20 | no | no |
| delay peaks here | delay_p99_s | 0.05 | 1 | 15 | no | no |
| late data | event_delay_s | 1 | 10 | 25 | no | no |
| clock | clock_error_s | 0.5 | 5 | 10 | no | no |
| low rate | rate_ratio | 0.2 | 0 | 10 | no | yes |
| reconnects | reconnects | 0 | 5 | 30 | no | no |
| malformed records | malformed_share | 0 | 0.1 | 30 | no | no |
| callback errors | callback_error_share | 0 | 0.5 | 15 | no | no |
| breakers | breakers_open | 0 | 3 | 20 | no | no |
| slow reader | buffer_fill | 0.5 | 1 | 10 | no | no |
| callback queue | queue_fill | 0.5 | 1 | 15 | no | no |
| shed items | shed_share | 0 | 0.1 | 15 | no | no |
| token renewal | token_failures | 0 | 5 | 25 | no | no |

A term deducts nothing up to `from`, all of `deducts` from `to` on, and in between its share by a straight
line. A signal that was not measured (None) deducts nothing. *Link* causes are those that a new connection
may cure, and that nothing on this side of the socket brings about: neither a slow strategy nor a broken
handler, a closed market or a quiet one.

The numbers are judgement, not theory. What fixed some of them: SignalR hubs ping after 15 s of silence and
give up after 30 s; a link that crosses half the world answers in 0.25 s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import NamedTuple

from .config import positive
from .errors import ConfigError

__all__ = ["TERMS", "Reason", "Signals", "Term"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """What a client measured, all at one moment. Seconds are durations; None is not measured.

    Attributes:
        connected: whether a connection stands and all wanted streams are subscribed.
        connected_s: for how long.
        why: in words, why it is not connected.
        session_open: whether the market is open.
        round_trip_s: from the newest answered WebSocket ping to its pong.
        ping_age_s: age of the oldest WebSocket ping that is not answered; 0 or None if all are.
        frame_age_s: since the last frame of any kind came, pongs and pings included.
        delay_p50_s, delay_p99_s: from the arrival of bytes to the end of the push that they went into,
            quantiles of the recent past.
        event_delay_s: from the venue's event time to arrival, less the clock offset; median of the recent past.
        clock_offset_s: what this machine's clock is ahead of the venue's, below zero if it is behind.
        rate, rate_normal: messages per second now, and what is usual while the market is open.
        reconnects: connections lost in the recent past.
        malformed_share: records that could not be read, of all of the recent past; 0 to 1.
        callback_error_share: callbacks that raised, of all of the recent past; 0 to 1.
        breakers_open: circuit breakers that are not closed.
        buffer_fill: of the subscription that is fullest; 0 to 1.
        queue_fill: of the queue of callbacks; 0 to 1.
        shed_share: items that readers were too slow for, of all of the recent past; 0 to 1.
        token_failures: renewals of the token that failed in a row.
    """

    connected: bool
    connected_s: float = 0.0
    why: str = ""
    session_open: bool = True
    round_trip_s: float | None = None
    ping_age_s: float | None = None
    frame_age_s: float | None = None
    delay_p50_s: float | None = None
    delay_p99_s: float | None = None
    event_delay_s: float | None = None
    clock_offset_s: float | None = None
    rate: float | None = None
    rate_normal: float | None = None
    reconnects: int = 0
    malformed_share: float | None = None
    callback_error_share: float | None = None
    breakers_open: int = 0
    buffer_fill: float | None = None
    queue_fill: float | None = None
    shed_share: float | None = None
    token_failures: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, float) and math.isnan(value):
                raise ConfigError(
                    f"Signals.{field.name}: got NaN, expected a number, or None if not measured"
                )

    @property
    def clock_error_s(self) -> float | None:
        """The clock offset without its sign."""
        return None if self.clock_offset_s is None else abs(self.clock_offset_s)

    @property
    def rate_ratio(self) -> float | None:
        """The rate as a share of the normal one; None while that is not known."""
        if self.rate is None or not self.rate_normal:
            return None
        return self.rate / self.rate_normal


class Reason(NamedTuple):
    """A cause, what it deducted from the score, and the same in words."""

    cause: str
    deduction: float
    words: str


@dataclass(frozen=True, slots=True)
class Term:
    """A row of the table above.

    Attributes:
        cause: its name.
        signal: attribute of `Signals`.
        start, end: the signal's values up to which it deducts nothing and from which it deducts all; falling
            where low values are bad.
        most: all that it deducts.
        words: with the signal's value as {0}.
        link: whether it counts for the link's score.
        open_only: whether it deducts only while the market is open.
    """

    cause: str
    signal: str
    start: float
    end: float
    most: float
    words: str
    link: bool = False
    open_only: bool = False

    def __post_init__(self) -> None:
        if not hasattr(Signals, self.signal):
            raise ConfigError(f"Term.signal: got {self.signal!r}, expected an attribute of Signals")
        positive(f"Term.most of {self.cause!r}", self.most)
        if self.start == self.end or not math.isfinite(self.start) or not math.isfinite(self.end):
            raise ConfigError(
                f"Term.end of {self.cause!r}: got {self.start} to {self.end}, expected two different finite numbers"
            )

    def deduction(self, signals: Signals) -> float:
        """What it deducts, 0 to `most`."""
        value: float | None = getattr(signals, self.signal)
        if value is None or (self.open_only and not signals.session_open):
            return 0.0
        deduction = self.most * (value - self.start) / (self.end - self.start)
        return min(max(deduction, 0.0), self.most)

    def reason(self, signals: Signals, deduction: float) -> Reason:
        """The same in words."""
        return Reason(self.cause, deduction, self.words.format(getattr(signals, self.signal)))


TERMS = (
    Term("round trip", "round_trip_s", 0.25, 5, 60, "a ping takes {0:.3g} s to come back", link=True),
    Term("ping unanswered", "ping_age_s", 3, 15, 60, "a ping was not answered for {0:.3g} s", link=True),
    Term("silence", "frame_age_s", 16, 30, 60, "nothing at all was heard for {0:.3g} s", link=True),
    Term("delay here", "delay_p50_s", 0.02, 0.5, 20, "data waits {0:.3g} s in this process, typically"),
    Term("delay peaks here", "delay_p99_s", 0.05, 1, 15, "data waits up to {0:.3g} s in this process"),
    Term("late data", "event_delay_s", 1, 10, 25, "data is {0:.3g} s old when it arrives"),
    Term("clock", "clock_error_s", 0.5, 5, 10, "the clock is {0:.3g} s off the venue's"),
    Term("low rate", "rate_ratio", 0.2, 0, 10, "messages come at {0:.0%} of the usual rate", open_only=True),
    Term("reconnects", "reconnects", 0, 5, 30, "the connection was lost {0} times lately"),
    Term("malformed records", "malformed_share", 0, 0.1, 30, "{0:.2%} of the records could not be read"),
    Term("callback errors", "callback_error_share", 0, 0.5, 15, "{0:.1%} of the callbacks raised"),
    Term("breakers", "breakers_open", 0, 3, 20, "{0} circuit breakers are not closed"),
    Term("slow reader", "buffer_fill", 0.5, 1, 10, "a subscription is {0:.0%} full"),
    Term("callback queue", "queue_fill", 0.5, 1, 15, "the queue of callbacks is {0:.0%} full"),
    Term("shed items", "shed_share", 0, 0.1, 15, "{0:.2%} of the items were shed by slow readers"),
    Term("token renewal", "token_failures", 0, 5, 25, "the token could not be renewed, {0} times in a row"),
)
"""The table above, in its order."""
