"""`BarAggregator`: bars of one stream of prices, without an engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import numpy as np

from . import _core
from .config import Source, Split, choice, positive, texts
from .units import duration_ns, float_column, int_column

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["BarAggregator"]


class BarAggregator(_core.BarAggregator):
    """Makes the bars that an `Engine` makes of the same ticks, and hands each out when it closes. It keeps
    the open bars and nothing else, and checks nothing but that prices and sizes are numbers.

    Time bars are aligned to UTC. They close when a tick, or `advance`, passes their end by `lateness`; a
    lone stamp from far ahead closes none (see `Engine`). A tick that comes later enters no bar and is
    counted in `late`. Any thread may call it.

    Args:
        timeframes: as of `Engine`: "1s", "1m", "100t", "5000v", "1e6n", "8r", "8renko", …
        symbol: what the bars carry as their symbol.
        tick_size: smallest price step, in price units; needed for range and Renko.
        source: what the bars carry as their source. Volume and notional need "trade".
        lateness: how long, in event time, time bars wait for late ticks.
        split: what becomes of a trade that reaches the end of a volume or notional bar: "keep" it whole,
            or "split" it over as many bars as it fills.

    Raises:
        ConfigError: an argument that cannot work.

    Example:
        >>> import tickwire as tw
        >>> bars = tw.BarAggregator(["2t"])
        >>> bars.push(1_700_000_000_000_000_000, 100.0, 1)
        []
        >>> [(bar.open, bar.close, bar.volume) for bar in bars.push(1_700_000_001_000_000_000, 101.0, 2)]
        [(100.0, 101.0, 3.0)]
    """

    def __new__(
        cls,
        timeframes: Sequence[str],
        *,
        symbol: str = "",
        tick_size: float | None = None,
        source: Source = "trade",
        lateness: str = "0s",
        split: Split = "keep",
    ) -> Self:
        if tick_size is not None:
            positive("tick_size", tick_size)
        choice("source", source, Source)
        choice("split", split, Split)
        names = texts("timeframes", timeframes, '["1m", "100t"]')
        return super().__new__(
            cls, names, symbol, tick_size, source, duration_ns("lateness", lateness), split
        )

    def push_many(
        self,
        *,
        ts_event: ArrayLike,
        price: ArrayLike,
        size: ArrayLike | None = None,
        ts_recv: ArrayLike | None = None,
    ) -> list[_core.Bar]:
        """Add columns of ticks, row after row; returns the bars that they closed, in the order in which
        those closed.

        Args:
            ts_event: int64 ns UTC or datetime64, shape (n,). Columns must not change during the call.
            price, size: float64, shape (n,); sizes are zero where none are given.
            ts_recv: arrival times, as ts_event.

        Raises:
            DataError: columns of different lengths or wrong types, or a value that is no number; nothing
                was applied.
        """
        times = int_column("ts_event", ts_event)
        return self._push_many(
            times,
            float_column("price", price),
            np.zeros(len(times)) if size is None else float_column("size", size),
            None if ts_recv is None else int_column("ts_recv", ts_recv),
        )
