"""What a connection knows of time, brought to the engine: idle bars, gaps, late ticks, and who else must hear.

The connection speaks in this machine's time of day, bars are in the venue's; here the one becomes the
other, by the estimated offset of the clocks. With `clock="event"` the wall clock has no say: nothing
is closed by it and no bar is marked, since recorded data has times that this machine knows nothing of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from .arrivals import Arrivals
from .clock import Clock
from .events import Gap, VolumeDrift
from .lateness import LateTicks
from .link import Link
from .reconcile import Drift

if TYPE_CHECKING:
    from ._core import Snapshot
    from .engine import Engine

__all__ = ["LiveMarks", "NoMarks", "Refill"]


class Refill(Protocol):
    """Who fills gaps, if anybody does."""

    def gap(self, start_ns: int | None, end_ns: int, symbols: Sequence[str]) -> None: ...


Watch = Callable[[Link], None]


class LiveMarks:
    """The marks of a client with an engine. Belongs to the connection's thread."""

    def __init__(
        self,
        engine: Engine,
        symbols: Sequence[str],
        *,
        clock: Clock,
        grace_ns: int | None,
        arrivals: Arrivals,
        tell: Callable[..., None],
        refill: Refill | None,
        audit: Callable[[Link], Sequence[Drift]],
        watch: Sequence[Watch],
    ) -> None:
        """`grace_ns`: how far behind the venue's clock idle bars are closed; None: clock="event". `audit`
        says where the trades of a link do not add up to what the hub publishes.
        """
        self._engine = engine
        self._symbols = tuple(symbols)
        self._clock = clock
        self._grace_ns = grace_ns
        # Ticks may overtake each other by about as much as they may be late.
        self._late = LateTicks(grace_ns or 0)
        self._arrivals = arrivals
        self._tell = tell
        self._refill = refill
        self._audit = audit
        self._watch = tuple(watch)

    def advance(self, now_ns: int) -> None:
        """Close idle bars that ended `grace_ns` ago, by the venue's clock."""
        if self._grace_ns is not None:
            self._engine.advance(now_ns - self._arrivals.offset_ns - self._grace_ns)

    def mark(self, start_ns: int | None, end_ns: int) -> None:
        """Mark bars of this time as incomplete, and say nothing yet."""
        if self._grace_ns is not None:
            self._engine.mark_gap(*self._venue(start_ns, end_ns), self._symbols)

    def gap(
        self, start_ns: int | None, end_ns: int, reason: str, symbols: Sequence[str] | None = None
    ) -> None:
        """Mark bars, have them filled, and tell."""
        concerned = self._symbols if symbols is None else tuple(symbols)
        if self._grace_ns is not None:
            self._hole(*self._venue(start_ns, end_ns), concerned)
        self._tell(Gap, start_ns=start_ns, end_ns=end_ns, reason=reason, symbols=concerned)

    def doubt(self, symbol: str, start_ns: int, end_ns: int, reason: str) -> None:
        """As `gap`, but of one instrument and in the time of its ticks, whatever the clock."""
        self._hole(start_ns, end_ns, (symbol,))
        self._tell(Gap, start_ns=start_ns, end_ns=end_ns, reason=reason, symbols=(symbol,))

    def begin(self, now_ns: int) -> None:
        """From here on late ticks are no part of a gap."""
        if self._grace_ns is not None:
            _, from_ns = self._venue(None, now_ns)
            for symbol in self._symbols:
                self._late.begin(symbol, _late_of(self._engine.snapshot(symbol)), from_ns)

    def end(self) -> None:
        """Look for late ticks of the last moments."""
        if self._grace_ns is not None:
            for symbol in self._symbols:
                self._look_for_late(symbol, self._engine.snapshot(symbol))

    def _hole(self, start_ns: int | None, end_ns: int, symbols: Sequence[str]) -> None:
        self._engine.mark_gap(start_ns, end_ns, symbols)
        if self._refill is not None:
            self._refill.gap(start_ns, end_ns, symbols)

    def watch(self, link: Link) -> None:
        """About once a second: look at the newest ticks' times, and let the others look at the link."""
        for symbol in self._symbols:
            now = self._engine.snapshot(symbol)
            if self._grace_ns is not None:
                self._look_for_late(symbol, now)
            trade = now.trade
            if trade is not None and trade.ts_recv is not None:
                offset_ns = now.stats["clock_offset_ns"]
                self._arrivals.look(symbol, trade.ts_recv, trade.ts_event, offset_ns)
        for symbol, start_ns, end_ns in self._late.due(self._clock.monotonic_s()):
            self.doubt(symbol, start_ns, end_ns, "late ticks")
        for drift in self._audit(link):
            self._tell(
                VolumeDrift,
                symbol=drift.symbol,
                start_ns=drift.start_ns,
                end_ns=drift.end_ns,
                missing=drift.missing,
            )
            self.doubt(drift.symbol, drift.start_ns, drift.end_ns, "volume drift")
        for look in self._watch:
            look(link)

    @property
    def late(self) -> LateTicks:
        """Of the ticks that came too late for their bars."""
        return self._late

    def _look_for_late(self, symbol: str, now: Snapshot) -> None:
        """Mark the closed bars that late ticks were meant for: they have said that they are complete."""
        newest = [tick.ts_event for tick in (now.trade, now.quote) if tick is not None]
        closed = [time for time in (now.closing_time(), now.closing_time("mid")) if time is not None]
        doubt = self._late.look(symbol, _late_of(now), min(newest, default=None), max(closed, default=None))
        if doubt is not None:
            self._engine.mark_gap(*doubt, (symbol,))

    def _venue(self, start_ns: int | None, end_ns: int) -> tuple[int | None, int]:
        # What was on the way when the link was lost is older than the last byte heard, by as much as
        # messages may be late.
        offset_ns, late_ns = self._arrivals.offset_ns, self._grace_ns or 0
        return None if start_ns is None else start_ns - offset_ns - late_ns, end_ns - offset_ns


def _late_of(snapshot: Snapshot) -> int:
    late: int = snapshot.stats["rejections"].get("late", 0)
    return late


class NoMarks:
    """The marks of a client without an engine, for a user hub: there are no bars."""

    def __init__(self, watch: Sequence[Watch], tell: Callable[..., None]) -> None:
        self._watch = tuple(watch)
        self._tell = tell
        self.late = LateTicks(0)

    def advance(self, now_ns: int) -> None:
        """Nothing to close."""

    def mark(self, start_ns: int | None, end_ns: int) -> None:
        """Nothing to mark."""

    def gap(
        self, start_ns: int | None, end_ns: int, reason: str, symbols: Sequence[str] | None = None
    ) -> None:
        """Tell."""
        self._tell(Gap, start_ns=start_ns, end_ns=end_ns, reason=reason, symbols=tuple(symbols or ()))

    def doubt(self, symbol: str, start_ns: int, end_ns: int, reason: str) -> None:
        """Tell."""
        self.gap(start_ns, end_ns, reason, (symbol,))

    def begin(self, now_ns: int) -> None:
        """No bar can lack a tick."""

    def end(self) -> None:
        """As little."""

    def watch(self, link: Any) -> None:
        """Let the others look at the link."""
        for look in self._watch:
            look(link)
