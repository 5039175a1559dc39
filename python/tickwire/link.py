"""One connection to a hub with the feed that it fills: opened once, subscribed, stepped, ended.

A `Link` is the hub object of one attempt, its token and its counters, as `attempt` and `swap` use it.
`open` may run on another thread than the rest; everything after it belongs to the thread that steps.
It does not try again, does not mark gaps and does not know whether another link lives beside it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from .auth import Token
from .errors import ConnectionFailed, ConnectTimeout, SubscribeRefused
from .plan import Counters, Feed, Plan, check_stream
from .wakeup import Stopped, Waiter
from .wanted import Call

if TYPE_CHECKING:
    from .hub import MarketHub

__all__ = ["Link"]

_OF_CLIENT = ("reads", "bytes_read", "messages", "pings", "pongs")
_OF_HUB = ("hub_pings", "controls", "unreadable_controls")

# Reads of which the time into the engine is kept, for percentiles.
_KEPT_DELAYS = 256


class Link:
    """One hub connection. Used once."""

    def __init__(
        self, plan: Plan, counters: Counters, *, token: Token | None, feed: Feed, waiter: Waiter
    ) -> None:
        self._plan = plan
        self._counters = counters
        self._waiter = waiter
        self._finished = False
        self.token = token
        self.feed = feed
        self.number = 0
        """Number among the client's connections that were opened, from 1."""
        self.live_since_s: float | None = None
        self.delays_s: deque[float] = deque(maxlen=_KEPT_DELAYS)
        """For each of the last reads, the seconds from the read to the return of the engine."""
        self.hub: MarketHub = self._make_hub()

    def open(self) -> None:
        """Connect, upgrade and shake hands; on return the hub can be called. Ends what it opened if it fails."""
        self.feed.reset()
        self.hub.start()
        self._counters.connections += 1
        self.number = self._counters.connections

    def adopt(self, waiter: Waiter) -> None:
        """From now on wait through `waiter`: that of the thread that steps."""
        self._waiter = waiter
        self.hub.transport.adopt(waiter)

    def step(self, timeout_s: float) -> None:
        """One read at most into the engine; `ConnectionFailed` ends the link, `Stopped` the thread."""
        if self._waiter.is_stopped:
            raise Stopped
        self.hub.step(timeout_s)

    def call(self, call: Call, *, undo: bool = False) -> Future[Any]:
        """Ask the hub for something wanted, or to take it back."""
        method = call.method if not undo or call.undo is None else call.undo
        return self.hub.call(method, *call.arguments)

    def subscribe(self, step: Callable[[float], None]) -> None:
        """Ask for all that is wanted and wait until the last is confirmed, letting `step` do the reading.

        Raises `SubscribeRefused` for the first that the hub refuses and nobody else waits for.
        """
        limits, wanted, clock = self._plan.limits, self._plan.wanted, self._plan.clock
        deadline_s = clock.monotonic_s() + limits.subscribe_s
        wanted.forget()
        pending = [(call, self.call(call)) for call in wanted.all()]
        for call, future in pending:
            while not future.done():
                remaining_s = deadline_s - clock.monotonic_s()
                if remaining_s <= 0:
                    raise ConnectTimeout(f"the hub did not answer {call} within {limits.subscribe_s} s")
                step(remaining_s)
            refusal = future.exception()
            told = wanted.settle(call, refusal, wanted=True)
            if refusal is not None and not told:
                raise SubscribeRefused(f"{call}: {refusal}")

    def finish(self, failure: ConnectionFailed | None) -> None:
        """End it: in good order, or at once if `failure` says that the link is gone. Once is enough."""
        if not self._finished:
            self._finished = True
            self.hub.finish(failure)

    @property
    def last_heard_ns(self) -> int | None:
        """When the last byte came, by the client's clock, int ns UTC; None before the first."""
        return self.hub.transport.client.last_read_ns or None

    @property
    def last_heard_s(self) -> float:
        """When the last byte came, as `Clock.monotonic_s` tells it; 0 before the first."""
        return self.hub.transport.client.last_read_s

    def counted(self) -> dict[str, int]:
        """What this connection counted itself."""
        client = self.hub.transport.client
        counts = {name: getattr(client, name) for name in _OF_CLIENT}
        return counts | {name: getattr(self.hub, name) for name in _OF_HUB}

    def _make_hub(self) -> MarketHub:
        # Imported here: signalrcore and websockets take a quarter of a second, which programs that
        # never connect should not pay.
        from .hub import MarketHub

        plan = self._plan
        return MarketHub(
            plan.route,
            protocol=plan.protocol,
            token=self.token,
            feed=self._push,
            on_control=plan.on_control,
            limits=plan.limits,
            clock=plan.clock,
            waiter=self._waiter,
        )

    def _push(self, payload: bytes, ts_recv: int) -> Sequence[bytes]:
        receipt = self.feed.push_bytes(payload, ts_recv)
        self.delays_s.append(self._plan.clock.monotonic_s() - self.last_heard_s)
        counters = self._counters
        counters.received += receipt.received
        counters.accepted += receipt.accepted
        counters.rejected += receipt.rejected
        counters.duplicates += receipt.duplicates
        check_stream(self.feed, receipt)
        return receipt.control
