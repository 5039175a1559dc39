"""What a row of the fault matrix is: what is broken, and what a client has to do about it in each phase.

A `Case` is one row. Its fault is one of the embedded hub, or of the two that are defined here. `Phase`
says when it strikes, `Case.expected_rows` and `Case.outcome` what must follow; a `Run` is one of both in one
protocol. `cases` has the rows, `rig` runs one, `test_matrix` judges.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tickwire import sim
from tickwire.config import ProtocolName
from tickwire.policy import TABLE

__all__ = ["DROP_TOKEN", "Case", "ExpireToken", "Outcome", "Phase", "Run", "SlowConsumer", "Strike", "Struck"]

Outcome = Literal["lives on", "comes back", "ends"]


class Phase(enum.Enum):
    """When a fault strikes."""

    BEFORE = "before subscribe"
    """On the first attempt: in the place of an answer, or behind the answer to the handshake."""
    STREAMING = "while streaming"
    """On a living connection; what strikes answers, on the attempt after it was ended by a FIN."""
    RENEWED = "during a refresh that succeeds"
    """As while streaming, with a renewal of the token under way that is answered after the recovery."""
    UNRENEWED = "during a refresh that fails"
    """The same, with an answer that is an error."""

    @property
    def is_refresh(self) -> bool:
        """Whether a renewal hangs meanwhile."""
        return self in (Phase.RENEWED, Phase.UNRENEWED)


@dataclass(frozen=True, slots=True)
class SlowConsumer:
    """A callback of the strategy does not return until the end of the test."""


@dataclass(frozen=True, slots=True)
class ExpireToken:
    """The hub lets the token expire that the client holds."""


Strike = sim.Fault | SlowConsumer | ExpireToken


@dataclass(frozen=True, slots=True)
class Struck:
    """What `Case.shows` looks at: the hub, and its account of the connection that was struck."""

    hub: sim.Hub
    connection: sim.ConnectionInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One row of the matrix.

    Attributes:
        name: in the table and in the names of tests.
        fault: what strikes.
        packed: what strikes in its place in MessagePack, where its bytes are a message.
        protocols: in which it exists.
        rows: the rows of the policy table that the failures fall under, in order; none if the client
            lives on.
        first_rows: the same before subscribe, where it is something else.
        instead: a row that may come in the place of the last, where it is noticed sooner or later.
        ends: when the client gives up, with the error raised.
        repeats: whether each row may come several times, since time decides how often.
        waits_s: the least delay of the attempt that follows.
        loses: whether what was under way on the connection that ends may not arrive.
        malformed: records that the engine rejects and that the hub does not count as ticks.
        times: how often what waits at a stage strikes; None: always.
        limits: of `LinkLimits`.
        hub: of `sim.Hub`.
        negotiate: whether the client asks for a connection first.
        rate: ticks a second.
        user_hub: whether a second client, of the user hub, shares the login.
        shows: whether the fault is seen to have struck, where the client lives on.
    """

    name: str
    fault: Strike
    packed: Strike | None = None
    protocols: tuple[ProtocolName, ...] = ("json", "messagepack")
    rows: tuple[str, ...] = ()
    first_rows: tuple[str, ...] | None = None
    instead: str | None = None
    ends: Literal["never", "before live", "always"] = "never"
    repeats: bool = False
    waits_s: float = 0.0
    loses: bool = False
    malformed: int = 0
    times: int | None = 1
    limits: Mapping[str, Any] = field(default_factory=dict)
    hub: Mapping[str, Any] = field(default_factory=dict)
    negotiate: bool = False
    rate: float = 4_000.0
    user_hub: bool = False
    shows: Callable[[Struck], bool] | None = None

    def strike(self, protocol: ProtocolName) -> Strike:
        """What strikes a client that speaks this."""
        return self.fault if self.packed is None or protocol == "json" else self.packed

    @property
    def needs_break(self) -> bool:
        """Whether it strikes attempts to connect, so that a living connection has to be ended first."""
        return (
            isinstance(self.fault, sim.Unlisten)
            or self.waits
            or (isinstance(self.fault, sim.LinkFault) and self.times != 1)
        )

    @property
    def waits(self) -> bool:
        """Whether the fault has a stage of its own, at which it waits."""
        return getattr(self.fault, "at", None) is not None

    def expected_rows(self, phase: Phase) -> tuple[str, ...]:
        """The rows of the policy table that come up, in order."""
        if phase is Phase.BEFORE:
            return self.rows if self.first_rows is None else self.first_rows
        return (*(["link lost"] if self.needs_break else []), *self.rows)

    def outcome(self, phase: Phase) -> Outcome:
        """What becomes of the client."""
        if self.ends == "always" or (self.ends == "before live" and phase is Phase.BEFORE):
            return "ends"
        return "comes back" if self.expected_rows(phase) else "lives on"

    def __str__(self) -> str:
        return self.name

    @property
    def drops_token(self) -> bool:
        """Whether the client asks for another token, so that a renewal under way is given up."""
        return bool(DROP_TOKEN & set(self.rows))


DROP_TOKEN = {rule.fault for rule in TABLE if rule.blames_token} | {"logged out"}
"""Rows of the policy table after which the client asks for another token."""


@dataclass(frozen=True, slots=True)
class Run:
    """One case in one phase, in one protocol."""

    name: str
    phase: Phase
    protocol: ProtocolName

    def __str__(self) -> str:
        return f"{self.phase.name.lower()}-{self.protocol}"
