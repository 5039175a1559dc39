"""When and where faults strike: at once, at a stage, or when a connection has been sent enough ticks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tickwire.errors import ConfigError

from .faults import (
    CloseFrame,
    CloseMessage,
    Drop,
    Fault,
    GateFault,
    HubFault,
    Inject,
    LinkFault,
    Listen,
    Logout,
    Ping,
    Resume,
    Silence,
    Skew,
    Stage,
    Unlisten,
)

if TYPE_CHECKING:
    from .connection import Connection
    from .core import Core

__all__ = ["Armed"]

_LINK_STAGES = ("upgrade", "handshake", "subscribe")


@dataclass(slots=True)
class _Gate:
    """A fault that waits at a stage for `left` arrivals (None: for all), of one name if `only` is set."""

    fault: GateFault | LinkFault
    stage: Stage
    only: str | None
    left: int | None


@dataclass(slots=True)
class _Trigger:
    """A fault that waits until a connection (of this number, or any) has been sent so many ticks.

    It strikes behind the message with which they are reached, `left` connections in all, each once.
    """

    fault: LinkFault | HubFault
    after_ticks: int
    connection: int | None
    left: int | None
    struck: set[int] = field(default_factory=set)


class Armed:
    """The faults of a hub that wait, and how those strike whose time has come."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._gates: list[_Gate] = []
        self._triggers: list[_Trigger] = []

    @property
    def watching(self) -> bool:
        """Whether a fault waits for ticks."""
        return bool(self._triggers)

    def set(
        self,
        fault: Fault,
        *,
        at: Stage | None,
        only: str | None,
        connection: int | None,
        after_ticks: int | None,
        times: int | None,
    ) -> None:
        """See `Hub.fault`."""
        if times is not None and times < 1:
            raise ConfigError(f"times={times!r}: expected at least 1, or None for every time")
        if after_ticks is not None and after_ticks < 0:
            raise ConfigError(f"after_ticks={after_ticks!r}: expected at least 0")
        stage = _stage(fault, at)
        if stage is not None and not isinstance(fault, HubFault):
            if connection is not None or after_ticks is not None:
                raise ConfigError(f"{fault!r} waits at a stage: expected neither connection nor after_ticks")
            self._gates.append(_Gate(fault, stage, only, times))
            return
        if only is not None:
            raise ConfigError(f"only={only!r}: expected it with a stage; {fault!r} has none")
        if not isinstance(fault, HubFault | LinkFault):
            raise ConfigError(f"{fault!r}: expected a fault of tickwire.sim")
        if after_ticks is not None:
            self._triggers.append(_Trigger(fault, after_ticks, connection, times))
        elif isinstance(fault, HubFault):
            self._befall_hub(fault)
        else:
            struck = self._core.chosen(connection)
            if not struck:
                raise ConfigError(f"connection={connection!r}: no such open connection to break")
            if isinstance(fault, Logout) and connection is not None:
                struck = self._core.of_user(struck[0])
            for one in struck:
                self.befall(fault, one)

    def take(self, stage: Stage, name: str) -> GateFault | LinkFault | None:
        """The fault that strikes an arrival at a stage now, if any; `name` is what `only` is matched with."""
        for index, gate in enumerate(self._gates):
            if gate.stage == stage and gate.only in (None, name):
                if gate.left is not None:
                    gate.left -= 1
                    if not gate.left:
                        del self._gates[index]
                return gate.fault
        return None

    def pull(self, connection: Connection) -> None:
        """Let the faults strike that waited for as many ticks as the connection now has been sent."""
        for trigger in list(self._triggers):
            if (
                trigger.connection in (None, connection.number)
                and connection.outbox.ticks_sent >= trigger.after_ticks
                and connection.number not in trigger.struck
            ):
                trigger.struck.add(connection.number)
                if trigger.left is not None:
                    trigger.left -= 1
                    if not trigger.left:
                        self._triggers.remove(trigger)
                self.strike(trigger.fault, connection)

    def strike(self, fault: LinkFault | HubFault, connection: Connection) -> None:
        """Let a fault befall a connection, or what else it takes with it, now."""
        if isinstance(fault, HubFault):
            self._befall_hub(fault)
        elif isinstance(fault, Logout):
            for one in self._core.of_user(connection):
                self.befall(fault, one)
        else:
            self.befall(fault, connection)

    def clear(self) -> None:
        """Forget what waits, and end what lasts."""
        self._gates.clear()
        self._triggers.clear()
        self._befall_hub(Listen())
        self._befall_hub(Skew(0.0))
        for connection in self._core.live:
            self.befall(Resume(), connection)

    def _befall_hub(self, fault: HubFault) -> None:
        match fault:
            case Unlisten(seconds=seconds):
                self._core.listener.refuse(seconds)
            case Listen():
                self._core.listener.listen()
            case Skew(seconds=seconds):
                if self._core.stream is not None:
                    self._core.stream.skew_ns = round(seconds * 1e9)

    def befall(self, fault: LinkFault, connection: Connection) -> None:
        """Let a fault befall this connection alone, though it be one that takes the user's others with it."""
        match fault:
            case Drop():
                connection.drop(fault)
            case Silence(reading=reading):
                connection.silence(reading=reading)
            case Resume():
                connection.resume()
            case CloseMessage(error=error, allow_reconnect=allow_reconnect, linger=linger):
                connection.conversation.send_close(error, allow_reconnect)
                if not linger:
                    connection.close("fault: Close message")
            case CloseFrame():
                connection.close_frame(fault)
            case Ping(payload=payload, limit_s=limit_s):
                connection.keepalive.ping(payload, limit_s)
            case Inject():
                connection.inject(fault)
            case Logout(arguments=arguments, delay_s=delay_s, then=then):
                connection.send_event("GatewayLogout", list(arguments))
                if then is not None:
                    end = then
                    connection.later(delay_s, lambda: self.befall(end, connection))
            case _:
                connection.outbox.distort(fault)


def _stage(fault: Fault, at: Stage | None) -> Stage | None:
    """Where the fault waits: its own stage or the one it is given, or None if it does not wait."""
    own: Stage | None = getattr(fault, "at", None)
    if at is None or at == own:
        return own
    if own is not None or isinstance(fault, HubFault):
        raise ConfigError(
            f"{fault!r}, at={at!r}: expected at=None for a fault with a stage of its own or none"
        )
    if at not in _LINK_STAGES:
        raise ConfigError(f"at={at!r}: expected one of {', '.join(_LINK_STAGES)} for {fault!r}")
    return at
