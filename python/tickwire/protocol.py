"""SignalR's hub protocols as this package speaks them through signalrcore.

A `RawProtocol` encodes what the client says: handshake version 1, and never headers inside a message,
which no hub may interpret and where a token would end up in captures. Incoming payloads are not parsed
here: they go to a sink as they are, and what the sink has no use for comes back to the hub object by
another way, which has each record read by `message_of`.

The two codecs, JSON and MessagePack, give and take messages as dicts under the names that they have in
JSON. signalrcore's own MessagePack is not used: its transport sends binary frames for its own class only,
and it drops messages of a length that the specification allows.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Protocol

import msgpack
from signalrcore.messages.close_message import CloseMessage
from signalrcore.messages.handshake.request import HandshakeRequestMessage
from signalrcore.messages.handshake.response import HandshakeResponseMessage
from signalrcore.messages.invocation_message import InvocationMessage
from signalrcore.messages.ping_message import PingMessage
from signalrcore.protocol.base_hub_protocol import BaseHubProtocol
from signalrcore.types import RECORD_SEPARATOR, HubProtocolEncoding

from .config import ProtocolName

__all__ = ["SEPARATOR", "JsonCodec", "MessagePackCodec", "RawProtocol"]

SEPARATOR = b"\x1e"
"""Ends every JSON record, the handshake's two included."""

_VERSION = 1

_INVOCATION, _CLOSE = 1, 7


class Codec(Protocol):
    """One hub protocol."""

    encoding: HubProtocolEncoding

    def pack(self, message: dict[str, Any]) -> str | bytes:
        """A message as it goes to the hub: `str` in a text frame, `bytes` in a binary one."""

    def unpack(self, record: bytes) -> dict[str, Any]:
        """A message of the hub, without what marks its border. Raises ValueError if it is none."""


class JsonCodec:
    """JSON objects, each followed by 0x1E."""

    encoding = HubProtocolEncoding.text

    def pack(self, message: dict[str, Any]) -> str:
        """One record, with its separator."""
        return json.dumps(message, separators=(",", ":")) + str(RECORD_SEPARATOR)

    def unpack(self, record: bytes) -> dict[str, Any]:
        """One record, without its separator."""
        try:
            message = json.loads(record)
        except RecursionError:
            raise ValueError("a record is nested too deep") from None
        if not isinstance(message, dict):
            raise ValueError("a record is not a JSON object")  # noqa: TRY004  # a value, not an argument
        return message


class MessagePackCodec:
    """MessagePack arrays, each behind its length.

    Values of the extension types come as `msgpack.Timestamp` (exact) and `msgpack.ExtType`.
    """

    encoding = HubProtocolEncoding.binary

    def pack(self, message: dict[str, Any]) -> bytes:
        """One message, with its length."""
        items: list[Any] = [message["type"]]
        if message["type"] == _INVOCATION:
            items += [{}, message["invocationId"], message["target"], message["arguments"], []]
        elif message["type"] == _CLOSE:
            items.append(message.get("error"))
        body: bytes = msgpack.packb(items)
        return _length(len(body)) + body

    def unpack(self, record: bytes) -> dict[str, Any]:
        """One message, without its length."""
        try:
            items = msgpack.unpackb(record, strict_map_key=False)
        except TypeError:
            raise ValueError("the name of a member is an array or a map") from None
        if not isinstance(items, list) or not items or type(items[0]) is not int:
            raise ValueError("a message is not an array with a type")
        return {"type": items[0]} | _named(items)


def _named(items: list[Any]) -> dict[str, Any]:
    """The items behind the type, under the names that they have in JSON; what is nil is left out.

    Of a type that the specification does not know, they are all in `items`. Further items of a known one
    are ignored, as the specification asks.
    """
    fields: dict[str, Any]
    match items:
        case [1 | 4, _, invocation_id, target, list(arguments), *_]:
            fields = {"invocationId": invocation_id, "target": target, "arguments": arguments}
        case [2, _, invocation_id, item, *_]:
            fields = {"invocationId": invocation_id, "item": item}
        case [3, _, invocation_id, 1, error, *_]:
            # Without a reason it is an error all the same.
            fields = {"invocationId": invocation_id, "error": "" if error is None else error}
        case [3, _, invocation_id, 2, *_]:
            fields = {"invocationId": invocation_id}
        case [3, _, invocation_id, 3, result, *_]:
            fields = {"invocationId": invocation_id, "result": result}
        case [5, _, invocation_id, *_]:
            fields = {"invocationId": invocation_id}
        case [6, *_]:
            fields = {}
        case [7, error, *rest]:
            fields = {"error": error, "allowReconnect": rest[0] if rest else None}
        case [8 | 9, sequence_id, *_]:
            fields = {"sequenceId": sequence_id}
        case [kind, *rest] if not 1 <= kind <= 9:
            fields = {"items": rest}
        case _:
            raise ValueError(f"a message of type {items[0]} has not the items that it should have")
    return {name: value for name, value in fields.items() if value is not None}


def _length(length: int) -> bytes:
    """Seven bits a byte, lowest first; the highest bit says that more follow."""
    prefix = bytearray()
    while length >= 0x80:
        prefix.append(length & 0x7F | 0x80)
        length >>= 7
    prefix.append(length)
    return bytes(prefix)


_CODECS: dict[ProtocolName, Codec] = {"json": JsonCodec(), "messagepack": MessagePackCodec()}


class RawProtocol(BaseHubProtocol):  # type: ignore[misc]
    """Encodes what the client says, hands on what the hub says.

    `sink` gets the bytes of every payload after the handshake, possibly several records, on the
    thread that reads the socket.
    """

    def __init__(self, name: ProtocolName, sink: Callable[[bytes], None]) -> None:
        self._codec = _CODECS[name]
        super().__init__(name, _VERSION, self._codec.encoding, RECORD_SEPARATOR)
        self._sink = sink

    def encode(self, message: object) -> str | bytes:
        """One message: `str` for a text frame, `bytes` for a binary one."""
        if isinstance(message, HandshakeRequestMessage):
            # Whatever the protocol, this is JSON.
            return JsonCodec().pack({"protocol": message.protocol, "version": message.version})
        fields: dict[str, Any]
        if isinstance(message, InvocationMessage):
            fields = {
                "type": message.type.value,
                "invocationId": message.invocation_id,
                "target": message.target,
                "arguments": message.arguments,
            }
        elif isinstance(message, PingMessage):
            fields = {"type": message.type.value}
        elif isinstance(message, CloseMessage):
            fields = {"type": message.type.value}
            if message.error is not None:
                fields["error"] = message.error
        else:
            raise TypeError(f"{type(message).__name__} is not a message that this client sends")
        return self._codec.pack(fields)

    def message_of(self, record: bytes) -> dict[str, Any]:
        """A record that the sink had no use for. Raises ValueError if it is no message."""
        return self._codec.unpack(record)

    def decode_handshake(self, raw_message: bytes) -> tuple[HandshakeResponseMessage, tuple[()]]:
        """The hub's answer to the handshake, from bytes that hold at least one whole record.

        What follows it in the same bytes goes to the sink, unless the answer is an error.
        """
        record, _, rest = raw_message.partition(SEPARATOR)
        error = _handshake_error(record)
        if error is None and rest:
            self.parse_messages(rest)
        return HandshakeResponseMessage(error), ()

    def parse_messages(self, raw_message: bytes) -> tuple[()]:
        """Hand a payload to the sink; there is nothing left to dispatch."""
        self._sink(raw_message)
        return ()


def _handshake_error(record: bytes) -> str | None:
    try:
        answer = json.loads(record)
    except ValueError:
        return "the answer is not JSON"
    if not isinstance(answer, dict):
        return "the answer is not a JSON object"
    if "type" in answer:
        return f"expected an answer to the handshake, got a message of type {answer['type']!r}"
    error = answer.get("error")
    return None if error is None else str(error)
