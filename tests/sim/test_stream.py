"""The stream: who gets what, and in which form."""

from __future__ import annotations

import itertools
import json
from collections import Counter, defaultdict
from typing import Any

import pytest

from hubs import PATIENCE_S
from sim.peer import Peer, count, elements
from tickwire import ConfigError, sim

PROTOCOLS = pytest.mark.parametrize("protocol", ["json", "messagepack"])
MIX = {"trade": 0.3, "quote": 0.4, "depth": 0.3}


def counts(sent: sim.Sent) -> Counter[str]:
    return Counter(trade=sent.trades, quote=sent.quotes, depth=sent.depth)


# Who gets what


@PROTOCOLS
@pytest.mark.parametrize("records_per_message", [1, 7, 50])
def test_both_ends_count_the_same(protocol: str, records_per_message: int):
    market = sim.Market(4, seed=1, rate=None, mix=MIX)
    with (
        sim.Hub(market, count=5_003, records_per_message=records_per_message, first_depth=None) as hub,
        Peer(hub, protocol=protocol) as peer,
    ):
        peer.subscribe(hub.symbols)
        hub.wait_until(lambda h: len(h.connection().subscriptions) == 12)
        events = peer.events(5_003)
        hub.wait_finished(PATIENCE_S)
        assert hub.sent.ticks == 5_003
        assert counts(hub.sent) == count(events)
        assert hub.sent.records == len(events)
        assert hub.connection().sent == hub.sent
        # The handshake's answer is one more message, and the frames are more than their payloads.
        assert hub.sent.messages == len(peer.raw) + 1
        assert hub.sent.bytes > sum(map(len, peer.raw))


def test_a_message_holds_as_many_records_as_it_was_told():
    with (
        sim.Hub(sim.Market(2, rate=None), count=1_007, records_per_message=10, elements_per_record=1) as hub,
        Peer(hub) as peer,
    ):
        peer.subscribe(hub.symbols, ["trade", "quote"])
        hub.wait_finished(PATIENCE_S)
        peer.events(hub.sent.ticks)
        sizes = Counter(payload.count("\x1e") for payload in peer.raw)
    # Only what came before all four subscriptions stood can have left gaps, and the very last one.
    assert sizes[10] >= 1_007 // 10 - 60
    assert max(sizes) == 10


def test_groups_are_not_cut_by_blocks():
    with (
        sim.Hub(
            sim.Market(1, rate=None),
            count=20_000,
            records_per_message=50,
            elements_per_record=1,
            start="manual",
        ) as hub,
        Peer(hub) as peer,
    ):
        peer.subscribe(hub.symbols, ["trade", "quote"])
        hub.wait_until(lambda h: len(h.connection().subscriptions) == 2)
        hub.start()
        peer.events(20_000)
        assert {payload.count("\x1e") for payload in peer.raw} == {50}


@PROTOCOLS
def test_everyone_gets_what_they_subscribed_to(protocol: str):
    market = sim.Market(3, seed=5, rate=None, mix=MIX)
    wanted = [
        {("trade", market.symbols[0])},
        {("trade", market.symbols[0]), ("quote", market.symbols[2]), ("depth", market.symbols[1])},
        set(itertools.product(("trade", "quote", "depth"), market.symbols)),
        set(),
    ]
    with sim.Hub(market, start="manual", count=4_000, first_depth=None) as hub:
        peers = [Peer(hub, protocol=protocol) for _ in wanted]
        for peer in peers:
            peer.__enter__()
        try:
            for peer, pairs in zip(peers, wanted, strict=True):
                for kind, contract in pairs:
                    peer.subscribe([contract], [kind])
            hub.wait_until(lambda h: [set(c.subscriptions) for c in h.connections] == wanted)
            hub.start()
            hub.wait_finished(PATIENCE_S)
            infos = {info.id: info for info in hub.connections}
            got = [peer.events(infos[n].sent.ticks) for n, peer in enumerate(peers, 1)]
        finally:
            for peer in peers:
                peer.__exit__(None, None, None)
    for number, (events, pairs) in enumerate(zip(got, wanted, strict=True), 1):
        assert {(kind, contract) for kind, contract, _ in events} == pairs
        assert counts(infos[number].sent) == count(events)
    # The third subscribed to everything, and what the others got is a part of it, in order.
    whole = elements(got[2], "trade")
    assert (
        elements(got[0], "trade")
        == [e for e in whole if e[0] == market.symbols[0]]
        == elements(got[1], "trade")
    )
    assert len(got[3]) == 0


def test_unsubscribing_stops_one_stream_only():
    with sim.Hub(sim.Market(1, rate=500.0)) as hub, Peer(hub) as peer:
        [contract] = hub.symbols
        peer.subscribe([contract], ["trade", "quote"])
        while {"trade", "quote"} != {peer.event()[0] for _ in range(20)}:
            pass
        peer.send(
            {"type": 1, "invocationId": "u", "target": "UnsubscribeContractTrades", "arguments": [contract]}
        )
        while peer.message() != {"type": 3, "invocationId": "u"}:
            pass
        assert {peer.event()[0] for _ in range(100)} == {"quote"}


def test_a_completion_comes_before_the_first_event():
    with sim.Hub(sim.Market(1, rate=None), count=2_000) as hub, Peer(hub) as peer:
        peer.send(
            {
                "type": 1,
                "invocationId": "1",
                "target": "SubscribeContractTrades",
                "arguments": [hub.symbols[0]],
            }
        )
        assert peer.message() == {"type": 3, "invocationId": "1"}


# Quotes: full first, then what changed


@PROTOCOLS
def test_quotes_are_full_first_and_partial_then(protocol: str):
    figures = {"lastPrice", "change", "changePercent", "open", "high", "low", "volume"}
    market = sim.Market(2, seed=3, rate=None, mix=MIX)
    with (
        sim.Hub(market, count=3_000, start="manual", elements_per_record=1, first_depth=None) as hub,
        Peer(hub, protocol=protocol) as peer,
    ):
        peer.subscribe(hub.symbols)
        hub.wait_until(lambda h: len(h.connection().subscriptions) == 6)
        hub.start()
        events = peer.events(3_000)
    state: dict[str, dict[str, Any]] = defaultdict(dict)
    traded: dict[str, list[tuple[float, float]]] = defaultdict(list)
    partial = empty = 0
    for kind, contract, data in events:
        if kind == "trade":
            [element] = data
            traded[contract].append((element["price"], element["volume"]))
        if kind != "quote":
            continue
        first = not state[contract]
        assert {"symbol", "lastUpdated", "timestamp"} <= set(data)
        assert data["timestamp"] == data["lastUpdated"]
        changed = set(data) - {"symbol", "lastUpdated", "timestamp"}
        if first:
            assert {"symbolName", "bestBid", "bestAsk"} <= changed
        else:
            assert all(state[contract].get(name) != data[name] for name in changed)
            assert "symbolName" not in data
            partial += 1
            empty += not changed
        state[contract] |= data
        # Merged, the fields say what an observer of all trades would say.
        if traded[contract]:
            prices = [price for price, _ in traded[contract]]
            merged = state[contract]
            assert figures <= set(merged)
            assert merged["lastPrice"] == prices[-1]
            assert (merged["open"], merged["high"], merged["low"]) == (prices[0], max(prices), min(prices))
            assert merged["volume"] == sum(size for _, size in traded[contract])
            assert merged["change"] == pytest.approx(prices[-1] - prices[0], abs=1e-9)
        else:
            assert figures.isdisjoint(data)
    assert partial > 1_000
    assert 0 < empty < partial


def test_who_comes_later_gets_a_full_quote_first_too():
    with sim.Hub(sim.Market(1, rate=2_000.0)) as hub, Peer(hub) as early:
        early.subscribe(hub.symbols, ["quote", "trade"])
        [kept] = {early.event()[1] for _ in range(200)}
        with Peer(hub) as late:
            late.subscribe(hub.symbols, ["quote"])
            _, _, first = late.event()
            _, _, second = late.event()
            assert {"symbolName", "bestBid", "bestAsk", "lastPrice", "volume"} <= set(first)
            assert "symbolName" not in second
            # Once more after a new subscription.
            late.send({"type": 1, "target": "UnsubscribeContractQuotes", "arguments": [kept]})
            late.subscribe([kept], ["quote"])
            while "symbolName" not in late.event()[2]:
                pass
        while early.message()["type"] != 1:
            pass
        assert "symbolName" not in next(d for k, _, d in iter(early.event, None) if k == "quote")


# Shapes


@pytest.mark.parametrize("shape", ["list", "object", "mixed"])
def test_trades_and_depth_come_in_every_shape(shape: str):
    market = sim.Market(2, seed=8, rate=None, mix=MIX, run_ticks=20.0)
    with (
        sim.Hub(
            market, count=2_000, shape=shape, elements_per_record=5, start="manual", first_depth=None
        ) as hub,
        Peer(hub) as peer,
    ):
        peer.subscribe(hub.symbols)
        hub.wait_until(lambda h: len(h.connection().subscriptions) == 6)
        hub.start()
        events = peer.events(2_000)
    types = Counter(type(data) for kind, _, data in events if kind != "quote")
    lengths = {len(data) for kind, _, data in events if isinstance(data, list)}
    assert (types[list] > 0) == (shape != "object")
    assert (types[dict] > 0) == (shape != "list")
    assert shape == "object" or (max(lengths) == 5 and 1 in lengths)
    assert {type(data) for kind, _, data in events if kind == "quote"} == {dict}
    for _, element in elements(events, "trade"):
        assert set(element) == {"symbolId", "price", "timestamp", "type", "volume"}
        assert element["type"] in (0, 1)
    for _, element in elements(events, "depth"):
        assert set(element) == {"timestamp", "type", "price", "volume", "currentVolume"}


def test_the_shape_changes_nothing_about_the_ticks():
    def ticks(**options: Any) -> list[Any]:
        market = sim.Market(3, seed=4, rate=None, mix=MIX, start_ns=10**18)
        with (
            sim.Hub(market, count=2_000, start="manual", first_depth=None, **options) as hub,
            Peer(hub) as peer,
        ):
            peer.subscribe(hub.symbols)
            hub.wait_until(lambda h: len(h.connection().subscriptions) == 9)
            hub.start()
            events = peer.events(2_000)
        return [
            (kind, contract, element)
            for kind, contract, data in events
            for element in (data if isinstance(data, list) else [data])
        ]

    plain = ticks(elements_per_record=1)
    assert ticks(shape="mixed", records_per_message=13) == plain
    assert ticks(shape="object", slot_s=0.5) == plain
    assert ticks(elements_per_record=8, records_per_message=50) == plain


# What is kept


def test_the_log_of_what_was_sent():
    with (
        sim.Hub(sim.Market(2, rate=None), count=500, records_per_message=3, keep_sent=10_000) as hub,
        Peer(hub) as peer,
    ):
        peer.subscribe(hub.symbols, ["trade", "quote"])
        hub.wait_finished(PATIENCE_S)
        sent = hub.sent
        peer.events(sent.ticks)
        log = hub.sent_log(1)
        assert [entry.payload.decode() for entry in log] == peer.raw
        assert [entry.number for entry in log] == list(range(2, len(log) + 2))  # 1 was the handshake
        assert sum(entry.ticks for entry in log) == sent.ticks
        assert sum(entry.records for entry in log) == sent.records


def test_by_hand():
    with sim.Hub() as hub, Peer(hub) as json_peer, Peer(hub, protocol="messagepack") as pack_peer:
        hub.wait_until(lambda h: all(info.protocol for info in h.connections))
        trade = {"symbolId": "X", "price": 1.5, "timestamp": "2024-07-21T13:45:00Z", "type": 0, "volume": 2}
        assert hub.broadcast("GatewayTrade", "X", [trade, trade]) == 2
        assert hub.broadcast("GatewayQuote", "X", {"bestBid": 1}, connection=1) == 1
        assert hub.broadcast("GatewayDepth", "X", trade) == 2
        assert hub.broadcast("GatewayLogout", "bye") == 2
        assert hub.send_raw(b"{broken\x1e", connection=1) == 1
        for peer in (json_peer, pack_peer):
            assert peer.event() == ("trade", "X", [trade, trade])
        assert json_peer.event() == ("quote", "X", {"bestBid": 1})
        assert json_peer.event() == pack_peer.event() == ("depth", "X", trade)
        assert pack_peer.message() == {"type": 1, "target": "GatewayLogout", "arguments": ["bye"]}
        assert json_peer.message() == {"type": 1, "target": "GatewayLogout", "arguments": ["bye"]}
        assert json_peer.ws.recv(PATIENCE_S) == "{broken\x1e"
        assert counts(hub.sent) == Counter(trade=4, quote=1, depth=2)


@pytest.mark.parametrize(
    "options",
    [
        {"path": "hub"},
        {"path": "/hubs/user"},
        {"port": 70_000},
        {"start": "later"},
        {"shape": "tuple"},
        {"digits": 10},
        {"records_per_message": 0},
        {"elements_per_record": 0},
        {"count": -1},
        {"seconds": 0.0},
        {"ping_s": 0.0},
        {"silence_s": float("nan")},
        {"keep_sent": -1},
    ],
    ids=json.dumps,
)
def test_settings_that_cannot_work_are_refused(options: dict[str, Any]):
    [name] = options
    with pytest.raises(ConfigError, match=name):
        sim.Hub(**options)
