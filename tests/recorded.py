"""Recorded markets as the tables that an engine takes."""

from __future__ import annotations

import math
from pathlib import Path

import polars as pl

import tickwire as tw

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


def push_rows(engine: tw.Engine, frame: pl.DataFrame) -> None:
    """Ticks one by one, trades and quotes as the rows stand, with arrival times where the file has them."""
    recv = "ts_recv_ns" if "ts_recv_ns" in frame.columns else pl.lit(None, pl.Int64).alias("ts_recv_ns")
    columns = frame.select("instrument", "kind", "ts_ns", "price", "size", "bid", "ask", recv)
    absent = math.nan
    for symbol, kind, ts, price, size, bid, ask, ts_recv in columns.iter_rows():
        if kind == "trade":
            engine.push_trade(symbol, ts, price, size, ts_recv=ts_recv)
        else:
            sides = (absent if bid is None else bid, absent if ask is None else ask)
            engine.push_quote(symbol, ts, *sides, ts_recv=ts_recv)
