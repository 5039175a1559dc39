"""`Subscription`: what is delivered, in which order, what is counted as lost, and how waiting ends."""

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
from hypothesis import given, settings
from hypothesis import strategies as st

import tickwire as tw
from effort import examples
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


# What is delivered


def test_from_now_on_and_only_what_was_asked_for() -> None:
    engine = engine_of("X", "Y")
    trade(engine, 0)
    trades = engine.subscribe(trades=True)
    of_y = engine.subscribe(trades=True, quotes=True, symbols=["Y"])
    bars = engine.subscribe(bars=["5s"])
    bids = engine.subscribe(bars=["1s"], source="bid")
    trade(engine, 1, 11.0)
    trade(engine, 0.5, 12.0, "Y")
    engine.push_quote("Y", T0, 9.75, 10.25)
    engine.push_trade("X", T0 - S, 1.0, 1.0)
    engine.advance(T0 + 5 * S)
    # Instruments are merged by event time.
    assert [(item.symbol, item.price) for item in trades.poll()] == [("Y", 12.0), ("X", 11.0)]
    assert [type(item).__name__ for item in of_y.poll()] == ["Quote", "Trade"]
    assert [(bar.symbol, bar.timeframe, bar.source, bar.close) for bar in bars.poll()] == [
        ("X", "5s", "trade", 11.0),
        ("Y", "5s", "trade", 12.0),
    ]
    assert [(bar.symbol, bar.source, bar.close) for bar in bids.poll()] == [("Y", "bid", 9.75)]


def test_bars_come_by_their_ends_smaller_first_and_before_ticks_of_that_time() -> None:
    engine = engine_of()
    sub = engine.subscribe(bars=["5s", "1s"], trades=True)
    for second in (3, 4, 5):
        trade(engine, second)
    order = [
        (item.timeframe, (item.ts_end - T0) // S)
        if isinstance(item, tw.Bar)
        else ("tick", (item.ts_event - T0) // S)
        for item in sub.poll()
    ]
    assert order == [("tick", 3), ("1s", 4), ("tick", 4), ("1s", 5), ("5s", 5), ("tick", 5)]


def test_items_are_what_the_frames_show() -> None:
    engine = engine_of()
    sub = engine.subscribe(bars=["1s"])
    for tick in range(500):
        trade(engine, tick / 7, 10.0 + tick % 13)
    items, frame = sub.poll(), engine.bars("X", "1s")
    columns = ["open", "high", "low", "close", "volume", "vwap", "trades", "complete"]
    assert [tuple(getattr(bar, name) for name in columns) for bar in items] == frame.select(columns).rows()
    assert [bar.ts for bar in items] == frame["ts"].dt.epoch("ns").to_list()
    assert {(bar.ts_end - bar.ts, bar.revision) for bar in items} == {(S, 0)}


def test_when_a_call_returns_its_items_are_there() -> None:
    engine = engine_of()
    sub = engine.subscribe(trades=True)
    for tick in range(100):
        trade(engine, tick / 10, 10.0 + tick)
        assert sub.get(timeout=0).price == 10.0 + tick
    with pytest.raises(TimeoutError, match="nothing came within 0"):
        sub.get(timeout=0)


# Capacity


def test_what_is_not_fetched_in_time_is_shed_oldest_first() -> None:
    engine = engine_of()
    sub = engine.subscribe(trades=True, capacity=8)
    for tick in range(20):
        trade(engine, tick / 100, 10.0 + tick)
    assert balanced(sub) == {"published": 20, "delivered": 0, "pending": 8, "shed": 12}
    assert [item.price for item in sub.poll()] == [10.0 + tick for tick in range(12, 20)]
    assert balanced(sub) == {"published": 20, "delivered": 8, "pending": 0, "shed": 12}


def test_a_batch_larger_than_the_ring() -> None:
    engine = engine_of(capacity=64)
    sub = engine.subscribe(trades=True, capacity=64)
    count = 1_000
    engine.push_trades(
        "X", ts_event=[T0] * count, price=[float(n + 1) for n in range(count)], size=[1.0] * count
    )
    assert balanced(sub) == {"published": count, "delivered": 0, "pending": 64, "shed": count - 64}
    assert [item.price for item in sub.poll()] == [float(n + 1) for n in range(count - 64, count)]


def test_capacity_is_per_stream() -> None:
    engine = engine_of("X", "Y")
    sub = engine.subscribe(trades=True, bars=["1s"], capacity=4)
    for second in range(11):
        trade(engine, second, symbol="X")
    trade(engine, 0, symbol="Y")
    assert balanced(sub) == {"published": 11 + 10 + 1, "delivered": 0, "pending": 4 + 4 + 1, "shed": 7 + 6}


STEP = st.one_of(
    st.tuples(st.just("trades"), st.integers(1, 30)),
    st.tuples(st.just("quotes"), st.integers(1, 30)),
    st.tuples(st.just("advance"), st.integers(1, 12)),
    st.tuples(st.just("poll"), st.just(0)),
    st.tuples(st.just("get"), st.integers(1, 9)),
)


@settings(max_examples=examples(150))
@given(steps=st.lists(STEP, max_size=40), capacity=st.integers(1, 20), close_at=st.integers(0, 60))
def test_published_is_delivered_plus_pending_plus_shed(
    steps: list[tuple[str, int]], capacity: int, close_at: int
) -> None:
    engine = engine_of(capacity=32)
    sub = engine.subscribe(trades=True, quotes=True, bars=["1s", "5s"], capacity=capacity)
    got: list[tw.Bar | tw.Trade | tw.Quote] = []
    ticks, published, second = 0, 0, 0
    for number, (kind, count) in enumerate(steps):
        if number == close_at:
            sub.close()
        bars = sum(engine.bars("X", timeframe).height for timeframe in ("1s", "5s"))
        for _ in range(count if kind in ("trades", "quotes") else 0):
            ticks += 1
            # The price tells the order of all ticks.
            if kind == "trades":
                engine.push_trade("X", T0 + second * S, float(ticks), 1.0)
            else:
                engine.push_quote("X", T0 + second * S, float(ticks), float(ticks))
            published += number < close_at
        if kind == "advance":
            second += count
            engine.advance(T0 + second * S)
        bars = sum(engine.bars("X", timeframe).height for timeframe in ("1s", "5s")) - bars
        published += bars if number < close_at else 0
        if kind == "poll":
            got += sub.poll()
        for _ in range(count if kind == "get" else 0):
            with contextlib.suppress(TimeoutError, tw.SubscriptionClosed):
                got.append(sub.get(timeout=0))
        stats = balanced(sub)
        assert stats["delivered"] == len(got)
        assert stats["published"] == published
    got += sub.poll()
    # Nothing twice, nothing out of order, and the newest are never the ones that are lost.
    for kind in (tw.Trade, tw.Quote):
        prices = [item.price if kind is tw.Trade else item.bid for item in got if isinstance(item, kind)]
        assert prices == sorted(set(prices))
    for timeframe in ("1s", "5s"):
        labels = [item.ts for item in got if isinstance(item, tw.Bar) and item.timeframe == timeframe]
        assert labels == sorted(set(labels))
        if close_at > len(steps):
            kept = engine.bars("X", timeframe)["ts"].dt.epoch("ns").to_list()[-capacity:]
            assert labels[len(labels) - len(kept) :] == kept
    assert len(got) == published - balanced(sub)["shed"]


# Closing


def test_closing_ends_it_after_what_it_holds() -> None:
    engine = engine_of()
    sub = engine.subscribe(trades=True)
    trade(engine, 0, 10.0)
    trade(engine, 0, 11.0)
    sub.close()
    sub.close()
    assert sub.closed
    # A busy market does not keep a closed subscription alive.
    trade(engine, 0, 12.0)
    assert balanced(sub) == {"published": 2, "delivered": 0, "pending": 2, "shed": 0}
    assert [item.price for item in sub] == [10.0, 11.0]
    with pytest.raises(tw.SubscriptionClosed):
        sub.get()
    assert sub.poll() == []
    assert balanced(sub) == {"published": 2, "delivered": 2, "pending": 0, "shed": 0}


def test_the_with_statement_closes() -> None:
    engine = engine_of()
    with engine.subscribe(trades=True) as sub:
        assert not sub.closed
    assert sub.closed


def test_dropped_subscriptions_cost_nothing() -> None:
    engine = engine_of()
    for _ in range(50):
        engine.subscribe(bars=["1s"], trades=True, capacity=4).poll()
    kept = engine.subscribe(bars=["1s"])
    for second in range(3):
        trade(engine, second)
    assert len(kept.poll()) == 2


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
