"""Measures what health is judged by, about once a second, and says what follows.

The connection's thread calls `watch` while a link lives; anybody may ask for `health`, which is what
the last look found, or "down" while there is no link. A change of state is told as `HealthChanged`.
When the link, and the link alone, has been bad for long enough, `watch` ends it, so that the supervisor
makes another one.

The judging is `health`'s; here are only the meters, and the one lock that keeps readers and the
connection's thread apart.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Protocol

from .arrivals import Arrivals
from .breakers import Breakers
from .callbacks import Callbacks
from .clock import Clock
from .errors import ConnectionFailed
from .events import Disconnected, Event, HealthChanged, RejectionRate, TokenRenewalFailed, TokenRenewed
from .health import Health, HealthModel, HealthSettings, Signals
from .health_meters import RateMeter, Recent, share
from .link import Link
from .rejections import Count, RejectionAlarm, RejectionLimits
from .session import Session

__all__ = ["Monitor", "Readers"]

_WINDOW_S = 300.0
_QUEUE = 4096
_FRESH_S = 3.0


class Readers(Protocol):
    """The subscriptions of a client, as far as health is concerned."""

    def pressure(self) -> tuple[float, int, int]:
        """How full the fullest is, 0 to 1, and what all of them have published and shed so far."""


class Monitor:
    """The health of one client."""

    def __init__(
        self,
        settings: HealthSettings | None,
        *,
        clock: Clock,
        session: Session,
        arrivals: Arrivals,
        readers: Readers,
        callbacks: Callbacks,
        breakers: Breakers,
        counted: Callable[[], dict[str, int]],
        rejections: RejectionLimits,
        judged: Callable[[], Mapping[str, Count]],
        tell: Callable[..., None],
    ) -> None:
        """`counted` tells the counters of the client over all its connections, `judged` those of its
        instruments.
        """
        self._clock = clock
        self._session = session
        self._arrivals = arrivals
        self._readers = readers
        self._callbacks = callbacks
        self._breakers = breakers
        self._counted = counted
        self._judged = judged
        self._alarm = RejectionAlarm(rejections)
        self._tell = tell
        self._lock = threading.Lock()
        self._model = HealthModel(settings)
        self._rate = RateMeter()
        self._records, self._malformed = Recent(_WINDOW_S), Recent(_WINDOW_S)
        self._calls, self._call_errors = Recent(_WINDOW_S), Recent(_WINDOW_S)
        self._published, self._shed = Recent(_WINDOW_S), Recent(_WINDOW_S)
        self._lost = Recent(_WINDOW_S)
        self._losses = 0
        self._token_failures = 0
        self._why = "not started"
        self._health = self._model.assess(Signals(connected=False, why=self._why), clock.monotonic_s())

    def heard(self, event: Event) -> None:
        """What of the client's events concerns health."""
        if isinstance(event, Disconnected):
            self._losses += 1
            self._why = event.reason
            self._assess(Signals(connected=False, why=event.reason))
        elif isinstance(event, TokenRenewalFailed):
            self._token_failures += 1
        elif isinstance(event, TokenRenewed):
            self._token_failures = 0

    def watch(self, link: Link) -> None:
        """Look at a living link; `ConnectionFailed` if it is to be replaced."""
        now_s = self._clock.monotonic_s()
        health = self._assess(self._measure(link, now_s))
        self._tell_rejections(now_s)
        with self._lock:
            reason = self._model.wants_reconnect(now_s)
        if reason is not None:
            raise ConnectionFailed(
                f"the link is bad (score {health.link_score:.0f}): {reason}", fault="degraded"
            )

    def _tell_rejections(self, now_s: float) -> None:
        for alert in self._alarm.look(now_s, self._judged()):
            self._tell(
                RejectionRate,
                symbol=alert.symbol,
                reason=alert.reason,
                state=alert.state,
                rejected=alert.rejected,
                received=alert.received,
                rejections=dict(alert.rejections),
            )

    def health(self, live: bool) -> Health:
        """The last verdict; `live` says whether there is a link at this moment."""
        if live or not self._health.signals.connected:
            return self._health
        return self._assess(Signals(connected=False, why=self._why))

    def _assess(self, signals: Signals) -> Health:
        with self._lock:
            before = self._health.state
            health = self._health = self._model.assess(signals, self._clock.monotonic_s())
        if health.state != before:
            self._tell(
                HealthChanged,
                state=health.state,
                before=before,
                score=health.score,
                reasons=tuple(reason.words for reason in health.reasons),
            )
        return health

    def _measure(self, link: Link, now_s: float) -> Signals:
        counted = self._counted()
        is_open = self._session.is_open(self._clock.now_ns())
        # The first look after an outage spans it, and says nothing of what is usual.
        fresh = link.live_since_s is None or now_s - link.live_since_s < _FRESH_S
        self._rate.update(counted["messages"], now_s, learn=is_open and not fresh)
        records = self._records.update(counted["received"] + counted["controls"], now_s)
        malformed = self._malformed.update(counted["malformed"] + counted["unreadable_controls"], now_s)
        calls = self._calls.update(sum(handler.calls for handler in self._callbacks.handlers), now_s)
        call_errors = self._call_errors.update(self._callbacks.failures, now_s)
        fill, published_total, shed_total = self._readers.pressure()
        published = self._published.update(published_total, now_s)
        shed = self._shed.update(shed_total, now_s)
        delays = sorted(link.delays_s)
        transport = link.hub.transport
        return Signals(
            connected=True,
            connected_s=now_s - link.live_since_s if link.live_since_s is not None else 0.0,
            session_open=is_open,
            round_trip_s=transport.round_trip_s,
            ping_age_s=transport.unanswered_s,
            frame_age_s=now_s - link.last_heard_s,
            delay_p50_s=delays[len(delays) // 2] if delays else None,
            delay_p99_s=delays[len(delays) * 99 // 100] if delays else None,
            event_delay_s=self._arrivals.event_delay_s,
            clock_offset_s=self._arrivals.offset_ns / 1e9,
            rate=self._rate.rate,
            rate_normal=self._rate.normal,
            reconnects=int(self._lost.update(self._losses, now_s)),
            malformed_share=share(malformed, records),
            callback_error_share=share(call_errors, calls),
            breakers_open=sum(status.state != "closed" for status in self._breakers.snapshot().values()),
            buffer_fill=fill,
            queue_fill=min(1.0, self._callbacks.fill() / _QUEUE),
            shed_share=share(shed, published),
            token_failures=self._token_failures,
        )
