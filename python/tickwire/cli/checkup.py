"""The way to a hub, one step after the other, each with its time and its outcome in words.

    login → contract → token → resolve → connect → negotiate → upgrade → handshake → subscribe … → data → ping

The parts are those that a client is made of, put together as a client does it: what works here works
there. The first failure ends it, but for missing data, since a ping then tells a quiet market from a
dead link. Nothing is tried twice, and no text shows a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Literal

from tickwire.auth import Token, expires_ns
from tickwire.clock import Clock
from tickwire.config import Instrument, ProtocolName, Rules
from tickwire.dial import Deadline, Dialer
from tickwire.engine import Engine
from tickwire.errors import ConnectionFailed, ConnectTimeout, SubscribeRefused
from tickwire.gateway import Gateway
from tickwire.hub import MarketHub
from tickwire.link_limits import LinkLimits
from tickwire.pause import Pause
from tickwire.plan import check_stream
from tickwire.policy import rule_for
from tickwire.streams import stream_calls
from tickwire.wakeup import Waiter

from .advice import ADVICE, NO_DATA, advice_for, fault_of, reaction

if TYPE_CHECKING:
    from tickwire.route import Route

__all__ = ["Checkup", "Order", "Step"]

Outcome = Literal["ok", "failed", "skipped"]
_Check = Callable[[], str | None]
# Searched for where no contract is named: the one that is traded most.
_USUAL = "ES"
_PING_S = 0.5
_PROTOCOLS: dict[ProtocolName, str] = {"json": "JSON", "messagepack": "MessagePack"}
# Silence is judged by the step "ping", not by the transport.
_NEVER_S = 86_400.0
_SLICE_S = 0.1


@dataclass(frozen=True, slots=True)
class Step:
    """One step.

    Attributes:
        name: such as "upgrade", or "subscribe trades".
        outcome: "ok", "failed" or "skipped".
        text: what was done, or what went wrong, in words.
        took_s: seconds; None if it was skipped.
        fault: what sort of failure, a key of `advice.ADVICE`.
        advice: what to try.
        reaction: what a client does about it by itself.
    """

    name: str
    outcome: Outcome
    text: str
    took_s: float | None = None
    fault: str | None = None
    advice: str | None = None
    reaction: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be looked at.

    Attributes:
        route: the way to the hub.
        token: for it; None for none, or if a gateway gives one.
        gateway: to log in at first, or None.
        symbol: a contract id; None lets the gateway find one, or leaves out data without a gateway.
        streams: to subscribe.
        protocol: to speak with the hub.
        limit_s: the longest that a step may take.
    """

    route: Route
    token: Token | None = None
    gateway: Gateway | None = None
    symbol: str | None = None
    streams: tuple[str, ...] = ("trades", "quotes")
    protocol: ProtocolName = "json"
    limit_s: float = 10.0

    def __post_init__(self) -> None:
        stream_calls(self.streams, ("any",))


class _NoData(Exception):
    """Nothing came in time; says so in words."""


class Checkup:
    """Used once: `steps` does the work as it is iterated."""

    def __init__(self, order: Order, clock: Clock | None = None) -> None:
        self._order = order
        self._route = order.route
        self._clock = clock if clock is not None else Clock()
        self._token = order.token
        self._symbol = order.symbol
        self._tick_size: float | None = None
        self._waiter = Waiter(self._clock)
        route = order.route
        self._dialer = Dialer(tls=route.tls, proxies=route.proxies, clock=self._clock, waiter=self._waiter)
        self._opened = False

    def steps(self) -> Generator[Step, None, None]:
        """Each step as soon as it is over."""
        failed: str | None = None
        try:
            for name, check in self._plan():
                if failed is not None:
                    yield Step(name, "skipped", f"not tried, since {failed} failed")
                    continue
                step, is_fatal = self._take(name, check)
                failed = name if is_fatal else None
                yield step
        finally:
            try:
                self._end(None)
            finally:
                self._waiter.close()

    def _take(self, name: str, check: _Check) -> tuple[Step, bool]:
        """The step, and whether there is no use in going on."""
        begun_s = self._clock.monotonic_s()
        try:
            text = check()
        except _NoData as quiet:
            took_s = self._clock.monotonic_s() - begun_s
            return Step(name, "failed", str(quiet), took_s, NO_DATA, ADVICE[NO_DATA]), False
        except ConnectionFailed as error:
            took_s = self._clock.monotonic_s() - begun_s
            self._end(error)
            fault = fault_of(error)
            rule = rule_for(error)
            # The table is about links, and knows nothing of single requests.
            by_itself = reaction(rule) if fault == rule.fault else None
            return Step(name, "failed", str(error), took_s, fault, advice_for(error), by_itself), True
        if text is None:
            return Step(name, "skipped", "not tried, since there is no --symbol"), False
        return Step(name, "ok", text, self._clock.monotonic_s() - begun_s), False

    def _end(self, failure: ConnectionFailed | None) -> None:
        if not self._opened:
            return
        self._opened = False
        if failure is None and self._hub.transport.is_connected():
            self._hub.finish()
        else:
            self._hub.transport.abort()

    def _plan(self) -> Iterator[tuple[str, _Check]]:
        order = self._order
        if order.gateway is not None:
            yield "login", partial(self._log_in, order.gateway)
            yield "contract", partial(self._find_contract, order.gateway)
        yield "token", self._look_at_token
        yield "resolve", self._resolve
        yield "connect", self._connect
        if self._route.negotiate:
            yield "negotiate", self._negotiate
        yield "upgrade", self._upgrade
        yield "handshake", self._shake_hands
        for stream in order.streams:
            yield f"subscribe {stream}", partial(self._subscribe, stream)
        yield "data", self._await_data
        yield "ping", self._ping

    # Before the hub

    def _log_in(self, gateway: Gateway) -> str:
        self._token = gateway.login.token(Pause(self._clock), self._order.limit_s)
        return f"{gateway} gave out a token"

    def _find_contract(self, gateway: Gateway) -> str:
        limit_s = self._order.limit_s
        if self._symbol is not None:
            contract = gateway.contract(self._symbol, time_limit_s=limit_s)
        else:
            found = gateway.contracts(_USUAL, time_limit_s=limit_s)
            if not found:
                return f"the search works, but finds nothing for {_USUAL!r}; name a contract with --symbol"
            contract = next((one for one in found if one.active), found[0])
            self._symbol = contract.id
        self._tick_size = contract.tick_size
        active = "traded now" if contract.active else "not the one that is traded now"
        return f"{contract.id} is {contract.name} ({contract.description}), {active}"

    def _look_at_token(self) -> str:
        if self._token is None:
            return "none was given; the hub is asked without one"
        end_ns = expires_ns(self._token)
        if end_ns is None:
            return "it does not tell how long it lasts; the hub knows"
        left_s = (end_ns - self._clock.now_ns()) / 1e9
        if left_s <= 0:
            return f"by this machine's clock it expired {_span(-left_s)} ago; the hub decides"
        return f"by this machine's clock it lasts another {_span(left_s)}"

    def _resolve(self) -> str:
        proxy = self._route.proxies.for_hub(self._route.address)
        target = self._route.address if proxy is None else proxy
        found = self._dialer.resolve(target.host, target.port, self._deadline(f"address of {target.host}"))
        addresses = list(dict.fromkeys(entry[4][0] for entry in found))
        more = f" and {len(addresses) - 1} more" if len(addresses) > 1 else ""
        return f"{'' if proxy is None else 'the proxy '}{target.host} is at {addresses[0]}{more}"

    # The connection

    @cached_property
    def _engine(self) -> Engine:
        # Prices are not judged: without a gateway nobody knows the grid.
        rules = Rules(grid="off", band="off")
        symbol = self._symbol or "none"
        return Engine(Instrument(symbol, tick_size=self._tick_size or 1.0, rules=rules), ["1m"])

    @cached_property
    def _hub(self) -> MarketHub:
        limit_s, protocol = self._order.limit_s, self._order.protocol
        feed = self._engine.feed(protocol=protocol)

        def push(payload: bytes, ts_recv: int) -> Sequence[bytes]:
            receipt = feed.push_bytes(payload, ts_recv)
            check_stream(feed, receipt)
            return receipt.control

        return MarketHub(
            self._route,
            protocol=protocol,
            token=self._token,
            feed=push,
            on_control=lambda _: None,
            limits=LinkLimits(
                negotiate_s=limit_s,
                connect_s=limit_s,
                handshake_s=limit_s,
                heartbeat_s=_PING_S,
                silence_s=_NEVER_S,
            ),
            clock=self._clock,
            waiter=self._waiter,
        )

    def _connect(self) -> str:
        route = self._route
        address = route.address
        proxy = route.proxies.for_hub(address)
        if route.negotiate:
            # Negotiate takes a connection of its own, and may lead elsewhere.
            self._dialer.drop(self._dialer.dial(address, self._deadline(f"connection to {address.netloc}")))
        else:
            client = self._hub.transport.client
            self._opened = True
            client.dial()
        through = "" if proxy is None else f" through the proxy {proxy.netloc}"
        how = "TCP and TLS, with a trusted certificate" if address.secure else "TCP, without TLS"
        return f"{address.netloc}{through}: {how}"

    def _negotiate(self) -> str:
        client = self._hub.transport.client
        self._opened = True
        client.negotiate()
        return "the hub gave out an id for the connection"

    def _upgrade(self) -> str:
        client = self._hub.transport.client
        if self._route.negotiate:
            client.dial()
        client.upgrade()
        with_token = "without a token" if self._token is None else "with the token"
        return f"a WebSocket at {self._route.address.path}, {with_token} in the {self._route.token_in}"

    def _shake_hands(self) -> str:
        self._hub.transport.shake_hands()
        return f"the hub speaks SignalR's {_PROTOCOLS[self._order.protocol]} protocol"

    def _subscribe(self, stream: str) -> str | None:
        if self._symbol is None:
            return None
        (call,) = stream_calls(stream, (self._symbol,))
        future = self._hub.call(call.method, *call.arguments)
        limit_s = self._order.limit_s
        if not self._step_until(future.done):
            raise ConnectTimeout(f"the hub did not answer {call} within {limit_s:g} s")
        refusal = future.exception()
        if refusal is not None:
            raise SubscribeRefused(f"{call}: {refusal}")
        return f"the hub confirmed {call}"

    def _await_data(self) -> str | None:
        if self._symbol is None:
            return None
        if not self._step_until(lambda: self._engine.stats()["received"] > 0):
            raise _NoData(f"the hub sent no tick of {self._symbol} within {self._order.limit_s:g} s")
        stats = self._engine.stats()
        reasons = ", ".join(f"{reason} {count}" for reason, count in stats["rejections"].items())
        rejected = f", {stats['rejected']} rejected: {reasons}" if stats["rejected"] else ""
        return f"the first ticks came: {stats['accepted']} accepted{rejected}"

    def _ping(self) -> str:
        transport = self._hub.transport
        if not self._step_until(lambda: transport.round_trip_s is not None):
            raise ConnectTimeout(
                f"the hub did not answer a WebSocket ping within {self._order.limit_s:g} s", fault="silent"
            )
        return f"a WebSocket ping was answered after {1e3 * (transport.round_trip_s or 0.0):.1f} ms"

    def _step_until(self, is_over: Callable[[], bool]) -> bool:
        """Read until something has happened; False if it has not within the limit."""
        deadline_s = self._clock.monotonic_s() + self._order.limit_s
        while not is_over():
            remaining_s = deadline_s - self._clock.monotonic_s()
            if remaining_s <= 0:
                return False
            self._hub.step(min(remaining_s, _SLICE_S))
        return True

    def _deadline(self, what: str) -> Deadline:
        limit_s = self._order.limit_s
        return Deadline(self._clock.monotonic_s() + limit_s, f"no {what} within {limit_s:g} s")


def _span(seconds: float) -> str:
    """A time span in its largest unit."""
    for unit, length_s in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length_s:
            return f"{seconds / length_s:.0f} {unit}"
    return f"{seconds:.0f} seconds"
