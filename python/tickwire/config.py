"""What an engine is told about instruments: frozen, and checked when made."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

from . import _core
from .alignment import Align, alignment, check_align, hours, restarts, zones
from .asset_rules import BY_ASSET_CLASS, AssetClass
from .errors import ConfigError
from .units import duration_ns

if TYPE_CHECKING:
    from .session import Session

__all__ = [
    "Action",
    "Empty",
    "Instrument",
    "Late",
    "ProtocolName",
    "Restart",
    "Rules",
    "Source",
    "Spec",
    "Split",
]

Action = Literal["reject", "flag", "off"]
Source = Literal["trade", "bid", "ask", "mid", "last"]
Late = Literal["reject", "revise"]
Empty = Literal["skip", "flat"]
Split = Literal["keep", "split"]
Restart = Literal["never", "session"]
MAX_BOOK_LEVELS = 1_024
"""Levels of one side that the engine keeps; it cannot show more."""
ProtocolName = Literal["json", "messagepack"]
"""A SignalR hub protocol, by the name that the handshake calls it."""


MAX_FLAT_LIMIT = 1_000_000
"""Flat bars in a row. They are made at once when the next tick comes."""


def choice(name: str, value: object, kind: object) -> None:
    """Check that a value is one of the words of a Literal."""
    words = get_args(kind)
    if value not in words:
        expected = ", ".join(repr(word) for word in words)
        raise ConfigError(f"{name}: got {value!r}, expected one of {expected}")


def positive(name: str, value: object) -> None:
    """Check that a value is a finite number above zero."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not (0 < value < math.inf):
        raise ConfigError(f"{name}: got {value!r}, expected a finite number above zero")


def count(name: str, value: object, most: int) -> int:
    """Check that a value is a whole number from 1 to `most`."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise ConfigError(f"{name}: got {value!r}, expected a whole number from 1 to {most}")
    return value


def texts(name: str, value: object, example: str) -> list[str]:
    """Check that a value is a sequence of texts, and not one text, which would be one of letters."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ConfigError(f"{name}: got {value!r}, expected a list such as {example}")
    several = list(value)
    for one in several:
        if not isinstance(one, str):
            raise ConfigError(f"{name}: got {one!r} among them, expected texts such as {example}")
    return several


def sources(name: str, value: Source | tuple[Source, ...]) -> tuple[Source, ...]:
    """One source or several as a tuple, each once."""
    several = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    for one in several:
        choice(name, one, Source)
    if not several:
        raise ConfigError(f"{name}: got no source; leave it out for the default")
    return tuple(dict.fromkeys(several))


@dataclass(frozen=True, slots=True)
class Rules:
    """What to do with a tick that breaks a rule: "reject" and count it, "flag" (keep and count) it, or
    "off". A price that is not finite, or not positive where that is not allowed, and a tick without
    event time are always rejected. `Rules.of` knows what suits an asset class.

    Attributes:
        grid: prices are multiples of the tick size.
        limits: prices lie between `price_low` and `price_high`, where those are given.
        band: prices lie within a band around the last accepted price.
        spike: prices do not jump away and come back at once. That is known when they are back, so that the
            ticks of a spike, which have been applied, can only be flagged: "flag" or "off".
        size: sizes are not negative. Quotes may have no sizes.
        zero_size: trades have a size. Some feeds print trades of size zero that are real.
        outsize: trades are not `outsize_times` the usual size (a running median).
        skew: event times are not more than `skew_limit` ahead of arrival times, where those are given.
        stale: event times are not more than `stale_limit` (of quotes `stale_quote_limit`) behind them.
        backwards: event times do not step back behind the newest of their stream by more than
            `backwards_limit`.
        crossed, locked: bids are not above asks, and not equal to them.
        one_sided: quotes have a bid and an ask.
        duplicate: a tick is not in event time and all its values the same as the accepted one before it.
            Prints that look alike are real, so that this is for feeds that are known to repeat themselves.
        session: event times lie in the hours of the instrument's session.
        allow_negative: prices of zero and less are legal.
        price_low, price_high: the absolute limits; None for no limit.
        band_width: half width of the band, as a fraction of the last accepted price.
        band_ticks: least half width of the band, in ticks.
        band_agree: so many off-band ticks in a row that agree with each other move the band; as many in a
            row that are backwards are believed, too.
        band_age: a band older than this, in event time, is not held against a tick.
        spike_moves: a jump is more than so many times the usual move of the price (a running median) …
        spike_ticks: … and a spike if at most so many ticks later more than half of it is undone.
        outsize_times: how many times the usual size is too much.
        skew_limit, stale_limit, stale_quote_limit, backwards_limit: durations such as "500ms".
    """

    grid: Action = "flag"
    band: Action = "reject"
    size: Action = "reject"
    skew: Action = "reject"
    crossed: Action = "flag"
    allow_negative: bool = False
    band_width: float = 0.1
    band_ticks: float = 200.0
    band_agree: int = 3
    band_age: str = "60s"
    skew_limit: str = "5s"
    limits: Action = field(default="reject", kw_only=True)
    spike: Action = field(default="off", kw_only=True)
    zero_size: Action = field(default="off", kw_only=True)
    outsize: Action = field(default="off", kw_only=True)
    stale: Action = field(default="off", kw_only=True)
    backwards: Action = field(default="off", kw_only=True)
    locked: Action = field(default="off", kw_only=True)
    one_sided: Action = field(default="off", kw_only=True)
    duplicate: Action = field(default="off", kw_only=True)
    session: Action = field(default="off", kw_only=True)
    price_low: float | None = field(default=None, kw_only=True)
    price_high: float | None = field(default=None, kw_only=True)
    spike_moves: float = field(default=20.0, kw_only=True)
    spike_ticks: int = field(default=3, kw_only=True)
    outsize_times: float = field(default=1_000.0, kw_only=True)
    stale_limit: str = field(default="10s", kw_only=True)
    stale_quote_limit: str = field(default="10s", kw_only=True)
    backwards_limit: str = field(default="1s", kw_only=True)
    band_age_ns: int = field(init=False, repr=False)
    skew_ns: int = field(init=False, repr=False)
    stale_ns: int = field(init=False, repr=False)
    stale_quote_ns: int = field(init=False, repr=False)
    backwards_ns: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for name in RULES:
            choice(name, getattr(self, name), Action)
        if self.spike == "reject":
            raise ConfigError(
                'spike: got "reject", but a spike is known only when its ticks have been applied; use "flag"'
            )
        for name in ("band_width", "band_ticks", "spike_moves", "outsize_times"):
            positive(name, getattr(self, name))
        if not isinstance(self.allow_negative, bool):
            raise ConfigError(f"allow_negative: got {self.allow_negative!r}, expected True or False")
        self._check_limits()
        count("band_agree", self.band_agree, 1_000_000)
        count("spike_ticks", self.spike_ticks, 1_000)
        for name, limit in _LIMITS.items():
            object.__setattr__(self, name, duration_ns(limit, getattr(self, limit)))

    def _check_limits(self) -> None:
        for name in ("price_low", "price_high"):
            value = getattr(self, name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
                raise ConfigError(f"{name}: got {value!r}, expected a finite number or None")
        if None not in (self.price_low, self.price_high) and not self.price_low < self.price_high:  # type: ignore[operator]  # not None
            raise ConfigError(
                f"price_high: got {self.price_high!r}, expected more than price_low ({self.price_low!r})"
            )

    @classmethod
    def of(cls, asset_class: AssetClass, *, tick_size: float, **changes: Any) -> Self:
        """The rules that suit an asset class, with changes.

        Args:
            asset_class: "futures", "equity", "fx" or "crypto".
            tick_size: smallest price step: where prices must be positive, none is below it.
            changes: any attributes of `Rules`.

        Raises:
            ConfigError: an argument that cannot work.
        """
        choice("asset_class", asset_class, AssetClass)
        positive("tick_size", tick_size)
        settings = {**BY_ASSET_CLASS[asset_class], **changes}
        known = {each.name for each in fields(cls) if each.init}
        if unknown := sorted(set(settings) - known):
            raise ConfigError(
                f"{unknown[0]}: no rule of this name, expected one of {', '.join(sorted(known))}"
            )
        if not settings.get("allow_negative", False):
            settings.setdefault("price_low", tick_size)
        return cls(**settings)


RULES = (
    "grid",
    "limits",
    "band",
    "spike",
    "size",
    "zero_size",
    "outsize",
    "skew",
    "stale",
    "backwards",
    "crossed",
    "locked",
    "one_sided",
    "duplicate",
    "session",
)
"""The rules, by the names that they and their reasons have."""

_LIMITS = {
    "band_age_ns": "band_age",
    "skew_ns": "skew_limit",
    "stale_ns": "stale_limit",
    "stale_quote_ns": "stale_quote_limit",
    "backwards_ns": "backwards_limit",
}


@dataclass(frozen=True, slots=True)
class Instrument:
    """An instrument, keyed by its full contract id: two expiries of one root are two instruments.

    Attributes:
        symbol: the full contract id, e.g. "CON.F.US.EP.Z25".
        tick_size: smallest price step, in price units.
        align: what its bars are aligned to: "utc"; the wall clock of a zone, e.g. "America/New_York", for bars
            of an hour and longer (those that are shorter to UTC); or "session", all of them, to its trading
            days. None takes the engine's default.
        session: when it trades. After a break the price band is put around the next price, and what the
            rule `session` says becomes of ticks outside.
        source: what its bars are made of: "trade", "bid", "ask", "mid", "last" or a tuple of them.
            None takes the engine's default.
        lateness: how long, in event time, a bar waits for late ticks. None takes the engine's default.
        late: what becomes of a tick of which a bar is already closed: "reject" and count it, or "revise":
            it enters the closed bars it belongs to, which get a new revision. None takes the engine's
            default.
        horizon: how long, in event time, after a bar's end late ticks may revise it; later ones are
            rejected. None takes the engine's default.
        empty: what becomes of a bar without ticks: "skip" it, or fill it "flat" at the previous close.
            Where the instrument has a session, only inside it. Nothing is filled in a gap, and after it
            not until the next tick. None takes the engine's default.
        flat_limit: at most so many bars of the smallest timeframe in a row are filled flat. None takes
            the engine's default.
        split: what becomes of a trade that reaches the end of a volume or notional bar: "keep" (it stays
            whole, and the bar may hold more than its timeframe says) or "split" (each bar gets the part
            it has room for). None takes the engine's default.
        restart: whether bars by trades, volume, notional and range begin anew with the first tick of each
            trading day of the session ("session"; the bar before ends short) or "never". Renko goes on.
            None takes the engine's default.
        stamp: "event", or "arrival" to stamp ticks without event time with their arrival time.
        book_levels: levels of each side of the order book that readers are shown. None takes the engine's
            default.
        rules: what prices, sizes and times must obey.
    """

    symbol: str
    tick_size: float = field(kw_only=True)
    align: str | None = field(default=None, kw_only=True)
    session: Session | None = field(default=None, kw_only=True)
    source: Source | tuple[Source, ...] | None = field(default=None, kw_only=True)
    lateness: str | None = field(default=None, kw_only=True)
    late: Late | None = field(default=None, kw_only=True)
    horizon: str | None = field(default=None, kw_only=True)
    empty: Empty | None = field(default=None, kw_only=True)
    flat_limit: int | None = field(default=None, kw_only=True)
    split: Split | None = field(default=None, kw_only=True)
    restart: Restart | None = field(default=None, kw_only=True)
    stamp: Literal["event", "arrival"] = field(default="event", kw_only=True)
    book_levels: int | None = field(default=None, kw_only=True)
    rules: Rules = field(default_factory=Rules, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.symbol, str) or not self.symbol or not self.symbol.isprintable():
            raise ConfigError(f"symbol: got {self.symbol!r}, expected the contract id as text")
        positive("tick_size", self.tick_size)
        if self.align is not None:
            check_align("align", self.align)
        if self.session is not None:
            self._check_session()
        if self.source is not None:
            object.__setattr__(self, "source", sources("source", self.source))
        if self.lateness is not None:
            duration_ns("lateness", self.lateness)
        if self.late is not None:
            choice("late", self.late, Late)
        if self.horizon is not None:
            duration_ns("horizon", self.horizon)
        if self.empty is not None:
            choice("empty", self.empty, Empty)
        if self.flat_limit is not None:
            count("flat_limit", self.flat_limit, MAX_FLAT_LIMIT)
        if self.split is not None:
            choice("split", self.split, Split)
        if self.restart is not None:
            choice("restart", self.restart, Restart)
        if self.book_levels is not None:
            count("book_levels", self.book_levels, MAX_BOOK_LEVELS)
        choice("stamp", self.stamp, Literal["event", "arrival"])
        if not isinstance(self.rules, Rules):
            raise ConfigError(f"rules: got {self.rules!r}, expected a tickwire.Rules")
        if self.rules.session != "off" and self.session is None:
            raise ConfigError(
                f"rules: got session={self.rules.session!r}, but {self.symbol!r} has no session; "
                "give the instrument session=, e.g. session=tickwire.CME"
            )

    def _check_session(self) -> None:
        # Sessions are made of what stands here.
        from .session import Session

        if not isinstance(self.session, Session):
            raise ConfigError(f"session: got {self.session!r}, expected a tickwire.Session")


@dataclass(frozen=True, slots=True)
class Spec:
    """An instrument with the engine's defaults filled in, as the core wants it."""

    symbol: str
    tick_size: float
    align: Align
    zones: tuple[str, ...]
    hours: _core.Sessions | None
    sources: tuple[Source, ...]
    lateness_ns: int
    late: Late
    horizon_ns: int
    empty: Empty
    flat_limit: int
    split: Split
    restart: _core.Sessions | None
    stamp_arrival: bool
    capacity: int
    book_levels: int
    rules: Rules

    @classmethod
    def of(
        cls,
        instrument: Instrument,
        *,
        align: str,
        source: tuple[Source, ...],
        lateness_ns: int,
        late: Late,
        horizon_ns: int,
        empty: Empty,
        flat_limit: int,
        split: Split,
        restart: Restart,
        capacity: int,
        book_levels: int,
    ) -> Spec:
        own_align = align if instrument.align is None else instrument.align
        own_source, horizon = instrument.source, instrument.horizon
        return cls(
            symbol=instrument.symbol,
            tick_size=float(instrument.tick_size),
            align=alignment(instrument.symbol, own_align, instrument.session),
            zones=zones(own_align, instrument.session),
            hours=hours(instrument.session),
            sources=source if own_source is None else sources("source", own_source),
            lateness_ns=lateness_ns
            if instrument.lateness is None
            else duration_ns("lateness", instrument.lateness),
            late=instrument.late or late,
            horizon_ns=horizon_ns if horizon is None else duration_ns("horizon", horizon),
            empty=instrument.empty or empty,
            flat_limit=instrument.flat_limit or flat_limit,
            split=instrument.split or split,
            restart=restarts(instrument.symbol, instrument.restart or restart, instrument.session),
            stamp_arrival=instrument.stamp == "arrival",
            capacity=capacity,
            book_levels=book_levels if instrument.book_levels is None else instrument.book_levels,
            rules=instrument.rules,
        )
