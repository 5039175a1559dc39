"""A crossing of two moving averages in asyncio, beside a task that watches the connection.

Three made-up hours come through an embedded hub, much faster than they took:
`python examples/moving_average_cross.py`. `clock="event"` leaves the time to the data; live, the
default closes a quiet minute's bar by the clock.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import math
from collections import deque
from itertools import islice
from statistics import fmean

import numpy as np
import polars as pl

import tickwire as tw

SYMBOL = "CON.F.US.GCE.Z26"
FAST, SLOW = 5, 20
MINUTES = 180
TICKS_PER_MINUTE = 120


def recording() -> pl.DataFrame:
    """Trades that swing around 2,000 in steps of 0.1, with a little noise."""
    random = np.random.default_rng(7)
    minutes = np.arange(MINUTES * TICKS_PER_MINUTE) / TICKS_PER_MINUTE
    price = 2_000 + 8 * np.sin(2 * math.pi * minutes / 60) + random.normal(0, 0.3, len(minutes))
    return pl.DataFrame(
        {
            "ts_event": 1_700_000_040_000_000_000 + (minutes * 60e9).astype(np.int64),
            "symbol": SYMBOL,
            "price": np.round(price * 10) / 10,
            "size": random.integers(1, 10, len(minutes)).astype(np.float64),
        }
    )


async def trade(client: tw.Client) -> None:
    """Print every crossing in the recording."""
    closes: deque[float] = deque(maxlen=SLOW)
    side = 0
    # The last minute stays open: nothing comes after it that could close it.
    bars = client.bars("1m")
    for _ in range(MINUTES - 1):
        bar = await anext(bars)
        closes.append(bar.close)
        if len(closes) < SLOW:
            continue
        fast, slow = fmean(islice(closes, SLOW - FAST, None)), fmean(closes)
        now = 1 if fast > slow else -1
        if side not in (0, now):
            when = dt.datetime.fromtimestamp(bar.ts_end / 1e9, dt.timezone.utc)
            print(
                f"{when:%H:%M}: {'buy' if now > 0 else 'sell'} at {bar.close} ({fast:.2f} against {slow:.2f})"
            )
        side = now


async def watch(client: tw.Client) -> None:
    """Say how the connection does, until cancelled."""
    while True:
        status = client.status()
        print(f"connection {status['state']}, {status['received']} ticks so far")
        await asyncio.sleep(0.2)


async def main() -> None:
    engine = tw.Engine(tw.Instrument(SYMBOL, tick_size=0.1), timeframes=["1m"])
    async with (
        tw.sim.Hub(tw.sim.Replay(recording(), rate=20_000)) as hub,
        tw.connect(hub.url, token=hub.token(), engine=engine, streams=["trades"], clock="event") as client,
    ):
        watching = asyncio.create_task(watch(client))
        await trade(client)
        watching.cancel()


if __name__ == "__main__":
    asyncio.run(main())
