"""A thousand reconnects, a thousand renewals, changes of sockets: nothing grows, nothing hangs, no tick is lost."""

from __future__ import annotations

import gc
import os
import random
import tracemalloc
from pathlib import Path
from typing import Any

import psutil
import pytest

import tickwire as tw
from effort import LONG
from hubs import no_leftovers
from live import delivered, engine_for, library_threads, wait_for
from tickwire import sim
from virtual_time import VirtualClock

CYCLES = 1_000
WARM = 200
IN_REAL_TIME = 1_000 if LONG else 100
LIBRARY = str(Path(tw.__file__).parent)
SMALL: dict[str, Any] = {"timeframes": ["1m"], "capacity": 1_024, "retain": 64}
"""An engine that is full soon, so that it does not grow afterwards."""


class Provider:
    """Tokens of ten seconds, renewed every five."""

    def __init__(self, hub: sim.Hub) -> None:
        self._hub = hub

    def __call__(self) -> str:
        return self._hub.token(ttl_s=10.0)

    def renew(self, token: tw.Token) -> str:
        return self._hub.token(ttl_s=10.0, renews=token.reveal())


def allocated() -> int:
    """Bytes that the library holds, the embedded hub's not among them: it keeps accounts of everything."""
    gc.collect()
    traces = tracemalloc.take_snapshot().filter_traces(
        [
            tracemalloc.Filter(True, f"{LIBRARY}/*"),
            tracemalloc.Filter(False, f"{LIBRARY}/sim/*"),
        ]
    )
    return sum(trace.size for trace in traces.traces)


def held() -> tuple[list[str], int]:
    """Threads of the library and open descriptors."""
    return library_threads(), len(os.listdir("/proc/self/fd"))


@pytest.mark.timeout(300)
def test_a_thousand_reconnects_beside_a_thousand_renewals(monkeypatch: pytest.MonkeyPatch) -> None:
    random.seed(1)
    monkeypatch.setattr("tickwire.attempt._ADVANCE_S", 1.0)
    clock = VirtualClock()
    with no_leftovers(), sim.Hub(sim.Market(1, rate=20.0), clock=clock) as hub:
        # Some links are reset after three seconds and all others ended after five.
        hub.fault(sim.Drop("rst", settle=True), after_ticks=60, times=CYCLES // 2)
        hub.fault(sim.Drop("fin"), after_ticks=100, times=None)
        engine = engine_for(hub, **SMALL)
        client = tw.connect(
            hub.url,
            engine=engine,
            token=tw.Login(Provider(hub), clock=clock),
            time_source=clock,
            limits=tw.LinkLimits(backoff_min_s=0.1, backoff_max_s=0.5),
            swap="never",
        )
        bars = client.bars("1m")
        with client, client.events() as events:

            def run(cycles: int) -> tuple[int, int]:
                """Until so many of both have been; renewals and failed renewals that were told."""
                renewed = failed = 0
                while True:
                    clock.sleep(60.0)
                    told = events.poll()
                    renewed += sum(isinstance(event, tw.events.TokenRenewed) for event in told)
                    failed += sum(isinstance(event, tw.events.TokenRenewalFailed) for event in told)
                    bars.poll()
                    status = client.status()
                    if min(status["connections"] - 1, status["login"]["renewals"]) >= cycles:
                        clock.until(lambda: client.state == "live", 10.0)
                        return renewed, failed

            tracemalloc.start()
            try:
                renewed, _ = run(WARM)
                steady, before_bytes, rss_bytes = held(), allocated(), psutil.Process().memory_info().rss
                more, failed = run(CYCLES)
                assert held() == steady
                # A thousand times anything that is kept would be more.
                assert allocated() - before_bytes < 32 * 1024
                assert psutil.Process().memory_info().rss - rss_bytes < 32 * 1024 * 1024
            finally:
                tracemalloc.stop()
            status = client.status()
            assert renewed + more == status["login"]["renewals"] >= CYCLES
            assert failed == status["login"]["failures"] == 0
            assert status["login"]["logins"] == 1
            assert status["connections"] - 1 == status["failures"] >= CYCLES
            assert status["tasks"]["failed"] == 0
            # What was delivered has arrived, connection by connection.
            assert delivered(hub) == status["received"] == status["accepted"] == engine.stats()["received"]
            sent = [info.sent.ticks for info in sorted(hub.connections, key=lambda info: info.id)]
            assert set(sent[: CYCLES // 2]) == {60}
            assert set(sent[CYCLES // 2 : -1]) == {100}


@pytest.mark.timeout(300)
def test_reconnects_in_real_time_leave_nothing_behind() -> None:
    with no_leftovers(), sim.Hub(sim.Market(2, rate=5_000.0)) as hub:
        hub.fault(sim.Drop("rst", settle=True), after_ticks=20, times=IN_REAL_TIME // 2)
        hub.fault(sim.Drop("fin"), after_ticks=30, times=IN_REAL_TIME)
        engine = engine_for(hub, **SMALL)
        limits = tw.LinkLimits(backoff_min_s=0.001, backoff_max_s=0.002)
        client = tw.connect(
            hub.url, engine=engine, token=tw.Login(Provider(hub)), limits=limits, start="background"
        )
        with client:
            wait_for(lambda: client.status()["connections"] > IN_REAL_TIME // 10, "a tenth of them", 60.0)
            steady = held()
            wait_for(lambda: client.status()["connections"] > IN_REAL_TIME, "all of them", 200.0)
            wait_for(lambda: client.state == "live", "the last of them")
            wait_for(lambda: held() == steady, "as few threads and descriptors as before")
            hub.fault(sim.Silence())
            wait_for(lambda: client.status()["received"] == delivered(hub), "the last tick")
            status = client.status()
            assert status["accepted"] == engine.stats()["received"] == delivered(hub)


@pytest.mark.parametrize("cycles", [CYCLES if LONG else 100])
def test_sockets_are_changed_without_losing_or_doubling_a_tick(
    cycles: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    random.seed(1)
    clock = VirtualClock()
    market = sim.Market(1, rate=20.0)
    with no_leftovers(), sim.Hub(market, clock=clock, start="manual") as hub:
        engine = engine_for(hub, **SMALL)
        client = tw.connect(hub.url, engine=engine, token=hub.token(), time_source=clock)
        with client, client.events() as events:
            hub.start()
            clock.sleep(5.0)
            steady = held()
            for number in range(1, cycles + 1):
                client.swap()
                clock.until(lambda number=number: client.status()["swaps"] == number, 20.0, step_s=0.2)
                clock.sleep(1.0)
            assert held() == steady
            assert client.status()["failures"] == 0
            told = events.poll()
            assert [
                event for event in told if isinstance(event, (tw.events.Disconnected, tw.events.SwapFailed))
            ] == []
            gaps = [event for event in told if isinstance(event, tw.events.Gap)]
            # The stream pauses, so that all of it has arrived.
            hub.fault(sim.Silence())
            clock.sleep(1.0)
            status = client.status()
            assert status["received"] == delivered(hub) == status["accepted"] + status["duplicates"]
            due_s = clock.elapsed_s
            ticks = next(n for n, due in enumerate(_due_s(market, due_s)) if due > due_s)
            assert gaps == []
            assert abs(engine.stats()["accepted"] - ticks) < 60
