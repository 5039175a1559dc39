"""`tickwire replay`: recorded ticks in, bars out."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tickwire.errors import ConfigError, ConnectTimeout

from .output import errors_console, names
from .replay_result import Result, show

if TYPE_CHECKING:
    import polars as pl

    from tickwire.engine import Engine

    from .tickfile import TickFile

__all__ = ["replay"]

_CHUNK_ROWS = 65_536
_OUT_SUFFIXES = (".parquet", ".csv", ".arrow", ".feather")
# Ticks are not read back here; the smallest ring that is sure to hold one read does.
_RING_TICKS = 1_024
# Longer than this without a tick, with ticks outstanding, is a fault and no pause: nothing sets a pace.
_HUB_SILENCE_S = 10.0


def replay(
    file: Annotated[
        Path,
        typer.Argument(
            help="Parquet, CSV or Arrow file of ticks: ts_ns or ts_event, instrument or symbol, kind "
            "(trade, quote), price, size, side, bid, bid_size, ask, ask_size.",
            show_default=False,
        ),
    ],
    timeframes: Annotated[
        str,
        typer.Option(
            help="What bars are cut by, commas between: time (1s, 5m, 1h, 1d, 1w, 1mo), trades (100t), volume "
            "(5000v), notional (1e6n), range in ticks (8r), Renko bricks of ticks (8renko)."
        ),
    ] = "1m",
    source: Annotated[
        str | None,
        typer.Option(
            help="What bars are made of, commas between: trade, bid, ask, mid, last.",
            show_default="trade, or bid,ask in a file of quotes",
        ),
    ] = None,
    condition: Annotated[
        str | None,
        typer.Option(
            "--filter", help="Take only rows for which this SQL condition holds: \"basis IN ('C', 'E')\"."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the bars to this file: .parquet, .csv, .arrow or .feather.")
    ] = None,
    closed_only: Annotated[
        bool,
        typer.Option(
            "--closed-only",
            help="Leave out bars that end after the last tick of the file; they carry complete=false.",
        ),
    ] = False,
    lateness: Annotated[str, typer.Option(help='How long bars wait for late ticks, e.g. "500ms".')] = "0s",
    tick_size: Annotated[
        list[str] | None,
        typer.Option(
            help="Tick size of all instruments (0.25) or of one (ES=0.25; may be repeated).",
            show_default="the coarsest grid that all prices lie on",
        ),
    ] = None,
    allow_negative: Annotated[
        bool, typer.Option("--allow-negative", help="Take prices of zero and below as legal.")
    ] = False,
    through_hub: Annotated[
        bool, typer.Option("--through-hub", help="Send the ticks through an embedded hub and a real socket.")
    ] = False,
    report: Annotated[
        bool, typer.Option("--report", help="Judge the quality of the data, too, and say what was found.")
    ] = False,
    report_file: Annotated[
        list[Path] | None,
        typer.Option(help="Write that report to this file: .html or .json; may be repeated."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of a table.")
    ] = False,
) -> None:
    """Make bars of recorded ticks.

    Rows are applied in the order of the file, bars close by the times of the ticks, and what is
    rejected is counted by reason.
    """
    from . import quality, quality_page
    from .tickfile import read

    begun_s = time.perf_counter()
    spans = names("--timeframes", timeframes)
    sizes = _given_sizes(tick_size or [])
    if out is not None:
        _check_out("--out", out, _OUT_SUFFIXES, file)
    for path in report_file or []:
        _check_out("--report-file", path, quality_page.FORMATS, file)
    ticks = read(file, condition)
    sources = _sources(source, ticks, through_hub)
    engine = _engine(ticks, spans, sources, lateness, allow_negative, sizes)
    with _Progress(ticks.ticks.height, shown=not as_json) as advance:
        if through_hub:
            _through_hub(engine, ticks, advance)
        else:
            _straight(engine, ticks, advance)
    if ticks.last_ns is not None:
        # Nothing more comes: an instrument that was quiet at the end has closed its bars, too.
        engine.advance(ticks.last_ns)
    bars = _bars(engine, sources, partial=not closed_only)
    if out is not None:
        _write(bars, out)
    seconds = time.perf_counter() - begun_s
    judged = None
    if report or report_file:
        judged = quality.report(file, ticks, engine)
        quality_page.write(judged, report_file or [])
    show(Result(file, out, engine, bars, judged if report else None, seconds), as_json)


# Arguments


def _given_sizes(texts: list[str]) -> dict[str | None, Decimal]:
    """Tick sizes by instrument; None stands for all others."""
    sizes: dict[str | None, Decimal] = {}
    for text in texts:
        symbol, _, number = text.rpartition("=")
        try:
            size = Decimal(number)
        except InvalidOperation:
            size = Decimal(0)
        if not (size.is_finite() and size > 0):
            raise ConfigError(
                f"--tick-size: got {text!r}, expected a number above zero such as 0.25, or ES=0.25"
            )
        sizes[symbol or None] = size
    return sizes


def _check_out(option: str, out: Path, suffixes: tuple[str, ...], file: Path) -> None:
    # Before the work is done, not after it.
    if out.suffix.lower() not in suffixes:
        raise ConfigError(f"{option}: got {out}, expected a name that ends in {', '.join(suffixes)}")
    if not out.parent.is_dir():
        raise ConfigError(f"{option}: the folder {out.parent} does not exist")
    if out.exists() and file.exists() and out.samefile(file):
        raise ConfigError(f"{option}: {out} is the file that is replayed; give another name")


def _sources(text: str | None, ticks: TickFile, through_hub: bool) -> tuple[Any, ...]:
    kinds = ticks.kinds
    if text is None:
        return ("trade",) if "trade" in kinds else ("bid", "ask")
    from tickwire.config import sources

    chosen = sources("--source", tuple(names("--source", text)))  # type: ignore[arg-type]  # checked there
    for one in chosen:
        if one == "trade" and "trade" not in kinds:
            raise ConfigError("--source trade: the file has no trades")
        if one != "trade" and "quote" not in kinds:
            raise ConfigError(f"--source {one}: the file has no quotes")
    if "last" in chosen and through_hub:
        raise ConfigError("--source last: a hub works out last prices by itself; leave out --through-hub")
    if "last" in chosen and not ticks.has("last"):
        raise ConfigError("--source last: the file has no column 'last', or nothing in it")
    return chosen


def _engine(
    ticks: TickFile,
    timeframes: list[str],
    sources: tuple[Any, ...],
    lateness: str,
    allow_negative: bool,
    given: dict[str | None, Decimal],
) -> Engine:
    from tickwire.config import Instrument, Rules
    from tickwire.engine import MAX_RETAIN, Engine

    wanted = {symbol: size for symbol, size in given.items() if symbol is not None}
    if None in given:
        wanted = dict.fromkeys(ticks.symbols, given[None]) | wanted
    sizes = ticks.tick_sizes(wanted)
    rules = Rules(allow_negative=allow_negative)
    return Engine(
        [Instrument(symbol, tick_size=float(size), rules=rules) for symbol, size in sizes.items()],
        timeframes,
        capacity=_RING_TICKS,
        # Every bar is wanted.
        retain=MAX_RETAIN,
        source=sources,
        lateness=lateness,
    )


# Work


class _Progress:
    """A bar on stderr while the work lasts, for people only; entering it gives the function to call with
    the number of ticks done.
    """

    def __init__(self, total: int, *, shown: bool) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TaskProgressColumn,
            TimeRemainingColumn,
        )

        console = errors_console()
        columns = (BarColumn(), TaskProgressColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(
            *columns, console=console, transient=True, disable=not (shown and console.is_terminal)
        )
        self._task = self._progress.add_task("ticks", total=total)

    def __enter__(self) -> Callable[[int], None]:
        self._progress.start()
        return lambda done: self._progress.update(self._task, completed=done)

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


def _straight(engine: Engine, ticks: TickFile, advance: Callable[[int], None]) -> None:
    rows = ticks.ticks.height
    for first in range(0, rows, _CHUNK_ROWS):
        for table in ticks.tables(first, _CHUNK_ROWS):
            engine.push_table(table)
        advance(min(first + _CHUNK_ROWS, rows))


def _through_hub(engine: Engine, ticks: TickFile, advance: Callable[[int], None]) -> None:
    from tickwire.connecting import connect
    from tickwire.sim import Hub, Replay

    streams = [f"{kind}s" for kind in sorted(ticks.kinds)]
    rows = ticks.ticks.height
    with (
        # Several records share a message, as many as a busy hub would send in one go.
        Hub(Replay(ticks.ticks), records_per_message=32) as hub,
        connect(hub.url, token=hub.token(), engine=engine, streams=streams, clock="event"),
    ):
        seen, seen_s = 0, time.monotonic()
        while seen < rows:
            time.sleep(0.01)
            now = engine.stats()["received"]
            if now > seen:
                seen, seen_s = now, time.monotonic()
                advance(now)
            elif time.monotonic() - seen_s > _HUB_SILENCE_S:
                raise ConnectTimeout(
                    f"the hub fell silent for {_HUB_SILENCE_S} s after {seen} of {rows} ticks"
                )


def _bars(engine: Engine, sources: tuple[Any, ...], *, partial: bool) -> pl.DataFrame:
    """All bars in one table, by instrument, timeframe, source and time."""
    import polars as pl

    frames = [
        engine.bars(symbol, timeframe, partial=partial, source=source).select(
            pl.lit(symbol).alias("instrument"),
            pl.lit(timeframe).alias("timeframe"),
            pl.lit(source).alias("source"),
            pl.all(),
        )
        for symbol in engine.symbols
        for timeframe in engine.timeframes
        for source in sources
    ]
    # Only bars that are cut by their ticks say when they ended.
    return pl.concat(frames, how="diagonal")


def _write(bars: pl.DataFrame, out: Path) -> None:
    match out.suffix.lower():
        case ".parquet":
            bars.write_parquet(out)
        case ".csv":
            bars.write_csv(out, datetime_format="%Y-%m-%dT%H:%M:%S%.9fZ")
        case _:
            bars.write_ipc(out)
