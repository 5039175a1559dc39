"""`Subscription`: how a wait ends. Threads, Ctrl-C and asyncio; what is delivered is in test_subscription.py."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import tickwire as tw
from hubs import PATIENCE_S

S = 1_000_000_000
T0 = 1_700_000_040 * S
FREE = tw.Rules(band="off")


def engine_of(*symbols: str, capacity: int = 65_536, source: object = ("trade", "bid")) -> tw.Engine:
    instruments = [
        tw.Instrument(symbol, tick_size=0.25, rules=FREE, source=source) for symbol in symbols or "X"
    ]
    return tw.Engine(instruments, ["1s", "5s"], capacity=capacity)


def trade(engine: tw.Engine, second: float, price: float = 10.0, symbol: str = "X") -> None:
    assert engine.push_trade(symbol, T0 + round(second * S), price, 1.0)


def in_thread(work: Callable[[], object]) -> contextlib.AbstractContextManager[None]:
    @contextlib.contextmanager
    def running() -> Iterator[None]:
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(work)
            yield
            future.result(PATIENCE_S)

    return running()


def settle(condition: Callable[[], bool]) -> None:
    """Wait for what another thread does and nothing announces."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def balanced(sub: tw.Subscription) -> dict[str, int]:
    stats = sub.stats()
    assert stats["published"] == stats["delivered"] + stats["pending"] + stats["shed"], stats
    return stats


# Waiting in threads


def test_get_is_woken_by_another_thread() -> None:
    engine = engine_of()
    sub = engine.subscribe(bars=["1s"], trades=True)
    for second in range(20):
        with in_thread(lambda second=second: trade(engine, second, 10.0 + second)):
            item = sub.get(timeout=PATIENCE_S)
        while isinstance(item, tw.Bar):
            item = sub.get(timeout=PATIENCE_S)
        assert item.price == 10.0 + second


def test_a_waiting_iteration_ends_when_another_thread_closes() -> None:
    engine = engine_of()
    sub = engine.subscribe(trades=True)
    got: list[float] = []
    with in_thread(lambda: got.extend(item.price for item in sub)):
        trade(engine, 0, 10.0)
        settle(lambda: got == [10.0])
        sub.close()
    assert got == [10.0]


def test_a_busy_publisher_does_not_keep_a_closed_iteration_going() -> None:
    engine = engine_of()
    sub = engine.subscribe(trades=True, capacity=16)
    stop = threading.Event()

    def publish() -> None:
        while not stop.is_set():
            trade(engine, 0)

    taken = 0
    with in_thread(publish):
        for item in sub:
            assert item.price == 10.0
            taken += 1
            if taken == 1_000:
                sub.close()
        stop.set()
    assert balanced(sub)["delivered"] == taken
    # What had been fetched and what one ring holds.
    assert taken <= 1_000 + 2 * 16


def test_several_threads_share_one_subscription() -> None:
    engine = engine_of()
    sub = engine.subscribe(trades=True, capacity=65_536)
    count = 20_000
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(lambda: [item.price for item in sub]) for _ in range(4)]
        for tick in range(count):
            trade(engine, 0, float(tick + 1))
        sub.close()
        shares = [future.result(PATIENCE_S) for future in futures]
    assert all(share == sorted(share) for share in shares)
    assert sorted(price for share in shares for price in share) == [float(tick + 1) for tick in range(count)]


def test_closing_wakes_all_threads() -> None:
    engine = engine_of()
    sub = engine.subscribe(trades=True)
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(lambda: list(sub)) for _ in range(4)]
        sub.close()
        assert [future.result(PATIENCE_S) for future in futures] == [[]] * 4


# Ctrl-C

BLOCKED = """
    import os, signal, sys, threading
    import tickwire as tw

    engine = tw.Engine(tw.Instrument("X", tick_size=0.25), ["1s"])
    sub = engine.subscribe(bars=["1s"])
    print("waiting", flush=True)
    try:
        {wait}
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


@pytest.mark.parametrize(
    "wait", ["sub.get()", "sub.get(timeout=600)", "next(iter(sub))", "[item for item in sub]"]
)
@pytest.mark.skipif(os.name != "posix", reason="sends a POSIX signal")
def test_ctrl_c_interrupts_a_wait(wait: str) -> None:
    program = textwrap.dedent(BLOCKED).format(wait=wait)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "waiting\n"
        # In the wait itself and not just before it: the main thread sleeps in a system call.
        status = Path(f"/proc/{process.pid}/status")
        settle(lambda: not status.exists() or "S (sleeping)" in status.read_text())
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=PATIENCE_S)[0] == "interrupted\n"
        assert time.monotonic() - sent < PATIENCE_S / 10 + 0.5
        assert process.returncode == 0


# asyncio


def test_async_iteration_ends_when_closed() -> None:
    engine = engine_of()
    sub = engine.subscribe(trades=True)

    async def main() -> list[float]:
        got = []
        async for item in sub:
            got.append(item.price)
            if len(got) == 3:
                sub.close()
        return got

    trade(engine, 0, 10.0)
    trade(engine, 0, 11.0)
    loop = asyncio.new_event_loop()
    try:
        loop.call_later(0.01, trade, engine, 0, 12.0)
        assert loop.run_until_complete(asyncio.wait_for(main(), PATIENCE_S)) == [10.0, 11.0, 12.0]
    finally:
        loop.close()


def test_async_iteration_is_woken_by_threads() -> None:
    engine = engine_of("X", "Y")
    sub = engine.subscribe(trades=True, capacity=65_536)
    count = 5_000

    def publish(symbol: str) -> None:
        rng = random.Random(symbol)
        for tick in range(count):
            trade(engine, 0, float(tick + 1), symbol)
            if rng.random() < 0.01:
                time.sleep(0.0005)

    async def main() -> dict[str, list[float]]:
        got: dict[str, list[float]] = {"X": [], "Y": []}
        publishers = [asyncio.to_thread(publish, symbol) for symbol in "XY"]
        done = asyncio.gather(*publishers)
        while sum(map(len, got.values())) < 2 * count:
            item = await asyncio.wait_for(anext(sub), PATIENCE_S)
            got[item.symbol].append(item.price)
        await done
        return got

    assert asyncio.run(main()) == {symbol: [float(tick + 1) for tick in range(count)] for symbol in "XY"}


@pytest.mark.parametrize("shared", [False, True])
def test_many_async_consumers(shared: bool) -> None:
    """Each with a subscription of its own, or all at one: nobody sleeps through an item or the end."""
    engine = engine_of()
    consumers, count = 20, 100
    one = engine.subscribe(trades=True)
    subs = [one if shared else engine.subscribe(trades=True) for _ in range(consumers)]

    async def consume(sub: tw.Subscription) -> list[float]:
        return [item.price async for item in sub]

    async def main() -> list[list[float]]:
        tasks = [asyncio.create_task(consume(sub)) for sub in subs]
        for tick in range(count):
            await asyncio.to_thread(trade, engine, 0, float(tick + 1))
        for sub in subs:
            sub.close()
        return await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE_S)

    got = asyncio.run(main())
    expected = [float(tick + 1) for tick in range(count)]
    if shared:
        assert sorted(price for share in got for price in share) == expected
    else:
        assert got == [expected] * consumers


def test_a_cancelled_wait_loses_nothing() -> None:
    engine = engine_of()
    sub = engine.subscribe(trades=True)

    async def main() -> float:
        for _ in range(5):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(sub), 0.005)
        trade(engine, 0, 10.0)
        return (await anext(sub)).price

    assert asyncio.run(main()) == 10.0


def test_publishing_after_the_loop_has_ended() -> None:
    """Whoever waited is gone; the publisher must not notice."""
    engine = engine_of()
    sub = engine.subscribe(trades=True)
    loop = asyncio.new_event_loop()
    waiting = loop.create_task(anext(sub))  # type: ignore[arg-type]
    loop.run_until_complete(asyncio.sleep(0))
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        loop.run_until_complete(waiting)
    loop.close()
    trade(engine, 0, 10.0)
    assert sub.get(timeout=0).price == 10.0


def test_a_publisher_that_is_the_consumer() -> None:
    """A strategy that writes back into the engine it reads from, in one loop."""
    engine = engine_of("X", "Y")
    sub = engine.subscribe(trades=True)

    async def main() -> list[float]:
        trade(engine, 0, 1.0)
        got = []
        async for item in sub:
            got.append(item.price)
            if item.price >= 50:
                break
            trade(engine, 0, item.price + 1, "Y")
        return got

    assert asyncio.run(main()) == [float(n) for n in range(1, 51)]
