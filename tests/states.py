"""Everything that can be seen of an engine, so that two can be compared."""

from __future__ import annotations

from typing import Any

import polars as pl

import tickwire as tw

Seen = tuple[dict[str, Any], dict[str, pl.DataFrame]]
"""Counters and the like; rings and bars."""


def frames(engine: tw.Engine) -> dict[str, pl.DataFrame]:
    """Rings and bars of every timeframe and source, as the engine hands them out."""
    made = {}
    for symbol in engine.symbols:
        made[f"{symbol} trades"], made[f"{symbol} quotes"] = engine.trades(symbol), engine.quotes(symbol)
        snapshot = engine.snapshot(symbol)
        for source in sources(engine, symbol):
            for timeframe in engine.timeframes:
                bars = snapshot.bars(timeframe, partial=True, source=source)
                made[f"{symbol} {source} {timeframe}"] = bars
    return made


def sources(engine: tw.Engine, symbol: str) -> tuple[str, ...]:
    """What an instrument has bars of."""
    source = engine.instrument(symbol).source or "trade"
    return (source,) if isinstance(source, str) else tuple(source)


def state(engine: tw.Engine) -> dict[str, Any]:
    """Counters, rings, bars of every timeframe and source, newest ticks and closing times."""
    return scalars(engine) | {name: frame.rows() for name, frame in frames(engine).items()}


def scalars(engine: tw.Engine) -> dict[str, Any]:
    """Everything else: counters, newest ticks, closing times."""
    made: dict[str, Any] = {"all": engine.stats()}
    for symbol in engine.symbols:
        snapshot = engine.snapshot(symbol)
        own: dict[str, Any] = {
            "stats": snapshot.stats,
            "last": repr(snapshot.trade),
            "book": repr(snapshot.quote),
        }
        for source in sources(engine, symbol):
            own[f"closing {source}"] = snapshot.closing_time(source)
        made[symbol] = own
    return made


def seen(engine: tw.Engine) -> Seen:
    """The same as `state`, in columns: much quicker to take and to compare by `is_same`."""
    return scalars(engine), frames(engine)


def is_same(one: Seen, other: Seen) -> bool:
    """Whether nothing differs."""
    return (
        one[0] == other[0]
        and one[1].keys() == other[1].keys()
        and all(frame.equals(other[1][name]) for name, frame in one[1].items())
    )


def differences(one: dict[str, Any], other: dict[str, Any], where: str = "") -> list[str]:
    """Where two states differ; short, because whole states are long."""
    found = []
    for key in sorted(one.keys() | other.keys()):
        a, b = one.get(key), other.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            found += differences(a, b, f"{where}/{key}")
        elif a != b:
            found.append(f"{where}/{key}: {str(a)[:200]} against {str(b)[:200]}")
    return found
