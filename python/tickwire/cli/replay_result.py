"""What `tickwire replay` prints: a table for people, or one JSON object."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .output import print_json, results_console

if TYPE_CHECKING:
    import polars as pl

    from tickwire.engine import Engine

__all__ = ["Result", "show"]


@dataclass(frozen=True, slots=True)
class Result:
    """The bars of a file, where they went, and what was found of its quality if that was asked."""

    file: Path
    out: Path | None
    engine: Engine
    bars: pl.DataFrame
    quality: dict[str, Any] | None
    seconds: float

    def groups(self) -> pl.DataFrame:
        """One row per instrument, timeframe and source: how many bars, the first, the last."""
        import polars as pl

        keys = ["instrument", "timeframe", "source"]
        return self.bars.group_by(keys, maintain_order=True).agg(
            pl.len().alias("bars"),
            (~pl.col("complete")).sum().alias("incomplete"),
            pl.col("ts").first().alias("first"),
            pl.col("ts").last().alias("last"),
        )


def show(result: Result, as_json: bool) -> None:
    """Print it, as a table with some lines below or as one JSON object."""
    stats: dict[str, Any] = result.engine.stats()
    if as_json:
        groups = result.groups().with_columns(_time_text("first"), _time_text("last"))
        quality = {} if result.quality is None else {"quality": result.quality["instruments"]}
        print_json(
            {
                "file": str(result.file),
                "received": stats["received"],
                "accepted": stats["accepted"],
                "rejected": stats["rejected"],
                "rejections": stats["rejections"],
                "flags": stats["flags"],
                "bars": result.bars.height,
                "tick_sizes": {
                    symbol: result.engine.instrument(symbol).tick_size for symbol in result.engine.symbols
                },
                "groups": groups.to_dicts(),
                "out": None if result.out is None else str(result.out),
                "seconds": round(result.seconds, 3),
            }
            | quality
        )
        return
    _print_table(result, stats)


def _time_text(name: str) -> pl.Expr:
    import polars as pl

    return pl.col(name).dt.strftime("%Y-%m-%dT%H:%M:%S%.fZ")


def _print_table(result: Result, stats: dict[str, Any]) -> None:
    from rich import box
    from rich.table import Table

    groups = result.groups()
    several = groups["source"].n_unique() > 1
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True, show_edge=False)
    for header in ("instrument", "timeframe", *(["source"] if several else [])):
        table.add_column(header, no_wrap=True)
    table.add_column("bars", justify="right", no_wrap=True)
    for header in ("first bar (UTC)", "last bar (UTC)"):
        table.add_column(header, no_wrap=True)
    for row in groups.iter_rows(named=True):
        table.add_row(
            row["instrument"],
            row["timeframe"],
            *([row["source"]] if several else []),
            f"{row['bars']:,}",
            f"{row['first']:%Y-%m-%d %H:%M:%S}",
            f"{row['last']:%Y-%m-%d %H:%M:%S}",
        )
    rate = stats["received"] / result.seconds
    lines = [
        f"{stats['received']:,} ticks in {result.seconds:.2f} s ({rate:,.0f}/s, reading the file included)",
        f"accepted {stats['accepted']:,}, rejected {stats['rejected']:,}{_reasons(stats['rejections'])}",
    ]
    if stats["flags"]:
        lines.append(f"flagged and kept{_reasons(stats['flags'])}")
    if incomplete := int(groups["incomplete"].sum()):
        count = f"{incomplete:,} of the {result.bars.height:,} bars"
        lines.append(f"{count} end after the last tick of the file (complete=false)")
    if result.out is not None:
        lines.append(f"{result.bars.height:,} bars written to {result.out}")
    if result.quality is not None:
        from .quality_page import lines as quality_lines

        lines += quality_lines(result.quality)
    console = results_console()
    console.print(table)
    console.print()
    for line in lines:
        console.print(line, soft_wrap=True)


def _reasons(counts: dict[str, int]) -> str:
    return ": " + ", ".join(f"{reason} {count:,}" for reason, count in counts.items()) if counts else ""
