"""Callbacks beside a living connection: what is slow or broken hurts itself alone."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

import tickwire as tw
from hubs import PATIENCE_S
from tickwire.callbacks import Mailbox

pytestmark = pytest.mark.filterwarnings("error")


def parts(**how: Any) -> tuple[tw.sim.Hub, tw.Engine]:
    market = tw.sim.Market(1, seed=5, rate=2_000)
    contract = market.contracts[0]
    hub = tw.sim.Hub(market, **how)
    return hub, tw.Engine(tw.Instrument(contract.symbol, tick_size=contract.tick_size), ["1s"])


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    seen: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", lambda arguments: seen.append(arguments.exc_value))
    return seen


def test_every_trade_reaches_a_function_in_order_on_one_thread() -> None:
    hub, engine = parts(count=2_000, start="manual")
    with hub, tw.connect(hub.url, engine=engine, token=hub.token()) as client:
        seen: list[tw.Trade] = []
        threads: set[str] = set()

        @client.on_trade
        def note(trade: tw.Trade) -> None:
            seen.append(trade)
            threads.add(threading.current_thread().name)

        hub.start()
        hub.wait_finished(PATIENCE_S)
        total = engine.stats
        hub.wait_until(lambda _: total()["received"] == 2_000 and len(seen) == total()["trades"], PATIENCE_S)
        assert [(t.ts_event, t.price, t.size) for t in seen] == [
            (t.ts_event, t.price, t.size) for t in sorted(seen, key=lambda t: t.ts_event)
        ]
        assert threads == {f"{client.name}-callbacks"}


def test_a_broken_handler_rests_and_takes_no_other_down(shown: list[Any]) -> None:
    hub, engine = parts(start="manual", count=3_000)
    settings = tw.BreakerSettings(failures=5, recovery_s=60.0)
    with hub, tw.connect(hub.url, engine=engine, token=hub.token(), breakers=settings) as client:
        good: list[tw.Trade] = []

        @client.on_trade
        def bad(trade: tw.Trade) -> None:
            raise ValueError(trade.price)

        client.on_trade(good.append)
        events = client.events()
        hub.start()
        hub.wait_finished(PATIENCE_S)
        total = engine.stats
        hub.wait_until(lambda _: total()["received"] == 3_000 and len(good) == total()["trades"], PATIENCE_S)
        counts = next(c for name, c in client.status()["callbacks"].items() if name.endswith("bad"))
        assert counts["failures"] == counts["calls"] == 5
        # It may still be going through what it skips.
        hub.wait_until(
            lambda _: client.status()["callbacks"] and _skipped(client) == total()["trades"] - 5, PATIENCE_S
        )
        assert client.breaker("GatewayTrade", bad).state == "open"
        assert client.state == "live"
        assert client.status()["failures"] == 0
        kinds = [type(event).__name__ for event in events.poll()]
        assert "BreakerChanged" in kinds
        assert "HandlerFailed" in kinds
    # At the first, second and fourth failure, not at every one.
    assert len(shown) == 3


def _skipped(client: tw.Client) -> int:
    return int(next(c["skipped"] for name, c in client.status()["callbacks"].items() if name.endswith("bad")))


def test_a_slow_handler_falls_behind_alone_and_its_shed_is_told() -> None:
    hub, engine = parts(start="manual", count=3_000)
    release = threading.Event()
    with hub, tw.connect(hub.url, engine=engine, token=hub.token()) as client:
        trades = client.trades(capacity=64)

        @client.on_quote
        def slow(quote: tw.Quote) -> None:
            release.wait(PATIENCE_S)

        hub.start()
        hub.wait_finished(PATIENCE_S)
        hub.wait_until(lambda _: engine.stats()["received"] == 3_000, PATIENCE_S)
        assert client.status()["failures"] == 0
        assert client.state == "live"
        stats = trades.stats()
        assert stats["published"] == stats["delivered"] + stats["pending"] + stats["shed"]
        assert stats["shed"] > 0
        release.set()


def test_coroutine_functions_run_on_the_caller_s_loop() -> None:
    hub, engine = parts(count=1_000, start="manual")

    async def main() -> None:
        seen: list[asyncio.AbstractEventLoop] = []
        async with tw.connect(hub.url, engine=engine, token=hub.token()) as client:

            @client.on_trade
            async def note(trade: tw.Trade) -> None:
                await asyncio.sleep(0)
                seen.append(asyncio.get_running_loop())

            hub.start()
            deadline_s = asyncio.get_running_loop().time() + PATIENCE_S
            while not seen or len(seen) < engine.stats()["trades"] or engine.stats()["received"] < 1_000:
                assert asyncio.get_running_loop().time() < deadline_s
                await asyncio.sleep(0.01)
            assert set(seen) == {asyncio.get_running_loop()}

    with hub:
        asyncio.run(main())


def test_a_coroutine_function_without_a_loop_is_refused() -> None:
    hub, engine = parts(start="manual")
    with hub, tw.connect(hub.url, engine=engine, token=hub.token()) as client:

        async def note(trade: tw.Trade) -> None: ...

        with pytest.raises(tw.ConfigError, match=r"note is a coroutine function.*async with"):
            client.on_trade(note)


def test_threads_and_tasks_do_not_grow_with_the_rate() -> None:
    hub, engine = parts(count=10_000, start="manual")
    with hub, tw.connect(hub.url, engine=engine, token=hub.token()) as client:
        client.on_trade(lambda trade: None)
        client.on_quote(lambda quote: None)
        client.on(tw.events.Gap)(lambda gap: None)
        before = {info.name for info in client.tasks()}
        hub.start()
        while engine.stats()["received"] < 10_000:
            assert {info.name for info in client.tasks()} == before
        assert before == {f"{client.name}-link", f"{client.name}-callbacks"}
    assert client.tasks() == ()


def test_a_mailbox_sheds_the_oldest_and_counts() -> None:
    mailbox, woken = Mailbox(3), []
    mailbox.arm(lambda: woken.append(1))
    for item in range(5):
        mailbox.put(item)
    assert woken == [1]
    assert mailbox.poll() == [2, 3, 4]
    assert mailbox.stats() == {"published": 5, "delivered": 3, "pending": 0, "shed": 2}
