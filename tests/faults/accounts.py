"""What is counted in a run: the engine's ticks by connection of the hub, and all that a test judges."""

from __future__ import annotations

from dataclasses import dataclass, field

import tickwire as tw
from faults.case import Outcome
from tickwire import sim
from tickwire.events import Event

__all__ = ["Accounts", "Seen"]


@dataclass
class Accounts:
    """What the engine counted for each connection of the hub, closed after each attempt of the client."""

    hub: sim.Hub
    engine: tw.Engine
    ticks: dict[int, int] = field(default_factory=dict)
    """Ticks that the engine took from the hub's connection of this number, malformed records left out."""
    strays: int = 0
    """Ticks that came in an attempt of which the hub knows no connection."""
    _newest: int = 0
    _counted: int = 0

    def close_attempt(self) -> None:
        """What was counted since the last attempt belongs to the newest connection, if it is new."""
        stats = self.engine.stats()
        counted = stats["received"] - stats["rejections"].get("malformed", 0)
        newest = max((info.id for info in self.hub.connections if info.hub == "market"), default=0)
        if newest > self._newest:
            self.ticks[newest] = counted - self._counted
        else:
            self.strays += counted - self._counted
        self._newest, self._counted = newest, counted


@dataclass
class Seen:
    """What came of a run.

    Attributes:
        outcome: what became of the client.
        rows: the rows of the policy table that failures fell under, in order.
        user_rows: those of the client of the user hub.
        recovery_s: from the last byte heard (before subscribe: from the start) until all flowed again or
            the client had ended; None if nothing was interrupted.
        events: all that the client told.
        error: why it ended.
        connections: the hub's accounts of the market hub's connections, by number.
        ticks: the engine's, by the same numbers.
        strays: see `Accounts`.
        logins: how often the source was asked to log in.
        login: the status of the login at the end.
    """

    outcome: Outcome
    rows: tuple[str, ...]
    user_rows: tuple[str, ...]
    recovery_s: float | None
    events: list[Event]
    error: BaseException | None
    connections: dict[int, sim.ConnectionInfo]
    ticks: dict[int, int]
    strays: int
    logins: int
    login: dict[str, object]
