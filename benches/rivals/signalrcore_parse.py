"""signalrcore: `JsonHubProtocol.parse_messages`, which makes message objects around dictionaries.

It takes text; turning the bytes of a socket into text is not timed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from signalrcore.protocol.json_hub_protocol import JsonHubProtocol

from benches.harness import Thunk
from benches.market import Records

from .stamps import microseconds

NAME = "signalrcore parse"
DISTRIBUTION = "signalrcore"


def prepare(records: Records, per_call: int, keep: bool = False) -> Thunk:
    """The thunk parses every payload; it returns the messages if `keep`, and else drops them at once."""
    protocol = JsonHubProtocol()
    payloads = [payload.decode() for payload in records.payloads(per_call)]

    def run() -> list[Any]:
        parse = protocol.parse_messages
        if keep:
            return [message for payload in payloads for message in parse(payload)]
        for payload in payloads:
            parse(payload)
        return []

    return run


def ticks(outcome: list[Any], records: Records) -> NDArray[np.float64]:
    """Columns as `ours.decoded` has them; partial quotes put together."""
    if records.target == "GatewayTrade":
        trades = [trade for message in outcome for trade in message.arguments[1]]
        rows = [
            (microseconds(t["timestamp"]), t["price"], t["volume"], -1.0 if t["type"] else 1.0)
            for t in trades
        ]
        return np.array(rows, np.float64)
    rows, standing = [], {"bestBid": np.nan, "bestAsk": np.nan, "lastPrice": np.nan}
    for message in outcome:
        quote = message.arguments[1]
        standing |= {name: quote[name] for name in standing if name in quote}
        rows.append((microseconds(quote["timestamp"]), *standing.values()))
    return np.array(rows, np.float64)
