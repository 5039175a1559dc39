"""aiosignalr's client, told what to do by one JSON line on stdin and reporting in JSON lines.

In and out are those of client.mjs, and so is what it does in between.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections import Counter
from typing import Any

from aiosignalr.client import HubConnection
from aiosignalr.client.retry import RetryContext, RetryPolicy
from aiosignalr.errors import HubException


class AtOnce(RetryPolicy):
    """Three attempts without a pause."""

    def next_retry_delay(self, context: RetryContext) -> float | None:
        return 0.0 if context.previous_retry_count < 3 else None


class Collected(logging.Handler):
    """Keeps what is logged as a warning or worse."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def say(event: str, **fields: Any) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


async def main() -> None:
    loop = asyncio.get_running_loop()
    task = json.loads(await loop.run_in_executor(None, sys.stdin.readline))
    logged = Collected()
    logging.getLogger("aiosignalr").addHandler(logged)
    connection = HubConnection(protocol=task["protocol"])
    if task["reconnect"]:
        connection.with_retry_policy(AtOnce())

    counts = Counter({"GatewayTrade": 0, "GatewayQuote": 0, "GatewayDepth": 0})
    first: dict[str, Any] = {}
    merged: dict[str, dict[str, Any]] = {}
    enough = asyncio.Event()

    def take(target: str, contract: str, data: Any) -> None:
        counts[target] += len(data) if isinstance(data, list) else 1
        first.setdefault(target, [contract, data])
        if target == "GatewayQuote":
            merged[contract] = merged.get(contract, {}) | data
        if counts.total() >= task["ticks"]:
            enough.set()

    for target in counts:
        connection.on(target, lambda contract, data, target=target: take(target, contract, data))
    connection.on_reconnected = lambda: say("reconnected")
    connection.on_close = lambda error: say("closed", error=None if error is None else str(error))

    # Without a negotiate it takes the scheme as it is.
    url = task["url"] if task["negotiate"] else task["url"].replace("http:", "ws:", 1)
    await connection.start(
        url, access_token_factory=lambda: task["token"], skip_negotiation=not task["negotiate"]
    )
    say("connected")
    for contract in task["contracts"]:
        for kind in ("Trades", "Quotes", "MarketDepth"):
            await connection.invoke(f"SubscribeContract{kind}", contract)
    refusal = None
    try:
        await connection.invoke("NoSuchMethod", 1)
    except HubException as error:
        refusal = str(error)
    if task["ticks"] > 0:
        await enough.wait()
    say(
        "done",
        counts=counts,
        ticks=counts.total(),
        first=first,
        merged=merged,
        refusal=refusal,
        logged=logged.texts,
    )
    await loop.run_in_executor(None, sys.stdin.readline)
    await connection.stop()


asyncio.run(main())
