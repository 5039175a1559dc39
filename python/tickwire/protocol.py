"""SignalR's JSON hub protocol as this package speaks it through signalrcore.

Outgoing messages are encoded here: handshake version 1, and never headers inside a message, which
no hub may interpret and where a token would end up in captures. Incoming payloads are not parsed
here: they go to a sink as they are, and what the sink has no use for comes back to the hub object
by another way. MessagePack is not spoken.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from signalrcore.messages.close_message import CloseMessage
from signalrcore.messages.handshake.request import HandshakeRequestMessage
from signalrcore.messages.handshake.response import HandshakeResponseMessage
from signalrcore.messages.invocation_message import InvocationMessage
from signalrcore.messages.ping_message import PingMessage
from signalrcore.protocol.base_hub_protocol import BaseHubProtocol
from signalrcore.types import RECORD_SEPARATOR, HubProtocolEncoding

__all__ = ["SEPARATOR", "RawJsonProtocol"]

SEPARATOR = b"\x1e"
"""Ends every record, the handshake's two included."""

_VERSION = 1


class RawJsonProtocol(BaseHubProtocol):  # type: ignore[misc]
    """Encodes what the client says, hands on what the hub says.

    `sink` gets the bytes of every payload after the handshake, possibly several records, on the
    thread that reads the socket.
    """

    def __init__(self, sink: Callable[[bytes], None]) -> None:
        super().__init__("json", _VERSION, HubProtocolEncoding.text, RECORD_SEPARATOR)
        self._sink = sink

    def encode(self, message: object) -> str:
        """One record, with its separator."""
        body: dict[str, Any]
        if isinstance(message, HandshakeRequestMessage):
            body = {"protocol": message.protocol, "version": message.version}
        elif isinstance(message, InvocationMessage):
            body = {
                "type": message.type.value,
                "invocationId": message.invocation_id,
                "target": message.target,
                "arguments": message.arguments,
            }
        elif isinstance(message, PingMessage):
            body = {"type": message.type.value}
        elif isinstance(message, CloseMessage):
            body = {"type": message.type.value}
            if message.error is not None:
                body["error"] = message.error
        else:
            raise TypeError(f"{type(message).__name__} is not a message that this client sends")
        return json.dumps(body, separators=(",", ":")) + str(RECORD_SEPARATOR)

    def decode_handshake(self, raw_message: bytes) -> tuple[HandshakeResponseMessage, tuple[()]]:
        """The hub's answer to the handshake, from bytes that hold at least one whole record.

        Records that follow it in the same bytes go to the sink, unless the answer is an error.
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
