"""signalrcore as it is: its own transport and JSON protocol, a callback that counts."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from signalrcore.hub_connection_builder import HubConnectionBuilder

from benches.market import SYMBOL

NAME = "signalrcore client"
DISTRIBUTION = "signalrcore"

_PATIENCE_S = 300.0


def receive(url: str, ready: Callable[[], None]) -> int:
    """Connect, subscribe, count trades until `Done` comes."""
    hub = (
        HubConnectionBuilder()
        .with_url(url.replace("http://", "ws://"), options={"skip_negotiation": True})
        .configure_logging(logging.ERROR)
        .build()
    )
    opened, done = threading.Event(), threading.Event()
    trades = 0

    def count(arguments: list[Any]) -> None:
        nonlocal trades
        trades += len(arguments[1])

    hub.on_open(opened.set)
    hub.on("GatewayTrade", count)
    hub.on("Done", lambda _: done.set())
    hub.start()
    if not opened.wait(_PATIENCE_S):
        raise TimeoutError("signalrcore did not connect")
    hub.send("SubscribeContractTrades", [SYMBOL], on_invocation=lambda _: ready())
    if not done.wait(_PATIENCE_S):
        raise TimeoutError(f"signalrcore came to no end; it had {trades} trades")
    return trades
