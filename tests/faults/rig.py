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
from typing import Self, TypeVar

import tickwire as tw
from faults.accounts import Accounts, Seen
from faults.case import Case, ExpireToken, Outcome, Phase, SlowConsumer, Struck
from faults.source import JumpClock, Source
from hubs import PATIENCE_S, UNIT_S
from tickwire import sim
from tickwire.client import Client
from tickwire.config import ProtocolName
from tickwire.connecting import connect
from tickwire.events import Connected, Disconnected, Event
from tickwire.link_limits import LinkLimits
from tickwire.login import Login
from tickwire.login_limits import LoginLimits
from tickwire.policy import Failure

__all__ = ["Rig"]

E = TypeVar("E", bound=Event)

_BEFORE = 40
"""Ticks on a connection before it is struck, and of the last one before it is believed."""
_BEHIND = 30
"""Ticks from the moment at which a fault is armed on a living connection to the one at which it strikes."""
_SLOT_S = 0.005
"""Ticks of so much time are sent at once."""
_POLL_S = 0.002

_LOGIN = LoginLimits(
    fetch_s=30 * UNIT_S, retry_min_s=0.005, retry_max_s=0.01, relogin_min_s=0.005, relogin_max_s=0.01
)


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for a condition with a limit that no machine needs."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, f"{what}: it did not happen within {PATIENCE_S} s"
        time.sleep(_POLL_S)


class Rig:
    """Everything of one case in one phase; used once, in `with`."""

    def __init__(self, case: Case, phase: Phase, protocol: ProtocolName = "json") -> None:
        self.case = case
        self.phase = phase
        self._protocol = protocol
        self._stack = contextlib.ExitStack()
        market = sim.Market(2, rate=case.rate, burst=0.0, mix={"trade": 0.5, "quote": 0.5})
        self.hub = sim.Hub(market, slot_s=_SLOT_S, **case.hub)
        self.engine = tw.Engine(
            [tw.Instrument(one.symbol, tick_size=one.tick_size) for one in market.contracts],
            timeframes=["1s"],
        )
        self.rows: list[str] = []
        self.user_rows: list[str] = []
        self._began_ns: int | None = None
        self._ended_ns = 0
        self._held = threading.Event()
        self._called = threading.Event()

    def __enter__(self) -> Self:
        self._stack.enter_context(self.hub)
        self.clock = JumpClock()
        self.source = Source(self.hub)
        self.login = Login(self.source, limits=_LOGIN, clock=self.clock)
        self.accounts = Accounts(self.hub, self.engine)
        limits = LinkLimits(
            **(
                {"backoff_min_s": 0.01, "backoff_max_s": 0.02, "close_s": 0.25 * UNIT_S}
                | dict(self.case.limits)
            )
        )
        self.client = connect(
            hub=self.hub.url,
            engine=self.engine,
            token=self.login,
            start="background",
            negotiate=self.case.negotiate,
            protocol=self._protocol,
            limits=limits,
            process_failure=self._failed,
        )
        self._stream = self.client.events()
        self._told: list[Event] = []
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
        # However the test ends, nothing of it must hold the clients.
        self._stack.callback(self._let_go)
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
        if self.phase is Phase.BEFORE:
            self._strike(stage="handshake")
            self._began_ns = time.time_ns()
            self._start()
        else:
            self._start()
            self._flows(_BEFORE)
            if self.phase.is_refresh:
                self.source.fails = self.phase is Phase.UNRENEWED
                self.clock.jump(Source.TO_RENEWAL_S)
                until(self.source.renewing.is_set, "a renewal")
            self._strike(stage=None)
        self._recover()
        if self.phase.is_refresh:
            self._answer_renewal()
        outcome: Outcome = (
            "ends" if self.client.state == "failed" else "comes back" if self.rows else "lives on"
        )
        return self._seen(outcome)

    def _start(self) -> None:
        self.client.__enter__()
        if self.user is not None:
            self.user.__enter__()
            if self.phase is not Phase.BEFORE:
                self.user.wait_live(PATIENCE_S)

    def _strike(self, stage: sim.Stage | None) -> None:
        """Let the faults strike: what waits for an attempt is armed, and the living connection ended."""
        case, fault, hub = self.case, self.case.strike(self._protocol), self.hub
        living = None if stage is not None else self._newest()
        if isinstance(fault, SlowConsumer):
            self.client.on_trade(self._hold)
        elif isinstance(fault, ExpireToken):
            hub.expire(self.source.current)
        elif isinstance(fault, sim.HubFault):
            hub.fault(fault)
        elif case.waits:
            hub.fault(fault, times=case.times)
        elif stage is not None or case.times != 1:
            # What strikes for ever strikes both hubs, what strikes once the one that is looked at.
            only = "/hubs/market" if case.times == 1 else None
            hub.fault(fault, at="handshake", only=only, times=case.times)
        elif living is not None:
            self._strike_between(fault, living)
        if living is not None and case.needs_break:
            self._strike_between(sim.Drop("fin"), living)

    def _strike_between(self, fault: sim.LinkFault, living: sim.ConnectionInfo) -> None:
        """Strike among ticks that are sent at once, so that the client finds both in one read."""
        ticks = living.sent.ticks + _BEHIND
        self.hub.fault(fault, connection=living.id, after_ticks=ticks)
        until(lambda: self.hub.connection(living.id).sent.ticks >= ticks, "the strike")

    def _hold(self, _: object) -> None:
        self._called.set()
        self._held.wait()

    def _recover(self) -> None:
        """Wait for the outcome that the case expects, and for ticks behind it."""
        case, phase = self.case, self.phase
        rows = case.expected_rows(phase)
        if phase.is_refresh and case.drops_token:
            # A login waits for no renewal of a token that has become worthless.
            until(lambda: self.login.status()["given_up"] == 1, "the end of the renewal")
        user = self.user
        if case.outcome(phase) == "ends":
            until(lambda: self.client.state == "failed", "the end")
            self._ended_ns = time.time_ns()
            if user is not None:
                until(lambda: user.state == "failed", "the end of the user hub")
            return
        until(lambda: len(self.rows) >= len(rows), f"{len(rows)} failures")
        if isinstance(case.fault, sim.Unlisten):
            self.hub.fault(sim.Listen())
        ups = 2 if rows and phase is not Phase.BEFORE else 1
        until(lambda: len(self._heard(Connected)) == ups, "all streams")
        self._flows(_BEFORE)
        if user is not None:
            until(lambda: user.state == "live", "the user hub")
        if isinstance(case.fault, SlowConsumer):
            until(self._called.is_set, "a call of the callback")

    def _answer_renewal(self) -> None:
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
        until(lambda: self._heard(kind), kind.__name__)
        self._flows(_BEFORE)

    def _heard(self, kind: type[E]) -> list[E]:
        """The events of this type so far."""
        self._told += self._stream.poll()
        return [event for event in self._told if isinstance(event, kind)]

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
        return Struck(self.hub, self._newest())

    def _seen(self, outcome: Outcome) -> Seen:
        if outcome != "ends":
            self._drain()
            self.accounts.close_attempt()
        return Seen(
            outcome=outcome,
            rows=tuple(self.rows),
            user_rows=tuple(self.user_rows),
            recovery_s=self._recovery_s(),
            events=self._heard(Event),
            error=self.client.error,
            connections={info.id: info for info in self._market()},
            ticks=self.accounts.ticks,
            strays=self.accounts.strays,
            logins=self.source.logins,
            login=self.login.status(),
        )

    def _recovery_s(self) -> float | None:
        """How long data was missing, as far as the client can know."""
        up, lost = self._heard(Connected), self._heard(Disconnected)
        began_ns = lost[0].last_heard_ns if lost else self._began_ns
        if began_ns is None:
            return None
        return ((up[-1].ts if self.client.state == "live" else self._ended_ns) - began_ns) / 1e9

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
