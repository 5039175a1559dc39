"""The fault matrix: every fault in every phase leaves the right client and the right accounts."""

from __future__ import annotations

import polars as pl
import pytest

import tickwire as tw
from faults.accounts import Seen
from faults.case import Case, Phase, Run
from faults.cases import CASES, RUNS
from faults.rig import Rig
from faults.table import Results
from hubs import no_leftovers
from tickwire import sim
from tickwire.events import Connected, Disconnected, Gap, Reconnecting

_SLACK_NS = 50_000_000
"""By how much the estimated time of the venue may be off."""

LATE = "late ticks"
"""Why bars are marked that ticks have missed: by the fault, or because the machine is busy."""


@pytest.fixture(scope="module", autouse=True)
def _everything_is_loaded() -> None:
    # What is imported and opened on first use, by Polars too, is no leftover.
    with Rig(CASES[0], Phase.STREAMING) as rig:
        rig.run()
        check_bars(rig.engine, rig.hub.symbols)


@pytest.mark.parametrize(("case", "run"), RUNS, ids=str)
def test_faults(case: Case, run: Run, results: Results) -> None:
    phase, protocol = run.phase, run.protocol
    with no_leftovers():
        with Rig(case, phase, protocol) as rig:
            seen = rig.run()
            assert seen.outcome == case.outcome(phase), (seen.rows, seen.error)
            check_rows(case, phase, seen)
            check_accounts(case, phase, seen, rig.engine)
            check_bars(rig.engine, rig.hub.symbols)
            check_marks(case, seen, rig.engine)
            check_login(case, phase, seen)
            if case.shows is not None:
                assert case.shows(rig.struck())
            check_last_state(case, seen, rig)
        assert rig.client.tasks() == ()
        assert rig.client.state == ("failed" if seen.outcome == "ends" else "closed")
    results.faults[run] = seen


def collapsed(rows: tuple[str, ...]) -> list[str]:
    """Without repetitions."""
    return [row for number, row in enumerate(rows) if number == 0 or rows[number - 1] != row]


def check_rows(case: Case, phase: Phase, seen: Seen) -> None:
    """The failures fall under the expected rows of the policy, and the events say the same."""
    expected = case.expected_rows(phase)
    if case.instead is not None and seen.rows[-1:] == (case.instead,):
        expected = (*expected[:-1], case.instead)
    if case.user_hub and case.repeats:
        # The other hub's logout may end the link ahead of the handshake, when there is no telling why.
        told = tuple(row for row in seen.rows if row != "link lost")
        assert collapsed(told) == [row for row in expected if row != "link lost"]
    elif case.repeats:
        assert collapsed(seen.rows) == collapsed(expected)
    else:
        assert seen.rows == expected
    ended = seen.outcome == "ends"
    again = [event for event in seen.events if isinstance(event, Reconnecting)]
    assert [event.fault for event in again] == list(seen.rows[:-1] if ended else seen.rows)
    assert max((event.delay_s for event in again), default=0.0) >= case.waits_s
    lost = [event for event in seen.events if isinstance(event, Disconnected)]
    up = [event for event in seen.events if isinstance(event, Connected)]
    gaps = [event for event in seen.events if isinstance(event, Gap) and event.reason != LATE]
    if phase is Phase.BEFORE:
        assert not lost
        assert len(up) == (0 if ended else 1)
    else:
        assert [event.fault for event in lost] == list(seen.rows[:1])
        assert len(up) == (2 if seen.outcome == "comes back" else 1)
    # One gap for each time that all flowed, from the last byte heard before it.
    starts = [None, *(event.last_heard_ns for event in lost)][: len(up)]
    assert [(gap.start_ns, gap.reason) for gap in gaps] == [
        (start, "join" if start is None else "link lost") for start in starts
    ]


def check_accounts(case: Case, phase: Phase, seen: Seen, engine: tw.Engine) -> None:
    """Connection by connection the engine has counted what the hub has sent; and all is accounted for."""
    assert seen.strays == 0
    # A connection that a FIN has ended ahead of the fault has delivered everything, and so has the living one.
    spared = {1} if case.needs_break and phase is not Phase.BEFORE else set()
    if seen.outcome != "ends":
        spared.add(max(seen.connections))
    for number, info in seen.connections.items():
        arrived = seen.ticks.get(number, 0)
        if case.loses and number not in spared:
            assert arrived <= info.sent.ticks
        else:
            assert arrived == info.sent.ticks, (number, info)
    stats = engine.stats()
    assert stats["received"] == stats["accepted"] + stats["rejected"]
    assert stats["rejections"].get("malformed", 0) == case.malformed
    assert stats["accepted"] == stats["trades"] + stats["quotes"]
    assert stats["duplicates"] == 0


def check_bars(engine: tw.Engine, symbols: tuple[str, ...]) -> None:
    """The bars are those of the trades that were accepted."""
    kept = 0
    for symbol in symbols:
        trades = engine.trades(symbol)
        kept += len(trades)
        expected = (
            trades.with_row_index()
            .sort("ts_event", "index")
            .group_by(pl.col("ts_event").dt.truncate("1s").alias("ts"), maintain_order=True)
            .agg(
                pl.col("price").first().alias("open"),
                pl.col("price").max().alias("high"),
                pl.col("price").min().alias("low"),
                pl.col("price").last().alias("close"),
                pl.col("size").sum().alias("volume"),
                pl.len().cast(pl.Int64).alias("trades"),
            )
        )
        bars = engine.bars(symbol, "1s", partial=True)
        assert bars.select(expected.columns).rows() == expected.rows()
    assert kept == engine.stats()["trades"]


def check_marks(case: Case, seen: Seen, engine: tw.Engine) -> None:
    """No bar that a gap has cut looks complete; ticks are told to be late where some were."""
    if any(isinstance(event, Gap) and event.reason == LATE for event in seen.events):
        assert engine.rejections()["late"] > 0
    if isinstance(case.fault, sim.Skew):
        return  # the gap is in this machine's time, the bars in the venue's
    for gap in (event for event in seen.events if isinstance(event, Gap)):
        for symbol in gap.symbols:
            bars = engine.bars(symbol, "1s", partial=True)
            start = pl.col("ts").dt.epoch("ns")
            cut = start < gap.end_ns - _SLACK_NS
            if gap.start_ns is not None:
                cut &= start + 1_000_000_000 > gap.start_ns + _SLACK_NS
            assert not bars.filter(cut)["complete"].any()


def check_login(case: Case, phase: Phase, seen: Seen) -> None:
    """As many logins as the faults ask for, and none for a renewal that hangs or fails."""
    rows = seen.rows
    # A renewal of a token that has become worthless is given up at once; no other one is.
    assert seen.login["given_up"] == (1 if phase.is_refresh and case.drops_token else 0)
    if case.user_hub:
        logouts = 3 if case.times is None else 1
        assert seen.login["logouts"] == logouts
        assert seen.logins == (3 if case.times is None else 2)
        if case.times is None:
            assert set(seen.user_rows) <= {"logged out", "link lost", "session taken over"}
        elif phase is not Phase.BEFORE:
            assert seen.user_rows == ("logged out",)
    else:
        blamed = sum(row in ("unauthorized", "handshake refused", "closed") for row in rows)
        # The last refusal ends the client, which asks for no other token.
        assert seen.logins == 1 + blamed - (1 if seen.outcome == "ends" and blamed else 0)


def check_last_state(case: Case, seen: Seen, rig: Rig) -> None:
    """Either one living connection with all streams, or none and an error for everyone."""
    wanted = {(kind, symbol) for kind in ("trade", "quote") for symbol in rig.hub.symbols}
    if seen.outcome == "ends":
        assert isinstance(seen.error, tw.ConnectionFailed)
        if rig.user is not None:
            assert isinstance(rig.user.error, tw.SessionTakenOver)
            assert isinstance(seen.error, tw.SessionTakenOver)
        rig.hub.wait_until(lambda hub: not any(info.is_open for info in hub.connections))
        return
    assert rig.client.state == "live"
    last = max(seen.connections)
    assert seen.connections[last].is_open
    assert seen.connections[last].subscriptions == wanted
    deaf = isinstance(case.fault, sim.Silence) and not case.fault.reading
    if not deaf:  # such a hub notices no end either
        rig.hub.wait_until(
            lambda hub: [i.id for i in hub.connections if i.is_open and i.hub == "market"] == [last]
        )
