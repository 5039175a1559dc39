"""Which timeframes history has to give so that all timeframes of an engine end up whole.

An engine puts larger bars together from smaller ones, so the smallest timeframe that history can give
is enough for all that are made of it: with 1s, 1m, 5m and a history of 1s, it is 1s that is fetched. With
a history of 1m it is 1m, and the 1s bars are left as they are. Timeframes that no smaller one nests in
(2m beside 3m) are fetched each for itself.

A seed of many days is not fetched second by second. Of each timeframe the newest pages are, and of what
lies before them the next larger ones, in their turn: `tiers`. With 1s, 1m, 5m, 1h and pages of 20,000 bars
that is 1s for five and a half hours, 1m for the two weeks before, 5m for the two months before those.
Where history lacks one of the next larger ones, or there is none, a timeframe goes all the way back.

Nothing here waits, and nothing is kept but the tree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

__all__ = ["Span", "Tier", "Tree"]

Span = Callable[[str, int], tuple[int, int]]
"""From a timeframe and a time to the start and the end of the bar that holds it, ns UTC."""

_DAY_NS = 86_400_000_000_000
_MOST_STEPS = 1_000


class Tier(NamedTuple):
    """Bars of one timeframe to fetch, those that open in `start_ns <= ts < end_ns`."""

    timeframe: str
    start_ns: int
    end_ns: int


class Tree:
    """Timeframes by what they are put together from, and those of them that history can give."""

    def __init__(self, parents: Sequence[tuple[str, str | None]], available: Iterable[str]) -> None:
        """`parents`: timeframes in ascending order, each with the one it is rolled up from."""
        given = set(available)
        self._children: dict[str, list[str]] = {timeframe: [] for timeframe, _ in parents}
        for timeframe, parent in parents:
            if parent is not None:
                self._children[parent].append(timeframe)
        self._order = tuple(timeframe for timeframe, _ in parents)
        self._available = frozenset(timeframe for timeframe in self._order if timeframe in given)
        roots = [timeframe for timeframe, parent in parents if parent is None]
        self.bases = self._nearest(roots)
        """The timeframes to fetch where something is missing."""

    def family(self, timeframe: str) -> tuple[str, ...]:
        """A timeframe and all that are put together from it, ascending."""
        found = {timeframe}
        for child in self._children[timeframe]:
            found.update(self.family(child))
        return tuple(one for one in self._order if one in found)

    def seed_start(self, base: str, span: Span, join_ns: int, reach_ns: int) -> int:
        """Where a seed of a base begins: `reach_ns` before the join, and then with whole bars of all
        timeframes up to a day, or up to the length of the seed where that is more.
        """
        first_ns = join_ns - reach_ns
        spans = [span(timeframe, first_ns) for timeframe in self.family(base)]
        longest_ns = max(reach_ns, _DAY_NS)
        whole = [start for start, end in spans if end - start <= longest_ns]
        return min([span(base, first_ns)[0], *whole])

    def tiers(self, base: str, span: Span, start_ns: int, end_ns: int, most_bars: int) -> list[Tier]:
        """What to fetch for `start_ns` to `end_ns`: about `most_bars` of a timeframe and not more, where
        the next larger ones can be had for what lies before.
        """
        larger = self._children[base]
        cut_ns = None
        if larger and self._available.issuperset(larger):
            cut_ns = self._cut(base, larger, span, start_ns, end_ns, most_bars)
        if cut_ns is None:
            return [Tier(base, start_ns, end_ns)]
        older = (self.tiers(one, span, start_ns, cut_ns, most_bars) for one in larger)
        return [Tier(base, cut_ns, end_ns), *(tier for tiers in older for tier in tiers)]

    def portion_end(
        self, timeframe: str, span: Span, start_ns: int, end_ns: int, most_bars: int, closed_ns: int
    ) -> int:
        """Where to cut bars of a timeframe that are put in a portion at a time, ns UTC.

        After about `most_bars` from `start_ns` on, and never inside a larger bar that ends up to `closed_ns`:
        a closed bar is put together anew once, when all of its parts are in. So a portion may be longer.
        """
        first, after = span(timeframe, start_ns)
        latest_ns = start_ns + most_bars * (after - first)
        if latest_ns >= end_ns:
            return end_ns
        latest_ns = span(timeframe, latest_ns)[0]
        larger = self.family(timeframe)[1:]

        def clear(cut_ns: int, side: int) -> int:
            """The nearest cut through no closed bar, before (0) or after (1)."""
            moved = True
            while moved:
                moved = False
                for one in larger:
                    bar = span(one, cut_ns)
                    if bar[0] < cut_ns and bar[1] <= closed_ns:
                        cut_ns, moved = bar[side], True
            return cut_ns

        before_ns = clear(latest_ns, 0)
        return before_ns if before_ns > start_ns else min(clear(latest_ns, 1), end_ns)

    def _nearest(self, timeframes: Iterable[str]) -> tuple[str, ...]:
        """Those that history can give, and in place of each other one the nearest made of it."""
        found: list[str] = []
        for timeframe in timeframes:
            if timeframe in self._available:
                found.append(timeframe)
            else:
                found += self._nearest(self._children[timeframe])
        return tuple(found)

    def _cut(
        self, base: str, larger: Sequence[str], span: Span, start_ns: int, end_ns: int, most_bars: int
    ) -> int | None:
        """Where bars of the base begin and bars of the larger ones end; None: the base takes it all."""
        first, after = span(base, end_ns - 1)
        length_ns = after - first
        earliest_ns = end_ns - most_bars * length_ns
        if earliest_ns <= start_ns:
            return None
        # On the edge of as large a bar as is near: fewer bars are put together twice.
        edges = [span(one, earliest_ns - 1)[1] for one in self.family(base)]
        near = [edge for edge in edges if edge - earliest_ns <= (end_ns - earliest_ns) // 4]
        cut_ns = near[-1] if near else earliest_ns
        for _ in range(_MOST_STEPS):
            after = max(span(one, cut_ns - 1)[1] for one in larger)
            if after == cut_ns:
                return cut_ns if start_ns < cut_ns < end_ns else None
            cut_ns = after
        return None
