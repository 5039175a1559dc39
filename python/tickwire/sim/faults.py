"""Faults on demand: what to break, as data; `Hub.fault` says where and when.

Two sorts. *Link* faults befall open connections: at once, or when a connection has been sent a
number of ticks. *Gate* faults have an `at` and wait for the next request or handshake that gets
there. A new fault is a frozen dataclass here, and a branch in `apply` or where its stage is handled
(`http` for negotiate and upgrade, `connection` for the handshake).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tickwire.errors import ConfigError

if TYPE_CHECKING:
    from .connection import Connection

__all__ = [
    "CloseMessage",
    "Drop",
    "Fault",
    "Gate",
    "GateFault",
    "HandshakeError",
    "Inject",
    "LinkFault",
    "NoAnswer",
    "Refuse",
    "Resume",
    "Silence",
    "Stage",
    "Trigger",
    "apply",
]

Stage = Literal["negotiate", "upgrade", "handshake", "rest"]


@dataclass(frozen=True, slots=True)
class Drop:
    """End the TCP connection without a WebSocket close.

    "fin" delivers what was written before; "rst" resets the link and may lose it. With `at` it
    waits for the next negotiate, upgrade or handshake instead.
    """

    how: Literal["fin", "rst"] = "fin"
    at: Stage | None = None

    def __post_init__(self) -> None:
        if self.how not in ("fin", "rst"):
            raise ConfigError(f"how={self.how!r}: expected 'fin' or 'rst'")


@dataclass(frozen=True, slots=True)
class Silence:
    """Send nothing more, not even pongs, and keep the connection open; ticks meanwhile are lost."""


@dataclass(frozen=True, slots=True)
class Resume:
    """End a `Silence`."""


@dataclass(frozen=True, slots=True)
class CloseMessage:
    """Send a SignalR Close message, then close the WebSocket.

    Attributes:
        error: its text, or None for a close without an error.
        allow_reconnect: its `allowReconnect`, or None to leave the field out.
        linger: keep the WebSocket open after the message and leave the rest to the client.
    """

    error: str | None = None
    allow_reconnect: bool | None = None
    linger: bool = False


@dataclass(frozen=True, slots=True)
class Inject:
    """Send these bytes as one WebSocket message between two others: a malformed record, say."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer a negotiate, upgrade or REST request with this HTTP status."""

    status: int
    at: Literal["negotiate", "upgrade", "rest"] = "upgrade"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def __post_init__(self) -> None:
        if not 200 <= self.status <= 599:
            raise ConfigError(f"status={self.status!r}: expected a final HTTP status, 200 to 599")


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Take a request or a handshake, and never answer it."""

    at: Stage = "upgrade"


@dataclass(frozen=True, slots=True)
class HandshakeError:
    """Answer the SignalR handshake with this error."""

    error: str

    @property
    def at(self) -> Stage:
        """Where it waits."""
        return "handshake"


LinkFault = Drop | Silence | Resume | CloseMessage | Inject
GateFault = Drop | Refuse | NoAnswer | HandshakeError
Fault = LinkFault | GateFault


class Gate:
    """Gate faults that wait for their stage, in the order they were set."""

    def __init__(self) -> None:
        self._armed: list[tuple[GateFault, int | None]] = []

    def arm(self, fault: GateFault, times: int | None) -> None:
        """Let the fault befall the next `times` arrivals at its stage; None means all of them."""
        self._armed.append((fault, times))

    def take(self, stage: Stage) -> GateFault | None:
        """The fault that befalls an arrival at `stage` now, if any."""
        for index, (fault, times) in enumerate(self._armed):
            if fault.at == stage:
                if times is not None:
                    self._armed[index : index + 1] = [(fault, times - 1)] if times > 1 else []
                return fault
        return None

    def clear(self) -> None:
        """Forget them all."""
        self._armed.clear()


@dataclass(slots=True)
class Trigger:
    """A link fault that waits until a connection has been sent so many ticks.

    Attributes:
        fault: what befalls it.
        after_ticks: ticks of all kinds; it strikes behind the message with which they are reached.
        connection: the only connection that it watches, or None for any.
        remaining: how many connections it may still strike.
        struck: connections that had their turn.
    """

    fault: LinkFault
    after_ticks: int
    connection: int | None
    remaining: int
    struck: set[int]


def apply(fault: LinkFault, connection: Connection) -> None:
    """Let a link fault befall a connection now."""
    match fault:
        case Drop(how=how):
            connection.drop(how, f"fault: dropped by {how.upper()}")
        case Silence():
            connection.silenced = True
        case Resume():
            connection.silenced = False
        case CloseMessage(error=error, allow_reconnect=allow_reconnect, linger=linger):
            connection.send_close_message(error, allow_reconnect)
            if not linger:
                connection.close("fault: Close message")
        case Inject(payload=payload):
            connection.send_message(payload)
