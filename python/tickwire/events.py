"""What happens to a connection, as typed events, and who hears of it.

    with tw.connect(…) as client, client.events() as events:
        for event in events:
            match event:
                case tw.events.Gap(start_ns=start, end_ns=end): ...
                case tw.events.Disconnected(reason=reason): ...

Events are frozen dataclasses under `Event`. They are rare: none is made per tick, nor per bar but
for revisions. `Events` hands them from whatever thread they happen on to any number of streams and
callbacks; publishing never blocks and runs no foreign code but callbacks, which must be quick. A
stream that is not read keeps its newest events and counts what it shed.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from .errors import ConfigError

if TYPE_CHECKING:
    from .event_stream import EventStream

__all__ = [
    "BackfillDone",
    "BackfillFailed",
    "BreakerChanged",
    "Connected",
    "DaylightTransition",
    "Disconnected",
    "Event",
    "Events",
    "Gap",
    "HandlerFailed",
    "HealthChanged",
    "LoggedOut",
    "Message",
    "Overflow",
    "Reconnecting",
    "RejectionRate",
    "Revision",
    "SessionTakenOver",
    "SwapFailed",
    "TokenRenewalFailed",
    "TokenRenewed",
    "VolumeDrift",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Anything that happened.

    Attributes:
        ts: when, by the client's clock, int ns UTC.
        client: the name of the client, as in its thread's name.
    """

    ts: int
    client: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected(Event):
    """All wanted streams are subscribed and flow.

    Attributes:
        connection: number of this connection, from 1.
        subscriptions: hub methods that the hub has confirmed.
        took_s: from the start of the attempt.
    """

    connection: int
    subscriptions: int
    took_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnected(Event):
    """A connection that had flowed has ended.

    Attributes:
        connection: its number.
        reason: what ended it, in words.
        fault: the row of the policy table that it falls under, e.g. "link lost".
        last_heard_ns: when its last byte came, int ns UTC.
    """

    connection: int
    reason: str
    fault: str
    last_heard_ns: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconnecting(Event):
    """An attempt has failed or a connection has ended, and another attempt follows.

    Attributes:
        failures: failures in a row, this one included.
        delay_s: how long from now.
        reason: why, in words.
        fault: the row of the policy table that it falls under.
    """

    failures: int
    delay_s: float
    reason: str
    fault: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap(Event):
    """Data may be missing; bars in this time carry complete=False until backfill replaces them.

    Attributes:
        start_ns: the last moment at which data was heard, int ns UTC; None if it never was (a join).
        end_ns: the moment from which everything flows again, int ns UTC.
        reason: "join", "link lost", "volume drift", "overlap uncertain", "late ticks", …
        symbols: the instruments concerned.
    """

    start_ns: int | None
    end_ns: int
    reason: str
    symbols: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision(Event):
    """A closed bar was replaced by backfill; the subscriptions of its timeframe get the bar itself.

    Attributes:
        symbol, timeframe, source: which series.
        bar_ts: open of the bar, int ns UTC.
        revision: how often it has been replaced by now.
        complete: whether it is complete now.
    """

    symbol: str
    timeframe: str
    source: str
    bar_ts: int
    revision: int
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillDone(Event):
    """History has filled a hole.

    Attributes:
        symbol, timeframe: which series was fetched; larger timeframes were rolled up from it.
        start_ns, end_ns: the hole, int ns UTC.
        inserted, replaced: closed bars put in and put in place of others.
    """

    symbol: str
    timeframe: str
    start_ns: int
    end_ns: int
    inserted: int
    replaced: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillFailed(Event):
    """History could not be had; it is tried again after `retry_s`, or not at all if that is None."""

    symbol: str
    timeframe: str
    start_ns: int
    end_ns: int
    reason: str
    retry_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeDrift(Event):
    """The trades heard do not add up to the volume that the hub publishes.

    Attributes:
        missing: published minus counted, in contracts.
    """

    symbol: str
    start_ns: int
    end_ns: int
    missing: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRenewed(Event):
    """A new token is in use for what comes next.

    Attributes:
        expires_ns: when it expires, int ns UTC; None if it does not say.
        how: "renewed" from the old one, or by a new "login".
    """

    expires_ns: int | None
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRenewalFailed(Event):
    """The token could not be renewed; the running connection is left alone.

    Attributes:
        reason: why, in words.
        retry_s: when it is tried again.
    """

    reason: str
    retry_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedOut(Event):
    """The gateway ended this session: it has expired, or another one has taken its place."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTakenOver(Event):
    """Another session keeps logging this one out, and no token is asked for any more rather than fight it.

    Told once to each client of the login. One whose link still lives goes on until that ends, and then
    ends with it.
    """

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapFailed(Event):
    """The next connection did not come up beside the living one; the living one goes on."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthChanged(Event):
    """The state of the connection's health has changed.

    Attributes:
        state, before: "healthy", "degraded", "unhealthy" or "down".
        score: 0 to 100.
        reasons: what the score was lowered for, the heaviest first.
    """

    state: str
    before: str
    score: float
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DaylightTransition(Event):
    """The wall clock of an instrument's bars or hours will be moved, or has been. Told twice.

    Attributes:
        zone: IANA name.
        at_ns: the moment of the transition, int ns UTC.
        before_ns, after_ns: how far local time is ahead of UTC until then, and from then on.
        in_s: how long from now; zero or less once it has come.
    """

    zone: str
    at_ns: int
    before_ns: int
    after_ns: int
    in_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectionRate(Event):
    """So many of an instrument's ticks are rejected that somebody should know, or no longer; see
    `RejectionLimits`.

    Attributes:
        symbol: the instrument.
        reason: the reason that has passed a limit of its own, or None for all others together.
        state: "high" or "normal".
        rejected, received: ticks of the recent past.
        rejections: the rejected by reason.
    """

    symbol: str
    reason: str | None
    state: str
    rejected: int
    received: int
    rejections: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerChanged(Event):
    """A circuit breaker changed its state.

    Attributes:
        breaker: its name: event type, or event type and handler.
        state, before: "closed", "open" or "half-open".
        reason: why, in words.
    """

    breaker: str
    state: str
    before: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerFailed(Event):
    """A callback of the user raised; repeated ones are counted, not told one by one.

    Attributes:
        handler: its qualified name.
        error: type and text of what it raised.
        failures: of this handler so far.
    """

    handler: str
    error: str
    failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Overflow(Event):
    """A reader was too slow, and items were shed.

    Attributes:
        reader: which one.
        shed: items so far.
    """

    reader: str
    shed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Message(Event):
    """Something the hub said that is no market data, as it came: an event of a user hub, say.

    Attributes:
        target: the name of the event, e.g. "GatewayUserOrder".
        arguments: its arguments, decoded.
    """

    target: str
    arguments: tuple[Any, ...]


class Events:
    """Where events of one client go."""

    MAX_STREAMS: ClassVar[int] = 64

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._streams: tuple[EventStream, ...] = ()
        self._callbacks: tuple[tuple[type[Event], Callable[[Event], object]], ...] = ()
        self._closed = False
        self.published = 0
        self.callback_errors = 0

    def publish(self, event: Event) -> None:
        """Hand an event to everyone. From any thread; never blocks."""
        with self._lock:
            self.published += 1
            streams, callbacks = self._streams, self._callbacks
            # In the lock, so that all streams have one order; a stream's own lock is held for a moment.
            for stream in streams:
                stream.put(event)
        for kind, callback in callbacks:
            if isinstance(event, kind):
                try:
                    callback(event)
                except Exception:  # noqa: BLE001  # the user's bug goes where uncaught exceptions of threads go
                    self.callback_errors += 1
                    hook_arguments = (*sys.exc_info(), threading.current_thread())
                    threading.excepthook(threading.ExceptHookArgs(hook_arguments))

    def subscribe(self, capacity: int) -> EventStream:
        """A stream of the events from now on."""
        from .event_stream import EventStream

        stream = EventStream(capacity, self._forget)
        with self._lock:
            if len(self._streams) >= self.MAX_STREAMS:
                raise ConfigError(
                    f"events: got more than {self.MAX_STREAMS} open streams; close those that are not read"
                )
            self._streams = (*self._streams, stream)
            closed = self._closed
        if closed:
            stream.close()
        return stream

    def call(self, kind: type[Event], callback: Callable[[Event], object]) -> None:
        """Call `callback` with each event of this type from now on, on the thread on which it happens."""
        with self._lock:
            self._callbacks = (*self._callbacks, (kind, callback))

    def close(self) -> None:
        """End all streams; what they hold can still be read."""
        with self._lock:
            self._closed = True
            streams = self._streams
        for stream in streams:
            stream.close()

    def _forget(self, stream: EventStream) -> None:
        with self._lock:
            self._streams = tuple(other for other in self._streams if other is not stream)
