"""A feed that comes and goes, a history that lags and fails: in the end every bar is right and complete.

Everything runs on a clock that the test moves. The market trades on whatever happens to the link; the
engine hears what comes while it is up. In the end all bars of all timeframes since the start of the seed
are those of an oracle that heard everything.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

import tickwire as tw
from clocks import HandClock
from effort import examples
from oracle import NS, Row, Tick, bar_of, bucket
from tickwire.backfill import Backfiller
from tickwire.backfill_settings import BackfillSettings
from tickwire.errors import HistoryFailed
from tickwire.events import BackfillDone, BackfillFailed, Revision
from tickwire.seeding import Tree
from tickwire.tasks import Tasks

GRACE_NS = NS // 2
SETTINGS = BackfillSettings(
    settle_s=1.0,
    quiet_s=20.0,
    retry_min_s=0.5,
    retry_max_s=4.0,
    attempts=12,
    page_bars=200,
    worth_bars=30,
    portion_bars=40,
)
# The engine's timeframes, and those of the history.
LADDERS = [
    (["1s", "5s", "1m"], ["1s"]),
    (["1s", "5s", "1m"], ["5s"]),
    (["1s", "5s", "15s", "1m", "5m"], ["1s", "15s", "1m"]),
    (["2s", "3s", "6s", "1m"], ["2s", "3s"]),
]


def rows(ticks: Sequence[Tick], timeframe: str) -> list[Row]:
    groups: dict[tuple[int, int], list[Tick]] = {}
    for tick in ticks:
        groups.setdefault(bucket(timeframe, tick.ts), []).append(tick)
    return [bar_of(group, *span) for span, group in sorted(groups.items())]


class Market:
    """Trades for ever, and the history of it."""

    def __init__(self, clock: HandClock, seed: int, rate: float, given: list[str]) -> None:
        self.clock = clock
        self.given = given
        self.random = random.Random(seed)
        self.rate = rate
        self.ticks: list[Tick] = []
        self.now_ns = clock.now_ns() - 600 * NS
        self.lag_ns = 0
        self.failures = 0
        self.requests = 0
        self.trade()

    def trade(self) -> list[Tick]:
        """What is traded up to now."""
        news = []
        while True:
            self.now_ns += 1 + int(self.random.expovariate(self.rate) * NS)
            if self.now_ns >= self.clock.now_ns():
                self.now_ns = self.clock.now_ns()
                break
            price = 100 + self.random.randrange(40) / 4
            news.append(Tick(self.now_ns, price, float(self.random.randrange(1, 9)), self.now_ns))
        self.ticks += news
        return news

    def timeframes(self, wanted: Sequence[str]) -> list[str]:
        return self.given

    def bars(self, symbol: str, timeframe: str, start_ns: int, end_ns: int) -> Any:
        self.requests += 1
        assert bucket(timeframe, start_ns)[0] == start_ns
        if self.failures:
            self.failures -= 1
            raise HistoryFailed("no answer", retry_after_s=self.random.choice([None, 1.0]))
        known_ns = self.clock.now_ns() - self.lag_ns
        ticks = [tick for tick in self.ticks if start_ns <= tick.ts < min(end_ns, known_ns)]
        bars = [row for row in rows(ticks, timeframe) if row.ts_end <= known_ns]
        frame = pl.DataFrame(bars, orient="row", schema=list(Row.__dataclass_fields__))
        return frame.select("ts", "open", "high", "low", "close", "volume", "trades")


steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["run"]), st.integers(1, 40)),
        st.tuples(st.sampled_from(["down"]), st.integers(1, 90)),
        st.tuples(st.sampled_from(["lag"]), st.integers(0, 15)),
        st.tuples(st.sampled_from(["fail"]), st.integers(1, 4)),
    ),
    min_size=2,
    max_size=12,
)


@settings(max_examples=examples(25), deadline=None)
@given(
    st.sampled_from(LADDERS),
    st.integers(0, 2**32),
    st.sampled_from([0.3, 2.0, 10.0]),
    st.sampled_from([None, "2m"]),
    st.integers(0, 60 * NS),
    steps,
)
def test_in_the_end_nothing_was_missed(
    ladder: tuple[list[str], list[str]],
    seed: int,
    rate: float,
    length: str | None,
    offset_ns: int,
    steps: list[tuple[str, int]],
) -> None:
    timeframes, given = ladder
    clock = HandClock()
    clock.advance(offset_ns / 1e9)
    market = Market(clock, seed, rate, given)
    engine = tw.Engine(tw.Instrument("X", tick_size=0.25, rules=tw.Rules(band="off")), timeframes)
    news = engine.subscribe(bars=timeframes, capacity=100_000)
    events: list[tuple[type, dict[str, Any]]] = []
    backfiller = Backfiller(
        engine,
        market,
        ["X"],
        clock=clock,
        tell=lambda kind, **fields: events.append((kind, fields)),
        tasks=Tasks("test", clock),
        seed=length,
        settings=SETTINGS,
    )

    def join(start_ns: int | None) -> None:
        engine.mark_gap(start_ns, clock.now_ns())
        backfiller.gap(start_ns, clock.now_ns(), ["X"])

    def live(seconds: int) -> None:
        for _ in range(2 * seconds):
            clock.advance(0.5)
            for tick in market.trade():
                assert engine.push_trade("X", tick.ts, tick.price, tick.size, ts_recv=tick.recv)
            engine.advance(clock.now_ns() - GRACE_NS)
            backfiller.step()

    joined_ns = clock.now_ns()
    join(None)
    for kind, amount in steps:
        if kind == "run":
            live(amount)
        elif kind == "down":
            lost_ns = clock.now_ns()
            for _ in range(amount):
                clock.advance(1.0)
                backfiller.step()
            market.trade()
            join(lost_ns)
        elif kind == "lag":
            market.lag_ns = amount * NS
        else:
            market.failures = amount
    market.lag_ns = market.failures = 0
    # As long as it takes to believe a market in which nothing is traded any more.
    live(5)
    for _ in range(400):
        clock.advance(0.5)
        engine.advance(clock.now_ns() - GRACE_NS)
        if backfiller.step() is None:
            break
    assert backfiller.step() is None, backfiller.status()

    engine.advance(clock.now_ns() - GRACE_NS)
    assert not [fields for kind, fields in events if kind is BackfillFailed and fields["retry_s"] is None]
    for timeframe in timeframes:
        check(engine, market, timeframe, joined_ns, 120 * NS if length else 0)
    said = [(kind, fields) for kind, fields in events if kind is Revision]
    heard = [bar for bar in news.poll() if bar.revision and bar.complete]
    told = [(f["timeframe"], f["bar_ts"], f["revision"]) for _, f in said if f["complete"]]
    assert sorted(told) == sorted((bar.timeframe, bar.ts, bar.revision) for bar in heard)
    assert len(set(told)) == len(told), "each once"
    done = [fields for kind, fields in events if kind is BackfillDone]
    assert backfiller.status()["inserted"] == sum(fields["inserted"] for fields in done)
    # The market was asked no more often than its failures, its lags and its silence made necessary.
    assert market.requests <= 40 * (len(steps) + 2) * len(given)


def check(engine: tw.Engine, market: Market, timeframe: str, joined_ns: int, reach_ns: int) -> None:
    tree = Tree(engine.parents("X"), market.given)
    families = [tree.family(base) for base in tree.bases if timeframe in tree.family(base)]
    frame = engine.bars("X", timeframe).with_columns(pl.col("ts").dt.epoch("ns"))
    if not families:
        # History has nothing that could mend it; what is there says so where it is wrong.
        expected = {row.ts: row.volume for row in rows(market.ticks, timeframe)}
        for ts, volume in frame.filter("complete").select("ts", "volume").iter_rows():
            assert expected[ts] == volume
        return
    base = families[0][0]
    tiers = tree.tiers(
        base,
        bucket,
        tree.seed_start(base, bucket, joined_ns, reach_ns),
        bucket(base, joined_ns - 1)[1],
        SETTINGS.page_bars,
    )
    parents = dict(engine.parents("X"))
    chain: str | None = timeframe
    start_ns = joined_ns
    while chain in families[0]:
        start_ns = min([start_ns, *(tier.start_ns for tier in tiers if tier.timeframe == chain)])
        chain = parents[chain]
    closing = engine.snapshot("X").closing_time()
    assert closing is not None
    heard = [row for row in rows(market.ticks, timeframe) if row.ts >= start_ns and row.ts_end <= closing]
    frame = frame.filter(pl.col("ts") >= start_ns)
    assert frame["ts"].to_list() == [row.ts for row in heard], timeframe
    for column in ("open", "high", "low", "close", "volume", "trades"):
        assert frame[column].to_list() == [getattr(row, column) for row in heard], (timeframe, column)
    assert frame["complete"].all(), (timeframe, frame.filter(~pl.col("complete")))
