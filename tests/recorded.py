"""Recorded markets as the tables that an engine takes."""

from __future__ import annotations

from pathlib import Path

import polars as pl

TRADES = [pl.col("instrument").alias("symbol"), pl.col("ts_ns").alias("ts_event"), "price", "size"]
QUOTES = [
    pl.col("instrument").alias("symbol"),
    pl.col("ts_ns").alias("ts_event"),
    "bid",
    "ask",
    "bid_size",
    "ask_size",
]
OHLC = ["open", "high", "low", "close"]


def ticks(data: Path, name: str) -> pl.DataFrame:
    """A file of ticks as it is, rows in the source's order."""
    return pl.read_parquet(data / "ticks" / f"{name}.parquet")


def published(data: Path, name: str) -> pl.DataFrame:
    """Bars that somebody else computed."""
    return pl.read_parquet(data / "bars" / f"{name}.parquet")


def trades(frame: pl.DataFrame) -> pl.DataFrame:
    """The trades of a file, for `Engine.push_table`."""
    return frame.filter(pl.col("kind") == "trade").select(TRADES)


def quotes(frame: pl.DataFrame) -> pl.DataFrame:
    """The quotes of a file, for `Engine.push_table`."""
    return frame.filter(pl.col("kind") == "quote").select(QUOTES)
