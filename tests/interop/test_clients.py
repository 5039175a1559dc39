"""Clients of other makers against the embedded hub: the official one in JavaScript, and aiosignalr's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import peers
from peers import Peer
from tickwire import sim

# The first test of a client installs what it needs.
pytestmark = pytest.mark.timeout(400)

Running = Callable[..., Any]


@pytest.fixture(params=["javascript", "aiosignalr"])
def maker(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def running(maker: str) -> Running:
    """Runs the client against a hub, with changes to its task."""
    command = (
        peers.javascript("client.mjs") if maker == "javascript" else peers.aiosignalr("aiosignalr_client.py")
    )

    @contextmanager
    def run(hub: sim.Hub, **changes: Any) -> Iterator[Peer]:
        task = {
            "url": hub.url,
            "token": hub.token(),
            "protocol": "json",
            "negotiate": False,
            "contracts": hub.symbols,
            "ticks": 0,
            "reconnect": False,
        } | changes
        with peers.running(command, task) as peer:
            yield peer

    return run


@pytest.mark.parametrize("shape", ["list", "object"])
@pytest.mark.parametrize("negotiate", [True, False], ids=["negotiate", "direct"])
@pytest.mark.parametrize("protocol", ["json", "messagepack"])
def test_it_subscribes_counts_and_stops(running: Running, protocol: str, negotiate: bool, shape: str) -> None:
    market = sim.Market(3, seed=1, rate=None, mix={"trade": 0.3, "quote": 0.4, "depth": 0.3})
    with sim.Hub(
        market, start="all", count=5_000, records_per_message=7, shape=shape, first_depth=None
    ) as hub:
        token = hub.token()
        with running(hub, token=token, protocol=protocol, negotiate=negotiate, ticks=5_000) as client:
            client.next("connected")
            done = client.next("done")
            sent = hub.connection().sent
            client.leave()
            assert client.next("closed") == {"error": None}
        hub.wait_until(lambda h: not h.connection().is_open)

        assert done["counts"] == {
            "GatewayTrade": sent.trades,
            "GatewayQuote": sent.quotes,
            "GatewayDepth": sent.depth,
        }
        assert done["ticks"] == sent.ticks == 5_000
        assert done["logged"] == []
        assert done["refusal"] == (
            "Failed to invoke 'NoSuchMethod' due to an error on the server. HubException: Method does not exist."
        )
        contract, trades = done["first"]["GatewayTrade"]
        assert contract in hub.symbols
        trade = trades[0] if shape == "list" else trades
        assert set(trade) == {"symbolId", "price", "timestamp", "type", "volume"}
        for contract in hub.symbols:
            quote = done["merged"][contract]
            assert quote["bestBid"] < quote["bestAsk"]
            assert quote["symbolName"].startswith("/")

        # The token went in the header alone, of both requests where there are two.
        assert [request.path.endswith("/negotiate") for request in hub.requests] == (
            [True] if negotiate else []
        ) + [False]
        assert {request.headers["authorization"] for request in hub.requests} == {f"Bearer {token}"}
        assert not any(token in request.query for request in hub.requests)
        info = hub.connection()
        assert (info.protocol, info.closed_reason) == (protocol, "client sent Close")


@pytest.mark.parametrize("protocol", ["json", "messagepack"])
def test_it_reconnects_when_a_close_allows_it(running: Running, protocol: str) -> None:
    with sim.Hub() as hub, running(hub, protocol=protocol, negotiate=True, reconnect=True) as client:
        client.next("connected")
        client.next("done")
        hub.fault(sim.CloseMessage("restarting", allow_reconnect=True))
        client.next("reconnected")
        assert [info.is_open for info in hub.connections] == [False, True]
        client.leave()
        assert client.next("closed") == {"error": None}


def test_it_ends_when_a_close_does_not_allow_coming_back(running: Running, maker: str) -> None:
    # aiosignalr does not look at allowReconnect when it has a retry policy, so it is given none.
    with sim.Hub() as hub, running(hub, reconnect=maker == "javascript") as client:
        client.next("connected")
        client.next("done")
        hub.fault(sim.CloseMessage("maintenance"))
        told = {
            "javascript": "Server returned an error on close: maintenance",
            "aiosignalr": "Connection closed.",
        }
        assert client.next("closed") == {"error": told[maker]}
        client.leave()
        assert len(hub.connections) == 1


@pytest.mark.parametrize("negotiate", [True, False], ids=["negotiate", "direct"])
def test_it_is_refused_without_a_good_token(running: Running, negotiate: bool) -> None:
    with sim.Hub() as hub, running(hub, token=hub.token(ttl_s=-5), negotiate=negotiate) as client:
        words = client.last_words()
        # Node's WebSocket does not tell a program why it was refused.
        assert not negotiate or "401" in words
        assert hub.requests[-1].status == 401
        assert hub.connections == ()


@pytest.mark.parametrize("protocol", ["json", "messagepack"])
def test_pings_keep_it_connected(running: Running, protocol: str) -> None:
    with sim.Hub(ping_s=0.05) as hub, running(hub, protocol=protocol) as client:
        client.next("connected")
        client.next("done")
        # It checks every byte of a message; a ping it could not read would end the connection.
        sent = hub.connection().sent.messages
        hub.broadcast("Unknown", 1)
        hub.wait_until(lambda h: h.connection().sent.messages > sent + 5 or not h.connection().is_open)
        client.leave()
        assert client.next("closed") == {"error": None}
