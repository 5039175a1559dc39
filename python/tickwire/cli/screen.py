"""What a running demo shows: one frozen `View`, as a terminal table or as a plain line."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from tickwire import _core
    from tickwire.health import Health

__all__ = ["Row", "View", "line", "places", "screen", "short_names"]


@dataclass(frozen=True, slots=True)
class Row:
    """One instrument and timeframe: the bar that is open and the newest closed one."""

    symbol: str
    timeframe: str
    places: int
    opened: _core.Bar | None
    closed: _core.Bar | None


@dataclass(frozen=True, slots=True)
class View:
    """A demo at one moment.

    Attributes:
        elapsed_s: since the start.
        total_s: when it ends; None for no end.
        asked: ticks per second asked of the hub.
        rate: ticks per second that came lately.
        stats: `Engine.stats()`.
        latency_us: p50 and p99 to the engine and to the strategy.
        ring: how full the fullest ring of ticks is, 0 to 1.
        waiting: ticks that the strategy has yet to take.
        shed: ticks that the strategy was too slow for.
        memory_bytes: of the engine.
        state: of the client, or "ended".
        health: of the client, while it was connected.
        bars_closed: over all instruments and timeframes.
        rows: the bars, instrument by instrument.
    """

    elapsed_s: float
    total_s: float | None
    asked: float
    rate: float
    stats: dict[str, Any]
    latency_us: dict[str, dict[str, float | None]]
    ring: float
    waiting: int
    shed: int
    memory_bytes: int
    state: str
    health: Health
    bars_closed: int
    rows: tuple[Row, ...]


def short_names(symbols: Sequence[str]) -> dict[str, str]:
    """Contract ids by their last two parts ("EP.Z26"), where those tell them apart."""
    short = {symbol: ".".join(symbol.split(".")[-2:]) for symbol in symbols}
    return short if len(set(short.values())) == len(symbols) else {symbol: symbol for symbol in symbols}


def places(tick_size: float) -> int:
    """Decimal places of a tick size."""
    exponent = Decimal(repr(tick_size)).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def line(view: View) -> str:
    """One line for a pipe or a log."""
    return (
        f"{view.elapsed_s:5.0f} s  {view.state}  {view.rate:,.0f} ticks/s  received {view.stats['received']:,}  "
        f"rejected {view.stats['rejected']:,}  bars closed {view.bars_closed:,}  "
        f"p50/p99 µs to engine {_quantiles(view, 'engine')}, to strategy {_quantiles(view, 'strategy')}  "
        f"ring {view.ring:.0%}  health {view.health.score:.0f} {view.health.state}"
    )


def screen(view: View, console: Console, *, height: int | None) -> Group:
    """Header and table, as much of it as the console is wide and `height` lines hold; None holds all."""
    header = _header(view, console.width)
    rows = view.rows
    if height is not None:
        # Beside the rows: the header, a line between, and the three lines that head the table.
        room = max(1, height - header.row_count - 4)
        if len(rows) > room:
            rows = rows[: max(1, room - 1)]
    parts: list[Table | Text] = [header, Text(), _fitting(rows, console)]
    if left := len(view.rows) - len(rows):
        parts.append(Text(f"and {left} more, which a taller window shows", style="dim"))
    return Group(*parts)


# Header


def _header(view: View, width: int) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(no_wrap=True)
    for label, text in (
        ("tickwire", _state(view)),
        ("ticks", _ticks(view)),
        ("rejected", _rejected(view.stats)),
        ("latency", _latency(view)),
        ("buffers", _buffers(view)),
        ("health", _health(view.health)),
    ):
        text.truncate(max(1, width - len("tickwire  ")), overflow="ellipsis")
        grid.add_row(label, text)
    return grid


_STATES = {"live": "green", "ended": "dim"}


def _state(view: View) -> Text:
    text = Text("● ", style=_STATES.get(view.state, "yellow")).append(view.state, style="bold")
    end = "" if view.total_s is None else f" of {view.total_s:,.0f}"
    hint = "" if view.state == "ended" else "   Ctrl-C ends it"
    return text.append(f"   {view.elapsed_s:,.0f}{end} s{hint}", style="dim")


def _ticks(view: View) -> Text:
    text = Text(f"{view.rate:,.0f}/s", style="bold")
    rest = f" of {view.asked:,.0f} asked   {view.stats['received']:,} received   {view.bars_closed:,} bars closed"
    return text.append(rest, style="default not bold")


def _rejected(stats: dict[str, Any]) -> Text:
    text = Text(f"{stats['rejected']:,}", style="red" if stats["rejected"] else "")
    reasons = "   ".join(f"{reason} {count:,}" for reason, count in stats["rejections"].items())
    return text.append(f"   {reasons}") if reasons else text


def _latency(view: View) -> Text:
    text = Text()
    for name in ("engine", "strategy"):
        text.append(f"to {name} ").append(_quantiles(view, name), style="bold").append("   ")
    return text.append("p50/p99 µs", style="dim")


def _buffers(view: View) -> Text:
    memory = f"{view.memory_bytes / 1e6:,.1f} MB"
    return Text(f"ring {view.ring:.0%}   waiting {view.waiting:,}   shed {view.shed:,}   {memory}")


_HEALTH = {"healthy": "green", "degraded": "yellow", "unhealthy": "red", "down": "red"}


def _health(health: Health) -> Text:
    text = Text(f"{health.score:.0f}", style="bold").append(f" {health.state}", style=_HEALTH[health.state])
    reasons = "   ".join(f"{reason.cause} -{reason.deduction:.0f}" for reason in health.reasons)
    return text.append(f"   {reasons}", style="dim not bold") if reasons else text


def _quantiles(view: View, name: str) -> str:
    quantiles = view.latency_us[name]
    return "/".join(
        "-" if value is None else f"{value:,.0f}" for value in (quantiles["p50"], quantiles["p99"])
    )


# Table

_Which = Literal["opened", "closed"]
_PRICES = ("open", "high", "low", "close")
# What is shown of the open and of the closed bar, and the gap between columns; the first that fits.
_LAYOUTS: tuple[tuple[tuple[str, ...], tuple[str, ...], int], ...] = (
    ((*_PRICES, "volume"), ("at", *_PRICES, "volume"), 1),
    ((*_PRICES, "volume"), ("at", *_PRICES, "volume"), 0),
    ((*_PRICES, "volume"), ("at", "close", "volume"), 1),
    ((*_PRICES, "volume"), ("at", "close", "volume"), 0),
    ((*_PRICES, "volume"), ("close", "volume"), 0),
    (("open", "close", "volume"), ("close", "volume"), 0),
    (("close", "volume"), ("close", "volume"), 0),
    (("close",), ("close",), 0),
)
# Room for a price, a volume or a time, so that columns do not jump about as their contents grow.
_CELL = 6
_NOTHING = Text("-", style="dim")


def _fitting(rows: Sequence[Row], console: Console) -> Table:
    """The fullest table that is no wider than the console."""
    for opened, closed, gap in _LAYOUTS:
        table = _table(rows, opened, closed, gap)
        if console.measure(table, options=console.options.update(max_width=10_000)).maximum <= console.width:
            break
    return table


def _table(rows: Sequence[Row], opened: Sequence[str], closed: Sequence[str], gap: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, gap, 0, 0))
    table.add_column(Text("\nsymbol"), no_wrap=True)
    table.add_column("\nbar", no_wrap=True, style="dim")
    for label, names in (("open bar", opened), ("closed", closed)):
        for index, name in enumerate(names):
            # A group is named over its first column only; there is no header that spans several.
            header = Text(f"{label if index == 0 else ''}\n{name}")
            table.add_column(header, justify="right", no_wrap=True, min_width=_CELL)
    previous = ""
    for row in rows:
        # An instrument is named once, so that its timeframes read as one block.
        symbol = row.symbol if row.symbol != previous else ""
        previous = row.symbol
        table.add_row(Text(symbol, style="bold"), row.timeframe, *_cells(row, opened, closed))
    return table


def _cells(row: Row, opened: Sequence[str], closed: Sequence[str]) -> Iterator[Text]:
    for bar, names in ((row.opened, opened), (row.closed, closed)):
        for name in names:
            yield _NOTHING if bar is None else _CELLS[name](bar, row.places)


def _price(name: str) -> Callable[[_core.Bar, int], Text]:
    return lambda bar, places: Text(f"{getattr(bar, name):.{places}f}")


def _close(bar: _core.Bar, places: int) -> Text:
    return Text(f"{bar.close:.{places}f}", style="green" if bar.close >= bar.open else "red")


def _volume(bar: _core.Bar, _: int) -> Text:
    return Text(f"{bar.volume:,.0f}")


def _at(bar: _core.Bar, _: int) -> Text:
    moment = dt.datetime.fromtimestamp(bar.ts / 1e9, dt.timezone.utc)
    # Grey: the bar lacks its beginning, because the demo joined in its middle.
    return Text(f"{moment:%H:%M:%S}", style="" if bar.complete else "dim")


_CELLS: dict[str, Callable[[_core.Bar, int], Text]] = {
    **{name: _price(name) for name in _PRICES},
    "close": _close,
    "volume": _volume,
    "at": _at,
}
