"""Bars that closed without ticks that came too late: none of them goes on saying that it is complete."""

from __future__ import annotations

from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

import tickwire as tw
from effort import examples
from histories import SYMBOLS, differences, engine_of, gateway_of, hub_of
from live import FAST
from oracle import NS
from tickwire import sim
from tickwire.events import Gap
from tickwire.lateness import TELL_S, LateTicks
from virtual_time import VirtualClock

EP = SYMBOLS[0]
START_NS = 1_761_850_800 * NS
SLACK = 10

# Where bars are in doubt


@st.composite
def arrivals(draw: st.DrawFn) -> list[tuple[str, int]]:
    """What happens, in order: a tick of an event time, bars closed up to a time, or a look."""
    steps: list[tuple[str, int]] = []
    now = 100
    for kind in draw(st.lists(st.sampled_from(["tick", "tick", "close", "look"]), max_size=60)):
        now += draw(st.integers(0, 30))
        # Ticks come in order, however late all of them are, but for some that are overtaken a little.
        steps.append((kind, now - (draw(st.integers(0, SLACK)) if kind == "tick" else 0)))
    return [*steps, ("look", 0)]


@given(arrivals(), st.integers(0, 60))
@settings(max_examples=examples(300))
def test_every_late_tick_is_in_a_time_that_is_marked_and_told(
    steps: list[tuple[str, int]], behind: int
) -> None:
    late = LateTicks(SLACK)
    late.begin("A", 0, 100)
    closed: int | None = None
    newest: int | None = None
    missing: list[int] = []
    unseen: list[int] = []
    told: list[tuple[int, int]] = []
    now_s = 0.0
    for kind, time in steps:
        # The feed lags: what is delivered at a time is older by a constant.
        event = max(time - behind, 100 - SLACK)
        if kind == "close":
            closed = time if closed is None else max(closed, time)
        elif kind == "tick" and closed is not None and event < closed:
            unseen.append(event)
        elif kind == "tick":
            newest = event if newest is None else max(newest, event)
        else:
            now_s += 1.0
            missing += unseen
            doubt = late.look("A", len(missing), newest, closed)
            assert (doubt is None) == (not unseen)
            if doubt is not None:
                assert all(doubt[0] <= event < doubt[1] for event in unseen), (doubt, unseen)
                assert doubt[1] == closed
            unseen = []
            told += [(start, end) for _, start, end in late.due(now_s)]
    told += [(start, end) for _, start, end in late.due(now_s + TELL_S)]
    assert all(any(start <= event < end for start, end in told) for event in missing)
    assert late.ticks == len(missing)
    assert late.told == len(told) <= 2 + now_s / TELL_S


def test_what_goes_on_is_told_every_ten_seconds_and_each_instrument_by_itself() -> None:
    late = LateTicks(0)
    for symbol in "AB":
        late.look(symbol, 0, 100, 90)
    told = []
    for second in range(1, 31):
        assert late.look("A", second, 100 + second, 100 + second) == (
            90 if second == 1 else 99 + second,
            100 + second,
        )
        told += [(second, *span) for span in late.due(float(second))]
    assert told == [(1, "A", 90, 101), (11, "A", 101, 111), (21, "A", 111, 121)]
    late.look("B", 1, 100, 110)
    assert late.due(30.0) == [("B", 90, 110)]


def test_late_ticks_of_before_the_client_are_not_its_business() -> None:
    late = LateTicks(0)
    assert late.look("A", 7, 100, 100) is None
    assert late.look("A", 7, 100, 100) is None
    assert (late.ticks, late.due(100.0)) == (0, [])


def test_a_new_subscription_brings_nothing_older_and_what_it_began_with_is_passed_over() -> None:
    late = LateTicks(5)
    late.look("A", 0, 100, 100)
    late.begin("A", 3, 500)
    assert late.look("A", 3, 100, 550) is None
    assert late.look("A", 4, 100, 600) == (495, 600)
    # Nor does the one before take that back.
    late.begin("A", 4, 400)
    assert late.look("A", 5, 100, 700) == (495, 700)
    assert late.ticks == 2


# Through a hub


def lag(clock: VirtualClock, hub: sim.Hub) -> None:
    """Eleven seconds, of which three come more than a second late."""
    clock.sleep(4.0)
    hub.fault(sim.Delay(1.2))
    clock.sleep(3.0)
    hub.fault(sim.Resume())
    clock.sleep(4.0)


def false_claims(engine: tw.Engine, history: sim.History, until_ns: int) -> list[str]:
    """Bars that say that they are complete and lack a trade."""
    found = []
    for timeframe, unit, number in (("1s", 1, 1), ("5s", 1, 5)):
        theirs = history.bars(EP, unit, number, START_NS, until_ns)
        volumes = dict(zip((theirs["start_s"] * NS).tolist(), theirs["volume"].tolist(), strict=True))
        ours = engine.bars(EP, timeframe).with_columns(pl.col("ts").dt.epoch("ns"))
        found += [
            f"{timeframe} at {(ts - START_NS) / 1e9:g} s: {volume} of {volumes[ts]}"
            for ts, volume, complete in ours.select("ts", "volume", "complete").iter_rows()
            if complete and volume != volumes[ts]
        ]
    return found


def connected(hub: sim.Hub, engine: tw.Engine, time: VirtualClock, **options: Any) -> tw.Client:
    return tw.connect(
        hub.url,
        engine=engine,
        token=hub.token(),
        streams="trades",
        grace="200ms",
        start="background",
        limits=FAST,
        time_source=time,
        **options,
    )


def test_no_bar_that_lacks_late_ticks_goes_on_saying_that_it_is_complete() -> None:
    clock = VirtualClock(START_NS)
    hub, history = hub_of(sim.Market([EP], rate=40.0), clock=clock)
    with hub:
        engine = engine_of("1s", "5s", symbols=(EP,))
        news = engine.subscribe(bars=["1s", "5s"], capacity=1_000)
        with connected(hub, engine, clock) as client:
            events = client.events()
            lag(clock, hub)
            status = client.status()
        assert engine.rejections()["late"] == status["late"]["ticks"] > 20
        assert false_claims(engine, history, clock.now_ns()) == []
        # Only those that may lack something are in doubt: the first bars and the last are whole.
        bars = engine.bars(EP, "1s")
        assert bars["complete"].to_list()[1:3] == [True, True]
        assert bars["complete"].to_list()[-2:] == [True, True]
        assert 2 <= (~bars["complete"]).sum() <= 7
        # Who had got such a bar got it again.
        revised = [bar for bar in news.poll() if bar.revision]
        assert revised
        assert not any(bar.complete for bar in revised)
        gaps = [event for event in events.poll() if isinstance(event, Gap)]
        assert [gap.reason for gap in gaps] == ["join", "late ticks"]
        assert status["late"]["gaps"] == 1
        assert gaps[1].symbols == (EP,)


def test_bars_that_lack_late_ticks_are_fetched() -> None:
    clock = VirtualClock(START_NS)
    hub, history = hub_of(sim.Market([EP], rate=40.0), clock=clock)
    with hub:
        engine = engine_of("1s", "5s", symbols=(EP,))
        options = {
            "history": gateway_of(hub, clock=clock).history,
            "backfill": tw.BackfillSettings(settle_s=0.5, quiet_s=3.0),
        }
        with connected(hub, engine, clock, **options) as client:
            lag(clock, hub)
            assert client.status()["late"]["ticks"] > 20
            clock.sleep(2 * TELL_S)
            status = client.status()["history"]
            assert (status["pending"], status["failures"]) == ([], 0)
        end_ns = START_NS + 25 * NS
        for timeframe in ("1s", "5s"):
            assert differences(engine, history, EP, timeframe, START_NS, end_ns) == []


def test_a_feed_of_recorded_data_is_left_alone() -> None:
    clock = VirtualClock(START_NS)
    hub, _ = hub_of(sim.Market([EP], rate=40.0), clock=clock)
    with hub:
        engine = engine_of("1s", symbols=(EP,))
        with connected(hub, engine, clock, clock="event") as client:
            clock.until(lambda: client.state == "live", 10.0)
            hub.fault(sim.Reorder(8))
            clock.sleep(10.0)
            status = client.status()
        assert engine.rejections()["late"] > 0
        assert status["late"] == {"ticks": 0, "gaps": 0}
        assert engine.bars(EP, "1s")["complete"].all()


def test_ticks_that_are_late_when_the_link_ends_are_seen_and_those_of_a_snapshot_passed_over() -> None:
    clock = VirtualClock(START_NS)
    hub, history = hub_of(sim.Market([EP], rate=40.0), clock=clock)
    old = {"symbolId": EP, "price": 6_450.0, "timestamp": "2025-10-30T12:00:00Z", "type": 0, "volume": 1}
    with hub:
        engine = engine_of("1s", "5s", symbols=(EP,))
        with connected(hub, engine, clock) as client:
            events = client.events()
            clock.sleep(4.0)
            hub.fault(sim.Delay(0.9))
            # What is on its way comes, late, a moment after a look, and nothing after it.
            clock.sleep(0.95)
            before = engine.rejections().get("late", 0)
            clock.until(lambda: engine.rejections().get("late", 0) > before, 5.0)
            hub.fault(sim.Glue((("GatewayTrade", EP, [old]),)))
            hub.fault(sim.Drop("fin"))
            clock.until(lambda: client.status()["connections"] == 2, 10.0)
            clock.sleep(2.0)
            late = client.status()["late"]
        # All but the one of the snapshot.
        assert late["ticks"] == engine.rejections()["late"] - 1 > 0
        assert false_claims(engine, history, clock.now_ns()) == []
        reasons = [event.reason for event in events.poll() if isinstance(event, Gap)]
        assert sorted(reasons) == ["join", "late ticks", "link lost"]


def test_a_clock_that_has_jumped_costs_minutes_of_ticks_and_not_all() -> None:
    clock = VirtualClock(START_NS)
    hub, _ = hub_of(sim.Market([EP], rate=10.0), clock=clock)
    with hub:
        engine = engine_of("1s", symbols=(EP,))
        with connected(hub, engine, clock) as client:
            clock.until(lambda: client.state == "live", 10.0)
            clock.sleep(20.0)
            before = client.status()
            assert before["rejected"] == 0
            # As if this machine's clock had been set forward.
            hub.fault(sim.Skew(-4.0))
            clock.sleep(5.0)
            assert client.status()["rejected"] > 0
            clock.sleep(300.0)
            later = client.status()
            clock.sleep(10.0)
            status = client.status()
        assert status["rejected"] == later["rejected"]
        assert status["accepted"] > later["accepted"] + 10
        assert 3.9e9 < engine.stats(EP)["clock_offset_ns"] < 4.1e9
