"""`History`: where bars come from that nobody heard live.

A history is any object with the two methods below. `projectx_history` has the one of the ProjectX
gateway; `backfill` is who asks, from a thread of its own, and turns failures into later attempts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Sequence
from typing import Any, Protocol

__all__ = ["History"]


class History(Protocol):
    """A source of closed bars made of trades."""

    def timeframes(self, wanted: Sequence[str]) -> Iterable[str]:
        """Those of the wanted timeframes ("1s", "5m", "1d", …) whose bars it can give.

        Its bars must be cut as the engine's are: left-closed, labelled by their open, aligned to UTC.
        Called once, must not block.
        """

    def bars(self, symbol: str, timeframe: str, start_ns: int, end_ns: int) -> Any | Awaitable[Any]:
        """The bars with `start_ns <= ts < end_ns` (int ns UTC), closed ones only, oldest first.

        May be a plain method, which runs in a thread of its own and may block, or a coroutine
        function, which runs on a loop of its own and is cancelled when nobody waits any more.
        Where there is no bar, nothing was traded, or history is not that far yet: what it gives it
        gives from the oldest on, without holes.

        Returns:
            A table with the Arrow PyCapsule interface: ts (timestamp or int ns UTC), open, high, low,
            close, volume [, vwap, trades]. It may be empty.

        Raises:
            HistoryFailed: with `permanent` where asking again is of no use, and `retry_after_s` where
                the server wants to be left alone for so long. Anything else counts as one that
                is not permanent.
        """
