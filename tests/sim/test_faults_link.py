"""Link faults byte by byte: close frames, pings, injected bytes, half-open links, resets, logouts."""

from __future__ import annotations

import json
import socket
import struct

import pytest
from websockets.exceptions import ConnectionClosed

from hubs import PATIENCE_S
from sim.clocks import SetClock
from sim.peer import Peer
from sim.wire import BINARY, CLOSE, PING, PONG, TEXT, Frame, Wire
from tickwire import sim

TRADE = [{"price": 1.5}]


def closed(hub: sim.Hub, number: int = 1) -> sim.ConnectionInfo:
    hub.wait_until(lambda h: not h.connection(number).is_open)
    return hub.connection(number)


# Close frames


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1013, 3000, 4999, 0, 999, 1005, 1006, 1015, 65_535])
def test_any_close_code_goes_out_and_the_echo_is_waited_for(code: int):
    with sim.Hub(close_s=60.0) as hub, Wire(hub) as wire:
        wire.shake()
        hub.fault(sim.CloseFrame(code, "börse"))
        assert wire.frame() == Frame(True, CLOSE, struct.pack(">H", code) + "börse".encode())
        assert wire.quiet(0.05)  # the link stands until the echo
        wire.send_frame(CLOSE, struct.pack(">H", 1000))
        assert wire.rest() == (b"", True)
        assert closed(hub).closed_reason == f"fault: close frame {code}"


def test_a_close_frame_can_be_empty():
    with sim.Hub() as hub, Wire(hub) as wire:
        wire.shake()
        hub.fault(sim.CloseFrame(None))
        assert wire.frame() == Frame(True, CLOSE, b"")


def test_an_echo_that_never_comes_is_waited_for_a_while_only():
    with sim.Hub(close_s=0.05) as hub, Wire(hub) as wire:
        wire.shake()
        hub.fault(sim.CloseFrame())
        assert wire.rest()[1]
        closed(hub)


@pytest.mark.parametrize("end", ["fin", "rst"])
def test_a_close_frame_with_the_end_of_the_link_behind_it(end: str):
    with sim.Hub() as hub, Wire(hub) as wire:
        wire.shake()
        hub.fault(sim.CloseFrame(1012, end=end))
        assert wire.rest() == (b"\x88\x02" + struct.pack(">H", 1012), end == "fin")


def test_a_close_frame_that_leaves_the_link_to_the_client():
    with sim.Hub(close_s=0.02) as hub, Wire(hub) as wire:
        wire.shake()
        hub.fault(sim.CloseFrame(end="never"))
        assert wire.frame().opcode == CLOSE
        wire.send_frame(CLOSE, struct.pack(">H", 1000))
        assert wire.quiet(0.1)
        assert hub.connection().is_open
        wire.sock.close()
        assert closed(hub).close_code == 1000


# Pings


def test_a_ping_that_is_answered_in_time():
    clock = SetClock()
    with sim.Hub(clock=clock, silence_s=1e9) as hub, Wire(hub) as wire:
        wire.shake()
        hub.fault(sim.Ping(b"first"))
        hub.fault(sim.Ping(b"are you there", limit_s=3.0))
        assert wire.frame() == Frame(True, PING, b"first")
        assert wire.frame() == Frame(True, PING, b"are you there")
        clock.advance(hub, 2.9)
        wire.send_frame(PONG, b"are you there")
        hub.wait_until(lambda h: h.connection().pongs == 1)
        assert hub.frames[-1] == sim.ClientFrame(1, "pong", b"are you there")
        clock.advance(hub, 1.0)
        assert wire.quiet()
        assert hub.connection().is_open


@pytest.mark.parametrize("pong", [None, b"something else"])
def test_a_ping_without_its_pong_closes_with_1011(pong: bytes | None):
    with sim.Hub() as hub, Wire(hub) as wire:
        wire.shake()
        hub.fault(sim.Ping(b"x", limit_s=0.05))
        assert wire.frame() == Frame(True, PING, b"x")
        if pong is not None:
            wire.send_frame(PONG, pong)
        assert wire.frame() == Frame(True, CLOSE, struct.pack(">H", 1011))
        wire.send_frame(CLOSE, struct.pack(">H", 1011))
        assert closed(hub).closed_reason == "no pong in time"


def test_a_hub_that_pings_on_its_own_as_servers_with_short_limits_do():
    clock = SetClock()
    with (
        sim.Hub(clock=clock, ws_ping_s=20.0, pong_s=30.0, ping_s=1e9, silence_s=1e9) as hub,
        Wire(hub) as wire,
    ):
        wire.shake()
        hub.wait_until(lambda h: h.connection().protocol == "json")
        for number in (1, 2, 3, 4):
            clock.advance(hub, 20.0)
            assert wire.frame() == Frame(True, PING, b"hub ping %d" % number)
            if number < 3:
                wire.send_frame(PONG, b"hub ping %d" % number)
                hub.wait_until(lambda h, n=number: h.connection().pongs == n)
        clock.advance(hub, 10.0)
        assert wire.frame() == Frame(True, CLOSE, struct.pack(">H", 1011))


# Injected bytes


@pytest.mark.parametrize(("form", "opcode"), [("message", TEXT), ("text", TEXT), ("binary", BINARY)])
def test_injected_messages(form: str, opcode: int):
    with sim.Hub() as hub, Wire(hub) as wire:
        wire.shake()
        before = hub.sent
        hub.fault(sim.Inject(b"\xff\x00", form))
        assert wire.frame() == Frame(True, opcode, b"\xff\x00")
        sent = hub.sent
        assert (sent.messages, sent.bytes) == (before.messages + 1, before.bytes + 4)
        assert (sent.records, sent.ticks) == (0, 0)


def test_injected_bytes_stand_bare_on_the_link():
    lie = b"\x81\x7f" + (2**40).to_bytes(8, "big")  # a frame of a terabyte
    with sim.Hub() as hub, Wire(hub) as wire:
        wire.shake()
        messages = hub.sent.messages
        hub.fault(sim.Inject(lie, "bytes"))
        hub.broadcast("GatewayTrade", "X", TRADE)
        assert wire.take(len(lie)) == lie
        assert wire.records()[0]["arguments"] == ["X", TRADE]
        assert hub.sent.messages == messages + 1


def test_injected_bytes_can_share_the_message_of_the_next_tick():
    with sim.Hub() as hub, Wire(hub) as wire:
        wire.shake()
        hub.fault(sim.Inject(b"{]\x1e", glued=True))
        hub.fault(sim.Inject(b"null\x1e", glued=True))
        hub.broadcast("GatewayNews", "calm")  # no tick: goes out alone
        assert wire.records()[0]["target"] == "GatewayNews"
        hub.broadcast("GatewayTrade", "X", TRADE)
        payload = wire.frame().payload
        assert payload.startswith(b"{]\x1enull\x1e{")
        assert json.loads(payload[8:-1])["arguments"] == ["X", TRADE]
        assert (hub.sent.records, hub.sent.trades) == (1, 1)


def test_an_oversized_record_is_sent_whole():
    with sim.Hub() as hub, Peer(hub) as peer:
        hub.fault(sim.Inject(b" " * 5_000_000 + b"\x1e"))
        hub.broadcast("GatewayDepth", "X", [{"price": n} for n in range(50_000)])
        assert len(peer.ws.recv(PATIENCE_S)) == 5_000_001
        assert len(peer.event()[2]) == 50_000
        assert hub.sent.depth == 50_000


# Half-open links


def test_a_hub_that_stops_reading_takes_nothing_and_notices_nothing():
    with sim.Hub(silence_s=0.05, close_s=0.2) as hub, Wire(hub) as wire:
        wire.shake()
        hub.fault(sim.Silence(reading=False))
        received = hub.connection().received_messages
        wire.sock.settimeout(0.2)
        with pytest.raises(TimeoutError):  # when all buffers on the way are full
            wire.sock.sendall(bytes(100_000_000))
        assert hub.connection().received_messages == received
        wire.sock.close()
        # Neither the end of the client nor the hub's own limit for silent clients ends it.
        with pytest.raises(TimeoutError):
            hub.wait_until(lambda h: not h.connection().is_open, 0.2)
        hub.fault(sim.Resume())
        closed(hub)


def test_a_silent_hub_leaves_the_link_to_the_client():
    with sim.Hub(silence_s=0.05, ws_ping_s=0.01, pong_s=0.01, close_s=0.02) as hub, Wire(hub) as wire:
        wire.shake()
        hub.fault(sim.Silence())
        wire.send({"type": 7})
        wire.send_frame(CLOSE, struct.pack(">H", 1000))
        hub.wait_until(lambda h: h.frames[-1].kind == "close")
        while wire.got or not wire.quiet(0.2):  # what had been sent before
            wire.got = b""
        assert hub.connection().is_open
        wire.sock.close()
        closed(hub)


# Resets


def test_a_reset_that_loses_nothing_waits_until_all_has_arrived():
    market = sim.Market(1, rate=None, mix={"trade": 1})
    with sim.Hub(market, elements_per_record=1, close_s=30.0) as hub, Wire(hub) as wire:
        hub.fault(sim.Drop("rst", settle=True), after_ticks=20_000)
        wire.shake()
        wire.call("SubscribeContractTrades", hub.symbols[0], invocation_id=None)
        hub.wait_until(lambda h: h.sent.ticks > 1_000)  # nothing has been read yet
        payload, in_order = wire.rest()
        assert not in_order
        assert closed(hub).sent.ticks == payload.count(b"GatewayTrade") == 20_000
        assert hub.connection().closed_reason == "fault: dropped by RST"


def test_a_client_that_takes_too_little_is_dropped_if_so_set():
    market = sim.Market(1, rate=None)
    with sim.Hub(market, slow_s=0.05, write_buffer_bytes=1_000) as hub, Wire(hub) as wire:
        wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        wire.shake()
        wire.call("SubscribeContractQuotes", hub.symbols[0], invocation_id=None)
        assert closed(hub).closed_reason == "client too slow"


# Logout


def test_a_logout_reaches_a_user_on_both_hubs_and_ends_the_links():
    with sim.Hub() as hub:
        ann, bob = hub.token("ann"), hub.token("bob")
        with (
            Peer(hub, token=ann) as market,
            Peer(hub, token=ann, url=hub.user_url) as user,
            Peer(hub, token=bob) as other,
        ):
            hub.wait_until(lambda h: all(info.protocol for info in h.connections))
            why = {"reason": "another session is active"}
            hub.fault(sim.Logout((why,), delay_s=0.05), connection=2)
            for peer in (market, user):
                assert peer.message() == {"type": 1, "target": "GatewayLogout", "arguments": [why]}
                with pytest.raises(ConnectionClosed) as caught:
                    peer.message()
                assert caught.value.rcvd is None
            assert "error" not in other.invoke("SubscribeContractTrades", "X")
            assert [info.user for info in hub.connections if info.is_open] == ["bob"]


def test_a_logout_can_wait_for_ticks_and_end_in_other_ways():
    with sim.Hub() as hub, Peer(hub) as market, Peer(hub, url=hub.user_url) as user:
        hub.wait_until(lambda h: all(info.protocol for info in h.connections))
        hub.fault(sim.Logout(then=sim.CloseMessage("bye", allow_reconnect=False)), after_ticks=2)
        hub.broadcast("GatewayTrade", "X", [{}, {}], connection=1)
        market.event()
        for peer in (market, user):
            assert [m["type"] for m in peer.messages()] == [1, 7]
    with sim.Hub() as hub, Peer(hub) as market:
        hub.wait_until(lambda h: h.connection().protocol == "json")
        hub.fault(sim.Logout(then=None))
        assert market.message()["target"] == "GatewayLogout"
        assert "error" not in market.invoke("SubscribeContractTrades", "X")
