"""Ticks from a Parquet, CSV or Arrow file, in the columns that `Engine.push_table` takes.

A file has `ts_ns` or `ts_event`, `instrument` or `symbol`, and prices: `price` (with `size`, `side`)
for trades, `bid` and `ask` (with `bid_size`, `ask_size`, `last`) for quotes. `kind` ("trade" or
"quote") says which a row is; without it, rows with a price are trades. Other columns serve filters.

The whole file is read, into memory. Arrival times (`ts_recv_ns` or `ts_recv`) are for reports alone: a
recording is not judged by when its ticks came.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
from polars.exceptions import PolarsError

from tickwire.errors import ConfigError, DataError

from . import ticksize

__all__ = ["TickFile", "read"]

_TIMES = ("ts_ns", "ts_event")
_ARRIVALS = ("ts_recv_ns", "ts_recv")
_SYMBOLS = ("instrument", "symbol")
_PRICES = ("price", "bid", "ask")
_NUMBERS = ("price", "size", "bid", "ask", "bid_size", "ask_size", "last")
_KNOWN = {*_TIMES, *_ARRIVALS, *_SYMBOLS, *_NUMBERS, "kind", "side"}
# Where a row stands in the file, filtered or not: errors name it, counted from 0.
_ROW = "tickwire row"
_TRADE = ("symbol", "ts_event", "price", "size", "side")
_QUOTE = ("symbol", "ts_event", "bid", "ask", "bid_size", "ask_size", "last")


@dataclass(frozen=True, slots=True)
class TickFile:
    """Checked ticks, in the order of the file.

    Attributes:
        ticks: row (of the file, from 0), symbol, ts_event and ts_recv (int ns UTC), kind, side, and every
            number column; nulls are absent.
    """

    ticks: pl.DataFrame

    @property
    def symbols(self) -> list[str]:
        """The instruments, in order of their first ticks."""
        return self.ticks["symbol"].unique(maintain_order=True).to_list()

    @property
    def last_ns(self) -> int | None:
        """The latest time of any tick, int ns UTC; None if none has a time."""
        latest = self.ticks["ts_event"].max()
        return latest if isinstance(latest, int) else None

    @property
    def kinds(self) -> set[str]:
        """Which of "trade" and "quote" there are."""
        return set(self.ticks["kind"].unique())

    def has(self, column: str) -> bool:
        """Whether a column holds anything."""
        return self.ticks[column].null_count() < self.ticks.height

    def tables(self, first: int, rows: int) -> list[pl.DataFrame]:
        """Some rows as a table of trades and one of quotes. The engine keeps the two streams apart, so
        that it makes no difference which goes first.
        """
        part = self.ticks.slice(first, rows)
        chosen = [
            part.filter(pl.col("kind") == kind).select(columns)
            for kind, columns in (("trade", _TRADE), ("quote", _QUOTE))
        ]
        return [table for table in chosen if table.height]

    def tick_sizes(self, given: Mapping[str, Decimal]) -> dict[str, Decimal]:
        """The tick size of each instrument: the one given for it, else worked out from its prices.

        Raises:
            ConfigError: a tick size is given for an instrument that is not there.
            DataError: an instrument has prices on no decimal grid.
        """
        symbols = self.symbols
        if unknown := [symbol for symbol in given if symbol not in symbols]:
            known = ", ".join(symbols[:8]) + (", …" if len(symbols) > 8 else "")
            raise ConfigError(
                f"--tick-size: got {unknown[0]!r}, expected one of the file's instruments: {known}"
            )
        prices = (
            self.ticks.filter(~pl.col("symbol").is_in(list(given)))
            .unpivot(_PRICES, index="symbol", value_name="value")
            .drop_nulls("value")
            .group_by("symbol")
            .agg(pl.col("value").unique())
        )
        distinct = {symbol: np.array(values) for symbol, values in prices.iter_rows()}
        sizes = dict(given)
        for symbol in symbols:
            if symbol in sizes:
                continue
            size = ticksize.infer(distinct[symbol]) if symbol in distinct else None
            if size is None:
                raise DataError(
                    f"the prices of {symbol} lie on no decimal grid; say which one with --tick-size {symbol}=0.01"
                )
            sizes[symbol] = size
        return {symbol: sizes[symbol] for symbol in symbols}


def read(path: Path, condition: str | None = None) -> TickFile:
    """Read a file, and keep the rows for which an SQL condition holds.

    Raises:
        DataError: the file, or a column or row of it, is not what it should be.
        ConfigError: the condition cannot work.
    """
    scan = _scan(path)
    try:
        columns = [name for name in scan.collect_schema().names() if name in _KNOWN]
        numbered = scan.with_row_index(_ROW)
        kept = numbered if condition is None else numbered.filter(_condition(condition, scan))
        frame = kept.select(_ROW, *columns).collect()
    except (PolarsError, OSError) as error:
        raise DataError(f"{path}: cannot be read: {_first_line(error)}") from None
    if not frame.height:
        why = "has no rows, expected ticks" if condition is None else f"no row meets --filter {condition!r}"
        raise DataError(f"{path}: {why}")
    try:
        return TickFile(_normal(frame))
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def _scan(path: Path) -> pl.LazyFrame:
    if not path.exists():
        raise DataError(f"{path}: no such file")
    if not path.is_file():
        raise DataError(f"{path}: is not a file")
    match path.suffix.lower():
        case ".parquet" | ".pq":
            return pl.scan_parquet(path)
        case ".csv":
            return pl.scan_csv(path, infer_schema_length=None)
        case ".arrow" | ".feather" | ".ipc":
            return pl.scan_ipc(path)
        case suffix:
            raise DataError(
                f"{path}: got {suffix or 'no suffix'!r}, expected .parquet, .pq, .csv, .arrow, .feather or .ipc"
            )


def _condition(text: str, scan: pl.LazyFrame) -> pl.Expr:
    try:
        condition = pl.sql_expr(text)
        (dtype,) = scan.select(condition.alias("condition")).collect_schema().dtypes()
    except PolarsError as error:
        columns = ", ".join(scan.collect_schema().names())
        raise ConfigError(
            f"--filter {text!r}: {_first_line(error)}; expected an SQL condition on {columns}"
        ) from None
    if dtype != pl.Boolean:
        raise ConfigError(f'--filter {text!r}: got {dtype} values, expected a condition such as "size > 0"')
    return condition


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].strip()


def _normal(frame: pl.DataFrame) -> pl.DataFrame:
    names = frame.columns
    if "price" not in names and not {"bid", "ask"} <= set(names):
        raise DataError(f"no prices; got {_known(frame)}, expected a column price, or bid and ask")
    symbol = _one_of(frame, _SYMBOLS).cast(pl.String)
    if symbol.null_count():
        raise DataError(
            f"column {symbol.name!r} is empty in row {_row(frame, symbol.is_null())}, expected an instrument"
        )
    numbers = [
        _number(frame, name)
        if name in names
        else pl.Series(name, [None], pl.Float64).new_from_index(0, frame.height)
        for name in _NUMBERS
    ]
    times = [_time(_one_of(frame, _TIMES)).alias("ts_event"), _arrival(frame)]
    normal = pl.DataFrame([frame[_ROW].alias("row"), symbol.alias("symbol"), *times, _side(frame), *numbers])
    return normal.with_columns(_kind(frame, normal))


def _one_of(frame: pl.DataFrame, names: tuple[str, str]) -> pl.Series:
    for name in names:
        if name in frame.columns:
            return frame[name]
    raise DataError(f"no column {names[0]!r} or {names[1]!r}; got {_known(frame)}")


def _known(frame: pl.DataFrame) -> str:
    return ", ".join(name for name in frame.columns if name != _ROW) or "no column that ticks have"


def _row(frame: pl.DataFrame, wrong: pl.Series) -> int:
    """The first row of the file for which `wrong` holds."""
    row: int = frame[_ROW][wrong.arg_max() or 0]
    return row


def _time(series: pl.Series) -> pl.Series:
    name = series.name
    if series.dtype == pl.String:
        try:
            series = series.str.to_datetime(time_unit="ns", time_zone="UTC")
        except PolarsError:
            raise DataError(
                f"column {name!r} has text that is no time, e.g. {series.drop_nulls().first()!r}; "
                "expected int ns UTC or ISO 8601"
            ) from None
    if isinstance(series.dtype, pl.Datetime):
        series = series.dt.epoch("ns")
    if not series.dtype.is_integer():
        raise DataError(f"column {name!r} has type {series.dtype}, expected int ns UTC or timestamps")
    return series.cast(pl.Int64)


def _arrival(frame: pl.DataFrame) -> pl.Series:
    for name in _ARRIVALS:
        # A CSV column without any value is read as text.
        if name in frame.columns and frame[name].null_count() < frame.height:
            return _time(frame[name]).alias("ts_recv")
    return pl.Series("ts_recv", [None], pl.Int64).new_from_index(0, frame.height)


def _number(frame: pl.DataFrame, name: str) -> pl.Series:
    # A CSV column without any value is read as text.
    numbers = frame[name].cast(pl.Float64, strict=False)
    lost = numbers.is_null() & frame[name].is_not_null()
    if lost.any():
        got = frame[name].filter(lost).first()
        raise DataError(f"column {name!r} has {got!r} in row {_row(frame, lost)}, expected a number")
    return numbers


def _side(frame: pl.DataFrame) -> pl.Series:
    if "side" not in frame.columns:
        return pl.Series("side", [0], pl.Int8).new_from_index(0, frame.height)
    side = frame["side"]
    if side.dtype.is_numeric():
        return side.fill_null(0).sign().cast(pl.Int8)
    return side.cast(pl.String).replace_strict({"buy": 1, "sell": -1}, default=0, return_dtype=pl.Int8)


def _kind(frame: pl.DataFrame, normal: pl.DataFrame) -> pl.Series:
    if "kind" not in frame.columns:
        priced = normal["price"].is_not_null().alias("kind")
        return priced.replace_strict({True: "trade", False: "quote"}, return_dtype=pl.String)
    kind = frame["kind"].cast(pl.String)
    known = kind.is_in(["trade", "quote"]).fill_null(False)
    if not known.all():
        got = kind.filter(~known)[0]
        raise DataError(
            f"column 'kind' has {got!r} in row {_row(frame, ~known)}, expected 'trade' or 'quote'"
        )
    return kind
