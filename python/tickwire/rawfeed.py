"""The feed of a client without an engine: every record is a message for the client itself."""

from __future__ import annotations

from dataclasses import dataclass

from .config import ProtocolName
from .reconcile import Volumes

__all__ = ["RawFeed"]

_SEPARATOR = b"\x1e"

# What the MessagePack protocol allows a length, in bytes, and a message.
_MAX_PREFIX_BYTES = 5
_MAX_LENGTH = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class _Receipt:
    control: tuple[bytes, ...]
    received: int = 0
    accepted: int = 0
    rejected: int = 0
    duplicates: int = 0


class RawFeed:
    """Splits payloads into records; one that was cut waits for its rest."""

    def __init__(self, protocol: ProtocolName) -> None:
        self._split = _split_json if protocol == "json" else _split_messagepack
        self._rest = b""
        self.is_lost = False
        """Whether something stood in the place of a message's length, so that nothing more can be read."""

    def push_bytes(self, data: bytes, ts_recv: int | None = None) -> _Receipt:  # noqa: ARG002
        """All whole records of a payload."""
        if self.is_lost:
            return _Receipt(())
        records, rest = self._split(self._rest + data)
        self.is_lost = rest is None
        self._rest = rest or b""
        return _Receipt(tuple(records), received=int(self.is_lost), rejected=int(self.is_lost))

    def volumes(self) -> dict[str, Volumes]:
        """None: there are no trades."""
        return {}

    def reset(self) -> None:
        """Forget a record that was cut: another connection follows."""
        self._rest = b""
        self.is_lost = False


def _split_json(data: bytes) -> tuple[list[bytes], bytes | None]:
    *records, rest = data.split(_SEPARATOR)
    return [record for record in records if record], rest


def _split_messagepack(data: bytes) -> tuple[list[bytes], bytes | None]:
    """The whole messages, and the start of the one that is cut; None if what follows is no length."""
    messages: list[bytes] = []
    start = 0
    while start < len(data):
        prefix = data[start : start + _MAX_PREFIX_BYTES]
        size = next((index + 1 for index, byte in enumerate(prefix) if byte < 0x80), 0)
        if not size:
            return messages, None if len(prefix) == _MAX_PREFIX_BYTES else data[start:]
        length = sum((byte & 0x7F) << 7 * index for index, byte in enumerate(prefix[:size]))
        if length > _MAX_LENGTH:
            return messages, None
        end = start + size + length
        if end > len(data):
            break
        messages.append(data[start + size : end])
        start = end
    return messages, data[start:]
