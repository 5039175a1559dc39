"""What the hub's clients have been told of the resting orders, and whole books for new ones.

Follows the depth changes that are sent, in order, whatever a fault does to them on their way: this is
what a client should hold that got all of them. Plain dicts, and nothing of the engine's.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .ladders import ASK, BEST_ASK, BEST_BID, BID, NEW_BEST_ASK, NEW_BEST_BID, RESET

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .shape import Event

__all__ = ["Books", "Element", "Levels"]

Element = tuple[float, float, int, float, str]
"""Price, size, type code, what rests there now, timestamp: as in `Event.data`."""

Levels = list[tuple[float, float]]
"""Prices and sizes, best first."""


class Books:
    """The books of all instruments of a source.

    Args:
        opening: for each instrument the levels that rest before its first change: type code, price, size.
    """

    def __init__(self, opening: Sequence[Iterable[tuple[int, float, float]]]) -> None:
        self._bids: list[dict[float, float]] = [{} for _ in opening]
        self._asks: list[dict[float, float]] = [{} for _ in opening]
        for symbol, levels in enumerate(opening):
            for code, price, size in levels:
                self._change(symbol, code, price, size)

    def follow(self, event: Event) -> None:
        """Take note of a depth event that is sent."""
        for price, size, code, *_ in event.data:
            self._change(event.symbol, code, price, size)

    def levels(self, symbol: int) -> tuple[Levels, Levels]:
        """Bids and asks of an instrument."""
        bids, asks = self._bids[symbol], self._asks[symbol]
        return sorted(bids.items(), reverse=True), sorted(asks.items())

    def whole(self, symbol: int, ts: str, *, reset: bool) -> list[Element]:
        """All levels of an instrument as elements of one event, behind a reset if that is wanted."""
        bids, asks = self.levels(symbol)
        elements: list[Element] = [(0.0, 0.0, RESET, 0.0, ts)] if reset else []
        elements += [(price, size, BID, size, ts) for price, size in bids]
        return elements + [(price, size, ASK, size, ts) for price, size in asks]

    def _change(self, symbol: int, code: int, price: float, size: float) -> None:
        bids, asks = self._bids[symbol], self._asks[symbol]
        if code == RESET:
            bids, asks = {}, {}
        elif code in (BID, BEST_BID, NEW_BEST_BID):
            if size:
                highest = math.inf if code == BID else price
                bids = {held: rests for held, rests in bids.items() if held <= highest} | {price: size}
                asks = {held: rests for held, rests in asks.items() if held >= price}
            else:
                bids.pop(price, None)
        elif code in (ASK, BEST_ASK, NEW_BEST_ASK):
            if size:
                lowest = -math.inf if code == ASK else price
                asks = {held: rests for held, rests in asks.items() if held >= lowest} | {price: size}
                bids = {held: rests for held, rests in bids.items() if held <= price}
            else:
                asks.pop(price, None)
        self._bids[symbol], self._asks[symbol] = bids, asks
