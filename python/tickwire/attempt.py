"""One attempt at being connected: token, hub, subscriptions, reading into the engine.

An `Attempt` is used once, on the thread that reads the socket. It marks the gap before it, asks the
hub for every stream and waits for all the answers, then reads until the link fails or the owner says
stop. While it reads, and only then, the engine is told the time: during an outage a bar that the
clock would close may lack trades that nobody heard of.

It does not try again and does not fill the gap.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from .address import HubAddress
from .auth import Token, TokenProvider
from .clock import Clock
from .errors import ConnectionFailed, ConnectTimeout, SubscribeRefused
from .link_limits import LinkLimits
from .wakeup import Stopped, Waiter

if TYPE_CHECKING:
    from .hub import MarketHub

__all__ = ["Attempt", "Counters", "Plan"]

# While nothing arrives, idle bars are closed at least this often.
_ADVANCE_S = 0.1


class Receipt(Protocol):
    """What a feed answers to a payload."""

    @property
    def received(self) -> int: ...
    @property
    def accepted(self) -> int: ...
    @property
    def rejected(self) -> int: ...
    @property
    def control(self) -> Sequence[bytes]: ...


class Feed(Protocol):
    """The engine's end of a connection."""

    def push_bytes(self, data: bytes, ts_recv: int | None = None) -> Receipt: ...
    def reset(self) -> None: ...


class Marks(Protocol):
    """What a connection tells the engine beside data."""

    def advance(self, now_ns: int) -> None: ...
    def mark_gap(self, start_ns: int | None, end_ns: int) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that is the same for every attempt."""

    address: HubAddress
    tokens: TokenProvider
    feed: Feed
    marks: Marks
    calls: tuple[tuple[str, str], ...]
    """Hub methods to call after connecting, each with its contract id."""
    limits: LinkLimits
    clock: Clock
    grace_ns: int | None
    """How far behind the clock idle bars are closed; None if the clock has no say."""
    tls: ssl.SSLContext | None
    on_control: Callable[[dict[str, Any]], None]


@dataclass(slots=True)
class Counters:
    """What happened so far. Written by the supervisor's thread alone, read by anyone.

    What a connection counts itself (reads, messages, pings, ...) is added when it has ended; see
    `Supervisor.status` for the sum with the one that lives.
    """

    attempts: int = 0
    connections: int = 0
    failures: int = 0
    failures_in_a_row: int = 0
    received: int = 0
    accepted: int = 0
    rejected: int = 0
    reads: int = 0
    bytes_read: int = 0
    messages: int = 0
    pings: int = 0
    pongs: int = 0
    hub_pings: int = 0
    controls: int = 0
    unreadable_controls: int = 0
    last_error: str | None = None


_OF_CLIENT = ("reads", "bytes_read", "messages", "pings", "pongs")
_OF_HUB = ("hub_pings", "controls", "unreadable_controls")


class Attempt:
    """One connection, from its token to its end."""

    def __init__(self, plan: Plan, waiter: Waiter, counters: Counters, lost_ns: int | None) -> None:
        """`lost_ns`: when the last connection that had all its streams was last heard; None: there was none."""
        self._plan = plan
        self._waiter = waiter
        self._counters = counters
        self._lost_ns = lost_ns
        self._next_advance_s = 0.0
        self.hub: MarketHub | None = None
        self.live_since_s: float | None = None

    def run(self, loop: asyncio.AbstractEventLoop | None, on_live: Callable[[], None]) -> NoReturn:
        """Connect, subscribe, tell `on_live`, read. Ends only by `Stopped` or an error."""
        self._plan.feed.reset()
        hub = self.hub = self._make_hub(self._token(loop))
        failure: ConnectionFailed | None = None
        try:
            hub.start()
            self._counters.connections += 1
            # Twice, since subscribing takes time: bars that close on the first ticks, before the
            # last stream is back, are marked by then, and so are bars that began meanwhile.
            self._mark_gap()
            self._subscribe(hub)
            self._mark_gap()
            self.live_since_s = self._plan.clock.monotonic_s()
            on_live()
            self._read(hub)
        except ConnectionFailed as error:
            failure = error
            raise
        finally:
            hub.finish(failure)
            # The hub's frames are in the traceback, and the traceback in the failure.
            del failure

    @property
    def last_heard_ns(self) -> int | None:
        """When the last byte came, as the clock told it; None before the first."""
        return (self.hub.transport.client.last_read_ns or None) if self.hub is not None else None

    def counted(self) -> dict[str, int]:
        """What this connection counted itself."""
        if self.hub is None:
            return {}
        client = self.hub.transport.client
        counts = {name: getattr(client, name) for name in _OF_CLIENT}
        return counts | {name: getattr(self.hub, name) for name in _OF_HUB}

    def _make_hub(self, token: Token | None) -> MarketHub:
        # Imported here: signalrcore and websockets take a quarter of a second, which programs that
        # never connect should not pay.
        from .hub import MarketHub

        plan = self._plan
        return MarketHub(
            plan.address,
            token=token,
            feed=self._push,
            on_control=plan.on_control,
            limits=plan.limits,
            clock=plan.clock,
            waiter=self._waiter,
            tls=plan.tls,
        )

    def _token(self, loop: asyncio.AbstractEventLoop | None) -> Token | None:
        tokens, limit_s = self._plan.tokens, self._plan.limits.token_s
        if tokens.is_immediate:
            return tokens.fetch(loop, limit_s)
        return self._waiter.aside(
            lambda: tokens.fetch(loop, limit_s),
            self._plan.clock.monotonic_s() + limit_s,
            f"{tokens!r} delivered no token within {limit_s} s",
        )

    def _push(self, payload: bytes, ts_recv: int) -> Sequence[bytes]:
        receipt = self._plan.feed.push_bytes(payload, ts_recv)
        counters = self._counters
        counters.received += receipt.received
        counters.accepted += receipt.accepted
        counters.rejected += receipt.rejected
        return receipt.control

    def _subscribe(self, hub: MarketHub) -> None:
        limit_s = self._plan.limits.subscribe_s
        deadline_s = self._plan.clock.monotonic_s() + limit_s
        pending = [(method, symbol, hub.call(method, symbol)) for method, symbol in self._plan.calls]
        for method, symbol, future in pending:
            while not future.done():
                remaining_s = deadline_s - self._plan.clock.monotonic_s()
                if remaining_s <= 0:
                    raise ConnectTimeout(f"the hub did not answer {method}({symbol!r}) within {limit_s} s")
                self._step(hub, remaining_s)
            refusal = future.exception()
            if refusal is not None:
                raise SubscribeRefused(f"{method}({symbol!r}): {refusal}")

    def _read(self, hub: MarketHub) -> NoReturn:
        grace_ns = self._plan.grace_ns
        timeout_s = self._plan.limits.ping_s if grace_ns is None else _ADVANCE_S
        while True:
            self._step(hub, timeout_s)
            if grace_ns is not None:
                self._advance(grace_ns)

    def _step(self, hub: MarketHub, timeout_s: float) -> None:
        if self._waiter.is_stopped:
            raise Stopped
        hub.step(timeout_s)

    def _advance(self, grace_ns: int) -> None:
        now_s = self._plan.clock.monotonic_s()
        if now_s >= self._next_advance_s:
            self._next_advance_s = now_s + _ADVANCE_S
            self._plan.marks.advance(self._plan.clock.now_ns() - grace_ns)

    def _mark_gap(self) -> None:
        # Recorded data replayed through a hub has event times that the clock knows nothing of.
        if self._plan.grace_ns is None:
            return
        now_ns = self._plan.clock.now_ns()
        if self._lost_ns is not None:
            # A clock that was set back meanwhile must not turn the gap around.
            now_ns = max(now_ns, self._lost_ns + 1)
        self._plan.marks.mark_gap(self._lost_ns, now_ns)
