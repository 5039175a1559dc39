"""Every fault, seen from the client."""

from __future__ import annotations

import json

import httpx
import pytest
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK, InvalidStatus

from hubs import PATIENCE_S
from sim.peer import Peer, elements, negotiate, ticks_in
from sim.wire import Wire
from tickwire import ConfigError, sim

PROTOCOLS = pytest.mark.parametrize("protocol", ["json", "messagepack"])


# Link faults


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_a_dropped_link(how: str):
    with sim.Hub() as hub:
        link = Wire(hub)
        link.ask_upgrade()
        link.send({"protocol": "json", "version": 1})
        hub.wait_until(lambda h: bool(h.connections) and h.connection().protocol == "json")
        hub.fault(sim.Drop(how))
        got, in_order = link.rest()
        assert in_order == (how == "fin")
        if how == "fin":
            # What was written before still arrives, and no close frame follows it.
            assert got.endswith(b"\r\n\r\n\x81\x03{}\x1e")
        hub.wait_until(lambda h: not h.connection().is_open)
        assert hub.connection().closed_reason == f"fault: dropped by {how.upper()}"


def test_silence_keeps_the_link_and_loses_the_ticks():
    market = sim.Market(1, rate=2_000.0, mix={"quote": 1})
    with sim.Hub(market, ping_s=0.05) as hub, Peer(hub) as peer:
        peer.subscribe(hub.symbols, ["quote"])
        peer.event()
        hub.fault(sim.Silence())
        sent = hub.sent
        peer.events(sent.ticks - 1)
        pong = peer.ws.ping()
        with pytest.raises(TimeoutError):
            peer.message(0.2)
        assert not pong.is_set()
        assert hub.sent == sent
        assert hub.connection().is_open
        peer.subscribe(hub.symbols, ["trade"])  # it still listens
        hub.wait_until(lambda h: len(h.connection().subscriptions) == 2)
        hub.fault(sim.Resume())
        peer.event()


@PROTOCOLS
@pytest.mark.parametrize("allow", [None, True, False])
@pytest.mark.parametrize("error", [None, "maintenance"])
def test_a_close_message(protocol: str, allow: bool | None, error: str | None):
    with sim.Hub() as hub, Peer(hub, protocol=protocol) as peer:
        hub.fault(sim.CloseMessage(error, allow_reconnect=allow))
        expected = {"type": 7} | ({} if error is None else {"error": error})
        assert peer.message() == expected | ({} if allow is None else {"allowReconnect": allow})
        with pytest.raises(ConnectionClosedOK):
            peer.ws.recv(PATIENCE_S)
        hub.wait_until(lambda h: not h.connection().is_open)
        assert hub.connection().closed_reason == "fault: Close message"


def test_a_close_message_that_leaves_the_rest_to_the_client():
    with sim.Hub() as hub, Peer(hub) as peer:
        hub.fault(sim.CloseMessage("go", linger=True))
        assert peer.message() == {"type": 7, "error": "go"}
        assert "error" not in peer.invoke("SubscribeContractTrades", "X")


def test_injected_bytes_stand_between_good_records():
    market = sim.Market(1, rate=None)
    garbage = b'{"type":1,"target":"GatewayTrade","arguments":[\x1e'
    with sim.Hub(market, count=2_000, records_per_message=4, start="manual") as hub, Peer(hub) as peer:
        hub.fault(sim.Inject(garbage), after_ticks=1_000)
        peer.subscribe(hub.symbols, ["trade", "quote"])
        hub.wait_until(lambda h: len(h.connection().subscriptions) == 2)
        hub.start()
        payloads = []
        while True:
            payload = peer.ws.recv(PATIENCE_S)
            payloads.append(payload.encode())
            if payloads[-1] == garbage:
                break
        before = sum(_ticks(payload) for payload in payloads[:-1])
        assert 1_000 <= before < 1_000 + 4 * 8  # behind the message that reached the thousand
        assert before - _ticks(payloads[-2]) < 1_000
        assert sum(map(ticks_in, peer.events(2_000 - before))) == 2_000 - before
        assert hub.sent.ticks == 2_000


def _ticks(payload: bytes) -> int:
    records = [json.loads(record) for record in payload.split(b"\x1e")[:-1]]
    return sum(len(d) if isinstance(d := record["arguments"][1], list) else 1 for record in records)


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_a_link_that_drops_after_so_many_ticks(how: str):
    market = sim.Market(1, rate=None, mix={"trade": 1})
    with sim.Hub(market, elements_per_record=1) as hub:
        hub.fault(sim.Drop(how), after_ticks=100, times=2)
        for number in (1, 2):
            with Peer(hub) as peer:
                peer.subscribe(hub.symbols, ["trade"])
                with pytest.raises(ConnectionClosedError):
                    peer.drain()
                hub.wait_until(lambda h, n=number: h.connection(n).closed_ns is not None)
                assert hub.connection(number).sent.ticks == 100
        with Peer(hub) as peer:  # the third connection is spared
            peer.subscribe(hub.symbols, ["trade"])
            peer.events(500)


def test_a_fault_can_pick_its_connection():
    with sim.Hub() as hub, Peer(hub) as one, Peer(hub) as two:
        hub.wait_until(lambda h: all(info.protocol for info in h.connections))
        hub.fault(sim.CloseMessage("you"), connection=2)
        assert two.message() == {"type": 7, "error": "you"}
        assert "error" not in one.invoke("SubscribeContractTrades", "X")
        hub.fault(sim.Inject(b'{"type":6}\x1e'), connection=1, after_ticks=2)
        hub.broadcast("GatewayTrade", "X", [{}, {}])
        assert one.message()["type"] == 1
        assert one.message() == {"type": 6}


# Gate faults


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_refused_with_a_status(status: int):
    headers = (("retry-after", "1"),)
    with sim.Hub() as hub:
        hub.fault(sim.Refuse(status, headers=headers, body=b"no"), times=2)
        for _ in range(2):
            with pytest.raises(InvalidStatus) as caught, Peer(hub):
                pass
            assert caught.value.response.status_code == status
            assert caught.value.response.headers["retry-after"] == "1"
            assert caught.value.response.body == b"no"
            assert hub.requests[-1].status == status
        with Peer(hub):
            pass


def test_negotiate_refused_and_then_not():
    with sim.Hub() as hub:
        hub.fault(sim.Refuse(302, at="negotiate", headers=(("location", "http://127.0.0.1:9/elsewhere"),)))
        assert negotiate(hub).headers["location"] == "http://127.0.0.1:9/elsewhere"
        hub.fault(sim.Refuse(503, at="negotiate"))
        hub.fault(sim.Refuse(500, at="negotiate"))
        with Peer(hub):  # an upgrade is another stage
            pass
        assert [negotiate(hub).status_code for _ in range(3)] == [503, 500, 200]


def test_nothing_is_answered():
    with sim.Hub() as hub:
        hub.fault(sim.NoAnswer(), times=1)
        with pytest.raises(TimeoutError), Peer(hub, open_timeout=0.1):
            pass
        assert hub.requests[-1].status is None
        hub.fault(sim.NoAnswer(at="negotiate"))
        with httpx.Client(trust_env=False) as client, pytest.raises(httpx.ReadTimeout):
            client.post(f"{hub.url}/negotiate", timeout=0.1)
        hub.fault(sim.NoAnswer(at="handshake"))
        with Peer(hub, shake=False) as peer:
            peer.ws.send('{"protocol":"json","version":1}\x1e')
            with pytest.raises(TimeoutError):
                peer.ws.recv(0.1)
            assert hub.connection().is_open
        with Peer(hub):
            pass


def test_the_handshake_is_answered_with_an_error():
    with sim.Hub() as hub:
        hub.fault(sim.HandshakeError("another session is active"))
        with Peer(hub, shake=False) as peer:
            assert peer.handshake()[0] == {"error": "another session is active"}
            with pytest.raises(ConnectionClosedOK):
                peer.ws.recv(PATIENCE_S)
        with Peer(hub):
            pass


@pytest.mark.parametrize("at", ["negotiate", "upgrade", "handshake"])
@pytest.mark.parametrize("how", ["fin", "rst"])
def test_a_link_that_drops_at_a_stage(at: str, how: str):
    with sim.Hub() as hub:
        hub.fault(sim.Drop(how, at=at))
        if at == "negotiate":
            with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
                negotiate(hub)
            return
        link = Wire(hub)
        link.ask_upgrade()
        if at == "handshake":
            link.send({"protocol": "json", "version": 1})
        got, in_order = link.rest()
        assert in_order == (how == "fin")
        assert got.startswith(b"HTTP/1.1 101") == (at == "handshake" and in_order) or not in_order
        assert b"{}" not in got


def test_faults_can_be_taken_back():
    with sim.Hub() as hub:
        hub.fault(sim.Refuse(500), times=None)
        for _ in range(3):
            with pytest.raises(InvalidStatus), Peer(hub):
                pass
        hub.clear_faults()
        with Peer(hub) as peer:
            hub.fault(sim.Drop(), after_ticks=1)
            hub.fault(sim.Silence())
            hub.clear_faults()
            hub.broadcast("GatewayTrade", "X", [{"price": 1}])
            assert elements([peer.event()], "trade") == [("X", {"price": 1})]


def test_faults_that_cannot_work_are_refused():
    with sim.Hub() as hub:
        for call in (
            lambda: hub.fault(sim.Silence()),  # nobody is there
            lambda: hub.fault(sim.Silence(), connection=7),
            lambda: hub.fault(sim.Silence(), after_ticks=-1),
            lambda: hub.fault(sim.Silence(), at="rest"),
            lambda: hub.fault(sim.Silence(), only="/hubs/market"),
            lambda: hub.fault(sim.Drop(), at="negotiate"),
            lambda: hub.fault(sim.Refuse(500), at="handshake"),
            lambda: hub.fault(sim.Skew(1.0), at="subscribe"),
            lambda: hub.fault(sim.Listen(), connection=None, only="x"),
            lambda: hub.fault(sim.Silence(), after_ticks=1, times=0),
            lambda: hub.fault(sim.Refuse(500), connection=1),
            lambda: hub.fault(sim.Drop(at="upgrade"), after_ticks=5),
            lambda: sim.Refuse(101),
            lambda: sim.Refuse(500, at="handshake"),
            lambda: sim.Drop("gently"),
            lambda: sim.Drop(at="dawn"),
            lambda: sim.NoAnswer(at="dawn"),
            lambda: sim.Late(0.0),
            lambda: sim.Late(float("nan")),
            lambda: sim.CloseFrame(65_536),
            lambda: sim.CloseFrame(None, "why"),
            lambda: sim.CloseFrame(1000, "x" * 124),
            lambda: sim.CloseFrame(end="slowly"),
            lambda: sim.Ping(b"x" * 126),
            lambda: sim.Ping(limit_s=0),
            lambda: sim.Inject(b"", form="letter"),
            lambda: sim.Inject(b"", form="bytes", glued=True),
            lambda: sim.Logout(delay_s=-1),
            lambda: sim.Glue((("GatewayTrade",), ())),
            lambda: sim.Glue((), at="negotiate"),
            lambda: sim.Unlisten(0),
            lambda: sim.Skew(float("inf")),
            lambda: sim.Delay(-1),
            lambda: sim.Delay(jitter_s=float("nan")),
            lambda: sim.Dribble(0),
            lambda: sim.Dribble(pause_s=-1),
            lambda: sim.Fragment(0),
            lambda: sim.Split(0),
            lambda: sim.Lose(0.0),
            lambda: sim.Lose(1.5),
            lambda: sim.Lose(kinds=("bars",)),
            lambda: sim.Duplicate(behind=-1),
            lambda: sim.Reorder(0),
            lambda: sim.Hub(close_expired="yes"),
            lambda: sim.Hub(one_session=sim.Refuse(401)),
            lambda: sim.Hub(slow_s=0),
        ):
            with pytest.raises(ConfigError):
                call()
