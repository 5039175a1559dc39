"""Whatever is subscribed to, in whatever form: what was counted as sent is what arrived."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from hubs import PATIENCE_S
from sim.peer import Peer, count
from tickwire import sim

KINDS = ("trade", "quote", "depth")
client = st.tuples(
    st.sampled_from(["json", "messagepack"]),
    st.sets(st.tuples(st.sampled_from(KINDS), st.integers(0, 3)), max_size=12),
)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    clients=st.lists(client, min_size=1, max_size=3),
    rate=st.sampled_from([None, 50_000.0]),
    ticks=st.integers(1, 1_500),
    records_per_message=st.integers(1, 60),
    elements_per_record=st.integers(1, 9),
    shape=st.sampled_from(["list", "object", "mixed"]),
)
def test_sent_is_received(
    seed: int,
    clients: list[tuple[str, set[tuple[str, int]]]],
    rate: float | None,
    ticks: int,
    records_per_message: int,
    elements_per_record: int,
    shape: str,
):
    market = sim.Market(4, seed=seed, rate=rate, mix=dict.fromkeys(KINDS, 1.0), start_ns=10**18)
    with sim.Hub(
        market,
        first_depth=None,
        start="manual",
        count=ticks,
        records_per_message=records_per_message,
        elements_per_record=elements_per_record,
        shape=shape,
        keep_sent=10_000,
    ) as hub:
        peers = [Peer(hub, protocol=protocol) for protocol, _ in clients]
        try:
            for peer, (_, pairs) in zip(peers, clients, strict=True):
                peer.__enter__()
                for kind, index in pairs:
                    peer.subscribe([market.symbols[index]], [kind])
            wanted = sum(len(pairs) for _, pairs in clients)
            hub.wait_until(lambda h: sum(len(c.subscriptions) for c in h.connections) == wanted)
            hub.start()
            if wanted:
                hub.wait_finished(PATIENCE_S)
            for number, peer in enumerate(peers, 1):
                sent = hub.connection(number).sent
                events = peer.events(sent.ticks)
                got = count(events)
                assert got == Counter(trade=sent.trades, quote=sent.quotes, depth=sent.depth)
                assert len(events) == sent.records
                log = hub.sent_log(number)
                payloads = [
                    entry.payload if isinstance(raw, bytes) else entry.payload.decode()
                    for entry, raw in zip(log, peer.raw, strict=True)
                ]
                assert payloads == peer.raw
        finally:
            for peer in peers:
                peer.__exit__(None, None, None)
