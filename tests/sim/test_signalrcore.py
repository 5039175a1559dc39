"""Stock signalrcore against the hub: the client that many Python strategies use today."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import pytest
from signalrcore.hub_connection_builder import HubConnectionBuilder
from signalrcore.protocol.json_hub_protocol import JsonHubProtocol
from signalrcore.protocol.messagepack_protocol import MessagePackHubProtocol

from hubs import PATIENCE_S
from tickwire import sim

TARGETS = {"GatewayTrade": "trade", "GatewayQuote": "quote", "GatewayDepth": "depth"}


@pytest.mark.parametrize("negotiate", [True, False], ids=["negotiate", "direct"])
@pytest.mark.parametrize("protocol", [JsonHubProtocol, MessagePackHubProtocol])
def test_it_counts_what_the_hub_counts(protocol: Any, negotiate: bool):
    market = sim.Market(2, seed=1, rate=None, mix={"trade": 0.3, "quote": 0.4, "depth": 0.3})
    # It only leaves its receive loop when it receives something, hence the frequent pings.
    with sim.Hub(
        market, start="all", count=3_000, records_per_message=5, ping_s=0.05, first_depth=None
    ) as hub:
        counts: Counter[str] = Counter()
        opened, done = threading.Event(), threading.Event()

        def count(kind: str, data: Any) -> None:
            counts[kind] += len(data) if isinstance(data, list) else 1
            if counts.total() >= 3_000:
                done.set()

        client = (
            HubConnectionBuilder()
            .with_url(
                hub.url,
                options={
                    "headers": {"Authorization": f"Bearer {hub.token()}"},
                    "skip_negotiation": not negotiate,
                },
            )
            # Its handshake otherwise carries the negotiate version, 0, which is no protocol version.
            .with_hub_protocol(protocol(version=1))
            .build()
        )
        client.on_open(opened.set)
        for target, kind in TARGETS.items():
            client.on(target, lambda arguments, kind=kind: count(kind, arguments[1]))
        client.start()
        try:
            assert opened.wait(PATIENCE_S)
            for contract in hub.symbols:
                for method in ("Trades", "Quotes", "MarketDepth"):
                    client.send(f"SubscribeContract{method}", [contract])
            assert done.wait(PATIENCE_S)
            sent = hub.connection().sent
        finally:
            client.stop()
        assert counts == Counter(trade=sent.trades, quote=sent.quotes, depth=sent.depth)
        assert sent.ticks == 3_000
        assert [request.path.endswith("/negotiate") for request in hub.requests] == (
            [True, False] if negotiate else [False]
        )
