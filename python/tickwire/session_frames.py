"""Frames of bars and ticks by trading hours: rows inside them, and the VWAP of each trading day.

    within(engine.bars("ES", "1m"), tw.sessions.NYSE.only("regular"))
    running_vwap(engine.trades("ES"), tw.CME)

A bar belongs to the hours in which it opens, a tick to those that hold its event time. Whatever lies outside
is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .errors import DataError
from .session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl
    from numpy.typing import NDArray

__all__ = ["newest_within", "running_vwap", "within"]


def within(frame: pl.DataFrame, session: Session) -> pl.DataFrame:
    """The rows of bars, trades or quotes that lie in the hours of a session.

    Raises:
        DataError: no column ts or ts_event of times.
    """
    import polars as pl

    return frame.filter(pl.Series(session.table().holds(_times_ns(frame))))


def newest_within(
    session: Session, last: int | None, newest: Callable[[int | None], pl.DataFrame]
) -> pl.DataFrame:
    """The `last` rows inside the hours, None for all; `newest` has the newest rows, so many or all."""
    asked = last
    while True:
        frame = newest(asked)
        found = within(frame, session)
        if last is None or asked is None or len(found) >= last or len(frame) < asked:
            return found if last is None else found.tail(last)
        # Hours are a good part of a week, so that few looks are enough.
        asked *= 4


def running_vwap(frame: pl.DataFrame, session: Session) -> pl.DataFrame:
    """The volume-weighted average price of each trading day, from its first open to each row.

    Args:
        frame: bars (ts, volume, vwap) or trades (ts_event, price, size), as an engine gives them.

    Returns:
        The time of each row inside the hours, ascending; day Date, the trading day; vwap Float64, null
        until something is traded; volume Float64, the day's so far.

    Raises:
        DataError: a column is missing.
    """
    import polars as pl

    is_bars = "ts" in frame.columns
    time, price, size = ("ts", "vwap", "volume") if is_bars else ("ts_event", "price", "size")
    if missing := [name for name in (time, price, size) if name not in frame.columns]:
        raise DataError(f"column {missing[0]}: missing; got {', '.join(frame.columns)}")
    table = session.table()
    row = table.span_of(_times_ns(frame))
    traded = pl.col(size) > 0
    return (
        frame.select(time, price, size, day=pl.Series(table.day[row].astype(np.int32)).cast(pl.Date))
        .filter(pl.Series(row >= 0))
        .sort(time, maintain_order=True)
        .with_columns(
            money=pl.when(traded).then(pl.col(price) * pl.col(size)).otherwise(0.0).cum_sum().over("day"),
            volume=pl.when(traded).then(pl.col(size)).otherwise(0.0).cum_sum().over("day"),
        )
        .select(
            time,
            "day",
            vwap=pl.when(pl.col("volume") > 0).then(pl.col("money") / pl.col("volume")),
            volume="volume",
        )
    )


def _times_ns(frame: pl.DataFrame) -> NDArray[np.int64]:
    import polars as pl

    for name in ("ts", "ts_event"):
        if name in frame.columns and isinstance(frame.schema[name], pl.Datetime):
            return frame[name].dt.timestamp("ns").to_numpy()
    raise DataError(f"columns ts, ts_event: expected one of them, of times; got {frame.schema}")
