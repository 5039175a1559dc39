"""Faults at the stages of a connection: what takes the place of an answer, what makes it late or odd."""

from __future__ import annotations

import json

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from hubs import PATIENCE_S
from sim.clocks import SetClock
from sim.peer import Peer, negotiate
from sim.wire import ACCEPT, CLOSE, PING, TEXT, Frame, Wire
from tickwire import sim

DONE = {"type": 3, "invocationId": "1"}
TRADE = ("GatewayTrade", "X", [{"price": 1}, {"price": 2}])


# Connect


def test_a_connection_that_is_accepted_and_never_answered():
    with sim.Hub(handshake_s=0.02) as hub:
        hub.fault(sim.NoAnswer(at="connect"))
        with Wire(hub) as dead:
            dead.ask_upgrade()
            assert dead.quiet(0.1)  # longer than the hub waits for a request
            assert Wire(hub).rest() == (b"", True)  # another connection, which asks for nothing
        assert hub.requests == ()
        hub.wait_until(lambda h: not h._core.peers)  # the client's end is noticed all the same
        with Wire(hub) as live:
            assert live.upgrade()[0] == 101


def test_a_connection_that_is_dropped_as_soon_as_it_is_accepted():
    with sim.Hub() as hub:
        hub.fault(sim.Drop("fin", at="connect"))
        assert Wire(hub).rest() == (b"", True)
        hub.fault(sim.Drop("rst", at="connect"))
        # Out of the connect or out of the first read, as it comes.
        with pytest.raises(ConnectionResetError), Wire(hub) as wire:
            wire.fill()
        with Wire(hub) as live:
            live.shake()


# Late answers


@pytest.mark.parametrize("stage", ["connect", "upgrade", "handshake"])
def test_a_late_answer_is_a_good_one(stage: str):
    clock = SetClock()
    with sim.Hub(clock=clock) as hub:
        hub.fault(sim.Late(5.0, at=stage))
        with Wire(hub) as wire:
            wire.ask_upgrade()
            if stage == "handshake":
                assert wire.head()[0] == 101
                wire.send({"protocol": "json", "version": 1})
                wire.call("SubscribeContractTrades", "X")  # does not overtake the handshake
                hub.wait_until(lambda h: len(h.frames) == 2)
            assert wire.quiet()
            clock.advance(hub, 4.9)
            assert wire.quiet()
            while wire.quiet():  # the hub may have begun to count a little later
                clock.advance(hub, 5.0)
            if stage == "handshake":
                assert wire.frame().payload == b"{}\x1e"
                assert wire.records() == [DONE]
            else:
                assert wire.head()[0] == 101


def test_late_negotiation_and_rest_keep_the_connection_in_order():
    with sim.Hub() as hub, httpx.Client(trust_env=False) as client:
        headers = {"Authorization": f"Bearer {hub.token()}"}
        hub.fault(sim.Late(0.05, at="negotiate"))
        for _ in range(2):
            assert client.post(f"{hub.url}/negotiate", headers=headers).status_code == 200
        assert [request.status for request in hub.requests] == [200, 200]


def test_a_late_completion_brings_a_late_subscription():
    clock = SetClock()
    with sim.Hub(clock=clock) as hub, Wire(hub) as wire:
        wire.shake()
        hub.fault(sim.Late(5.0))
        wire.call("SubscribeContractTrades", "X", invocation_id="1")
        wire.call("SubscribeContractTrades", "Y", invocation_id="2")
        assert wire.records() == [{"type": 3, "invocationId": "2"}]
        assert hub.connection().subscriptions == {("trade", "Y")}
        clock.advance(hub, 5.0)
        assert wire.records() == [DONE]
        hub.wait_until(lambda h: h.connection().subscriptions == {("trade", "X"), ("trade", "Y")})


def test_a_late_handshake_does_not_hide_rubbish_behind_it():
    with sim.Hub() as hub, Wire(hub) as wire:
        hub.fault(sim.Late(0.02, at="handshake"))
        wire.upgrade()
        wire.send_frame(TEXT, b'{"protocol":"json","version":1}\x1erubbish\x1e')
        assert wire.frame().payload == b"{}\x1e"
        assert wire.records() == [{"type": 7, "error": "Connection closed with an error."}]


def test_a_client_that_leaves_before_its_late_answer_is_forgotten():
    with sim.Hub() as hub:
        for stage in ("connect", "upgrade", "handshake", "subscribe"):
            hub.fault(sim.Late(0.05, at=stage))
            with Wire(hub) as wire:
                wire.ask_upgrade()
                if stage in ("handshake", "subscribe"):
                    wire.send({"protocol": "json", "version": 1})
                    wire.call("SubscribeContractTrades", "X")
                    hub.wait_until(lambda h: any(b"Subscribe" in frame.payload for frame in h.frames))
            hub.wait_until(lambda h: not h._core.peers and not h._core.live)
        with pytest.raises(TimeoutError):
            hub.wait_until(lambda _: False, 0.1)  # the late answers would come now
        with Wire(hub) as wire:
            wire.shake()


# The upgrade


@pytest.mark.parametrize("value", ["AAAAAAAAAAAAAAAAAAAAAAAAAAA=", "", None])
def test_a_wrong_accept_key(value: str | None):
    with sim.Hub() as hub, Wire(hub) as wire:
        hub.fault(sim.WrongAccept(value))
        status, headers = wire.upgrade()
        assert status == 101
        assert headers.get("sec-websocket-accept") == value
        assert headers["upgrade"] == "websocket"
        with Wire(hub) as good:
            assert good.upgrade()[1]["sec-websocket-accept"] == ACCEPT


@pytest.mark.parametrize("stage", ["negotiate", "upgrade"])
@pytest.mark.parametrize(
    ("status", "name", "value"),
    [
        (401, "www-authenticate", "Bearer"),
        (403, "x-why", "no"),
        (404, "x-why", "gone"),
        (429, "retry-after", "7"),
        (500, "x-why", "oops"),
        (503, "retry-after", "Wed, 21 Oct 2026 07:28:00 GMT"),
        (302, "location", "http://localhost:1/hubs/market"),
        (307, "location", "http://localhost:1/hubs/market"),
    ],
)
def test_every_refusal_with_its_headers(stage: str, status: int, name: str, value: str):
    with sim.Hub() as hub:
        hub.fault(sim.Refuse(status, at=stage, headers=((name, value),), body=b"why"))
        if stage == "negotiate":
            answer = negotiate(hub)
            got, headers, body = answer.status_code, answer.headers, answer.content
        else:
            with Wire(hub) as wire:
                got, headers = wire.upgrade()
                body = wire.take(3)
        assert (got, headers[name], body) == (status, value, b"why")
        assert hub.requests[-1].status == status


def test_a_fault_can_choose_its_hub_by_the_path():
    with sim.Hub() as hub:
        hub.fault(sim.Refuse(403), only="/hubs/user", times=None)
        hub.fault(sim.Refuse(500, at="negotiate"), only="/hubs/user/negotiate")
        hub.fault(sim.HandshakeError("users only"), only="/hubs/market")
        assert negotiate(hub).status_code == 200
        assert negotiate(hub, url=hub.user_url).status_code == 500
        with pytest.raises(InvalidStatus), Peer(hub, url=hub.user_url):
            pass
        with Peer(hub, shake=False) as peer:
            assert peer.handshake()[0] == {"error": "users only"}


# Glue


@pytest.mark.parametrize("protocol", ["json", "messagepack"])
def test_events_ride_on_the_answer_to_the_handshake(protocol: str):
    with sim.Hub() as hub:
        hub.fault(sim.Glue((TRADE, ("GatewayNews", 1))))
        with Peer(hub, protocol=protocol, shake=False) as peer:
            answer, rest = peer.handshake()
            assert answer == {}
            assert b"GatewayTrade" in rest
            assert b"GatewayNews" in rest
            assert "error" not in peer.invoke("SubscribeContractTrades", "X")
        info = hub.connection()
        assert (info.sent.trades, info.sent.records) == (2, 1)


def test_everything_comes_in_one_segment_with_the_101():
    with sim.Hub() as hub:
        hub.fault(sim.Glue((TRADE,), at="upgrade"))
        with Wire(hub) as wire:
            assert wire.upgrade()[0] == 101
            assert len(wire.chunks) == 1  # one write, small enough for one segment
            assert wire.frame() == Frame(True, TEXT, b"{}\x1e")
            assert wire.records() == [{"type": 1, "target": "GatewayTrade", "arguments": [*TRADE[1:]]}]
            assert wire.got == b""
            wire.send({"protocol": "json", "version": 1})  # has had its answer
            wire.call("SubscribeContractTrades", "X")
            assert wire.records() == [DONE]
        info = hub.connection()
        assert (info.sent.trades, info.sent.messages) == (2, 3)
        assert info.sent.bytes == sum(map(len, wire.chunks))


# Subscribing


def test_a_refused_subscription():
    with sim.Hub() as hub, Peer(hub) as peer:
        hub.fault(sim.SubscribeError("not today"), only="SubscribeContractQuotes")
        assert "error" not in peer.invoke("SubscribeContractTrades", "X")
        assert "error" not in peer.invoke("UnsubscribeContractQuotes", "X")
        assert peer.invoke("SubscribeContractQuotes", "X")["error"] == "not today"
        assert hub.connection().subscriptions == {("trade", "X")}
        assert "error" not in peer.invoke("SubscribeContractQuotes", "X")


def test_a_subscription_that_is_never_answered():
    with sim.Hub() as hub, Wire(hub) as wire:
        wire.shake()
        hub.fault(sim.NoAnswer(at="subscribe"))
        wire.call("SubscribeContractTrades", "X", invocation_id="1")
        wire.call("SubscribeContractTrades", "Y", invocation_id="2")
        assert wire.records() == [{"type": 3, "invocationId": "2"}]
        assert wire.quiet()
        assert hub.connection().subscriptions == {("trade", "Y")}


def test_a_subscription_that_brings_no_data():
    market = sim.Market(2, rate=None, mix={"trade": 0.5, "quote": 0.5})
    with sim.Hub(market, count=1_000, start="manual") as hub, Peer(hub) as peer:
        hub.fault(sim.NoData(), only="SubscribeContractQuotes")
        for method in ("Quotes", "Trades"):
            for contract in hub.symbols:
                assert "error" not in peer.invoke(f"SubscribeContract{method}", contract)
        assert len(hub.connection().subscriptions) == 4
        hub.start()
        hub.wait_finished(PATIENCE_S)
        sent = hub.sent
        kinds = {(kind, contract) for kind, contract, _ in peer.events(sent.ticks)}
        starved, fed = hub.symbols
        assert kinds == {("trade", starved), ("trade", fed), ("quote", fed)}
        assert sent.quotes < 1_000 - sent.trades
        # Subscribed again, it is served.
        assert "error" not in peer.invoke("SubscribeContractQuotes", starved)


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_a_link_that_drops_at_a_subscription(how: str):
    with sim.Hub() as hub, Wire(hub) as wire:
        wire.shake()
        hub.fault(sim.Drop(how, at="subscribe"))
        wire.call("SubscribeContractTrades", "X")
        assert wire.rest() == (b"", how == "fin")
        hub.wait_until(lambda h: not h.connection().is_open)
        assert hub.connection().closed_reason.endswith("at SubscribeContractTrades")


def test_a_connection_that_was_dropped_uses_up_no_further_faults():
    with sim.Hub() as hub:
        hub.fault(sim.Drop(at="subscribe"), times=2)
        for _ in range(2):
            with Wire(hub) as wire:
                wire.shake()
                calls = {"type": 1, "target": "SubscribeContractTrades", "arguments": ["X"]}
                wire.send(calls, calls, calls)
                assert wire.rest() == (b"", True)
        with Peer(hub) as peer:
            assert "error" not in peer.invoke("SubscribeContractTrades", "X")


# Link faults behind the answer at a stage


def test_link_faults_strike_behind_the_answer_to_the_upgrade():
    with sim.Hub() as hub:
        hub.fault(sim.Ping(b"hello"), at="upgrade")
        hub.fault(sim.CloseFrame(3000), after_ticks=0, connection=2)
        with Wire(hub) as wire:
            assert wire.upgrade()[0] == 101
            assert wire.frame() == Frame(True, PING, b"hello")
        with Wire(hub) as wire:
            assert wire.upgrade()[0] == 101
            assert wire.frame() == Frame(True, CLOSE, (3000).to_bytes(2, "big"))


def test_link_faults_strike_behind_the_answer_to_the_handshake():
    with sim.Hub() as hub:
        hub.fault(sim.CloseMessage("expired"), at="handshake")
        with Wire(hub) as wire:
            wire.upgrade()
            wire.send({"protocol": "json", "version": 1})
            assert wire.frame().payload == b"{}\x1e"
            assert wire.records() == [{"type": 7, "error": "expired"}]
            assert wire.frame().opcode == CLOSE
        hub.fault(sim.Drop(), at="handshake")
        with Wire(hub) as wire:
            wire.upgrade()
            wire.send({"protocol": "json", "version": 1})
            assert wire.rest() == (b"\x81\x03{}\x1e", True)


def test_link_faults_strike_behind_a_completion_and_distortions_take_it_in():
    with sim.Hub() as hub, Wire(hub) as wire:
        wire.shake()
        hub.fault(sim.Fragment(1), at="subscribe")
        hub.fault(sim.Silence(), at="subscribe", only="SubscribeContractQuotes")
        wire.call("SubscribeContractTrades", "X")
        record = json.dumps(DONE, separators=(",", ":")).encode() + b"\x1e"
        frames = [wire.frame() for _ in record]
        assert b"".join(frame.payload for frame in frames) == record
        assert [frame.fin for frame in frames] == [False] * (len(record) - 1) + [True]
        wire.call("SubscribeContractQuotes", "X")
        wire.call("SubscribeContractQuotes", "Y")
        while wire.frame().payload != b"\x1e":
            pass
        assert wire.quiet()
        assert len(hub.connection().subscriptions) == 3


def test_a_logout_at_the_handshake_takes_the_other_hub_along():
    with sim.Hub() as hub, Peer(hub) as market:
        hub.wait_until(lambda h: h.connection().protocol == "json")
        hub.fault(sim.Logout(), at="handshake", only="/hubs/user")
        with Peer(hub, url=hub.user_url) as user:
            for peer in (user, market):
                assert peer.message()["target"] == "GatewayLogout"
                with pytest.raises(ConnectionClosed):
                    peer.message()
