"""`Engine`: ticks in, bars and frames out. It knows no socket and no clock."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from . import _core
from .alignment import check_align, hours
from .config import (
    MAX_BOOK_LEVELS,
    MAX_FLAT_LIMIT,
    Empty,
    Instrument,
    Late,
    ProtocolName,
    Restart,
    Rules,
    Source,
    Spec,
    Split,
    choice,
    count,
    sources,
    texts,
)
from .errors import ConfigError, UnknownInstrument
from .session_choice import SessionChoice, chosen
from .subscription import Subscription
from .units import duration_ns, float_column, int_column, side_column, time_ns

if TYPE_CHECKING:
    import datetime as dt

    import numpy as np
    import polars as pl
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Engine"]

DEFAULT_CAPACITY = 65_536
DEFAULT_RETAIN = 1_000_000
MAX_CAPACITY = 1 << 26
"""Ticks or bars in one ring; the address space of a larger one is not always to be had."""
MAX_RETAIN = 1 << 40


def _retain(value: int | Mapping[str, int], timeframes: Sequence[str]) -> list[tuple[str, int]]:
    if not isinstance(value, Mapping):
        return [(timeframe, count("retain", value, MAX_RETAIN)) for timeframe in timeframes]
    wanted = {_core.timeframe_name(timeframe): number for timeframe, number in value.items()}
    if unknown := sorted(set(wanted) - set(timeframes)):
        raise ConfigError(
            f"retain: got {unknown[0]!r}, expected only timeframes of this engine: {timeframes}"
        )
    return [
        (timeframe, count(f"retain[{timeframe!r}]", wanted.get(timeframe, DEFAULT_RETAIN), MAX_RETAIN))
        for timeframe in timeframes
    ]


class Engine(_core.Engine):
    """Validates ticks, keeps them in rings, and makes bars over all timeframes at once.

    Times are int nanoseconds since the epoch, UTC. Ticks are bucketed by event time (`ts_event`),
    never by arrival. Any thread may write and any may read; ticks of one instrument are applied in
    the order of the calls, and a reader never sees half of an update.

    Args:
        instruments: one `Instrument` or several.
        timeframes: what bars are cut by. Time: "1s", "5m", "1h", "1d", "1w", "1mo". Or their ticks, in the
            order of arrival: "100t" so many trades (or quotes), "5000v" so much volume, "1e6n" so much
            notional, "8r" a range of so many ticks, "8renko" Renko bricks of so many ticks. Amounts have
            one name, without an exponent ("1000000n"), and are found by any spelling. Volume and
            notional need source="trade".
        capacity: ticks kept per instrument, trades and quotes each; rounded up to a power of two.
        retain: closed bars kept per timeframe, or a dict of those. Up to a quarter more may be kept, or
            512 where that is more.
        align: what bars are aligned to, unless an instrument says otherwise: "utc"; a zone such as
            "America/New_York", by whose wall clock bars of an hour and longer are cut; or "session", for
            instruments that have one. See `Instrument`.
        source: what bars are made of, unless an instrument says otherwise: "trade", "bid", "ask",
            "mid", "last" (the quotes' last price) or a tuple of them.
        lateness: how long, in event time, bars wait for late ticks, unless an instrument says otherwise.
        late, horizon: what becomes of ticks that are later still, "reject" or "revise"; and how long after
            a bar's end they may revise it.
        empty, flat_limit: what becomes of bars without ticks, "skip" or "flat"; and how many of the
            smallest timeframe in a row are filled. See `Instrument`.
        split: what becomes of a trade that reaches the end of a volume or notional bar, unless an
            instrument says otherwise: "keep" (it stays whole) or "split" (see `Instrument`).
        restart: whether bars by trades, volume, notional and range begin anew with each trading day,
            "session", or "never", unless an instrument says otherwise.
        book_levels: levels of each side of the order book that readers are shown, at most 1,024, unless an
            instrument says otherwise. What is shown is written anew as it changes; more are always kept.

    Raises:
        ConfigError: an argument that cannot work.

    Example:
        >>> import tickwire as tw
        >>> engine = tw.Engine([tw.Instrument("ES", tick_size=0.25)], timeframes=["1s", "1m"])
        >>> engine.push_trade("ES", 1_700_000_000_000_000_000, 4500.25, 2)
        True
        >>> engine.push_trade("ES", 1_700_000_061_000_000_000, 4500.50, 1)
        True
        >>> engine.bars("ES", "1m").select("open", "close", "volume").row(0)
        (4500.25, 4500.25, 2.0)
    """

    def __new__(
        cls,
        instruments: Instrument | Iterable[Instrument],
        timeframes: Sequence[str] = ("1s", "1m", "5m", "1h", "1d"),
        *,
        capacity: int = DEFAULT_CAPACITY,
        retain: int | Mapping[str, int] = DEFAULT_RETAIN,
        align: str = "utc",
        source: Source | tuple[Source, ...] = "trade",
        lateness: str = "0s",
        late: Late = "reject",
        horizon: str = "5m",
        empty: Empty = "skip",
        flat_limit: int = 3_600,
        split: Split = "keep",
        restart: Restart = "never",
        book_levels: int = 10,
    ) -> Self:
        if isinstance(instruments, str) or not isinstance(instruments, (Instrument, Iterable)):
            raise ConfigError(f"instruments: got {instruments!r}, expected tickwire.Instrument objects")
        given = [instruments] if isinstance(instruments, Instrument) else list(instruments)
        symbols: set[str] = set()
        for instrument in given:
            if not isinstance(instrument, Instrument):
                raise ConfigError(f"instruments: got {instrument!r}, expected tickwire.Instrument objects")
            if instrument.symbol in symbols:
                raise ConfigError(f"instruments: got {instrument.symbol!r} twice; give each symbol once")
            symbols.add(instrument.symbol)
        if not given:
            raise ConfigError("instruments: got none, expected at least one tickwire.Instrument")
        timeframes = [_core.timeframe_name(text) for text in texts("timeframes", timeframes, '["1s", "1m"]')]
        check_align("align", align)
        choice("late", late, Late)
        choice("empty", empty, Empty)
        choice("split", split, Split)
        choice("restart", restart, Restart)
        specs = [
            Spec.of(
                instrument,
                align=align,
                source=sources("source", source),
                lateness_ns=duration_ns("lateness", lateness),
                late=late,
                horizon_ns=duration_ns("horizon", horizon),
                empty=empty,
                flat_limit=count("flat_limit", flat_limit, MAX_FLAT_LIMIT),
                split=split,
                restart=restart,
                capacity=count("capacity", capacity, MAX_CAPACITY),
                book_levels=count("book_levels", book_levels, MAX_BOOK_LEVELS),
            )
            for instrument in given
        ]
        engine = super().__new__(cls, specs, _retain(retain, timeframes))
        engine._feeds = {}
        engine._zones = tuple(dict.fromkeys(zone for spec in specs for zone in spec.zones))
        engine._instruments = {instrument.symbol: instrument for instrument in given}
        engine._rules_lock = threading.Lock()
        return engine

    _feeds: dict[str, _core.Feed]
    _instruments: dict[str, Instrument]
    _zones: tuple[str, ...]
    _rules_lock: threading.Lock

    @property
    def zones(self) -> tuple[str, ...]:
        """The time zones that bars are aligned to, and those of the instruments' sessions, each once."""
        return self._zones

    def instrument(self, symbol: str) -> Instrument:
        """The instrument as it was given, with the rules that hold now.

        Raises:
            UnknownInstrument: not one of this engine's.
        """
        try:
            return self._instruments[symbol]
        except KeyError:
            known = ", ".join(self.symbols[:8])
            raise UnknownInstrument(
                f"symbol: got {symbol!r}, expected one of the engine's instruments: {known}"
            ) from None

    def set_rules(self, symbol: str, rules: Rules) -> None:
        """Judge all later ticks of an instrument by other rules. Every tick is judged by the old ones or by
        the new ones, never by some of each; what was learned of the market (band, usual sizes) stays.

        Raises:
            ConfigError, UnknownInstrument: an argument that cannot work; nothing was changed.
        """
        if not isinstance(rules, Rules):
            raise ConfigError(f"rules: got {rules!r}, expected a tickwire.Rules")
        # So that what `instrument` says is what holds, whoever else sets rules.
        with self._rules_lock:
            changed = dataclasses.replace(self.instrument(symbol), rules=rules)
            _core.set_rules(self, symbol, rules)
            self._instruments[symbol] = changed

    # writers

    def feed(
        self, name: str = "main", *, max_record_bytes: int = 8 << 20, protocol: ProtocolName = "json"
    ) -> _core.Feed:
        """The feed of this name; the first call makes it. One feed per connection: it owns cut records
        and the state of partial quotes. Records over `max_record_bytes` are refused and counted.

        Raises:
            ConfigError: the feed of this name reads another protocol.
        """
        feed = self._feeds.get(name)
        if feed is None:
            feed = self._feeds.setdefault(name, _core.Feed(self, name, max_record_bytes, protocol))
        if feed.protocol != protocol:
            raise ConfigError(
                f"protocol: got {protocol!r}, but the feed {name!r} reads {feed.protocol!r}; "
                "choose another name for the feed"
            )
        return feed

    def overlap(self, old: _core.Feed, new: _core.Feed, *, capacity: int = 1 << 17) -> _core.Overlap:
        """Let two feeds deliver the same ticks for a while, as when a connection is replaced before it is
        closed: each tick is applied once. To be called before the new connection subscribes to anything.

        Args:
            old: the feed that flows.
            new: the feed of the connection that takes over.
            capacity: of how many different ticks one connection may be ahead of the other; beyond, the
                oldest are forgotten and reported as uncertain. Each takes about 100 bytes.

        Raises:
            ConfigError: not two feeds of this engine, or one of them is in another overlap.
        """
        return _core.Overlap(old, new, capacity)

    def push_bytes(
        self, data: bytes | bytearray | memoryview | str, ts_recv: int | None = None
    ) -> _core.Receipt:
        """Decode and apply a payload of a JSON hub on the feed "main"; see `Feed.push_bytes`."""
        return self.feed().push_bytes(data, ts_recv)

    def push_trades(
        self,
        symbol: str,
        *,
        ts_event: ArrayLike,
        price: ArrayLike,
        size: ArrayLike,
        side: ArrayLike | None = None,
        ts_recv: ArrayLike | None = None,
        tick_id: ArrayLike | None = None,
    ) -> _core.Receipt:
        """Apply columns of trades of one instrument, row after row; the same as `push_trade` for each.

        Args:
            ts_event: int64 ns UTC or datetime64, shape (n,). Columns must not change during the call.
            price, size: float64, shape (n,).
            side: 1 buy, -1 sell, 0 not known.
            ts_recv: arrival times, as ts_event.
            tick_id: the feed's own number of each tick, int64. A tick whose number has come among the newest
                65,536 of its instrument is a second copy: it is counted as a duplicate, and nothing else.

        Raises:
            DataError: columns of different lengths or wrong types; nothing was applied.
        """
        return self._push_trades(
            [symbol],
            None,
            int_column("ts_event", ts_event),
            float_column("price", price),
            float_column("size", size),
            None if side is None else side_column("side", side),
            None if ts_recv is None else int_column("ts_recv", ts_recv),
            None if tick_id is None else int_column("tick_id", tick_id),
        )

    def push_quotes(
        self,
        symbol: str,
        *,
        ts_event: ArrayLike,
        bid: ArrayLike,
        ask: ArrayLike,
        bid_size: ArrayLike | None = None,
        ask_size: ArrayLike | None = None,
        last: ArrayLike | None = None,
        ts_recv: ArrayLike | None = None,
        tick_id: ArrayLike | None = None,
    ) -> _core.Receipt:
        """Apply columns of quotes of one instrument; the same as `push_quote` for each row.

        Args:
            ts_event: int64 ns UTC or datetime64, shape (n,). Columns must not change during the call.
            bid, ask, bid_size, ask_size, last: float64, shape (n,); NaN where absent.
            ts_recv: arrival times, as ts_event.
            tick_id: the feed's own number of each quote; see `push_trades`.

        Raises:
            DataError: columns of different lengths or wrong types; nothing was applied.
        """

        def optional(name: str, values: ArrayLike | None) -> Any:
            return None if values is None else float_column(name, values)

        return self._push_quotes(
            [symbol],
            None,
            int_column("ts_event", ts_event),
            float_column("bid", bid),
            float_column("ask", ask),
            optional("bid_size", bid_size),
            optional("ask_size", ask_size),
            optional("last", last),
            None if ts_recv is None else int_column("ts_recv", ts_recv),
            None if tick_id is None else int_column("tick_id", tick_id),
        )

    def push_table(self, table: Any) -> _core.Receipt:
        """Apply a table of ticks: anything that speaks the Arrow PyCapsule interface (polars, pyarrow,
        pandas, DuckDB, …).

        Columns: symbol, ts_event, price, size [, side, ts_recv, tick_id] for trades; symbol, ts_event,
        bid, ask [, bid_size, ask_size, last, ts_recv, tick_id] for quotes; see `push_trades` and
        `push_quotes`. Times are timestamps or int ns UTC; null is "absent".

        Raises:
            DataError: a column is missing or of the wrong type; nothing was applied.
        """
        from .tables import TradeColumns, tick_columns

        t = tick_columns(table)
        if isinstance(t, TradeColumns):
            sizes = (t.size, t.side)
            return self._push_trades(t.symbols, t.codes, t.ts_event, t.price, *sizes, t.ts_recv, t.tick_id)
        prices = (t.bid, t.ask, t.bid_size, t.ask_size, t.last)
        return self._push_quotes(t.symbols, t.codes, t.ts_event, *prices, t.ts_recv, t.tick_id)

    def push_bars(
        self, symbol: str, timeframe: str, table: Any, replace: bool = False, *, source: Source = "trade"
    ) -> dict[str, int]:
        """Put in ready bars. Larger timeframes are rolled up from them, and readers see all of it at
        once. Rows may come in any order. Bars that are cut by their ticks are left as they are.

        The table is taken to hold every bar from its first to its last: where it has none, nothing
        was traded. What `mark_gap` said is missing there is then known.

        Args:
            timeframe: which of the engine's timeframes the bars are of; a length of time.
            table: an Arrow table with ts (bar open; timestamp or int ns UTC), open, high, low, close,
                volume [, vwap, trades].
            replace: put the given bars in place of closed ones, as revisions. A bar for which ticks
                are still being collected is left alone in any case.

        Returns:
            Counts: received, inserted, replaced, existing (left alone), open (left alone).

        Raises:
            DataError: a row that cannot be right; nothing was applied.
            ConfigError: a timeframe that is no length of time, or a source without bars.
        """
        return self._put_bars(symbol, timeframe, source, table, replace, None)[0]

    def replace_bars(
        self,
        symbol: str,
        timeframe: str,
        table: Any,
        start_ns: int,
        end_ns: int,
        *,
        source: Source = "trade",
    ) -> tuple[dict[str, int], list[_core.Bar]]:
        """Backfill: `push_bars` with `replace`, for a table of all bars that open in
        `start_ns <= ts < end_ns` (int ns UTC); it may be empty, and gaps in that time are filled even so.

        Returns:
            The counts of `push_bars`, and the closed bars of all timeframes that changed, each once,
            with their new revision numbers; smaller timeframes first.
        """
        return self._put_bars(symbol, timeframe, source, table, True, (start_ns, end_ns))

    def _put_bars(
        self,
        symbol: str,
        timeframe: str,
        source: Source,
        table: Any,
        replace: bool,
        span: tuple[int, int] | None,
    ) -> tuple[dict[str, int], list[_core.Bar]]:
        from .tables import bar_columns

        b = bar_columns(table)
        columns = (b.ts, b.open, b.high, b.low, b.close, b.volume, b.vwap, b.trades)
        return self._push_bars(symbol, timeframe, source, *columns, replace, span)

    # readers

    def bars(
        self,
        symbol: str,
        timeframe: str,
        last: int | None = None,
        since: int | dt.datetime | None = None,
        partial: bool = False,
        source: Source = "trade",
        *,
        session: SessionChoice | None = None,
        tz: str | None = None,
        time_unit: str | None = None,
    ) -> pl.DataFrame:
        """Closed bars, oldest first.

        Args:
            last: at most this many, the newest.
            since: only bars that open at or after this time (int ns UTC, or a datetime with time zone).
            partial: add the bars that are still open; they carry complete=False.
            source: which price the bars are made of.
            session: only bars that open in these hours: kinds of the instrument's own, e.g. "regular",
                "any" for all of them, or a `Session` of another market. `last` counts what is left.
            tz: show ts in this time zone. time_unit: "ns" (as kept), "us" or "ms".

        Returns:
            ts Datetime("ns", "UTC") bar open; open, high, low, close, volume, vwap Float64 (vwap null
            without volume); trades Int64, the number of ticks; complete Boolean. Bars that are cut by
            their ticks are labelled by the time of their first tick (several may share a label) and
            have a tenth column, ts_end, the time of their last.

        Raises:
            UnknownInstrument, ConfigError: a symbol, timeframe or source that this engine does not have.
        """
        if last is not None:
            count("last", last, 1 << 62)
        start = None if since is None else time_ns("since", since)
        frame = self._within(
            symbol,
            session,
            last,
            lambda newest: self._bars(symbol, timeframe, newest, start, partial, source),
        )
        if tz is None and time_unit is None:
            return frame
        import polars as pl

        ts = pl.col("ts")
        if time_unit is not None:
            if time_unit not in ("ns", "us", "ms"):
                raise ConfigError(f'time_unit: got {time_unit!r}, expected "ns", "us" or "ms"')
            ts = ts.dt.cast_time_unit(time_unit)  # type: ignore[arg-type]  # checked above
        if tz is not None:
            try:
                ts = ts.dt.convert_time_zone(tz)
            except pl.exceptions.ComputeError as error:
                raise ConfigError(
                    f'tz: got {tz!r}, expected a time zone such as "America/New_York"'
                ) from error
        return frame.with_columns(ts)

    def lazy(self, symbol: str, timeframe: str, source: Source = "trade") -> pl.LazyFrame:
        """Closed bars as a lazy frame, of this moment."""
        return self.bars(symbol, timeframe, source=source).lazy()

    def joined(self, symbol: str, timeframes: Sequence[str], source: Source = "trade") -> pl.DataFrame:
        """Closed bars of the first timeframe, each beside the newest bar of every other one that was
        already closed when it closed: nothing from the future. Columns of the others carry their
        timeframe as a suffix, e.g. close_5m. All of one consistent cut.
        """
        if not timeframes:
            raise ConfigError('timeframes: got none, expected a list such as ["1m", "5m"]')
        timeframes = texts("timeframes", timeframes, '["1m", "5m"]')
        from .tables import as_of

        snapshot = self.snapshot(symbol)

        def closed(timeframe: str) -> tuple[str, pl.DataFrame, NDArray[np.int64]]:
            bars = snapshot.bars(timeframe, source=source)
            if "ts_end" in bars.columns:
                return timeframe, bars, bars["ts_end"].dt.epoch("ns").to_numpy()
            return timeframe, bars, self.bar_span(symbol, timeframe, bars["ts"].to_numpy())[1]

        return as_of([closed(timeframe) for timeframe in timeframes])

    def trades(
        self, symbol: str, last: int | None = None, *, session: SessionChoice | None = None
    ) -> pl.DataFrame:
        """The newest accepted trades that the ring holds, oldest first: ts_event, ts_recv
        Datetime("ns", "UTC"), price, size Float64, side Int8 (1 buy, -1 sell, 0 not known). `session`: only
        those of these hours, as for `bars`.
        """
        last = last if last is None else count("last", last, 1 << 62)
        return self._within(symbol, session, last, lambda newest: self._trades(symbol, newest))

    def quotes(
        self, symbol: str, last: int | None = None, *, session: SessionChoice | None = None
    ) -> pl.DataFrame:
        """The newest accepted quotes that the ring holds, oldest first: ts_event, ts_recv
        Datetime("ns", "UTC"), bid, ask, bid_size, ask_size, last Float64 (null where absent). `session`: only
        those of these hours, as for `bars`.
        """
        last = last if last is None else count("last", last, 1 << 62)
        return self._within(symbol, session, last, lambda newest: self._quotes(symbol, newest))

    def session_vwap(
        self, symbol: str, session: SessionChoice = "any", *, timeframe: str | None = None
    ) -> pl.DataFrame:
        """The volume-weighted average price of each trading day, from its first open on: the last row is that
        of now, the open bar included. From bars, so as far back as those are retained.

        Args:
            session: which hours count, as for `bars`.
            timeframe: of the bars, of which each gives a row; None: the smallest.

        Returns:
            ts, the open of the bar; day Date, the trading day; vwap, volume Float64, the day's so far.

        Raises:
            ConfigError: the instrument has no session, and none is given.
        """
        from .session_frames import running_vwap

        bars = self.bars(symbol, timeframe or self.timeframes[0], partial=True)
        return running_vwap(bars, chosen(session, symbol, self.instrument(symbol).session))

    def _within(
        self,
        symbol: str,
        session: SessionChoice | None,
        last: int | None,
        newest: Callable[[int | None], pl.DataFrame],
    ) -> pl.DataFrame:
        """The `last` rows inside the hours, of a frame of which `newest` has so many rows."""
        if session is None:
            return newest(last)
        from .session_frames import newest_within

        return newest_within(chosen(session, symbol, self.instrument(symbol).session), last, newest)

    def rejected_ticks(self, symbol: str | None = None, last: int | None = None) -> pl.DataFrame:
        """The newest ticks that were rejected, of one instrument or of each, oldest first: at most `last`
        of the 256 that are kept of an instrument. What could not be read, or names no instrument of the
        engine, is counted by `rejections` and not kept.

        Returns:
            symbol, kind ("trade", "quote", "depth"), reason, ts_event, ts_recv Datetime("ns", "UTC"),
            price, size Float64, side Int8, bid, ask, bid_size, ask_size, last Float64; null where a tick has
            no such thing.
        """
        return self._judged(symbol, last, flagged=False)

    def flagged_ticks(self, symbol: str | None = None, last: int | None = None) -> pl.DataFrame:
        """The newest ticks that were applied though they broke a rule, once for each such rule, as
        `rejected_ticks`. The ticks of a spike stand where it was found out, not where they came.
        """
        return self._judged(symbol, last, flagged=True)

    def _judged(self, symbol: str | None, last: int | None, *, flagged: bool) -> pl.DataFrame:
        most = last if last is None else count("last", last, 1 << 62)
        return _core.judged(self, symbol, flagged, most)

    def subscribe(
        self,
        bars: Sequence[str] = (),
        trades: bool = False,
        quotes: bool = False,
        symbols: Sequence[str] | None = None,
        overflow: str = "overwrite",
        capacity: int = 4096,
        source: Source = "trade",
        session: SessionChoice | None = None,
    ) -> Subscription:
        """A place in the streams, from now on.

        Args:
            bars: timeframes whose closed bars to deliver.
            trades, quotes: whether to deliver accepted ticks.
            symbols: instruments; None means all.
            overflow: "overwrite": what is not fetched in time is shed, oldest first, and counted.
            capacity: items kept per instrument and timeframe, trades or quotes.
            source: which bars.
            session: only what lies in these hours: kinds of the instruments' own, e.g. "regular", "any" for
                all of them, or one `Session` for all. A bar lies where it opens. The rest is not published to
                this subscription; `stats()["filtered"]` counts it.

        Raises:
            ConfigError, UnknownInstrument: an argument that cannot work.
        """
        if overflow != "overwrite":
            raise ConfigError(f'overflow: got {overflow!r}, expected "overwrite"')
        wanted = None if symbols is None else texts("symbols", symbols, '["ES", "NQ"]')
        levels = texts("bars", bars, '["1s", "1m"]')
        spans = []
        if session is not None:
            spans = [
                hours(chosen(session, symbol, self.instrument(symbol).session))
                for symbol in (self.symbols if wanted is None else wanted)
            ]
        return Subscription(
            self, levels, trades, quotes, wanted, count("capacity", capacity, MAX_CAPACITY), source, spans
        )

    def __repr__(self) -> str:
        return f"Engine({len(self.symbols)} instruments, timeframes={list(self.timeframes)})"
