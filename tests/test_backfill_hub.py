"""Backfill through a real hub over HTTP: seeds, lost links, histories that lag, fail and hang."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import tickwire as tw
from histories import SYMBOLS, differences, engine_of, fill, gateway_of, hub_of, until
from hubs import UNIT_S, no_leftovers
from oracle import NS
from tickwire import sim
from tickwire.events import BackfillDone, BackfillFailed, Revision
from tickwire.projectx_history import ProjectXHistory
from tickwire.sim.history import PATH

EP, ENQ = SYMBOLS
TIMEFRAMES = ("1s", "5s", "15s", "1m")


class FiveSeconds(ProjectXHistory):
    """Has no smaller bars than those of five seconds."""

    def timeframes(self, wanted: Sequence[str]) -> list[str]:
        return [timeframe for timeframe in wanted if timeframe != "1s"]


def connected(
    hub: sim.Hub, engine: tw.Engine, history: Callable[..., Any] = ProjectXHistory, **how: Any
) -> tuple[tw.Client, tw.EventStream]:
    """A client that is filled from the hub's history, not entered yet, and what it tells."""
    client = fill(hub, engine, history(gateway_of(hub).post), **how)
    return client, client.events(100_000)


def is_filled(engine: tw.Engine, client: tw.Client, second: int) -> bool:
    """Whether everything up to then has closed, and nothing is missing."""
    closed = [engine.snapshot(symbol).closing_time() or 0 for symbol in engine.symbols]
    status = client.status()["history"]
    return min(closed) >= second * NS and not status["new_gaps"] and not status["pending"]


def test_in_a_seed_and_over_a_lost_link_nothing_is_missing_and_nothing_is_there_twice() -> None:
    hub, history = hub_of(sim.Market(list(SYMBOLS), rate=300.0))
    with hub:
        engine = engine_of(*TIMEFRAMES)
        news = engine.subscribe(bars=TIMEFRAMES, capacity=100_000)
        client, stream = connected(hub, engine, seed="10m")
        began_s = int(time.time())
        with client:
            until(lambda: is_filled(engine, client, began_s + 3), "the seed")
            assert differences(engine, history, EP, "1s", (began_s - 600) * NS, (began_s + 2) * NS) == []
            # The market goes on while the link is down, and history is three seconds behind.
            history.lag_s = 3.0
            hub.fault(sim.Refuse(503), times=2)
            hub.fault(sim.Drop("rst"))
            until(lambda: client.status()["connections"] == 2, "the second connection")
            back_s = int(time.time()) + 2
            until(lambda: is_filled(engine, client, back_s), "the gap")
        for symbol in SYMBOLS:
            for timeframe in TIMEFRAMES:
                found = differences(engine, history, symbol, timeframe, (began_s - 600) * NS, back_s * NS)
                assert found == [], (symbol, found)
    events = stream.poll()
    revisions = [event for event in events if isinstance(event, Revision)]
    told = [(event.symbol, event.timeframe, event.bar_ts, event.revision) for event in revisions]
    assert len(set(told)) == len(told)
    assert all(event.complete for event in revisions if event.timeframe == "1s")
    # Each revised bar is delivered once, with its number, to who subscribed to it.
    heard = [(bar.symbol, bar.timeframe, bar.ts, bar.revision) for bar in news.poll() if bar.revision]
    assert len(set(heard)) == len(heard)
    assert set(told) <= set(heard)
    assert {event.symbol for event in events if isinstance(event, BackfillDone)} == set(SYMBOLS)
    assert not any(isinstance(event, BackfillFailed) and event.retry_s is None for event in events)
    assert client.status()["history"]["late"] > 0


def test_timeframes_that_history_does_not_have_are_left_alone() -> None:
    hub, history = hub_of(sim.Market([EP], rate=200.0))
    with hub:
        engine = engine_of(*TIMEFRAMES, symbols=(EP,))
        client, _ = connected(hub, engine, FiveSeconds)
        began_s = int(time.time())
        with client:
            until(lambda: is_filled(engine, client, began_s + 6), "the bars that were joined")
        first_ns, end_ns = (began_s - began_s % 60) * NS, (began_s + 5) * NS
        assert differences(engine, history, EP, "5s", first_ns, end_ns) == []
        assert differences(engine, history, EP, "15s", first_ns, end_ns) == []
        seconds = engine.bars(EP, "1s")
        assert seconds["ts"].dt.epoch("s")[0] >= began_s
        assert seconds["complete"].to_list()[:1] == [False]


def test_whatever_history_answers_it_is_asked_again() -> None:
    hub, history = hub_of(sim.Market([EP], rate=200.0))
    with hub:
        engine = engine_of("1s", "5s", symbols=(EP,))
        settings = tw.BackfillSettings(
            settle_s=0.2, quiet_s=3.0, retry_min_s=0.05, retry_max_s=0.1, request_s=3.0 * UNIT_S
        )
        client, stream = connected(hub, engine, seed="1m", backfill=settings)
        history.wrong = 1
        for fault in (
            sim.Refuse(500, at="rest"),
            sim.Refuse(429, at="rest", headers=(("retry-after", "1"),)),
            sim.NoAnswer(at="rest"),
            sim.Drop("rst", at="rest"),
        ):
            hub.fault(fault, only=PATH)
        began_s = int(time.time())
        with client:
            until(lambda: is_filled(engine, client, began_s + 3), "the seed")
        for timeframe in ("1s", "5s"):
            assert differences(engine, history, EP, timeframe, (began_s - 60) * NS, (began_s + 2) * NS) == []
    failed = [event for event in stream.poll() if isinstance(event, BackfillFailed)]
    reasons = [event.reason for event in failed]
    for words in ("500", "429", "did not answer within", "did not answer properly", "cannot be right"):
        assert any(words in reason for reason in reasons), (words, reasons)
    assert all(event.retry_s is not None for event in failed)
    busy = next(event for event in failed if "429" in event.reason)
    assert busy.retry_s is not None
    assert busy.retry_s >= 1.0, "as the server asked"
    assert client.status()["history"]["failures"] == len(failed)


def test_a_history_that_hangs_does_not_hold_up_the_end() -> None:
    hub, _ = hub_of(sim.Market([EP], rate=200.0))
    with hub, no_leftovers():
        engine = engine_of("1s", symbols=(EP,))
        hub.fault(sim.NoAnswer(at="rest"), only=PATH, times=None)
        gateway = gateway_of(hub)
        client = tw.connect(
            hub.url, token=hub.token(), engine=engine, streams="trades", history=gateway.history, seed="10m"
        )
        with client:
            hub.wait_until(lambda hub: any(request.path == PATH for request in hub.requests), 30.0)
            assert client.status()["history"]["requests"] == 1
        assert client.tasks() == ()
