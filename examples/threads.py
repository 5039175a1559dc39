"""Plain threads on one engine: two write, one reads bars as they close, one looks at frames.

An engine needs no lock of yours. Every reader sees whole updates, and every count is kept:
`python examples/threads.py`.
"""

from __future__ import annotations

import threading

import numpy as np
import polars as pl

import tickwire as tw

SYMBOLS = ("ESZ5", "NQZ5")
SECONDS = 600
TICKS = 300_000
START_NS = 1_700_000_000_000_000_000


def write(engine: tw.Engine, symbol: str, seed: int) -> None:
    """Ten minutes of trades, twenty at a time."""
    random = np.random.default_rng(seed)
    times = START_NS + np.arange(TICKS, dtype=np.int64) * (SECONDS * 1_000_000_000 // TICKS)
    prices = 5_000 + 0.25 * np.cumsum(random.integers(-1, 2, TICKS))
    sizes = random.integers(1, 10, TICKS).astype(np.float64)
    for first in range(0, TICKS, 20):
        part = slice(first, first + 20)
        engine.push_trades(symbol, ts_event=times[part], price=prices[part], size=sizes[part])


def count_bars(bars: tw.Subscription, counts: dict[str, int]) -> None:
    """Take every bar until the subscription is closed."""
    for bar in bars:
        counts[bar.symbol] += 1


def look(engine: tw.Engine, done: threading.Event) -> None:
    """Read frames and consistent cuts all the while."""
    looks = 0
    while not done.is_set():
        for symbol in SYMBOLS:
            cut = engine.snapshot(symbol)
            whole, parts = cut.bars("1m"), cut.bars("1s")
            if whole.is_empty():
                continue
            # The minutes that are closed hold exactly the seconds that lie in them.
            ends = whole["ts"].dt.offset_by("1m").max()
            inside = parts.filter(pl.col("ts") < ends)
            assert whole["trades"].sum() == inside["trades"].sum()
        looks += 1
    print(f"looked {looks} times at {len(SYMBOLS)} instruments, and every minute was the sum of its seconds")


def main() -> None:
    engine = tw.Engine([tw.Instrument(symbol, tick_size=0.25) for symbol in SYMBOLS], timeframes=["1s", "1m"])
    bars = engine.subscribe(bars=["1s"])
    counts = dict.fromkeys(SYMBOLS, 0)
    done = threading.Event()
    writers = [
        threading.Thread(target=write, args=(engine, symbol, seed)) for seed, symbol in enumerate(SYMBOLS)
    ]
    readers = [
        threading.Thread(target=count_bars, args=(bars, counts)),
        threading.Thread(target=look, args=(engine, done)),
    ]
    for thread in (*readers, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    bars.close()
    for thread in readers:
        thread.join()
    stats = engine.stats()
    print(f"{stats['received']} ticks received, {stats['accepted']} accepted, bars taken: {counts}")


if __name__ == "__main__":
    main()
