"""Everything that can be seen of an engine, so that two can be compared."""

from __future__ import annotations

from typing import Any

import tickwire as tw


def state(engine: tw.Engine) -> dict[str, Any]:
    """Counters, rings, bars of every timeframe and source, newest ticks and closing times."""
    seen: dict[str, Any] = {"all": engine.stats()}
    for symbol in engine.symbols:
        snapshot = engine.snapshot(symbol)
        own: dict[str, Any] = {
            "stats": snapshot.stats,
            "last": repr(snapshot.trade),
            "book": repr(snapshot.quote),
            "trades": engine.trades(symbol).rows(),
            "quotes": engine.quotes(symbol).rows(),
        }
        source = engine.instrument(symbol).source or "trade"
        for one in (source,) if isinstance(source, str) else source:
            own[f"closing {one}"] = snapshot.closing_time(one)
            for timeframe in engine.timeframes:
                own[f"{one} {timeframe}"] = snapshot.bars(timeframe, partial=True, source=one).rows()
        seen[symbol] = own
    return seen


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
