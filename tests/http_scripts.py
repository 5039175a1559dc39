"""Scripts for a `HandmadeHub` that speaks HTTP: answers to negotiate, and a proxy.

The hub keeps everything that the client sent it.
"""

from __future__ import annotations

import json
import selectors
import socket
from typing import Any

from hubs import PATIENCE_S, Connection, Script

__all__ = ["answered", "asks_for", "http", "ids", "negotiated", "tunnel"]


WEB_SOCKETS = {"transport": "WebSockets", "transferFormats": ["Text", "Binary"]}


def ids(**changes: Any) -> dict[str, Any]:
    """A good answer of version 1."""
    answer = {
        "negotiateVersion": 1,
        "connectionId": "public-id",
        "connectionToken": "secret-id",
        "availableTransports": [{"transport": "LongPolling", "transferFormats": ["Text"]}, WEB_SOCKETS],
    }
    return {name: value for name, value in (answer | changes).items() if value is not ...}


def http(body: object, status: str = "200 OK", headers: str = "") -> bytes:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n{headers}\r\n"
    )
    return head.encode() + text


def negotiated(body: object, status: str = "200 OK", headers: str = "") -> Script:
    """A script: answer one negotiate."""

    def script(connection: Connection) -> None:
        connection.read_request()
        assert connection.request_line.startswith("POST ")
        connection.send(http(body, status, headers))

    return script


def tunnel(connection: Connection) -> None:
    """A script: open the tunnel that was asked for and relay until either side ends."""
    connection.read_request()
    method, target, _ = connection.request_line.split()
    assert method == "CONNECT"
    host, _, port = target.rpartition(":")
    with socket.create_connection((host.strip("[]"), int(port)), PATIENCE_S) as upstream:
        connection.send(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n")
        _relay(connection, upstream)


def _relay(connection: Connection, upstream: socket.socket) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(connection.sock, selectors.EVENT_READ, upstream)
        selector.register(upstream, selectors.EVENT_READ, connection.sock)
        while not connection.released.is_set():
            for key, _ in selector.select(0.1):
                source: socket.socket = key.fileobj  # type: ignore[assignment]
                data = source.recv(65_536)
                if source is connection.sock:
                    connection.raw += data
                if not data:
                    return
                key.data.sendall(data)


def answered(head: str, rest: bytes = b"") -> Script:
    """A script: answer whatever is asked with this status line and headers."""

    def script(connection: Connection) -> None:
        connection.read_request()
        connection.send(head.encode() + b"\r\n\r\n" + rest)

    return script


def asks_for(user_and_password: str) -> Script:
    """A script: `tunnel` for whoever sends these credentials (in base64), 407 for all others."""

    def script(connection: Connection) -> None:
        connection.read_request()
        if connection.headers.get("proxy-authorization") == f"Basic {user_and_password}":
            connection._pending = connection.raw
            tunnel(connection)
        else:
            connection.send(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")

    return script
