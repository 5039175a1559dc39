"""Several threads writing and reading at once: no torn tick, no lost count, no deadlock.

Every tick is a function of its number, in all of its fields, so that a mixture of two shows. Sizes
are whole, so that sums over timeframes must agree exactly, in every snapshot.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl
import pytest

import tickwire as tw
from effort import LONG
from hubs import PATIENCE_S

S = 1_000_000_000
T0 = 1_700_000_040 * S
STEP_NS = 4_000_000
SECONDS = 10.0 if LONG else 2.0
SYMBOLS = ["A", "B", "C", "D"]
FREE = tw.Rules(band="off", grid="off")


def columns(first: int, count: int) -> dict[str, np.ndarray]:
    number = np.arange(first, first + count)
    return {
        "ts_event": T0 + number * STEP_NS,
        "price": number + 0.5,
        "size": (number % 3).astype(float),
        "side": number % 3 - 1,
        "ts_recv": T0 + number * STEP_NS + number,
    }


def volume_of(count: int) -> float:
    """Sum of the sizes of the first `count` ticks."""
    return float(count // 3 * 3 + (0, 0, 1)[count % 3])


def write(engine: tw.Engine, symbol: str, over: Callable[[], bool]) -> int:
    """Single ticks and batches in turn; how many were written."""
    number = 0
    for length in itertools.cycle([1, 1, 1, 40, 1, 700, 1, 3_000]):
        if over():
            return number
        if length == 1:
            ts = T0 + number * STEP_NS
            assert engine.push_trade(symbol, ts, number + 0.5, float(number % 3), number % 3 - 1, ts + number)
        else:
            assert engine.push_trades(symbol, **columns(number, length)).accepted == length
        engine.push_quote(
            symbol, T0 + number * STEP_NS, number + 0.5, number + 1.5, number + 2.0, number + 3.0
        )
        number += length
    raise AssertionError("unreachable")


def check_trades(frame: pl.DataFrame) -> None:
    numbers = (frame["ts_event"].dt.epoch("ns").to_numpy() - T0) // STEP_NS
    if numbers.size == 0:
        return
    assert (np.diff(numbers) == 1).all()
    expected = columns(int(numbers[0]), numbers.size)
    for name, values in expected.items():
        seen = frame[name].dt.epoch("ns") if name.startswith("ts") else frame[name]
        assert (seen.to_numpy() == values).all(), name


def check_snapshot(snapshot: tw.Snapshot) -> None:
    stats = snapshot.stats
    assert stats["received"] == stats["accepted"] + stats["rejected"]
    assert stats["received"] == stats["trades"] + stats["quotes"]
    if snapshot.quote is not None:
        bid = snapshot.quote.bid
        assert (snapshot.quote.ask, snapshot.quote.bid_size, snapshot.quote.ask_size) == (
            bid + 1,
            bid + 1.5,
            bid + 2.5,
        )
    if snapshot.trade is None:
        return
    count = stats["trades"]
    assert snapshot.trade.price == count - 0.5
    assert snapshot.trade.ts_event == T0 + (count - 1) * STEP_NS
    assert snapshot.trade.ts_recv == snapshot.trade.ts_event + count - 1
    for timeframe in ("1s", "7s", "1m", "1h"):
        bars = snapshot.bars(timeframe, partial=True)
        assert (bars["volume"].sum(), bars["trades"].sum()) == (volume_of(count), count), timeframe
        assert bars["close"][-1] == count - 0.5
        assert (bars["open"][1:] == bars["close"][:-1] + 1).all(), timeframe
        newest = snapshot.closed_bar(timeframe)
        if newest is not None:
            closed = snapshot.bars(timeframe)
            assert (newest.ts, newest.close) == (closed["ts"].dt.epoch("ns")[-1], closed["close"][-1])
            assert bars.height == closed.height + len(snapshot.open_bars(timeframe))


def run(
    *work: Callable[[Callable[[], bool]], object],
    seconds: float = SECONDS,
    enough: Callable[[], bool] = lambda: True,
) -> list[object]:
    """All at once, each told when the time is over or another one has failed. On a busy machine more time
    is given, until `enough`.
    """
    end = time.monotonic() + seconds
    failed = threading.Event()

    def over() -> bool:
        left_s = end - time.monotonic()
        return failed.is_set() or (left_s < 0 and (enough() or left_s < -PATIENCE_S))

    def guarded(one: Callable[[Callable[[], bool]], object]) -> object:
        try:
            return one(over)
        except BaseException:
            failed.set()
            raise

    with ThreadPoolExecutor(len(work)) as pool:
        futures = [pool.submit(guarded, one) for one in work]
        return [future.result(seconds + 2 * PATIENCE_S) for future in futures]


def test_four_writers_two_readers() -> None:
    engine = tw.Engine(
        [tw.Instrument(symbol, tick_size=0.5, rules=FREE) for symbol in SYMBOLS],
        ["1s", "7s", "1m", "1h"],
        capacity=4_096,
    )
    sub = engine.subscribe(bars=["1s"], trades=True, symbols=["D"])
    looks = {"frames": 0, "snapshots": 0}

    def read_frames(over: Callable[[], bool]) -> None:
        while not over():
            for symbol in SYMBOLS:
                check_trades(engine.trades(symbol))
                check_trades(engine.trades(symbol, last=5))
                bars = engine.bars(symbol, "1s", last=300)
                assert (bars["open"][1:] == bars["close"][:-1] + 1).all()
                stats = engine.stats()
                assert stats["received"] == stats["accepted"] + stats["rejected"]
                looks["frames"] += 1

    def read_snapshots(over: Callable[[], bool]) -> None:
        last = -1
        while not over():
            for symbol in SYMBOLS:
                check_snapshot(engine.snapshot(symbol))
                looks["snapshots"] += 1
            for item in sub.poll():
                if isinstance(item, tw.Trade):
                    number = int(item.price - 0.5)
                    assert number > last
                    assert item.ts_event == T0 + number * STEP_NS
                    assert (item.size, item.side) == (number % 3, number % 3 - 1)
                    last = number
            stats = sub.stats()
            assert stats["published"] == stats["delivered"] + stats["pending"] + stats["shed"]

    writers = [lambda over, symbol=symbol: write(engine, symbol, over) for symbol in SYMBOLS]
    least = 21
    *written, _, _ = run(*writers, read_frames, read_snapshots, enough=lambda: min(looks.values()) >= least)
    for symbol, count in zip(SYMBOLS, written, strict=True):
        assert engine.stats(symbol)["trades"] == count
        check_snapshot(engine.snapshot(symbol))
    assert engine.rejections() == {}
    assert min(looks.values()) >= least, "the readers must have had their turn"


def test_four_writers_of_one_instrument() -> None:
    """Counts and sums are whole, whoever wrote what; ticks of one batch stay together."""
    instrument = tw.Instrument("X", tick_size=0.5, rules=FREE, lateness="100h")
    engine = tw.Engine(instrument, ["1m", "1h"], capacity=65_536)
    length = 100

    def work(writer: int) -> Callable[[Callable[[], bool]], int]:
        def push(over: Callable[[], bool]) -> int:
            for turn in itertools.count():
                if over():
                    return turn
                batch = columns(turn * length, length)
                batch["price"] = np.full(length, writer + 1.0)
                engine.push_trades("X", **batch)
                engine.push_trade("X", T0, 10.0, 2.0)
            raise AssertionError("unreachable")

        return push

    def look(over: Callable[[], bool]) -> None:
        while not over():
            prices = engine.trades("X", last=5_000)["price"].to_numpy()
            # Runs between two single ticks are whole batches, but for the first and the last.
            runs = np.diff(np.flatnonzero(np.diff(prices) != 0))
            assert set(runs.tolist()) <= {1, 2, 3, 4, *range(length, 100 * length, length)}

    *turns, _ = run(*(work(writer) for writer in range(4)), look, seconds=SECONDS / 2)
    total = sum(turns) * (length + 1)
    assert engine.stats()["accepted"] == total
    bars = engine.bars("X", "1h", partial=True)
    assert bars["trades"].sum() == total
    expected = sum(volume_of(count * length) + 2.0 * count for count in turns)
    assert bars["volume"].sum() == expected


def test_late_ticks_and_flat_bars_beside_readers() -> None:
    """Late ticks revise closed bars of all timeframes, and move the flat ones that follow: every snapshot
    must agree with itself, whatever is being written.
    """
    instrument = tw.Instrument("A", tick_size=0.5, rules=FREE, late="revise", horizon="30s", empty="flat")
    engine = tw.Engine(instrument, ["1s", "5s", "1m", "1h"], capacity=4_096)
    sub = engine.subscribe(bars=["1s", "5s"], capacity=1 << 16)
    looks = 0

    def push(over: Callable[[], bool]) -> int:
        rng = random.Random(1)
        for number in itertools.count():
            if over():
                return number
            # Every third second is empty when it closes; now and then a tick comes up to twenty late.
            second = number // 4 * 3 // 2
            late = rng.randrange(1, 20) if number % 5 == 0 and second > 30 else 0
            ts = T0 + (second - late) * S + rng.randrange(S)
            engine.push_trade("A", ts, float(number % 7 + 1), 2.0, ts_recv=T0 + (second + 1) * S)
        raise AssertionError("unreachable")

    def look(over: Callable[[], bool]) -> None:
        nonlocal looks
        revisions: dict[tuple[str, int], int] = {}
        while not over():
            snapshot = engine.snapshot("A")
            frames = [snapshot.bars(timeframe, partial=True) for timeframe in engine.timeframes]
            stats = snapshot.stats
            assert {frame["trades"].sum() for frame in frames} == {stats["trades"]}
            assert {frame["volume"].sum() for frame in frames} == {2.0 * stats["trades"]}
            assert len({frame["close"][-1] for frame in frames if frame.height}) <= 1
            seconds = frames[0]
            assert seconds["ts"].is_sorted()
            assert seconds["ts"].is_unique().all()
            flat = seconds.filter(pl.col("trades") == 0)
            assert (flat["high"] == flat["low"]).all()
            follows = seconds["close"].shift(1) == seconds["open"]
            assert follows.filter(seconds["trades"] == 0).all()
            for bar in sub.poll():
                key = bar.timeframe, bar.ts
                assert bar.revision > revisions.get(key, -1)
                revisions[key] = bar.revision
            looks += 1

    def export(over: Callable[[], bool]) -> None:
        # Copies small pieces of history into large ones meanwhile.
        while not over():
            assert engine.bars("A", "1s")["ts"].is_sorted()

    pushed, *_ = run(push, look, export, enough=lambda: looks > 20)
    stats = engine.stats("A")
    assert stats["trades"] == pushed - stats["rejected"]
    assert stats["revised"] > 100
    assert looks > 20, "the reader must have had its turn"


def test_revisions_beside_ticks() -> None:
    """A revised second changes its closed minute, or the part of one that is still open: no snapshot may
    show one without the other, and no reader that tidies up behind it may undo it.
    """
    engine = tw.Engine(tw.Instrument("A", tick_size=0.5, rules=FREE), ["1s", "1m", "1h"], capacity=64)
    revised = 0

    def revise(over: Callable[[], bool]) -> None:
        nonlocal revised
        while not over():
            bars = engine.bars("A", "1s", last=100)
            if bars.height:
                given = bars.sample(1).with_columns(pl.col("volume") + 1.0)
                revised += engine.push_bars("A", "1s", given, replace=True)["replaced"]

    def look(over: Callable[[], bool]) -> None:
        while not over():
            snapshot = engine.snapshot("A")
            sums = [snapshot.bars(timeframe, partial=True)["volume"].sum() for timeframe in engine.timeframes]
            assert len(set(sums)) == 1, sums

    def tidy(over: Callable[[], bool]) -> None:
        # Only this reader's calls copy small pieces of history into large ones.
        while not over():
            engine.bars("A", "1s")

    count, *_ = run(lambda over: write(engine, "A", over), revise, look, tidy, enough=lambda: revised > 0)
    assert revised > 0, "the revisions must have had their turn"
    for timeframe in engine.timeframes:
        volume = engine.bars("A", timeframe, partial=True)["volume"].sum()
        assert volume == volume_of(count) + revised, timeframe


@pytest.mark.parametrize("what", ["history", "advance", "gaps", "subscriptions"])
def test_rare_writers_beside_ticks(what: str) -> None:
    """History, closing, gaps and new subscriptions while ticks pour in; snapshots stay whole."""
    engine = tw.Engine(
        tw.Instrument("A", tick_size=0.5, rules=FREE), ["1s", "7s", "1m", "1h"], capacity=4_096
    )
    hours = itertools.count(1)

    def other(over: Callable[[], bool]) -> None:
        while not over():
            if what == "history":
                # Hours before all ticks, each push into every timeframe.
                start = (T0 // (3_600 * S) - next(hours)) * 3_600 * S
                ts = [start + second * S for second in range(0, 3_600, 300)]
                prices = dict.fromkeys(["open", "high", "low", "close"], [1.0] * len(ts))
                engine.push_bars("A", "1s", pl.DataFrame({"ts": ts, **prices, "volume": [1.0] * len(ts)}))
            elif what == "advance":
                # To the past: what is closed stays so, and readers see a new cut.
                engine.advance(T0)
            elif what == "gaps":
                newest = engine.last("A")
                if newest is not None:
                    engine.mark_gap(newest.ts_event - S, newest.ts_event)
            else:
                with engine.subscribe(bars=["1s", "1m"], trades=True, capacity=64) as sub:
                    sub.poll()

    def look(over: Callable[[], bool]) -> None:
        while not over():
            snapshot = engine.snapshot("A")
            count = snapshot.stats["trades"]
            sums = set()
            for timeframe in ("1s", "7s", "1m", "1h"):
                bars = snapshot.bars(timeframe, partial=True)
                live = bars.filter(pl.col("ts").dt.epoch("ns") >= T0 - 3_600 * S)
                assert live["trades"].sum() == count
                assert bars["ts"].is_sorted()
                assert bars["ts"].is_unique().all()
                if timeframe != "7s":
                    # Seven seconds do not nest in the others, and history is of one second.
                    sums.add(bars["volume"].sum())
            assert len(sums) == 1, sums

    written, _, _ = run(lambda over: write(engine, "A", over), other, look, seconds=SECONDS / 2)
    assert engine.stats()["trades"] == written
