"""The hub's own book, and what a subscription to depth begins with."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from sim.peer import Peer, elements
from tickwire import ConfigError, sim
from tickwire.sim.ticks import DEPTH

ASK, BID, RESET = 1, 2, 6
MIX = {"quote": 0.4, "depth": 0.6}


def follow(elements: list[dict[str, Any]]) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """Bids and asks, best first, after elements as they came over the wire."""
    sides: dict[bool, dict[float, float]] = {True: {}, False: {}}
    for element in elements:
        code, price, size = element["type"], element["price"], element["volume"]
        if code == RESET:
            sides = {True: {}, False: {}}
            continue
        is_bid = code in (2, 4, 9)
        own, other = sides[is_bid], sides[not is_bid]
        if not size:
            own.pop(price, None)
            continue
        own[price] = size
        for held in list(other):
            if held < price if is_bid else held > price:
                del other[held]
        for held in list(own):
            if code not in (ASK, BID) and (held > price if is_bid else held < price):
                del own[held]
    return sorted(sides[True].items(), reverse=True), sorted(sides[False].items())


@pytest.mark.parametrize("protocol", ["json", "messagepack"])
@pytest.mark.parametrize("first", ["levels", "reset"])
def test_a_subscription_begins_with_the_whole_book(first: Literal["levels", "reset"], protocol: str):
    market = sim.Market(2, seed=1, rate=None, mix=MIX, start_ns=10**18)
    one, other = market.symbols
    with (
        sim.Hub(market, count=3_000, start="manual", first_depth=first) as hub,
        Peer(hub, protocol=protocol) as peer,
    ):
        before = {symbol: hub.book(symbol) for symbol in market.symbols}
        assert all(len(side) == 20 for sides in before.values() for side in sides)
        peer.subscribe([one], ["depth"])
        kind, contract, whole = peer.event()
        assert (kind, contract) == ("depth", one)
        codes = [element["type"] for element in whole]
        assert codes == [RESET] * (first == "reset") + [BID] * 20 + [ASK] * 20
        assert {element["timestamp"] for element in whole} == {"2001-09-09T01:46:40Z"}
        assert follow(whole) == before[one]
        assert hub.sent.depth == len(whole)

        # Another subscriber, later, gets the book as it stands then.
        hub.start()
        hub.wait_finished(10.0)
        peer.subscribe([other], ["depth"])
        events = [peer.event()]
        while events[-1][1] == one:
            events.append(peer.event())
        assert follow(events[-1][2]) == hub.book(other) != before[other]
        changes = [element for _, element in elements(events[:-1], "depth")]
        assert follow(whole + changes) == hub.book(one) != before[one]


def test_without_a_first_book_only_changes_come():
    market = sim.Market(1, seed=1, rate=None, mix={"depth": 1})
    with sim.Hub(market, count=50, first_depth=None) as hub, Peer(hub) as peer:
        peer.subscribe(hub.symbols, ["depth"])
        assert len(elements(peer.events(50), "depth")) == 50
        assert hub.sent.depth == 50


def test_nobody_else_gets_a_book():
    market = sim.Market(1, seed=1, rate=None, mix=MIX)
    with sim.Hub(market, start="manual") as hub, Peer(hub) as peer:
        peer.subscribe(hub.symbols, ["quote", "trade"])
        assert peer.invoke("UnsubscribeContractMarketDepth", hub.symbols[0])["type"] == 3
        assert hub.sent.ticks == 0
    with sim.Hub(sim.Market(1, seed=1), start="manual") as hub:
        assert hub.book(hub.symbols[0]) == ([], []), "a market without depth"
        with pytest.raises(ConfigError, match="symbol='Y'"):
            hub.book("Y")
    with pytest.raises(ConfigError, match="first_depth='all'"):
        sim.Hub(first_depth="all")  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(3))
def test_the_changes_of_a_market_keep_its_book_near_the_quotes(seed: int):
    """Never crossed, never large, and at the quotes once it has had time to follow them."""
    contract = sim.Contract("X", 1.0, 1_000.0, volatility_ticks=20.0)
    market = sim.Market([contract], seed=seed, rate=2_000.0, mix={"quote": 0.2, "depth": 0.8})
    made: list[dict[str, Any]] = [
        {"type": code, "price": price, "volume": size} for code, price, size in market.opening()[0]
    ]
    ticks = followed = 0
    for block in market.blocks():
        columns = (block.kind, block.price, block.size, block.side, block.bid, block.ask)
        for kind, price, size, code, bid, ask in zip(*(column.tolist() for column in columns), strict=True):
            ticks += 1
            if kind == DEPTH:
                made.append({"type": code, "price": price, "volume": size})
            elif ticks % 50 == 0:
                bids, asks = follow(made)
                made = [{"type": BID, "price": p, "volume": s} for p, s in bids]
                made += [{"type": ASK, "price": p, "volume": s} for p, s in asks]
                assert bids[0][0] <= asks[0][0]
                assert max(len(bids), len(asks)) <= 60
                followed += abs(bids[0][0] - bid) + abs(asks[0][0] - ask) <= 4
        if ticks >= 10_000:
            break
    assert followed > ticks // 50 * 0.1
