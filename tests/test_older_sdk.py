"""What users of the older SDK reported, each as the test that would have caught it.

Where time matters it is virtual: the limits are the defaults, and minutes are not waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, Self

import numpy as np
import polars as pl
import pytest

import tickwire as tw
from hubs import PATIENCE_S, free_port, no_leftovers
from live import FAST, engine_for, kinds, library_threads, wait_for
from tickwire import sim
from virtual_time import VirtualClock

MINUTE_S = 60.0
LINK = (tw.events.Connected, tw.events.Disconnected, tw.events.Reconnecting, tw.events.LoggedOut)


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Idle bars are looked at once a second, not ten times, or that is what most of the time goes into."""
    monkeypatch.setattr("tickwire.attempt._ADVANCE_S", 1.0)


class Both:
    """Clients of the market hub and of the user hub on one login and one clock."""

    def __init__(self, hub: sim.Hub, login: tw.Login, clock: VirtualClock, **options: Any) -> None:
        options = {"token": login, "time_source": clock, "start": "background"} | options
        self.engine = engine_for(hub)
        self.market = tw.connect(hub.url, engine=self.engine, **options)
        self.user = tw.connect(hub.user_url, calls=[("SubscribeAccounts",)], **options)
        self.clients = (self.market, self.user)
        self.told = {client.name: client.events(10_000) for client in self.clients}
        self._clock = clock
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with self._stack:
            # One after the other, so that the market's connection is the hub's first.
            for client in self.clients:
                self._stack.enter_context(client)
                self._clock.until(lambda client=client: client.state == "live", 10.0)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:  # noqa: PYI036  # handed on as it came
        self._stack.__exit__(*error)

    def live(self) -> bool:
        return all(client.state == "live" for client in self.clients)

    def status(self, name: str) -> list[Any]:
        return [client.status()[name] for client in self.clients]


def quiet(clock: VirtualClock, **options: Any) -> sim.Hub:
    """A hub whose market does not begin until it is told to."""
    return sim.Hub(sim.Market(1, rate=20.0), clock=clock, start="manual", **options)


# "The tick stream freezes for minutes and looks healthy"


@pytest.mark.parametrize(
    ("lived_s", "fault"),
    [(20.0, "silent"), (10 * MINUTE_S, "degraded")],
    ids=["young", "old enough for health to judge"],
)
def test_a_feed_that_freezes_is_noticed_and_never_looks_healthy(lived_s: float, fault: str) -> None:
    clock = VirtualClock()
    with (
        no_leftovers(),
        sim.Hub(sim.Market(1, rate=5.0), clock=clock) as hub,
        Both(hub, tw.Login(hub.token, clock=clock), clock) as both,
    ):
        clock.sleep(lived_s)
        assert both.market.health().state == "healthy"
        assert both.market.health().score == 100.0
        client, told = both.market, both.told[both.market.name]
        told.poll()
        frozen_s, frozen_ns = clock.elapsed_s, clock.now_ns()
        hub.fault(sim.Silence(), connection=1)
        looks = []
        while True:
            clock.sleep(1.0)
            if client.status()["failures"]:
                break
            looks.append((clock.elapsed_s - frozen_s, client.health()))
        limits = tw.LinkLimits()
        # A ping goes out within a heartbeat, and health sees one that is unanswered for three seconds.
        suspicious = [health.score for age_s, health in looks if age_s > limits.heartbeat_s + 5]
        assert suspicious
        assert max(suspicious) < 100
        # Eight seconds take the score below 75; three of that make the state.
        states = {health.state for age_s, health in looks if age_s > limits.heartbeat_s + 13}
        assert states
        assert "healthy" not in states
        clock.until(both.live, MINUTE_S)
        events = told.poll()
        (lost,) = [event for event in events if isinstance(event, tw.events.Disconnected)]
        assert lost.fault == fault
        assert lost.ts - frozen_ns <= (limits.silence_s + 1) * 1e9
        (gap,) = [event for event in events if isinstance(event, tw.events.Gap)]
        assert gap.start_ns is not None
        assert gap.start_ns <= frozen_ns <= gap.end_ns
        # Back for good, and the other hub was not touched.
        clock.sleep(5 * MINUTE_S)
        assert both.status("connections") == [2, 1]
        assert both.market.health().state == "healthy"
        assert hub.sent.ticks == client.status()["received"] == both.engine.stats()["received"] > 0


# "The watchdog kills a healthy connection because it is quiet, and then again every five seconds"


def test_a_quiet_hub_is_left_alone_and_stays_healthy() -> None:
    clock = VirtualClock()
    with (
        no_leftovers(),
        quiet(clock) as hub,
        Both(hub, tw.Login(hub.token, clock=clock), clock) as both,
    ):
        for _ in range(60):
            clock.sleep(MINUTE_S)
            assert [client.health().state for client in both.clients] == ["healthy"] * 2
            assert [client.health().score for client in both.clients] == [100.0] * 2
        assert both.status("connections") == [1, 1]
        assert both.status("failures") == [0, 0]
        for client in both.clients:
            seen = both.told[client.name].poll()
            assert kinds(seen, *LINK) == ["Connected"]
        # Pings of the client went to and fro all the while: an hour has 720 times five seconds.
        assert all(pongs >= 700 for pongs in both.status("pongs"))


# "Score 100 while both hubs are closed"


def test_the_score_is_nought_while_the_hubs_are_gone() -> None:
    clock = VirtualClock()
    with (
        no_leftovers(),
        quiet(clock) as hub,
        Both(hub, tw.Login(hub.token, clock=clock), clock) as both,
    ):
        hub.fault(sim.Unlisten())
        hub.fault(sim.Drop("rst"))
        clock.sleep(0.1)
        for _ in range(300):
            for client in both.clients:
                health = client.health()
                assert (health.score, health.state) == (0.0, "down")
                assert health.reasons[0].cause == "connection"
                assert client.state == "reconnecting"
            clock.sleep(1.0)
        hub.fault(sim.Listen())
        clock.until(both.live, tw.LinkLimits().backoff_max_s + 1)
        clock.sleep(2.0)
        for client in both.clients:
            changes = [
                (event.before, event.state)
                for event in both.told[client.name].poll()
                if isinstance(event, tw.events.HealthChanged)
            ]
            assert changes == [("down", "healthy"), ("healthy", "down"), ("down", "healthy")]


# "A first connect with the server down is never tried again"


@pytest.mark.parametrize("start", ["wait", "background"])
def test_a_first_connect_with_the_server_down_is_tried_until_it_is_up(start: Any) -> None:
    port = free_port()
    base = f"http://127.0.0.1:{port}/hubs"
    symbol = sim.contracts(1)[0].symbol
    tokens = iter(("early", "early"))
    hub = sim.Hub(sim.Market(1, rate=200.0), port=port)
    login = tw.Login(lambda: next(tokens, None) or hub.token())
    options: dict[str, Any] = {"token": login, "start": start, "limits": FAST}
    engine = tw.Engine(tw.Instrument(symbol, tick_size=0.25), timeframes=["1s"])
    with no_leftovers(), ThreadPoolExecutor(2) as pool:
        clients = [
            tw.connect(f"{base}/market", engine=engine, **options),
            tw.connect(f"{base}/user", calls=[("SubscribeAccounts",)], **options),
        ]
        entered = [pool.submit(client.__enter__) for client in clients]
        wait_for(
            lambda: all(client.status()["failures"] >= 3 for client in clients), "three failures of each"
        )
        assert all(client.state == "connecting" for client in clients)
        with hub:
            for client, entering in zip(clients, entered, strict=True):
                assert entering.result(PATIENCE_S) is client
                client.wait_live(PATIENCE_S)
            wait_for(lambda: engine.stats()["accepted"] > 0, "data")
            for client in clients:
                client.close()


# "An expired token and a drop end in silence for ever"


@pytest.mark.parametrize("opaque", [False, True], ids=["jwt", "opaque"])
def test_an_expired_token_and_a_drop_end_in_a_new_token_and_a_connection(opaque: bool) -> None:
    clock = VirtualClock()
    with no_leftovers(), sim.Hub(sim.Market(1, rate=5.0), clock=clock) as hub:
        issued: list[str] = []

        def token() -> str:
            issued.append(hub.token(ttl_s=10 * MINUTE_S, opaque=opaque))
            return issued[-1]

        with Both(hub, tw.Login(token, clock=clock), clock) as both:
            assert len(issued) == 1
            # The hub lets open connections live on, with a token that is worth nothing any more.
            clock.sleep(20 * MINUTE_S)
            assert both.status("connections") == [1, 1]
            hub.fault(sim.Drop("fin"))
            clock.sleep(0.01)
            clock.until(both.live, MINUTE_S)
            assert len(issued) == 2
            for client in both.clients:
                seen = both.told[client.name].poll()
                link = [event for event in seen if isinstance(event, LINK)]
                # An opaque token does not say that it has expired; the first hub to be refused finds out.
                faults = [event.fault for event in link if isinstance(event, tw.events.Reconnecting)]
                assert faults in (
                    [["link lost"]] if not opaque else [["link lost"], ["link lost", "unauthorized"]]
                )
                assert kinds(link, *LINK) == [
                    "Connected",
                    "Disconnected",
                    *["Reconnecting"] * len(faults),
                    "Connected",
                ]
                assert [event.how for event in seen if isinstance(event, tw.events.TokenRenewed)] == ["login"]
            heard = both.engine.stats()["received"]
            clock.sleep(MINUTE_S)
            assert both.engine.stats()["received"] > heard


def test_an_expired_token_that_nothing_can_replace_ends_in_an_error_for_who_reads() -> None:
    clock = VirtualClock()
    with no_leftovers(), sim.Hub(sim.Market(1, rate=5.0), clock=clock) as hub:
        token = hub.token(ttl_s=10 * MINUTE_S, opaque=True)
        engine = engine_for(hub)
        client = tw.connect(hub.url, engine=engine, token=token, time_source=clock)
        client.__enter__()
        bars = client.bars("1m")
        clock.sleep(20 * MINUTE_S)
        hub.fault(sim.Drop("fin"))
        clock.until(lambda: client.state == "failed", 5 * MINUTE_S)
        assert client.health().state == "down"
        # What a subscription holds is read first; then whoever reads is told.
        closed = list(bars.poll())
        assert len(closed) >= 19
        with pytest.raises(tw.ConnectionFailed, match="401"):
            bars.get(timeout=PATIENCE_S)
        with pytest.raises(tw.ConnectionFailed, match="401"):
            client.__exit__(None, None, None)


# "True from a subscribe that the hub never confirmed"


def test_a_subscription_counts_when_the_hub_has_confirmed_it() -> None:
    clock = VirtualClock()
    method = "SubscribeContractMarketDepth"
    with (
        no_leftovers(),
        quiet(clock) as hub,
        Both(hub, tw.Login(hub.token, clock=clock), clock) as both,
    ):
        client = both.market
        hub.fault(sim.Late(5.0, at="subscribe"), only=method)
        asked = client.want("depth")
        clock.sleep(4.9)
        assert not asked.done()
        assert client.status()["confirmed"] == 2
        clock.until(asked.done, 2.0)
        assert asked.result(0) is None
        assert client.status()["confirmed"] == 3
        assert ("depth", hub.symbols[0]) in hub.connection(1).subscriptions


def test_a_subscription_that_the_hub_refuses_is_an_error_and_no_disconnect() -> None:
    clock = VirtualClock()
    with (
        no_leftovers(),
        quiet(clock) as hub,
        Both(hub, tw.Login(hub.token, clock=clock), clock) as both,
    ):
        client = both.market
        hub.fault(sim.SubscribeError("no entitlement for depth"), only="SubscribeContractMarketDepth")
        asked = client.want("depth")
        clock.until(asked.done, 2.0)
        with pytest.raises(tw.SubscribeRefused, match="no entitlement for depth"):
            asked.result(0)
        clock.sleep(MINUTE_S)
        assert both.status("connections") == [1, 1]
        assert client.status()["subscriptions"] == client.status()["confirmed"] == 2


def test_a_subscription_that_the_hub_never_answers_is_asked_for_on_a_new_connection() -> None:
    clock = VirtualClock()
    with (
        no_leftovers(),
        quiet(clock) as hub,
        Both(hub, tw.Login(hub.token, clock=clock), clock) as both,
    ):
        client = both.market
        hub.fault(sim.NoAnswer(at="subscribe"), only="SubscribeContractMarketDepth")
        asked = client.want("depth")
        clock.sleep(tw.LinkLimits().subscribe_s - 0.5)
        assert not asked.done()
        clock.until(asked.done, MINUTE_S)
        assert asked.result(0) is None
        assert both.status("connections") == [2, 1]
        (lost,) = [e for e in both.told[client.name].poll() if isinstance(e, tw.events.Disconnected)]
        assert lost.fault == "timed out"
        assert "SubscribeContractMarketDepth" in lost.reason


# "At the open, new bars come tens of seconds late"


class Opening:
    """Two hundred thousand quotes and depth changes, then twenty seconds of trades, all as fast as they
    are taken.
    """

    start = "all"
    paced = False
    kinds = frozenset({"trade", "quote", "depth"})
    symbols = (sim.contracts(1)[0].symbol,)
    backlog = 200_000
    trades = 20_000
    closed_bars = 19
    """Of one second; the last one stays open."""
    start_ns = 1_761_850_800_000_000_000

    def opening(self) -> list[list[tuple[int, float, float]]]:
        return [[]]

    def blocks(self) -> Iterator[sim.Block]:
        yield from self._first({"quote": 1, "depth": 1}, self.backlog, spacing_ns=1_000)
        yield from self._first({"trade": 1}, self.trades, spacing_ns=1_000_000)

    def _first(self, mix: dict[str, float], count: int, spacing_ns: int) -> Iterator[sim.Block]:
        done = 0
        for block in sim.Market(1, mix=mix, rate="max").blocks():
            ticks = min(len(block), count - done)
            columns = {name: getattr(block, name) for name in sim.Block.__slots__}
            columns["ts_ns"] = self.start_ns + np.arange(done, done + len(block)) * spacing_ns
            yield sim.Block(**{name: column[:ticks] for name, column in columns.items()})
            done += ticks
            if done == count:
                return


def test_a_flood_ahead_of_the_trades_costs_no_tick_no_task_and_no_thread() -> None:
    source = Opening()
    bars: list[tw.Bar] = []
    tasks: set[int] = set()
    threads: set[tuple[str, ...]] = set()

    async def main(hub: sim.Hub, engine: tw.Engine) -> dict[str, Any]:
        client = tw.connect(
            hub.url,
            engine=engine,
            token=hub.token(),
            streams=("trades", "quotes", "depth"),
            clock="event",
            limits=FAST,
        )

        @client.on_bar("1s")
        async def on_bar(bar: tw.Bar) -> None:
            bars.append(bar)
            if len(bars) == source.closed_bars:
                whole.set()

        whole = asyncio.Event()
        async with client:
            while not hub.is_finished or client.status()["received"] < hub.sent.ticks:
                tasks.add(len(asyncio.all_tasks()))
                threads.add(tuple(library_threads()))
                await asyncio.sleep(0.005)
            await asyncio.wait_for(whole.wait(), PATIENCE_S)
            return client.status()

    with no_leftovers(), sim.Hub(source, records_per_message=4, first_depth=None) as hub:
        engine = engine_for(hub, timeframes=["1s"])
        status = asyncio.run(main(hub, engine))
        total = source.backlog + source.trades
        assert hub.sent.ticks == status["received"] == status["accepted"] == total
        assert status["connections"] == 1
    assert sum(bar.volume for bar in bars) == engine.bars(source.symbols[0], "1s")["volume"].sum()
    assert [bar.ts for bar in bars] == engine.bars(source.symbols[0], "1s")["ts"].cast(pl.Int64).to_list()
    assert all(handler["shed"] == 0 for handler in status["callbacks"].values())
    assert len(tasks) == 1
    assert len({len(names) for names in threads}) == 1


# "A large first snapshot of the book closes the connection"


@pytest.mark.parametrize(("levels", "taken"), [(60_000, True), (150_000, False)], ids=["6 MB", "15 MB"])
def test_a_large_first_snapshot_of_the_book_leaves_the_connection_alone(levels: int, taken: bool) -> None:
    clock = VirtualClock()
    level = {
        "price": 6450.25,
        "volume": 12,
        "currentVolume": 12,
        "type": 1,
        "timestamp": "2025-10-30T19:00:00.123Z",
    }
    with (
        no_leftovers(),
        quiet(clock) as hub,
        Both(hub, tw.Login(hub.token, clock=clock), clock, streams=("trades", "depth")) as both,
    ):
        client, engine, symbol = both.market, both.engine, hub.symbols[0]
        hub.broadcast("GatewayDepth", symbol, [level] * levels, connection=1)
        trade = {
            "symbolId": symbol,
            "price": 6450.25,
            "timestamp": "2025-10-30T19:00:01Z",
            "type": 0,
            "volume": 1,
        }
        hub.broadcast("GatewayTrade", symbol, trade, connection=1)
        clock.sleep(MINUTE_S)
        assert hub.connection(1).sent.bytes > 5_000_000
        assert both.status("connections") == [1, 1]
        assert engine.last(symbol).price == 6450.25
        # One record beyond what the feed takes is refused as a whole, and counted.
        assert client.status()["received"] == (levels + 1 if taken else 2)
        assert engine.rejections().get("oversize", 0) == (0 if taken else 1)


# "No event at all for connected, disconnected, reconnecting, logged out"


def test_everything_that_happens_to_a_connection_is_told_in_order() -> None:
    clock = VirtualClock()
    with (
        no_leftovers(),
        sim.Hub(sim.Market(1, rate=5.0), clock=clock) as hub,
        Both(hub, tw.Login(hub.token, clock=clock), clock) as both,
    ):
        clock.sleep(MINUTE_S)
        hub.fault(sim.Drop("fin"))
        clock.sleep(0.01)
        clock.until(both.live, MINUTE_S)
        clock.sleep(MINUTE_S)
        hub.fault(sim.Logout(), connection=hub.connection().id)
        clock.sleep(0.01)
        clock.until(both.live, MINUTE_S)
        for client in both.clients:
            seen = both.told[client.name].poll()
            assert kinds(seen, *LINK) == [
                "Connected",
                "Disconnected",
                "Reconnecting",
                "Connected",
                "Disconnected",
                "LoggedOut",
                "Reconnecting",
                "Connected",
            ]
            faults = [event.fault for event in seen if isinstance(event, tw.events.Disconnected)]
            assert faults == ["link lost", "logged out"]
            assert [event.connection for event in seen if isinstance(event, tw.events.Connected)] == [1, 2, 3]
            assert [event.ts for event in seen] == sorted(event.ts for event in seen)
            assert {event.client for event in seen} == {client.name}
            assert both.told[client.name].stats()["shed"] == 0
        # One login brought both back.
        assert both.market.status()["login"]["logins"] == 2
