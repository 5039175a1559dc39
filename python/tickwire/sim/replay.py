"""Recorded ticks as a source: a Polars frame, or a Parquet, CSV or Arrow IPC file.

Rows are sent in the order in which they stand, with their own timestamps to the nanosecond. Columns:
`ts_ns` or `ts_event` (int64 ns UTC, or a datetime), `instrument` or `symbol`, `kind` ("trade" or
"quote"; without it, rows with a price are trades), `price`, `size`, `side` ("buy", "sell" or 1, -1),
`bid`, `ask`. Sizes of quotes are read over: the documented GatewayQuote event has no fields for them.
Depth is not replayed.

Polars is imported when a replay is made, not with the package.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from tickwire.errors import ConfigError, DataError

from .ticks import KINDS, QUOTE, TRADE, Block, StartRule

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

__all__ = ["Replay"]

_BLOCK_TICKS = 2_048


class Replay:
    """Recorded ticks as a source.

    Args:
        data: a Polars DataFrame, or the path of a .parquet, .csv, .arrow, .feather or .ipc file.
        speed: replays the recorded times so many times faster; a step back in time waits for nothing.
        rate: sends so many ticks per second instead. With neither (or "max"), as fast as the
            clients take them.
    """

    def __init__(
        self,
        data: pl.DataFrame | str | Path,
        *,
        speed: float | None = None,
        rate: float | Literal["max"] | None = None,
    ) -> None:
        self.speed = speed
        self.rate = None if rate is None or rate == "max" else float(rate)
        if speed is not None and rate is not None:
            raise ConfigError("speed and rate are both given: expected one of them, or neither")
        for name, value in (("speed", self.speed), ("rate", self.rate)):
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ConfigError(f"{name}={value!r}: expected a number above 0")
        frame = _read(Path(data)) if isinstance(data, str | Path) else data
        self._frame, self._symbols, self._kinds = _normalise(frame)

    def __len__(self) -> int:
        return self._frame.height

    @property
    def symbols(self) -> tuple[str, ...]:
        """The instruments, in order of first appearance."""
        return self._symbols

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds that occur."""
        return self._kinds

    @property
    def paced(self) -> bool:
        """Whether a speed or a rate was set."""
        return self.speed is not None or self.rate is not None

    @property
    def start(self) -> StartRule:
        """A recording has one beginning: it waits until all of it has a subscriber."""
        return "all"

    def opening(self) -> list[list[tuple[int, float, float]]]:
        """Nothing: depth is not replayed."""
        return [[] for _ in self._symbols]

    def blocks(self) -> Iterator[Block]:
        """The recording, once."""
        first_ns = int(self._frame["ts"][0])
        reached_ns = first_ns
        for first in range(0, self._frame.height, _BLOCK_TICKS):
            part = self._frame.slice(first, _BLOCK_TICKS)
            ts_ns = part["ts"].to_numpy()
            due_ns = np.zeros(len(ts_ns), np.int64)
            if self.speed is not None:
                # Out-of-order rows keep their place: each is due with the latest one before it.
                latest = np.maximum.accumulate(np.maximum(ts_ns, reached_ns))
                reached_ns = int(latest[-1])
                due_ns = ((latest - first_ns) / self.speed).astype(np.int64)
            elif self.rate is not None:
                index = np.arange(first, first + len(ts_ns))
                due_ns = (index * (1e9 / self.rate)).astype(np.int64)
            yield Block(
                kind=part["kind"].to_numpy(),
                symbol=part["symbol"].to_numpy(),
                due_ns=due_ns,
                ts_ns=ts_ns,
                price=part["price"].to_numpy(),
                size=part["size"].to_numpy(),
                side=part["side"].to_numpy(),
                resting=np.full(len(ts_ns), np.nan),
                bid=part["bid"].to_numpy(),
                ask=part["ask"].to_numpy(),
            )


def _read(path: Path) -> pl.DataFrame:
    import polars as pl

    if not path.is_file():
        raise DataError(f"{path}: no such file")
    match path.suffix.lower():
        case ".parquet":
            return pl.read_parquet(path)
        case ".csv":
            return pl.read_csv(path, infer_schema_length=None)
        case ".arrow" | ".feather" | ".ipc":
            return pl.read_ipc(path)
        case suffix:
            raise DataError(
                f"{path}: got {suffix or 'no suffix'!r}, expected .parquet, .csv, .arrow, .feather or .ipc"
            )


def _normalise(frame: pl.DataFrame) -> tuple[pl.DataFrame, tuple[str, ...], frozenset[str]]:
    """One schema for every recording: ts, symbol and kind as codes, prices and sizes as floats."""
    import polars as pl

    if frame.height == 0:
        raise DataError("the recording has no rows: expected at least one tick")
    ts = _column(frame, ("ts_ns", "ts_event"))
    if ts.dtype == pl.Datetime:
        ts = ts.dt.epoch("ns")
    elif not ts.dtype.is_integer():
        raise DataError(f"column {ts.name!r} is {ts.dtype}: expected int64 ns UTC or a datetime")
    names = _column(frame, ("instrument", "symbol")).cast(pl.String)
    for column in (ts, names):
        if column.null_count():
            row = column.is_null().arg_max()
            raise DataError(f"column {column.name!r} has no value in row {row}: expected one in every row")

    def number(name: str) -> pl.Series:
        if name not in frame.columns:
            return pl.Series(name, [math.nan], pl.Float64).new_from_index(0, frame.height)
        return frame[name].cast(pl.Float64).fill_null(math.nan)

    kind = _kinds(frame)
    symbols = tuple(names.unique(maintain_order=True).to_list())
    code = names.replace_strict({name: index for index, name in enumerate(symbols)}, return_dtype=pl.Int32)
    normal = pl.DataFrame(
        {
            "ts": ts.cast(pl.Int64),
            "symbol": code,
            "kind": kind,
            "price": number("price"),
            "size": number("size"),
            "side": _sides(frame),
            "bid": number("bid"),
            "ask": number("ask"),
        }
    ).rechunk()
    return normal, symbols, frozenset(KINDS[index] for index in kind.unique())


def _column(frame: pl.DataFrame, names: tuple[str, str]) -> pl.Series:
    for name in names:
        if name in frame.columns:
            return frame[name]
    raise DataError(f"no column {names[0]!r} or {names[1]!r}: got {', '.join(frame.columns)}")


def _kinds(frame: pl.DataFrame) -> pl.Series:
    import polars as pl

    if "kind" not in frame.columns:
        priced = pl.col("price").is_not_null() if "price" in frame.columns else pl.lit(False)
        inferred = pl.when(priced).then(TRADE).otherwise(QUOTE).cast(pl.Int8)
        return frame.with_columns(kind=inferred)["kind"]
    kind = frame["kind"].cast(pl.String)
    known = kind.is_in(["trade", "quote"]).fill_null(False)
    if not known.all():
        row = int((~known).arg_max() or 0)
        raise DataError(f"column 'kind' has {kind[row]!r} in row {row}: expected 'trade' or 'quote'")
    return kind.replace_strict({"trade": TRADE, "quote": QUOTE}, return_dtype=pl.Int8)


def _sides(frame: pl.DataFrame) -> pl.Series:
    import polars as pl

    if "side" not in frame.columns:
        return pl.Series([0], dtype=pl.Int8).new_from_index(0, frame.height)
    side = frame["side"]
    if side.dtype.is_numeric():
        return side.fill_null(0).sign().cast(pl.Int8)
    return side.cast(pl.String).replace_strict({"buy": 1, "sell": -1}, default=0, return_dtype=pl.Int8)
