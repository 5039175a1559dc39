"""The hub's settings, checked once."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

from tickwire.errors import ConfigError

from .faults import LinkFault

if TYPE_CHECKING:
    from .shape import Shape
    from .ticks import StartRule

__all__ = ["FirstDepth", "Settings"]

FirstDepth = Literal["levels", "reset"]


@dataclass(frozen=True, slots=True)
class Settings:
    """See `Hub`, whose keyword arguments these are."""

    port: int
    path: str
    user_path: str
    auth: bool
    accept_query_token: bool
    start: StartRule | None
    seconds: float | None
    count: int | None
    records_per_message: int
    elements_per_record: int
    shape: Shape
    digits: int | None
    zone: str
    slot_s: float
    ping_s: float
    ws_ping_s: float | None
    pong_s: float
    silence_s: float
    handshake_s: float
    negotiated_s: float
    close_s: float
    slow_s: float | None
    close_expired: bool | LinkFault
    one_session: bool | LinkFault
    max_message_bytes: int
    write_buffer_bytes: int
    keep_requests: int
    keep_frames: int
    keep_sent: int
    first_depth: FirstDepth | None

    def __post_init__(self) -> None:
        for name in ("path", "user_path"):
            value = getattr(self, name)
            if not value.startswith("/") or value.endswith("/") or "?" in value:
                raise ConfigError(f"{name}={value!r}: expected a path such as '/hubs/market'")
        if self.path == self.user_path:
            raise ConfigError(f"path and user_path are both {self.path!r}: expected two paths")
        if not 0 <= self.port <= 65_535:
            raise ConfigError(f"port={self.port!r}: expected 0 (any free port) to 65535")
        if self.start not in (None, "first", "all", "manual"):
            raise ConfigError(f"start={self.start!r}: expected 'first', 'all' or 'manual'")
        if self.shape not in ("list", "object", "mixed"):
            raise ConfigError(f"shape={self.shape!r}: expected 'list', 'object' or 'mixed'")
        if self.first_depth not in ("levels", "reset", None):
            raise ConfigError(f"first_depth={self.first_depth!r}: expected 'levels', 'reset' or None")
        if self.digits is not None and not 0 <= self.digits <= 9:
            raise ConfigError(f"digits={self.digits!r}: expected 0 to 9, or None for as many as needed")
        for name in ("records_per_message", "elements_per_record", "max_message_bytes", "write_buffer_bytes"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}={getattr(self, name)!r}: expected at least 1")
        for name in ("keep_requests", "keep_frames", "keep_sent"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name}={getattr(self, name)!r}: expected at least 0")
        if self.count is not None and self.count < 0:
            raise ConfigError(f"count={self.count!r}: expected at least 0, or None for no limit")
        for name in ("close_expired", "one_session"):
            value = getattr(self, name)
            if not isinstance(value, bool | LinkFault):
                raise ConfigError(f"{name}={value!r}: expected True, False or a link fault")
        for field in fields(self):
            if field.name.endswith("_s") or field.name == "seconds":
                value = getattr(self, field.name)
                if value is not None and not (math.isfinite(value) and value > 0):
                    raise ConfigError(f"{field.name}={value!r}: expected seconds above 0")
