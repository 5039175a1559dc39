"""Published volume against trades: what drifts is told once, with the time of it; what only lags is not.

Both streams go through a real feed. The market is made here: trades with sizes, of which the hub counts
every one, and two streams that bring trades and totals with a lag of their own.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import tickwire as tw
from effort import LONG
from hubs import PATIENCE_S
from tickwire.reconcile import Drift, Reconciler

SYMBOL = "CON.F.US.MNQ.U26"
BASE = dt.datetime(2026, 8, 19, 14, 0, tzinfo=dt.timezone.utc)
BASE_NS = int(BASE.timestamp()) * 1_000_000_000
S = 1_000_000_000


@dataclass(frozen=True)
class Known:
    """Volumes as a feed would have them."""

    published: float = 1_000.0
    published_ts: int | None = BASE_NS
    baseline: float = 1_000.0
    baseline_ts: int | None = BASE_NS
    traded: float = 0.0
    traded_then: float = 0.0
    trades: int = 0
    resets: int = 0

    def at(self, second: int, published: float, traded: float, then: float | None = None) -> Known:
        """After a total at this second."""
        return replace(
            self,
            published=self.baseline + published,
            published_ts=BASE_NS + second * S,
            traded=traded,
            traded_then=traded if then is None else then,
        )


def looks(reconciler: Reconciler, *states: tuple[float, Known]) -> list[Drift]:
    return [drift for now_s, known in states for drift in reconciler.look(now_s, {SYMBOL: known})]


def test_a_loss_is_told_once_with_its_time() -> None:
    reconciler = Reconciler(limit=5, fraction=0, patience_s=3)
    start = Known()
    states = [(0.0, start), (1.0, start.at(1, 10, 10))]
    # Seven are lost at the second second; more is traded, and all of that is heard.
    states += [(float(second), start.at(second, 10 + 10 * second, 3 + 10 * second)) for second in range(2, 9)]
    assert looks(reconciler, *states) == [Drift(SYMBOL, BASE_NS + S, BASE_NS + 7 * S, 7.0)]


def test_the_end_of_a_drift_holds_the_newest_total_s_time() -> None:
    """A whole second may be any moment of it; a time with a fraction is that moment."""
    for fraction_ns, more_ns in ((0, S), (250_000_000, 1)):
        reconciler = Reconciler(limit=5, fraction=0, patience_s=3)
        lost = replace(Known().at(2, 50, 0), published_ts=BASE_NS + 2 * S + fraction_ns)
        states = [(0.0, Known()), *((float(second), lost) for second in range(2, 7))]
        (drift,) = looks(reconciler, *states)
        assert drift == Drift(SYMBOL, BASE_NS, BASE_NS + 2 * S + fraction_ns + more_ns, 50.0)


def test_trades_that_come_later_make_up_for_what_was_missing() -> None:
    reconciler = Reconciler(limit=5, fraction=0, patience_s=3)
    start = Known()
    early = start.at(2, 30, 0)
    late = replace(early, traded=30.0)
    states = [(2.0, early), *((float(second), late) for second in range(3, 60))]
    assert looks(reconciler, (0.0, start), *states) == []
    # Much later another total comes before its trades: that is no long difference.
    states = [(100.0, start.at(100, 60, 30)), (101.0, replace(start.at(100, 60, 30), traded=60.0))]
    assert looks(reconciler, *states) == []


def test_rare_totals_do_not_hide_a_loss() -> None:
    """Between two totals as much is traded as was lost, so that it might be what was on its way."""
    reconciler = Reconciler(limit=5, fraction=0, patience_s=12)
    start = Known()
    states = [(0.0, start)]
    for second in range(1, 40):
        published = second // 5 * 5
        heard = start.at(published, 100 + 20 * published, 20 * second, then=20 * published)
        states.append((float(second), heard))
    (drift,) = looks(reconciler, *states)
    assert (drift.start_ns, drift.missing) == (BASE_NS, 100)


def test_totals_that_stop_are_no_drift() -> None:
    reconciler = Reconciler(limit=5, fraction=0, patience_s=3)
    behind = Known().at(1, 10, 10)
    states = [(float(second), replace(behind, traded=10.0 * second)) for second in range(1, 100)]
    assert looks(reconciler, *states) == []
    # Even if the last of them lagged behind the trades.
    behind = Known().at(1, 10, 60)
    assert looks(reconciler, *((float(second), behind) for second in range(101, 200))) == []


def test_trades_that_come_twice_are_told() -> None:
    reconciler = Reconciler(limit=5, fraction=0, patience_s=3)
    states = [(float(second), Known().at(second, 10 * second, 20 * second)) for second in range(7)]
    drifts = looks(reconciler, *states)
    assert drifts
    assert all(drift.missing < 0 for drift in drifts)
    assert drifts[0].start_ns == BASE_NS


def test_within_the_limits_nothing_is_told() -> None:
    reconciler = Reconciler(limit=5, fraction=0.1, patience_s=3)
    states = [(float(second), Known().at(second, 100 * second, 90 * second)) for second in range(100)]
    assert looks(reconciler, *states) == []
    reconciler = Reconciler(limit=5, fraction=0.09, patience_s=3)
    assert looks(reconciler, *states)


def test_a_slow_loss_is_told_when_it_adds_up() -> None:
    reconciler = Reconciler(limit=5, fraction=0, patience_s=3)
    states = [(float(second), Known().at(second, 10 * second, 9 * second)) for second in range(41)]
    drifts = looks(reconciler, *states)
    assert [drift.start_ns for drift in drifts] == [BASE_NS, *(drift.end_ns - S for drift in drifts[:-1])]
    assert 40 - sum(drift.missing for drift in drifts) <= 5 + 4


def test_what_is_apart_when_counting_begins_anew_is_told() -> None:
    for after in (
        {SYMBOL: Known(published=3.0, baseline=3.0, resets=1)},
        {SYMBOL: Known(baseline_ts=BASE_NS + 9 * S)},
        {},
    ):
        reconciler = Reconciler(limit=5, fraction=0, patience_s=30)
        assert looks(reconciler, (0.0, Known()), (1.0, Known().at(1, 50, 0))) == []
        assert reconciler.look(2.0, after) == [Drift(SYMBOL, BASE_NS, BASE_NS + 2 * S, 50.0)]
        assert reconciler.look(99.0, after) == []


def test_without_any_time_there_is_nothing_to_mark() -> None:
    reconciler = Reconciler(limit=5, fraction=0, patience_s=3)
    timeless = Known(published=1_050.0, published_ts=None, baseline_ts=None)
    assert looks(reconciler, *((float(second), timeless) for second in range(20))) == []


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("limit", -1),
        ("limit", float("nan")),
        ("fraction", 1.0),
        ("fraction", -0.1),
        ("patience_s", float("inf")),
    ],
)
def test_settings_that_cannot_work_are_refused(setting: str, value: float) -> None:
    with pytest.raises(tw.ConfigError, match=f"{setting}: got"):
        Reconciler(**{setting: value})


# Through a feed

LAG_S = 2
SMALL = 3
"""Most that is traded within a second."""


@dataclass(frozen=True)
class Market:
    """A trade a second; the lags of both streams at each second; what is lost, and when a day ends."""

    sizes: list[int]
    trade_lags: list[int]
    total_lags: list[int]
    lost: frozenset[int]
    day: int | None


@st.composite
def markets(draw: st.DrawFn, *, loses: bool) -> Market:
    seconds = draw(st.integers(20, 60))
    lags = st.lists(st.integers(0, LAG_S), min_size=seconds, max_size=seconds)
    lost = draw(st.frozensets(st.integers(3, seconds - 1), min_size=1, max_size=20)) if loses else frozenset()
    sizes = draw(st.lists(st.integers(0, SMALL), min_size=seconds, max_size=seconds))
    day = draw(st.none() | st.integers(3, seconds - 1))
    return Market(sizes, draw(lags), draw(lags), lost, day)


def when(second: int) -> str:
    return (BASE + dt.timedelta(seconds=second, milliseconds=500)).isoformat()


def record(target: str, data: Any) -> bytes:
    return json.dumps({"type": 1, "target": target, "arguments": [SYMBOL, data]}).encode() + b"\x1e"


def run(market: Market, reconciler: Reconciler) -> list[Drift]:
    """One look a second, and a minute of silence at the end."""
    feed = tw.Engine(tw.Instrument(SYMBOL, tick_size=0.25), ["1m"]).feed("market")
    arrivals: dict[int, list[bytes]] = {}
    total = 10_000
    # Of each stream, what is sent first arrives first.
    reached = [0, 0]
    for second, size in enumerate(market.sizes):
        if second == market.day:
            total = 0
        total += size
        reached[0] = max(reached[0], second + market.trade_lags[second])
        reached[1] = max(reached[1], second + market.total_lags[second])
        if second not in market.lost:
            trade = {"price": 100.0, "volume": size, "timestamp": when(second), "type": 0}
            arrivals.setdefault(reached[0], []).append(record("GatewayTrade", [trade]))
        # A quote is partial: what did not change is not in it.
        quote = {"bestBid": 100.0, "timestamp": when(second)} | (
            {"volume": total} if size or not second else {}
        )
        arrivals.setdefault(reached[1], []).append(record("GatewayQuote", quote))
    drifts = []
    for second in range(len(market.sizes) + LAG_S + 60):
        feed.push_bytes(b"".join(arrivals.get(second, [])))
        drifts += reconciler.look(float(second), feed.volumes())
    return drifts


@given(markets(loses=False))
def test_streams_that_lag_do_not_drift(market: Market) -> None:
    assume(market.day is None)
    # What can be on its way: all of three seconds, at the start and now.
    reconciler = Reconciler(limit=2 * SMALL * (LAG_S + 1), fraction=0, patience_s=LAG_S)
    assert run(market, reconciler) == []


@given(markets(loses=True))
def test_what_is_lost_is_told_with_its_time(market: Market) -> None:
    limit = 2 * SMALL * (LAG_S + 1)
    # Blocks that exceed the limit by far, so that one is enough.
    sizes = [100 if second in market.lost else size for second, size in enumerate(market.sizes)]
    market = replace(market, sizes=sizes, day=None)
    drifts = run(market, Reconciler(limit=limit, fraction=0, patience_s=LAG_S + 1))
    for second in market.lost:
        at_ns = BASE_NS + second * S + S // 2
        assert any(drift.start_ns <= at_ns < drift.end_ns for drift in drifts), (second, drifts)
    missing = sum(drift.missing for drift in drifts)
    assert abs(missing - 100 * len(market.lost)) <= limit
    # One interval begins where the last one ended, at the earliest.
    assert all(one.end_ns - 1 <= other.start_ns for one, other in itertools.pairwise(drifts))


@given(markets(loses=True))
def test_a_new_day_begins_anew(market: Market) -> None:
    """Nothing is told that lies in the new day alone, if all was lost in the old one; and no total of two
    days is ever compared.
    """
    assume(market.day is not None)
    lost = frozenset(second for second in market.lost if second < market.day)
    market = replace(market, lost=lost)
    limit = 2 * SMALL * (LAG_S + 1)
    drifts = run(market, Reconciler(limit=limit, fraction=0, patience_s=LAG_S + 1))
    assert all(abs(drift.missing) <= SMALL * len(market.sizes) for drift in drifts)
    for drift in drifts:
        assert drift.start_ns < BASE_NS + (market.day + LAG_S) * S


# Through the embedded hub


def test_the_embedded_hub_publishes_what_it_sends() -> None:
    market = tw.sim.Market(3, seed=3, rate=4_000)
    engine = tw.Engine(
        [tw.Instrument(contract.symbol, tick_size=contract.tick_size) for contract in market.contracts],
        ["1m"],
    )
    reconciler = Reconciler(limit=0, fraction=0, patience_s=0)
    with tw.sim.Hub(market, count=20_000 if LONG else 6_000) as hub:
        with tw.connect(hub=hub.url, token=hub.token(), engine=engine):
            feed = engine.feed()
            hub.wait_until(lambda _: len(feed.volumes()) == 3, PATIENCE_S, what="totals")
            look = 0.0
            while not hub.is_finished:
                look += 1.0
                assert reconciler.look(look, feed.volumes()) == []
            hub.wait_until(lambda hub: engine.stats()["received"] == hub.sent.ticks, PATIENCE_S)
        volumes = feed.volumes()
        assert volumes.keys() == set(engine.symbols)
        for symbol, heard in volumes.items():
            assert heard.published - heard.baseline == heard.traded_then > 0, symbol
            assert heard.baseline + heard.traded == engine.trades(symbol)["size"].sum(), symbol


def test_trades_that_the_hub_does_not_send_are_missing() -> None:
    market = tw.sim.Market(1, seed=3, rate=2_000)
    (symbol,) = market.symbols
    engine = tw.Engine(tw.Instrument(symbol, tick_size=market.contracts[0].tick_size), ["1s"])
    reconciler = Reconciler(limit=10, fraction=0, patience_s=2)
    drifts: list[Drift] = []
    with tw.sim.Hub(market, count=4_000) as hub:
        with tw.connect(hub=hub.url, token=hub.token(), engine=engine):
            feed = engine.feed()
            hub.wait_until(lambda hub: hub.sent.ticks > 1_000, PATIENCE_S)
            hub.fault(tw.sim.Lose(kinds=("trade",)))
            lost_ns = engine.last(symbol).ts_event
            hub.wait_finished(PATIENCE_S)
            hub.wait_until(lambda hub: engine.stats()["received"] == hub.sent.ticks, PATIENCE_S)
            for look in range(10):
                drifts += reconciler.look(float(look), feed.volumes())
        (drift,) = drifts
        heard = feed.volumes()[symbol]
        assert drift.missing == heard.published - heard.baseline - heard.traded > 100
        assert drift.start_ns <= lost_ns < drift.end_ns
        engine.mark_gap(drift.start_ns, drift.end_ns, [drift.symbol])
