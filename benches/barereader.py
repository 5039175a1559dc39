"""A reader that does nothing: what the hub and the machine take before any client has its turn.

It asks for the same stream as the client beside which it is measured, takes what the socket has, and
notes when; frames and records are looked at when the stream has ended. What it reports is the way of
a tick from its schedule to a `recv` that has returned.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import os
import re
import socket
import time
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

__all__ = ["run"]

_READ_BYTES = 262_144
_SILENCE_S = 3.0
_TIME = re.compile(rb'"(?:timestamp|lastUpdated)":"([-\d]{10}T[:\d]{8})\.?(\d*)')


def run(url: str, token: str, symbols: list[str]) -> dict[float, float]:
    """Read until the hub falls silent; quantiles of the delay in µs."""
    address = urlsplit(url)
    reads: list[bytes] = []
    times_ns: list[int] = []
    with socket.create_connection((address.hostname, address.port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _upgrade(sock, address.path, address.netloc, token)
        _say(sock, {"protocol": "json", "version": 1})
        sock.recv(_READ_BYTES)
        for number, (target, symbol) in enumerate(
            (f"SubscribeContract{kind}", symbol) for symbol in symbols for kind in ("Quotes", "Trades")
        ):
            _say(sock, {"type": 1, "invocationId": str(number), "target": target, "arguments": [symbol]})
        sock.settimeout(_SILENCE_S)
        try:
            while read := sock.recv(_READ_BYTES):
                times_ns.append(time.time_ns())
                reads.append(read)
        except TimeoutError:
            pass
    delays_us = _delays_us(reads, times_ns)
    return {quantile: float(np.quantile(delays_us, quantile)) for quantile in (0.5, 0.99, 0.999)}


def _upgrade(sock: socket.socket, path: str, host: str, token: str) -> None:
    key = base64.b64encode(os.urandom(16)).decode()
    sock.sendall(
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    )
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += sock.recv(4_096)


def _say(sock: socket.socket, message: dict[str, Any]) -> None:
    payload = json.dumps(message).encode() + b"\x1e"
    length = len(payload)
    size = bytes([0x80 | length]) if length < 126 else bytes([0x80 | 126]) + length.to_bytes(2, "big")
    # Masked with zeros, which leaves it as it is.
    sock.sendall(b"\x81" + size + bytes(4) + payload)


def _delays_us(reads: list[bytes], times_ns: list[int]) -> NDArray[np.float64]:
    ends = np.cumsum([len(read) for read in reads])
    at, due_ns = [], []
    for found in _TIME.finditer(b"".join(reads)):
        second = dt.datetime.fromisoformat(found[1].decode() + "+00:00")
        due_ns.append(int(second.timestamp()) * 10**9 + int(found[2].ljust(9, b"0")))
        at.append(found.end())
    # A tick is there with the read in which its time ends.
    came_ns = np.array(times_ns, np.int64)[np.searchsorted(ends, at)]
    return (came_ns - np.array(due_ns, np.int64)) / 1e3
