"""A client of bare bytes: HTTP and frames by hand, so that every byte and the end of the link are seen."""

from __future__ import annotations

import json
import socket
import struct
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

from hubs import PATIENCE_S
from tickwire import sim

KEY = "AAAAAAAAAAAAAAAAAAAAAA=="
ACCEPT = "ICX+Yqv66kxgM0FcWaLWlFLwTAI="
"""What RFC 6455 answers to `KEY`."""

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA


class Frame(NamedTuple):
    fin: bool
    opcode: int
    payload: bytes


class Wire:
    """One TCP link. `upgrade` and `shake` bring it to where records flow."""

    def __init__(self, hub: sim.Hub, *, token: str | None = None, url: str = "") -> None:
        self.place = urlsplit(url or hub.url)
        self.token = hub.token() if token is None else token
        self.got = b""
        """Bytes that came and have not been taken."""
        self.chunks: list[bytes] = []
        """All bytes that came, as each read brought them."""
        self.sock = socket.create_connection((self.place.hostname, self.place.port), PATIENCE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    # Out

    def ask_upgrade(self) -> None:
        self.sock.sendall(
            f"GET {self.place.path} HTTP/1.1\r\nHost: {self.place.netloc}\r\n"
            f"Authorization: Bearer {self.token}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n".encode()
        )

    def send(self, *records: dict[str, Any]) -> None:
        self.send_frame(TEXT, b"".join(json.dumps(record).encode() + b"\x1e" for record in records))

    def send_frame(self, opcode: int, payload: bytes) -> None:
        length = len(payload)
        short = bytes([0x80 | length]) if length < 126 else b"\xfe" + struct.pack(">H", length)
        self.sock.sendall(bytes([0x80 | opcode]) + short + bytes(4) + payload)

    def call(self, target: str, *arguments: Any, invocation_id: str | None = "1") -> None:
        record = {"type": 1, "target": target, "arguments": list(arguments)}
        self.send(record if invocation_id is None else record | {"invocationId": invocation_id})

    # In

    def upgrade(self) -> tuple[int, dict[str, str]]:
        """Ask for the upgrade; status and headers of the answer."""
        self.ask_upgrade()
        return self.head()

    def shake(self) -> Self:
        """The upgrade and a good handshake, on a hub that disturbs neither."""
        assert self.upgrade()[0] == 101
        self.send({"protocol": "json", "version": 1})
        assert self.frame() == Frame(True, TEXT, b"{}\x1e")
        return self

    def head(self) -> tuple[int, dict[str, str]]:
        while b"\r\n\r\n" not in self.got:
            self.fill()
        head, self.got = self.got.split(b"\r\n\r\n", 1)
        first, *lines = head.decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        return int(first.split()[1]), {name.lower(): value for name, value in headers.items()}

    def frame(self) -> Frame:
        """The next frame; a server's is not masked."""
        first, length = self.take(2)
        assert not length & 0x80
        if length == 126:
            (length,) = struct.unpack(">H", self.take(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", self.take(8))
        return Frame(bool(first & 0x80), first & 0x7F, self.take(length))

    def records(self) -> list[Any]:
        """The records of the next frame, which must be a whole text message."""
        fin, opcode, payload = self.frame()
        assert (fin, opcode, payload[-1:]) == (True, TEXT, b"\x1e"), (fin, opcode, payload)
        return [json.loads(record) for record in payload[:-1].split(b"\x1e")]

    def take(self, count: int) -> bytes:
        while len(self.got) < count:
            self.fill()
        taken, self.got = self.got[:count], self.got[count:]
        return taken

    def fill(self) -> None:
        data = self.sock.recv(65536)
        if not data:
            raise EOFError(f"the link ended behind {self.got!r}")
        self.chunks.append(data)
        self.got += data

    def rest(self) -> tuple[bytes, bool]:
        """All that still comes, and whether it ended in order (FIN) or by a reset."""
        with self.sock:
            try:
                while True:
                    self.fill()
            except EOFError:
                return self.got, True
            except ConnectionResetError:
                return self.got, False

    def quiet(self, seconds: float = 0.1) -> bool:
        """Whether nothing comes for so long."""
        if self.got:
            return False
        self.sock.settimeout(seconds)
        try:
            self.fill()
        except TimeoutError:
            return True
        finally:
            self.sock.settimeout(PATIENCE_S)
        return False
