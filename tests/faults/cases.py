"""The fault matrix as data: what is broken, and what a client has to do about it in each phase.

A `Case` is one row. Its fault is one of the embedded hub, or of the two that are defined here. `Phase`
says when it strikes, `Case.expected_rows` and `Case.outcome` what must follow. `rig` runs a case, `test_matrix` judges.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hubs import UNIT_S
from tickwire import sim
from tickwire.policy import TABLE

__all__ = ["CASES", "DROP_TOKEN", "Case", "ExpireToken", "Outcome", "Phase", "SlowConsumer", "Struck"]

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

    @property
    def drops_token(self) -> bool:
        """Whether the client asks for another token, which has to wait for a renewal under way."""
        return bool(DROP_TOKEN & set(self.rows))


DROP_TOKEN = {rule.fault for rule in TABLE if rule.blames_token} | {"logged out"}
"""Rows of the policy table after which the client asks for another token."""


SYMBOL = sim.Market(2).symbols[0]
"""One of the two instruments of every case."""

_SHORT_S = 0.15 * UNIT_S
_SILENCE = {"heartbeat_s": 0.1 * UNIT_S, "silence_s": 0.6 * UNIT_S}
_HALF = b'{"type":1,"target":"GatewayTrade","arguments":["CON.F.US'
_PRINTS = [
    {"symbolId": SYMBOL, "price": 6450.25, "timestamp": "2026-01-05T15:00:00Z", "type": 0, "volume": 1},
    {"symbolId": SYMBOL, "price": 6450.50, "timestamp": "2026-01-05T15:00:00Z", "type": 1, "volume": 2},
]
_EVENTS = (("GatewayTrade", SYMBOL, _PRINTS),)


def _ponged(struck: Struck) -> bool:
    number = struck.connection.id
    return sim.ClientFrame(number, "pong", b"still there?") in struck.hub.frames


def _link(name: str, fault: Strike, row: str = "link lost", **rest: Any) -> Case:
    return Case(name=name, fault=fault, rows=(row,), **rest)


def _hang(stage: sim.Stage, limit: str, **rest: Any) -> Case:
    return Case(
        name=f"no answer: {stage}",
        fault=sim.NoAnswer(stage),
        rows=("timed out",),
        repeats=True,
        limits={limit: _SHORT_S},
        **rest,
    )


def _status(status: int, row: str, *headers: tuple[str, str], **rest: Any) -> Case:
    return Case(name=f"HTTP {status}", fault=sim.Refuse(status, headers=headers), rows=(row,), **rest)


def _code(code: int, end: Any = "echo", row: str = "link lost") -> Case:
    return _link(f"close code {code}, {end}", sim.CloseFrame(code, "as told", end), row=row)


CASES: tuple[Case, ...] = (
    # The way there
    Case(name="refused twice", fault=sim.Unlisten(), rows=("unreachable",) * 2, repeats=True),
    _hang("connect", "connect_s"),
    _hang("upgrade", "connect_s"),
    _hang("handshake", "handshake_s"),
    # The other streams flow by then.
    _hang("subscribe", "subscribe_s", loses=True),
    _hang("negotiate", "negotiate_s", negotiate=True),
    *(
        _link(
            f"{how.upper()}: {stage}",
            sim.Drop(how, at=stage),
            # The reset may come before the client knows that it is connected.
            instead="unreachable" if (how, stage) == ("rst", "connect") else None,
        )
        for stage in ("connect", "upgrade", "handshake", "subscribe")
        for how in ("fin", "rst")
    ),
    *(
        Case(name=f"late answer: {stage}", fault=sim.Late(0.03, stage))
        for stage in ("connect", "upgrade", "handshake", "subscribe")
    ),
    _status(401, "unauthorized"),
    _status(403, "unauthorized"),
    Case(
        name="HTTP 401, always", fault=sim.Refuse(401), rows=("unauthorized",) * 5, times=None, ends="always"
    ),
    _status(404, "not found", ends="before live"),
    _status(429, "rate limited", ("retry-after", "1"), waits_s=1.0),
    _status(500, "server error"),
    _status(503, "server error"),
    _status(302, "refused", ("location", "http://127.0.0.1:9/elsewhere"), ends="before live"),
    *(
        Case(
            name=f"HTTP {status} on negotiate",
            fault=sim.Refuse(status, at="negotiate"),
            rows=(row,),
            negotiate=True,
        )
        for status, row in ((401, "unauthorized"), (503, "server error"))
    ),
    Case(name="wrong Accept key", fault=sim.WrongAccept(), rows=("violation",)),
    Case(name="no Accept key", fault=sim.WrongAccept(None), rows=("violation",)),
    Case(
        name="handshake error",
        fault=sim.HandshakeError("not today"),
        rows=("handshake refused",),
    ),
    Case(
        name="handshake error, always",
        fault=sim.HandshakeError("not today"),
        rows=("handshake refused",) * 5,
        times=None,
        ends="always",
    ),
    Case(name="glued to the 101", fault=sim.Glue(_EVENTS, at="upgrade")),
    Case(name="glued to the handshake", fault=sim.Glue(_EVENTS)),
    Case(
        name="subscribe refused",
        fault=sim.SubscribeError("no such contract"),
        rows=("subscribe refused",),
        ends="before live",
        loses=True,
    ),
    Case(
        name="subscribed, no data",
        fault=sim.NoData(),
        times=2,
        shows=lambda struck: struck.connection.sent.trades == 0,
    ),
    # The end of a link
    _link("FIN", sim.Drop("fin")),
    _link("RST", sim.Drop("rst"), loses=True),
    _link("RST behind what was sent", sim.Drop("rst", settle=True)),
    _link("half-open", sim.Silence(), row="silent", repeats=True, limits=_SILENCE),
    _link(
        "half-open, nothing is read", sim.Silence(reading=False), row="silent", repeats=True, limits=_SILENCE
    ),
    *(_code(code) for code in (1000, 1001, 1009, 1011, 1012)),
    _code(1008, row="unauthorized"),
    *(_code(1001, end) for end in ("fin", "rst", "never")),
    _link("close frame, empty", sim.CloseFrame(None)),
    # Frames and records
    Case(name="ping", fault=sim.Ping(b"still there?"), shows=_ponged),
    Case(name="fragments of 16 bytes, pings between", fault=sim.Fragment(16, pings=True), rate=1_000.0),
    Case(name="dribble of 37 bytes", fault=sim.Dribble(37), rate=1_000.0),
    Case(name="records over two messages", fault=sim.Split()),
    _link(
        "close frame in the middle of a record",
        sim.Inject(b"\x81" + bytes([len(_HALF)]) + _HALF + b"\x88\x02\x03\xe9", "bytes"),
        loses=True,
    ),
    Case(name="records glued to a ping", fault=sim.Inject(b'{"type":6}\x1e', glued=True)),
    Case(
        name="malformed record",
        fault=sim.Inject(
            b'{"type":1,"target":"GatewayTrade","arguments":["' + SYMBOL.encode() + b'",{]}\x1e'
        ),
        malformed=1,
    ),
    Case(name="record that is no JSON", fault=sim.Inject(b"<html>502</html>\x1e"), malformed=1),
    Case(name="unknown message type", fault=sim.Inject(b'{"type":99}\x1e')),
    _link("reserved opcode", sim.Inject(b"\x83\x00", "bytes"), row="violation", loses=True),
    _link("masked frame", sim.Inject(b"\x81\x81abcd\x00", "bytes"), row="violation", loses=True),
    _link(
        "message over the limit",
        sim.Inject(b" " * 70_000),
        row="violation",
        loses=True,
        limits={"max_message_bytes": 65_536},
    ),
    _link(
        "frame of a terabyte",
        sim.Inject(b"\x81\x7f" + (1 << 40).to_bytes(8, "big"), "bytes"),
        row="violation",
        loses=True,
    ),
    # What the hub says
    _link("Close, come back", sim.CloseMessage(None, True), row="closed, come back"),
    _link("Close with an error, come back", sim.CloseMessage("restarting", True), row="closed, come back"),
    _link("Close, stay away", sim.CloseMessage(None, False), row="closed"),
    _link("Close", sim.CloseMessage(), row="closed"),
    _link("Close with an error", sim.CloseMessage("no reason"), row="closed"),
    _link("Close, the socket stays", sim.CloseMessage(linger=True), row="closed", loses=True),
    Case(
        name="Close, always",
        fault=sim.CloseMessage("go away"),
        rows=("closed",) * 5,
        times=None,
        ends="always",
    ),
    # The client ends the link at the event, whatever comes behind it.
    _link("GatewayLogout", sim.Logout(), row="logged out", loses=True, user_hub=True),
    Case(
        name="GatewayLogout, always",
        fault=sim.Logout(),
        rows=("logged out", "session taken over"),
        repeats=True,
        loses=True,
        times=None,
        ends="always",
        user_hub=True,
    ),
    Case(
        name="token expires, Close",
        fault=ExpireToken(),
        rows=("closed",),
        first_rows=("unauthorized",),
        hub={"close_expired": True},
    ),
    Case(
        name="token expires, close code 1008",
        fault=ExpireToken(),
        rows=("unauthorized",),
        hub={"close_expired": sim.CloseFrame(1008)},
    ),
    Case(
        name="token expires, FIN",
        fault=ExpireToken(),
        rows=("link lost", "unauthorized"),
        first_rows=("unauthorized",),
        hub={"close_expired": sim.Drop("fin")},
    ),
    # Ticks, and who takes them
    Case(name="latency and jitter", fault=sim.Delay(0.02, 0.02)),
    Case(
        name="every message twice",
        fault=sim.Duplicate(),
        shows=lambda struck: struck.connection.duplicated > 0,
    ),
    Case(
        name="a third again, 5 messages later",
        fault=sim.Duplicate(0.3, behind=5),
        shows=lambda struck: struck.connection.duplicated > 0,
    ),
    Case(name="out of order", fault=sim.Reorder(8)),
    *(
        Case(name=f"clock {'ahead' if skew_s > 0 else 'behind'} by {abs(skew_s):g} s", fault=sim.Skew(skew_s))
        for skew_s in (0.3, -0.3, 3_600.0, -3_600.0)
    ),
    Case(name="slow consumer", fault=SlowConsumer()),
)
"""The matrix, in the order of the table."""
