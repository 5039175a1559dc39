"""A hub made of bytes, for faults that no well-behaved server can be asked to commit.

A `HandmadeHub` listens on loopback and runs one script per connection, each in a thread of its own.
Frames and HTTP are written out by hand here, and share nothing with the client under test. What a
client sends is kept raw as well as parsed, so that a test can search all of it.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import queue
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Self

UNIT_S = float(os.environ.get("TICKWIRE_TEST_UNIT_S", "1"))
"""Every waiting limit in the tests is a multiple of this; raise it on a slow machine."""

PATIENCE_S = 10 * UNIT_S
"""How long a test waits for what must happen."""

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
CONTINUATION = 0x0


def frame(payload: bytes, opcode: int = TEXT, fin: bool = True) -> bytes:
    """One server frame (not masked)."""
    first = bytes([(0x80 if fin else 0) | opcode])
    if len(payload) < 126:
        return first + bytes([len(payload)]) + payload
    if len(payload) < 65536:
        return first + b"\x7e" + struct.pack(">H", len(payload)) + payload
    return first + b"\x7f" + struct.pack(">Q", len(payload)) + payload


def record(message: object) -> bytes:
    """One SignalR record."""
    return json.dumps(message).encode() + b"\x1e"


def trade(symbol: str, price: float, when: str, volume: int = 1) -> dict[str, Any]:
    """A GatewayTrade message with one trade."""
    data = {"symbolId": symbol, "price": price, "timestamp": when, "type": 0, "volume": volume}
    return {"type": 1, "target": "GatewayTrade", "arguments": [symbol, data]}


class ClientGone(Exception):
    """The client ended the connection; ends a script in good order."""


class Connection:
    """The server's end of one client connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.raw = b""
        """Everything the client sent, as it came."""
        self._pending = b""
        self.request_line = ""
        self.headers: dict[str, str] = {}
        self.frames: list[tuple[int, bytes]] = []
        """Frames received, unmasked."""
        self.records: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        """Records received after the handshake, in order, by `serve`."""
        self.asked: dict[str, Any] = {}
        """The client's handshake."""
        self.calls: list[dict[str, Any]] = []
        """Invocations read by `complete`, each here before it is answered."""
        self.ended = threading.Event()
        """Set when the script is over."""
        self.saw_fin = False
        self.released = threading.Event()
        """Set when the test is over; ends a script that is parked."""

    # HTTP

    def read_request(self) -> None:
        while b"\r\n\r\n" not in self._pending:
            self._fill()
        head, self._pending = self._pending.split(b"\r\n\r\n", 1)
        self.request_line, *lines = head.decode().split("\r\n")
        self.headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}

    def accept_bytes(self) -> bytes:
        key = self.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        return (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n"
        ).encode()

    # Frames

    def read_frame(self) -> tuple[int, bytes]:
        first, second = self._take(2)
        if not second & 0x80:
            raise AssertionError("a client frame must be masked")
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack(">H", self._take(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", self._take(8))
        mask = self._take(4)
        payload = bytes(byte ^ mask[i % 4] for i, byte in enumerate(self._take(length)))
        self.frames.append((first & 0x0F, payload))
        return first & 0x0F, payload

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def send_records(self, *messages: object) -> None:
        self.send(b"".join(frame(record(message)) for message in messages))

    # SignalR

    def upgrade(self) -> None:
        self.read_request()
        self.send(self.accept_bytes())

    def shake_hands(self) -> None:
        """Answer the client's handshake."""
        opcode, payload = self.read_frame()
        assert (opcode, payload[-1:]) == (TEXT, b"\x1e"), (opcode, payload)
        self.asked = json.loads(payload[:-1])
        self.send(frame(b"{}\x1e"))

    def complete(self, calls: int, error: str | None = None) -> None:
        """Read so many invocations and answer each."""
        wanted = len(self.calls) + calls
        while len(self.calls) < wanted:
            opcode, payload = self.read_frame()
            assert opcode == TEXT, (opcode, payload)
            for part in payload.split(b"\x1e")[:-1]:
                call = json.loads(part)
                if call["type"] == 1:
                    self.calls.append(call)
                    answer = {"type": 3, "invocationId": call["invocationId"]}
                    self.send_records(answer if error is None else answer | {"error": error})

    def open(self, calls: int) -> None:
        """All of a good connection up to the point at which data flows."""
        self.upgrade()
        self.shake_hands()
        self.complete(calls)

    def serve(self) -> None:
        """Read until the client leaves; answer pings, echo the close, keep the records."""
        while True:
            opcode, payload = self.read_frame()
            if opcode == PING:
                self.send(frame(payload, PONG))
            elif opcode == CLOSE:
                self.send(frame(payload, CLOSE))
            elif opcode == TEXT:
                for part in payload.split(b"\x1e")[:-1]:
                    self.records.put(json.loads(part))

    def reset(self) -> None:
        """End the connection with a TCP reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def _take(self, count: int) -> bytes:
        while len(self._pending) < count:
            self._fill()
        taken, self._pending = self._pending[:count], self._pending[count:]
        return taken

    def _fill(self) -> None:
        try:
            data = self.sock.recv(65536)
        except OSError as error:
            raise ClientGone from error
        if not data:
            self.saw_fin = True
            raise ClientGone
        self.raw += data
        self._pending += data


Script = Callable[[Connection], None]


def free_port() -> int:
    """A port of this machine on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class HandmadeHub:
    """Runs `scripts[n]` on the n-th connection, and the last of them on all that follow."""

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        self._scripts = scripts
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{self.port}/hubs/market"
        self.connections: list[Connection] = []
        self._came = threading.Condition()
        self._failures: list[BaseException] = []
        self._threads: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept, name="handmade-hub", daemon=True)
        self._acceptor.start()

    def connection(self, number: int = 0) -> Connection:
        """The connection of this number, waiting for it if need be."""
        with self._came:
            assert self._came.wait_for(lambda: len(self.connections) > number, PATIENCE_S), (
                f"connection {number} never came; there were {len(self.connections)}"
            )
            return self.connections[number]

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            connection = Connection(sock)
            with self._came:
                script = self._scripts[min(len(self.connections), len(self._scripts) - 1)]
                self.connections.append(connection)
                self._came.notify_all()
            thread = threading.Thread(
                target=self._run, args=(script, connection), name="handmade-hub", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def _run(self, script: Script, connection: Connection) -> None:
        try:
            if self._tls is not None:
                connection.sock = self._tls.wrap_socket(connection.sock, server_side=True)
            script(connection)
        except (ClientGone, OSError):
            # The client has left, while the script was reading or writing.
            pass
        except BaseException as error:  # noqa: BLE001  # raised when the hub is closed
            self._failures.append(error)
        finally:
            connection.sock.close()
            connection.ended.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # shutdown, since closing alone does not wake an accept that another thread is in.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self.connections:
            connection.released.set()
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)
        for thread in [self._acceptor, *self._threads]:
            thread.join(PATIENCE_S)
            assert not thread.is_alive(), "a script of the hand-made hub did not end"
        if self._failures:
            raise self._failures[0]


def good(calls: int, *messages: object) -> Script:
    """A script: open, send `messages`, serve until the client leaves."""

    def script(connection: Connection) -> None:
        connection.open(calls)
        connection.send_records(*messages)
        connection.serve()

    return script


def park(connection: Connection) -> None:
    """A script, or the end of one: say and read nothing, with the socket open, until the test is over."""
    connection.released.wait()


class Sink:
    """Stands for a feed: keeps the payloads, hands back every record that is no invocation."""

    def __init__(self) -> None:
        self.payload = b""
        self.stamps_ns: list[int] = []
        self._carried = b""

    def __call__(self, payload: bytes, ts_recv: int) -> list[bytes]:
        self.payload += payload
        self.stamps_ns.append(ts_recv)
        *whole, self._carried = (self._carried + payload).split(b"\x1e")
        return [part for part in whole if not part.startswith(b'{"type": 1,')]


@contextlib.contextmanager
def no_leftovers() -> Iterator[None]:
    """Fails if the block leaves threads or file descriptors behind."""

    def held() -> tuple[int, int]:
        return threading.active_count(), len(os.listdir("/proc/self/fd"))

    before = held()
    yield
    deadline_s = time.monotonic() + PATIENCE_S
    while held() != before and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert held() == before, "threads or file descriptors were left behind"
