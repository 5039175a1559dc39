"""Faults while the socket is changed at the expiry of a token: nothing is lost unseen, nothing doubled."""

from __future__ import annotations

import polars as pl
import pytest

import tickwire as tw
from faults.swaps import SWAPS, Swap, SwapRig, SwapSeen
from faults.table import Results
from hubs import no_leftovers
from tickwire.config import ProtocolName
from tickwire.events import Connected, Disconnected, Gap, SwapFailed

_SLACK_NS = 50_000_000
"""By how much the estimated time of the venue may be off."""


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the socket is to be changed is looked at more often, and what does not settle is given up sooner."""
    monkeypatch.setattr("tickwire.attempt._WATCH_S", 0.05)
    monkeypatch.setattr("tickwire.swap._SETTLE_S", 0.3)


@pytest.fixture(scope="module", autouse=True)
def _everything_is_loaded() -> None:
    # What is imported and opened on first use, by Polars too, is no leftover.
    with SwapRig(SWAPS[0], "json") as rig:
        check_ticks(SWAPS[0], rig.run(), rig)


@pytest.mark.parametrize(
    ("case", "protocol"), [(case, protocol) for case in SWAPS for protocol in case.protocols], ids=str
)
def test_swaps(case: Swap, protocol: ProtocolName, results: Results) -> None:
    with no_leftovers():
        with SwapRig(case, protocol) as rig:
            seen = rig.run()
            check_events(case, seen)
            check_accounts(case, seen, rig)
            check_ticks(case, seen, rig)
            # The one that is left has the token of the renewal, and all streams.
            last = max(seen.connections)
            assert seen.connections[last].protocol == protocol
            assert len(seen.connections[last].subscriptions) == 4
            assert [info.id for info in seen.connections.values() if info.is_open] == [last]
            assert rig.hub.requests[-1].headers["authorization"] == f"Bearer {rig.tokens[-1]}"
            assert rig.client.state == "live"
        assert rig.client.tasks() == ()
    results.swaps[case.name, protocol] = seen


def check_events(case: Swap, seen: SwapSeen) -> None:
    """Disconnected where the link was lost and nowhere else; a gap where one is expected."""
    assert seen.rows == case.rows
    kinds = [type(event) for event in seen.events]
    lost = 1 if case.rows else 0
    assert kinds.count(Disconnected) == lost
    assert kinds.count(Connected) == 1 + lost
    assert seen.swaps == (0 if case.outcome == "comes back" else 1)
    failed = kinds.count(SwapFailed)
    assert (failed >= 1) is case.fails or case.may_fail
    gaps = [event.reason for event in seen.events if isinstance(event, Gap) and event.reason != "late ticks"]
    assert gaps[:1] == ["join"]
    # Beside the gap between two links, those of single instruments whose ticks could not be told apart.
    told = set(gaps[1:])
    assert told == ({case.gap} if case.gap is not None else set()) | (told & {"overlap uncertain"})
    assert case.gap is not None or not told


def check_accounts(case: Swap, seen: SwapSeen, rig: SwapRig) -> None:
    """What the hub has sent on all connections has come once, or again as a duplicate, or was under way."""
    stats = rig.engine.stats()
    sent = sum(info.sent.ticks for info in seen.connections.values())
    assert stats["received"] == stats["accepted"] + stats["rejected"]
    assert stats["accepted"] == stats["trades"] + stats["quotes"]
    assert stats["received"] + stats["duplicates"] <= sent
    assert rig.witness_engine.stats()["received"] == seen.witness.sent.ticks
    if case.outcome == "changes" and not case.learns:
        # Every tick of the stream, by the hub's own count on the connection of the witness.
        assert stats["received"] == seen.witness.sent.ticks
        assert stats["duplicates"] > 0


def check_ticks(case: Swap, seen: SwapSeen, rig: SwapRig) -> None:
    """Tick by tick those of the witness; what is missing was sent within a gap that was told."""
    gaps = [event for event in seen.events if isinstance(event, Gap) and event.start_ns is not None]
    for symbol in rig.engine.symbols:
        for read in (tw.Engine.trades, tw.Engine.quotes):
            ours, theirs = (
                read(engine, symbol).drop("ts_recv") for engine in (rig.engine, rig.witness_engine)
            )
            ours, theirs = (
                frame.group_by(frame.columns).len().sort(frame.columns) for frame in (ours, theirs)
            )
            assert ours.join(theirs, on=ours.columns[:-1], how="anti", nulls_equal=True).is_empty()
            both = theirs.join(ours, on=ours.columns[:-1], how="left", nulls_equal=True, suffix="_ours")
            assert (both["len_ours"].fill_null(0) <= both["len"]).all()
            missing = both.filter(pl.col("len_ours").fill_null(0) < pl.col("len"))["ts_event"].dt.epoch("ns")
            within = pl.Series([False] * len(missing), dtype=pl.Boolean)
            for gap in gaps:
                within |= missing.is_between(gap.start_ns - _SLACK_NS, gap.end_ns + _SLACK_NS)
            assert within.all(), (symbol, missing.filter(~within))
