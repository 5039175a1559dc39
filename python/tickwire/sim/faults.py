"""Faults on demand: what to break, as data; `Hub.fault` says where and when.

*Link* faults befall open connections: at once, when a connection has been sent a number of ticks, or
behind its answer at a stage. The lasting ones among them, which change what is sent from then on, are in
`distortions`. *Gate* faults wait at a stage, and take the place of its answer. *Hub* faults befall the
hub as a whole. All of them are frozen and do nothing by themselves: `armed` decides when they strike,
`connection`, `conversation` and `http` know how.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from tickwire.errors import ConfigError

from .distortions import Distortion

__all__ = [
    "CloseFrame",
    "CloseMessage",
    "Drop",
    "Fault",
    "GateFault",
    "Glue",
    "HandshakeError",
    "HubFault",
    "Inject",
    "Late",
    "LinkFault",
    "Listen",
    "Logout",
    "NoAnswer",
    "NoData",
    "Ping",
    "Refuse",
    "Resume",
    "Silence",
    "Skew",
    "Stage",
    "SubscribeError",
    "Unlisten",
    "WrongAccept",
]

Stage = Literal["connect", "negotiate", "upgrade", "handshake", "subscribe", "rest"]
"""Where a client waits for an answer: the accepted TCP connection, the POST to negotiate, the upgrade
to a WebSocket, the SignalR handshake, the call of a Subscribe method, a POST to a REST route."""


def _check_stage(stage: str | None, *, optional: bool = False) -> None:
    known = ("connect", "negotiate", "upgrade", "handshake", "subscribe", "rest")
    if stage not in known and not (optional and stage is None):
        raise ConfigError(f"at={stage!r}: expected one of {', '.join(known)}")


def _check_seconds(name: str, seconds: float | None) -> None:
    if seconds is not None and not (math.isfinite(seconds) and seconds > 0):
        raise ConfigError(f"{name}={seconds!r}: expected seconds above 0")


# Link faults


@dataclass(frozen=True, slots=True)
class Drop:
    """End the TCP connection without a WebSocket close.

    Attributes:
        how: "fin" delivers what was written before; "rst" resets the link and may lose it.
        at: the stage at which it takes the place of the answer; without one it is a link fault.
        settle: before a reset, wait until the client's kernel has all that was written (`close_s` at
            most; where the kernel can be asked), so that nothing that was counted is lost.
    """

    how: Literal["fin", "rst"] = "fin"
    at: Stage | None = None
    settle: bool = False

    def __post_init__(self) -> None:
        if self.how not in ("fin", "rst"):
            raise ConfigError(f"how={self.how!r}: expected 'fin' or 'rst'")
        _check_stage(self.at, optional=True)


@dataclass(frozen=True, slots=True)
class Silence:
    """Send nothing more, not even pongs, and keep the connection open; ticks meanwhile are lost.

    The hub's own time limits do not end a silent connection.

    Attributes:
        reading: whether what the client sends is still read. If not, it fills the buffers, and not
            even the client's end of the link is noticed until `Resume`.
    """

    reading: bool = True


@dataclass(frozen=True, slots=True)
class Resume:
    """End a `Silence` and every distortion; what they held back is sent now."""


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
class CloseFrame:
    """Send a WebSocket close frame, and no SignalR Close message.

    Attributes:
        code: its code, legal or not; None leaves the frame empty.
        reason: its reason.
        end: what becomes of the TCP connection: "echo" ends it when the client has answered, or after
            `close_s`; "fin" and "rst" end it at once; "never" leaves it to the client.
    """

    code: int | None = 1000
    reason: str = ""
    end: Literal["echo", "fin", "rst", "never"] = "echo"

    def __post_init__(self) -> None:
        if self.code is None and self.reason:
            raise ConfigError(f"code=None, reason={self.reason!r}: expected a code before a reason")
        if self.code is not None and not 0 <= self.code <= 65_535:
            raise ConfigError(f"code={self.code!r}: expected 0 to 65535, or None")
        if len(self.reason.encode()) > 123:
            raise ConfigError(f"reason of {len(self.reason.encode())} bytes: expected at most 123")
        if self.end not in ("echo", "fin", "rst", "never"):
            raise ConfigError(f"end={self.end!r}: expected 'echo', 'fin', 'rst' or 'never'")


@dataclass(frozen=True, slots=True)
class Ping:
    """Send a WebSocket ping, which the client must answer.

    Attributes:
        payload: up to 125 bytes, which the pong must repeat.
        limit_s: without the pong by then the connection is closed with code 1011; None waits for ever.
    """

    payload: bytes = b""
    limit_s: float | None = None

    def __post_init__(self) -> None:
        if len(self.payload) > 125:
            raise ConfigError(f"payload of {len(self.payload)} bytes: expected at most 125")
        _check_seconds("limit_s", self.limit_s)


@dataclass(frozen=True, slots=True)
class Inject:
    """Send these bytes, which no tick counter sees: a malformed or an oversized record, say.

    Attributes:
        payload: the bytes.
        form: "message" makes them one WebSocket message of the protocol's frame type, "text" and
            "binary" of that type; "bytes" puts them on the TCP connection as they are, between two
            frames: a frame header that lies, say.
        glued: put them in front of the next message of ticks, inside the same WebSocket message.
    """

    payload: bytes
    form: Literal["message", "text", "binary", "bytes"] = "message"
    glued: bool = False

    def __post_init__(self) -> None:
        if self.form not in ("message", "text", "binary", "bytes"):
            raise ConfigError(f"form={self.form!r}: expected 'message', 'text', 'binary' or 'bytes'")
        if self.glued and self.form != "message":
            raise ConfigError(f"form={self.form!r}, glued=True: expected form='message' for glued bytes")


@dataclass(frozen=True, slots=True)
class Logout:
    """Tell a user by a GatewayLogout event that the session is over, then end the link.

    It befalls every connection of the user, on the market and the user hub at once.

    Attributes:
        arguments: of the event.
        delay_s: from the event to the end.
        then: what ends the link; None leaves it open.
    """

    arguments: tuple[Any, ...] = ()
    delay_s: float = 0.0
    then: Drop | CloseMessage | CloseFrame | Silence | None = Drop("fin")

    def __post_init__(self) -> None:
        if not (math.isfinite(self.delay_s) and self.delay_s >= 0):
            raise ConfigError(f"delay_s={self.delay_s!r}: expected at least 0 seconds")


# Gate faults


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer a negotiate, upgrade or REST request with this HTTP status.

    A redirect is `Refuse(307, headers=(("location", url),))`, a rate limit
    `Refuse(429, headers=(("retry-after", "3"),))`.
    """

    status: int
    at: Literal["negotiate", "upgrade", "rest"] = "upgrade"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def __post_init__(self) -> None:
        if not 200 <= self.status <= 599:
            raise ConfigError(f"status={self.status!r}: expected a final HTTP status, 200 to 599")
        if self.at not in ("negotiate", "upgrade", "rest"):
            raise ConfigError(f"at={self.at!r}: expected 'negotiate', 'upgrade' or 'rest'")


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Take a connection, a request, a handshake or a call, and never answer it."""

    at: Stage = "upgrade"

    def __post_init__(self) -> None:
        _check_stage(self.at)


@dataclass(frozen=True, slots=True)
class Late:
    """Do what is asked at a stage only after some seconds."""

    seconds: float
    at: Stage = "subscribe"

    def __post_init__(self) -> None:
        _check_seconds("seconds", self.seconds)
        _check_stage(self.at)


@dataclass(frozen=True, slots=True)
class WrongAccept:
    """Upgrade to a WebSocket with this Sec-WebSocket-Accept; None leaves the header out."""

    value: str | None = "AAAAAAAAAAAAAAAAAAAAAAAAAAA="

    @property
    def at(self) -> Stage:
        """Where it waits."""
        return "upgrade"


@dataclass(frozen=True, slots=True)
class HandshakeError:
    """Answer the SignalR handshake with this error."""

    error: str

    @property
    def at(self) -> Stage:
        """Where it waits."""
        return "handshake"


@dataclass(frozen=True, slots=True)
class Glue:
    """Let events ride on an answer; the elements of market events count as ticks.

    Attributes:
        events: (target, argument, …) each.
        at: "handshake" puts them behind the answer inside one WebSocket message. "upgrade" writes the
            101, the handshake's answer and a message with the events in one TCP segment, before the
            client has asked; its JSON handshake then gets no other answer.
    """

    events: tuple[tuple[Any, ...], ...]
    at: Literal["upgrade", "handshake"] = "handshake"

    def __post_init__(self) -> None:
        if self.at not in ("upgrade", "handshake"):
            raise ConfigError(f"at={self.at!r}: expected 'upgrade' or 'handshake'")
        for event in self.events:
            if not event or not isinstance(event[0], str):
                raise ConfigError(f"event {event!r}: expected a tuple of a target and its arguments")


@dataclass(frozen=True, slots=True)
class SubscribeError:
    """Answer a Subscribe call with this error."""

    error: str

    @property
    def at(self) -> Stage:
        """Where it waits."""
        return "subscribe"


@dataclass(frozen=True, slots=True)
class NoData:
    """Answer a Subscribe call as if all were well, and never send what was subscribed to."""

    @property
    def at(self) -> Stage:
        """Where it waits."""
        return "subscribe"


# Hub faults


@dataclass(frozen=True, slots=True)
class Unlisten:
    """Close the listening socket, for so long or until `Listen`: connects are refused.

    Open connections stay; drop them too for a server that is down.
    """

    seconds: float | None = None

    def __post_init__(self) -> None:
        _check_seconds("seconds", self.seconds)


@dataclass(frozen=True, slots=True)
class Listen:
    """End an `Unlisten`."""


@dataclass(frozen=True, slots=True)
class Skew:
    """Shift the event times of the stream by so much from now on, forward or back; 0 sets them right."""

    seconds: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.seconds):
            raise ConfigError(f"seconds={self.seconds!r}: expected a finite number")


LinkFault = Drop | Silence | Resume | CloseMessage | CloseFrame | Ping | Inject | Logout | Distortion
GateFault = Drop | Refuse | NoAnswer | Late | WrongAccept | HandshakeError | Glue | SubscribeError | NoData
HubFault = Unlisten | Listen | Skew
Fault = LinkFault | GateFault | HubFault
