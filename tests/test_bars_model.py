"""Bars over several timeframes against the naive model, after every single tick.

Random streams with ticks out of order, late, far ahead, with and without arrival times, and with
`advance` in between. After each step the engine's closed bars, open bars, closing time and events
must be those that the model works out from nothing but the accepted ticks.
"""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import tickwire as tw
from effort import examples
from oracle import NS, Bars, Row, Tick

# Timeframes, and those of them that ticks enter: the smallest, and what no smaller one nests in.
LADDERS = [
    (["1s", "5s", "1m"], ["1s"]),
    (["2s", "3s", "6s"], ["2s", "3s"]),
    (["7s", "90s", "1h"], ["7s", "90s"]),
    (["10m", "15m", "1h", "4h"], ["10m", "15m"]),
    (["1h", "1d", "1w", "1mo"], ["1h"]),
    (["1d", "1mo", "2mo"], ["1d"]),
]
UNIT_NS = [NS, NS, NS, 60 * NS, 3_600 * NS, 86_400 * NS]
# The end of February in a leap year: an hour, day, week and month end here or nearby.
BASE_NS = 1_709_251_195 * NS
UNGUARDED = tw.Rules(band="off", grid="off", skew="off")


@st.composite
def streams(draw: st.DrawFn) -> tuple[int, int, list[Tick | int]]:
    """Which ladder, the lateness, and ticks with moments to advance to between them."""
    ladder = draw(st.integers(0, len(LADDERS) - 1))
    unit = UNIT_NS[ladder]
    lateness = draw(st.sampled_from([0, 1, unit, 3 * unit]))
    steps: list[Tick | int] = []
    now = BASE_NS
    for _ in range(draw(st.integers(1, 30))):
        now += draw(st.integers(-4, 6)) * unit // 2 + draw(st.sampled_from([-1, 0, 0, 1]))
        kind = draw(st.integers(0, 9))
        if kind == 9:
            steps.append(now - draw(st.integers(0, 2)) * unit)
            continue
        # Now and then a stamp that is hours ahead, or that comes hours after its time.
        ahead = draw(st.sampled_from([2, 5, -2, 40])) * 3_600 * NS if kind == 8 else 0
        recv = None if draw(st.booleans()) else now + ahead + draw(st.sampled_from([0, 2 * NS, -NS]))
        price = draw(st.integers(-8, 8)) / 4 + 100
        size = draw(st.sampled_from([0.0, 1.0, 3.0, 0.1, 0.7, 1e-7]))
        steps.append(Tick(now + ahead, price, size, recv))
    return ladder, lateness, steps


def same(bar: tw.Bar, row: Row) -> bool:
    vwap = math.nan if row.volume == 0 else row.notional / row.volume
    return (
        (bar.ts, bar.ts_end, bar.open, bar.high, bar.low, bar.close, bar.trades)
        == (row.ts, row.ts_end, row.open, row.high, row.low, row.close, row.trades)
        and math.isclose(bar.volume, row.volume, rel_tol=1e-12)
        and (math.isclose(bar.vwap, vwap, rel_tol=1e-12) or (math.isnan(bar.vwap) and math.isnan(vwap)))
    )


def frame_rows(frame: Any) -> list[tuple[Any, ...]]:
    columns = frame.select("ts", "open", "high", "low", "close", "trades", "complete")
    return columns.with_columns(columns["ts"].dt.epoch("ns")).rows()


def row_tuple(row: Row, complete: bool) -> tuple[Any, ...]:
    return (row.ts, row.open, row.high, row.low, row.close, row.trades, complete)


def check(engine: tw.Engine, model: Bars) -> None:
    snapshot = engine.snapshot("X")
    assert snapshot.closing_time() == model.watermark.closing
    for timeframe in model.timeframes:
        closed, still_open = model.bars(timeframe)
        bars = snapshot.open_bars(timeframe)
        assert len(bars) == len(still_open)
        assert all(same(bar, row) for bar, row in zip(bars, still_open, strict=True)), (bars, still_open)
        assert not any(bar.complete for bar in bars)
        newest = snapshot.closed_bar(timeframe)
        assert (newest is None and not closed) or same(newest, closed[-1])
        expected = [row_tuple(row, True) for row in closed] + [row_tuple(row, False) for row in still_open]
        assert frame_rows(engine.bars("X", timeframe, partial=True)) == expected
        assert frame_rows(snapshot.bars(timeframe)) == expected[: len(closed)]


@settings(max_examples=examples(150))
@given(streams())
def test_every_prefix_is_what_the_model_says(stream: tuple[int, int, list[Tick | int]]) -> None:
    ladder, lateness, steps = stream
    timeframes, entry = LADDERS[ladder]
    engine = tw.Engine(
        tw.Instrument("X", tick_size=0.25, lateness=f"{lateness}ns", rules=UNGUARDED), timeframes
    )
    news = engine.subscribe(bars=timeframes)
    model = Bars(timeframes, entry, lateness)
    delivered: dict[str, list[tw.Bar]] = {timeframe: [] for timeframe in timeframes}
    rejected = 0
    for step in steps:
        if isinstance(step, Tick):
            accepted = engine.push_trade("X", step.ts, step.price, step.size, ts_recv=step.recv)
            assert accepted == model.push(step), step
            rejected += not accepted
        else:
            engine.advance(step)
            model.advance(step)
        check(engine, model)
        batch = news.poll()
        assert [bar.ts_end for bar in batch] == sorted(bar.ts_end for bar in batch)
        for bar in batch:
            delivered[bar.timeframe].append(bar)
    assert engine.rejections() == ({"late": rejected} if rejected else {})
    for timeframe in timeframes:
        closed, _ = model.bars(timeframe)
        assert len(delivered[timeframe]) == len(closed)
        assert all(same(bar, row) for bar, row in zip(delivered[timeframe], closed, strict=True))


@settings(max_examples=examples(50))
@given(streams(), st.lists(st.integers(1, 8), min_size=1))
def test_a_batch_ends_where_single_ticks_do(
    stream: tuple[int, int, list[Tick | int]], sizes: list[int]
) -> None:
    """The same ticks, pushed one by one and in batches of any lengths."""
    ladder, lateness, steps = stream
    ticks = [step for step in steps if isinstance(step, Tick) and step.recv is not None]
    instrument = tw.Instrument("X", tick_size=0.25, lateness=f"{lateness}ns", rules=UNGUARDED)
    single, batched = (tw.Engine(instrument, LADDERS[ladder][0]) for _ in range(2))
    for tick in ticks:
        single.push_trade("X", tick.ts, tick.price, tick.size, ts_recv=tick.recv)
    rest, turn = ticks, 0
    while rest:
        size = sizes[turn % len(sizes)]
        part, rest, turn = rest[:size], rest[size:], turn + 1
        batched.push_trades(
            "X",
            ts_event=[tick.ts for tick in part],
            price=[tick.price for tick in part],
            size=[tick.size for tick in part],
            ts_recv=[tick.recv for tick in part],
        )
    assert single.stats() == batched.stats()
    for timeframe in single.timeframes:
        assert single.bars("X", timeframe, partial=True).equals(batched.bars("X", timeframe, partial=True))
    assert single.trades("X").equals(batched.trades("X"))
