"""What rests behind the quotes of a market model, one change at a time.

Each change is one depth tick. While the resting orders lie behind the quotes it brings them closer, as a
gateway does it: a level that is gone is taken out by itself, or the new best price says so of all better
ones at once, and now and then a new best price comes before the levels it has passed are taken out.
Otherwise a level near the market changes its size, or goes. Levels far from the market go in the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ASK", "BEST_ASK", "BEST_BID", "BID", "NEW_BEST_ASK", "NEW_BEST_BID", "RESET", "Ladder"]

ASK, BID, BEST_ASK, BEST_BID, RESET, NEW_BEST_BID, NEW_BEST_ASK = 1, 2, 3, 4, 6, 9, 10
"""DOM type codes."""

_MOST_LEVELS = 40
_LARGEST = 200

Change = tuple[int, int, int]
"""Type code, price in ticks, what rests there now."""


class Ladder:
    """The resting orders of one instrument: prices in ticks, sizes in whole contracts."""

    def __init__(self, bids: dict[int, int], asks: dict[int, int]) -> None:
        self._bids = bids
        self._asks = asks

    @classmethod
    def around(cls, bid: int, ask: int, sizes: Sequence[int]) -> Ladder:
        """Levels at every tick from the best prices on, half of the sizes on each side."""
        half = len(sizes) // 2
        return cls(
            {bid - away: size for away, size in enumerate(sizes[:half])},
            {ask + away: size for away, size in enumerate(sizes[half:])},
        )

    def levels(self) -> list[Change]:
        """All levels, bids first, best first."""
        return [(BID, price, self._bids[price]) for price in sorted(self._bids, reverse=True)] + [
            (ASK, price, self._asks[price]) for price in sorted(self._asks)
        ]

    def change(self, bid: int, ask: int, draws: Sequence[float]) -> Change:
        """The next change, with the quotes at `bid` and `ask`; `draws` are four numbers from 0 to 1."""
        bids, asks = self._bids, self._asks
        which, kind, away, size = draws
        total = 1 + int(size * _LARGEST)
        top_bid, top_ask = max(bids, default=bid - 1), min(asks, default=ask + 1)
        if top_bid < bid and (which < 0.1 or top_ask >= ask):
            return self._put(NEW_BEST_BID, bid, total)
        if top_ask > ask and (which < 0.1 or top_bid <= bid):
            return self._put(NEW_BEST_ASK, ask, total)
        if top_bid > bid:
            return self._put(BID, top_bid, 0) if kind < 0.5 else self._put(BEST_BID, bid, total)
        if top_ask < ask:
            return self._put(ASK, top_ask, 0) if kind < 0.5 else self._put(BEST_ASK, ask, total)
        if len(bids) > _MOST_LEVELS:
            return self._put(BID, min(bids), 0)
        if len(asks) > _MOST_LEVELS:
            return self._put(ASK, max(asks), 0)
        # Two thirds of the changes are within two ticks of the best price.
        steps = min(int(away**3 * 20), 19)
        if steps == 0:
            return self._put(*((BEST_BID, bid) if which < 0.5 else (BEST_ASK, ask)), total)
        total = 0 if kind < 0.2 else total
        return self._put(*((BID, bid - steps) if which < 0.5 else (ASK, ask + steps)), total)

    def _put(self, code: int, price: int, total: int) -> Change:
        is_bid = code in (BID, BEST_BID, NEW_BEST_BID)
        own = self._bids if is_bid else self._asks
        if not total:
            own.pop(price, None)
            return code, price, total
        own[price] = total
        if code not in (BID, ASK):
            for other in [other for other in own if (other > price if is_bid else other < price)]:
                del own[other]
        passed = self._asks if is_bid else self._bids
        for other in [other for other in passed if (other < price if is_bid else other > price)]:
            del passed[other]
        return code, price, total
