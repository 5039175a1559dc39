"""What a demo shows fits its window, and says what is there."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

import tickwire as tw
from tickwire.cli import screen
from tickwire.health import Health, Reason, Signals

SYMBOLS = {"CON.F.US.EP.Z26": (0.25, 6_450.25), "CON.F.US.TYA.Z26": (0.015625, 111.515625)}
START_NS = 1_700_000_000_000_000_000
SECOND_NS = 1_000_000_000


def view(*, ticks: int = 3, rejections: dict[str, int] | None = None) -> screen.View:
    """A view of a real engine; the seconds' prices are start, start + 1 tick, …"""
    engine = tw.Engine(
        [tw.Instrument(symbol, tick_size=size) for symbol, (size, _) in SYMBOLS.items()],
        timeframes=["1s", "1m"],
    )
    rows = []
    names = screen.short_names(engine.symbols)
    for symbol, (size, start) in SYMBOLS.items():
        for number in range(ticks):
            assert engine.push_trade(symbol, START_NS + number * SECOND_NS, start + number * size, 12)
        cut = engine.snapshot(symbol)
        for timeframe in engine.timeframes:
            opened = cut.open_bars(timeframe)
            rows.append(
                screen.Row(
                    names[symbol],
                    timeframe,
                    screen.places(size),
                    opened[-1] if opened else None,
                    cut.closed_bar(timeframe),
                )
            )
    refused = rejections or {}
    stats = engine.stats() | {"rejections": refused, "rejected": sum(refused.values())}
    return screen.View(
        elapsed_s=3.2,
        total_s=30.0,
        asked=10_000.0,
        rate=9_987.4,
        stats=stats,
        latency_us={"engine": {"p50": 120.0, "p99": 2_500.0}, "strategy": {"p50": None, "p99": None}},
        ring=0.25,
        waiting=3,
        shed=0,
        memory_bytes=1_500_000,
        state="live",
        health=Health(
            72.4, "degraded", (Reason("late data", 25.0, "3 s"),), 100.0, 5.0, Signals(connected=True)
        ),
        bars_closed=4,
        rows=tuple(rows),
    )


def drawn(shown: screen.View, width: int, height: int | None = None) -> list[str]:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(screen.screen(shown, console, height=height))
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


@pytest.mark.parametrize("width", [48, 60, 79, 80, 100, 120, 200])
def test_lines_fit_the_width_and_no_cell_is_cut(width: int) -> None:
    lines = drawn(view(), width)
    assert max(map(len, lines)) <= width
    table = [line for line in lines if " 1s " in line or " 1m " in line]
    assert len(table) == 4
    assert not any("…" in line for line in table)
    # The close of the open bar is there at any width.
    assert any("111.546875" in line for line in table)


def test_a_wide_window_shows_both_bars_in_full() -> None:
    lines = drawn(view(), 140)
    (row,) = [line.split() for line in lines if line.lstrip().startswith("EP.Z26")]
    opened = ["6450.75"] * 4 + ["12"]
    closed = ["22:13:21", *["6450.50"] * 4, "12"]
    assert row == ["EP.Z26", "1s", *opened, *closed]


def test_80_columns_show_the_open_bar_in_full_and_the_end_of_the_closed_one() -> None:
    (row,) = [line.split() for line in drawn(view(), 80) if line.lstrip().startswith("EP.Z26")]
    assert row[:7] == ["EP.Z26", "1s", *["6450.75"] * 4, "12"]
    assert row[-2:] == ["6450.50", "12"]


@pytest.mark.parametrize("height", [10, 12, 13, 14, 40])
def test_a_low_window_names_what_it_leaves_out(height: int) -> None:
    lines = drawn(view(), 80, height)
    assert len(lines) <= max(height, 12)
    shown = sum(" 1s " in line or " 1m " in line for line in lines)
    left = 4 - shown
    assert any(f"and {left} more" in line for line in lines) == (left > 0)


def test_header_numbers() -> None:
    text = "\n".join(drawn(view(rejections={"late": 2, "band": 1_000}), 100))
    for piece in (
        "live",
        "3 of 30 s",
        "9,987/s of 10,000 asked",
        "120/2,500",
        "ring 25%",
        "waiting 3",
        "1.5 MB",
        "72 degraded   late data -25",
    ):
        assert piece in text
    assert "1,002   late 2   band 1,000" in text
    assert "to strategy -/-" in text


def test_no_ticks_yet() -> None:
    lines = drawn(view(ticks=0), 100)
    (row,) = [line.split() for line in lines if line.lstrip().startswith("EP.Z26")]
    assert set(row[2:]) == {"-"}


def test_a_line_for_a_log_holds_the_counts() -> None:
    line = screen.line(view())
    assert "\n" not in line
    assert "received 6" in line
    assert "bars closed 4" in line
    assert "health 72 degraded" in line


def test_short_names_stay_apart() -> None:
    assert screen.short_names(["CON.F.US.EP.Z26", "CON.F.US.EP.H27"]) == {
        "CON.F.US.EP.Z26": "EP.Z26",
        "CON.F.US.EP.H27": "EP.H27",
    }
    same_end = ["CON.F.US.EP.Z26", "CON.F.EU.EP.Z26"]
    assert screen.short_names(same_end) == {symbol: symbol for symbol in same_end}


@pytest.mark.parametrize(
    ("size", "places"), [(0.25, 2), (0.015625, 6), (5e-05, 5), (1.0, 0), (10.0, 0), (0.1, 1)]
)
def test_places(size: float, places: int) -> None:
    assert screen.places(size) == places
