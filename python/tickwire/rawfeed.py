"""The feed of a client without an engine: every record is a message for the client itself."""

from __future__ import annotations

from dataclasses import dataclass

from .reconcile import Volumes

__all__ = ["RawFeed"]

_SEPARATOR = b"\x1e"


@dataclass(frozen=True, slots=True)
class _Receipt:
    control: tuple[bytes, ...]
    received: int = 0
    accepted: int = 0
    rejected: int = 0
    duplicates: int = 0


class RawFeed:
    """Splits payloads into records (SignalR JSON); one that was cut waits for its rest."""

    def __init__(self) -> None:
        self._rest = b""

    def push_bytes(self, data: bytes, ts_recv: int | None = None) -> _Receipt:  # noqa: ARG002
        """All whole records of a payload."""
        *records, self._rest = (self._rest + data).split(_SEPARATOR)
        return _Receipt(tuple(record for record in records if record))

    def volumes(self) -> dict[str, Volumes]:
        """None: there are no trades."""
        return {}

    def reset(self) -> None:
        """Forget a record that was cut."""
        self._rest = b""
