"""Faults while a client changes sockets because its token is about to expire: the rows, and how one is run.

A `SwapRig` has a hub that ends connections with their token, a client that knows or learns it, and a
witness: another client with an engine of its own that stays on one connection, so that whatever the hub
has sent is known tick by tick. It waits for conditions, and judges nothing.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import tickwire as tw
from faults.source import JumpClock
from hubs import PATIENCE_S, UNIT_S
from tickwire import sim
from tickwire.config import ProtocolName
from tickwire.events import Connected, Event, SwapFailed

__all__ = ["SWAPS", "SWAP_RUNS", "Swap", "SwapRig", "SwapSeen"]

Outcome = Literal["changes", "changes, with a gap", "comes back"]

LIFE_S = 50.0
"""Of tokens: a change of sockets is due as soon as there is another one."""
_TO_RENEWAL_S = 26.0
_TICKS = 60
_SHORT_S = 0.15 * UNIT_S
WITNESS, OLD, NEW = 1, 2, 3
"""Numbers of the hub's connections: the witness's, and the client's first two."""

_QUOTES = "SubscribeContractQuotes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """One row.

    Attributes:
        name: in the table and in the names of tests.
        faults: what is armed before the token is renewed, with the arguments of `Hub.fault`.
        strike: what befalls the connections, in the same way,
        at: once the new one has so many subscriptions; all are four.
        outcome: "changes": the socket has been changed, and no tick was lost; or it has, and there is
            a gap; or the connection was lost before, and another followed.
        gap: why, if there is one.
        fails: whether a try at changing has failed first, the old connection going on.
        may_fail: whether it may.
        rows: of the policy table.
        learns: whether the client has to learn first that the hub does so.
        limits: of `LinkLimits`.
        protocols: in which it is run.
    """

    name: str
    faults: tuple[tuple[sim.Fault, dict[str, Any]], ...] = ()
    strike: tuple[tuple[sim.Fault, dict[str, Any]], ...] = ()
    at: int = 1
    outcome: Outcome = "changes"
    gap: str | None = None
    fails: bool = False
    may_fail: bool = False
    rows: tuple[str, ...] = ()
    learns: bool = False
    limits: dict[str, Any] = field(default_factory=dict)
    protocols: tuple[ProtocolName, ...] = ("json",)

    def __str__(self) -> str:
        return self.name


def _new(name: str, fault: sim.Fault, *, limit: str | None = None, **where: Any) -> Swap:
    """The new socket fails once, and the next try succeeds."""
    limits = {} if limit is None else {limit: _SHORT_S}
    return Swap(name=f"the new one: {name}", faults=((fault, where),), fails=True, limits=limits)


# The new connection streams, and is not complete for a while.
_HALF_OPEN = ((sim.Late(0.3 * UNIT_S, "subscribe"), {"only": _QUOTES, "times": 2}),)
BOTH: tuple[ProtocolName, ...] = ("json", "messagepack")

SWAPS: tuple[Swap, ...] = (
    Swap(name="none", protocols=BOTH),
    Swap(name="none, the client has to learn it", gap="link lost", rows=("closed",), learns=True),
    _new("FIN: connect", sim.Drop("fin", at="connect")),
    _new("RST: connect", sim.Drop("rst", at="connect")),
    _new("no answer: connect", sim.NoAnswer("connect"), limit="connect_s"),
    _new("HTTP 401", sim.Refuse(401)),
    _new("HTTP 503", sim.Refuse(503)),
    _new("no answer: upgrade", sim.NoAnswer("upgrade"), limit="connect_s"),
    _new("handshake error", sim.HandshakeError("not today")),
    _new("no answer: handshake", sim.NoAnswer("handshake"), limit="handshake_s"),
    _new("subscribe refused", sim.SubscribeError("no such contract"), only=_QUOTES),
    _new("no answer: subscribe", sim.NoAnswer("subscribe"), limit="subscribe_s", only=_QUOTES),
    _new("FIN behind a subscription", sim.Drop("fin"), at="subscribe"),
    _new("RST behind a subscription", sim.Drop("rst"), at="subscribe"),
    _new("Close behind a subscription", sim.CloseMessage("full"), at="subscribe"),
    Swap(
        name="the new one: FIN before the old one has met it",
        faults=((sim.Delay(0.2 * UNIT_S), {"connection": OLD}),),
        # It has brought ticks that the old one still owes.
        strike=((sim.Drop("fin"), {"connection": NEW, "after_ticks": 300}),),
        at=0,
        fails=True,
    ),
    Swap(
        name="the old one: FIN while the new one subscribes",
        faults=_HALF_OPEN,
        strike=((sim.Drop("fin"), {"connection": OLD}),),
        outcome="changes, with a gap",
        gap="link lost",
        protocols=BOTH,
    ),
    Swap(
        name="the old one: RST while the new one subscribes",
        faults=_HALF_OPEN,
        strike=((sim.Drop("rst"), {"connection": OLD}),),
        outcome="changes, with a gap",
        gap="link lost",
    ),
    Swap(
        name="the old one: Close while the new one subscribes",
        faults=_HALF_OPEN,
        strike=((sim.CloseMessage("expired"), {"connection": OLD}),),
        outcome="changes, with a gap",
        gap="link lost",
    ),
    Swap(
        name="the old one: half-open while the new one subscribes",
        faults=_HALF_OPEN,
        strike=((sim.Silence(), {"connection": OLD}),),
        outcome="changes, with a gap",
        gap="overlap uncertain",
    ),
    Swap(
        name="the old one: FIN while the new one waits for its handshake",
        faults=((sim.Late(0.3 * UNIT_S, "handshake"), {}),),
        strike=((sim.Drop("fin"), {"connection": OLD}),),
        at=0,
        outcome="comes back",
        gap="link lost",
        rows=("link lost",),
    ),
    Swap(
        name="both: FIN while the new one subscribes",
        faults=_HALF_OPEN,
        strike=(
            (sim.Drop("fin"), {"connection": OLD}),
            (sim.Drop("fin"), {"connection": NEW}),
        ),
        outcome="comes back",
        gap="link lost",
        may_fail=True,
        rows=("link lost",),
    ),
)
"""The rows, in the order of the table."""

SWAP_RUNS: tuple[tuple[str, ProtocolName], ...] = tuple(
    (case.name, protocol) for case in SWAPS for protocol in case.protocols
)
"""All that are run."""


@dataclass
class SwapSeen:
    """What came of a run.

    Attributes:
        took_s: from the renewal of the token until the data flows on a socket that has the new one.
        rows: the rows of the policy table that failures fell under.
        events: all that the client told.
        swaps: sockets changed without a disconnect.
        connections: the hub's accounts of the client's connections, by number.
        witness: its account of the witness's connection.
    """

    took_s: float
    rows: tuple[str, ...]
    events: list[Event]
    swaps: int
    connections: dict[int, sim.ConnectionInfo]
    witness: sim.ConnectionInfo


class SwapRig:
    """Everything of one row; used once, in `with`."""

    def __init__(self, case: Swap, protocol: ProtocolName) -> None:
        self.case = case
        self._stack = contextlib.ExitStack()
        market = sim.Market(2, rate=4_000.0, burst=0.0, mix={"trade": 0.5, "quote": 0.5})
        self.hub = sim.Hub(market, start="manual", slot_s=0.005, digits=3, close_expired=True)
        self._instruments = [tw.Instrument(one.symbol, tick_size=one.tick_size) for one in market.contracts]
        self._protocol = protocol
        # A day, since the last bars of the two engines are compared while they are open.
        self.engine, self.witness_engine = (tw.Engine(self._instruments, ["1d"]) for _ in range(2))
        self.clock = JumpClock()
        self.tokens: list[str] = []
        self.rows: list[str] = []
        self._told: list[Event] = []

    def __enter__(self) -> Self:
        self._stack.enter_context(self.hub)
        self.witness = tw.connect(self.hub.url, engine=self.witness_engine, token=self.hub.token())
        self.client = tw.connect(
            self.hub.url,
            engine=self.engine,
            token=tw.Login(self, clock=self.clock),
            protocol=self._protocol,
            start="background",
            swap="learn" if self.case.learns else "expiry",
            limits=tw.LinkLimits(
                backoff_min_s=0.01, backoff_max_s=0.02, heartbeat_s=0.05, **self.case.limits
            ),
            process_failure=lambda failure: self.rows.append(failure.fault),
        )
        self._stream = self.client.events()
        self._stack.enter_context(self.witness)
        self._stack.callback(self.client.close)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    # The source of tokens

    def __call__(self) -> str:
        self.tokens.append(self.hub.token(ttl_s=1.0 if self.case.learns and not self.tokens else LIFE_S))
        return self.tokens[-1]

    def renew(self, token: tw.Token) -> str:
        """Another token of the same session."""
        self.tokens.append(self.hub.token(ttl_s=LIFE_S, renews=token.reveal()))
        return self.tokens[-1]

    # The run

    def run(self) -> SwapSeen:
        """All of it; to be called once."""
        self.client.__enter__()
        self.client.wait_live(PATIENCE_S)
        self.hub.start()
        if self.case.learns:
            until(lambda: len(self.heard(Connected)) == 2, "the connection after the first expiry")
        self._flows()
        first = self._newest()
        for fault, where in self.case.faults:
            self.hub.fault(fault, **where)
        started_s = time.monotonic()
        self.clock.jump(_TO_RENEWAL_S)
        if self.case.strike:
            until(lambda: self._newest() > first, "the second connection")
            until(
                lambda: len(self.hub.connection(first + 1).subscriptions) >= self.case.at, "its subscriptions"
            )
        for fault, where in self.case.strike:
            self.hub.fault(fault, **where)
        until(self._is_over, self.case.outcome)
        took_s = time.monotonic() - started_s
        self._flows()
        self._drain()
        infos = {info.id: info for info in self.hub.connections}
        return SwapSeen(
            took_s=took_s,
            rows=tuple(self.rows),
            events=self.heard(Event),
            swaps=self.client.status()["swaps"],
            connections={number: info for number, info in infos.items() if number != WITNESS},
            witness=infos[WITNESS],
        )

    def _is_over(self) -> bool:
        if self.case.outcome == "comes back":
            return len(self.heard(Connected)) == 2
        return self.client.status()["swaps"] == 1

    def heard(self, kind: type[Event]) -> list[Any]:
        """The events of this type so far."""
        self._told += self._stream.poll()
        return [event for event in self._told if isinstance(event, kind)]

    def failed(self) -> int:
        """Tries at changing sockets that failed."""
        return len(self.heard(SwapFailed))

    def _newest(self) -> int:
        return max(info.id for info in self.hub.connections)

    def _flows(self) -> None:
        start = self.engine.stats()["received"]
        until(lambda: self.engine.stats()["received"] >= start + _TICKS, f"{_TICKS} ticks")

    def _drain(self) -> None:
        """Let nothing more be sent, on both connections behind the same tick, and wait for what is under way."""
        self.hub.fault(sim.Lose())
        sent = {info.id: info.sent.ticks for info in self.hub.connections}
        until(lambda: self.witness_engine.stats()["received"] == sent[WITNESS], "all ticks of the witness")
        self._settle()

    def _settle(self) -> None:
        """Wait until the engine has counted nothing new behind a pong, which comes behind all ticks."""
        pongs = self.client.status()["pongs"]
        until(lambda: self.client.status()["pongs"] >= pongs + 2, "two pongs of the hub")


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for a condition with a limit that no machine needs."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, f"{what}: it did not happen within {PATIENCE_S} s"
        time.sleep(0.002)
