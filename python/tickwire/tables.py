"""Tables of ticks and bars: from anything Arrow to the columns that the core takes, and as-of joins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from .errors import DataError

_NO_TIME = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True)
class TickColumns:
    """Columns in the order in which the core takes them."""

    kind: Literal["trade", "quote"]
    symbols: list[str]
    codes: NDArray[np.uint32]
    values: tuple[NDArray[Any] | None, ...]


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
        raise DataError(f"table: column {missing[0]!r} is missing; got {table.columns}, expected {list(names)}")


def _times(table: pl.DataFrame, name: str) -> NDArray[np.int64]:
    column = table[name]
    if isinstance(column.dtype, pl.Datetime):
        column = column.dt.cast_time_unit("ns").dt.replace_time_zone(None).to_physical()
    if not column.dtype.is_integer():
        raise DataError(f"table: column {name!r} has type {column.dtype}, expected a timestamp or int ns UTC")
    return column.cast(pl.Int64).fill_null(_NO_TIME).to_numpy()


def _numbers(table: pl.DataFrame, name: str) -> NDArray[np.float64]:
    column = table[name]
    if not column.dtype.is_numeric() and column.dtype != pl.Null:
        raise DataError(f"table: column {name!r} has type {column.dtype}, expected numbers")
    return np.ascontiguousarray(column.cast(pl.Float64).fill_null(float("nan")).to_numpy())


def _sides(table: pl.DataFrame, name: str) -> NDArray[np.int8]:
    column = table[name]
    if column.dtype == pl.String:
        column = column.replace_strict({"buy": 1, "sell": -1}, default=0, return_dtype=pl.Int8)
    elif not column.dtype.is_integer() and column.dtype != pl.Null:
        raise DataError(f"table: column {name!r} has type {column.dtype}, expected 1, -1, 0 or buy, sell")
    return np.ascontiguousarray(column.cast(pl.Int8).fill_null(0).to_numpy())


def tick_columns(table: Any) -> TickColumns:
    """A table of trades or of quotes; see `Engine.push_table` for its columns.

    Raises:
        DataError: a column is missing or of the wrong type.
    """
    ticks = frame(table)
    is_trade = "price" in ticks.columns
    required = ("symbol", "ts_event", "price", "size") if is_trade else ("symbol", "ts_event", "bid", "ask")
    _need(ticks, *required)

    def optional(name: str, read: Any) -> Any:
        return read(ticks, name) if name in ticks.columns else None

    symbol = ticks["symbol"].cast(pl.String)
    if symbol.null_count():
        raise DataError(f"table: column 'symbol' has {symbol.null_count()} nulls, expected none")
    codes = symbol.rank("dense").cast(pl.UInt32) - 1
    times = _times(ticks, "ts_event")
    received = optional("ts_recv", _times)
    values: tuple[NDArray[Any] | None, ...]
    if is_trade:
        values = (times, _numbers(ticks, "price"), _numbers(ticks, "size"), optional("side", _sides), received)
    else:
        sides = (_numbers(ticks, "bid"), _numbers(ticks, "ask"))
        sizes = [optional(name, _numbers) for name in ("bid_size", "ask_size", "last")]
        values = (times, *sides, *sizes, received)
    return TickColumns(
        kind="trade" if is_trade else "quote",
        symbols=symbol.unique().sort().to_list(),
        codes=np.ascontiguousarray(codes.to_numpy()),
        values=values,
    )


def bar_columns(table: Any) -> tuple[NDArray[Any], ...]:
    """A table of bars; see `Engine.push_bars` for its columns.

    Raises:
        DataError: a column is missing or of the wrong type.
    """
    bars = frame(table)
    _need(bars, "ts", "open", "high", "low", "close", "volume")
    numbers = [_numbers(bars, name) for name in ("open", "high", "low", "close", "volume")]
    # Without a published average the close stands in for it, so that sums over bars stay defined.
    vwap = _numbers(bars, "vwap") if "vwap" in bars.columns else numbers[3]
    trades = bars["trades"].cast(pl.Int64).fill_null(0).to_numpy() if "trades" in bars.columns else None
    if trades is None:
        trades = np.zeros(bars.height, dtype=np.int64)
    return (_times(bars, "ts"), *numbers, vwap, np.ascontiguousarray(trades))


def as_of(frames: list[tuple[str, pl.DataFrame]]) -> pl.DataFrame:
    """Bars of the first timeframe beside the newest bar of each other one that was closed by then.

    A bar is closed when the next one of its timeframe may begin; the label of a bar is its open, so
    both sides are matched by the end of the bars.
    """
    (base, joined), *others = frames
    joined = joined.with_columns(_end(base).alias("_end"))
    for timeframe, bars in others:
        suffixed = bars.select(pl.all().name.suffix(f"_{timeframe}"), _end(timeframe).alias("_end"))
        joined = joined.join_asof(suffixed, on="_end", strategy="backward")
    return joined.drop("_end")


def _end(timeframe: str) -> pl.Expr:
    return pl.col("ts").dt.offset_by(timeframe)
