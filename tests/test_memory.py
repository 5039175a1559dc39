"""Memory and cost over time: what `Engine.memory` says is what the process takes, and neither grows with
what has been forgotten.

Each measurement is made in a process of its own, because an allocator that has served other tests
says nothing. Costs are compared only at length: they are timings.
"""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import pytest

from effort import LONG

PREAMBLE = """
    import gc, json, statistics, sys, time
    import numpy as np
    import psutil
    import tickwire as tw

    S = 1_000_000_000
    T0 = 1_700_000_040 * S
    FREE = tw.Rules(band="off", grid="off")
    process = psutil.Process()

    def rss():
        gc.collect()
        return process.memory_info().rss

    def engine_of(**how):
        how = {"timeframes": ["1s", "1m"]} | how
        return tw.Engine(tw.Instrument("X", tick_size=0.25, rules=FREE), **how)
"""


def measure(program: str, timeout_s: float = 110.0) -> dict[str, float]:
    """Runs a program that prints one JSON object."""
    code = textwrap.dedent(PREAMBLE) + textwrap.dedent(program)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=timeout_s, check=False
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize(
    ("what", "how"),
    [
        ("rings", "engine_of(capacity=1 << 20, timeframes=['1h'])"),
        ("bars", "engine_of(capacity=64, timeframes=['1s', '2s', '4s'], retain=1_000_000)"),
        ("both", "engine_of(capacity=1 << 19, timeframes=['1s', '1m'])"),
    ],
)
def test_memory_agrees_with_the_process(what: str, how: str) -> None:
    seen = measure(
        f"""
        ROWS = 50_000
        step = S if {what == "bars"} else S // 10
        ts = T0 + np.arange(ROWS) * step
        price, size = np.full(ROWS, 10.0), np.ones(ROWS)
        engine = {how}
        # The columns have been touched, and the code has run once.
        warm = engine_of(capacity=64)
        for _ in range(2):
            warm.push_trades("X", ts_event=ts, price=price, size=size)
            warm.push_quotes("X", ts_event=ts, bid=price, ask=price)
            ts += ROWS * step
        before, said_before = rss(), engine.memory()["total"]
        for _ in range(22):
            engine.push_trades("X", ts_event=ts, price=price, size=size)
            engine.push_quotes("X", ts_event=ts, bid=price, ask=price)
            ts += ROWS * step
        memory = engine.memory()
        print(json.dumps(memory | {{"grown": rss() - before, "said": memory["total"] - said_before}}))
        """
    )
    assert seen["said"] > 10_000_000, "too little to be measured"
    assert seen["total"] == seen["rings"] + seen["bars"] + seen["fixed"]
    assert seen["grown"] == pytest.approx(seen["said"], rel=0.2)


def test_untouched_rings_take_nothing() -> None:
    seen = measure(
        """
        before = rss()
        engine = engine_of(capacity=1 << 22)
        engine.push_trade("X", T0, 10.0, 1.0)
        engine.push_quote("X", T0, 9.0, 10.0)
        print(json.dumps({"grown": rss() - before, "said": engine.memory()["total"]}))
        """
    )
    assert seen["said"] < 1_000_000
    assert seen["grown"] < 4_000_000


@pytest.mark.parametrize("read", [False, True])
def test_many_ticks_leave_the_process_flat(read: bool) -> None:
    """Rings and bars wrap many times; with and without somebody reading and dropping frames."""
    millions = 100 if LONG else 10
    seen = measure(
        f"""
        ROWS = 100_000
        engine = engine_of(capacity=16_384, retain=2_000)
        sub = engine.subscribe(bars=["1s"], trades=True, capacity=256)
        ts = T0 + np.arange(ROWS) * (S // 20)
        price, size = np.full(ROWS, 10.0), np.ones(ROWS)
        levels = []
        for million in range({millions}):
            for _ in range(10):
                engine.push_trades("X", ts_event=ts, price=price, size=size)
                ts += ROWS * (S // 20)
                if {read}:
                    engine.bars("X", "1s")
                    engine.trades("X")
                    engine.snapshot("X").bars("1m", partial=True)
                    sub.poll()
            levels.append(rss())
        bars = engine.bars("X", "1s").height
        print(json.dumps({{"levels": levels, "bars": bars, "trades": engine.stats()["trades"]}}))
        """,
        timeout_s=1_000.0 if LONG else 110.0,
    )
    assert seen["trades"] == millions * 1_000_000
    assert 2_000 <= seen["bars"] <= 2_512
    settled, *later = seen["levels"][2:]
    assert max(later) - settled < 3_000_000, seen["levels"]


def test_frames_that_were_handed_out_are_given_back() -> None:
    seen = measure(
        """
        engine = engine_of(retain=400_000)
        ROWS = 400_000
        ts = T0 + np.arange(ROWS) * S
        price, size = np.full(ROWS, 10.0), np.ones(ROWS)
        engine.push_trades("X", ts_event=ts, price=price, size=size)
        levels = []
        for _ in range(40):
            frames = [engine.bars("X", "1s") for _ in range(10)]
            del frames
            levels.append(rss())
        print(json.dumps({"levels": levels}))
        """
    )
    assert max(seen["levels"]) - seen["levels"][2] < 8_000_000, seen["levels"]


@pytest.mark.skipif(not LONG, reason="a timing, and so not for every change: TICKWIRE_LONG=1 runs it")
def test_the_cost_of_a_tick_does_not_grow_with_history() -> None:
    """Thread CPU time per tick of an engine with a million closed bars against that of a new one, in
    turns, so that whatever else the machine does meets both; the median of the ratios counts.
    """
    program = """
        ROWS = 20_000
        steps = np.arange(ROWS) * (S // 10)
        price, size = np.full(ROWS, 10.0), np.ones(ROWS)

        def block(engine, now):
            ts = now + steps
            began = time.thread_time_ns()
            engine.push_trades("X", ts_event=ts, price=price, size=size)
            return (time.thread_time_ns() - began) / ROWS

        # Rings so small that they stay in the caches: bars are what is compared.
        how = {"timeframes": ["1s", "5s", "1m", "5m", "1h"], "capacity": 1_024}
        old = engine_of(retain=2_000_000, **how)
        count = 1_000_001
        old.push_trades("X", ts_event=T0 + np.arange(count) * S, price=np.full(count, 10.0), size=np.ones(count))
        assert old.bars("X", "1s").height == 1_000_000
        now = T0 + count * S
        ratios = []
        for turn in range(200):
            costs = {}
            # Who comes first changes from turn to turn, in case that it matters.
            for engine in (old, engine_of(**how))[:: 1 if turn % 2 else -1]:
                # The first block brings the engine's memory back into the caches.
                block(engine, now)
                costs[engine is old] = block(engine, now + ROWS * S // 10)
            ratios.append(costs[True] / costs[False])
            now += 2 * ROWS * S // 10
        print(json.dumps({"ratio": statistics.median(ratios)}))
    """
    ratios = []
    for _ in range(5):
        ratios.append(measure(program, 600.0)["ratio"])
        if ratios[-1] <= 1.1:
            return
    raise AssertionError(f"old against new, in every one of five tries: {ratios}")


@pytest.mark.skipif(not LONG, reason="a timing, and so not for every change: TICKWIRE_LONG=1 runs it")
def test_no_push_takes_a_millisecond() -> None:
    """The longest of two million single pushes in thread CPU time, over a million closed bars in each of
    several timeframes, with readers' copies in between. A machine that stole the time may be asked again.
    """
    program = """
        engine = engine_of(timeframes=["1s", "2s", "5s", "1m", "5m"])
        push, clock = engine.push_trade, time.thread_time_ns
        engine.push_trade("X", T0, 10.0, 1.0)
        worst = 0
        gc.disable()
        for tick in range(1, 2_000_000):
            ts = T0 + tick * (S // 2)
            began = clock()
            push("X", ts, 10.0, 1.0)
            worst = max(worst, clock() - began)
            if tick % 100_000 == 0:
                engine.bars("X", "1s")
        print(json.dumps({"worst_ns": worst, "bars": engine.bars("X", "1s").height}))
    """
    worst = []
    for _ in range(5):
        seen = measure(program, 600.0)
        assert seen["bars"] == 999_999
        worst.append(seen["worst_ns"])
        if worst[-1] < 1_000_000:
            return
    raise AssertionError(f"longest push, ns, in every one of five tries: {worst}")
