"""Recorded ticks to bars, without any connection: `python examples/replay_file.py [FILE.parquet]`.

The file has the columns symbol, ts_event, price and size, as `Engine.push_table` takes them; without
one, a small one is made. `tickwire replay` does the same from the command line, for more formats.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

import tickwire as tw

TICK_SIZE = 0.25


def sample(path: Path) -> None:
    """Write four hours of two instruments, one price of which is not a price."""
    random = np.random.default_rng(3)
    frames = []
    for symbol, start in (("ESZ5", 6_000.0), ("NQZ5", 21_000.0)):
        count = 20_000
        price = start + TICK_SIZE * np.cumsum(random.integers(-1, 2, count))
        price[count // 2] = np.nan
        times = np.sort(random.integers(0, 4 * 3_600_000_000_000, count))
        ticks = {
            "symbol": symbol,
            "ts_event": 1_700_000_000_000_000_000 + times,
            "price": price,
            "size": random.integers(1, 20, count).astype(np.float64),
        }
        frames.append(pl.DataFrame(ticks))
    pl.concat(frames).sort("ts_event").write_parquet(path)


def replay(path: Path) -> None:
    ticks = pl.read_parquet(path)
    symbols = ticks["symbol"].unique(maintain_order=True)
    engine = tw.Engine([tw.Instrument(symbol, tick_size=TICK_SIZE) for symbol in symbols], ["1m", "5m", "1h"])
    receipt = engine.push_table(ticks)
    print(f"{receipt.received} ticks, {receipt.rejected} rejected: {engine.rejections()}")
    for symbol in symbols:
        print(symbol, engine.bars(symbol, "1h"), sep="\n")
        # Every five minutes beside the last hour that was closed by then: nothing from the future.
        joined = engine.joined(symbol, ["5m", "1h"]).drop_nulls("close_1h")
        above = joined.filter(pl.col("close") > pl.col("close_1h"))
        print(
            f"{symbol}: {above.height} of {joined.height} five-minute bars closed above the hour before them"
        )


def main() -> None:
    if len(sys.argv) > 1:
        replay(Path(sys.argv[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ticks.parquet"
        sample(path)
        replay(path)


if __name__ == "__main__":
    main()
