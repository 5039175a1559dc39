"""From ticks to the vendor's events: which record holds which elements, with which fields.

One pass in send order, shared by all hub protocols and all connections. It groups ticks into
events, keeps each instrument's session figures (last, open, high, low, volume), and works out which
fields of a quote changed. Nothing here knows JSON, MessagePack or who is subscribed.
"""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

from .contracts import symbol_id, symbol_name
from .ticks import QUOTE, TRADE, Block

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Columns", "Event", "Quote", "Shape", "Shaper", "Stamps"]

Shape = Literal["list", "object", "mixed"]


class Columns(NamedTuple):
    """A block as Python lists: single values are read from these several times faster."""

    kind: list[int]
    symbol: list[int]
    due_ns: list[int]
    ts_ns: list[int] | None
    price: list[float]
    size: list[float]
    side: list[int]
    resting: list[float]
    bid: list[float]
    ask: list[float]

    @classmethod
    def of(cls, block: Block) -> Self:
        """The columns of a block."""
        return cls(
            block.kind.tolist(),
            block.symbol.tolist(),
            block.due_ns.tolist(),
            None if block.ts_ns is None else block.ts_ns.tolist(),
            block.price.tolist(),
            block.size.tolist(),
            block.side.tolist(),
            block.resting.tolist(),
            block.bid.tolist(),
            block.ask.tolist(),
        )

    def part(self, first: int, last: int) -> Columns:
        """Ticks `first` to `last` (exclusive)."""
        cut = slice(first, last)
        return Columns(
            self.kind[cut],
            self.symbol[cut],
            self.due_ns[cut],
            None if self.ts_ns is None else self.ts_ns[cut],
            self.price[cut],
            self.size[cut],
            self.side[cut],
            self.resting[cut],
            self.bid[cut],
            self.ask[cut],
        )

    def then(self, after: Columns) -> Columns:
        """These ticks and those of `after`; a source gives either all of its blocks times or none."""
        return Columns(
            self.kind + after.kind,
            self.symbol + after.symbol,
            self.due_ns + after.due_ns,
            None if self.ts_ns is None or after.ts_ns is None else self.ts_ns + after.ts_ns,
            self.price + after.price,
            self.size + after.size,
            self.side + after.side,
            self.resting + after.resting,
            self.bid + after.bid,
            self.ask + after.ask,
        )


class Quote(NamedTuple):
    """A quote event: what changed, and what a full one says."""

    changed: dict[str, Any]
    bid: float | None
    ask: float | None
    session: dict[str, Any]
    ts: str


class Event(NamedTuple):
    """One hub event, one record on the wire.

    Attributes:
        key: `kind * number of instruments + symbol`, what subscriptions are matched with.
        kind: `TRADE`, `QUOTE` or `DEPTH`.
        symbol: index of the instrument.
        ticks: elements in it.
        data: a `Quote`, or a list of (price, size, side, resting, timestamp text).
        as_object: send the one element bare instead of in a list.
    """

    key: int
    kind: int
    symbol: int
    ticks: int
    data: Any
    as_object: bool


class Stamps:
    """ISO 8601 text of times in ns UTC.

    Args:
        digits: fractional digits, further ones cut off; None writes as many as are needed to be
            exact and none where the fraction is zero, as .NET does (with up to 9 instead of 7).
        zone: what follows, such as "Z", "+00:00" or nothing.
    """

    def __init__(self, digits: int | None, zone: str) -> None:
        self._digits = digits
        self._zone = zone
        self._second: int | None = None
        self._second_text = ""

    def text(self, ts_ns: int) -> str:
        """`ts_ns` as text."""
        second, fraction = divmod(ts_ns, 1_000_000_000)
        if second != self._second:
            # Neighbouring ticks share their second, so that the calendar is asked once a second.
            moment = dt.datetime.fromtimestamp(second, dt.UTC)
            self._second, self._second_text = second, moment.strftime("%Y-%m-%dT%H:%M:%S")
        digits = f"{fraction:09d}"
        digits = digits.rstrip("0") if self._digits is None else digits[: self._digits]
        return f"{self._second_text}.{digits}{self._zone}" if digits else self._second_text + self._zone


@dataclass(slots=True)
class _Session:
    """What quotes report about one instrument beside its book top."""

    bid: float | None = None
    ask: float | None = None
    quoted: bool = False
    traded: bool = False
    open: float = math.nan
    high: float = 0.0
    low: float = 0.0
    last: float = 0.0
    volume: float = 0.0
    figures: dict[str, Any] = field(default_factory=dict)

    def trade(self, price: float, size: float) -> None:
        if not math.isfinite(price):  # is sent all the same, and counts for nothing
            return
        if math.isnan(self.open):
            self.open = self.high = self.low = price
        elif price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price
        self.last = price
        self.traded = True
        if math.isfinite(size):
            self.volume += size

    def refresh(self) -> dict[str, Any]:
        """The figures as quote fields, worked out anew after a trade."""
        change = self.last - self.open
        # Sums and differences of decimals leave dust in the last places; ten are plenty for both.
        volume = round(self.volume, 10)
        self.figures = {
            "lastPrice": self.last,
            "change": round(change, 10),
            "changePercent": round(100 * change / self.open, 4) if self.open else 0.0,
            "open": self.open,
            "high": self.high,
            "low": self.low,
            "volume": int(volume) if volume == int(volume) else volume,
        }
        self.traded = False
        return self.figures


class Shaper:
    """Makes events from ticks, in order, and keeps the session of every instrument.

    Args:
        symbols: contract ids, indexed as in the source.
        shape: trades and depth as "list", as single "object"s, or "mixed" by turns.
        elements_per_record: most consecutive ticks of one instrument and kind that share a record;
            an object always holds one.
        stamps: how times are written.
    """

    def __init__(
        self, symbols: Sequence[str], *, shape: Shape, elements_per_record: int, stamps: Stamps
    ) -> None:
        self._count = len(symbols)
        self._ids = [symbol_id(symbol) for symbol in symbols]
        self._sessions = [_Session() for _ in symbols]
        self._shape = shape
        self._elements = elements_per_record
        self._stamps = stamps
        self._turn = 0

    def shape(self, columns: Columns, first: int, last: int, ts_ns: int) -> list[Event]:
        """Events of ticks `first` to `last` (exclusive); `ts_ns` stamps those without a time."""
        kinds, symbols, text = columns.kind, columns.symbol, self._stamps.text
        times = columns.ts_ns
        stamp = text(ts_ns) if times is None else ""
        events: list[Event] = []
        at = first
        while at < last:
            kind, symbol = kinds[at], symbols[at]
            key = kind * self._count + symbol
            if kind == QUOTE:
                ts = stamp if times is None else text(times[at])
                quote = self._quote(symbol, columns.bid[at], columns.ask[at], ts)
                events.append(Event(key, kind, symbol, 1, quote, False))
                at += 1
                continue
            as_object = self._next_is_object()
            limit = at + 1 if as_object else min(last, at + self._elements)
            end = at + 1
            while end < limit and kinds[end] == kind and symbols[end] == symbol:
                end += 1
            elements = [
                (
                    columns.price[n],
                    columns.size[n],
                    columns.side[n],
                    columns.resting[n],
                    stamp if times is None else text(times[n]),
                )
                for n in range(at, end)
            ]
            if kind == TRADE:
                session = self._sessions[symbol]
                for price, size, *_ in elements:
                    session.trade(price, size)
            events.append(Event(key, kind, symbol, end - at, elements, as_object))
            at = end
        return events

    def text(self, ts_ns: int) -> str:
        """A time as events carry it."""
        return self._stamps.text(ts_ns)

    def full_quote(self, event: Event) -> dict[str, Any]:
        """All fields of a quote event, for a client that has not had one of this contract yet."""
        quote: Quote = event.data
        name = self._ids[event.symbol]
        return {
            "symbol": name,
            "symbolName": symbol_name(name),
            "bestBid": quote.bid,
            "bestAsk": quote.ask,
            **quote.session,
            "lastUpdated": quote.ts,
            "timestamp": quote.ts,
        }

    def _next_is_object(self) -> bool:
        if self._shape != "mixed":
            return self._shape == "object"
        self._turn ^= 1
        return self._turn == 0

    def _quote(self, symbol: int, bid_or_nan: float, ask_or_nan: float, ts: str) -> Quote:
        session = self._sessions[symbol]
        # JSON has no NaN; a side without orders is null, and null is a change like any other.
        bid = bid_or_nan if math.isfinite(bid_or_nan) else None
        ask = ask_or_nan if math.isfinite(ask_or_nan) else None
        changed: dict[str, Any] = {"symbol": self._ids[symbol]}
        if bid != session.bid or not session.quoted:
            changed["bestBid"] = session.bid = bid
        if ask != session.ask or not session.quoted:
            changed["bestAsk"] = session.ask = ask
        session.quoted = True
        figures = session.figures
        if session.traded:
            before, figures = figures, session.refresh()
            changed.update(
                (name, value)
                for name, value in figures.items()
                if name not in before or before[name] != value
            )
        changed["lastUpdated"] = changed["timestamp"] = ts
        return Quote(changed, bid, ask, figures, ts)
