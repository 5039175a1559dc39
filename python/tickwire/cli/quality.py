"""The quality of recorded ticks: what `tickwire replay --report` says of a file.

Every tick is judged by the rules, instrument by instrument, trades and quotes apart, in the order of the
file; what only looks odd is flagged. Late ticks depend on the bars, so the engine that made those says
how many there were. Nothing is judged by arrival times; where the file has them, the report says how the
clocks compare.

A report is a plain dict, the same as its JSON. Times are text, ISO 8601 in UTC with all nanoseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from tickwire.config import Instrument, Rules
from tickwire.validator import Validator

from .tickfile import TickFile

if TYPE_CHECKING:
    from tickwire.engine import Engine

__all__ = ["assess", "report"]

_NO_TIME = -(2**63)
_GAPS = 5
_LOOKS_ODD = ("spike", "outsize", "zero_size", "backwards", "locked", "one_sided", "duplicate")
_TRADE = ("price", "size", "side")
_QUOTE = ("bid", "ask", "bid_size", "ask_size", "last")


def report(file: Path, ticks: TickFile, engine: Engine) -> dict[str, Any]:
    """The report of a file whose ticks the engine has been given."""
    instruments = [engine.instrument(symbol) for symbol in ticks.symbols]
    return {
        "file": str(file),
        "timeframes": list(engine.timeframes),
        "instruments": assess(
            ticks,
            {each.symbol: each.tick_size for each in instruments},
            instruments[0].rules,
            {each.symbol: engine.rejections(each.symbol).get("late", 0) for each in instruments},
        ),
    }


def assess(
    ticks: TickFile, tick_sizes: Mapping[str, float], rules: Rules, late: Mapping[str, int]
) -> list[dict[str, Any]]:
    """One report per instrument, in order of their first ticks. `late` counts late ticks by symbol."""
    odd: dict[str, Any] = dict.fromkeys(_LOOKS_ODD, "flag")
    sharp = replace(rules, **odd)
    return [
        _instrument(part, Instrument(str(symbol), tick_size=tick_sizes[str(symbol)], rules=sharp))
        | {"late": late.get(str(symbol), 0)}
        for (symbol,), part in ticks.ticks.group_by("symbol", maintain_order=True)
    ]


def _instrument(ticks: pl.DataFrame, instrument: Instrument) -> dict[str, Any]:
    validator = Validator(instrument)
    trades, quotes = (ticks.filter(pl.col("kind") == kind) for kind in ("trade", "quote"))
    judged = [
        part.hstack(verdicts)
        for part, verdicts in (
            (trades, validator.trades(**_columns(trades, _TRADE))),
            (quotes, validator.quotes(**_columns(quotes, _QUOTE))),
        )
    ]
    times = ticks["ts_event"].drop_nulls()
    return {
        "symbol": instrument.symbol,
        "tick_size": instrument.tick_size,
        "ticks": ticks.height,
        "trades": trades.height,
        "quotes": quotes.height,
        "first": _text(times.min()),
        "last": _text(times.max()),
        "findings": [finding for part in judged for finding in _findings(part)],
        "out_of_order": {"trades": _order(trades), "quotes": _order(quotes)},
        "same_rows": {"trades": _repeated(trades, _TRADE), "quotes": _repeated(quotes, _QUOTE)},
        "gaps": _gaps(times),
        "spread": _spread(quotes, instrument.tick_size),
        "clock": _clock(ticks),
    }


def _columns(part: pl.DataFrame, names: tuple[str, ...]) -> dict[str, Any]:
    """What a `Validator` takes."""
    columns: dict[str, Any] = {"ts_event": part["ts_event"].fill_null(_NO_TIME).to_numpy()}
    for name in names:
        column = part[name]
        columns[name] = column.to_numpy() if name == "side" else column.fill_null(float("nan")).to_numpy()
    return columns


def _findings(judged: pl.DataFrame) -> list[dict[str, Any]]:
    """What was rejected or flagged, by reason: how often, and the first and last example."""
    rejected = judged.filter(~pl.col("accepted")).with_columns(action=pl.lit("rejected"))
    flagged = (
        judged.filter(pl.col("flags").list.len() > 0)
        .with_columns(action=pl.lit("flagged"), reason=pl.col("flags"))
        .explode("reason")
    )
    findings = []
    for part in (rejected, flagged):
        groups = part.sort("row").group_by("reason", maintain_order=True)
        for (reason,), group in sorted(groups, key=lambda pair: -pair[1].height):
            findings.append(
                {
                    "reason": reason,
                    "kind": group["kind"][0],
                    "action": group["action"][0],
                    "count": group.height,
                    "share": group.height / judged.height,
                    "first": _example(group.row(0, named=True)),
                    "last": _example(group.row(-1, named=True)),
                }
            )
    return findings


def _example(row: dict[str, Any]) -> dict[str, Any]:
    """One tick: its row in the file, its time, and the numbers it has."""
    names = ("price", "size") if row["kind"] == "trade" else _QUOTE
    # NaN and infinities are no JSON, and just what some examples are about.
    values = {name: row[name] for name in names if row[name] is not None}
    return {"row": row["row"], "ts_event": _text(row["ts_event"])} | {
        name: value if abs(value) < float("inf") else str(value) for name, value in values.items()
    }


def _order(part: pl.DataFrame) -> dict[str, Any]:
    """Ticks behind the newest event time before them, and by how much at most."""
    times = part["ts_event"].drop_nulls()
    behind = times.cum_max() - times
    return {"count": int((behind > 0).sum()), "most_s": _seconds(behind.max())}


def _repeated(part: pl.DataFrame, names: tuple[str, ...]) -> int:
    """Rows that repeat an earlier one in time and all values, wherever it stands."""
    columns = ["ts_event", *names]
    return part.height - part.select(columns).unique().height


def _gaps(times: pl.Series) -> list[dict[str, Any]]:
    """The longest times without any tick."""
    ordered = times.sort()
    gaps = pl.DataFrame({"start": ordered, "length": ordered.shift(-1) - ordered}).drop_nulls()
    return [
        {"start": _text(start), "end": _text(start + length), "length_s": _seconds(length)}
        for start, length in gaps.top_k(_GAPS, by="length").iter_rows()
        if length > 0
    ]


def _spread(quotes: pl.DataFrame, tick_size: float) -> dict[str, Any] | None:
    """How bid and ask compare; None without quotes."""
    if not quotes.height:
        return None
    spread = quotes["ask"] - quotes["bid"]
    proper = spread.filter(spread > 0) / tick_size
    shares = {
        "crossed": (spread < 0).sum(),
        "locked": (spread == 0).sum(),
        "one_sided": (quotes["ask"].is_null() != quotes["bid"].is_null()).sum(),
    }
    return {
        "median_ticks": proper.median(),
        "p95_ticks": proper.quantile(0.95),
        "max_ticks": proper.max(),
    } | {f"{name}_share": int(count) / quotes.height for name, count in shares.items()}


def _clock(ticks: pl.DataFrame) -> dict[str, Any] | None:
    """Arrival less event time; None where the file has no arrivals."""
    delay = (ticks["ts_recv"] - ticks["ts_event"]).drop_nulls()
    if not len(delay):
        return None
    return {
        "ticks": len(delay),
        "min_s": _seconds(delay.min()),
        "median_s": _seconds(delay.median()),
        "p99_s": _seconds(delay.quantile(0.99)),
        "max_s": _seconds(delay.max()),
        "before_event_share": int((delay < 0).sum()) / len(delay),
    }


def _seconds(ns: Any) -> float | None:
    return None if ns is None else float(ns) / 1e9


def _text(ns: Any) -> str | None:
    if ns is None:
        return None
    text = pl.Series([ns], dtype=pl.Int64).cast(pl.Datetime("ns")).dt.strftime("%Y-%m-%dT%H:%M:%S%.9fZ")
    return str(text[0])
