"""Two connections at once: what Python sees of it, and a client that changes its socket in a live stream.

The rule itself is tested in the core, against a model and against the truth.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable

import pytest

import tickwire as tw
from hubs import PATIENCE_S
from tickwire.events import Gap

S = 1_000_000_000
BASE_S = 1_787_172_691
SYMBOLS = ("CON.F.US.MNQ.U26", "CON.F.US.MES.U26")


def engine_of(timeframes: list[str] | None = None) -> tw.Engine:
    instruments = [tw.Instrument(symbol, tick_size=0.25) for symbol in SYMBOLS]
    return tw.Engine(instruments, timeframes or ["1m"])


def trade(at_s: int, price: float = 100.0, symbol: str = SYMBOLS[0], count: int = 1) -> bytes:
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(BASE_S + at_s))
    data = [{"price": price, "timestamp": when, "type": 0, "volume": 2}] * count
    return json.dumps({"type": 1, "target": "GatewayTrade", "arguments": [symbol, data]}).encode() + b"\x1e"


def test_each_tick_enters_once() -> None:
    engine = engine_of()
    old, new = engine.feed("old"), engine.feed("new")
    old.push_bytes(trade(0))
    overlap = engine.overlap(old, new)
    receipt = new.push_bytes(trade(0, count=3))
    assert (receipt.received, receipt.accepted, receipt.rejected, receipt.duplicates) == (2, 2, 0, 1)
    receipt = old.push_bytes(trade(0, count=3) + trade(1))
    assert (receipt.received, receipt.duplicates) == (2, 2)
    assert repr(receipt) == "Receipt(received=2, accepted=2, rejected=0, duplicates=2, control=())"
    assert old.push_bytes(trade(2)).duplicates == 0, "a receipt of accepted ticks alone is another one"
    assert (overlap.duplicates, overlap.outstanding) == (3, 3)
    assert overlap.memory_bytes > 0

    stats = engine.stats()
    assert stats["received"] == stats["accepted"] == engine.trades(SYMBOLS[0]).height == 6
    assert stats["duplicates"] == engine.stats(SYMBOLS[0])["duplicates"] == 3
    assert engine.stats(SYMBOLS[1])["duplicates"] == engine.snapshot(SYMBOLS[1]).stats["duplicates"] == 0


def test_the_way_of_a_swap() -> None:
    engine = engine_of()
    old, new = engine.feed("old"), engine.feed("new")
    overlap = engine.overlap(old, new)
    old.push_bytes(trade(0))
    overlap.ready()
    for at_s in (1, 2):
        assert not overlap.contact
        assert old.push_bytes(trade(at_s)).duplicates == 0
        assert new.push_bytes(trade(at_s)).duplicates == 1
    assert overlap.contact
    old.push_bytes(trade(3))
    assert (overlap.unsettled(new), overlap.unsettled(old)) == (1, 0)
    new.push_bytes(trade(3) + trade(4))
    assert overlap.unsettled(new) == 0
    assert repr(overlap) == 'Overlap(old="old", new="new", contact=True, duplicates=3)'
    report = overlap.end(new)
    assert (report.contact, report.duplicates, report.shed, report.uncertain) == (True, 3, 0, [])
    assert (report.only_old, report.only_new) == (0, 0)
    assert "uncertain=[]" in repr(report)
    assert new.push_bytes(trade(4)).received == 1, "nothing is compared any more"


def test_what_is_uncertain_can_be_marked() -> None:
    engine = engine_of(["1s"])
    old, new = engine.feed("old"), engine.feed("new")
    overlap = engine.overlap(old, new)
    old.push_bytes(trade(1) + trade(2, symbol=SYMBOLS[1]) + trade(4, symbol=SYMBOLS[1]))
    new.push_bytes(trade(1))
    report = overlap.end(new)
    assert report.uncertain == [(SYMBOLS[1], (BASE_S + 2) * S, (BASE_S + 4) * S + 1)]
    for symbol, start_ns, end_ns in report.uncertain:
        engine.mark_gap(start_ns, end_ns, [symbol])


def test_memory_that_is_too_small_is_told() -> None:
    engine = engine_of()
    old, new = engine.feed("old"), engine.feed("new")
    overlap = engine.overlap(old, new, capacity=10)
    for at_s in range(50):
        old.push_bytes(trade(at_s))
    assert overlap.outstanding <= 10
    report = overlap.end(new)
    assert report.shed >= 40
    assert report.uncertain == [(SYMBOLS[0], BASE_S * S, (BASE_S + 49) * S + 1)]


def test_mistakes_are_told_and_change_nothing() -> None:
    engine = engine_of()
    old, new, third = engine.feed("old"), engine.feed("new"), engine.feed("third")
    with pytest.raises(tw.ConfigError, match="capacity: got 0"):
        engine.overlap(old, new, capacity=0)
    with pytest.raises(tw.ConfigError, match="expected two feeds of one engine"):
        engine.overlap(old, old)
    with pytest.raises(tw.ConfigError, match="expected two feeds of one engine"):
        engine.overlap(old, engine_of().feed("new"))
    overlap = engine.overlap(old, new)
    for one, other in ((old, third), (third, new), (third, old)):
        with pytest.raises(tw.ConfigError, match="still in an overlap"):
            engine.overlap(one, other)
    with pytest.raises(tw.ConfigError, match='got feed "third"'):
        overlap.end(third)
    with pytest.raises(tw.ConfigError, match='got feed "third"'):
        overlap.unsettled(third)
    # The failed ones have left nothing behind on the third feed.
    for _ in range(2):
        assert third.push_bytes(trade(0)).received == 1
    overlap.end(old)
    with pytest.raises(tw.ConfigError, match="has ended already"):
        overlap.end(new)
    engine.overlap(new, old).end(old)


def test_two_threads() -> None:
    engine = engine_of(["1d"])
    old, new = engine.feed("old"), engine.feed("new")
    overlap = engine.overlap(old, new)
    payloads = [trade(at_s, count=1 + at_s % 3) for at_s in range(2_000)]
    joined = b"".join(payloads)

    def push(feed: tw.Feed, step: int) -> None:
        for start in range(0, len(joined), step):
            feed.push_bytes(joined[start : start + step])

    # One with the GIL released, one with many short payloads.
    threads = [threading.Thread(target=push, args=arguments) for arguments in ((old, 9_001), (new, 157))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    stats = engine.stats()
    assert stats["accepted"] == stats["duplicates"] == overlap.duplicates == 3_999
    assert overlap.outstanding == 0


DELAYS = {
    "in step": lambda hub: None,
    "the old one lags": lambda hub: hub.fault(tw.sim.Delay(0.15), connection=2),
    "the new one lags": lambda hub: hub.fault(tw.sim.Delay(0.15), at="upgrade"),
    "cut anywhere": lambda hub: hub.fault(tw.sim.Dribble(97), at="upgrade"),
}


@pytest.mark.parametrize("delay", DELAYS.values(), ids=DELAYS)
def test_a_client_changes_its_socket_in_the_middle_of_a_stream(delay: Callable[[tw.sim.Hub], None]) -> None:
    """The same ticks as those of a client that stays on one connection, each once."""
    market = tw.sim.Market(3, seed=5, rate=4_000, mix={"trade": 0.4, "quote": 0.4, "depth": 0.2})
    instruments = [
        tw.Instrument(contract.symbol, tick_size=contract.tick_size) for contract in market.contracts
    ]
    steady = tw.Engine(instruments, ["1d"])
    swapping = tw.Engine(instruments, ["1d"])
    streams = ("trades", "quotes", "depth")
    count = 8_000
    # Milliseconds, so that many ticks are alike but for their order.
    hub = tw.sim.Hub(market, count=count, start="manual", digits=3, first_depth=None)
    with (
        hub,
        tw.connect(hub=hub.url, token=hub.token(), engine=steady, streams=streams),
        tw.connect(hub=hub.url, token=hub.token(), engine=swapping, streams=streams) as client,
        client.events() as events,
    ):
        hub.start()
        hub.wait_until(lambda hub: hub.sent.ticks > count // 4, PATIENCE_S)
        delay(hub)
        client.swap()
        hub.wait_until(lambda _: client.status()["swaps"] == 1, PATIENCE_S, what="the swap")
        hub.wait_finished(PATIENCE_S)
        hub.wait_until(lambda _: steady.stats()["received"] == count, PATIENCE_S, what="all ticks")
        hub.wait_until(lambda _: swapping.stats()["received"] >= count, PATIENCE_S, what="all ticks")
        status = client.status()
        assert not [event for event in events.poll() if isinstance(event, Gap) and event.reason != "join"]
    stats = swapping.stats()
    assert stats["received"] == stats["accepted"] + stats["rejected"] == status["received"] == count
    assert stats["duplicates"] == status["duplicates"] > 0
    for symbol in swapping.symbols:
        for read in (tw.Engine.trades, tw.Engine.quotes):
            ours, theirs = (read(engine, symbol).drop("ts_recv") for engine in (swapping, steady))
            assert ours.sort(ours.columns).equals(theirs.sort(theirs.columns)), symbol
