"""The handshake, invocations, keep-alive, and how connections end."""

from __future__ import annotations

import contextlib
import json
import time

import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, ConnectionClosedOK

from hubs import PATIENCE_S, UNIT_S
from sim.peer import Peer
from sim.wire import Wire
from tickwire import sim

PROTOCOLS = pytest.mark.parametrize("protocol", ["json", "messagepack"])


# Handshake


@PROTOCOLS
def test_the_answer_comes_in_the_frame_type_of_the_protocol(protocol: str):
    with sim.Hub() as hub, Peer(hub, protocol=protocol, shake=False) as peer:
        peer.ws.send(json.dumps({"protocol": protocol, "version": 1}) + "\x1e")
        assert peer.ws.recv(PATIENCE_S) == ("{}\x1e" if protocol == "json" else b"{}\x1e")
        hub.wait_until(lambda h: h.connection().protocol == protocol)


@pytest.mark.parametrize("version", [0, 2, "1", True, None])
def test_only_version_1_is_spoken(version: object):
    with sim.Hub() as hub, Peer(hub, shake=False) as peer:
        reply, _ = peer.handshake(version)
        assert reply == {"error": f"The server does not support version {version} of the 'json' protocol."}
        with pytest.raises(ConnectionClosedOK):
            peer.ws.recv(PATIENCE_S)
        hub.wait_until(lambda h: not h.connection().is_open)
        assert hub.connection().closed_reason == f"handshake refused: {reply['error']}"


def test_an_unknown_protocol_is_refused():
    with sim.Hub() as hub, Peer(hub, protocol="xml", shake=False) as peer:
        assert peer.handshake()[0] == {"error": "The protocol 'xml' is not supported."}


@pytest.mark.parametrize("payload", ["hello\x1e", "[]\x1e"])
def test_a_handshake_that_is_none_is_refused(payload: str):
    with sim.Hub() as hub, Peer(hub, shake=False) as peer:
        peer.ws.send(payload)
        answer = peer.ws.recv(PATIENCE_S)
        assert "error" in json.loads(answer[:-1])
        with pytest.raises(ConnectionClosedOK):
            peer.ws.recv(PATIENCE_S)


def test_a_handshake_may_come_in_parts_and_with_company():
    with sim.Hub() as hub, Peer(hub, shake=False) as peer:
        peer.ws.send('{"protocol":"js')
        call = {"type": 1, "invocationId": "7", "target": "SubscribeContractTrades", "arguments": ["X"]}
        peer.ws.send('on","version":1}\x1e' + json.dumps(call) + "\x1e")
        assert peer.ws.recv(PATIENCE_S) == "{}\x1e"
        assert peer.message() == {"type": 3, "invocationId": "7"}


def test_a_late_handshake_is_not_waited_for():
    with sim.Hub(handshake_s=0.05) as hub, Peer(hub, shake=False) as peer:
        assert json.loads(peer.ws.recv(PATIENCE_S)[:-1]) == {"error": "Handshake was canceled."}
        with pytest.raises(ConnectionClosedOK):
            peer.ws.recv(PATIENCE_S)
        hub.wait_until(lambda h: not h.connection().is_open)
        assert hub.connection().closed_reason == "no handshake in time"


# Invocations


@PROTOCOLS
def test_every_invocation_with_an_id_is_answered_and_no_other(protocol: str):
    with sim.Hub() as hub, Peer(hub, protocol=protocol) as peer:
        peer.subscribe(["A", "B"])  # no ids
        for number, method in enumerate(("Quotes", "Trades", "MarketDepth")):
            for verb in ("Subscribe", "Unsubscribe"):
                key = f"{verb}{number}"
                assert peer.invoke(f"{verb}Contract{method}", "C", invocation_id=key) == {
                    "type": 3,
                    "invocationId": key,
                }
        assert hub.connection().subscriptions == {
            (kind, contract) for kind in ("quote", "trade", "depth") for contract in "AB"
        }


@PROTOCOLS
@pytest.mark.parametrize(
    ("target", "arguments", "why"),
    [
        ("Nonsense", [], "Method does not exist."),
        ("subscribecontracttrades", ["A"], "Method does not exist."),
        ("SubscribeAccounts", [], "Method does not exist."),
        ("SubscribeContractTrades", [], "expected one contract id"),
        ("SubscribeContractTrades", [7], "expected one contract id"),
        ("SubscribeContractTrades", ["A", "B"], "expected one contract id"),
        ("SubscribeContractTrades", ["NOT.THERE"], "no such contract"),
    ],
)
def test_what_cannot_be_called_is_answered_with_an_error(
    protocol: str, target: str, arguments: list[object], why: str
):
    with sim.Hub(sim.Market(1), start="manual") as hub, Peer(hub, protocol=protocol) as peer:
        completion = peer.invoke(target, *arguments)
        assert completion["error"].startswith(f"Failed to invoke '{target}' due to an error on the server. ")
        assert why in completion["error"]
        assert hub.connection().subscriptions == frozenset()
        assert hub.connection().is_open


@PROTOCOLS
def test_streams_are_refused(protocol: str):
    with sim.Hub() as hub, Peer(hub, protocol=protocol) as peer:
        peer.send({"type": 4, "invocationId": "s", "target": "SubscribeContractTrades", "arguments": ["A"]})
        assert peer.message() == {
            "type": 3,
            "invocationId": "s",
            "error": "'SubscribeContractTrades' is not a stream.",
        }
        assert hub.connection().subscriptions == frozenset()


def test_the_user_hub_has_methods_of_its_own():
    with sim.Hub() as hub, Peer(hub, url=hub.user_url) as peer:
        assert peer.invoke("SubscribeAccounts") == {"type": 3, "invocationId": "1"}
        for method in ("Orders", "Positions", "Trades"):
            assert "error" not in peer.invoke(f"Subscribe{method}", 123)
            assert "error" not in peer.invoke(f"Unsubscribe{method}", 123)
            assert "error" in peer.invoke(f"Subscribe{method}", "123")
        assert "error" in peer.invoke("SubscribeContractTrades", "A")
        assert hub.connection().hub == "user"


def test_messages_of_unknown_types_are_ignored():
    with sim.Hub() as hub, Peer(hub) as peer:
        peer.send({"type": 6}, {"type": 99}, {"type": 5, "invocationId": "1"}, {"type": 8, "sequenceId": 1})
        assert "error" not in peer.invoke("SubscribeContractTrades", "A")


@PROTOCOLS
def test_a_bad_message_ends_the_connection_with_a_close(protocol: str):
    with sim.Hub() as hub, Peer(hub, protocol=protocol) as peer:
        peer.ws.send("garbage\x1e" if protocol == "json" else b"\x01\xc1")
        assert peer.message() == {"type": 7, "error": "Connection closed with an error."}
        with pytest.raises(ConnectionClosedOK):
            peer.ws.recv(PATIENCE_S)
        hub.wait_until(lambda h: not h.connection().is_open)
        assert hub.connection().closed_reason.startswith("bad message: ")


# Frames


def test_fragments_and_pings_between_them():
    call = {"type": 1, "invocationId": "1", "target": "SubscribeContractTrades", "arguments": ["Ä"]}
    record = json.dumps(call, ensure_ascii=False).encode() + b"\x1e"

    def parts():
        for at in range(0, len(record), 7):  # cuts inside the two bytes of the Ä as well
            yield record[at : at + 7]
            pongs.append(peer.ws.ping(str(at)))

    with sim.Hub() as hub, Peer(hub) as peer:
        pongs: list[object] = []
        peer.ws.send(parts(), text=True)
        assert peer.message() == {"type": 3, "invocationId": "1"}
        for pong in pongs:
            assert pong.wait(PATIENCE_S)
        assert [frame.payload for frame in hub.frames if frame.kind == "text"][-1] == record
        assert sum(frame.kind == "ping" for frame in hub.frames) == len(pongs)


def test_the_hubs_own_ping_is_answered():
    with sim.Hub() as hub, Peer(hub) as peer:
        hub.ping(b"are you there")
        with pytest.raises(TimeoutError):
            peer.ws.recv(0.05)  # reads the ping, which is no message
        hub.wait_until(lambda h: any(f.kind == "pong" and f.payload == b"are you there" for f in h.frames))


def test_a_message_over_the_limit_closes_with_1009():
    with sim.Hub(max_message_bytes=1_000) as hub, Peer(hub) as peer:
        peer.ws.send("x" * 1_001)
        with pytest.raises(ConnectionClosedError) as caught:
            peer.ws.recv(PATIENCE_S)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1009
        hub.wait_until(lambda h: not h.connection().is_open)
        assert hub.connection().closed_reason.startswith("bad frame: ")


def test_the_clients_close_is_echoed():
    with sim.Hub() as hub:
        with Peer(hub) as peer:
            peer.ws.close(3001, "bye")
            with pytest.raises(ConnectionClosed) as caught:
                peer.ws.recv(PATIENCE_S)
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 3001
        hub.wait_until(lambda h: not h.connection().is_open)
        info = hub.connection()
        assert (info.closed_reason, info.close_code) == ("client closed", 3001)
        assert hub.frames[-1].kind == "close"


@PROTOCOLS
def test_a_close_message_of_the_client_is_followed_by_a_websocket_close(protocol: str):
    with sim.Hub() as hub, Peer(hub, protocol=protocol) as peer:
        peer.send({"type": 7})
        with pytest.raises(ConnectionClosedOK):
            peer.ws.recv(PATIENCE_S)
        hub.wait_until(lambda h: not h.connection().is_open)
        assert hub.connection().closed_reason == "client sent Close"


def test_a_close_message_is_seen_though_a_close_frame_comes_right_behind_it():
    with sim.Hub() as hub, Wire(hub) as wire:
        wire.shake()
        close = b'{"type":7}\x1e'
        frames = bytes([0x81, 0x80 | len(close)]) + bytes(4) + close + b"\x88\x82" + bytes(4) + b"\x03\xe8"
        wire.sock.sendall(frames)  # in one segment
        assert wire.rest() == (b"\x88\x02\x03\xe8", True)
        hub.wait_until(lambda h: not h.connection().is_open)
        assert hub.connection().closed_reason == "client sent Close"


def test_a_lost_link_is_told_from_a_close():
    with sim.Hub() as hub:
        with Peer(hub) as peer:
            peer.ws.socket.shutdown(2)
            hub.wait_until(lambda h: not h.connection().is_open)
        info = hub.connection()
        assert (info.closed_reason, info.close_code) == ("client dropped the link", None)
        assert info.opened_ns < info.closed_ns


# Keep-alive


@PROTOCOLS
def test_an_idle_connection_gets_pings(protocol: str):
    with sim.Hub(ping_s=0.02) as hub, Peer(hub, protocol=protocol) as peer:
        assert [peer.message() for _ in range(3)] == [{"type": 6}] * 3


def test_a_busy_connection_gets_no_pings():
    ping_s = 0.5 * UNIT_S
    with sim.Hub(ping_s=ping_s) as hub, Peer(hub) as peer:
        end_s = time.monotonic() + 2 * ping_s
        while time.monotonic() < end_s:
            hub.broadcast("Tock")
            assert peer.message()["type"] == 1
            with pytest.raises(TimeoutError):
                peer.message(ping_s / 20)


def test_a_silent_client_is_dropped_and_one_that_pings_is_not():
    silence_s = 0.5 * UNIT_S
    with sim.Hub(silence_s=silence_s) as hub, Peer(hub) as silent, Peer(hub) as alive:
        while hub.connection(1).is_open:
            alive.send({"type": 6})
            with pytest.raises(TimeoutError):
                alive.message(silence_s / 20)
        with pytest.raises(ConnectionClosedError):
            silent.message()
        assert hub.connection(1).closed_reason == "client silent for too long"
        assert hub.connection(2).is_open


def test_websocket_pings_do_not_count_as_words():
    with sim.Hub(silence_s=0.2) as hub, Peer(hub) as peer:
        with contextlib.suppress(ConnectionClosed):
            while True:
                peer.ws.ping().wait(0.02)
        hub.wait_until(lambda h: not h.connection().is_open)
        assert hub.connection().closed_reason == "client silent for too long"
