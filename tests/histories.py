"""What the tests of backfill share: a hub with a history, a client that is filled, and an oracle."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

import tickwire as tw
from hubs import PATIENCE_S
from oracle import NS, bucket
from tickwire import gateway, sim
from tickwire.gateway import Gateway

QUICK = tw.BackfillSettings(settle_s=0.3, quiet_s=3.0, retry_min_s=0.1, retry_max_s=0.5, request_s=10.0)
SYMBOLS = ("CON.F.US.EP.Z26", "CON.F.US.ENQ.Z26")


def hub_of(source: sim.Source, **how: Any) -> tuple[sim.Hub, sim.History]:
    """A hub with logins and a history, not entered yet."""
    rest = sim.Rest({"me": "key"})
    hub = sim.Hub(source, rest=rest, **how)
    return hub, sim.serve_history(hub, rest)


def gateway_of(hub: sim.Hub, **options: Any) -> Gateway:
    """A user of a hub of `hub_of`."""
    here = f"http://127.0.0.1:{hub.port}"
    return gateway.projectx(user="me", key="key", api=here, hubs=here, **options)


def engine_of(*timeframes: str, symbols: tuple[str, ...] = SYMBOLS) -> tw.Engine:
    ticks = {contract.symbol: contract.tick_size for contract in sim.contracts()}
    rules = tw.Rules(band="off")
    return tw.Engine([tw.Instrument(s, tick_size=ticks[s], rules=rules) for s in symbols], timeframes)


def fill(hub: sim.Hub, engine: tw.Engine, history: Any, **options: Any) -> tw.Client:
    """A client of a hub's trades that is filled from a history, not entered yet."""
    # Ticks that come later than that are late, which is not what is tested here.
    options = {"backfill": QUICK, "streams": "trades", "grace": "2s"} | options
    return tw.connect(hub.url, token=hub.token(), engine=engine, history=history, **options)


def until(condition: Callable[[], object], what: str, limit_s: float = 3 * PATIENCE_S) -> None:
    deadline_s = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline_s, what
        time.sleep(0.02)


def differences(
    engine: tw.Engine, history: sim.History, symbol: str, timeframe: str, from_ns: int, to_ns: int
) -> list[str]:
    """How the closed bars that open in a time differ from those of the hub, and which are not complete."""
    unit, number = {"s": 1, "m": 2, "h": 3, "d": 4}[timeframe[-1]], int(timeframe[:-1])
    theirs = history.bars(symbol, unit, number, from_ns, to_ns)
    theirs = theirs[theirs["end_s"] * NS <= to_ns]
    ours = engine.bars(symbol, timeframe, since=from_ns).with_columns(pl.col("ts").dt.epoch("ns"))
    ours = ours.filter(pl.col("ts") < to_ns)
    ours = ours.filter(pl.Series([bucket(timeframe, ts)[1] <= to_ns for ts in ours["ts"]], dtype=pl.Boolean))
    found = []
    got, expected = ours["ts"].to_list(), (theirs["start_s"] * NS).tolist()
    if got != expected:
        missing, more = sorted(set(expected) - set(got)), sorted(set(got) - set(expected))
        return [f"{timeframe}: {len(missing)} missing, {len(more)} too many: {missing[:3]} {more[:3]}"]
    for name in ("open", "high", "low", "close", "volume"):
        wrong = np.flatnonzero(ours[name].to_numpy() != theirs[name])
        if len(wrong):
            row = int(wrong[0])
            found.append(f"{timeframe} {name} at {got[row]}: {ours[name][row]} not {theirs[name][row]}")
    incomplete = ours.filter(~pl.col("complete"))["ts"].to_list()
    if incomplete:
        found.append(f"{timeframe}: {len(incomplete)} of {len(got)} not complete: {incomplete[:3]}")
    return found
