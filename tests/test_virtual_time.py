"""Two days of a client and its hub on a clock that jumps: sessions, drops, renewals, a handler that breaks."""

from __future__ import annotations

import datetime as dt
import os
import random
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
import pytest

import tickwire as tw
from effort import LONG
from hubs import no_leftovers
from live import engine_for, library_threads
from tickwire import sim
from virtual_time import VirtualClock

MINUTE_S, HOUR_S = 60.0, 3_600.0
# Thursday, two hours before the daily break in Chicago: that break, Friday's close, a part of the weekend.
# Summer time ends there on the Sunday, which the long run passes.
START_NS = int(dt.datetime(2025, 10, 30, 19, tzinfo=dt.timezone.utc).timestamp()) * 1_000_000_000
HOURS = 168 if LONG else 48
SPACING_S = 5.0


class Sessions:
    """A market that trades while CME is open: a tick every five seconds, a little unevenly."""

    start = "manual"
    paced = True
    kinds = frozenset({"trade", "quote"})
    symbols = tuple(contract.symbol for contract in sim.contracts(2))

    def __init__(self, seed: int, hours: float) -> None:
        self._seed = seed
        self._end_ns = round(hours * HOUR_S * 1e9)
        self.ticks = 0

    def blocks(self) -> Iterator[sim.Block]:
        market = sim.Market(2, seed=self._seed, rate=1 / SPACING_S, mix={"trade": 2, "quote": 1})
        # What is left of the open time begins here, and so much of the closed time has passed.
        opens_ns, closed_ns = 0, 0
        for block in market.blocks():
            due_ns = block.due_ns + closed_ns
            while True:
                closes_ns = self._change_ns(opens_ns)
                late = due_ns >= closes_ns
                if not late.any():
                    break
                opens_ns = self._change_ns(closes_ns)
                closed_ns += opens_ns - closes_ns
                due_ns = np.where(late, due_ns + (opens_ns - closes_ns), due_ns)
            columns = {name: getattr(block, name) for name in sim.Block.__slots__} | {"due_ns": due_ns}
            ticks = int(np.searchsorted(due_ns, self._end_ns))
            self.ticks += ticks
            yield sim.Block(
                **{name: column if column is None else column[:ticks] for name, column in columns.items()}
            )
            if ticks < len(due_ns):
                return

    @staticmethod
    def _change_ns(offset_ns: int) -> int:
        change_ns = tw.CME.next_change_ns(START_NS + offset_ns)
        assert change_ns is not None
        return change_ns - START_NS


class Broker:
    """Logs in once, and renews within the session."""

    def __init__(self, hub: sim.Hub, life_s: float) -> None:
        self._hub = hub
        self._life_s = life_s
        self.logins = self.renewals = 0

    def __call__(self) -> str:
        self.logins += 1
        return self._hub.token(ttl_s=self._life_s)

    def renew(self, token: tw.Token) -> str:
        self.renewals += 1
        return self._hub.token(ttl_s=self._life_s, renews=token.reveal())


class Handler:
    """Counts bars, and raises for a while."""

    def __init__(self, clock: VirtualClock, broken_s: tuple[float, float]) -> None:
        self._clock = clock
        self._from_s, self._to_s = broken_s
        self.bars: Counter[str] = Counter()
        self.raised = 0

    def __call__(self, bar: tw.Bar) -> None:
        if self._from_s <= self._clock.elapsed_s < self._to_s:
            self.raised += 1
            raise ValueError("out of order for a while")
        self.bars[bar.symbol] += 1


FAULTS: tuple[tuple[sim.LinkFault, str], ...] = (
    (sim.Drop("fin"), "link lost"),
    (sim.Drop("rst"), "link lost"),
    (sim.Silence(), "degraded"),
    (sim.CloseMessage("maintenance", allow_reconnect=True), "closed, come back"),
    (sim.CloseMessage("bye"), "closed"),
    (sim.CloseFrame(1001), "link lost"),
    (sim.Logout(), "logged out"),
)
"""What befalls the link, and the row of the policy table that it must be found under. They strike while nothing
is on its way, so that a reset loses nothing.
"""


@pytest.fixture(autouse=True)
def polars_runs() -> None:
    """What it opens on first use, and keeps, is no leftover of a client."""
    pl.DataFrame({"a": [1]}).group_by("a").agg(pl.len())


def held() -> tuple[list[str], int]:
    """Threads of the library and open descriptors."""
    return library_threads(), len(os.listdir("/proc/self/fd"))


def live_through(
    hours: float, seed: int, shown: list[Any], monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """Run the whole of it and judge it; what must be the same at every run. `shown`: errors that the hook gets."""
    random.seed(seed)
    dice = random.Random(seed)
    # An idle link is looked at every two seconds, not ten times in one, or that is what the time goes into.
    monkeypatch.setattr("tickwire.attempt._ADVANCE_S", 2.0)
    # The handler's errors are shown there, and pytest would take them for the test's.
    monkeypatch.setattr(threading, "excepthook", lambda arguments: shown.append(arguments.exc_value))
    clock = VirtualClock(START_NS)
    source = Sessions(seed, hours)
    life_s = 6 * HOUR_S
    with sim.Hub(source, clock=clock, seconds=hours * HOUR_S + 1) as hub:
        engine = engine_for(hub, timeframes=["1m", "1h"], capacity=1 << 18)
        broker = Broker(hub, life_s)
        login = tw.Login(broker, clock=clock)
        handler = Handler(clock, (5 * HOUR_S, 5.5 * HOUR_S))
        client = tw.connect(
            hub.url,
            engine=engine,
            token=login,
            session=tw.CME,
            time_source=clock,
            start="background",
            swap="never",
        )
        client.on_bar("1m")(handler)
        events = client.events(100_000)
        closed = client.bars("1m", capacity=1 << 16)
        with client:
            clock.until(lambda: client.state == "live", 10.0)
            hub.start()
            clock.sleep(MINUTE_S)
            steady = held()
            next_fault_s = 1.7 * HOUR_S
            faults: list[str] = []
            while clock.elapsed_s < hours * HOUR_S:
                if clock.elapsed_s >= next_fault_s:
                    fault, name = FAULTS[len(faults) % len(FAULTS)]
                    faults.append(name)
                    next_fault_s += dice.uniform(1.5, 3.5) * HOUR_S
                    hub.fault(fault, connection=hub.connection().id)
                    clock.sleep(0.5)
                    clock.until(lambda: client.state == "live", 2 * MINUTE_S, step_s=0.5)
                    # As it was, after each of them: nothing is left of the connection before.
                    assert held() == steady
                clock.sleep(MINUTE_S)
                if (
                    not 5 * HOUR_S <= clock.elapsed_s < 6.5 * HOUR_S
                    and not client.status()["failures_in_a_row"]
                ):
                    assert client.health().state == "healthy", (clock.elapsed_s, client.health())
            # The newest bars are closed by the clock.
            clock.sleep(2 * MINUTE_S)
            assert held() == steady
            status = client.status()
            seen = events.poll()
            bars = judge(hub, engine, source, status, seen, faults)
        assert broker.logins == logins_due(seen) == status["login"]["logins"]
        assert broker.renewals == status["login"]["renewals"]
        check_renewals(seen, life_s, clock.elapsed_s, broker.renewals)
        check_breaker(client, handler, status, seen)
        check_bars_told(closed.poll(), status, engine)
        # By kind: at one moment, two threads may tell in either order.
        told = sorted(map(essence, seen), key=lambda one: one[0])
        return {"received": status["received"], "bars": bars, "events": told}


def essence(event: tw.events.Event) -> tuple[Any, ...]:
    """What happened, and when, to the millisecond: who of two is first at one moment costs microseconds.

    A handler that runs at the moment of a look at health is seen by that look or the next one.
    """
    names = ("connection", "fault", "state", "how", "start_ns", "end_ns", "handler", "failures")
    found = {name: getattr(event, name) for name in names if hasattr(event, name)}
    moments = {name: round(found[name] / 1e6) for name in ("start_ns", "end_ns") if found.get(name)}
    when = None if isinstance(event, tw.events.HealthChanged) else round(event.ts / 1e6)
    return type(event).__name__, when, found | moments


def judge(
    hub: sim.Hub,
    engine: tw.Engine,
    source: Sessions,
    status: dict[str, Any],
    seen: list[tw.events.Event],
    faults: list[str],
) -> dict[tuple[str, str], list[Any]]:
    """Ticks, connections and bars, which it returns."""
    # Every tick that was delivered was taken, and every one that was not fell into a gap.
    assert hub.sent.ticks == status["received"] == status["accepted"] == engine.stats()["received"]
    assert status["rejected"] == status["duplicates"] == 0
    assert 0 < source.ticks - status["received"] < 60 * len(faults) / SPACING_S
    # Exactly one connection for each thing that befell it.
    lost = [event.fault for event in seen if isinstance(event, tw.events.Disconnected)]
    assert lost == faults
    assert len(faults) >= 2
    assert status["connections"] == status["attempts"] == len(faults) + 1
    assert [event.connection for event in seen if isinstance(event, tw.events.Connected)] == list(
        range(1, len(faults) + 2)
    )
    assert len([event for event in seen if isinstance(event, tw.events.Gap)]) == len(faults) + 1
    # Bars against the trades themselves.
    bars = {}
    for symbol in engine.symbols:
        trades = engine.trades(symbol)
        assert len(trades) == engine.stats(symbol)["trades"]
        for timeframe in ("1m", "1h"):
            expected = trades.group_by(pl.col("ts_event").dt.truncate(timeframe).alias("ts")).agg(
                pl.col("size").sum().alias("volume"), pl.len().alias("trades")
            )
            made = engine.bars(symbol, timeframe, partial=True)
            assert made["ts"].to_list() == expected.sort("ts")["ts"].to_list()
            assert made["volume"].to_list() == expected.sort("ts")["volume"].to_list()
            assert made["trades"].to_list() == expected.sort("ts")["trades"].to_list()
            bars[symbol, timeframe] = made.rows()
        # No minute is still open, two minutes after the end; none was made while the market was closed.
        assert len(engine.bars(symbol, "1m")) == len(bars[symbol, "1m"])
        assert all(tw.CME.is_open(ts) for ts in made["ts"].dt.timestamp("ns"))
    return bars


def logins_due(seen: list[tw.events.Event]) -> int:
    """How many logins what happened asks for.

    The first, one after each logout, and one after each Close without allowReconnect that ended a link whose
    token was still the newest, since the Close may be because of it. Most links have outlived theirs by then.
    """
    logins, is_newest = 1, True
    for event in seen:
        if isinstance(event, tw.events.Connected):
            is_newest = True
        elif isinstance(event, tw.events.TokenRenewed):
            is_newest = False
        elif isinstance(event, tw.events.Disconnected):
            logins += event.fault == "logged out" or (event.fault == "closed" and is_newest)
    return logins


def check_renewals(seen: list[tw.events.Event], life_s: float, elapsed_s: float, renewals: int) -> None:
    """Each came before the token before it had expired."""
    renewed = [event for event in seen if isinstance(event, tw.events.TokenRenewed)]
    assert [event for event in seen if isinstance(event, tw.events.TokenRenewalFailed)] == []
    assert sum(event.how == "renewed" for event in renewed) == renewals
    assert renewals >= elapsed_s // life_s - sum(event.how == "login" for event in renewed)
    expires_ns = START_NS + round(life_s * 1e9)
    for event in renewed:
        assert event.ts < expires_ns
        assert event.expires_ns is not None
        expires_ns = event.expires_ns
    assert expires_ns > START_NS + elapsed_s * 1e9


def check_breaker(
    client: tw.Client,
    handler: Handler,
    status: dict[str, Any],
    seen: list[tw.events.Event],
) -> None:
    """It opened while the handler was broken, was closed after it, and everything is accounted for."""
    changes = [(event.before, event.state) for event in seen if isinstance(event, tw.events.BreakerChanged)]
    assert changes[0] == ("closed", "open")
    assert changes[-1] == ("half-open", "closed")
    assert ("half-open", "open") in changes
    (counts,) = status["callbacks"].values()
    assert counts["failures"] == handler.raised > 5
    assert counts["calls"] == handler.raised + handler.bars.total()
    assert counts["calls"] + counts["skipped"] == counts["delivered"] == counts["published"]
    assert client.breaker("bar", handler).state == "closed"


def check_bars_told(told: list[tw.Bar], status: dict[str, Any], engine: tw.Engine) -> None:
    """Each bar once when it closed, and again where a gap turned out to reach back into it."""
    (counts,) = status["callbacks"].values()
    assert counts["published"] == len(told)
    for symbol in engine.symbols:
        first = [bar.ts for bar in told if bar.symbol == symbol and bar.revision == 0]
        assert first == engine.bars(symbol, "1m")["ts"].dt.timestamp("ns").to_list()
        again = [bar for bar in told if bar.symbol == symbol and bar.revision]
        assert {bar.ts for bar in again} <= set(first)
        assert not any(bar.complete for bar in again)


@pytest.mark.timeout(600 if LONG else 300)
def test_two_days_of_sessions_drops_renewals_and_a_broken_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    with no_leftovers():
        live_through(HOURS, 1, shown, monkeypatch)
    assert {str(error) for error in shown} == {"out of order for a while"}


def test_the_same_seed_lives_the_same_life(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = (live_through(7, 2, [], monkeypatch) for _ in range(2))
    assert one == other
