"""Ticks that their feed has numbered: each number counts once, whichever copy of the feed brings it."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import recorded
import tickwire as tw

S = 1_000_000_000
T0 = 1_700_000_040 * S


def engine_of(*symbols: str) -> tw.Engine:
    return tw.Engine([tw.Instrument(symbol, tick_size=0.25) for symbol in symbols], ["1s", "1m"])


def columns(numbers: list[int]) -> dict[str, object]:
    count = len(numbers)
    return {
        "ts_event": [T0 + number for number in numbers],
        "price": [100.0] * count,
        "size": [1.0] * count,
        "tick_id": numbers,
    }


def test_a_number_that_has_come_is_a_duplicate() -> None:
    engine = engine_of("A", "B")
    receipt = engine.push_trades("A", **columns([5, 7, 5, 6, 7]))  # type: ignore[arg-type]
    assert (receipt.received, receipt.accepted, receipt.duplicates) == (3, 3, 2)
    receipt = engine.push_trades("A", **columns([7, 8]))  # type: ignore[arg-type]
    assert (receipt.received, receipt.accepted, receipt.duplicates) == (1, 1, 1)
    stats = engine.stats("A")
    assert (stats["received"], stats["accepted"], stats["duplicates"]) == (4, 4, 3)
    # Numbers belong to an instrument and a stream.
    assert engine.push_trades("B", **columns([5])).accepted == 1  # type: ignore[arg-type]
    quotes = {"ts_event": [T0, T0, T0], "bid": [1.0] * 3, "ask": [2.0] * 3, "tick_id": [5, 5, 9]}
    assert engine.push_quotes("A", **quotes).duplicates == 1  # type: ignore[arg-type]


def test_a_table_may_have_numbers_and_rows_without_one() -> None:
    engine = engine_of("A", "B")
    table = pl.DataFrame(
        {
            "symbol": ["A", "B", "A", "A", "A"],
            "ts_event": [T0] * 5,
            "price": [100.0] * 5,
            "size": [1.0] * 5,
            "tick_id": [1, 1, 1, None, None],
        }
    )
    receipt = engine.push_table(table)
    assert (receipt.accepted, receipt.duplicates) == (4, 1)
    with pytest.raises(tw.DataError, match="tick_id"):
        engine.push_table(table.with_columns(tick_id=pl.lit("x")))


def test_memory_is_bounded() -> None:
    engine = engine_of("A")
    numbers = np.arange(70_000)
    ones = np.ones(numbers.size)
    given = {"ts_event": T0 + numbers, "price": ones * 100, "size": ones, "tick_id": numbers}
    assert engine.push_trades("A", **given).duplicates == 0
    # The newest 65,536 are known; the others count again.
    last, first = (
        {name: values[part] for name, values in given.items()}
        for part in (slice(-65_536, None), slice(0, 100))
    )
    assert engine.push_trades("A", **last).duplicates == 65_536
    assert engine.push_trades("A", **first).duplicates == 0


def test_the_two_lines_of_a_venue_merged_by_arrival_are_one_feed(data: Path) -> None:
    """CME sends everything twice. Merged as the packets were captured, numbers step back; the bars are
    those of the packets in order.
    """
    ticks = recorded.ticks(data, "es_mdp3_20190829_trades_bbo")
    packets = recorded.ticks(data, "es_mdp3_20190829_packets_AB")
    symbols = ticks["instrument"].unique().to_list()
    # A packet may hold several ticks of a kind, in order: its number and their place in it are theirs.
    ticks = ticks.with_columns(tick_id=pl.col("seq") * 256 + pl.int_range(pl.len()).over("seq", "kind"))
    twice = ticks.with_row_index().join(packets, left_on="seq", right_on="msg_seq")
    merged = twice.sort("capture_ns", "index", "feed", maintain_order=True)
    assert merged.height == 2 * ticks.height
    assert (merged["seq"].diff() < 0).sum() > 0

    def bars(table: pl.DataFrame) -> tw.Engine:
        instruments = [tw.Instrument(symbol, tick_size=0.05, source=("trade", "mid")) for symbol in symbols]
        engine = tw.Engine(instruments, ["1s", "5s", "1m"])
        for run in table.with_columns(run=pl.col("kind").rle_id()).partition_by("run", maintain_order=True):
            kind = recorded.trades if run["kind"][0] == "trade" else recorded.quotes
            engine.push_table(kind(run).with_columns(run["tick_id"]))
        engine.advance(2 * 10**18)
        return engine

    ordered, both = bars(ticks.sort("seq", maintain_order=True)), bars(merged)
    assert both.stats()["duplicates"] == ticks.height
    assert both.stats()["received"] == ordered.stats()["received"] == ticks.height
    for symbol, timeframe, source in itertools.product(symbols, ("1s", "5s", "1m"), ("trade", "mid")):
        one, other = (engine.bars(symbol, timeframe, source=source) for engine in (ordered, both))
        assert one.equals(other), (symbol, timeframe, source)
    assert ordered.rejections() == both.rejections()
