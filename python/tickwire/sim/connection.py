"""One WebSocket connection of the hub, from its upgrade to the end of its TCP connection.

An `asyncio.Protocol`, so that a frame is answered in the call that delivers it and no connection
needs a task of its own. `websockets` parses frames, answers pings and echoes a close; `conversation`
speaks SignalR, `outbox` sends, `keepalive` watches the time. Compression is never agreed to.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN

from .accounting import ClientFrame, ConnectionInfo
from .conversation import Conversation
from .distortions import Distortion
from .faults import CloseFrame, Drop, GateFault, Glue, Inject, LinkFault
from .keepalive import KeepAlive
from .link import end_link, undelivered_bytes
from .messages import event_message, opcode_of
from .outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from websockets.server import ServerProtocol

    from .core import Core
    from .messages import TickMessage
    from .tokens import Grant

__all__ = ["Connection"]

_SETTLE_POLL_S = 0.001


class Connection(asyncio.Protocol):
    """State and timers of one connection; used on the hub's loop only.

    Args:
        core: the hub.
        number: from 1 up.
        hub: "market" or "user".
        path: of the request.
        ws: the protocol of `websockets`, with the upgrade's answer waiting in it.
        grant: what its token grants, or None without one.
    """

    def __init__(
        self, core: Core, number: int, hub: str, path: str, ws: ServerProtocol, grant: Grant | None
    ) -> None:
        self.number = number
        self.hub = hub
        self.path = path
        self.grant = grant
        self.closed = asyncio.Event()
        self.outbox = Outbox(core.loop, core.settings, self._on_ticks)
        self.conversation = Conversation(core, self)
        self.keepalive = KeepAlive(core, self)

        self._core = core
        self._loop = core.loop
        self._ws = ws
        self._transport: asyncio.Transport | None = None
        self._fragments: list[bytes] = []
        self._fragments_binary = False
        self._received = 0
        self._pongs = 0
        self._opened_ns = core.clock.now_ns()
        self._closed_ns: int | None = None
        self._reason: str | None = None
        self._ending = False
        self._held_open = False
        self._later: set[asyncio.TimerHandle] = set()
        self._handshake_limit = self._loop.call_later(core.settings.handshake_s, self._handshake_late)
        self._close_limit: asyncio.TimerHandle | None = None
        self._slow_limit: asyncio.TimerHandle | None = None

    # What the hub reads

    @property
    def streams(self) -> bool:
        """Whether it takes part in the stream now."""
        return bool(self.conversation.keys) and not self.outbox.silenced and self.is_open

    @property
    def is_open(self) -> bool:
        """Whether hub messages can be sent."""
        return self.conversation.protocol is not None and self.takes_messages

    @property
    def is_ending(self) -> bool:
        """Whether a Close or a fault has begun to end it, so that what comes behind is not looked at."""
        return self._reason is not None or self._ending

    @property
    def takes_messages(self) -> bool:
        """Whether WebSocket messages can be sent."""
        open_ = self._ws.state is OPEN and not self._ending
        return open_ and self._transport is not None and not self._transport.is_closing()

    @property
    def user(self) -> str | None:
        """Whose token opened it."""
        return None if self.grant is None else self.grant.sub

    def info(self) -> ConnectionInfo:
        """A snapshot."""
        close = self._ws.close_rcvd
        protocol = self.conversation.protocol
        return ConnectionInfo(
            id=self.number,
            hub=self.hub,
            user=self.user,
            protocol=None if protocol is None else protocol.name,
            subscriptions=frozenset(self.conversation.subscriptions),
            sent=self.outbox.sent(),
            duplicated=self.outbox.duplicated,
            lost=self.outbox.lost,
            received_messages=self._received,
            pongs=self._pongs,
            opened_ns=self._opened_ns,
            closed_ns=self._closed_ns,
            closed_reason=self._reason if self._closed_ns is not None else None,
            close_code=None if close is None else int(close.code),
        )

    # asyncio.Protocol

    def adopt(
        self, transport: asyncio.Transport, trailing: bytes, fault: GateFault | LinkFault | None
    ) -> None:
        """Take over the transport at the upgrade, with the bytes that came behind the request.

        A fault that struck the upgrade strikes behind its answer; a distortion takes the answer in.
        """
        self._transport = transport
        self.outbox.attach(transport)
        transport.set_protocol(self)
        transport.set_write_buffer_limits(high=self._core.settings.write_buffer_bytes)
        if isinstance(fault, Distortion):
            self.outbox.distort(fault)
        if isinstance(fault, Glue):
            answer, events = self.conversation.answer_early(fault)
            self.outbox.glued(b"".join(self._ws.data_to_send()) + answer, events, messages=2)
        else:
            self._flush()
        if isinstance(fault, LinkFault) and not isinstance(fault, Distortion):
            self._core.armed.strike(fault, self)
        self._core.armed.pull(self)
        if trailing:
            self.data_received(trailing)

    def data_received(self, data: bytes) -> None:
        self._ws.receive_data(data)
        self._flush()
        for event in self._ws.events_received():
            if isinstance(event, Frame):
                self._on_frame(event)

    def pause_writing(self) -> None:
        self.outbox.pause()
        slow_s = self._core.settings.slow_s
        if slow_s is not None:
            self._slow_limit = self._loop.call_later(slow_s, self.abort, "client too slow")

    def resume_writing(self) -> None:
        self.outbox.unpause()
        if self._slow_limit is not None:
            self._slow_limit.cancel()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        for timer in (self._handshake_limit, self._close_limit, self._slow_limit, *self._later):
            if timer is not None:
                timer.cancel()
        self.keepalive.stop()
        self.outbox.close()
        self._closed_ns = self._core.clock.now_ns()
        if self._reason is None:
            if self._ws.parser_exc is not None:
                self._reason = f"bad frame: {self._ws.parser_exc}"
            else:
                closed = self._ws.close_rcvd is not None
                self._reason = "client closed" if closed else "client dropped the link"
        self.closed.set()
        self._core.lost(self)

    def later(self, seconds: float, function: Callable[[], None]) -> None:
        """Call something in so many seconds, unless the connection is gone by then."""

        def call() -> None:
            self._later.discard(timer)
            function()

        timer = self._loop.call_later(seconds, call)
        self._later.add(timer)

    # Sending

    def send_ticks(self, messages: Sequence[TickMessage]) -> None:
        """Send messages of the stream; faults that wait for a tick count strike in between."""
        if self.outbox.plain and not self._core.armed.watching:
            if self.streams:
                self.outbox.batch(messages)
            return
        for message in messages:
            if self.streams:
                self.outbox.ticks(message)

    def send_event(self, target: str, arguments: list[Any]) -> bool:
        """Send one event outside the stream; the elements of market events count as ticks."""
        protocol = self.conversation.protocol
        if protocol is None or not self.takes_messages or self.outbox.silenced:
            return False
        message = event_message(protocol, [(target, *arguments)])
        if message.records:
            self.outbox.ticks(message)
        else:
            self.outbox.message(message.opcode, message.payload)
        return True

    def send_message(self, payload: bytes, *, text: bool | None = None) -> None:
        """Send one WebSocket message, in the frame type of the protocol unless told."""
        if not self.takes_messages:
            return
        protocol = self.conversation.protocol
        if text is not None:
            opcode = Opcode.TEXT if text else Opcode.BINARY
        else:
            opcode = Opcode.TEXT if protocol is None else opcode_of(protocol)
        self.outbox.message(opcode, payload)

    def _on_ticks(self) -> None:
        self._core.armed.pull(self)
        self._core.ask_waiters()

    def _flush(self) -> None:
        for chunk in self._ws.data_to_send():
            if chunk and not self._ending:
                self.outbox.raw(chunk)
            elif not chunk and not self._held_open:
                # websockets marks the end of its side with an empty chunk. The server closes the
                # TCP connection first, which the transport does behind what is still buffered.
                self.outbox.end()

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
                if control is Opcode.PONG:
                    self._pongs += 1
                    self.keepalive.ponged(data)
                self._keep(control.name.lower(), data)

    def _keep(self, kind: str, payload: bytes) -> None:
        self._core.frames.append(ClientFrame(self.number, kind, payload))
        self._core.changed()

    def _on_message(self, payload: bytes, binary: bool) -> None:
        self._received += 1
        self.keepalive.heard()
        self._keep("binary" if binary else "text", payload)
        if not self.is_ending:
            self.conversation.take(payload)

    def handshake_came(self) -> None:
        """The client's handshake has been read."""
        self._handshake_limit.cancel()

    def _handshake_late(self) -> None:
        self.conversation.refuse("Handshake was canceled.")
        self.close("no handshake in time")

    # Ending

    def close(self, reason: str, code: int = 1000) -> None:
        """Close the WebSocket; the TCP connection goes when the client echoes, or after a while."""
        if self._closed_ns is not None or self._transport is None or self.outbox.silenced:
            return
        self._reason = self._reason or reason
        if self._ws.state is OPEN and not self._ending:
            self._ws.send_close(code)
            self._flush()
        self._limit_close()

    def close_frame(self, fault: CloseFrame) -> None:
        """Send the close frame of a fault."""
        if not self.takes_messages or self._transport is None or self.outbox.silenced:
            return
        code = "without a code" if fault.code is None else fault.code
        self._reason = self._reason or f"fault: close frame {code}"
        payload = b"" if fault.code is None else fault.code.to_bytes(2, "big") + fault.reason.encode()
        # By hand: websockets sends none of the codes that are not allowed.
        self.outbox.raw(Frame(Opcode.CLOSE, payload).serialize(mask=False))
        self._ending = True
        self._held_open = fault.end == "never"
        if fault.end == "echo":
            self._limit_close()
        elif fault.end == "fin":
            self.outbox.end()
        elif fault.end == "rst":
            self._settle_and_reset()

    def drop(self, fault: Drop, where: str = "") -> None:
        """End the TCP connection without a WebSocket close."""
        if self._closed_ns is not None or self._transport is None:
            return
        self._reason = self._reason or f"fault: dropped by {fault.how.upper()}{where}"
        self._ending = True
        if fault.settle and fault.how == "rst":
            self._settle_and_reset()
        else:
            end_link(self._transport, fault.how)

    def abort(self, reason: str = "") -> None:
        """End the TCP connection at once, without what is still buffered."""
        if self._transport is not None:
            self._reason = self._reason or reason or None
            self._transport.abort()

    def _limit_close(self) -> None:
        if self._close_limit is None:
            self._close_limit = self._loop.call_later(self._core.settings.close_s, self.abort)

    def _settle_and_reset(self, until_s: float | None = None) -> None:
        if self._transport is None or self._closed_ns is not None:
            return
        limit_s = self._loop.time() + self._core.settings.close_s if until_s is None else until_s
        waiting = undelivered_bytes(self._transport) or not self.outbox.empty
        if waiting and self._loop.time() < limit_s:
            self.later(_SETTLE_POLL_S, lambda: self._settle_and_reset(limit_s))
        else:
            end_link(self._transport, "rst")

    # Link faults

    def silence(self, *, reading: bool) -> None:
        """Send nothing more, and read nothing more either unless told to."""
        self.outbox.silence()
        if not reading and self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        """End silence and distortions."""
        self.outbox.resume()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def inject(self, fault: Inject) -> None:
        """Send the bytes of a fault."""
        if fault.glued:
            self.outbox.glue(fault.payload)
        elif fault.form == "bytes":
            if self.takes_messages:
                self.outbox.raw(fault.payload)
        else:
            text = None if fault.form == "message" else fault.form == "text"
            self.send_message(fault.payload, text=text)
