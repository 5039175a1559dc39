"""msgpack: `unpackb` of each message, into lists and dictionaries.

It gets every message alone; finding where one ends is not timed.
"""

from __future__ import annotations

from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

from benches.harness import Thunk
from benches.market import Records

from .stamps import microseconds

NAME = "msgpack.unpackb"
DISTRIBUTION = "msgpack"


def prepare(records: Records, per_call: int, keep: bool = False) -> Thunk:
    """The thunk reads every message; it returns them if `keep`, and else drops each at once."""
    ready = [message[1 if message[0] < 0x80 else 2 :] for message in records.one]

    def run() -> list[Any]:
        unpackb = msgpack.unpackb
        if keep:
            return [unpackb(message) for message in ready]
        for message in ready:
            unpackb(message)
        return []

    return run


def ticks(outcome: list[Any], records: Records) -> NDArray[np.float64]:
    """Columns as `ours.decoded` has them; partial quotes put together."""
    data = [message[4][1] for message in outcome]
    if records.target == "GatewayTrade":
        trades = [trade for trades in data for trade in trades]
        rows = [
            (microseconds(t["timestamp"]), t["price"], t["volume"], -1.0 if t["type"] else 1.0)
            for t in trades
        ]
        return np.array(rows, np.float64)
    rows: list[tuple[float, ...]] = []
    standing = {"bestBid": np.nan, "bestAsk": np.nan, "lastPrice": np.nan}
    for quote in data:
        standing |= {name: quote[name] for name in standing if name in quote}
        rows.append((microseconds(quote["timestamp"]), *standing.values()))
    return np.array(rows, np.float64)
