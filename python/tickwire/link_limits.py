"""Time and size limits of one hub connection, in one frozen object.

All times are seconds. They bound waiting, never the work of a strategy: nothing here drops data.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from .config import positive
from .errors import ConfigError

__all__ = ["LinkLimits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkLimits:
    """Limits of a connection to a hub; the defaults are those of the official SignalR clients."""

    # Opening
    token_s: float = 30.0
    """For the token provider to deliver."""
    negotiate_s: float = 10.0
    """For negotiate with all its redirects and all that it takes to ask, where it is wanted."""
    start_s: float = 60.0
    """For the first connection to be live, all attempts together, where `start="wait"`."""
    connect_s: float = 10.0
    """For name resolution, TCP, the proxy's tunnel, TLS and the HTTP upgrade together."""
    handshake_s: float = 15.0
    """For the hub's answer to the SignalR handshake."""
    subscribe_s: float = 10.0
    """For the completions of all subscribe calls together."""

    # Staying connected
    ping_s: float = 15.0
    """After sending nothing for this long, send a SignalR ping, or the hub drops the client."""
    heartbeat_s: float = 5.0
    """Send a WebSocket ping this often: its answer measures the link, and tells a quiet hub from a dead one."""
    silence_s: float = 30.0
    """After receiving not one byte for this long the link counts as dead."""
    max_message_bytes: int = 32 * 1024 * 1024
    """Largest WebSocket message taken; a larger one ends the connection."""

    # Coming back
    backoff_min_s: float = 0.5
    """First delay before a new attempt; it doubles with each failure in a row."""
    backoff_max_s: float = 30.0
    """Largest delay before a new attempt."""
    stable_s: float = 10.0
    """A connection that lived this long starts the delays anew."""

    # Leaving
    close_s: float = 0.25
    """For the hub to end a connection that is being closed in good order."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            positive(f"LinkLimits.{field.name}", getattr(self, field.name))
        if not isinstance(self.max_message_bytes, int):
            raise ConfigError(
                f"LinkLimits.max_message_bytes: got {self.max_message_bytes!r}, expected a whole number"
            )
        if self.heartbeat_s >= self.silence_s:
            raise ConfigError(
                f"LinkLimits.heartbeat_s: got {self.heartbeat_s}, expected less than silence_s ({self.silence_s}), "
                "or no answer to a ping can come in time"
            )
        if self.backoff_min_s > self.backoff_max_s:
            raise ConfigError(
                f"LinkLimits.backoff_min_s: got {self.backoff_min_s}, "
                f"expected at most backoff_max_s ({self.backoff_max_s})"
            )
