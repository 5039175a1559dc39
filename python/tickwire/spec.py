"""What an engine is given, as the core wants it: each instrument with the engine's defaults filled in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from . import _core
from .alignment import Align, alignment, check_align, hours, restarts, zones
from .config import (
    MAX_BOOK_LEVELS,
    MAX_FLAT_LIMIT,
    Empty,
    Instrument,
    Late,
    Restart,
    Rules,
    Source,
    Split,
    choice,
    count,
    sources,
)
from .errors import ConfigError
from .units import duration_ns

__all__ = ["DEFAULT_RETAIN", "MAX_CAPACITY", "MAX_RETAIN", "Defaults", "Spec", "listed", "retained"]

DEFAULT_RETAIN = 1_000_000
MAX_CAPACITY = 1 << 26
"""Ticks or bars in one ring; the address space of a larger one is not always to be had."""
MAX_RETAIN = 1 << 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What `Engine` was told for all instruments that say nothing else, checked; see there."""

    align: str
    source: Source | tuple[Source, ...]
    lateness: str
    late: Late
    horizon: str
    empty: Empty
    flat_limit: int
    split: Split
    restart: Restart
    capacity: int
    book_levels: int

    def __post_init__(self) -> None:
        check_align("align", self.align)
        sources("source", self.source)
        duration_ns("lateness", self.lateness)
        choice("late", self.late, Late)
        duration_ns("horizon", self.horizon)
        choice("empty", self.empty, Empty)
        count("flat_limit", self.flat_limit, MAX_FLAT_LIMIT)
        choice("split", self.split, Split)
        choice("restart", self.restart, Restart)
        count("capacity", self.capacity, MAX_CAPACITY)
        count("book_levels", self.book_levels, MAX_BOOK_LEVELS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """One instrument, with nothing left open."""

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
    def of(cls, instrument: Instrument, defaults: Defaults) -> Spec:
        """What the instrument says itself, else what the engine says for all."""
        align = instrument.align or defaults.align
        return cls(
            symbol=instrument.symbol,
            tick_size=float(instrument.tick_size),
            align=alignment(instrument.symbol, align, instrument.session),
            zones=zones(align, instrument.session),
            hours=hours(instrument.session),
            sources=sources("source", instrument.source or defaults.source),
            lateness_ns=duration_ns("lateness", instrument.lateness or defaults.lateness),
            late=instrument.late or defaults.late,
            horizon_ns=duration_ns("horizon", instrument.horizon or defaults.horizon),
            empty=instrument.empty or defaults.empty,
            flat_limit=instrument.flat_limit or defaults.flat_limit,
            split=instrument.split or defaults.split,
            restart=restarts(instrument.symbol, instrument.restart or defaults.restart, instrument.session),
            stamp_arrival=instrument.stamp == "arrival",
            capacity=defaults.capacity,
            book_levels=instrument.book_levels or defaults.book_levels,
            rules=instrument.rules,
        )


def listed(instruments: Instrument | Iterable[Instrument]) -> list[Instrument]:
    """One instrument or several, each symbol once.

    Raises:
        ConfigError: something else, none, or a symbol twice.
    """
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
    return given


def retained(value: int | Mapping[str, int], timeframes: Sequence[str]) -> list[tuple[str, int]]:
    """Each timeframe with the number of closed bars to keep of it."""
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
