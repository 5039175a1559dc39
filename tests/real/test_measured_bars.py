"""Bars of recorded trades by count, volume, notional, range and Renko, against Polars over the rows of one
contract: which bar a row belongs to is worked out with integers here, everything else is an aggregation.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import recorded
import tickwire as tw

GOLD = "gc_comex_20131007_09_trades"
CONTRACT = "GC201312"
TICK_SIZE = 0.1


@pytest.fixture(scope="module")
def gold(data: Path) -> pl.DataFrame:
    """The trades of the busiest contract in order of arrival, prices in ticks."""
    trades = recorded.trades(recorded.ticks(data, GOLD))
    mine = trades.filter(pl.col("symbol").str.ends_with(CONTRACT) | (pl.col("symbol") == CONTRACT))
    return mine.with_columns(steps=(pl.col("price") / TICK_SIZE).round().cast(pl.Int64))


def engine_of(gold: pl.DataFrame, *timeframes: str) -> tuple[tw.Engine, str]:
    symbol = gold["symbol"][0]
    rules = tw.Rules(band="off", grid="off", skew="off")
    engine = tw.Engine(tw.Instrument(symbol, tick_size=TICK_SIZE, rules=rules), timeframes)
    receipt = engine.push_table(gold.drop("steps"))
    assert receipt.rejected == 0
    return engine, symbol


def expected(gold: pl.DataFrame, bar: list[int]) -> pl.DataFrame:
    """Rows by the bar that each belongs to; the last one may be open."""
    return (
        gold.with_columns(bar=pl.Series(bar), time=pl.col("ts_event").cast(pl.Int64).cum_max())
        .group_by("bar", maintain_order=True)
        .agg(
            pl.col("time").first().alias("ts"),
            pl.col("price").first().alias("open"),
            pl.col("price").max().alias("high"),
            pl.col("price").min().alias("low"),
            pl.col("price").last().alias("close"),
            pl.col("size").cast(pl.Float64).sum().alias("volume"),
            pl.len().cast(pl.Int64).alias("trades"),
            pl.col("time").last().alias("ts_end"),
        )
        .drop("bar")
    )


def by_count(gold: pl.DataFrame) -> list[int]:
    return [row // 250 for row in range(gold.height)]


def filled(amounts: list[int], length: int) -> list[int]:
    bar, sum_, bars = 0, 0, []
    for amount in amounts:
        bars.append(bar)
        sum_ += amount
        if sum_ >= length:
            bar, sum_ = bar + 1, 0
    return bars


def by_volume(gold: pl.DataFrame) -> list[int]:
    return filled(gold["size"].cast(pl.Int64).to_list(), 500)


def by_notional(gold: pl.DataFrame) -> list[int]:
    # In tenths of a dollar, as the ticks are.
    return filled((gold["steps"] * gold["size"].cast(pl.Int64)).to_list(), 5_000_000)


def by_range(gold: pl.DataFrame) -> list[int]:
    bar, bars = 0, []
    low = high = gold["steps"][0]
    for step in gold["steps"]:
        low, high = min(low, step), max(high, step)
        if high - low > 12:
            bar, low, high = bar + 1, step, step
        bars.append(bar)
    return bars


@pytest.mark.parametrize(
    ("timeframe", "bars"),
    [("250t", by_count), ("500v", by_volume), ("5e5n", by_notional), ("12r", by_range)],
)
def test_bars_of_gold(gold: pl.DataFrame, timeframe: str, bars: Callable[[pl.DataFrame], list[int]]) -> None:
    engine, symbol = engine_of(gold, timeframe)
    mine = engine.bars(symbol, timeframe, partial=True)
    theirs = expected(gold, bars(gold))
    assert mine.height == theirs.height > 100
    got = mine.with_columns(pl.col("ts", "ts_end").dt.epoch("ns")).select(theirs.columns)
    assert got.equals(theirs)


def test_bricks_of_gold(gold: pl.DataFrame) -> None:
    engine, symbol = engine_of(gold, "15renko")
    bricks: list[tuple[int, int]] = []
    level, direction = gold["steps"][0], 0
    for step in gold["steps"]:
        while True:
            if step >= level + 15 * (2 if direction < 0 else 1):
                start, direction = (level + 15 if direction < 0 else level), 1
            elif step <= level - 15 * (2 if direction > 0 else 1):
                start, direction = (level - 15 if direction > 0 else level), -1
            else:
                break
            level = start + 15 * direction
            bricks.append((start, level))
    mine = engine.bars(symbol, "15renko", partial=True)
    closed = mine.filter("complete")
    assert [(round(o * 10), round(c * 10)) for o, c in closed.select("open", "close").rows()] == bricks
    assert len(bricks) > 20
    assert (closed["high"] - closed["low"]).is_between(1.5 - 1e-9, 1.5 + 1e-9).all()
    assert mine["trades"].sum() == gold.height
    assert mine["volume"].sum() == gold["size"].sum()
