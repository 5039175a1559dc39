"""A client on an embedded hub, as the suites of the whole connection need it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import tickwire as tw
from hubs import PATIENCE_S
from tickwire import sim

__all__ = ["FAST", "engine_for", "kinds", "library_threads", "wait_for"]

FAST = tw.LinkLimits(backoff_min_s=0.01, backoff_max_s=0.05)
"""Limits for tests in real time: it comes back at once."""


def engine_for(hub: sim.Hub, **options: Any) -> tw.Engine:
    """An engine for all contracts of a hub."""
    sizes = {contract.symbol: contract.tick_size for contract in sim.contracts()}
    instruments = [tw.Instrument(symbol, tick_size=sizes[symbol]) for symbol in hub.symbols]
    return tw.Engine(instruments, **({"timeframes": ["1s", "1m"]} | options))


def wait_for(condition: Callable[[], object], what: str, patience_s: float = PATIENCE_S) -> None:
    """Wait in real time."""
    deadline_s = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline_s, f"{what} did not happen"
        time.sleep(0.002)


def kinds(events: Iterable[tw.events.Event], *wanted: type[tw.events.Event]) -> list[str]:
    """Names of events in their order, of these kinds."""
    return [type(event).__name__ for event in events if isinstance(event, wanted)]


def library_threads() -> list[str]:
    """Names of the threads that the library runs now, the hub's not among them."""
    return sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("tickwire-"))
