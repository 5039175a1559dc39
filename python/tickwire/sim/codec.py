"""The two hub protocols, as a server speaks them: JSON in text frames, MessagePack in binary ones.

Written from the SignalR specification and sharing nothing with tickwire's client, so that a mistake
in one codec shows up against the other. Streams, client results and stateful reconnect are not
spoken: a stream invocation is parsed, and the hub answers it with an error.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Protocol

import msgpack

__all__ = [
    "CLOSE",
    "INVOCATION",
    "RECORD_SEPARATOR",
    "STREAM_INVOCATION",
    "ClientMessage",
    "CodecError",
    "HubProtocol",
    "JsonProtocol",
    "MessagePackProtocol",
    "handshake_reply",
    "parse_handshake",
    "protocol_named",
]

RECORD_SEPARATOR = b"\x1e"

INVOCATION, STREAM_ITEM, COMPLETION, STREAM_INVOCATION, CANCEL, PING, CLOSE = range(1, 8)
_ERROR_RESULT, _VOID_RESULT, _VALUE_RESULT = 1, 2, 3

_to_json = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class CodecError(ValueError):
    """The client sent bytes that are no hub message."""


@dataclass(frozen=True, slots=True)
class ClientMessage:
    """A message of a client; fields that its type does not have are empty."""

    type: int
    invocation_id: str | None = None
    target: str = ""
    arguments: tuple[Any, ...] = ()
    error: str | None = None


class HubProtocol(Protocol):
    """What the connection needs of a protocol; payloads are whole WebSocket messages."""

    name: str
    binary: bool

    def parse(self, payload: bytes) -> list[ClientMessage]:
        """All messages of one payload, or CodecError."""

    def invocation(self, target: str, arguments: list[Any]) -> bytes:
        """A call that expects no answer: how a hub sends events."""

    def completion(self, invocation_id: str, *, error: str | None = None) -> bytes:
        """The end of an invocation, without a result."""

    def ping(self) -> bytes:
        """A keep-alive."""

    def close(self, error: str | None, allow_reconnect: bool | None) -> bytes:
        """The last message of a connection."""


class JsonProtocol:
    """JSON records, each followed by 0x1E."""

    name = "json"
    binary = False

    def parse(self, payload: bytes) -> list[ClientMessage]:
        if not payload.endswith(RECORD_SEPARATOR):
            raise CodecError("the payload does not end with 0x1E")
        messages = []
        for record in payload[:-1].split(RECORD_SEPARATOR):
            try:
                fields = json.loads(record)
            except (ValueError, RecursionError) as error:
                raise CodecError(f"a record is not JSON: {error}") from error
            if not isinstance(fields, dict):
                raise CodecError(f"a record is a JSON {type(fields).__name__}, expected an object")
            messages.append(
                _checked(
                    fields.get("type"),
                    fields.get("invocationId"),
                    fields.get("target"),
                    fields.get("arguments"),
                    fields.get("error"),
                )
            )
        return messages

    def invocation(self, target: str, arguments: list[Any]) -> bytes:
        return self._record({"type": INVOCATION, "target": target, "arguments": arguments})

    def completion(self, invocation_id: str, *, error: str | None = None) -> bytes:
        outcome = {} if error is None else {"error": error}
        return self._record({"type": COMPLETION, "invocationId": invocation_id, **outcome})

    def ping(self) -> bytes:
        return self._record({"type": PING})

    def close(self, error: str | None, allow_reconnect: bool | None) -> bytes:
        fields: dict[str, Any] = {"type": CLOSE}
        if error is not None:
            fields["error"] = error
        if allow_reconnect is not None:
            fields["allowReconnect"] = allow_reconnect
        return self._record(fields)

    @staticmethod
    def _record(fields: dict[str, Any]) -> bytes:
        return _to_json(fields).encode() + RECORD_SEPARATOR


class MessagePackProtocol:
    """MessagePack arrays, each after its length as a varint."""

    name = "messagepack"
    binary = True

    def parse(self, payload: bytes) -> list[ClientMessage]:
        messages = []
        at = 0
        while at < len(payload):
            length, at = _read_varint(payload, at)
            body = payload[at : at + length]
            if len(body) != length:
                raise CodecError(f"a message of {length} bytes is cut off after {len(body)}")
            at += length
            try:
                items = msgpack.unpackb(body)
            except Exception as error:
                # msgpack raises ValueErrors, its own exceptions and UnicodeDecodeError by turns.
                raise CodecError(f"a message is not MessagePack: {error}") from error
            if not isinstance(items, list) or not items:
                raise CodecError("a message is not a MessagePack array with a type")
            messages.append(self._message(items))
        return messages

    @staticmethod
    def _message(items: list[Any]) -> ClientMessage:
        items = items + [None] * 6
        match items[0]:
            case 1 | 4:  # [type, headers, id, target, arguments, stream ids]
                return _checked(items[0], items[2], items[3], items[4], None)
            case 3:  # [type, headers, id, result kind, result]
                return _checked(3, items[2], None, None, None)
            case 7:  # [type, error, allow reconnect]
                return _checked(7, None, None, None, items[1])
            case other:
                return _checked(other, None, None, None, None)

    def invocation(self, target: str, arguments: list[Any]) -> bytes:
        return _with_length(msgpack.packb([INVOCATION, {}, None, target, arguments, []]))

    def completion(self, invocation_id: str, *, error: str | None = None) -> bytes:
        outcome = [_VOID_RESULT] if error is None else [_ERROR_RESULT, error]
        return _with_length(msgpack.packb([COMPLETION, {}, invocation_id, *outcome]))

    def ping(self) -> bytes:
        return _with_length(msgpack.packb([PING]))

    def close(self, error: str | None, allow_reconnect: bool | None) -> bytes:
        tail = [] if allow_reconnect is None else [allow_reconnect]
        return _with_length(msgpack.packb([CLOSE, error, *tail]))


def _checked(kind: Any, invocation_id: Any, target: Any, arguments: Any, error: Any) -> ClientMessage:
    """Types of the fields that the hub acts on; unknown message types pass and are ignored later."""
    if not isinstance(kind, int) or isinstance(kind, bool):
        raise CodecError(f"a message has the type {kind!r}, expected an integer")
    if invocation_id is not None and not isinstance(invocation_id, str):
        raise CodecError(f"an invocation id is {invocation_id!r}, expected a string")
    if kind in (INVOCATION, STREAM_INVOCATION):
        if not isinstance(target, str):
            raise CodecError(f"an invocation has the target {target!r}, expected a string")
        if not isinstance(arguments, list):
            raise CodecError(f"an invocation has the arguments {arguments!r}, expected an array")
        return ClientMessage(kind, invocation_id, target, tuple(arguments))
    return ClientMessage(kind, invocation_id, error=error if isinstance(error, str) else None)


def _read_varint(payload: bytes, at: int) -> tuple[int, int]:
    """The length at `at` (seven bits a byte, lowest first, five bytes at most), and where it ends."""
    value = 0
    for position in range(5):
        if at + position >= len(payload):
            raise CodecError("a length prefix is cut off")
        byte = payload[at + position]
        value |= (byte & 0x7F) << (7 * position)
        if not byte & 0x80:
            return value, at + position + 1
    raise CodecError("a length prefix is longer than five bytes")


def _with_length(body: bytes) -> bytes:
    length = len(body)
    prefix = bytearray()
    while True:
        length, low = length >> 7, length & 0x7F
        prefix.append(low | 0x80 if length else low)
        if not length:
            return bytes(prefix) + body


_PROTOCOLS: tuple[HubProtocol, ...] = (JsonProtocol(), MessagePackProtocol())


def protocol_named(name: object) -> HubProtocol | None:
    """The protocol that a handshake asks for, or None."""
    return next((protocol for protocol in _PROTOCOLS if protocol.name == name), None)


def parse_handshake(record: bytes) -> tuple[object, object]:
    """Protocol name and version of a handshake record without its 0x1E, or CodecError."""
    try:
        fields = json.loads(record)
    except ValueError as error:
        raise CodecError(f"the handshake is not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise CodecError("the handshake is not a JSON object")
    return fields.get("protocol"), fields.get("version")


def handshake_reply(error: str | None = None) -> bytes:
    """The answer to a handshake; it is JSON whatever the protocol."""
    return _to_json({} if error is None else {"error": error}).encode() + RECORD_SEPARATOR
