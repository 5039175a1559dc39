"""Our client against a plain server of the `websockets` library that pings often and waits briefly."""

from __future__ import annotations

import gc
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgpack
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

import tickwire as tw
from hubs import PATIENCE_S, UNIT_S, trade
from packed import as_message
from tickwire.config import ProtocolName

CONTRACT = "CON.F.US.EP.Z25"
END = "\x1e"


class PlainServer:
    """Speaks just enough SignalR, in records written by hand."""

    def __init__(self, pings: int, protocol: ProtocolName) -> None:
        self._pings = pings
        self._protocol = protocol
        self.url = ""
        self.pongs = 0
        self.connections = 0
        self.ended: list[str] = []
        self.gone = threading.Event()

    def handle(self, connection: ServerConnection) -> None:
        self.connections += 1
        try:
            self._talk(connection)
        except ConnectionClosed as error:
            self.ended.append(str(error))
        finally:
            self.gone.set()

    def _talk(self, connection: ServerConnection) -> None:
        assert connection.recv() == f'{{"protocol":"{self._protocol}","version":1}}{END}'
        connection.send("{}" + END)
        invocation_id, target, arguments = self._call(connection.recv())
        assert (target, arguments) == ("SubscribeContractTrades", [CONTRACT])
        connection.send(self._record({"type": 3, "invocationId": invocation_id}))
        # Beside the pings that the library sends on its own, some with payloads that must come back.
        for number in range(self._pings):
            assert connection.ping(f"ping {number}").wait(PATIENCE_S)
            self.pongs += 1
        first, second = (self._record(trade(CONTRACT, 5000.0, f"2026-03-02T14:30:0{n}Z")) for n in range(2))
        # One message in fragments that cut records anywhere, with a ping of the library's in between.
        connection.send([first[:30], first[30:] + second[:7], second[7:]])
        for message in connection:
            assert isinstance(message, type(first))

    def _record(self, message: dict[str, Any]) -> str | bytes:
        """A message as it goes into a frame: text, or bytes behind their length."""
        text = json.dumps(message)
        return text + END if self._protocol == "json" else as_message(text.encode())

    def _call(self, data: str | bytes) -> tuple[str, str, list[Any]]:
        """Id, target and arguments of the client's call."""
        if isinstance(data, str):
            fields = json.loads(data.rstrip(END))
            return fields["invocationId"], fields["target"], fields["arguments"]
        # So short a message has a length of one byte.
        _, _, invocation_id, target, arguments, _ = msgpack.unpackb(data[1:])
        return invocation_id, target, arguments


@contextmanager
def running(pings: int, protocol: ProtocolName = "json") -> Iterator[PlainServer]:
    server = PlainServer(pings, protocol)
    before = set(threading.enumerate())
    options = {"ping_interval": 0.2, "ping_timeout": 2 * UNIT_S, "close_timeout": 1}
    with serve(server.handle, "127.0.0.1", 0, **options) as listening:
        server.url = f"ws://127.0.0.1:{listening.socket.getsockname()[1]}/"
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            listening.shutdown()
            # Those of its connections, too, which the library does not wait for.
            for left in set(threading.enumerate()) - before:
                left.join(PATIENCE_S)
            # It leaves its selector to the garbage collector, and a later test counts descriptors.
            gc.collect()


@pytest.mark.parametrize("protocol", ["json", "messagepack"])
def test_its_pings_are_answered_and_the_client_stays(protocol: ProtocolName) -> None:
    engine = tw.Engine([tw.Instrument(CONTRACT, tick_size=0.25)], timeframes=["1s"])
    limits = tw.LinkLimits(ping_s=0.1, heartbeat_s=0.1, silence_s=PATIENCE_S)
    with (
        running(pings=20, protocol=protocol) as server,
        tw.connect(
            server.url, engine=engine, streams="trades", clock="event", limits=limits, protocol=protocol
        ) as client,
    ):
        assert client.trades().get(PATIENCE_S).price == 5000.0
        # Long enough for pings of both sides, which wait for nothing but the clock.
        while client.status()["pongs"] < 5 or client.status()["pings"] < 25:
            assert client.state == "live", repr(client.error)
        assert server.pongs == 20
        assert server.connections == 1
        assert engine.stats()["received"] == 2
        client.close()
        assert server.gone.wait(PATIENCE_S)
        assert server.ended == []


def test_a_client_that_does_not_answer_would_be_dropped() -> None:
    """The server is as strict as the test above believes."""
    import socket

    with running(pings=1) as server:
        port = int(server.url.rsplit(":", 1)[1].strip("/"))
        with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as silent:
            silent.sendall(
                b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            )
            assert server.gone.wait(PATIENCE_S)
            assert "keepalive ping timeout" in server.ended[0]
