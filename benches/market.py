"""Seeded input: trades as columns, and hub records as JSON text with 0x1E after each, or packed.

Every run gets the same. Records differ in prices, sizes, times and in how long they are, so that no
branch predictor learns them by heart; event times never go back.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgpack
import numpy as np
from numpy.typing import NDArray

__all__ = ["SYMBOL", "TICK_SIZE", "TIMEFRAMES", "Records", "Trades", "records", "trades"]

SYMBOL = "CON.F.US.EP.Z25"
TICK_SIZE = 0.25
TIMEFRAMES = ("1s", "5s", "15s", "30s", "1m", "5m", "15m", "1h")

_START_NS = 1_700_006_400 * 10**9
"""2023-11-15T00:00:00Z, a border of every timeframe."""


@dataclass(frozen=True, slots=True)
class Trades:
    """Trades of one instrument: int64 ns UTC, float64, float64; sizes are whole numbers."""

    ts_event: NDArray[np.int64]
    price: NDArray[np.float64]
    size: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.ts_event)

    def head(self, count: int) -> Trades:
        """The first `count`."""
        return Trades(self.ts_event[:count], self.price[:count], self.size[:count])


def trades(count: int, per_second: float, seed: int = 1) -> Trades:
    """A random walk on the tick grid at random times, `per_second` on average, one in every second
    at least: engines differ in what they make of a second without trades.
    """
    rng = np.random.default_rng(seed)
    seconds = max(1, round(count / per_second))
    second = np.concatenate(
        [np.arange(min(seconds, count)), rng.integers(0, seconds, max(0, count - seconds))]
    )
    offset = rng.integers(0, 10**9, count)
    ts = np.sort(_START_NS + second * 10**9 + offset)
    steps = np.round(np.cumsum(rng.integers(-1, 2, count)) * 0.2)
    # Reflected, so that a long walk stays within the range of a trading day.
    folded = np.abs((steps + 400) % 1_600 - 800)
    return Trades(ts, 4_500 + TICK_SIZE * folded, rng.integers(1, 20, count).astype(np.float64))


@dataclass(frozen=True, slots=True)
class Records:
    """Hub records of one kind.

    Attributes:
        name: the kind.
        target: the hub's event.
        one: each record, its terminator included.
        ticks: ticks in all of them.
        protocol: how they are written.
    """

    name: str
    target: str
    one: list[bytes]
    ticks: int
    protocol: Literal["json", "messagepack"] = "json"

    def packed(self) -> Records:
        """The same as MessagePack messages, each behind its length."""
        return replace(
            self, one=[_packed(json.loads(record[:-1])) for record in self.one], protocol="messagepack"
        )

    def payloads(self, per_call: int) -> list[bytes]:
        """The records in runs of `per_call`."""
        if per_call == 1:
            return self.one
        return [b"".join(self.one[at : at + per_call]) for at in range(0, len(self.one), per_call)]


def records(count: int, seed: int = 2) -> list[Records]:
    """Records of every kind: a trade, five trades, a full quote, a partial quote."""
    rng = np.random.default_rng(seed)
    price = (4_500 + TICK_SIZE * np.cumsum(rng.integers(-1, 2, 5 * count))).tolist()
    size = (1 + rng.integers(0, 4, 5 * count) * rng.integers(0, 4, 5 * count)).tolist()
    side = rng.integers(0, 2, 5 * count).tolist()
    time_ms = np.cumsum(rng.integers(0, 100, 5 * count)).tolist()
    stamp = [_iso(ms) for ms in time_ms]
    change = rng.integers(1, 4, count).tolist()
    away = (TICK_SIZE * rng.integers(1, 9, (2, count))).tolist()

    def trade(n: int) -> str:
        return (
            f'{{"symbolId":"F.US.EP","price":{price[n]},"timestamp":"{stamp[n]}",'
            f'"type":{side[n]},"volume":{size[n]}}}'
        )

    def full(n: int) -> str:
        return (
            f'{{"symbol":"F.US.EP","symbolName":"/ES","lastPrice":{price[n]},"bestBid":{price[n] - 0.25},'
            f'"bestAsk":{price[n]},"change":{price[n] - 4_490.0},"changePercent":0.{10 + size[n]},'
            f'"open":4490.00,"high":4910.00,"low":4180.00,"volume":{12_000 + n},'
            f'"lastUpdated":"{stamp[n]}","timestamp":"{stamp[n]}"}}'
        )

    def partial(n: int) -> str:
        # Around a fixed middle: a bid that stands while the ask moves must not come to lie above it.
        bid = f'"bestBid":{4_500 - away[0][n]},' if change[n] & 1 else ""
        ask = f'"bestAsk":{4_500 + away[1][n]},' if change[n] & 2 else ""
        return f'{{"symbol":"F.US.EP",{bid}{ask}"lastUpdated":"{stamp[n]}","timestamp":"{stamp[n]}"}}'

    rows = range(count)
    return [
        Records("trade", "GatewayTrade", [_record("GatewayTrade", f"[{trade(n)}]") for n in rows], count),
        Records(
            "five trades",
            "GatewayTrade",
            [
                _record("GatewayTrade", f"[{','.join(trade(5 * n + k) for k in range(5))}]")
                for n in range(count)
            ],
            5 * count,
        ),
        Records("full quote", "GatewayQuote", [_record("GatewayQuote", full(n)) for n in rows], count),
        Records("partial quote", "GatewayQuote", [_record("GatewayQuote", partial(n)) for n in rows], count),
    ]


def _record(target: str, data: str) -> bytes:
    return f'{{"type":1,"target":"{target}","arguments":["{SYMBOL}",{data}]}}\x1e'.encode()


def _packed(record: dict[str, Any]) -> bytes:
    body: bytes = msgpack.packb([1, {}, None, record["target"], record["arguments"], []])
    low, high = len(body) & 0x7F, len(body) >> 7
    return (bytes([low | 0x80, high]) if high else bytes([low])) + body


def _iso(ms: int) -> str:
    moment = dt.datetime.fromtimestamp(_START_NS // 10**9 + ms // 1000, dt.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"
