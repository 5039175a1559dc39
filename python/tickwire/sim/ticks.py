"""Ticks between a source and the wire: blocks of columns.

A source yields `Block`s in the order in which their ticks are to be sent. A tick is one trade, one
quote or one change of depth; it is the unit of every rate and every count of the hub. Blocks carry
values only: how an event looks on the wire is decided in `shape` and `encode`, when it is sent in
`stream`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["DEPTH", "KINDS", "QUOTE", "TRADE", "Block", "Source", "StartRule"]

TRADE, QUOTE, DEPTH = 0, 1, 2
KINDS = ("trade", "quote", "depth")
"""Names of the kinds; the index is the code used in `Block.kind`."""

StartRule = Literal["first", "all", "manual"]


@dataclass(frozen=True, slots=True)
class Block:
    """Equal-length columns; fields that a kind does not use hold NaN or 0.

    Attributes:
        kind: `TRADE`, `QUOTE` or `DEPTH`.
        symbol: index into the source's `symbols`.
        due_ns: when to send, as an offset from the start of the stream; never decreasing, and all
            zero where the source sets no pace.
        ts_ns: event time, ns UTC, or None to stamp each tick with its scheduled send time.
        price: of a trade or a depth level.
        size: of a trade; of a depth level its new total.
        side: trade: 1 buy, -1 sell, 0 unknown aggressor. Depth: the DOM type code.
        resting: of a depth level what stays there now.
        bid: of a quote; NaN is a side without orders.
        ask: of a quote; NaN is a side without orders.
    """

    kind: NDArray[np.int8]
    symbol: NDArray[np.int32]
    due_ns: NDArray[np.int64]
    ts_ns: NDArray[np.int64] | None
    price: NDArray[np.float64]
    size: NDArray[np.float64]
    side: NDArray[np.int8]
    resting: NDArray[np.float64]
    bid: NDArray[np.float64]
    ask: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.kind)


class Source(Protocol):
    """Where ticks come from. Every call of `blocks` starts again from the first tick."""

    @property
    def symbols(self) -> tuple[str, ...]:
        """Contract ids, indexed by `Block.symbol`."""

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds that may occur."""

    @property
    def paced(self) -> bool:
        """Whether `due_ns` sets the pace; otherwise the stream runs as fast as clients take it."""

    @property
    def start(self) -> StartRule:
        """When the stream starts unless the hub is told otherwise."""

    def opening(self) -> list[list[tuple[int, float, float]]]:
        """For each instrument the levels that rest before the first tick: DOM type code, price, size.

        Asked for only if there is depth among the kinds.
        """

    def blocks(self) -> Iterator[Block]:
        """The ticks, from the first one on."""
