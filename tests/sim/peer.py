"""A client for the simulator's tests: `websockets` for the frames, general codecs for the records.

It shares nothing with tickwire's client or with the simulator, so that what it reads back is what
stood on the wire.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Self

import httpx
import msgpack
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from hubs import PATIENCE_S
from tickwire import sim

METHODS = {"quote": "Quotes", "trade": "Trades", "depth": "MarketDepth"}
KIND_OF_TARGET = {"GatewayQuote": "quote", "GatewayTrade": "trade", "GatewayDepth": "depth"}


class Peer:
    """One connection; use it in `with`. Messages are dicts as in the JSON protocol, whatever the protocol."""

    def __init__(
        self,
        hub: sim.Hub,
        *,
        protocol: str = "json",
        token: str | None = "",
        query: str = "",
        url: str = "",
        shake: bool = True,
        **options: Any,
    ) -> None:
        self.protocol = protocol
        self.raw: list[str | bytes] = []
        """Payloads of all messages that came after the handshake."""
        self._pending: list[dict[str, Any]] = []
        self._shake = shake
        header = hub.token() if token == "" else token
        headers = {} if header is None else {"Authorization": f"Bearer {header}"}
        # Without a limit to its queue the client reads on while a test does not, and so sees a close.
        plain = {
            "compression": None,
            "max_size": None,
            "max_queue": None,
            "proxy": None,
            "ping_interval": None,
        }
        options = plain | options
        self._connect = connect(
            (url or hub.url).replace("http://", "ws://") + query, additional_headers=headers, **options
        )

    def __enter__(self) -> Self:
        self.ws: ClientConnection = self._connect.__enter__()
        if self._shake:
            reply, rest = self.handshake()
            assert reply == {}
            assert rest == b""
        return self

    def __exit__(self, *error: object) -> None:
        self._connect.__exit__(*error)

    def handshake(self, version: object = 1) -> tuple[Any, bytes]:
        """Shake hands; returns the answer and what came behind it in the same message."""
        self.ws.send(json.dumps({"protocol": self.protocol, "version": version}) + "\x1e")
        reply = self.ws.recv(PATIENCE_S)
        reply = reply.encode() if isinstance(reply, str) else reply
        head, separator, rest = reply.partition(b"\x1e")
        assert separator
        return json.loads(head), rest

    # Sending

    def send(self, *messages: dict[str, Any]) -> None:
        """Send messages of the JSON shape, all in one WebSocket message."""
        if self.protocol == "json":
            self.ws.send("".join(json.dumps(message) + "\x1e" for message in messages))
        else:
            self.ws.send(b"".join(_packed(message) for message in messages))

    def invoke(self, target: str, *arguments: Any, invocation_id: str = "1") -> dict[str, Any]:
        """Call a method and return its completion; events on the way are kept."""
        self.send({"type": 1, "invocationId": invocation_id, "target": target, "arguments": list(arguments)})
        held = []
        while True:
            message = self.message()
            if message["type"] == 3 and message["invocationId"] == invocation_id:
                self._pending[:0] = held
                return message
            held.append(message)

    def subscribe(self, contracts: Iterable[str], kinds: Iterable[str] = ("quote", "trade", "depth")) -> None:
        """Subscribe in one WebSocket message, without asking for answers."""
        self.send(
            *(
                {"type": 1, "target": f"SubscribeContract{METHODS[kind]}", "arguments": [contract]}
                for contract in contracts
                for kind in kinds
            )
        )

    # Receiving

    def message(self, timeout_s: float = PATIENCE_S) -> dict[str, Any]:
        """The next message."""
        while not self._pending:
            self._read(timeout_s)
        return self._pending.pop(0)

    def messages(self) -> Iterator[dict[str, Any]]:
        """Messages until the connection ends."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                yield self.message()

    def event(self) -> tuple[str, str, Any]:
        """The next event as (kind, contract, data)."""
        while True:
            message = self.message()
            if message["type"] == 1:
                return KIND_OF_TARGET[message["target"]], *message["arguments"]

    def events(self, ticks: int) -> list[tuple[str, str, Any]]:
        """Events until they hold so many ticks."""
        found = []
        left = ticks
        while left > 0:
            found.append(self.event())
            left -= ticks_in(found[-1])
        assert left == 0, f"{-left} ticks more than expected"
        return found

    def drain(self) -> None:
        """Read on until the connection ends, and raise how it did."""
        while True:
            self.message()

    def _read(self, timeout_s: float) -> None:
        payload = self.ws.recv(timeout_s)
        self.raw.append(payload)
        if self.protocol == "json":
            assert isinstance(payload, str), "JSON belongs into text frames"
            assert payload.endswith("\x1e")
            self._pending += [json.loads(record) for record in payload.split("\x1e")[:-1]]
        else:
            assert isinstance(payload, bytes), "MessagePack belongs into binary frames"
            self._pending += _unpacked(payload)


def ticks_in(event: tuple[str, str, Any]) -> int:
    """Ticks of an event."""
    return len(event[2]) if isinstance(event[2], list) else 1


def count(events: Iterable[tuple[str, str, Any]]) -> Counter[str]:
    """Ticks by kind."""
    counts: Counter[str] = Counter()
    for event in events:
        counts[event[0]] += ticks_in(event)
    return counts


def elements(events: Iterable[tuple[str, str, Any]], kind: str) -> list[tuple[str, dict[str, Any]]]:
    """(contract, element) of all events of a kind, lists opened."""
    return [
        (contract, element)
        for name, contract, data in events
        if name == kind
        for element in (data if isinstance(data, list) else [data])
    ]


def negotiate(
    hub: sim.Hub, version: int | None = 1, *, url: str = "", token: str | None = ""
) -> httpx.Response:
    """POST negotiate."""
    header = hub.token() if token == "" else token
    headers = {} if header is None else {"Authorization": f"Bearer {header}"}
    query = "" if version is None else f"?negotiateVersion={version}"
    with httpx.Client(trust_env=False) as client:
        return client.post(f"{url or hub.url}/negotiate{query}", headers=headers)


# MessagePack by its specification: a varint length and an array, headers always a map.


def _packed(message: dict[str, Any]) -> bytes:
    match message["type"]:
        case 1 | 4:
            items = [
                message["type"],
                {},
                message.get("invocationId"),
                message["target"],
                message["arguments"],
                [],
            ]
        case 6:
            items = [6]
        case 7:
            items = [7, message.get("error")]
        case other:
            raise AssertionError(f"cannot pack type {other}")
    body = msgpack.packb(items)
    length, prefix = len(body), b""
    while length >= 0x80:
        prefix += bytes([length & 0x7F | 0x80])
        length >>= 7
    return prefix + bytes([length]) + body


def _unpacked(payload: bytes) -> Iterator[dict[str, Any]]:
    at = 0
    while at < len(payload):
        length = shift = 0
        while True:
            byte = payload[at]
            at += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        items = msgpack.unpackb(payload[at : at + length])
        at += length
        match items:
            case [1, {} as headers, None, str(target), list(arguments), list()] if headers == {}:
                yield {"type": 1, "target": target, "arguments": arguments}
            case [3, {} as headers, str(invocation_id), 1, str(error)] if headers == {}:
                yield {"type": 3, "invocationId": invocation_id, "error": error}
            case [3, {} as headers, str(invocation_id), 2] if headers == {}:
                yield {"type": 3, "invocationId": invocation_id}
            case [6]:
                yield {"type": 6}
            case [7, error]:
                yield {"type": 7} | ({} if error is None else {"error": error})
            case [7, error, bool(allow)]:
                yield {"type": 7, "allowReconnect": allow} | ({} if error is None else {"error": error})
            case other:
                raise AssertionError(f"not a message of the specification: {other!r}")
