"""Our client against servers of other makers: aiosignalr's, and philippseith/signalr in Go.

Both play a script: what they send upon a subscription is decided here, and what the engine made of it is
compared with what the script means, in JSON and in MessagePack. aiosignalr sends JSON in binary frames, and
an integer in the place of a completion's headers in MessagePack. The Go server leaves the version out of
its negotiate answers, and sends the messages of one caller in no particular order: so the engine is given
an allowed lateness here, under which order must not matter, and quotes are whole.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import peers
import tickwire as tw
from decisions import first_of_all
from hubs import PATIENCE_S
from peers import Peer
from tickwire.client import Client
from tickwire.config import ProtocolName

CONTRACTS = ("CON.F.US.EP.Z25", "CON.F.US.ENQ.Z25")
TRADES, QUOTES = "SubscribeContractTrades", "SubscribeContractQuotes"
TOKEN = "interop-token"
AFTER_NS = int(dt.datetime(2026, 3, 2, 15, tzinfo=dt.timezone.utc).timestamp()) * 1_000_000_000
TIMES = [f"2026-03-02T14:30:{n // 10:02}.{n % 10}00Z" for n in range(600)]

# The first build fetches modules and compiles them.
pytestmark = pytest.mark.timeout(400)

Running = Callable[[], Any]


def trade(number: int) -> dict[str, Any]:
    return {
        "symbolId": "F.US.EP",
        "price": 5000 + 0.25 * (number % 9),
        "timestamp": TIMES[number],
        "type": number % 2,
        "volume": 1 + number % 4,
    }


def quote(number: int, partial: bool) -> dict[str, Any]:
    """Every third is whole, or all of them; a partial one leaves out what has not changed."""
    whole = {"symbol": "F.US.EP", "symbolName": "/ES", "bestBid": 4999.75 - number % 3, "bestAsk": 5000.0}
    said = {"bestBid": whole["bestBid"]} if partial and number % 3 else whole
    return said | {"timestamp": TIMES[number]}


def trades_script(contract: str) -> list[list[Any]]:
    """300 trades: one alone, then arrays of two, three and four, then one alone again."""
    messages: list[list[Any]] = []
    number = 0
    while number < 300:
        held = [trade(n) for n in range(number, min(number + 1 + len(messages) % 4, 300))]
        messages.append(["GatewayTrade", contract, held[0] if len(held) == 1 else held])
        number += len(held)
    return messages


def script(partial: bool) -> dict[str, dict[str, list[list[Any]]]]:
    quotes = [quote(n, partial) for n in range(120)]
    return {
        TRADES: {contract: trades_script(contract) for contract in CONTRACTS},
        QUOTES: {contract: [["GatewayQuote", contract, one] for one in quotes] for contract in CONTRACTS},
    }


@pytest.fixture(params=["aiosignalr", "go"])
def running(request: pytest.FixtureRequest) -> Running:
    """Runs a server that plays the script; gives it and its URL."""
    in_order = request.param == "aiosignalr"
    command = peers.aiosignalr("aiosignalr_server.py") if in_order else peers.go_server()

    @contextmanager
    def run() -> Iterator[tuple[Peer, str]]:
        with peers.running(command, {"token": TOKEN, "script": script(partial=in_order)}) as server:
            yield server, server.next("listening")["url"]

    return run


@pytest.fixture(params=["json", "messagepack"])
def protocol(request: pytest.FixtureRequest) -> ProtocolName:
    return request.param


def client_of(url: str, engine: tw.Engine, **options: Any) -> Client:
    return tw.connect(
        url, engine=engine, clock="event", process_failure=first_of_all, **({"token": TOKEN} | options)
    )


def engine_of() -> tw.Engine:
    instruments = [tw.Instrument(one, tick_size=0.25, lateness="60s") for one in CONTRACTS]
    return tw.Engine(instruments, timeframes=["1s", "1m"])


def bar_of(trades: list[dict[str, Any]]) -> tuple[float, ...]:
    prices = [one["price"] for one in trades]
    return prices[0], max(prices), min(prices), prices[-1], sum(one["volume"] for one in trades)


def check_called(server: Peer) -> None:
    """Each subscription was asked for once."""
    calls = [server.next("called") for _ in range(4)]
    assert sorted((call["method"], call["contract"]) for call in calls) == sorted(
        (method, contract) for method in (TRADES, QUOTES) for contract in CONTRACTS
    )


def wait_for_ticks(client: Client, ticks: int) -> None:
    """Wait until the engine has accepted so many ticks."""
    deadline_s = time.monotonic() + PATIENCE_S
    while client.status()["accepted"] < ticks:
        assert time.monotonic() < deadline_s, client.status()
        time.sleep(0.01)
    assert client.status()["rejected"] == 0


@pytest.mark.parametrize("negotiate", [False, True], ids=["direct", "negotiate"])
def test_what_the_script_says_is_what_the_engine_holds(
    running: Running, protocol: ProtocolName, negotiate: bool
) -> None:
    engine = engine_of()
    options = {"protocol": protocol, "negotiate": negotiate}
    with running() as (server, url), client_of(url, engine, **options) as client:
        assert server.next("upgraded") == {"negotiated": negotiate}
        check_called(server)
        wait_for_ticks(client, 2 * (300 + 120))
    engine.advance(AFTER_NS)
    for contract in CONTRACTS:
        trades = engine.trades(contract).sort("ts_event")
        expected = [trade(n) for n in range(300)]
        assert trades["price"].to_list() == [one["price"] for one in expected]
        assert trades["size"].to_list() == [one["volume"] for one in expected]
        assert trades["side"].to_list() == [-1 if one["type"] else 1 for one in expected]
        quotes = engine.quotes(contract).sort("ts_event")
        assert quotes["bid"].to_list() == [quote(n, partial=False)["bestBid"] for n in range(120)]
        assert set(quotes["ask"]) == {5000.0}
        bars = engine.bars(contract, "1s").select("open", "high", "low", "close", "volume").rows()
        assert bars == [bar_of(expected[n : n + 10]) for n in range(0, 300, 10)]


def test_a_dropped_connection_comes_back_with_its_subscriptions(
    running: Running, protocol: ProtocolName
) -> None:
    engine = engine_of()
    options = {"protocol": protocol, "limits": tw.LinkLimits(backoff_min_s=0.01)}
    with running() as (server, url), client_of(url, engine, **options) as client:
        server.next("upgraded")
        check_called(server)
        wait_for_ticks(client, 2 * (300 + 120))
        server.tell("drop")
        server.next("upgraded")
        check_called(server)
    assert client.status()["connections"] == 2


@pytest.mark.parametrize("negotiate", [False, True], ids=["direct", "negotiate"])
def test_a_token_that_is_not_good_is_refused(running: Running, negotiate: bool) -> None:
    with running() as (_, url):
        client = client_of(url, engine_of(), token="another", negotiate=negotiate)
        with pytest.raises(tw.UpgradeRefused) as caught:
            client.__enter__()
        assert caught.value.status == 401


def test_a_method_that_the_server_does_not_have_is_refused(running: Running, protocol: ProtocolName) -> None:
    with running() as (_, url):
        client = client_of(url, engine_of(), streams="depth", protocol=protocol)
        with pytest.raises(tw.SubscribeRefused, match="SubscribeContractMarketDepth"):
            client.__enter__()
