"""Tables of any library in, and as-of joins of bars."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from numpy.typing import NDArray

import tickwire as tw
from tickwire.tables import QuoteColumns, TradeColumns, as_of, bar_columns, tick_columns

S = 1_000_000_000
T0 = 1_700_000_040 * S
NO_TIME = -(2**63)
TRADES = pl.DataFrame(
    {"symbol": ["B", "A", "B"], "ts_event": [T0, T0 + 1, T0 + 2], "price": [1.0, 2.0, 3.0], "size": [1, 2, 3]}
)


def trades(**columns: object) -> TradeColumns:
    read = tick_columns(TRADES.with_columns(**columns))
    assert isinstance(read, TradeColumns)
    return read


def test_rows_point_to_their_symbols() -> None:
    read = trades()
    assert [read.symbols[code] for code in read.codes] == ["B", "A", "B"]
    assert (read.ts_event.tolist(), read.size.tolist()) == ([T0, T0 + 1, T0 + 2], [1.0, 2.0, 3.0])
    assert (read.side, read.ts_recv) == (None, None)


def test_a_table_with_a_price_is_one_of_trades() -> None:
    assert isinstance(tick_columns(TRADES.with_columns(bid=1.0, ask=2.0)), TradeColumns)
    quotes = tick_columns(TRADES.rename({"price": "bid", "size": "ask"}))
    assert isinstance(quotes, QuoteColumns)
    assert (quotes.bid_size, quotes.last) == (None, None)


@pytest.mark.parametrize(
    "values",
    [
        pl.Series(["buy", None, "sell"]),
        pl.Series(["buy", None, "sell"], dtype=pl.Categorical),
        pl.Series([1, 0, -1]),
        pl.Series([1, None, -1], dtype=pl.Int8),
    ],
)
def test_sides(values: pl.Series) -> None:
    assert trades(side=values).side.tolist() == [1, 0, -1]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
def test_timestamps_of_any_unit_and_zone(unit: str, zone: str | None) -> None:
    moments = pl.Series([T0, T0 + S, T0 + 2 * S]).cast(pl.Datetime("ns", "UTC")).dt.cast_time_unit(unit)
    moments = moments.dt.convert_time_zone(zone) if zone else moments.dt.replace_time_zone(None)
    assert trades(ts_event=moments).ts_event.tolist() == [T0, T0 + S, T0 + 2 * S]


def test_nulls_are_absent() -> None:
    read = trades(
        ts_event=pl.Series([None, T0, None], dtype=pl.Int64),
        price=pl.Series([None, 2.0, None]),
        side=pl.lit(None),
        ts_recv=pl.lit(None),
    )
    assert read.ts_event.tolist() == [NO_TIME, T0, NO_TIME]
    assert [math.isnan(price) for price in read.price] == [True, False, True]
    assert read.side.tolist() == [0, 0, 0]
    assert read.ts_recv.tolist() == [NO_TIME] * 3


def test_numbers_of_any_type() -> None:
    for dtype in (pl.Float32, pl.Int16, pl.UInt64, pl.Decimal(20, 4)):
        assert trades(price=TRADES["price"].cast(dtype)).price.tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    "table",
    [
        TRADES,
        TRADES.lazy(),
        TRADES.to_arrow(),
        pa.table(TRADES.to_arrow()).to_batches()[0],
        TRADES.with_columns(pl.col("symbol").cast(pl.Categorical)),
        pl.concat([TRADES.head(1), TRADES.tail(2)], rechunk=False),
        # Rows of a larger table, whose columns begin in the middle of their memory.
        pl.concat([TRADES, TRADES]).slice(3),
    ],
)
def test_tables_of_any_library(table: object) -> None:
    engine = tw.Engine([tw.Instrument(symbol, tick_size=1.0) for symbol in "AB"], ["1s"])
    assert engine.push_table(table).accepted == 3
    assert engine.trades("B")["price"].to_list() == [1.0, 3.0]


def test_an_empty_table_is_nothing() -> None:
    engine = tw.Engine(tw.Instrument("A", tick_size=1.0), ["1s"])
    assert engine.push_table(TRADES.clear()).received == 0


def test_bars_may_leave_out_averages_and_counts() -> None:
    bars = pl.DataFrame(
        {"ts": [T0, T0 + S], "open": 1, "high": 3, "low": 1, "close": 2, "volume": [5.0, 0.0]}
    )
    read = bar_columns(bars)
    assert read.trades.tolist() == [0, 0]
    assert read.vwap[0] == 2.0
    assert math.isnan(read.vwap[1])
    full = bar_columns(bars.with_columns(vwap=1.5, trades=7))
    assert (full.vwap[0], full.trades.tolist()) == (1.5, [7, 7])


LABEL = pl.Datetime("ns", "UTC")


def closed(timeframe: str, length_s: int, labels: list[int]) -> tuple[str, pl.DataFrame, NDArray[np.int64]]:
    """Bars of equal length, with their ends."""
    starts = np.array(labels) * length_s * S
    frame = pl.DataFrame({"ts": starts, "close": [float(label) for label in labels]})
    return timeframe, frame.with_columns(pl.col("ts").cast(LABEL)), starts + length_s * S


def test_as_of_matches_by_the_ends_of_bars() -> None:
    joined = as_of([closed("1m", 60, [0, 3, 4, 5, 9, 20]), closed("5m", 300, [0, 1, 3])])
    assert joined.columns == ["ts", "close", "ts_5m", "close_5m"]
    # Minute 4 ends with the first five minutes; minute 20 ends later than the fourth.
    assert joined["close_5m"].to_list() == [None, None, 0.0, 0.0, 1.0, 3.0]


def test_as_of_over_months() -> None:
    days = np.arange("2024-01-30", "2024-03-02", dtype="datetime64[D]").astype("datetime64[ns]")
    months = np.array(["2024-01-01", "2024-02-01", "2024-03-01"], "datetime64[ns]")
    by_month = pl.DataFrame({"ts": months[:2], "close": [1.0, 2.0]}).with_columns(pl.col("ts").cast(LABEL))
    joined = as_of(
        [
            ("1d", pl.DataFrame({"ts": days}), days.view(np.int64) + 86_400 * S),
            ("1mo", by_month, months[1:].view(np.int64)),
        ]
    )
    # January is known with its last day, and February with the 29th.
    assert joined["close_1mo"].to_list() == [None] + [1.0] * 29 + [2.0] * 2
