"""The stream: when ticks are sent, in which messages, to whom.

Sending is open-loop. A paced source says when each tick is due; ticks are taken in groups of
`records_per_message`, a group is due with its last tick, rounded up to the next slot, and groups of
one slot go out in one write. The schedule hangs on the monotonic clock at the start of the stream: a
hub that falls behind catches up and never stretches it. Ticks without an event time of their own are
stamped with their slot's scheduled wall-clock time, so that a receiver can measure from there.

Nothing is buffered without bound: while one client takes less than it is sent, the stream waits for
it, the other clients too. A source without a pace runs as fast as its slowest client, and stands
still while there is none; a paced one goes on, and what nobody subscribed to is not sent.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

import numpy as np
from websockets.frames import Opcode

from .accounting import Lateness
from .books import Books, Levels
from .encode import Encoder, encoder_for
from .messages import TickMessage
from .shape import Columns, Event, Shaper, Stamps
from .ticks import DEPTH, KINDS, QUOTE, Block, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .connection import Connection
    from .conversation import Conversation
    from .core import Core

__all__ = ["Stream"]

_LEAD_S = 0.002
"""From the start of the stream to its first slot, so that the first ticks are not late already."""

_BATCH_TICKS = 512
"""Most ticks sent between two looks at the loop when the stream is behind or has no pace."""

_LATENESS_BATCHES = 100_000

_Plan = tuple[str, frozenset[int]]


class Stream:
    """Takes ticks from a source and hands them to the connections of a hub."""

    def __init__(self, core: Core, source: Source) -> None:
        settings = core.settings
        self.skew_ns = 0
        """Added to the event times of what is sent from now on."""
        self.taps: list[Callable[[Sequence[Event]], None]] = []
        """Called with everything that is sent, whether anybody is connected or not."""
        self._core = core
        self._source = source
        self._settings = settings
        self._start_rule = settings.start or source.start
        self._shaper = Shaper(
            source.symbols,
            shape=settings.shape,
            elements_per_record=settings.elements_per_record,
            stamps=Stamps(settings.digits, settings.zone),
        )
        self._encoders: dict[str, Encoder] = {}
        self._books = Books(source.opening()) if "depth" in source.kinds else None
        start_ns = getattr(source, "start_ns", None)
        self._newest = self._shaper.text(core.clock.now_ns() if start_ns is None else start_ns)
        """The time that the newest event carries."""
        self._slot_ns = max(1, round(settings.slot_s * 1e9))
        self._begun = asyncio.Event()
        self._wanted = asyncio.Event()
        self._lateness_s: deque[float] = deque(maxlen=_LATENESS_BATCHES)
        kinds = sorted(KINDS.index(kind) for kind in source.kinds)
        count = len(source.symbols)
        self._all_keys = frozenset(kind * count + symbol for kind in kinds for symbol in range(count))

    def begin(self) -> None:
        """Start now, whoever is subscribed."""
        self._begun.set()

    def poke(self) -> None:
        """Look at the subscriptions again."""
        keys = [connection.conversation.keys for connection in self._core.live if connection.streams]
        if keys:
            self._wanted.set()
            if self._start_rule == "first" or (
                self._start_rule == "all" and self._all_keys <= frozenset().union(*keys)
            ):
                self._begun.set()
        else:
            self._wanted.clear()

    def levels(self, symbol: int) -> tuple[Levels, Levels]:
        """Bids and asks as the depth changes that were sent have left them."""
        return ([], []) if self._books is None else self._books.levels(symbol)

    def send_book(self, connection: Connection, symbol: int) -> None:
        """Send a whole book ahead of the changes to it, if the hub does so."""
        protocol, first = connection.conversation.protocol, self._settings.first_depth
        if protocol is None or self._books is None or first is None:
            return
        elements = self._books.whole(symbol, self._newest, reset=first == "reset")
        if elements:
            key = DEPTH * len(self._source.symbols) + symbol
            event = Event(key, DEPTH, symbol, len(elements), elements, False)
            payload = self._encoder(protocol.name).record(event)
            opcode = Opcode.BINARY if protocol.binary else Opcode.TEXT
            connection.send_ticks([TickMessage.of(opcode, payload, 1, (0, 0, len(elements)))])

    def lateness(self) -> Lateness:
        """How punctual the latest batches were; all zero for a source without a pace."""
        late_us = np.array(self._lateness_s) * 1e6
        if not len(late_us):
            return Lateness(0.0, 0.0, 0.0, 0)
        p50, p99 = np.percentile(late_us, [50, 99])
        return Lateness(float(p50), float(p99), float(late_us.max()), len(late_us))

    async def run(self) -> None:
        """Send everything, from the start rule to the limits or the source's end."""
        await self._begun.wait()
        loop = self._core.loop
        start_s = loop.time() + _LEAD_S
        # Whole hundreds of ns: what most vendors' seven fractional digits can carry.
        clock = self._core.clock
        start_ns = (clock.now_ns() + round(_LEAD_S * 1e9)) // 100 * 100
        for columns, first, last, due_ns in self._batches():
            if self._source.paced:
                events = self._shape(columns, first, last, start_ns + due_ns)
                plans = self._plans(events)
                due_s = start_s + due_ns / 1e9
                await asyncio.sleep(max(0.0, due_s - loop.time()))
                self._tap(events)
                self._send(events, plans)
                self._lateness_s.append(max(0.0, loop.time() - due_s))
            else:
                await self._wanted.wait()
                if self._settings.seconds is not None and loop.time() - start_s >= self._settings.seconds:
                    break
                events = self._shape(columns, first, last, clock.now_ns() // 100 * 100)
                self._tap(events)
                self._send(events, {})
                await asyncio.sleep(0)
            self._core.ask_waiters()
            for connection in self._core.live:
                if connection.outbox.backed_up:
                    await connection.outbox.drained()
        for connection in self._core.live:
            connection.outbox.release()
            await connection.outbox.emptied()

    def _tap(self, events: Sequence[Event]) -> None:
        for tap in self.taps:
            tap(events)

    # Which ticks, when

    def _batches(self) -> Iterator[tuple[Columns, int, int, int]]:
        """(columns, first, last, due offset) of what is sent at once, within the limits."""
        group = self._settings.records_per_message
        left = self._settings.count
        held: Columns | None = None
        for block in self._source.blocks():
            columns, ended, left = self._limited(block, left)
            if held is not None:
                columns = held.then(columns)
            ticks = len(columns.kind)
            # Groups are not cut by the ends of blocks: what does not fill one waits for the next.
            whole = ticks if ended else ticks - ticks % group
            yield from self._slots(columns, whole, group)
            if ended:
                return
            held = columns.part(whole, ticks) if whole < ticks else None
        if held is not None:
            yield from self._slots(held, len(held.kind), group)

    def _limited(self, block: Block, left: int | None) -> tuple[Columns, bool, int | None]:
        """A block as lists, cut at the limits; whether one was reached; how many ticks are left."""
        ticks = len(block)
        if self._source.paced and self._settings.seconds is not None:
            ticks = int(np.searchsorted(block.due_ns, round(self._settings.seconds * 1e9), side="left"))
        ended = ticks < len(block)
        if left is not None:
            ended = ended or left <= ticks
            ticks = min(ticks, left)
            left -= ticks
        columns = Columns.of(block)
        return columns if ticks == len(block) else columns.part(0, ticks), ended, left

    def _slots(self, columns: Columns, ticks: int, group: int) -> Iterator[tuple[Columns, int, int, int]]:
        slot_ns = self._slot_ns
        most = max(group, _BATCH_TICKS // group * group)
        first = 0
        slot = 0
        for begin in range(0, ticks, group):
            end = min(begin + group, ticks)
            due = -(-columns.due_ns[end - 1] // slot_ns) * slot_ns
            if begin > first and (due != slot or end - first > most):
                yield columns, first, begin, slot
                first = begin
            slot = due
        if ticks > first:
            yield columns, first, ticks, slot

    def _shape(self, columns: Columns, first: int, last: int, ts_ns: int) -> list[Event]:
        if self.skew_ns and columns.ts_ns is not None:
            columns = columns.part(first, last)
            times = columns.ts_ns or []
            columns = columns._replace(ts_ns=[time + self.skew_ns for time in times])
            first, last = 0, len(columns.kind)
        return self._shaper.shape(columns, first, last, ts_ns + self.skew_ns)

    # Who gets what

    def _plans(self, events: list[Event]) -> dict[_Plan, list[TickMessage]]:
        """Messages for today's subscriptions, made before they are due."""
        plans: dict[_Plan, list[TickMessage]] = {}
        records: dict[str, list[bytes]] = {}
        for connection in self._core.live:
            talk = connection.conversation
            if connection.streams and talk.protocol is not None:
                plan = (talk.protocol.name, talk.keys)
                if plan not in plans:
                    plans[plan] = self._messages(events, *plan, records)
        return plans

    def _send(self, events: list[Event], plans: dict[_Plan, list[TickMessage]]) -> None:
        records: dict[str, list[bytes]] = {}
        for connection in self._core.live:
            talk = connection.conversation
            if not connection.streams or talk.protocol is None:
                continue
            plan = (talk.protocol.name, talk.keys)
            first_quotes = self._first_quotes(talk, events) if talk.wants_full else {}
            if first_quotes:
                messages = self._messages(events, *plan, {}, first_quotes)
            else:
                if plan not in plans:
                    plans[plan] = self._messages(events, *plan, records)
                messages = plans[plan]
            if messages:
                connection.send_ticks(messages)
        self._note(events)

    def _note(self, events: list[Event]) -> None:
        """Keep what later subscribers are told first."""
        if self._books is None or not events:
            return
        for event in events:
            if event.kind == DEPTH:
                self._books.follow(event)
        newest = events[-1]
        self._newest = newest.data.ts if newest.kind == QUOTE else newest.data[-1][-1]

    @staticmethod
    def _first_quotes(talk: Conversation, events: list[Event]) -> dict[int, Event]:
        """Positions of the quotes that must be full, being the connection's first of a contract."""
        found: dict[int, Event] = {}
        for position, event in enumerate(events):
            if event.kind == QUOTE and event.symbol in talk.wants_full and event.key in talk.keys:
                talk.wants_full.discard(event.symbol)
                found[position] = event
        return found

    def _encoder(self, protocol: str) -> Encoder:
        encoder = self._encoders.get(protocol)
        if encoder is None:
            encoder = self._encoders[protocol] = encoder_for(protocol, self._source.symbols)
        return encoder

    def _messages(
        self,
        events: list[Event],
        protocol: str,
        keys: frozenset[int],
        records: dict[str, list[bytes]],
        full: dict[int, Event] | None = None,
    ) -> list[TickMessage]:
        """The WebSocket messages of a batch for one protocol and one set of subscriptions.

        Args:
            events: the batch.
            protocol: name of the hub protocol.
            keys: `Event.key`s that are subscribed to.
            records: the batch's records by protocol, filled here for the next caller.
            full: quotes to send in full, by position.
        """
        encoder = self._encoder(protocol)
        made = records.get(protocol)
        if made is None:
            made = records[protocol] = [encoder.record(event) for event in events]
        if full:
            made = list(made)
            for position, event in full.items():
                made[position] = encoder.full(event, self._shaper)
        if not keys >= self._all_keys:
            chosen = [position for position, event in enumerate(events) if event.key in keys]
            events = [events[position] for position in chosen]
            made = [made[position] for position in chosen]
        opcode = Opcode.TEXT if protocol == "json" else Opcode.BINARY
        group = self._settings.records_per_message
        messages = []
        for at in range(0, len(events), group):
            payload = made[at] if group == 1 else b"".join(made[at : at + group])
            counts = [0, 0, 0]
            for event in events[at : at + group]:
                counts[event.kind] += event.ticks
            messages.append(TickMessage.of(opcode, payload, min(group, len(events) - at), counts))
        return messages
