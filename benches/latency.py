"""The lines about latency: how long ticks take from the hub's schedule to the engine and to a strategy.

The hub runs in a process of its own and stamps each tick with the time at which it was due, so that
being behind counts as well. The client runs as a user's program would, in a fresh process for each run,
on all cores: wall time is what is measured, and other work on the machine is part of it. What the times
are taken of is described in `tickwire.cli.latency`; they are evaluated when the stream has ended.

Ticks are spaced evenly, so that 10,000 a second are what it says at every moment. One condition has the
market's bursts, in which hundredths of a second bring twenty times as many: there the hub, which is Python,
is itself behind. Beside the idle condition runs a reader that does nothing, `barereader`,
to tell what of the delay is the hub's and the machine's.

`python -m benches.latency SECONDS CONDITION CORES` is one run, and prints a JSON object.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import barereader
from .harness import CORES, Line, Result

if TYPE_CHECKING:
    from .lines import Options

__all__ = ["latency"]

RATE = 10_000
INSTRUMENTS = 4
TIMEFRAMES = ("1s", "5s", "15s", "1m", "5m")
RUNS = 3

_ROOT = Path(__file__).parent.parent
_RING_TICKS = 65_536
_QUANTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
_PLACES = {"engine": "the engine", "strategy": "the strategy"}
_ARRIVAL_S = 10.0
_PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class Condition:
    """What else the client's process does.

    Attributes:
        title: in the table.
        busy: whether a thread runs Python without a pause.
        switch_s: for `sys.setswitchinterval`; None for the default, 5 ms.
        goal_ms: what p99 should be below, by place.
        burst: unevenness of the ticks inside a second, as the hub takes it.
        bare: whether the reader that does nothing is measured, too.
    """

    title: str
    busy: bool
    switch_s: float | None
    goal_ms: dict[str, float]
    burst: float = 0.0
    bare: bool = False


CONDITIONS = {
    "idle": Condition("otherwise idle", False, None, {"engine": 2.0}, bare=True),
    "busy": Condition("beside a busy Python thread", True, None, {"strategy": 40.0}),
    "busy, switching": Condition("beside a busy Python thread, switch interval 0.5 ms", True, 0.0005, {}),
    "bursts": Condition("otherwise idle, ticks in bursts", False, None, {}, burst=1.0),
}


def latency(options: Options) -> list[Line]:
    """A line per condition and place, of three runs each."""
    return [line for key in CONDITIONS for line in _lines(key, options.seconds)]


def _lines(key: str, seconds: float) -> list[Line]:
    import tickwire as tw

    condition = CONDITIONS[key]
    outcomes = [_run_apart(key, seconds) for _ in range(RUNS)]
    tasks, threads = outcomes[0]["tasks"], outcomes[0]["threads"]
    rejected = sum(outcome["rejected"] for outcome in outcomes)
    detail = (
        f"{RUNS} runs of {seconds:g} s, {RATE:,} ticks/s of {INSTRUMENTS} instruments, {len(TIMEFRAMES)} timeframes, a "
        "strategy in a thread that takes every tick. Wall time on all cores, from the time at which the hub was due to "
        f"send. {sum(outcome['sent'] for outcome in outcomes):,} ticks sent, none lost, {rejected:,} rejected. The client "
        f"ran {tasks[0]} threads and tasks at the start and {tasks[1]} at the end, the process {threads[0]} and {threads[1]}."
    )
    lines = []
    for place, name in _PLACES.items():
        runs = {quantile: [outcome[place][quantile] for outcome in outcomes] for quantile in _QUANTILES}
        result = Result("tickwire", tw.__version__, [1e3 * us for us in runs["p99"]], [1.0] * RUNS)
        result.note = ", ".join(f"{quantile} {_ms(us)}" for quantile, us in runs.items())
        if place in condition.goal_ms:
            goal_ms = condition.goal_ms[place]
            met = "met" if statistics.median(runs["p99"]) < 1e3 * goal_ms else "MISSED"
            result.note += f"; goal p99 under {goal_ms:g} ms: {met}"
        hub = ", ".join(
            f"{name} {_ms([outcome['hub'][name] for outcome in outcomes])}" for name in ("p50", "p99")
        )
        result.note += f"; the hub itself {hub}"
        title = f"Latency to {name}, {condition.title}"
        results = [result]
        if condition.bare and place == "engine":
            results.append(_bare_result(outcomes))
        lines.append(Line(f"latency {key} {place}", title, "tick at p99", detail, results))
    return lines


def _bare_result(outcomes: list[dict[str, Any]]) -> Result:
    runs = {quantile: [outcome["bare"][quantile] for outcome in outcomes] for quantile in _QUANTILES}
    ours = [outcome["engine"]["p99"] for outcome in outcomes]
    slower = [bare / own for bare, own in zip(runs["p99"], ours, strict=True)]
    result = Result("a reader that does nothing", "", [1e3 * us for us in runs["p99"]], slower)
    result.note = ", ".join(f"{quantile} {_ms(us)}" for quantile, us in runs.items())
    return result


def _ms(runs_us: list[float]) -> str:
    return f"{'/'.join(f'{us / 1e3:.3g}' for us in sorted(runs_us))} ms"


def _run_apart(key: str, seconds: float) -> dict[str, Any]:
    cores = ",".join(map(str, CORES))
    command = [sys.executable, "-m", "benches.latency", repr(seconds), key, cores]
    done = subprocess.run(
        command, cwd=_ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=seconds + _PATIENCE_S
    )
    outcome: dict[str, Any] = json.loads(done.stdout)
    return outcome


# One run


def main() -> None:
    """Run once."""
    seconds, condition, cores = float(sys.argv[1]), CONDITIONS[sys.argv[2]], sys.argv[3]
    if cores:
        # The process that started this one has pinned itself to a core.
        os.sched_setaffinity(0, {int(core) for core in cores.split(",")})
    if condition.switch_s is not None:
        sys.setswitchinterval(condition.switch_s)
    outcome = _run(seconds, condition)
    if condition.bare:
        outcome["bare"] = _run_bare(seconds, condition)
    print(json.dumps(outcome), flush=True)


def _hub_arguments(seconds: float, condition: Condition) -> list[str]:
    options = {"instruments": INSTRUMENTS, "rate": RATE, "seconds": seconds, "burst": condition.burst}
    return [
        "--start",
        "all",
        *(text for name, value in options.items() for text in (f"--{name}", str(value))),
    ]


def _run_bare(seconds: float, condition: Condition) -> dict[str, float]:
    from tickwire import sim
    from tickwire.cli.hubprocess import HubProcess

    symbols = [each.symbol for each in sim.contracts(INSTRUMENTS)]
    with HubProcess(_hub_arguments(seconds, condition)) as hub:
        delays_us = barereader.run(hub.url, hub.token, symbols)
        hub.stop()
    return {name: delays_us[quantile] for name, quantile in _QUANTILES.items()}


def _run(seconds: float, condition: Condition) -> dict[str, Any]:
    import tickwire as tw
    from tickwire import sim
    from tickwire.cli.hubprocess import HubProcess
    from tickwire.cli.latency import Latency, Strategy, TimedEngine

    listed = [tw.Instrument(each.symbol, tick_size=each.tick_size) for each in sim.contracts(INSTRUMENTS)]
    engine = TimedEngine(listed, TIMEFRAMES, capacity=_RING_TICKS)
    stop = threading.Event()
    spinner = threading.Thread(target=_spin, args=(stop,), name="busy", daemon=True)
    with (
        engine.subscribe(trades=True, quotes=True, capacity=_RING_TICKS) as ticks,
        HubProcess(_hub_arguments(seconds, condition)) as hub,
        tw.connect(hub.url, token=hub.token, engine=engine) as client,
    ):
        strategy = Strategy(ticks)
        strategy.start()
        if condition.busy:
            spinner.start()
        at_start = len(client.tasks()), threading.active_count()
        hub.finished.wait(seconds + _PATIENCE_S)
        hub.check()
        at_end = len(client.tasks()), threading.active_count()
        stop.set()
        deadline_s = time.monotonic() + _ARRIVAL_S
        while engine.stats()["received"] < RATE * seconds and time.monotonic() < deadline_s:
            time.sleep(0.01)
        client.close()
        totals = hub.stop()
        ticks.close()
        strategy.join()
    stats, delivery = engine.stats(), ticks.stats()
    assert stats["received"] == totals["sent"] == round(RATE * seconds), (stats, totals)
    assert delivery["published"] == delivery["delivered"] == stats["accepted"], (delivery, stats)
    assert at_start == at_end, f"threads and tasks of the client, threads: {at_start} became {at_end}"
    taken = Latency(engine, strategy)
    taken.collect()
    places = {"engine": taken.to_engine, "strategy": taken.to_strategy}
    quantiles = {
        place: {name: found.quantile_us(quantile) for name, quantile in _QUANTILES.items()}
        for place, found in places.items()
    }
    return quantiles | {
        "sent": totals["sent"],
        "rejected": stats["rejected"],
        "hub": {"p50": totals["lateness"]["p50_us"], "p99": totals["lateness"]["p99_us"]},
        "tasks": [at_start[0], at_end[0]],
        "threads": [at_start[1], at_end[1]],
    }


def _spin(stop: threading.Event) -> None:
    """Keep the interpreter busy, as a strategy that computes in Python does."""
    number = 0
    while not stop.is_set():
        for _ in range(10_000):
            number = (number * 31 + 7) % 1_000_003


if __name__ == "__main__":
    main()
