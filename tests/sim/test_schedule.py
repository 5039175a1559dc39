"""When the stream starts and ends, its schedule, and backpressure."""

from __future__ import annotations

import datetime as dt
import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from hubs import PATIENCE_S
from sim.peer import Peer, ticks_in
from tickwire import sim

MIX = {"trade": 0.3, "quote": 0.4, "depth": 0.3}


def instant_ns(text: str) -> int:
    """ns UTC of a timestamp with at most nine digits and a Z."""
    seconds, _, fraction = text.removesuffix("Z").partition(".")
    whole = dt.datetime.fromisoformat(seconds).replace(tzinfo=dt.UTC)
    return int(whole.timestamp()) * 1_000_000_000 + int(fraction.ljust(9, "0"))


# Beginning and end


def test_first_starts_with_the_first_subscription():
    with sim.Hub(sim.Market(2, rate=None), count=100) as hub, Peer(hub) as peer:
        assert not hub.is_finished
        peer.subscribe(hub.symbols[:1], ["quote"])
        hub.wait_finished(PATIENCE_S)


def test_all_waits_for_all():
    market = sim.Market(2, rate=None, mix=MIX)
    pairs = list(itertools.product(("trade", "quote", "depth"), market.symbols))
    with (
        sim.Hub(market, start="all", count=1_000, first_depth=None) as hub,
        Peer(hub) as one,
        Peer(hub) as two,
    ):
        for kind, contract in pairs[:-1]:
            one.subscribe([contract], [kind])
        assert "error" not in one.invoke("SubscribeContractTrades", market.symbols[0])
        assert hub.sent.ticks == 0
        two.subscribe([pairs[-1][1]], [pairs[-1][0]])
        hub.wait_finished(PATIENCE_S)
        assert hub.sent.ticks == 1_000  # nothing was lost on anybody


def test_a_hub_goes_on_after_its_stream():
    with sim.Hub(sim.Market(1, rate=None), count=10, ping_s=0.05) as hub, Peer(hub) as peer:
        peer.subscribe(hub.symbols, ["trade", "quote"])
        hub.wait_finished(PATIENCE_S)
        peer.events(hub.sent.ticks)
        assert peer.message() == {"type": 6}
        assert "error" not in peer.invoke("SubscribeContractTrades", hub.symbols[0])


@pytest.mark.parametrize(
    ("rate", "limit"),
    [(2_000.0, {"seconds": 0.25}), (2_000.0, {"count": 500}), (2_000.0, {"seconds": 60, "count": 500})],
)
def test_the_limits_are_exact(rate: float, limit: dict[str, Any]):
    market = sim.Market(2, rate=rate, burst=0.0)
    with sim.Hub(market, start="manual", first_depth=None, **limit) as hub, Peer(hub) as peer:
        peer.subscribe(hub.symbols, ["trade", "quote"])
        hub.wait_until(lambda h: len(h.connection().subscriptions) == 4)
        hub.start()
        hub.wait_finished(PATIENCE_S)
        assert hub.sent.ticks == 500
        peer.events(500)


def test_seconds_also_end_an_unpaced_stream():
    with sim.Hub(sim.Market(1, rate=None), seconds=0.2) as hub, Peer(hub) as peer:
        peer.subscribe(hub.symbols, ["quote"])
        hub.wait_until(lambda h: len(h.connection().subscriptions) == 1)
        while not hub.is_finished:
            peer.event()


def test_a_count_of_zero_is_an_empty_stream():
    with sim.Hub(sim.Market(1, rate=None), count=0, start="manual") as hub:
        hub.start()
        hub.wait_finished(PATIENCE_S)
        assert hub.sent == sim.Sent()


def test_nobody_subscribed_means_nothing_sent():
    with sim.Hub(sim.Market(1, rate=2_000.0, burst=0.0), count=200, start="manual") as hub, Peer(hub):
        hub.start()
        hub.wait_finished(PATIENCE_S)  # a paced stream goes on alone
        assert hub.sent.ticks == 0


class Torn(sim.Market):
    """A source that fails after its first block."""

    failed = threading.Event()

    def blocks(self) -> Iterator[sim.Block]:
        yield next(super().blocks())
        self.failed.set()
        raise LookupError("the recording is torn")


def test_a_source_that_fails_is_not_one_that_ended():
    with sim.Hub(Torn(1, rate=None)) as hub, Peer(hub) as peer:
        peer.subscribe(hub.symbols, ["quote"])
        with pytest.raises(LookupError, match="torn"):
            hub.wait_finished(PATIENCE_S)


def test_who_does_not_wait_hears_of_it_at_the_end():
    source = Torn(1, rate=None)
    source.failed = threading.Event()
    hub = sim.Hub(source)
    hub.__enter__()
    with Peer(hub) as peer:
        peer.subscribe(hub.symbols, ["quote"])
        assert source.failed.wait(PATIENCE_S)
    with pytest.raises(LookupError, match="torn"):
        hub.__exit__(None, None, None)


# The schedule


def test_ticks_carry_their_scheduled_time():
    rate = 1_000.0
    market = sim.Market(1, rate=rate, burst=0.0, mix={"quote": 1})
    before_ns = time.time_ns()
    with sim.Hub(market, count=300, start="manual", first_depth=None) as hub, Peer(hub) as peer:
        peer.subscribe(hub.symbols, ["quote"])
        hub.wait_until(lambda h: len(h.connection().subscriptions) == 1)
        hub.start()
        events = [(peer.event(), time.time_ns()) for _ in range(300)]
    stamps = [instant_ns(data["timestamp"]) for (_, _, data), _ in events]
    # The schedule is the rate's, to the slot, however late the hub or the reader was.
    assert [stamp - stamps[0] for stamp in stamps] == [n * 1_000_000 for n in range(300)]
    assert before_ns < stamps[0]
    # Nothing is sent before it is due. The wall clock may be stepped by its keeper in between; the
    # hub works by the monotonic one.
    assert all(
        received_ns >= stamp - 1_000_000 for stamp, (_, received_ns) in zip(stamps, events, strict=True)
    )
    assert hub.lateness.batches == 300
    assert 0 <= hub.lateness.p50_us <= hub.lateness.p99_us <= hub.lateness.max_us


def test_a_late_hub_catches_up_and_stretches_nothing():
    class Slow(sim.Market):
        """Takes its time over the second block, as a machine under load would."""

        def blocks(self) -> Iterator[sim.Block]:
            for number, block in enumerate(super().blocks()):
                if number == 1:
                    time.sleep(0.3)
                yield block

    with (
        sim.Hub(Slow(1, rate=1_000.0, burst=0.0, mix={"quote": 1}), count=1_000, start="manual") as hub,
        Peer(hub) as peer,
    ):
        peer.subscribe(hub.symbols, ["quote"])
        hub.wait_until(lambda h: len(h.connection().subscriptions) == 1)
        hub.start()
        hub.wait_finished(PATIENCE_S)
        stamps = [instant_ns(data["timestamp"]) for _, _, data in peer.events(1_000)]
    assert [stamp - stamps[0] for stamp in stamps] == [n * 1_000_000 for n in range(1_000)]
    # The first batch behind the stall was late by most of it. Had the rest not caught up, that would
    # be the lateness of seven batches in eight.
    assert hub.lateness.max_us > 150_000
    assert hub.lateness.p50_us < 100_000


def test_ticks_of_a_slot_share_its_time():
    market = sim.Market(1, rate=10_000.0, burst=0.0, mix={"quote": 1})
    with (
        sim.Hub(market, count=1_000, slot_s=0.01, start="manual", first_depth=None) as hub,
        Peer(hub) as peer,
    ):
        peer.subscribe(hub.symbols, ["quote"])
        hub.wait_until(lambda h: len(h.connection().subscriptions) == 1)
        hub.start()
        stamps = [instant_ns(data["timestamp"]) for _, _, data in peer.events(1_000)]
    # The tick due at 0 is alone in its slot; the slots after it are 10 ms of 100 ticks each.
    sizes = list(Counter(stamps).values())
    assert sizes[:2] == [1, 100]
    assert np.diff(sorted(set(stamps))).tolist() == [10_000_000] * (len(sizes) - 1)


# Backpressure


@pytest.mark.parametrize("rate", [None, 200_000.0])
def test_a_client_that_does_not_read_is_waited_for(rate: float | None):
    market = sim.Market(1, rate=rate, mix={"quote": 1})
    options = {"max_queue": 1, "close_timeout": 0.1}
    with (
        sim.Hub(market, records_per_message=20, write_buffer_bytes=64 * 1024) as hub,
        Peer(hub, **options) as peer,
    ):
        peer.subscribe(hub.symbols, ["quote"])
        hub.wait_until(lambda h: len(h.connection().subscriptions) == 1)
        # Sent stands still once the socket's buffers are full, far below what the stream would send.
        previous, now = -1, hub.sent.bytes
        while now != previous or now < 64 * 1024:
            time.sleep(0.2)
            previous, now = now, hub.sent.bytes
        assert not hub.is_finished
        held = hub.sent
        events = peer.events(held.ticks)  # nothing is lost, and reading lets it go on
        assert sum(map(ticks_in, events)) == held.ticks
        while hub.sent.ticks == held.ticks:
            peer.event()
