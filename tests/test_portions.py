"""Bars put in a portion at a time make what they make all at once, and each bar is revised once."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tickwire as tw
from clocks import HandClock
from effort import examples
from oracle import NS, bucket
from tickwire.backfill import Backfiller
from tickwire.events import BackfillDone, BackfillFailed, Revision
from tickwire.seeding import Tree
from tickwire.tasks import Tasks

T0 = HandClock.START_NS
LADDERS = [("1s", "5s", "15s", "1m"), ("1s", "2s", "3s", "6s", "1m"), ("1s", "1m", "1h"), ("2s", "3s", "1m")]
ALL_AT_ONCE = 10**9


class Answers:
    """Gives the same bars to everybody."""

    def __init__(self, base: str, bars: list[tuple[int, float, float]]) -> None:
        self._base = base
        self._bars = bars

    def timeframes(self, wanted: Any) -> list[str]:
        return [self._base]

    def bars(self, symbol: str, timeframe: str, start_ns: int, end_ns: int) -> pl.DataFrame:
        inside = [bar for bar in self._bars if start_ns <= bar[0] < end_ns]
        ts, price, volume = ([bar[column] for bar in inside] for column in range(3))
        prices = dict.fromkeys(("open", "high", "low", "close"), price)
        columns: dict[str, Any] = {"ts": ts, **prices, "volume": volume}
        return pl.DataFrame(columns, schema_overrides={"ts": pl.Int64}, strict=False)


def filled(
    ladder: tuple[str, ...],
    ticks: list[tuple[int, float]],
    gaps: list[tuple[int, int]],
    bars: list[tuple[int, float, float]],
    seconds: int,
    portion_bars: int,
    attempts: int = 1,
) -> tuple[dict[str, Any], list[Any], list[Any], int]:
    """Bars, what was told, what subscribers got, and how often the engine was called."""
    clock = HandClock()
    engine = tw.Engine(tw.Instrument("X", tick_size=0.25, rules=tw.Rules(band="off")), ladder)
    told: list[tuple[str, Any]] = []
    calls: list[tuple[int, int]] = []
    given_ = engine.replace_bars

    def replace(symbol: str, timeframe: str, table: Any, start_ns: int, end_ns: int) -> Any:
        calls.append((start_ns, end_ns))
        return given_(symbol, timeframe, table, start_ns, end_ns)

    engine.replace_bars = replace  # type: ignore[assignment]
    backfiller = Backfiller(
        engine,
        Answers(ladder[0], bars),
        ["X"],
        clock=clock,
        tell=lambda kind, **fields: told.append((kind.__name__, fields)),
        tasks=Tasks("test", clock),
        settings=tw.BackfillSettings(settle_s=1.0, quiet_s=0.0, portion_bars=portion_bars, attempts=attempts),
    )
    for second, price in ticks:
        assert engine.push_trade("X", T0 + second * NS, price, 2.0, ts_recv=T0 + second * NS)
    for start, end in gaps:
        engine.mark_gap(T0 + start * NS, T0 + end * NS)
    engine.advance(T0 + seconds * NS)
    news = engine.subscribe(bars=ladder, capacity=1 << 14)
    for start, end in gaps:
        backfiller.gap(T0 + start * NS, T0 + end * NS, ["X"])
    while (wait_s := backfiller.step()) is not None:
        # With one attempt each, nothing is left to chance: every answer is the last.
        clock.advance(wait_s)
    made = {timeframe: engine.bars("X", timeframe, partial=True) for timeframe in ladder}
    return made, told, news.poll(), len(calls)


@st.composite
def markets(draw: st.DrawFn) -> tuple[Any, ...]:
    ladder = draw(st.sampled_from(LADDERS))
    seconds = draw(st.integers(30, 200))
    step = int(ladder[0][:-1])
    dice = draw(st.randoms(use_true_random=False))
    ticks = [(s, 100 + dice.randrange(40) / 4) for s in range(seconds) if dice.random() < 0.5]
    gaps = sorted(tuple(sorted(dice.sample(range(1, seconds), 2))) for _ in range(draw(st.integers(1, 3))))
    first = bucket(ladder[0], T0)[0]
    opens = range(first, T0 + seconds * NS - step * NS, step * NS)
    bars = [(ts, 100 + dice.randrange(40) / 4, 50.0) for ts in opens if dice.random() < 0.7]
    return ladder, ticks, gaps, bars, seconds


def essence(told: list[Any]) -> list[Any]:
    return sorted((kind, sorted(fields.items(), key=lambda one: one[0])) for kind, fields in told)


@given(markets(), st.integers(1, 40))
@settings(max_examples=examples(30), deadline=None)
def test_portions_make_what_all_at_once_makes(market: tuple[Any, ...], portion_bars: int) -> None:
    one, one_told, one_news, _ = filled(*market, ALL_AT_ONCE)
    other, other_told, other_news, _ = filled(*market, portion_bars)
    for timeframe, bars in one.items():
        assert bars.equals(other[timeframe]), timeframe
    assert essence(one_told) == essence(other_told)
    assert sorted(map(repr, one_news)) == sorted(map(repr, other_news))
    revised = [
        (fields["timeframe"], fields["bar_ts"], fields["revision"])
        for kind, fields in other_told
        if kind == Revision.__name__
    ]
    assert len(revised) == len(set(revised))


def test_a_page_is_put_in_by_portions_that_cut_no_closed_bar() -> None:
    ladder, seconds = ("1s", "1m", "1h"), 7_400
    ticks = [(0, 100.0), (seconds - 1, 100.0)]
    bars = [(T0 + second * NS, 100.0, 5.0) for second in range(seconds - 5)]
    made, told, _, calls = filled(ladder, ticks, [(1, seconds - 60)], bars, seconds, 500)
    assert calls >= 4
    assert len(made["1s"]) >= seconds - 60
    assert [kind for kind, _ in told if kind != Revision.__name__] == [BackfillDone.__name__]
    (done,) = [fields for kind, fields in told if kind == BackfillDone.__name__]
    assert done["inserted"] + done["replaced"] >= seconds - 62


@pytest.mark.parametrize(
    ("start", "end", "most", "closed", "expected"),
    [
        (0, 50, 100, 10_000, 50),  # all that there is
        (0, 500, 100, 3_000, 60),  # back to the edge of a minute
        (60, 500, 100, 3_000, 120),
        (60, 500, 30, 3_000, 120),  # no edge before: forward to the next
        (60, 100, 30, 10_000, 100),  # and no farther than the end
        (60, 500, 30, 100, 90),  # the minute is still open, and is made of whatever there is
        (0, 9_000, 3_700, 10_000, 3_600),
    ],
)
def test_where_a_portion_ends(start: int, end: int, most: int, closed: int, expected: int) -> None:
    tree = Tree([("1s", None), ("1m", "1s"), ("1h", "1m")], ["1s"])

    def span(timeframe: str, ts: int) -> tuple[int, int]:
        return bucket(timeframe, ts)

    got = tree.portion_end("1s", span, start * NS, end * NS, most, closed * NS)
    assert got == expected * NS


def test_a_bar_that_cannot_be_right_keeps_out_none_before_its_portion() -> None:
    ladder, seconds = ("1s", "5s"), 300
    ticks = [(0, 100.0), (seconds - 1, 100.0)]
    bars = [(T0 + second * NS, 100.0, 5.0) for second in range(seconds - 5)]
    bars[150] = (bars[150][0], 100.0, -1.0)
    made, told, _, _ = filled(ladder, ticks, [(1, 290)], bars, seconds, 20, attempts=5)
    failed = [fields for kind, fields in told if kind == BackfillFailed.__name__]
    assert {fields["start_ns"] for fields in failed} == {failed[0]["start_ns"]}
    start = (failed[0]["start_ns"] - T0) // NS
    assert 120 <= start <= 150
    whole = made["1s"].filter(pl.col("ts").dt.epoch("ns") < failed[0]["start_ns"])
    assert whole["complete"].all()
    assert len(whole) == start
    # What was in was not put in again with every attempt.
    assert all(fields["revision"] <= 2 for kind, fields in told if kind == Revision.__name__)
