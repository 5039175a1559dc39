"""msgspec: typed structs of exactly the fields that matter, timestamps left as text.

It gets what suits it: with one record per call the terminator is cut off beforehand; with several,
0x1E becomes a line feed and `decode_lines` takes the rest, which is faster than a call per record. The
target is taken as known. It makes objects and nothing else.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from benches.harness import Thunk
from benches.market import Records

from .stamps import microseconds

NAME = "msgspec, typed"
DISTRIBUTION = "msgspec"


class Trade(msgspec.Struct):
    """What a trade needs."""

    price: float
    timestamp: str
    type: int
    volume: float


class Quote(msgspec.Struct, rename="camel"):
    """What a quote needs; a partial one leaves out what did not change."""

    timestamp: str
    best_bid: float | None = None
    best_ask: float | None = None
    last_price: float | None = None


class TradeEvent(msgspec.Struct):
    """A GatewayTrade invocation."""

    type: int
    target: str
    arguments: tuple[str, list[Trade]]


class QuoteEvent(msgspec.Struct):
    """A GatewayQuote invocation."""

    type: int
    target: str
    arguments: tuple[str, Quote]


def prepare(records: Records, per_call: int, keep: bool = False) -> Thunk:
    """The thunk decodes every record; it returns them if `keep`, and else drops each at once."""
    decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(
        TradeEvent if records.target == "GatewayTrade" else QuoteEvent
    )
    payloads = records.payloads(per_call)
    if per_call == 1:
        ready = [payload[:-1] for payload in payloads]

        def one() -> list[Any]:
            decode = decoder.decode
            if keep:
                return [decode(payload) for payload in ready]
            for payload in ready:
                decode(payload)
            return []

        return one

    def many() -> list[Any]:
        decode_lines = decoder.decode_lines
        if keep:
            return [event for payload in payloads for event in decode_lines(payload.replace(b"\x1e", b"\n"))]
        for payload in payloads:
            decode_lines(payload.replace(b"\x1e", b"\n"))
        return []

    return many


def ticks(outcome: list[Any], records: Records) -> NDArray[np.float64]:
    """Columns as `ours.decoded` has them; partial quotes put together."""
    if records.target == "GatewayTrade":
        trades = [trade for event in outcome for trade in event.arguments[1]]
        rows = [(microseconds(t.timestamp), t.price, t.volume, -1.0 if t.type else 1.0) for t in trades]
        return np.array(rows, np.float64)
    rows, standing = [], [np.nan, np.nan, np.nan]
    for event in outcome:
        quote = event.arguments[1]
        sent = (quote.best_bid, quote.best_ask, quote.last_price)
        standing = [old if new is None else new for old, new in zip(standing, sent, strict=True)]
        rows.append((microseconds(quote.timestamp), *standing))
    return np.array(rows, np.float64)
