"""Clients of a login on real hubs: a renewal that hangs, a logout with data behind it, a session taken over."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import tickwire as tw
from clocks import HandClock
from hubs import UNIT_S, Connection, HandmadeHub, Script, frame, good, record, trade
from live import FAST, engine_for, wait_for
from tickwire import sim
from tickwire.events import Connected, Disconnected, SessionTakenOver, TokenRenewed

LIFE_S = 86_400.0


class Broker:
    """Logs in at once; a renewal hangs until the test is over."""

    def __init__(self, hub: sim.Hub) -> None:
        self._hub = hub
        self.logins = 0
        self.current = ""
        self.renewing = threading.Event()
        self.go = threading.Event()
        self.late = ""

    def __call__(self) -> str:
        self.logins += 1
        self.current = self._hub.token(ttl_s=LIFE_S)
        return self.current

    def renew(self, token: tw.Token) -> str:
        self.renewing.set()
        self.go.wait()
        self.late = self._hub.token(ttl_s=LIFE_S, renews=token.reveal())
        return self.late


@pytest.mark.parametrize("refusal", [sim.Refuse(401), sim.Refuse(403)], ids=["401", "403"])
def test_a_client_whose_token_is_refused_is_back_while_its_renewal_still_hangs(refusal: sim.Refuse) -> None:
    # The login's time stands still but for one step: whatever waited for the renewal's end would wait for ever.
    clock = HandClock()
    with sim.Hub(sim.Market(1, rate=500.0)) as hub:
        broker = Broker(hub)
        login = tw.Login(broker, clock=clock)
        engine = engine_for(hub)
        with tw.connect(hub.url, engine=engine, token=login, limits=FAST) as client:
            events = client.events()
            clock.advance(0.9 * LIFE_S)
            assert broker.renewing.wait(30.0)
            hub.fault(refusal)
            hub.fault(sim.Drop("fin"), connection=hub.connection().id)
            wait_for(lambda: client.status()["connections"] == 2, "the second connection")
            told = events.poll()
            assert [event.fault for event in told if isinstance(event, Disconnected)] == ["link lost"]
            status = client.status()["login"]
            assert (status["given_up"], status["hanging"], status["logins"]) == (1, 1, 2)
            # What the renewal brings at last takes nobody's place.
            broker.go.set()
            wait_for(lambda: client.status()["login"]["hanging"] == 0, "the end of the renewal")
            assert client.status()["login"]["discarded"] == 1
            token = login.token()
            assert token is not None
            assert token.reveal() == broker.current != broker.late
            assert broker.logins == 2
            assert not [event for event in events.poll() if isinstance(event, TokenRenewed)]


@contextlib.contextmanager
def ends_taken_over(client: tw.Client) -> Iterator[None]:
    with pytest.raises(tw.ConnectionFailed) as caught, client:
        yield
    assert isinstance(caught.value.__cause__, tw.SessionTakenOver)


def test_a_link_that_lives_when_the_session_is_taken_over_goes_on_until_it_ends() -> None:
    limits = tw.LoginLimits(relogin_min_s=0.01, relogin_max_s=0.02)
    market = sim.Market(1, rate=500.0)
    with sim.Hub(market, auth=False) as fought_over, sim.Hub(market, auth=False) as left_alone:
        asked: list[str] = []
        login = tw.Login(lambda: asked.append("") or "token", limits=limits)  # type: ignore[func-returns-value]
        first = tw.connect(fought_over.url, engine=engine_for(fought_over), token=login, limits=FAST)
        engine = engine_for(left_alone)
        second = tw.connect(left_alone.url, engine=engine, token=login, limits=FAST)
        with ends_taken_over(second), ends_taken_over(first):
            first_told, second_told = first.events(), second.events()
            for number in range(1, limits.logouts + 1):
                wait_for(lambda n=number: first.status()["connections"] == n, "a connection")  # type: ignore[misc]
                fought_over.fault(sim.Logout())
            wait_for(lambda: first.state == "failed", "the end of the client that was logged out")
            # The other one knows, asks for nothing, and misses nothing.
            *logins, taken_over = second_told.poll()
            assert [type(event) for event in logins] == [TokenRenewed] * (limits.logouts - 1)
            assert isinstance(taken_over, SessionTakenOver)
            assert "another session" in taken_over.reason
            assert (second.state, second.status()["login"]["state"]) == ("live", "ended")
            start = engine.stats()["received"]
            wait_for(lambda: engine.stats()["received"] > start + 200, "ticks")
            # It tries to come back from nothing.
            left_alone.fault(sim.Drop("fin"))
            wait_for(lambda: second.state == "failed", "the end of the link that was left alone")
            heard = second_told.poll()
            assert not [event for event in heard if isinstance(event, SessionTakenOver | Connected)]
            assert len([event for event in first_told.poll() if isinstance(event, SessionTakenOver)]) == 1
        assert len(left_alone.connections) == 1
        assert len(asked) == limits.logouts


LOGOUT = {"type": 1, "target": "GatewayLogout", "arguments": []}
CLOSE = {"type": 7, "error": "bye"}


def says(*messages: object, then: Script) -> Script:
    def script(connection: Connection) -> None:
        connection.open(1)
        connection.send(b"".join(frame(record(message)) for message in messages))
        then(connection)

    return script


def ends(connection: Connection) -> None:
    # Closing with something unread would reset the link.
    connection.sock.shutdown(socket.SHUT_WR)
    connection.serve()


def client_of(hub: HandmadeHub, engine: tw.Engine, **options: Any) -> tw.Client:
    return tw.connect(hub.url, engine=engine, streams="trades", clock="event", limits=FAST, **options)


def trades(count: int) -> list[dict[str, Any]]:
    return [trade("A", 100.0, f"2026-01-05T15:00:00.{number:06}Z") for number in range(count)]


@pytest.mark.parametrize(
    ("count", "last"), [(5, []), (5_000, []), (5_000, [CLOSE])], ids=["one read", "many reads", "a Close"]
)
def test_what_was_sent_behind_a_logout_is_taken(
    count: int, last: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Time does not decide: the end of the stream does.
    monkeypatch.setattr("tickwire.hub._QUIET_S", 10 * UNIT_S)
    monkeypatch.setattr("tickwire.hub._LAST_S", 10 * UNIT_S)
    faults: list[str] = []
    engine = tw.Engine(tw.Instrument("A", tick_size=0.25), timeframes=["1s"])
    hub = HandmadeHub(says(LOGOUT, *trades(count), *last, then=ends), good(1))
    client = client_of(hub, engine, process_failure=lambda failure: faults.append(failure.fault))
    with hub, client:
        hub.connection(1)
    assert engine.stats()["received"] == engine.stats()["accepted"] == count
    # What came behind it does not hide why the link has ended.
    assert faults == ["logged out"]


def test_a_hub_that_never_stops_holds_nobody_who_was_logged_out() -> None:
    def goes_on(connection: Connection) -> None:
        while not connection.released.is_set():
            connection.send_records(*trades(50))

    engine = tw.Engine(tw.Instrument("A", tick_size=0.25), timeframes=["1s"])
    hub = HandmadeHub(says(LOGOUT, then=goes_on), good(1))
    with hub, client_of(hub, engine):
        hub.connection(1)
