"""An embedded market-data hub: a real SignalR server on loopback, for tests, demos and benchmarks.

    import tickwire as tw

    with tw.sim.Hub(tw.sim.Market(4, rate=10_000), seconds=5) as hub:
        ...  # connect to hub.url with hub.token()
        hub.wait_finished()
        print(hub.sent.ticks)

Faults are data, and `Hub.fault` says when and where they strike:

    hub.fault(tw.sim.Drop("rst"), after_ticks=1_000)                   # in mid-stream
    hub.fault(tw.sim.CloseMessage("maintenance"), at="handshake")      # behind the handshake's answer
    hub.fault(tw.sim.Refuse(429, headers=(("retry-after", "3"),)))     # the next upgrade
    hub.fault(tw.sim.Delay(0.05, jitter_s=0.02), connection=1)         # from now on, until Resume

Those that befall a link: `Drop`, `Silence`, `CloseMessage`, `CloseFrame`, `Ping`, `Inject`, `Logout`,
and `Resume`, which ends the lasting ones: `Silence`, `Delay`, `Dribble`, `Fragment`, `Split`, `Lose`,
`Duplicate`, `Reorder`. Those that take the place of an answer: `Refuse`, `NoAnswer`, `Late`,
`WrongAccept`, `HandshakeError`, `Glue`, `SubscribeError`, `NoData`. Those that befall the hub:
`Unlisten`, `Listen`, `Skew`. Whatever they do, `Hub.connections` tells what each client was really sent.

It shares no code with tickwire's client or decoder, so that each checks the other. `python -m
tickwire.sim` runs it as a process of its own.
"""

from __future__ import annotations

from .accounting import ClientFrame, ConnectionInfo, HttpRequest, Lateness, Sent, SentMessage
from .contracts import Contract, contracts
from .distortions import Delay, Distortion, Dribble, Duplicate, Fragment, Lose, Reorder, Split
from .faults import (
    CloseFrame,
    CloseMessage,
    Drop,
    Fault,
    GateFault,
    Glue,
    HandshakeError,
    HubFault,
    Inject,
    Late,
    LinkFault,
    Listen,
    Logout,
    NoAnswer,
    NoData,
    Ping,
    Refuse,
    Resume,
    Silence,
    Skew,
    Stage,
    SubscribeError,
    Unlisten,
    WrongAccept,
)
from .history import History, serve_history
from .hub import Hub
from .market import Market
from .replay import Replay
from .rest import Rest, refusal
from .ticks import Block, Source

__all__ = [
    "Block",
    "ClientFrame",
    "CloseFrame",
    "CloseMessage",
    "ConnectionInfo",
    "Contract",
    "Delay",
    "Distortion",
    "Dribble",
    "Drop",
    "Duplicate",
    "Fault",
    "Fragment",
    "GateFault",
    "Glue",
    "HandshakeError",
    "History",
    "HttpRequest",
    "Hub",
    "HubFault",
    "Inject",
    "Late",
    "Lateness",
    "LinkFault",
    "Listen",
    "Logout",
    "Lose",
    "Market",
    "NoAnswer",
    "NoData",
    "Ping",
    "Refuse",
    "Reorder",
    "Replay",
    "Rest",
    "Resume",
    "Sent",
    "SentMessage",
    "Silence",
    "Skew",
    "Source",
    "Split",
    "Stage",
    "SubscribeError",
    "Unlisten",
    "WrongAccept",
    "contracts",
    "refusal",
    "serve_history",
]
