"""An embedded market-data hub: a real SignalR server on loopback, for tests, demos and benchmarks.

    import tickwire as tw

    with tw.sim.Hub(tw.sim.Market(4, rate=10_000), seconds=5) as hub:
        ...  # connect to hub.url with hub.token()
        hub.wait_finished()
        print(hub.sent.ticks)

It shares no code with tickwire's client or decoder, so that each checks the other. `python -m
tickwire.sim` runs it as a process of its own.
"""

from __future__ import annotations

from .accounting import ClientFrame, ConnectionInfo, HttpRequest, Lateness, Sent, SentMessage
from .contracts import Contract, contracts
from .faults import CloseMessage, Drop, Fault, HandshakeError, Inject, NoAnswer, Refuse, Resume, Silence
from .hub import Hub
from .market import Market
from .replay import Replay
from .ticks import Block, Source

__all__ = [
    "Block",
    "ClientFrame",
    "CloseMessage",
    "ConnectionInfo",
    "Contract",
    "Drop",
    "Fault",
    "HandshakeError",
    "HttpRequest",
    "Hub",
    "Inject",
    "Lateness",
    "Market",
    "NoAnswer",
    "Refuse",
    "Replay",
    "Resume",
    "Sent",
    "SentMessage",
    "Silence",
    "Source",
    "contracts",
]
