"""One WebSocket connection of the hub, from its upgrade to the end of its TCP connection.

An `asyncio.Protocol`, so that a frame is answered in the call that delivers it and no connection
needs a task of its own. `websockets` parses and writes frames (it answers pings and echoes a close
by itself); this module adds the SignalR handshake, invocations, keep-alive and time limits.
Compression is never agreed to.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN

from . import codec, faults
from .accounting import ClientFrame, ConnectionInfo, Sent, SentMessage
from .codec import CodecError, HubProtocol
from .encode import TARGETS
from .methods import answer
from .ticks import DEPTH, QUOTE, TRADE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from websockets.server import ServerProtocol

    from .core import Core

__all__ = ["Connection", "TickMessage"]


_LINGER_ZERO = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


class TickMessage(NamedTuple):
    """A WebSocket message that carries ticks, framed once for all connections that get it."""

    frame: bytes
    payload: bytes
    records: int
    trades: int
    quotes: int
    depth: int


class Connection(asyncio.Protocol):
    """State, counters and timers of one connection; used on the hub's loop only."""

    def __init__(self, core: Core, number: int, hub: str, ws: ServerProtocol) -> None:
        self.number = number
        self.hub = hub
        self.protocol: HubProtocol | None = None
        self.silenced = False
        self.subscriptions: set[tuple[str, str]] = set()
        self.keys: frozenset[int] = frozenset()
        """`Event.key`s of the subscriptions, for the stream."""
        self.wants_full: set[int] = set()
        """Instruments of which the next quote must be a full one."""
        self.sent_log: deque[SentMessage] = deque(maxlen=core.settings.keep_sent)
        self.ticks_sent = 0
        self.closed = asyncio.Event()

        self._core = core
        self._loop = core.loop
        self._ws = ws
        self._transport: asyncio.Transport | None = None
        self._handshake = b""
        self._fragments: list[bytes] = []
        self._fragments_binary = False
        self._received = 0
        self._trades = self._quotes = self._depth = self._records = self._messages = self._bytes = 0
        self._opened_ns = time.time_ns()
        self._closed_ns: int | None = None
        self._reason: str | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        now = self._loop.time()
        self._last_sent = self._last_heard = now
        limit = self._loop.call_later(core.settings.handshake_s, self._handshake_late)
        self._timers: dict[str, asyncio.TimerHandle] = {"handshake": limit}

    # What the hub reads.

    @property
    def streams(self) -> bool:
        """Whether it takes part in the stream now."""
        return bool(self.keys) and not self.silenced and self.is_open

    @property
    def is_open(self) -> bool:
        """Whether hub messages can be sent."""
        return self.protocol is not None and self._takes_messages

    @property
    def _takes_messages(self) -> bool:
        # What is sent counts as sent, so it must not be handed to a transport that throws it away.
        return self._ws.state is OPEN and self._transport is not None and not self._transport.is_closing()

    def info(self) -> ConnectionInfo:
        """A snapshot."""
        close = self._ws.close_rcvd
        return ConnectionInfo(
            id=self.number,
            hub=self.hub,
            protocol=None if self.protocol is None else self.protocol.name,
            subscriptions=frozenset(self.subscriptions),
            sent=self.sent(),
            received_messages=self._received,
            opened_ns=self._opened_ns,
            closed_ns=self._closed_ns,
            closed_reason=self._reason if self._closed_ns is not None else None,
            close_code=None if close is None else int(close.code),
        )

    def sent(self) -> Sent:
        """The counters of what was sent."""
        return Sent(self._trades, self._quotes, self._depth, self._records, self._messages, self._bytes)

    # asyncio.Protocol

    def adopt(self, transport: asyncio.Transport, trailing: bytes) -> None:
        """Take over the transport after the upgrade, with the bytes that came behind it."""
        self._transport = transport
        transport.set_protocol(self)
        transport.set_write_buffer_limits(high=self._core.settings.write_buffer_bytes)
        self._flush()
        if trailing:
            self.data_received(trailing)

    def data_received(self, data: bytes) -> None:
        self._ws.receive_data(data)
        self._flush()
        for event in self._ws.events_received():
            if isinstance(event, Frame):
                self._on_frame(event)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        for timer in self._timers.values():
            timer.cancel()
        self._closed_ns = time.time_ns()
        if self._reason is None:
            if self._ws.parser_exc is not None:
                self._reason = f"bad frame: {self._ws.parser_exc}"
            else:
                closed = self._ws.close_rcvd is not None
                self._reason = "client closed" if closed else "client dropped the link"
        self._writable.set()
        self.closed.set()
        self._core.lost(self)

    # Sending

    def send_ticks(self, messages: Sequence[TickMessage]) -> None:
        """Send messages of the stream; link faults that wait for a tick count strike in between."""
        if self._core.triggers or self.sent_log.maxlen:
            for message in messages:
                if self._send_batch((message,)) and self.sent_log.maxlen:
                    ticks = message.trades + message.quotes + message.depth
                    entry = SentMessage(self._messages, message.records, ticks, message.payload)
                    self.sent_log.append(entry)
                self._core.pull_triggers(self)
        else:
            self._send_batch(messages)

    def _send_batch(self, messages: Sequence[TickMessage]) -> bool:
        if not self.streams:
            return False
        for _, _, records, trades, quotes, depth in messages:
            self._records += records
            self._trades += trades
            self._quotes += quotes
            self._depth += depth
            self.ticks_sent += trades + quotes + depth
        self._messages += len(messages)
        self._write(b"".join([message.frame for message in messages]))
        return True

    def send_event(self, target: str, arguments: list[Any]) -> bool:
        """Send one event outside the stream; the elements of market events count as ticks."""
        if not self.is_open or self.silenced or self.protocol is None:
            return False
        self.send_message(self.protocol.invocation(target, arguments))
        if target in TARGETS:
            data = arguments[-1] if arguments else None
            ticks = len(data) if isinstance(data, list) and target != TARGETS[QUOTE] else 1
            self._trades += ticks * (target == TARGETS[TRADE])
            self._quotes += ticks * (target == TARGETS[QUOTE])
            self._depth += ticks * (target == TARGETS[DEPTH])
            self._records += 1
            self.ticks_sent += ticks
            self._core.pull_triggers(self)
        return True

    def send_ws_ping(self, payload: bytes) -> None:
        """Send a WebSocket ping."""
        if not self.silenced and self._takes_messages:
            self._ws.send_ping(payload)
            self._flush()

    def send_message(self, payload: bytes, *, text: bool | None = None) -> None:
        """Send one WebSocket message, in the frame type of the protocol unless told."""
        if self.silenced or not self._takes_messages:
            return
        if text is None:
            text = self.protocol is None or not self.protocol.binary
        if text:
            self._ws.send_text(payload)
        else:
            self._ws.send_binary(payload)
        self._messages += 1
        self._flush()

    async def drained(self) -> None:
        """Return once the client has taken enough for more to be written, or is gone."""
        await self._writable.wait()

    @property
    def backed_up(self) -> bool:
        """Whether the client takes less than it is sent."""
        return not self._writable.is_set()

    def _flush(self) -> None:
        for chunk in self._ws.data_to_send():
            if chunk:
                self._write(chunk)
            elif self._transport is not None and not self.silenced:
                # websockets marks the end of its side with an empty chunk. The server closes the
                # TCP connection first, which `close` does after what is still buffered.
                self._transport.close()

    def _write(self, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing() or self.silenced:
            return
        self._bytes += len(data)
        self._last_sent = self._loop.time()
        self._transport.write(data)

    # Receiving

    def _on_frame(self, frame: Frame) -> None:
        data = bytes(frame.data)
        match frame.opcode:
            case Opcode.TEXT | Opcode.BINARY if frame.fin:
                self._on_message(data, frame.opcode is Opcode.BINARY)
            case Opcode.TEXT | Opcode.BINARY:
                self._fragments, self._fragments_binary = [data], frame.opcode is Opcode.BINARY
            case Opcode.CONT:
                self._fragments.append(data)
                if frame.fin:
                    whole = b"".join(self._fragments)
                    self._fragments = []
                    self._on_message(whole, self._fragments_binary)
            case control:
                self._keep(control.name.lower(), data)

    def _keep(self, kind: str, payload: bytes) -> None:
        self._core.frames.append(ClientFrame(self.number, kind, payload))
        self._core.changed()

    def _on_message(self, payload: bytes, binary: bool) -> None:
        self._received += 1
        self._last_heard = self._loop.time()
        self._keep("binary" if binary else "text", payload)
        if self._reason is not None:
            return
        try:
            if self.protocol is None:
                self._on_handshake(payload)
            else:
                self._on_messages(self.protocol, payload)
        except CodecError as error:
            if self.protocol is None:
                self.send_message(codec.handshake_reply(str(error)))
            else:
                self.send_close_message("Connection closed with an error.", None)
            self.close(f"bad message: {error}")

    def _on_handshake(self, payload: bytes) -> None:
        self._handshake += payload
        record, separator, rest = self._handshake.partition(codec.RECORD_SEPARATOR)
        if not separator:
            return
        name, version = codec.parse_handshake(record)
        self._timers.pop("handshake").cancel()
        match self._core.gate.take("handshake"):
            case faults.NoAnswer():
                # Deaf from here on: later messages join a handshake that never completes.
                self._reason = "fault: handshake not answered"
                return
            case faults.HandshakeError(error=text):
                self.send_message(codec.handshake_reply(text))
                self.close("fault: handshake error")
                return
            case faults.Drop(how=how):
                self.drop(how, f"fault: dropped by {how.upper()} at the handshake")
                return
        protocol = codec.protocol_named(name)
        if protocol is None:
            self._refuse_handshake(f"The protocol '{name}' is not supported.")
            return
        if version != 1 or isinstance(version, bool):
            self._refuse_handshake(f"The server does not support version {version} of the '{name}' protocol.")
            return
        # The answer already goes out in the frame type of the protocol, as ASP.NET sends it.
        self.protocol = protocol
        self.send_message(codec.handshake_reply())
        settings = self._core.settings
        self._timers["ping"] = self._loop.call_later(settings.ping_s, self._ping_if_idle)
        self._timers["silence"] = self._loop.call_later(settings.silence_s, self._drop_if_silent)
        self._core.changed()
        if rest:
            self._on_messages(protocol, rest)

    def _refuse_handshake(self, why: str) -> None:
        self.send_message(codec.handshake_reply(why))
        self.close(f"handshake refused: {why}")

    def _on_messages(self, protocol: HubProtocol, payload: bytes) -> None:
        for message in protocol.parse(payload):
            match message.type:
                case codec.INVOCATION | codec.STREAM_INVOCATION:
                    self._on_invocation(protocol, message)
                case codec.CLOSE:
                    self.close("client sent Close")
                case _:
                    pass  # pings have been noted; completions, cancellations, acks concern nobody here

    def _on_invocation(self, protocol: HubProtocol, message: codec.ClientMessage) -> None:
        call, error = answer(self.hub, message.target, message.arguments, self._core.contracts)
        if message.type == codec.STREAM_INVOCATION:
            call, error = None, f"'{message.target}' is not a stream."
        # The completion goes out before the subscription counts, so that it precedes the first event.
        if message.invocation_id is not None:
            self.send_message(protocol.completion(message.invocation_id, error=error))
        if call is not None and call.action != "none":
            pair = (call.kind, call.contract)
            if call.action == "subscribe":
                self.subscriptions.add(pair)
            else:
                self.subscriptions.discard(pair)
            self._core.subscribed(self, call)

    # Keep-alive and time limits

    def _ping_if_idle(self) -> None:
        idle_s = self._loop.time() - self._last_sent
        wait_s = self._core.settings.ping_s - idle_s
        if wait_s <= 0:
            if self.protocol is not None:
                self.send_message(self.protocol.ping())
                self._core.changed()
            wait_s = self._core.settings.ping_s
        self._timers["ping"] = self._loop.call_later(wait_s, self._ping_if_idle)

    def _drop_if_silent(self) -> None:
        wait_s = self._core.settings.silence_s - (self._loop.time() - self._last_heard)
        if wait_s <= 0 and self._transport is not None:
            # Without the wait for what is buffered: a client that is gone will not take it.
            self._reason = self._reason or "client silent for too long"
            self._transport.abort()
        else:
            self._timers["silence"] = self._loop.call_later(wait_s, self._drop_if_silent)

    def _handshake_late(self) -> None:
        self.send_message(codec.handshake_reply("Handshake was canceled."))
        self.close("no handshake in time")

    # Ending

    def send_close_message(self, error: str | None, allow_reconnect: bool | None) -> None:
        """Send a SignalR Close message; the WebSocket stays open."""
        if self.protocol is not None:
            self.send_message(self.protocol.close(error, allow_reconnect))

    def close(self, reason: str, code: int = 1000) -> None:
        """Close the WebSocket; the TCP connection goes when the client echoes, or after a while."""
        if self._closed_ns is not None or self._transport is None:
            return
        self._reason = self._reason or reason
        if self._ws.state is OPEN:
            self._ws.send_close(code)
            self._flush()
        if "close" not in self._timers:
            limit_s = self._core.settings.close_s
            self._timers["close"] = self._loop.call_later(limit_s, self._transport.abort)

    def drop(self, how: Literal["fin", "rst"], reason: str) -> None:
        """End the TCP connection without a WebSocket close."""
        if self._closed_ns is not None or self._transport is None:
            return
        self._reason = self._reason or reason
        end_link(self._transport, how)

    def abort(self) -> None:
        """End the TCP connection at once, without what is still buffered."""
        if self._transport is not None:
            self._transport.abort()


def end_link(transport: asyncio.Transport, how: Literal["fin", "rst"]) -> None:
    """End a TCP connection: in order behind what was written, or by a reset."""
    if how == "fin":
        transport.close()
        return
    sock: socket.socket | None = transport.get_extra_info("socket")
    if sock is not None:
        # Lingering for zero seconds makes closing send RST instead of FIN.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
    transport.abort()
