"""The engine's book against the hub's own, through a real socket.

The hub follows the changes that it sends with dicts of its own, and shares no code with the decoder or the
engine. At the end of the stream both must hold the same levels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest

import tickwire as tw
from hubs import PATIENCE_S, no_leftovers
from live import FAST, engine_for, wait_for
from tickwire import sim

MIX = {"trade": 0.1, "quote": 0.3, "depth": 0.6}
STREAMS = ("trades", "quotes", "depth")


def seen(engine: tw.Engine, symbol: str) -> tuple[list[tuple[float, ...]], list[tuple[float, ...]]]:
    book = engine.book(symbol)
    assert book is not None
    return [tuple(level) for level in book.bids.tolist()], [tuple(level) for level in book.asks.tolist()]


def all_the_same(engine: tw.Engine, hub: sim.Hub) -> bool:
    """Whether both hold the same; while the stream goes on that is true only between two of its ticks."""
    return all(seen(engine, symbol) == hub.book(symbol) for symbol in hub.symbols)


@pytest.mark.parametrize("first", ["levels", "reset"])
@pytest.mark.parametrize("protocol", ["json", "messagepack"])
def test_after_many_deltas_the_book_is_the_hubs(
    protocol: Literal["json", "messagepack"], first: Literal["levels", "reset"]
) -> None:
    market = sim.Market(3, seed=11, rate="max", mix=MIX)
    hub = sim.Hub(market, count=8_000, start="all", shape="mixed", records_per_message=5, first_depth=first)
    with no_leftovers(), hub:
        engine = engine_for(hub, book_levels=64)
        with tw.connect(
            hub.url, token=hub.token(), engine=engine, streams=STREAMS, clock="event", protocol=protocol
        ):
            hub.wait_finished(PATIENCE_S)
            wait_for(lambda: engine.stats()["received"] == hub.sent.ticks, "the last tick")
        assert all_the_same(engine, hub)
        for symbol in hub.symbols:
            counts = engine.book(symbol).counts
            assert engine.book(symbol).complete
            assert counts["updates"] > 500
            assert counts["pruned"] > 20
            assert counts["missed"] == counts["dropped"] == counts["other"] == counts["gaps"] == 0
            assert (counts["resets"], counts["snapshots"]) == ((1, 0) if first == "reset" else (0, 1))
        assert engine.stats()["rejected"] == 0


def test_a_book_of_changes_alone_is_not_complete() -> None:
    market = sim.Market(1, seed=3, rate="max", mix={"depth": 1})
    with no_leftovers(), sim.Hub(market, count=60, first_depth=None) as hub:
        engine = engine_for(hub)
        with tw.connect(hub.url, token=hub.token(), engine=engine, streams="depth", clock="event"):
            hub.wait_finished(PATIENCE_S)
            wait_for(lambda: engine.stats()["received"] == 60, "the last tick")
        book = engine.book(hub.symbols[0])
        assert not book.complete
        # What nobody has touched since is missing: most levels far from the market.
        bids, _ = hub.book(hub.symbols[0])
        assert (book.bid, book.bid_levels < len(bids)) == (bids[0][0], True)


def test_a_lost_link_voids_the_book_until_it_is_sent_anew() -> None:
    with no_leftovers(), sim.Hub(sim.Market(2, seed=5, rate=1_500, mix=MIX)) as hub:
        engine = engine_for(hub, book_levels=64)
        with tw.connect(hub.url, token=hub.token(), engine=engine, streams=STREAMS, limits=FAST) as client:
            hub.wait_until(lambda hub: hub.sent.ticks > 500, PATIENCE_S)
            hub.fault(sim.Drop(), connection=1)
            wait_for(lambda: client.status()["connections"] == 2, "the second connection")
            hub.wait_until(lambda hub: hub.connection(2).sent.ticks > 500, PATIENCE_S)
            wait_for(lambda: all_the_same(engine, hub), "the hub's own books")
        for symbol in hub.symbols:
            book = engine.book(symbol)
            assert (book.complete, book.counts["gaps"], book.counts["snapshots"]) == (True, 1, 2)


def test_what_a_faulty_hub_loses_shows_as_a_disagreement() -> None:
    """Changes of the book are lost on their way, and the quotes go on."""
    market = sim.Market(1, seed=5, rate=2_000, mix={"quote": 0.4, "depth": 0.6})
    with no_leftovers(), sim.Hub(market) as hub:
        engine = engine_for(hub)
        with tw.connect(hub.url, token=hub.token(), engine=engine, streams=("quotes", "depth")):
            hub.wait_until(lambda hub: hub.sent.ticks > 500, PATIENCE_S)
            hub.fault(sim.Lose(kinds=("depth",)), connection=1)
            quotes = engine.stats()["quotes"]
            wait_for(lambda: engine.stats()["quotes"] > quotes + 200, "quotes behind the last change")
            before = engine.stats()
            wait_for(
                lambda: engine.stats()["book_disagreements"] > before["book_disagreements"], "a disagreement"
            )
            assert engine.stats()["depth"] == before["depth"]


LAGS = {
    "in step": lambda hub: None,
    "the old one lags": lambda hub: hub.fault(sim.Delay(0.15), connection=1),
    "the new one lags": lambda hub: hub.fault(sim.Delay(0.15), at="upgrade"),
}


@pytest.mark.parametrize("lag", LAGS.values(), ids=LAGS)
def test_a_change_of_sockets_leaves_the_book_whole(lag: Callable[[sim.Hub], None]) -> None:
    """Each connection has a snapshot and changes of its own, at its own time; never are they mixed."""
    with no_leftovers(), sim.Hub(sim.Market(2, seed=5, rate=1_500, mix=MIX)) as hub:
        engine = engine_for(hub, book_levels=64)
        with tw.connect(hub.url, token=hub.token(), engine=engine, streams=STREAMS, limits=FAST) as client:
            hub.wait_until(lambda hub: hub.sent.ticks > 500, PATIENCE_S)
            lag(hub)
            client.swap()
            hub.wait_until(lambda hub: len(hub.connections) == 2 and hub.connection(2).sent.ticks > 300)
            hub.clear_faults()
            wait_for(lambda: client.status()["swaps"] == 1, "the swap")
            wait_for(lambda: all_the_same(engine, hub), "the hub's own books")
        for symbol in hub.symbols:
            book = engine.book(symbol)
            assert (book.complete, book.counts["gaps"], book.counts["snapshots"]) == (True, 0, 1)
        assert engine.stats()["duplicates"] > 0
