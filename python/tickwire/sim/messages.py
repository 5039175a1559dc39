"""WebSocket messages that carry ticks, with the counts that go into the accounts when they are sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from websockets.frames import Frame, Opcode

from .encode import TARGETS
from .ticks import QUOTE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .codec import HubProtocol

__all__ = ["TickMessage", "event_message", "opcode_of"]


class TickMessage(NamedTuple):
    """A WebSocket message, framed once for all connections that get it."""

    opcode: Opcode
    frame: bytes
    payload: bytes
    records: int
    trades: int
    quotes: int
    depth: int

    @property
    def ticks(self) -> int:
        """All its ticks."""
        return self.trades + self.quotes + self.depth

    @classmethod
    def of(cls, opcode: Opcode, payload: bytes, records: int, counts: Sequence[int]) -> TickMessage:
        """A message with its frame; `counts` are its ticks by kind."""
        return cls(opcode, Frame(opcode, payload).serialize(mask=False), payload, records, *counts)

    def behind(self, prefix: bytes) -> TickMessage:
        """The same message behind some other bytes."""
        return TickMessage.of(
            self.opcode, prefix + self.payload, self.records, (self.trades, self.quotes, self.depth)
        )


def opcode_of(protocol: HubProtocol) -> Opcode:
    """The frame type of a protocol."""
    return Opcode.BINARY if protocol.binary else Opcode.TEXT


def event_message(protocol: HubProtocol, events: Iterable[Sequence[Any]]) -> TickMessage:
    """One message of (target, argument, …) events; the elements of the market's own count as ticks."""
    payload = b""
    records = 0
    counts = [0, 0, 0]
    for target, *arguments in events:
        payload += protocol.invocation(target, arguments)
        if target in TARGETS:
            kind = TARGETS.index(target)
            data = arguments[-1] if arguments else None
            counts[kind] += len(data) if isinstance(data, list) and kind != QUOTE else 1
            records += 1
    return TickMessage.of(opcode_of(protocol), payload, records, counts)
