"""Entering, leaving, and using a hub from threads and coroutines."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from hubs import PATIENCE_S
from sim.peer import Peer
from tickwire import ConfigError, sim


def test_leaving_closes_clients_and_keeps_the_numbers():
    hub = sim.Hub(sim.Market(1, rate=None), count=50)
    hub.__enter__()
    with Peer(hub) as peer:
        port = hub.port
        peer.subscribe(hub.symbols, ["quote"])
        hub.wait_finished(PATIENCE_S)
        sent = hub.sent
        hub.__exit__(None, None, None)
        peer.events(sent.ticks)
        with pytest.raises(ConnectionClosed) as caught:
            peer.ws.recv(PATIENCE_S)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1001
        assert hub.sent.ticks == sent.ticks
        assert hub.connection().closed_reason == "hub stopped"
        assert hub.requests
        assert hub.port == port
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", port), 1)


def test_leaving_in_full_flow_loses_nothing_that_was_counted():
    hub = sim.Hub(sim.Market(2, rate=None), records_per_message=10)
    hub.__enter__()
    with Peer(hub) as peer:
        peer.subscribe(hub.symbols, ["trade", "quote"])
        hub.wait_until(lambda h: h.sent.ticks > 20_000)
        hub.__exit__(None, None, None)
        got = sum(
            len(data) if isinstance(data := message["arguments"][1], list) else 1
            for message in peer.messages()
            if message["type"] == 1
        )
    assert got == hub.sent.ticks > 20_000


def test_leaving_does_not_wait_for_clients_that_do_not_answer():
    with sim.Hub(sim.Market(1, rate=None, mix={"quote": 1}), close_s=0.2) as hub:
        deaf = Peer(hub, max_queue=1, close_timeout=0.1)
        deaf.__enter__()
        idle = socket.create_connection(("127.0.0.1", hub.port))
        deaf.subscribe(hub.symbols, ["quote"])
        hub.wait_until(lambda h: h.sent.bytes > 100_000)
        begun_s = time.monotonic()
    assert time.monotonic() - begun_s < PATIENCE_S
    idle.close()
    deaf.__exit__(None, None, None)


def test_an_error_inside_passes_through():
    with pytest.raises(KeyError, match="mine"), sim.Hub():
        raise KeyError("mine")


def test_a_hub_is_entered_once():
    hub = sim.Hub()
    with pytest.raises(ConfigError, match="not running"):
        _ = hub.url
    with hub, pytest.raises(ConfigError, match="entered before"), hub:
        pass
    with pytest.raises(ConfigError, match="entered before"), hub:
        pass
    with pytest.raises(ConfigError, match="no source"):
        sim.Hub().start()
    with sim.Hub() as other, pytest.raises(ConfigError, match="connection=-1"):
        other.connection()


def test_a_taken_port_is_said_so():
    with sim.Hub() as hub, pytest.raises(OSError, match="address already in use"), sim.Hub(port=hub.port):
        pass


def test_a_port_can_be_used_again_at_once():
    with sim.Hub() as hub, Peer(hub):
        port = hub.port
    with sim.Hub(port=port) as hub, Peer(hub):
        assert hub.port == port


def test_in_a_coroutine_it_needs_no_thread():
    async def main() -> None:
        before = threading.active_count()
        tasks = len(asyncio.all_tasks())
        async with sim.Hub(sim.Market(2, rate=None), count=500) as hub:
            assert threading.active_count() == before
            address = hub.url.replace("http", "ws")
            headers = {"Authorization": f"Bearer {hub.token()}"}
            async with connect(address, additional_headers=headers, proxy=None, max_queue=None) as ws:
                await ws.send('{"protocol":"json","version":1}\x1e')
                assert await ws.recv() == "{}\x1e"
                await hub.until(lambda h: h.connection().protocol == "json")
                for contract in hub.symbols:
                    for method in ("Quotes", "Trades"):
                        await ws.send(
                            f'{{"type":1,"target":"SubscribeContract{method}","arguments":["{contract}"]}}\x1e'
                        )
                await hub.finished(PATIENCE_S)
                assert hub.is_finished
                hub.broadcast("Bye")
                records = 0
                while (payload := await ws.recv()) != '{"type":1,"target":"Bye","arguments":[]}\x1e':
                    records += str(payload).count("\x1e")
                assert records == hub.sent.records > 0
            with pytest.raises(ConfigError, match="own loop"):
                hub.wait_until(lambda _: True)
        assert hub.sent.records == records
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == tasks

    asyncio.run(main())


def test_a_hub_in_a_thread_can_be_awaited():
    async def main() -> None:
        with sim.Hub(sim.Market(1, rate=None), count=10) as hub:
            with pytest.raises(TimeoutError, match=r"the end of the stream did not come within 0\.01 s"):
                await hub.finished(0.01)
            hub.start()
            with Peer(hub) as peer:
                peer.subscribe(hub.symbols, ["quote"])
                await hub.finished(PATIENCE_S)

    asyncio.run(main())


def test_waiting_gives_up_and_passes_errors_on():
    with sim.Hub() as hub:
        with pytest.raises(TimeoutError, match=r"rain did not come within 0\.01 s"):
            hub.wait_until(lambda _: False, 0.01, what="rain")
        with pytest.raises(ZeroDivisionError):
            hub.wait_until(lambda _: bool(1 // 0))
        # One that gave up is forgotten, and hinders nobody.
        with Peer(hub):
            hub.wait_until(lambda h: len(h.connections) == 1)


def test_everything_can_be_called_from_many_threads():
    with sim.Hub() as hub, Peer(hub) as peer:
        hub.wait_until(lambda h: h.connection().protocol == "json")
        with ThreadPoolExecutor(8) as pool:
            reached = list(pool.map(lambda n: hub.broadcast("GatewayTrade", "X", [{"n": n}]), range(400)))
        assert reached == [1] * 400
        numbers = sorted(peer.event()[2][0]["n"] for _ in range(400))
        assert numbers == list(range(400))
        assert hub.sent.trades == 400


def test_what_is_kept_is_bounded():
    with sim.Hub(keep_requests=3, keep_frames=4) as hub:
        for _ in range(5):
            with Peer(hub) as peer:
                peer.send({"type": 6})
        hub.wait_until(lambda h: len(h.connections) == 5 and not any(c.is_open for c in h.connections))
        assert len(hub.requests) == 3
        assert len(hub.frames) == 4
        assert [info.id for info in hub.connections] == [1, 2, 3, 4, 5]


def test_importing_the_package_does_not_import_the_simulator():
    import subprocess
    import sys

    code = "import sys, tickwire; assert 'tickwire.sim' not in sys.modules; tickwire.sim.Hub; assert 'polars' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
