from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, Self, final, overload

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray
from typing_extensions import disjoint_base

__all__ = [
    "ArrowStream",
    "Bar",
    "BarAggregator",
    "Book",
    "Engine",
    "Feed",
    "Overlap",
    "OverlapReport",
    "Quote",
    "Receipt",
    "Received",
    "Sessions",
    "Snapshot",
    "Subscription",
    "Trade",
    "Validator",
    "Verdict",
    "Volumes",
    "WebSocket",
    "Zone",
    "__version__",
    "debug_build",
    "judged",
    "set_rules",
    "timeframe_name",
]

__version__: str
debug_build: bool

def timeframe_name(text: str) -> str:
    """The name of a timeframe: of all its spellings the one that readers are shown."""

class _Rules(Protocol):
    @property
    def grid(self) -> str: ...
    @property
    def limits(self) -> str: ...
    @property
    def band(self) -> str: ...
    @property
    def spike(self) -> str: ...
    @property
    def size(self) -> str: ...
    @property
    def zero_size(self) -> str: ...
    @property
    def outsize(self) -> str: ...
    @property
    def skew(self) -> str: ...
    @property
    def stale(self) -> str: ...
    @property
    def backwards(self) -> str: ...
    @property
    def crossed(self) -> str: ...
    @property
    def locked(self) -> str: ...
    @property
    def one_sided(self) -> str: ...
    @property
    def duplicate(self) -> str: ...
    @property
    def session(self) -> str: ...
    @property
    def allow_negative(self) -> bool: ...
    @property
    def price_low(self) -> float | None: ...
    @property
    def price_high(self) -> float | None: ...
    @property
    def band_width(self) -> float: ...
    @property
    def band_ticks(self) -> float: ...
    @property
    def band_agree(self) -> int: ...
    @property
    def band_age_ns(self) -> int: ...
    @property
    def spike_moves(self) -> float: ...
    @property
    def spike_ticks(self) -> int: ...
    @property
    def outsize_times(self) -> float: ...
    @property
    def skew_ns(self) -> int: ...
    @property
    def stale_ns(self) -> int: ...
    @property
    def stale_quote_ns(self) -> int: ...
    @property
    def backwards_ns(self) -> int: ...

class _Spec(Protocol):
    @property
    def symbol(self) -> str: ...
    @property
    def tick_size(self) -> float: ...
    @property
    def sources(self) -> Sequence[str]: ...
    @property
    def align(self) -> Zone | Sessions | None: ...
    @property
    def hours(self) -> Sessions | None: ...
    @property
    def lateness_ns(self) -> int: ...
    @property
    def late(self) -> str: ...
    @property
    def horizon_ns(self) -> int: ...
    @property
    def empty(self) -> str: ...
    @property
    def flat_limit(self) -> int: ...
    @property
    def split(self) -> str: ...
    @property
    def restart(self) -> Sessions | None: ...
    @property
    def stamp_arrival(self) -> bool: ...
    @property
    def capacity(self) -> int: ...
    @property
    def book_levels(self) -> int: ...
    @property
    def rules(self) -> _Rules: ...

@disjoint_base
class Zone:
    """The base class of `tickwire.Zone`. Times are int ns, or columns of them: int64 or datetime64, shape (n,)."""

    def __new__(cls, name: str, starts_ns: NDArray[np.int64], offsets_ns: NDArray[np.int64]) -> Self: ...
    @property
    def name(self) -> str:
        """The IANA name."""
    @overload
    def offset_ns(self, ts: int) -> int: ...
    @overload
    def offset_ns(self, ts: ArrayLike) -> NDArray[np.int64]:
        """How far local time is ahead of UTC at `ts` (ns UTC), ns."""
    @overload
    def to_local(self, ts: int) -> int: ...
    @overload
    def to_local(self, ts: ArrayLike) -> NDArray[np.int64]:
        """Local time at `ts` (ns UTC), ns since 1970-01-01T00:00 by the wall clock."""
    @overload
    def fold(self, ts: int) -> int: ...
    @overload
    def fold(self, ts: ArrayLike) -> NDArray[np.int64]:
        """1 where the local time at `ts` (ns UTC) was shown before, because the clock was set back; else 0."""
    def _localize(self, local: int | ArrayLike, fold: str, gap: str) -> Any: ...

@final
class Sessions:
    """Trading hours as the core wants them: spans of trading, ascending and apart, ns UTC, each with the
    date of its trading day, in days since 1970-01-01.
    """

    def __new__(
        cls, open_ns: NDArray[np.int64], close_ns: NDArray[np.int64], day: NDArray[np.int64]
    ) -> Self: ...

@final
class Trade:
    """One accepted print. Times are int nanoseconds since the epoch, UTC."""

    @property
    def symbol(self) -> str: ...
    @property
    def ts_event(self) -> int:
        """Venue time, ns UTC."""
    @property
    def ts_recv(self) -> int | None:
        """Arrival here, ns UTC, or None."""
    @property
    def price(self) -> float: ...
    @property
    def size(self) -> float: ...
    @property
    def side(self) -> int:
        """Aggressor: 1 buy, -1 sell, 0 not known."""

@final
class Quote:
    """The best prices after an accepted quote. A side or size that is absent is NaN."""

    @property
    def symbol(self) -> str: ...
    @property
    def ts_event(self) -> int:
        """Venue time, ns UTC."""
    @property
    def ts_recv(self) -> int | None:
        """Arrival here, ns UTC, or None."""
    @property
    def bid(self) -> float: ...
    @property
    def ask(self) -> float: ...
    @property
    def bid_size(self) -> float: ...
    @property
    def ask_size(self) -> float: ...
    @property
    def last(self) -> float:
        """Last traded price as the quote stream reports it."""

@final
class Book:
    """The order book of one instrument as it was after some one update. It does not change."""

    @property
    def symbol(self) -> str: ...
    @property
    def bids(self) -> NDArray[np.float64]:
        """The best bids, best first: shape (n, 2), a row being price and size. Read-only."""
    @property
    def asks(self) -> NDArray[np.float64]:
        """The best asks, as `bids`."""
    @property
    def levels(self) -> int:
        """Levels of each side that were asked for."""
    @property
    def ts_event(self) -> int | None:
        """Event time of the newest depth delta, int ns UTC, or None."""
    @property
    def complete(self) -> bool:
        """Whether the book began with everything that rests (a reset, or a whole book) and nothing was lost
        since. Otherwise it is put together from what has changed since the feed was joined.
        """
    @property
    def bid(self) -> float:
        """Best bid, NaN without one."""
    @property
    def ask(self) -> float:
        """Best ask, NaN without one."""
    @property
    def bid_size(self) -> float:
        """Size at the best bid, NaN without one."""
    @property
    def ask_size(self) -> float:
        """Size at the best ask, NaN without one."""
    @property
    def spread(self) -> float:
        """Best ask less best bid, NaN where a side is empty."""
    @property
    def mid(self) -> float:
        """The middle of the best prices, NaN where a side is empty."""
    @property
    def microprice(self) -> float:
        """The middle of the best prices, each weighted with the size on the other side:
        (bid * ask_size + ask * bid_size) / (bid_size + ask_size), the weighted mid of Stoikov, "The
        micro-price" (2018). NaN where a side is empty.
        """
    def imbalance(self, levels: int | None = None) -> float:
        """(B - A) / (B + A), where B and A are the sizes of the first `levels` bids and asks (None: of all
        here): 1 if only bids rest, -1 if only asks do, NaN for an empty book. With one level the queue
        imbalance of Gould and Bonart, "Queue imbalance as a one-tick-ahead price predictor" (2016).
        """
    @property
    def last_side(self) -> int:
        """Aggressor of the newest accepted trade: 1 buy, -1 sell, 0 not known."""
    @property
    def bid_levels(self) -> int:
        """Bids that the engine holds, shown or not."""
    @property
    def ask_levels(self) -> int:
        """Asks that the engine holds, shown or not."""
    @property
    def updates(self) -> int:
        """Depth deltas that the book was given so far."""
    @property
    def counts(self) -> dict[str, int]:
        """What became of the deltas, by name: updates, other (no level: prints, session extremes), missed
        (refused, so that their level may be out of date), dropped (levels, too many), pruned (levels
        better than what the feed called its best), crossed (levels that the other side had passed),
        disagreements (lasting differences to the quotes' best prices), resets, snapshots, gaps.
        """
    def frame(self) -> pl.DataFrame:
        """The book as a frame of one row: ts_event, then bid_px_00, ask_px_00, bid_sz_00, ask_sz_00,
        bid_px_01, … best first; null where there is no such level.
        """

@final
class Bar:
    """A bar. One of a length of time covers ts <= ts_event < ts_end, both int ns UTC, and is labelled by
    its start. Any other begins with the tick at ts and ends with the one at ts_end.
    """

    @property
    def symbol(self) -> str: ...
    @property
    def timeframe(self) -> str: ...
    @property
    def source(self) -> str:
        """Which price the bar is made of: trade, bid, ask, mid or last."""
    @property
    def ts(self) -> int: ...
    @property
    def ts_end(self) -> int: ...
    @property
    def open(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def close(self) -> float: ...
    @property
    def volume(self) -> float:
        """Sum of sizes; 0 where the source has none."""
    @property
    def vwap(self) -> float:
        """Volume-weighted average price; NaN without volume."""
    @property
    def trades(self) -> int:
        """Number of ticks."""
    @property
    def complete(self) -> bool:
        """Whether the bar is closed and the feed saw all of it."""
    @property
    def revision(self) -> int:
        """How often the bar was replaced after it closed."""

@final
class Receipt:
    """What came of one call: received == accepted + rejected. Duplicates are none of these."""

    @property
    def received(self) -> int:
        """Ticks that came: each element of a trade or depth array, each quote, each malformed record."""
    @property
    def accepted(self) -> int:
        """Ticks that were applied."""
    @property
    def rejected(self) -> int:
        """Ticks that were refused; `Engine.rejections()` says why."""
    @property
    def duplicates(self) -> int:
        """Second copies, of ticks that two overlapping connections have brought."""
    @property
    def control(self) -> tuple[bytes, ...]:
        """Records that are no market events, without terminator or length, in order."""

@final
class ArrowStream:
    """Batches of one schema, for any library that speaks the Arrow PyCapsule interface."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

@final
class Snapshot:
    """An instrument as it was at one moment: every timeframe, the newest tick, the top of the book and
    the counters, all from after the same update. It does not change.
    """

    @property
    def symbol(self) -> str: ...
    @property
    def trade(self) -> Trade | None:
        """The newest accepted trade, or None."""
    @property
    def quote(self) -> Quote | None:
        """The newest accepted quote, or None."""
    @property
    def book(self) -> Book | None:
        """The order book, as of `Engine.book(symbol)`, or None before the first depth delta."""
    @property
    def stats(self) -> dict[str, Any]:
        """Counts of ticks, as of `Engine.stats(symbol)`."""
    def closing_time(self, source: str = "trade") -> int | None:
        """The time up to which bars are closed, int ns UTC, or None before the first tick."""
    def closed_bar(self, timeframe: str, source: str = "trade") -> Bar | None:
        """The newest closed bar of a timeframe, or None."""
    def open_bars(self, timeframe: str, source: str = "trade") -> list[Bar]:
        """The bars of a timeframe that are still open, oldest first."""
    def bars(
        self, timeframe: str, last: int | None = None, *, partial: bool = False, source: str = "trade"
    ) -> pl.DataFrame:
        """The bars of a timeframe as a polars.DataFrame; see `Engine.bars`."""

def set_rules(engine: Engine, symbol: str, rules: _Rules) -> None:
    """Judge all later ticks of an instrument by these rules."""

def judged(engine: Engine, symbol: str | None, flagged: bool, last: int | None) -> pl.DataFrame:
    """The newest ticks that were rejected or flagged, of one instrument or of all."""

@final
class Verdict:
    """What was found of a tick; true if it was accepted."""

    @property
    def accepted(self) -> bool:
        """Whether the tick may be used."""
    @property
    def reason(self) -> str | None:
        """The rule that it broke if not."""
    @property
    def flags(self) -> tuple[str, ...]:
        """The rules that it broke if so."""
    @property
    def spike(self) -> tuple[Trade | Quote, ...]:
        """The ticks before it that it shows to have been a spike, oldest first."""
    def __bool__(self) -> bool: ...

@disjoint_base
class Validator:
    def __new__(
        cls, symbol: str, rules: _Rules, tick_size: float, stamp_arrival: bool, hours: Sessions | None
    ) -> Self: ...
    def trade(
        self, ts_event: int | None, price: float, size: float, side: int = 0, ts_recv: int | None = None
    ) -> Verdict:
        """Judge one trade."""
    def quote(
        self,
        ts_event: int | None,
        bid: float,
        ask: float,
        bid_size: float = ...,
        ask_size: float = ...,
        ts_recv: int | None = None,
        *,
        last: float = ...,
    ) -> Verdict:
        """Judge one quote. A side, size or last price that is absent is NaN."""
    def stats(self) -> dict[str, Any]:
        """Counts of ticks, as of `Engine.stats`."""
    def _trades(
        self,
        ts_event: NDArray[np.int64],
        price: NDArray[np.float64],
        size: NDArray[np.float64],
        side: NDArray[np.int8] | None,
        ts_recv: NDArray[np.int64] | None,
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint32]]: ...
    def _quotes(
        self,
        ts_event: NDArray[np.int64],
        bid: NDArray[np.float64],
        ask: NDArray[np.float64],
        bid_size: NDArray[np.float64] | None,
        ask_size: NDArray[np.float64] | None,
        last: NDArray[np.float64] | None,
        ts_recv: NDArray[np.int64] | None,
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint32]]: ...
    def _set_rules(self, rules: _Rules) -> None: ...
    @staticmethod
    def _reasons() -> list[str]: ...

@disjoint_base
class BarAggregator:
    def __new__(
        cls,
        timeframes: Sequence[str],
        symbol: str,
        tick_size: float | None,
        source: str,
        lateness_ns: int,
        split: str,
    ) -> Self: ...
    @property
    def timeframes(self) -> tuple[str, ...]:
        """The timeframes, in the order of `Engine.timeframes`."""
    @property
    def late(self) -> int:
        """Ticks that came after a time bar of theirs was closed; they are in no bar."""
    def push(self, ts_event: int, price: float, size: float = 0.0, ts_recv: int | None = None) -> list[Bar]:
        """Add one tick; returns the bars that it closed."""
    def advance(self, now_ns: int) -> list[Bar]:
        """Close every time bar that ends at or before `now_ns` (int ns UTC), and return them. Ticks that
        belong to them are late from then on.
        """
    def open_bars(self, timeframe: str) -> list[Bar]:
        """The bars of a timeframe that are still open, oldest first: usually one."""
    def _push_many(
        self,
        ts_event: NDArray[np.int64],
        price: NDArray[np.float64],
        size: NDArray[np.float64],
        ts_recv: NDArray[np.int64] | None,
    ) -> list[Bar]: ...

@disjoint_base
class Engine:
    def __new__(cls, instruments: Sequence[_Spec], timeframes: Sequence[tuple[str, int]]) -> Self: ...
    @property
    def symbols(self) -> tuple[str, ...]:
        """The instruments' symbols, in the order given."""
    @property
    def timeframes(self) -> tuple[str, ...]:
        """The timeframes: lengths of time from the smallest to the largest, then trades, volume, notional,
        range and Renko.
        """
    def push_trade(
        self,
        symbol: str,
        ts_event: int | None,
        price: float,
        size: float,
        side: int = 0,
        ts_recv: int | None = None,
    ) -> bool:
        """Apply one trade. Returns whether it was accepted; `rejections()` says why not."""
    def push_quote(
        self,
        symbol: str,
        ts_event: int | None,
        bid: float,
        ask: float,
        bid_size: float = ...,
        ask_size: float = ...,
        ts_recv: int | None = None,
        *,
        last: float = ...,
    ) -> bool:
        """Apply one quote. A side, size or last price that is absent is NaN."""
    def push_depth(
        self,
        symbol: str,
        ts_event: int | None,
        kind: Literal["bid", "ask", "best_bid", "best_ask", "reset"],
        price: float = ...,
        size: float = ...,
        ts_recv: int | None = None,
    ) -> bool:
        """Apply one depth delta. `size` is what rests at the price from now on, 0 for nothing. Returns
        whether it was accepted.

        Args:
            kind: "bid" or "ask"; "best_bid" or "best_ask" if nothing better rests on that side; "reset"
                to begin the book anew, for which price and size mean nothing.
        """
    @overload
    def bar_span(self, symbol: str, timeframe: str, ts: int) -> tuple[int, int]: ...
    @overload
    def bar_span(
        self, symbol: str, timeframe: str, ts: ArrayLike
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Start and end of the bar of an instrument that `ts` belongs to, ns UTC: two ints, or of a column
        of times (int64 or datetime64, shape (n,)) two columns. Only for lengths of time.
        """
    def parents(self, symbol: str) -> list[tuple[str, str | None]]:
        """Each length of time, ascending, with the one that an instrument's is rolled up from (None: ticks)."""
    def advance(self, now_ns: int) -> None:
        """Close every bar that ends at or before `now_ns`; ticks of those are late from then on."""
    def mark_gap(self, start_ns: int | None, end_ns: int, symbols: Sequence[str] | None = None) -> None:
        """Say that data is missing from `start_ns` to `end_ns`. None: the feed was only just joined, so
        everything is before, or what came since it was joined the last time.
        """
    def snapshot(self, symbol: str) -> Snapshot:
        """One consistent cut through an instrument, over all timeframes."""
    def last(self, symbol: str) -> Trade | None:
        """The newest accepted trade, or None."""
    def quote(self, symbol: str) -> Quote | None:
        """The newest accepted quote, or None."""
    def book(self, symbol: str, levels: int | None = None) -> Book | None:
        """The order book, or None before the first depth delta: at most `levels` levels of each side, by
        default all that the engine shows (`book_levels`). It never waits for a writer, and no writer for it.
        """
    def rejections(self, symbol: str | None = None) -> dict[str, int]:
        """Rejected ticks by reason, of one instrument or of everything that came."""
    def stats(self, symbol: str | None = None) -> dict[str, Any]:
        """Counts of ticks: received == accepted + rejected; duplicates, which a second connection has
        brought, are none of these. Revised are the accepted that came late and changed closed bars.
        clock_offset_ns: how far the clock that ts_recv is of is ahead of the venue's, as far as arrivals
        can tell, or None; of all instruments, the least.
        """
    def memory(self) -> dict[str, int]:
        """Bytes of memory in use: rings (as far as filled), bars, books, fixed, total."""
    def _push_trades(
        self,
        symbols: Sequence[str],
        codes: NDArray[np.uint32] | None,
        ts_event: NDArray[np.int64],
        price: NDArray[np.float64],
        size: NDArray[np.float64],
        side: NDArray[np.int8] | None,
        ts_recv: NDArray[np.int64] | None,
        numbers: NDArray[np.int64] | None,
    ) -> Receipt: ...
    def _push_quotes(
        self,
        symbols: Sequence[str],
        codes: NDArray[np.uint32] | None,
        ts_event: NDArray[np.int64],
        bid: NDArray[np.float64],
        ask: NDArray[np.float64],
        bid_size: NDArray[np.float64] | None,
        ask_size: NDArray[np.float64] | None,
        last: NDArray[np.float64] | None,
        ts_recv: NDArray[np.int64] | None,
        numbers: NDArray[np.int64] | None,
    ) -> Receipt: ...
    def _push_bars(
        self,
        symbol: str,
        timeframe: str,
        source: str,
        ts: NDArray[np.int64],
        open: NDArray[np.float64],
        high: NDArray[np.float64],
        low: NDArray[np.float64],
        close: NDArray[np.float64],
        volume: NDArray[np.float64],
        vwap: NDArray[np.float64],
        trades: NDArray[np.int64],
        replace: bool,
        span: tuple[int, int] | None,
    ) -> tuple[dict[str, int], list[Bar]]: ...
    def _bars(
        self,
        symbol: str,
        timeframe: str,
        last: int | None,
        since: int | None,
        partial: bool,
        source: str,
    ) -> pl.DataFrame: ...
    def _trades(self, symbol: str, last: int | None) -> pl.DataFrame: ...
    def _quotes(self, symbol: str, last: int | None) -> pl.DataFrame: ...

@final
class Feed:
    """One stream of hub payloads. It owns what one connection leaves behind between two payloads: a
    record that was cut, and the state that partial quotes build on. Two feeds never mix.
    """

    def __new__(
        cls,
        engine: Engine,
        name: str = "main",
        max_record_bytes: int = ...,
        protocol: Literal["json", "messagepack"] = "json",
    ) -> Self: ...
    @property
    def name(self) -> str: ...
    @property
    def protocol(self) -> Literal["json", "messagepack"]:
        """What the hub speaks."""
    @property
    def is_lost(self) -> bool:
        """Whether the hub sent something in the place of a message's length. It was counted as one malformed
        record; nothing can be read any more until `reset`. Never in JSON.
        """
    @property
    def carried_bytes(self) -> int:
        """Bytes of a cut record that wait for its rest."""
    def push_bytes(self, data: bytes | bytearray | memoryview | str, ts_recv: int | None = None) -> Receipt:
        """Decode and apply one payload of the hub, cut anywhere: JSON records, each ended by 0x1E, or
        MessagePack messages, each behind its length. `ts_recv` is the arrival time, int ns UTC, given to
        every tick in it.
        """
    def volumes(self) -> dict[str, Volumes]:
        """The volume that this connection's quotes publish, beside that of the trades it has delivered, by
        symbol; only of instruments whose quotes publish one.
        """
    def reset(self) -> None:
        """Forget the cut record, the quotes and the volumes of the connection so far. Call it on reconnect."""

@final
class Volumes:
    """What one connection has heard of one instrument's volume. Between two looks both counts only grow,
    unless `resets` does.
    """

    @property
    def published(self) -> float:
        """The newest total of the day."""
    @property
    def published_ts(self) -> int | None:
        """Event time of the quote that brought it (its arrival, if it has none), int ns UTC, or None."""
    @property
    def baseline(self) -> float:
        """The total with which counting began."""
    @property
    def baseline_ts(self) -> int | None:
        """Time of the quote that brought that one, as `published_ts`."""
    @property
    def traded(self) -> float:
        """Sum of the sizes of the trades delivered since, accepted or not."""
    @property
    def traded_then(self) -> float:
        """What `traded` was when `published` came."""
    @property
    def trades(self) -> int:
        """Number of trades delivered since."""
    @property
    def resets(self) -> int:
        """How often counting has begun anew: with `Feed.reset`, and with a total below the one before,
        which is that of another day.
        """

@final
class Overlap:
    """Two feeds of one engine whose connections deliver the same ticks. Until `end`, each tick is applied
    once, whichever connection brings it first; its copy is counted as a duplicate.

    Make it before the new connection subscribes to anything. Call `ready` when all its subscriptions are
    confirmed, close the old connection when there is `contact`, and `end` it when nothing is `unsettled`
    any more; or each of them after some time.
    """

    def __new__(cls, old: Feed, new: Feed, capacity: int = ...) -> Self: ...
    def ready(self) -> None:
        """Say that all subscriptions of the new connection are confirmed."""
    @property
    def contact(self) -> bool:
        """Whether the old connection has got past the point from which on the new one delivers
        everything. Nothing is lost then by closing the old one.
        """
    def unsettled(self, survivor: Feed) -> int:
        """Ticks that the other connection has delivered and `survivor` may still deliver. If the overlap
        ended now in favour of `survivor`, they might count twice.
        """
    @property
    def duplicates(self) -> int:
        """Ticks that came a second time so far."""
    @property
    def outstanding(self) -> int:
        """Different ticks in which one connection is ahead of the other."""
    @property
    def memory_bytes(self) -> int:
        """Bytes of memory in use."""
    def end(self, survivor: Feed) -> OverlapReport:
        """End it: `survivor` delivers alone from now on, and nothing is compared any more."""

@final
class OverlapReport:
    """What came of an overlap."""

    @property
    def contact(self) -> bool:
        """Whether the old connection got past the start of the new one. Without it, and if the new one
        survives, data may be missing from the old one's last byte until the new one was ready.
        """
    @property
    def duplicates(self) -> int:
        """Ticks that came a second time."""
    @property
    def only_old(self) -> int:
        """Ticks that the new connection passed over and the old one had."""
    @property
    def only_new(self) -> int:
        """Ticks that the old connection passed over and the new one had."""
    @property
    def shed(self) -> int:
        """Ticks that had to be forgotten for lack of memory."""
    @property
    def uncertain(self) -> list[tuple[str, int, int]]:
        """(symbol, start_ns, end_ns), event time in int ns UTC: where ticks may be missing or double; at
        most one interval for each symbol.
        """

@disjoint_base
class Subscription:
    def __new__(
        cls,
        engine: Engine,
        bars: Sequence[str],
        trades: bool,
        quotes: bool,
        symbols: Sequence[str] | None,
        capacity: int,
        source: str,
        hours: Sequence[Sessions],
    ) -> Self: ...
    def poll(self) -> list[Bar | Trade | Quote]:
        """Everything that is waiting; empty when there is nothing. Never blocks."""
    def get(self, timeout: float | None = None) -> Bar | Trade | Quote:
        """The next item, waiting at most `timeout` seconds. Ctrl-C interrupts the wait.

        Raises:
            TimeoutError: nothing came in time.
            SubscriptionClosed: closed, and everything it held has been delivered.
        """
    def __iter__(self) -> Self: ...
    def __next__(self) -> Bar | Trade | Quote: ...
    def close(self) -> None:
        """Stop. What it holds can still be read; then iteration ends. Closing twice is harmless."""
    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
    def stats(self) -> dict[str, int]:
        """published == delivered + pending + shed, since the subscription was made; filtered: what was not
        published to it because it lies outside of the hours asked for.
        """
    def _take(self) -> Bar | Trade | Quote | None: ...
    def _arm(self, callback: Callable[[], object]) -> None: ...

@final
class WebSocket:
    """The client's half of one WebSocket connection after the HTTP upgrade, without a socket."""

    def __new__(cls, max_message_bytes: int) -> Self: ...
    def receive(self, data: bytes) -> Received:
        """Take in what one read from the network returned, cut anywhere."""
    def send_text(self, text: str) -> None:
        """Queue a text message."""
    def send_binary(self, data: bytes) -> None:
        """Queue a binary message."""
    def ping(self, payload: bytes | None = None) -> None:
        """Queue a ping of at most 125 bytes; its pong comes in `Received.pongs`."""
    def close(self, code: int = 1000, reason: str = "") -> None:
        """Queue a close frame with a reason of at most 123 bytes; nothing can be sent after it."""
    def output(self) -> bytes:
        """Take the bytes that must be written to the network now; empty when there are none."""
    @property
    def is_open(self) -> bool:
        """Whether frames can still be sent."""

@final
class Received:
    """What one `WebSocket.receive` found."""

    @property
    def payload(self) -> bytes:
        """Payloads of all messages completed by this read, in order, joined without borders."""
    @property
    def messages(self) -> int:
        """How many messages those were."""
    @property
    def pings(self) -> int:
        """How many pings came; `WebSocket.output` has the answers."""
    @property
    def pongs(self) -> list[bytes]:
        """Payloads of the pongs that came."""
    @property
    def violation(self) -> str | None:
        """What ended the connection, found after everything else here; None while it lives."""
    @property
    def close(self) -> tuple[int, str] | None:
        """The peer's close frame as (code, reason), code 1005 where it named none; else None."""
