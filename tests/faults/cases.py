"""The fault matrix as data: its rows, and which of them is run when."""

from __future__ import annotations

from typing import Any

from faults.case import Case, ExpireToken, Phase, Run, SlowConsumer, Strike, Struck
from hubs import UNIT_S
from packed import framed, invocation
from tickwire import sim

__all__ = ["CASES", "RUNS"]

SYMBOL = sim.Market(2).symbols[0]
"""One of the two instruments of every case."""

_SHORT_S = 0.15 * UNIT_S
_SILENCE = {"heartbeat_s": 0.1 * UNIT_S, "silence_s": 0.6 * UNIT_S}
_HALF = b'{"type":1,"target":"GatewayTrade","arguments":["CON.F.US'
_HALF_PACKED = invocation("GatewayTrade", SYMBOL, {"price": 6450.25})[:30]
_PRINTS = [
    {"symbolId": SYMBOL, "price": 6450.25, "timestamp": "2026-01-05T15:00:00Z", "type": 0, "volume": 1},
    {"symbolId": SYMBOL, "price": 6450.50, "timestamp": "2026-01-05T15:00:00Z", "type": 1, "volume": 2},
]
_EVENTS = (("GatewayTrade", SYMBOL, _PRINTS),)


def _ponged(struck: Struck) -> bool:
    number = struck.connection.id
    return sim.ClientFrame(number, "pong", b"still there?") in struck.hub.frames


def _cut(opcode: bytes, half: bytes) -> sim.Inject:
    return sim.Inject(opcode + bytes([len(half)]) + half + b"\x88\x02\x03\xe9", "bytes")


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
    # In the only protocol that can be spoken before the client has named one.
    Case(name="glued to the 101", fault=sim.Glue(_EVENTS, at="upgrade"), protocols=("json",)),
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
        _cut(b"\x81", _HALF),
        packed=_cut(b"\x82", _HALF_PACKED),
        loses=True,
    ),
    Case(
        name="records glued to a ping",
        fault=sim.Inject(b'{"type":6}\x1e', glued=True),
        packed=sim.Inject(b"\x02\x91\x06", glued=True),
    ),
    Case(
        name="malformed record",
        fault=sim.Inject(
            b'{"type":1,"target":"GatewayTrade","arguments":["' + SYMBOL.encode() + b'",{]}\x1e'
        ),
        # An array of six items that ends behind the third.
        packed=sim.Inject(framed(b"\x96\x01\x80\xc0")),
        malformed=1,
    ),
    Case(
        name="record of something else",
        fault=sim.Inject(b"<html>502</html>\x1e"),
        packed=sim.Inject(framed(b"\xc1\xff")),
        malformed=1,
    ),
    _link(
        "no length where a message should begin",
        sim.Inject(b"\xff" * 6),
        row="violation",
        protocols=("messagepack",),
        malformed=1,
        loses=True,
    ),
    Case(
        name="unknown message type",
        fault=sim.Inject(b'{"type":99}\x1e'),
        packed=sim.Inject(framed(b"\x91\x63")),
    ),
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

RUNS: tuple[tuple[Case, Run], ...] = tuple(
    (case, Run(case.name, phase, protocol))
    for case in CASES
    for protocol in case.protocols
    # What strikes has to do with the phase, not with the protocol.
    for phase in (Phase if protocol == "json" else [Phase.STREAMING])
)
"""All that are run."""
