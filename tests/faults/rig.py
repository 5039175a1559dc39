"""One case of the fault matrix on real sockets: hub, login, engine and client, and the accounts of all.

A `Rig` brings the client to where the fault is to strike, lets it strike, waits until the client has
recovered or ended, and closes the valve of the stream, so that the hub's and the engine's accounts of
each connection can be compared. It waits for conditions with generous limits, and judges nothing.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import tickwire as tw
from faults.cases import Case, ExpireToken, Outcome, Phase, SlowConsumer, Struck
from hubs import PATIENCE_S, UNIT_S
from tickwire import sim
from tickwire.client import Client
from tickwire.clock import Clock
from tickwire.connecting import connect
from tickwire.events import Connected, Event
from tickwire.link_limits import LinkLimits
from tickwire.login import Login
from tickwire.login_limits import LoginLimits
from tickwire.policy import Failure

__all__ = ["JumpClock", "Rig", "Seen", "until"]

_BEFORE = 40
"""Ticks on a connection before it is struck, and of the last one before it is believed."""
_POLL_S = 0.002
_LIFE_S = 86_400.0
_TO_RENEWAL_S = 80_000.0
"""A token's life, and a time after which it is renewed, but far from its end."""

_LOGIN = LoginLimits(
    fetch_s=30 * UNIT_S, retry_min_s=0.005, retry_max_s=0.01, relogin_min_s=0.005, relogin_max_s=0.01
)


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for a condition with a limit that no machine needs."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, f"{what}: it did not happen within {PATIENCE_S} s"
        time.sleep(_POLL_S)


class JumpClock(Clock):
    """This machine's time, and forward from it by as much as the test wants."""

    def __init__(self) -> None:
        self._ahead_s = 0.0

    def jump(self, seconds: float) -> None:
        """Let so much time pass at once."""
        self._ahead_s += seconds

    def now_ns(self) -> int:
        return super().now_ns() + int(self._ahead_s * 1e9)

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self._ahead_s

    def wait(self, event: threading.Event, timeout_s: float | None) -> bool:
        deadline_s = None if timeout_s is None else self.monotonic_s() + timeout_s
        while not event.wait(_POLL_S):
            if deadline_s is not None and self.monotonic_s() >= deadline_s:
                return event.is_set()
        return True


class Source:
    """Gives out tokens of the hub; a renewal waits until the test lets it go."""

    def __init__(self, hub: sim.Hub) -> None:
        self._hub = hub
        self.current = hub.token(ttl_s=_LIFE_S)
        self.logins = 0
        self.renewing = threading.Event()
        self.returned = threading.Event()
        self.fails = False
        self._go = threading.Event()

    def __call__(self) -> str:
        self.logins += 1
        if self.logins > 1:
            self.current = self._hub.token(ttl_s=_LIFE_S)
        return self.current

    def renew(self, token: tw.Token) -> str:
        """The provider's renewal."""
        self.renewing.set()
        try:
            self._go.wait(10 * PATIENCE_S)
            if self.fails:
                self.fails = False
                raise tw.LoginFailed("the login server is down")
            self.current = self._hub.token(ttl_s=_LIFE_S, renews=token.reveal())
            return self.current
        finally:
            self.returned.set()

    def let_go(self) -> None:
        """Answer the renewal, and all that follow."""
        self._go.set()


@dataclass
class Accounts:
    """What the engine counted for each connection of the hub, closed after each attempt of the client."""

    hub: sim.Hub
    engine: tw.Engine
    ticks: dict[int, int] = field(default_factory=dict)
    """Ticks that the engine took from the hub's connection of this number, malformed records left out."""
    strays: int = 0
    """Ticks that came in an attempt of which the hub knows no connection."""
    _newest: int = 0
    _counted: int = 0

    def close_attempt(self) -> None:
        """What was counted since the last attempt belongs to the newest connection, if it is new."""
        stats = self.engine.stats()
        counted = stats["received"] - stats["rejections"].get("malformed", 0)
        newest = max((info.id for info in self.hub.connections if info.hub == "market"), default=0)
        if newest > self._newest:
            self.ticks[newest] = counted - self._counted
        else:
            self.strays += counted - self._counted
        self._newest, self._counted = newest, counted


@dataclass
class Seen:
    """What came of a run.

    Attributes:
        outcome: what became of the client.
        rows: the rows of the policy table that failures fell under, in order.
        user_rows: those of the client of the user hub.
        recovery_s: from the strike (before subscribe: from the start) until all flowed again or the
            client had ended; None if nothing was interrupted.
        events: all that the client told.
        error: why it ended.
        connections: the hub's accounts of the market hub's connections, by number.
        ticks: the engine's, by the same numbers.
        strays: see `Accounts`.
        logins: how often the source was asked to log in.
        login: the status of the login at the end.
    """

    outcome: Outcome
    rows: tuple[str, ...]
    user_rows: tuple[str, ...]
    recovery_s: float | None
    events: list[Event]
    error: BaseException | None
    connections: dict[int, sim.ConnectionInfo]
    ticks: dict[int, int]
    strays: int
    logins: int
    login: dict[str, object]


class Rig:
    """Everything of one case in one phase; used once, in `with`."""

    def __init__(self, case: Case, phase: Phase) -> None:
        self.case = case
        self.phase = phase
        self._stack = contextlib.ExitStack()
        market = sim.Market(2, rate=case.rate, burst=0.0, mix={"trade": 0.5, "quote": 0.5})
        self.hub = sim.Hub(market, **case.hub)
        self.engine = tw.Engine(
            [tw.Instrument(one.symbol, tick_size=one.tick_size) for one in market.contracts],
            timeframes=["1s"],
        )
        self.rows: list[str] = []
        self.user_rows: list[str] = []
        self._held = threading.Event()

    def __enter__(self) -> Rig:
        self._stack.enter_context(self.hub)
        self.clock = JumpClock()
        self.source = Source(self.hub)
        # However the test ends: nobody must hang in it.
        self._stack.callback(self._let_go)
        self.login = Login(self.source, limits=_LOGIN, clock=self.clock)
        self.accounts = Accounts(self.hub, self.engine)
        limits = LinkLimits(
            **({"backoff_min_s": 0.01, "backoff_max_s": 0.02, "close_s": 0.25 * UNIT_S} | dict(self.case.limits))
        )
        self.client = connect(
            hub=self.hub.url,
            engine=self.engine,
            token=self.login,
            start="background",
            limits=limits,
            process_failure=self._failed,
        )
        self._events = self.client.events()
        self._stack.callback(self.client.close)
        self.user: Client | None = None
        if self.case.user_hub:
            self.user = connect(
                hub=self.hub.user_url,
                token=self.login,
                calls=[("SubscribeAccounts",)],
                start="background",
                limits=limits,
                process_failure=lambda failure: self.user_rows.append(failure.fault),
            )
            self._stack.callback(self.user.close)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _let_go(self) -> None:
        self._held.set()
        self.source.let_go()

    def _failed(self, failure: Failure) -> None:
        self.accounts.close_attempt()
        self.rows.append(failure.fault)

    # The run

    def run(self) -> Seen:
        """All of it; to be called once."""
        told: list[Event] = []
        if self.phase is Phase.BEFORE:
            self._strike(stage="handshake")
            began_ns = time.time_ns()
            self._start()
        else:
            self._start()
            self._flows(_BEFORE)
            if self.phase.is_refresh:
                self.source.fails = self.phase is Phase.UNRENEWED
                self.clock.jump(_TO_RENEWAL_S)
                until(self.source.renewing.is_set, "a renewal")
            began_ns = time.time_ns()
            self._strike(stage=None)
        self._recover()
        if self.phase.is_refresh:
            self._answer_renewal(told)
        told += self._events.poll()
        outcome: Outcome = "ends" if self.client.state == "failed" else "comes back" if self.rows else "lives on"
        return self._seen(outcome, began_ns, told)

    def _start(self) -> None:
        self.client.__enter__()
        if self.user is not None:
            self.user.__enter__()

    def _strike(self, stage: sim.Stage | None) -> None:
        """Let the faults strike: what waits for an attempt is armed, and the living connection ended."""
        case, hub = self.case, self.hub
        breaks = stage is None and case.needs_break
        number = None if stage is not None else self._newest().id
        for fault in case.faults:
            if isinstance(fault, SlowConsumer):
                self.client.on_trade(lambda _: self._held.wait() and None)
            elif isinstance(fault, ExpireToken):
                hub.expire(self.source.current)
            elif isinstance(fault, sim.HubFault):
                hub.fault(fault)
            elif getattr(fault, "at", None) is not None:
                hub.fault(fault, times=case.times)
            elif stage is not None or case.times != 1:
                hub.fault(fault, at="handshake", only="/hubs/market", times=case.times)
            else:
                hub.fault(fault, connection=number)
        if breaks:
            hub.fault(sim.Drop("fin"), connection=number)

    def _recover(self) -> None:
        """Wait for the outcome that the case expects, and for ticks behind it."""
        case, phase = self.case, self.phase
        rows = case.expected_rows(phase)
        if phase.is_refresh and case.drops_token:
            # A login waits for the renewal under way, no longer than that is given.
            first = next(n for n, row in enumerate(rows, 1) if row in case.rows)
            until(lambda: len(self.rows) >= first or self.client.state == "failed", f"failure {first}")
            self._give_up_renewal()
        if case.outcome(phase) == "ends":
            until(lambda: self.client.state == "failed", "the end")
            return
        until(lambda: len(self.rows) >= len(rows), f"{len(rows)} failures")
        self._flows(_BEFORE)
        user = self.user
        if user is not None:
            until(lambda: user.state == "live", "the user hub")

    def _give_up_renewal(self) -> None:
        if self.login.status()["given_up"] == 0:
            self.clock.jump(_LOGIN.fetch_s)
            until(lambda: self.login.status()["given_up"] == 1, "the end of the renewal's time")

    def _answer_renewal(self, told: list[Event]) -> None:
        """Let the renewal go, and wait until its answer was taken or left."""
        given_up = self.login.status()["given_up"]
        assert not self.source.returned.is_set()
        self.source.let_go()
        until(self.source.returned.is_set, "the answer of the renewal")
        if given_up or self.client.state == "failed":
            until(lambda: self.login.status()["hanging"] == 0, "the end of the call that was given up")
            return
        failed = self.phase is Phase.UNRENEWED
        kind = tw.events.TokenRenewalFailed if failed else tw.events.TokenRenewed

        def heard() -> bool:
            told.extend(self._events.poll())
            return any(isinstance(event, kind) for event in told)

        until(heard, kind.__name__)
        self._flows(_BEFORE)

    def _flows(self, ticks: int) -> None:
        """Wait for so many more ticks of a connection that is live."""
        until(lambda: self.client.state in ("live", "failed"), "the connection")
        if self.client.state == "failed":
            return
        start = self.engine.stats()["received"]
        until(lambda: self.engine.stats()["received"] >= start + ticks, f"{ticks} ticks")

    # The accounts

    def _market(self) -> Iterator[sim.ConnectionInfo]:
        return (info for info in self.hub.connections if info.hub == "market")

    def _newest(self) -> sim.ConnectionInfo:
        return max(self._market(), key=lambda info: info.id)

    def struck(self) -> Struck:
        """For `Case.shows`."""
        return Struck(self._newest(), self.engine)

    def _seen(self, outcome: Outcome, began_ns: int, told: list[Event]) -> Seen:
        if outcome != "ends":
            self._drain()
            self.accounts.close_attempt()
            ended_ns = next((e.ts for e in reversed(told) if isinstance(e, Connected)), None)
        else:
            ended_ns = time.time_ns()
        interrupted = self.phase is Phase.BEFORE or outcome != "lives on"
        return Seen(
            outcome=outcome,
            rows=tuple(self.rows),
            user_rows=tuple(self.user_rows),
            recovery_s=(ended_ns - began_ns) / 1e9 if interrupted and ended_ns is not None else None,
            events=told,
            error=self.client.error,
            connections={info.id: info for info in self._market()},
            ticks=self.accounts.ticks,
            strays=self.accounts.strays,
            logins=self.source.logins,
            login=self.login.status(),
        )

    def _drain(self) -> None:
        """Let nothing more be sent on the living connection, and wait for what is under way."""
        number = self._newest().id
        self.hub.fault(sim.Resume(), connection=number)
        self.hub.fault(sim.Lose(), connection=number)
        malformed = self.case.malformed
        counted = sum(self.accounts.ticks.values()) + malformed

        def arrived() -> bool:
            return self.engine.stats()["received"] >= counted + self.hub.connection(number).sent.ticks

        until(arrived, "what is under way")
