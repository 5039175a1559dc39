"""The sending side of one connection: distortions, what goes out when, and the accounts of it.

Nothing is counted before it has been handed to the transport, so that the counters tell what was
really sent: a copy counts again, and what a fault swallowed does not count. A message of ticks that
goes in pieces counts with its last one. Without distortions everything is written at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from websockets.frames import Frame, Opcode

from .accounting import Sent, SentMessage
from .distortions import (
    Chosen,
    Delay,
    Distortion,
    Dribble,
    Duplicate,
    Fragment,
    Lose,
    Pace,
    Reorder,
    Selection,
    Split,
    cut,
    fragments,
)
from .loop import EARLY_S

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .messages import TickMessage
    from .settings import Settings

__all__ = ["Outbox"]

_DELAYED_BYTES = 16 * 1024 * 1024
"""What may be under way on a delayed link; from there on it is backed up."""


@dataclass(slots=True)
class _Parcel:
    """Bytes on their way out, and what is entered when the last of them has gone.

    Attributes:
        data: what is left of them.
        messages: WebSocket messages that end with them.
        chosen: the message of ticks that ends with them.
        last: end the TCP connection behind them.
        due_s: when they may go, on the loop's clock.
        begun: whether a part of them has gone.
    """

    data: bytes
    messages: int = 0
    chosen: Chosen | None = None
    last: bool = False
    due_s: float = 0.0
    begun: bool = False


class Outbox:
    """Takes what a connection sends, and hands it to the transport.

    Args:
        loop: the hub's.
        settings: the hub's.
        on_ticks: called behind each message of ticks that did not go out in a batch.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, settings: Settings, on_ticks: Callable[[], None]
    ) -> None:
        self.log: deque[SentMessage] = deque(maxlen=settings.keep_sent)
        self.ticks_sent = 0
        self.duplicated = 0
        self.last_write_s = loop.time()
        self._loop = loop
        self._buffer_bytes = settings.write_buffer_bytes
        self._on_ticks = on_ticks
        self._transport: asyncio.Transport | None = None
        self._silenced = False
        self._trades = self._quotes = self._depth = self._records = self._messages = self._bytes = 0
        self._swallowed = 0

        self._selection: Selection | None = None
        self._split: Split | None = None
        self._fragment: Fragment | None = None
        self._pace: Pace | None = None
        self._dribble: Dribble | None = None
        self._prefix = b""

        self._queue: deque[_Parcel] = deque()
        self._queued_bytes = 0
        self._timer: asyncio.Handle | None = None
        self._full = False
        self._room = asyncio.Event()
        self._empty = asyncio.Event()
        self._note_levels()

    # Accounts

    def sent(self) -> Sent:
        """The counters of what was sent."""
        return Sent(self._trades, self._quotes, self._depth, self._records, self._messages, self._bytes)

    @property
    def lost(self) -> int:
        """Ticks that were to be sent and that a fault swallowed."""
        return self._swallowed + (0 if self._selection is None else self._selection.lost_ticks)

    # Sending

    def attach(self, transport: asyncio.Transport) -> None:
        """Write to this transport from now on."""
        self._transport = transport

    @property
    def plain(self) -> bool:
        """Whether messages of ticks may go out in batches: nothing looks at each of them."""
        watched = self._selection or self._split or self._fragment or self._prefix or self.log.maxlen
        return self._direct and not watched

    def batch(self, messages: Sequence[TickMessage]) -> None:
        """Send messages of ticks in one write; only while `plain`."""
        if self._write(b"".join([message.frame for message in messages])):
            self._messages += len(messages)
            for message in messages:
                self._enter(message)

    def ticks(self, message: TickMessage) -> None:
        """Send one message of ticks, or what the distortions make of it."""
        if self._prefix:
            message, self._prefix = message.behind(self._prefix), b""
        if self._selection is None:
            self._pack(Chosen(message, False))
        else:
            for chosen in self._selection.feed(message):
                self._pack(chosen)

    def message(self, opcode: Opcode, payload: bytes) -> None:
        """Send one WebSocket message without ticks."""
        self._post(_Parcel(self._framed(opcode, payload), messages=1))

    def glued(self, data: bytes, message: TickMessage, messages: int) -> None:
        """Send bytes with a message of ticks behind them in one write."""
        self._post(_Parcel(data + message.frame, messages, Chosen(message, False)))

    def raw(self, data: bytes) -> None:
        """Send bytes that are no message: control frames, HTTP."""
        self._post(_Parcel(data))

    def end(self) -> None:
        """End the TCP connection behind all that was sent."""
        self._post(_Parcel(b"", last=True))

    # Distortions

    @property
    def silenced(self) -> bool:
        """Whether everything that is sent is swallowed."""
        return self._silenced

    def silence(self) -> None:
        """Swallow everything from now on."""
        self._silenced = True

    def distort(self, distortion: Distortion) -> None:
        """Let a distortion take effect, in the place of the one of its sort."""
        match distortion:
            case Lose() | Duplicate() | Reorder():
                if self._selection is None:
                    self._selection = Selection()
                self._selection.set(distortion)
            case Split():
                self._split = distortion
            case Fragment():
                self._fragment = distortion
            case Delay():
                self._pace = Pace(distortion)
            case Dribble():
                self._dribble = distortion

    def glue(self, prefix: bytes) -> None:
        """Put bytes in front of the next message of ticks."""
        self._prefix += prefix

    def release(self) -> None:
        """Send what distortions hold back to choose from."""
        if self._selection is not None:
            for chosen in self._selection.rest():
                self._pack(chosen)

    def resume(self) -> None:
        """End silence and all distortions; what they held back goes out now, in order."""
        self._silenced = False
        self.release()
        if self._selection is not None:
            self._swallowed += self._selection.lost_ticks
        self._selection = self._split = self._fragment = self._pace = self._dribble = None
        for parcel in self._queue:
            parcel.due_s = 0.0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._arm()

    # How full it is

    def pause(self) -> None:
        """The transport has more than it can send."""
        self._full = True
        self._note_levels()

    def unpause(self) -> None:
        """The transport takes more."""
        self._full = False
        self._note_levels()

    @property
    def backed_up(self) -> bool:
        """Whether the client takes less than it is sent."""
        return not self._room.is_set()

    async def drained(self) -> None:
        """Return once more can be sent, or the connection is gone."""
        await self._room.wait()

    @property
    def empty(self) -> bool:
        """Whether everything has been handed to the transport."""
        return not self._queue

    async def emptied(self) -> None:
        """Return once everything has been handed to the transport, or the connection is gone."""
        await self._empty.wait()

    def close(self) -> None:
        """The connection is gone."""
        self.release()
        if self._timer is not None:
            self._timer.cancel()
        while self._queue:
            self._swallow(self._queue.popleft())
        self._queued_bytes = 0
        self._full = False
        self._note_levels()

    # The way out

    @property
    def _direct(self) -> bool:
        return self._pace is None and self._dribble is None and not self._queue

    def _framed(self, opcode: Opcode, payload: bytes) -> bytes:
        if self._fragment is None:
            return Frame(opcode, payload).serialize(mask=False)
        return fragments(opcode, payload, self._fragment)

    def _pack(self, chosen: Chosen) -> None:
        message = chosen.message
        if self._split is None and self._fragment is None:
            self._post(_Parcel(message.frame, 1, chosen))
            return
        payloads = [message.payload] if self._split is None else cut(message.payload, self._split)
        for payload in payloads[:-1]:
            self._post(_Parcel(self._framed(message.opcode, payload), 1))
        self._post(_Parcel(self._framed(message.opcode, payloads[-1]), 1, chosen))

    def _post(self, parcel: _Parcel) -> None:
        if self._direct:
            self._deliver(parcel)
            return
        now_s = self._loop.time()
        parcel.due_s = now_s if self._pace is None else self._pace.due_s(now_s)
        self._queue.append(parcel)
        self._queued_bytes += len(parcel.data)
        self._note_levels()
        self._arm()

    def _arm(self) -> None:
        if self._timer is None and self._queue:
            self._timer = self._loop.call_at(self._queue[0].due_s, self._pump)

    def _pump(self) -> None:
        self._timer = None
        while self._queue and self._queue[0].due_s <= self._loop.time() + EARLY_S:
            parcel = self._queue[0]
            if self._silenced and parcel.begun:
                return  # half a frame has gone: the rest follows with `resume`, or never
            step = len(parcel.data) if self._dribble is None else self._dribble.size_bytes
            rest = parcel.data[step:]
            self._queued_bytes -= len(parcel.data) - len(rest)
            if rest and not self._silenced:
                self._write(parcel.data[:step])
                parcel.data, parcel.begun = rest, True
            else:
                self._queued_bytes -= len(rest)
                self._queue.popleft()
                self._deliver(parcel)
            self._note_levels()
            if self._dribble is not None and self._timer is None:
                self._timer = self._loop.call_later(self._dribble.pause_s, self._pump)
                return
        self._arm()

    def _deliver(self, parcel: _Parcel) -> None:
        if parcel.data and not self._write(parcel.data):
            self._swallow(parcel)
            return
        self._messages += parcel.messages
        if parcel.chosen is not None:
            message = parcel.chosen.message
            self._enter(message)
            if parcel.chosen.is_copy:
                self.duplicated += message.ticks
            if self.log.maxlen:
                self.log.append(SentMessage(self._messages, message.records, message.ticks, message.payload))
            self._on_ticks()
        if parcel.last and self._transport is not None and not self._silenced:
            self._transport.close()

    def _swallow(self, parcel: _Parcel) -> None:
        if parcel.chosen is not None:
            self._swallowed += parcel.chosen.message.ticks

    def _enter(self, message: TickMessage) -> None:
        self._records += message.records
        self._trades += message.trades
        self._quotes += message.quotes
        self._depth += message.depth
        self.ticks_sent += message.trades + message.quotes + message.depth

    def _write(self, data: bytes) -> bool:
        # What is handed to a closing transport is thrown away, and must not count as sent.
        if self._transport is None or self._transport.is_closing() or self._silenced:
            return False
        self._bytes += len(data)
        self.last_write_s = self._loop.time()
        self._transport.write(data)
        return True

    def _note_levels(self) -> None:
        limit = _DELAYED_BYTES if self._dribble is None else self._buffer_bytes
        if self._full or self._queued_bytes > limit:
            self._room.clear()
        else:
            self._room.set()
        if self._queue:
            self._empty.clear()
        else:
            self._empty.set()
