"""Tables of ticks and bars: from anything Arrow to the columns that the core takes, and as-of joins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from .errors import DataError

_NO_TIME = np.iinfo(np.int64).min


Times = NDArray[np.int64]
Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TradeColumns:
    """Trades of several instruments; row i is of `symbols[codes[i]]`."""

    symbols: list[str]
    codes: NDArray[np.uint32]
    ts_event: Times
    price: Numbers
    size: Numbers
    side: NDArray[np.int8] | None
    ts_recv: Times | None
    tick_id: Times | None


@dataclass(frozen=True, slots=True)
class QuoteColumns:
    """Quotes of several instruments; row i is of `symbols[codes[i]]`."""

    symbols: list[str]
    codes: NDArray[np.uint32]
    ts_event: Times
    bid: Numbers
    ask: Numbers
    bid_size: Numbers | None
    ask_size: Numbers | None
    last: Numbers | None
    ts_recv: Times | None
    tick_id: Times | None


@dataclass(frozen=True, slots=True)
class BarColumns:
    """Bars of one instrument and timeframe."""

    ts: Times
    open: Numbers
    high: Numbers
    low: Numbers
    close: Numbers
    volume: Numbers
    vwap: Numbers
    trades: Times


def frame(table: Any) -> pl.DataFrame:
    """A table of any library as a polars frame, without copying where that is possible."""
    if isinstance(table, pl.DataFrame):
        return table
    if isinstance(table, pl.LazyFrame):
        return table.collect()
    if hasattr(table, "__arrow_c_stream__") or hasattr(table, "__arrow_c_array__"):
        return pl.DataFrame(table)
    raise DataError(
        f"table: got {type(table).__name__}, expected a table with the Arrow PyCapsule interface, "
        "e.g. of polars, pyarrow or pandas"
    )


def _need(table: pl.DataFrame, *names: str) -> None:
    if missing := [name for name in names if name not in table.columns]:
        raise DataError(
            f"table: column {missing[0]!r} is missing; got {table.columns}, expected {list(names)}"
        )


def _times(table: pl.DataFrame, name: str) -> Times:
    column = table[name]
    if isinstance(column.dtype, pl.Datetime):
        # Whatever zone it is shown in, what is kept is UTC.
        column = column.dt.cast_time_unit("ns").to_physical()
    if not column.dtype.is_integer() and column.dtype != pl.Null:
        raise DataError(f"table: column {name!r} has type {column.dtype}, expected a timestamp or int ns UTC")
    return np.ascontiguousarray(_cast(column, pl.Int64).fill_null(_NO_TIME).to_numpy())


def _numbers(table: pl.DataFrame, name: str) -> Numbers:
    column = table[name]
    if not column.dtype.is_numeric() and column.dtype != pl.Null:
        raise DataError(f"table: column {name!r} has type {column.dtype}, expected numbers")
    return np.ascontiguousarray(_cast(column, pl.Float64).fill_null(float("nan")).to_numpy())


def _numbers_of_feed(table: pl.DataFrame) -> Times:
    column = table["tick_id"]
    if not column.dtype.is_integer() and column.dtype != pl.Null:
        raise DataError(f"table: column 'tick_id' has type {column.dtype}, expected whole numbers")
    return np.ascontiguousarray(_cast(column, pl.Int64).fill_null(_NO_TIME).to_numpy())


def _counts(table: pl.DataFrame, name: str) -> Times:
    column = table[name]
    if not column.dtype.is_integer() and column.dtype != pl.Null:
        raise DataError(f"table: column {name!r} has type {column.dtype}, expected whole numbers")
    counts = _cast(column, pl.Int64).fill_null(0)
    if (negative := counts.filter(counts < 0)).len():
        raise DataError(f"table: column {name!r} has {negative[0]}, expected zero or more")
    return np.ascontiguousarray(counts.to_numpy())


def _sides(table: pl.DataFrame, name: str) -> NDArray[np.int8]:
    column = table[name]
    expected = "1 or buy, -1 or sell, 0 or null"
    if column.dtype in (pl.String, pl.Categorical, pl.Enum):
        words = column.cast(pl.String)
        column = words.replace_strict({"buy": 1, "sell": -1}, default=None, return_dtype=pl.Int8)
        if (unknown := words.filter(column.is_null() & words.is_not_null())).len():
            raise DataError(f"table: column {name!r} has {unknown[0]!r}, expected {expected}")
    elif not column.dtype.is_integer() and column.dtype != pl.Null:
        raise DataError(f"table: column {name!r} has type {column.dtype}, expected {expected}")
    elif (unknown := column.filter(~column.is_in([1, -1, 0]))).len():
        raise DataError(f"table: column {name!r} has {unknown[0]}, expected {expected}")
    return np.ascontiguousarray(column.cast(pl.Int8).fill_null(0).to_numpy())


def _cast(column: pl.Series, dtype: type[pl.DataType]) -> pl.Series:
    try:
        return column.cast(dtype)
    except pl.exceptions.InvalidOperationError as error:
        raise DataError(
            f"table: column {column.name!r} has values that do not fit {dtype}: {error}"
        ) from error


def _symbols(table: pl.DataFrame) -> tuple[list[str], NDArray[np.uint32]]:
    symbol = table["symbol"].cast(pl.String)
    if nulls := symbol.null_count():
        raise DataError(f"table: column 'symbol' has {nulls} nulls, expected none")
    codes = symbol.rank("dense").cast(pl.UInt32) - 1
    return symbol.unique().sort().to_list(), np.ascontiguousarray(codes.to_numpy())


def tick_columns(table: Any) -> TradeColumns | QuoteColumns:
    """A table of trades or of quotes; see `Engine.push_table` for its columns.

    Raises:
        DataError: a column is missing or of the wrong type.
    """
    ticks = frame(table)
    present = set(ticks.columns)

    def optional(name: str) -> Numbers | None:
        return _numbers(ticks, name) if name in present else None

    numbers = _numbers_of_feed(ticks) if "tick_id" in present else None
    if "price" in present:
        _need(ticks, "symbol", "ts_event", "price", "size")
        symbols, codes = _symbols(ticks)
        return TradeColumns(
            symbols=symbols,
            codes=codes,
            ts_event=_times(ticks, "ts_event"),
            price=_numbers(ticks, "price"),
            size=_numbers(ticks, "size"),
            side=_sides(ticks, "side") if "side" in present else None,
            ts_recv=_times(ticks, "ts_recv") if "ts_recv" in present else None,
            tick_id=numbers,
        )
    _need(ticks, "symbol", "ts_event", "bid", "ask")
    symbols, codes = _symbols(ticks)
    return QuoteColumns(
        symbols=symbols,
        codes=codes,
        ts_event=_times(ticks, "ts_event"),
        bid=_numbers(ticks, "bid"),
        ask=_numbers(ticks, "ask"),
        bid_size=optional("bid_size"),
        ask_size=optional("ask_size"),
        last=optional("last"),
        ts_recv=_times(ticks, "ts_recv") if "ts_recv" in present else None,
        tick_id=numbers,
    )


def bar_columns(table: Any) -> BarColumns:
    """A table of bars; see `Engine.push_bars` for its columns.

    Raises:
        DataError: a column is missing or of the wrong type.
    """
    bars = frame(table)
    _need(bars, "ts", "open", "high", "low", "close", "volume")
    close, volume = _numbers(bars, "close"), _numbers(bars, "volume")
    vwap = _numbers(bars, "vwap") if "vwap" in bars.columns else close
    trades = _counts(bars, "trades") if "trades" in bars.columns else np.zeros(bars.height, dtype=np.int64)
    return BarColumns(
        ts=_times(bars, "ts"),
        open=_numbers(bars, "open"),
        high=_numbers(bars, "high"),
        low=_numbers(bars, "low"),
        close=close,
        volume=volume,
        # Without volume there is no average. Where one is not given the close stands in for it, so that
        # sums over bars stay defined.
        vwap=np.where(volume == 0, np.nan, np.where(np.isnan(vwap), close, vwap)),
        trades=trades,
    )


def as_of(frames: list[tuple[str, pl.DataFrame, NDArray[np.int64]]]) -> pl.DataFrame:
    """Bars of the first timeframe beside the newest bar of each other one that was closed by then.

    A time bar is closed when the next one of its timeframe may begin; the label of a bar is its open, so
    both sides are matched by the ends of the bars, which are given with them, ns UTC. Bars that are cut by
    their ticks end with the last of them. A tick at the end of a time bar comes after it.
    """
    (_, joined, ends), *others = frames
    timed = "ts_end" not in joined.columns
    joined = joined.with_columns(_end=ends)
    for timeframe, bars, ends in others:
        suffixed = bars.select(pl.all().name.suffix(f"_{timeframe}"), pl.lit(ends).alias("_end"))
        exact = not (timed and "ts_end" in bars.columns)
        joined = joined.join_asof(suffixed, on="_end", strategy="backward", allow_exact_matches=exact)
    return joined.drop("_end")
