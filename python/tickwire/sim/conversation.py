"""The SignalR side of a connection: handshake, invocations, subscriptions, and the faults at both.

It takes whole WebSocket messages in order, and answers through its connection. The order of things is
that of an ASP.NET hub: the handshake may come in parts and with calls behind it, its answer already
goes out in the frame type of the protocol, and a completion precedes the first event it brings about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from websockets.frames import Frame, Opcode

from . import codec, faults
from .codec import CodecError, HubProtocol
from .distortions import Distortion
from .messages import TickMessage, event_message
from .methods import Call, answer

if TYPE_CHECKING:
    from .connection import Connection
    from .core import Core

__all__ = ["Conversation"]


class Conversation:
    """What was agreed and subscribed to on one connection."""

    def __init__(self, core: Core, connection: Connection) -> None:
        self.protocol: HubProtocol | None = None
        self.subscriptions: set[tuple[str, str]] = set()
        self.starved: set[tuple[str, str]] = set()
        """Subscriptions that are never sent anything."""
        self.keys: frozenset[int] = frozenset()
        """`Event.key`s of the subscriptions that are served, for the stream."""
        self.wants_full: set[int] = set()
        """Instruments of which the next quote must be a full one."""
        self._core = core
        self._connection = connection
        self._shaken = False
        self._handshake = b""
        self._held: list[bytes] | None = None
        """Messages that wait behind a late handshake."""

    def take(self, payload: bytes) -> None:
        """Act on a message of the client."""
        if self._held is not None:
            self._held.append(payload)
            return
        try:
            if not self._shaken:
                self._on_handshake(payload)
            elif self.protocol is not None:
                self._on_messages(self.protocol, payload)
        except CodecError as error:
            if self._shaken:
                self.send_close("Connection closed with an error.", None)
            else:
                self.refuse(str(error))
            self._connection.close(f"bad message: {error}")

    def answer_early(self, glue: faults.Glue) -> tuple[bytes, TickMessage]:
        """The handshake's answer as a frame, and the events behind it, before anybody has asked."""
        self.protocol = codec.JsonProtocol()
        frame = Frame(Opcode.TEXT, codec.handshake_reply()).serialize(mask=False)
        return frame, event_message(self.protocol, glue.events)

    def refuse(self, error: str) -> None:
        """Answer the handshake with an error."""
        self._connection.send_message(codec.handshake_reply(error))

    # Sending

    def send_ping(self) -> None:
        """Send a keep-alive."""
        if self.protocol is not None:
            self._connection.send_message(self.protocol.ping())

    def send_close(self, error: str | None, allow_reconnect: bool | None) -> None:
        """Send a Close message; the WebSocket stays open."""
        if self.protocol is not None:
            self._connection.send_message(self.protocol.close(error, allow_reconnect))

    # Handshake

    def _on_handshake(self, payload: bytes) -> None:
        self._handshake += payload
        record, separator, rest = self._handshake.partition(codec.RECORD_SEPARATOR)
        if not separator:
            return
        name, version = codec.parse_handshake(record)
        self._connection.handshake_came()
        self._shaken = True
        fault = self._core.armed.take("handshake", self._connection.path)
        match fault:
            case faults.Late(seconds=seconds):
                self._held = []
                self._connection.later(seconds, lambda: self._shake_late(name, version, rest))
            case faults.NoAnswer():
                # Deaf from here on: later messages wait behind a handshake that never completes.
                self._held = []
            case faults.HandshakeError(error=text):
                self.refuse(text)
                self._connection.close("fault: handshake error")
            case faults.Drop(at=str()):
                self._connection.drop(fault, " at the handshake")
            case _:
                self._shake(name, version, rest, fault)

    def _shake_late(self, name: object, version: object, rest: bytes) -> None:
        held, self._held = self._held or [], None
        self._shake(name, version, b"", None)
        for payload in [rest, *held]:
            if payload:
                self.take(payload)

    def _shake(
        self,
        name: object,
        version: object,
        rest: bytes,
        fault: faults.GateFault | faults.LinkFault | None,
    ) -> None:
        protocol = codec.protocol_named(name)
        why = ""
        if protocol is None:
            why = f"The protocol '{name}' is not supported."
        elif version != 1 or isinstance(version, bool):
            why = f"The server does not support version {version} of the '{name}' protocol."
        if protocol is None or why:
            self.refuse(why)
            self._connection.close(f"handshake refused: {why}")
            return
        early, self.protocol = self.protocol is not None, protocol
        self._strike_ahead(fault)
        if isinstance(fault, faults.Glue):
            events = event_message(protocol, fault.events)
            self._connection.outbox.ticks(events.behind(codec.handshake_reply()))
        elif not early:
            self._connection.send_message(codec.handshake_reply())
        self._strike_behind(fault)
        self._connection.keepalive.begin()
        self._core.changed()
        if rest:
            self._on_messages(protocol, rest)

    # Link faults at a stage strike behind its answer, and distortions take it in.

    def _strike_ahead(self, fault: faults.GateFault | faults.LinkFault | None) -> None:
        if isinstance(fault, Distortion):
            self._core.armed.strike(fault, self._connection)

    def _strike_behind(self, fault: faults.GateFault | faults.LinkFault | None) -> None:
        if isinstance(fault, faults.LinkFault) and not isinstance(fault, Distortion):
            self._core.armed.strike(fault, self._connection)

    # Invocations

    def _on_messages(self, protocol: HubProtocol, payload: bytes) -> None:
        for message in protocol.parse(payload):
            if self._connection.is_ending:
                return
            match message.type:
                case codec.INVOCATION | codec.STREAM_INVOCATION:
                    self._on_invocation(protocol, message)
                case codec.CLOSE:
                    self._connection.close("client sent Close")
                case _:
                    pass  # pings have been noted; completions, cancellations, acks concern nobody here

    def _on_invocation(self, protocol: HubProtocol, message: codec.ClientMessage) -> None:
        if not self._connection.takes_messages:
            return  # a fault or a Close ahead of it has ended the connection
        if not message.target.startswith("Subscribe"):
            self._complete(protocol, message)
            return
        fault = self._core.armed.take("subscribe", message.target)
        match fault:
            case faults.Late(seconds=seconds):
                self._connection.later(seconds, lambda: self._complete(protocol, message))
            case faults.NoAnswer():
                pass
            case faults.SubscribeError(error=error):
                self._answer(protocol, message, error)
            case faults.Drop(at=str()):
                self._connection.drop(fault, f" at {message.target}")
            case faults.NoData():
                self._complete(protocol, message, served=False)
            case _:
                self._strike_ahead(fault)
                self._complete(protocol, message)
                self._strike_behind(fault)

    def _complete(self, protocol: HubProtocol, message: codec.ClientMessage, *, served: bool = True) -> None:
        if not self._connection.takes_messages:
            return
        call, error = answer(self._connection.hub, message.target, message.arguments, self._core.contracts)
        if message.type == codec.STREAM_INVOCATION:
            call, error = None, f"'{message.target}' is not a stream."
        self._answer(protocol, message, error)
        if call is not None and call.action != "none":
            self._enter(call, served)

    def _answer(self, protocol: HubProtocol, message: codec.ClientMessage, error: str | None) -> None:
        if message.invocation_id is not None:
            self._connection.send_message(protocol.completion(message.invocation_id, error=error))

    def _enter(self, call: Call, served: bool) -> None:
        pair = (call.kind, call.contract)
        if call.action == "subscribe":
            self.subscriptions.add(pair)
            (self.starved.discard if served else self.starved.add)(pair)
        else:
            self.subscriptions.discard(pair)
            self.starved.discard(pair)
        self.keys = self._core.keys_of(self.subscriptions - self.starved)
        symbol = self._core.symbol_index.get(call.contract)
        if call.kind == "quote" and symbol is not None:
            (self.wants_full.add if call.action == "subscribe" else self.wants_full.discard)(symbol)
        stream = self._core.stream
        begins = call.action == "subscribe" and served
        if call.kind == "depth" and begins and symbol is not None and stream is not None:
            stream.send_book(self._connection, symbol)
        self._core.changed()
