"""Faults of the hub as a whole: the listening socket and the clock of its events."""

from __future__ import annotations

import datetime as dt
import socket
from itertools import pairwise

import polars as pl
import pytest

from hubs import PATIENCE_S
from sim.clocks import SetClock
from sim.peer import Peer
from sim.wire import Wire
from tickwire import sim


def refused(hub: sim.Hub) -> bool:
    try:
        socket.create_connection(("127.0.0.1", hub.port), PATIENCE_S).close()
    except ConnectionRefusedError:
        return True
    return False


def test_connects_are_refused_until_it_listens_again():
    with sim.Hub() as hub, Peer(hub) as peer:
        port = hub.port
        for _ in range(3):
            hub.fault(sim.Unlisten())
            assert refused(hub)
            assert "error" not in peer.invoke("SubscribeContractTrades", "X")  # what stands, stays
            hub.fault(sim.Unlisten())  # again is no more
            assert refused(hub)
            hub.fault(sim.Listen())
            hub.fault(sim.Listen())
            with Wire(hub) as wire:
                assert wire.upgrade()[0] == 101
        assert hub.port == port


def test_it_comes_back_by_itself():
    clock = SetClock()
    with sim.Hub(clock=clock) as hub:
        hub.fault(sim.Unlisten(60.0))
        clock.advance(hub, 59.0)
        assert refused(hub)
        clock.advance(hub, 2.0)
        hub.wait_until(lambda h: h._core.listener.listening)  # by the next turn of its loop
        with Wire(hub) as wire:
            assert wire.upgrade()[0] == 101


def test_a_server_that_goes_down_and_comes_back():
    market = sim.Market(1, rate=None, mix={"trade": 1})
    with sim.Hub(market, elements_per_record=1) as hub, Peer(hub) as peer:
        hub.fault(sim.Unlisten(), after_ticks=100)
        hub.fault(sim.Drop(), after_ticks=100)
        peer.subscribe(hub.symbols, ["trade"])
        assert len(list(peer.messages())) == 100
        assert refused(hub)
        hub.clear_faults()
        with Peer(hub) as again:
            again.subscribe(hub.symbols, ["trade"])
            again.events(10)


def test_small_messages_are_not_held_back_for_company():
    with sim.Hub() as hub:
        for _ in range(2):
            with Wire(hub) as wire:
                wire.shake()
                transport = hub._core.live[0]._transport
                assert transport is not None
                sock = transport.get_extra_info("socket")
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            hub.wait_until(lambda h: not h._core.live)
            hub.fault(sim.Unlisten())
            hub.fault(sim.Listen())


def test_it_can_be_left_while_it_does_not_listen():
    with sim.Hub() as hub, Peer(hub):
        hub.fault(sim.Unlisten(60.0))
    with sim.Hub() as hub:
        hub.fault(sim.Unlisten())
        hub.fault(sim.Listen())  # and left in the middle of it


@pytest.mark.parametrize("seconds", [-3_600.0, 0.25, 86_400.0])
def test_event_times_are_skewed(seconds: float):
    start = dt.datetime(2026, 3, 2, 14, 30, tzinfo=dt.UTC)
    times = [start + dt.timedelta(seconds=n) for n in range(40)]
    frame = pl.DataFrame(
        {"ts_event": times, "symbol": "X", "price": 1.0, "size": 1.0},
        schema_overrides={"ts_event": pl.Datetime("ns", "UTC")},
    )
    with sim.Hub(sim.Replay(frame), elements_per_record=1, start="manual") as hub, Peer(hub) as peer:
        peer.subscribe(["X"], ["trade"])
        hub.wait_until(lambda h: len(h.connection().subscriptions) == 1)
        hub.fault(sim.Skew(seconds))
        hub.start()
        got = [dt.datetime.fromisoformat(data[0]["timestamp"]) for _, _, data in peer.events(40)]
        assert got == [time + dt.timedelta(seconds=seconds) for time in times]


def test_a_skew_can_come_and_go_in_mid_stream():
    with sim.Hub(sim.Market(1, rate=1_000.0, mix={"quote": 1})) as hub, Peer(hub) as peer:
        hub.fault(sim.Skew(1_000.0), after_ticks=50)
        hub.fault(sim.Skew(0.0), after_ticks=150)
        peer.subscribe(hub.symbols, ["quote"])
        times = [dt.datetime.fromisoformat(data["timestamp"]) for _, _, data in peer.events(400)]
        steps = [round((b - a).total_seconds()) for a, b in pairwise(times)]
        assert [step for step in steps if step] == [1_000, -1_000]
        assert steps.index(1_000) >= 49
