"""Backfill: what the feed missed, and what was before it, is fetched from a history and put in.

The client says when something is missing (`gap`). Once the bars concerned are closed, a thread asks the
history for them, and the engine puts them in place of what it has, some thousand at a time and in all
timeframes at once: a reader sees all of a portion or none, and a larger bar only with all its parts. Each
bar that changes is told as a `Revision`, once. With a `seed`, the bars
before the join are fetched in the same way while live data goes on: the bar that was joined in its
middle is one of those that were missed, so nothing is left out at the seam and nothing is there twice.
Without one, a join completes the bars that were open then, of up to a day.

What is fetched in which timeframe is decided by `seeding`, when by `holes`, what can be believed by `reach`.
Bars of quotes are not backfilled, and without closing times (no tick, no `Engine.advance`) nothing is.
"""

from __future__ import annotations

import datetime as dt
import random
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .backfill_settings import BackfillSettings, seed_ns
from .clock import Clock
from .errors import ConfigError, DataError, HistoryFailed
from .events import BackfillDone, BackfillFailed, Revision
from .fetching import Fetcher
from .history import History
from .holes import Holes, Request
from .pause import Pause
from .reach import Reach, compare
from .seeding import Tree
from .wakeup import Stopped

if TYPE_CHECKING:
    import polars as pl

    from ._core import Bar
    from .engine import Engine
    from .tasks import Tasks

__all__ = ["Backfiller"]

# A sleep that only a gap or the end needs to break.
_LONG_S = 3_600.0


class Backfiller:
    """Fills the holes of one client's instruments. All methods may be called from any thread."""

    def __init__(
        self,
        engine: Engine,
        history: History,
        symbols: Sequence[str],
        *,
        clock: Clock,
        tell: Callable[..., None],
        tasks: Tasks,
        seed: str | dt.timedelta | None = None,
        settings: BackfillSettings | None = None,
    ) -> None:
        """`tell` gets each Revision, BackfillDone and BackfillFailed, as a type and its fields but for
        `ts` and `client`; it must not block.

        Raises `ConfigError` if the history has none of the engine's timeframes.
        """
        self._engine = engine
        self._clock = clock
        self._tell = tell
        self._tasks = tasks
        self._symbols = tuple(symbols)
        self._seed_ns = seed_ns(seed)
        self._settings = settings if settings is not None else BackfillSettings()
        available = list(history.timeframes(engine.timeframes))
        # By symbol: what nests depends on what an instrument's bars are aligned to.
        self._trees = {symbol: Tree(engine.parents(symbol), available) for symbol in self._symbols}
        if self._trees and not any(tree.bases for tree in self._trees.values()):
            raise ConfigError(
                f"history: got one with timeframes {available}, expected at least one of the engine's, "
                f"which are {list(engine.timeframes)}"
            )
        self._fetcher = Fetcher(history, clock, self._settings)
        self._holes = Holes(engine.bar_span, self._closed_ns, self._settings, random.random)
        self._pause = Pause(clock)
        self._lock = threading.Lock()
        self._gaps: list[tuple[int | None, int, tuple[str, ...]]] = []
        self._joined_ns: dict[str, int] = {}
        self._counts = dict.fromkeys(
            ("requests", "failures", "late", "done", "given_up", "inserted", "replaced", "revisions"), 0
        )
        self._pending: tuple[Request, ...] = ()
        self._put_in_ns = 0
        """Up to when the bars of the request under way are in."""
        self._last_error: str | None = None

    def start(self) -> None:
        """Begin, in a thread of the client's tasks."""
        self._tasks.thread("history", self._run, stop=self.stop)

    def gap(self, start_ns: int | None, end_ns: int, symbols: Sequence[str]) -> None:
        """Bars of this time are missing, int ns UTC; from None on: the feed was joined at the end.

        Never blocks. To be called after `Engine.mark_gap`, which the fetched bars are to undo.
        """
        known = tuple(symbol for symbol in symbols if symbol in self._symbols)
        with self._lock:
            self._gaps.append((start_ns, end_ns, known))
        self._pause.wake()

    def stop(self) -> None:
        """Ask for the end, whatever the history is doing. Never blocks."""
        self._pause.stop()

    def status(self) -> dict[str, Any]:
        """Counters, and what is pending; plain values.

        requests, failures (of requests), late (answers that did not reach far enough), done and given_up
        (requests), inserted, replaced and revisions (bars), hanging (calls), new_gaps (not looked at yet),
        pending (holes, each with symbol, timeframe, start_ns and end_ns), last_error.
        """
        # The gaps first: one that is looked at meanwhile is seen as pending, too.
        new_gaps = len(self._gaps)
        return self._counts | {
            "hanging": self._fetcher.hanging,
            "new_gaps": new_gaps,
            "pending": [request._asdict() for request in self._pending],
            "last_error": self._last_error,
        }

    # The thread

    def step(self) -> float | None:
        """Do what is due, at most one request; seconds until there may be more to do, None for ever.

        What the thread does; `Stopped` when `stop` was called.
        """
        with self._lock:
            gaps = tuple(self._gaps)
        for start_ns, end_ns, symbols in gaps:
            for symbol in symbols:
                self._note_gap(symbol, start_ns, end_ns)
        now_s = self._clock.monotonic_s()
        request = self._holes.take(now_s)
        self._show_pending(request)
        with self._lock:
            # Only now, so that at every moment a gap is either new or pending.
            del self._gaps[: len(gaps)]
        if request is None:
            return self._holes.wait_s(now_s)
        self._serve(request)
        self._show_pending(None)
        return 0.0

    def _run(self) -> None:
        try:
            while not self._pause.is_stopped:
                wait_s = self.step()
                self._pause.doze(_LONG_S if wait_s is None else wait_s)
        except Stopped:
            pass

    def _show_pending(self, request: Request | None) -> None:
        pending = self._holes.pending()
        self._pending = (*pending, request) if request is not None else tuple(pending)

    def _note_gap(self, symbol: str, start_ns: int | None, end_ns: int) -> None:
        if start_ns is None:
            # As the engine has it: joining again says something of the time since the last time only.
            start_ns = self._joined_ns.get(symbol)
            self._joined_ns[symbol] = max(start_ns or end_ns, end_ns)

        def span(timeframe: str, ts: int) -> tuple[int, int]:
            return self._engine.bar_span(symbol, timeframe, ts)

        tree = self._trees[symbol]
        for base in tree.bases:
            pages = self._settings.gap_pages
            if start_ns is None:
                since_ns = tree.seed_start(base, span, end_ns, self._seed_ns)
                pages = self._settings.seed_pages
            elif start_ns < end_ns:
                since_ns = span(base, start_ns)[0]
            else:
                continue
            until_ns = span(base, end_ns - 1)[1]
            for tier in tree.tiers(base, span, since_ns, until_ns, pages * self._settings.page_bars):
                self._holes.add(symbol, *tier)

    def _closed_ns(self, symbol: str) -> int | None:
        return self._engine.snapshot(symbol).closing_time()

    # One request

    def _serve(self, request: Request) -> None:
        self._counts["requests"] += 1
        self._put_in_ns = request.start_ns
        try:
            table = self._fetcher.bars(request, self._pause)
            bars = self._checked(request, table)
            self._put_in(request, bars, self._reach(request, bars))
        except HistoryFailed as error:
            self._failed(request, str(error), permanent=error.permanent, retry_after_s=error.retry_after_s)
        except DataError as error:
            self._failed(request, f"history gave bars that cannot be right: {error}")

    def _failed(
        self, request: Request, reason: str, *, permanent: bool = False, retry_after_s: float | None = None
    ) -> None:
        self._counts["failures"] += 1
        self._last_error = reason
        now_s = self._clock.monotonic_s()
        # A bar that cannot be right keeps out those of its portion and after it, not those before.
        request = request._replace(start_ns=self._put_in_ns)
        retry_s = self._holes.failed(
            now_s, permanent=permanent, retry_after_s=retry_after_s, start_ns=request.start_ns
        )
        self._tell_failed(request, reason, retry_s)

    def _tell_failed(self, request: Request, reason: str, retry_s: float | None) -> None:
        if retry_s is None:
            self._counts["given_up"] += 1
        self._tell(
            BackfillFailed,
            symbol=request.symbol,
            timeframe=request.timeframe,
            start_ns=request.start_ns,
            end_ns=request.end_ns,
            reason=reason,
            retry_s=retry_s,
        )

    def _checked(self, request: Request, table: Any) -> pl.DataFrame:
        """The bars from the request's start on as a frame with `ts` in int ns UTC, oldest first."""
        import polars as pl

        from .tables import bar_columns, frame

        try:
            bars = frame(table)
            columns = bar_columns(bars)
            bars = bars.with_columns(ts=pl.Series(columns.ts), volume=pl.Series(columns.volume)).sort("ts")
        except pl.exceptions.PolarsError as error:
            raise HistoryFailed(f"history gave a table that cannot be read: {error}") from error
        if (columns.ts == np.iinfo(np.int64).min).any():
            raise DataError("table: a bar has no time")
        bars = bars.filter(pl.col("ts") >= request.start_ns)
        for ts in bars["ts"].head(1).to_list() + bars["ts"].tail(1).to_list():
            start_ns, _ = self._engine.bar_span(request.symbol, request.timeframe, ts)
            if start_ns != ts:
                raise HistoryFailed(
                    f"history's {request.timeframe} bars begin at {ts} ns, the engine's at {start_ns} ns; "
                    "leave this timeframe out of the history's",
                    permanent=True,
                )
        return bars

    def _reach(self, request: Request, bars: pl.DataFrame) -> Reach:
        engine = self._engine
        symbol, timeframe, start_ns, end_ns, ask_end_ns = request
        live = engine.bars(symbol, timeframe, since=start_ns)
        live_ts = live["ts"].dt.epoch("ns").to_numpy()
        asked = slice(int(np.searchsorted(live_ts, ask_end_ns)))
        closed_ns = self._closed_ns(symbol) or end_ns
        last_end_ns = start_ns
        if bars.height:
            last_end_ns = engine.bar_span(symbol, timeframe, bars["ts"][-1])[1]
        return compare(
            start_ns,
            end_ns,
            (bars["ts"].to_numpy(), bars["volume"].to_numpy()),
            (live_ts[asked], live["volume"].to_numpy()[asked], live["complete"].to_numpy()[asked]),
            last_end_ns=last_end_ns,
            is_old=closed_ns - end_ns >= self._settings.quiet_s * 1e9,
        )

    def _put_in(self, request: Request, bars: pl.DataFrame, reach: Reach) -> None:
        if reach.whole_ns >= request.end_ns:
            self._replace(request, bars, request.start_ns, request.end_ns)
            self._holes.filled()
        elif reach.is_behind and self._holes.is_last:
            ends = (self._bar_end(request, ts) for ts in reach.lacking)
            for start_ns, end_ns in reach.pieces(request.start_ns, tuple(ends)):
                self._replace(request, bars, start_ns, end_ns)
            self._holes.filled()
            missing = request._replace(start_ns=reach.whole_ns)
            self._tell_failed(
                missing, "history does not know these bars, or less of them than was heard", None
            )
        else:
            self._counts["late"] += 1
            until_ns = reach.whole_ns if self._is_worth(request, reach.whole_ns) else request.start_ns
            if until_ns > request.start_ns:
                self._replace(request, bars, request.start_ns, until_ns)
            if reach.is_behind:
                self._holes.behind(until_ns, self._clock.monotonic_s())
            else:
                self._holes.unproven(until_ns)

    def _is_worth(self, request: Request, until_ns: int) -> bool:
        bar_ns = self._bar_end(request, request.start_ns) - request.start_ns
        return until_ns - request.start_ns >= self._settings.worth_bars * bar_ns

    def _bar_end(self, request: Request, ts: int) -> int:
        return self._engine.bar_span(request.symbol, request.timeframe, ts)[1]

    def _replace(self, request: Request, bars: pl.DataFrame, start_ns: int, end_ns: int) -> None:
        done = dict.fromkeys(("inserted", "replaced"), 0)
        portion_ns = start_ns
        while portion_ns < end_ns:
            until_ns = self._portion_end(request, portion_ns, end_ns)
            inside = bars.filter(bars["ts"].is_between(portion_ns, until_ns, closed="left"))
            counts, revised = self._engine.replace_bars(
                request.symbol, request.timeframe, inside, portion_ns, until_ns
            )
            if self._put_in_ns == portion_ns:
                self._put_in_ns = until_ns
            portion_ns = until_ns
            for name in done:
                done[name] += counts[name]
                self._counts[name] += counts[name]
            self._counts["revisions"] += len(revised)
            for bar in revised:
                self._tell_revision(bar)
        self._counts["done"] += 1
        self._tell(
            BackfillDone,
            symbol=request.symbol,
            timeframe=request.timeframe,
            start_ns=start_ns,
            end_ns=end_ns,
            **done,
        )

    def _portion_end(self, request: Request, start_ns: int, end_ns: int) -> int:
        symbol, timeframe = request.symbol, request.timeframe

        def span(timeframe: str, ts: int) -> tuple[int, int]:
            return self._engine.bar_span(symbol, timeframe, ts)

        # Asked anew each time: a bar that was open when it was cut may have closed since.
        closed_ns = self._closed_ns(symbol) or end_ns
        most = self._settings.portion_bars
        return self._trees[symbol].portion_end(timeframe, span, start_ns, end_ns, most, closed_ns)

    def _tell_revision(self, bar: Bar) -> None:
        self._tell(
            Revision,
            symbol=bar.symbol,
            timeframe=bar.timeframe,
            source=bar.source,
            bar_ts=bar.ts,
            revision=bar.revision,
            complete=bar.complete,
        )
