"""A thousand reconnects, a thousand renewals, changes of sockets: nothing grows, nothing hangs, no tick is lost."""

from __future__ import annotations

import gc
import logging
import os
import random
from collections import Counter
from typing import Any

import psutil
import pytest

import tickwire as tw
from effort import LONG
from hubs import no_leftovers
from live import engine_for, library_threads, wait_for
from tickwire import sim
from virtual_time import VirtualClock

CYCLES = 1_000
WARM = 200
IN_REAL_TIME = 1_000 if LONG else 100
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


def census() -> Counter[str]:
    """Objects of the library by type, the embedded hub's not among them: it keeps accounts of everything."""
    gc.collect()
    kinds = [type(each) for each in gc.get_objects()]
    modules = {kind: getattr(kind, "__module__", None) for kind in set(kinds)}
    own = {
        kind
        for kind, module in modules.items()
        if isinstance(module, str)
        and module.startswith("tickwire.")
        and not module.startswith("tickwire.sim")
    }
    return Counter(kind.__qualname__ for kind in kinds if kind in own)


def held() -> tuple[list[str], int]:
    """Threads of the library and open descriptors."""
    return library_threads(), len(os.listdir("/proc/self/fd"))


@pytest.mark.timeout(300)
def test_a_thousand_reconnects_beside_a_thousand_renewals(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    random.seed(1)
    # Captured records would keep their events.
    caplog.set_level(logging.CRITICAL, "tickwire")
    monkeypatch.setattr("tickwire.attempt._ADVANCE_S", 1.0)
    clock = VirtualClock()
    with no_leftovers(), sim.Hub(sim.Market(1, rate=4.0), clock=clock) as hub:
        # Some links are reset after three seconds and all others ended after five.
        hub.fault(sim.Drop("rst", settle=True), after_ticks=12, times=CYCLES // 2)
        hub.fault(sim.Drop("fin"), after_ticks=20, times=None)
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

            renewed, _ = run(WARM)
            process = psutil.Process()
            steady, living, rss_bytes = held(), census(), process.memory_info().rss
            more, failed = run(CYCLES)
            assert held() == steady
            # Whatever one cycle kept would by now have been kept eight hundred times.
            grown = {
                kind: count - living[kind] for kind, count in census().items() if count - living[kind] > 8
            }
            assert grown == {}
            # The hub's accounts of the connections are in it.
            assert process.memory_info().rss - rss_bytes < 24 * 1024 * 1024
            status = client.status()
            assert renewed + more == status["login"]["renewals"] >= CYCLES
            assert failed == status["login"]["failures"] == 0
            assert status["login"]["logins"] == 1
            assert status["connections"] - 1 == status["failures"] >= CYCLES
            assert status["tasks"]["failed"] == 0
            # What was delivered has arrived, connection by connection.
            assert hub.sent.ticks == status["received"] == status["accepted"] == engine.stats()["received"]
            sent = {info.id: info.sent.ticks for info in hub.connections if not info.is_open}
            assert len(sent) >= CYCLES // 2
            assert all(ticks == (12 if number <= CYCLES // 2 else 20) for number, ticks in sent.items())


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
            wait_for(lambda: client.status()["received"] == hub.sent.ticks, "the last tick")
            status = client.status()
            assert status["accepted"] == engine.stats()["received"] == hub.sent.ticks


@pytest.mark.parametrize("cycles", [CYCLES if LONG else 100])
def test_sockets_are_changed_without_losing_or_doubling_a_tick(
    cycles: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    random.seed(1)
    clock = VirtualClock()
    ticks = 100 * cycles
    with no_leftovers(), sim.Hub(sim.Market(1, rate=20.0), clock=clock, start="manual", count=ticks) as hub:
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
            trouble = (tw.events.Disconnected, tw.events.SwapFailed, tw.events.Gap)
            assert [event for event in told if isinstance(event, trouble)] == []
            clock.until(lambda: hub.is_finished, 4_000.0, step_s=10.0)
            status = client.status()
            # The stream once, whoever brought it.
            assert status["received"] == status["accepted"] == engine.stats()["accepted"] == ticks
            # What the hub sent to a connection that was already left came by the other one, too.
            assert 0 <= hub.sent.ticks - status["received"] - status["duplicates"] <= cycles
            assert status["duplicates"] > 0
            assert status["connections"] == cycles + 1
