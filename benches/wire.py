"""The line that goes over a socket: CPU time of the receiving process per message.

One process sends ready-made frames, as fast as they are taken, on a core of its own; every round
starts a fresh receiver per contender on another core. See `sender.py` and `receiver.py`.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tickwire as tw

from . import ours, rivals
from .harness import CORES, Goal, Line, Missing, Result
from .lines import Options, present

__all__ = ["wire"]

_ROOT = Path(__file__).parent.parent
_PATIENCE_S = 300.0
_GO = "go\n"


def wire(options: Options) -> list[Line]:
    """One record per message, and fifty."""
    return [_line(options, per_message) for per_message in (1, 50)]


def _line(options: Options, per_message: int) -> Line:
    count = options.size(100_000) // per_message * per_message
    missing: list[Missing] = []
    results = [Result(ours.NAME, tw.__version__)]
    adapters = [ours.__name__]
    for rival in present(["signalrcore_socket"], missing):
        results.append(Result(rival.NAME, rivals.version(rival.DISTRIBUTION)))
        adapters.append(rival.__name__)
    rates: list[list[float]] = [[] for _ in adapters]
    messages = count // per_message
    first, last = (CORES[0], CORES[-1]) if CORES else (0, 0)
    with _sender(count, per_message, first) as sender:
        for number in range(options.rounds + 1):
            outcomes = [_receive(sender, adapter, last) for adapter in adapters]
            for result, outcome in zip(results, outcomes, strict=True):
                assert outcome["trades"] == count, f"{result.name}: {outcome['trades']} of {count} trades"
            if number == 0:
                continue
            for result, outcome, rate in zip(results, outcomes, rates, strict=True):
                result.per_unit_ns.append(outcome["cpu_ns"] / messages)
                result.ratios.append(outcome["cpu_ns"] / outcomes[0]["cpu_ns"])
                rate.append(messages / outcome["wall_ns"] * 1e9)
    for result, rate in zip(results, rates, strict=True):
        result.note = f"{sorted(rate)[len(rate) // 2]:,.0f} messages/s"
    return Line(
        f"wire x{per_message}",
        f"Over a loopback socket, {per_message} record{'s' if per_message > 1 else ''} per message",
        "message",
        f"{count:,} trades of one instrument in {messages:,} messages. CPU time of the whole receiving process; tickwire "
        "decodes, validates and makes bars of 8 timeframes, signalrcore calls a function that counts.",
        results,
        [Goal("signalrcore client", 3, "speed")] if per_message == 1 else [],
        missing,
    )


def _python(module: str, *arguments: object, **streams: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.Popen(command, cwd=_ROOT, text=True, stdout=subprocess.PIPE, **streams)


@contextlib.contextmanager
def _sender(count: int, per_message: int, cpu: int) -> Iterator[tuple[subprocess.Popen[str], int]]:
    with _python("benches.sender", count, per_message, cpu, stdin=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.terminate()


def _receive(sender: tuple[subprocess.Popen[str], int], adapter: str, cpu: int) -> dict[str, int]:
    process, port = sender
    url = f"http://127.0.0.1:{port}/hubs/market"
    with _python("benches.receiver", adapter, url, cpu) as receiver:
        assert receiver.stdout is not None
        assert process.stdin is not None
        first = receiver.stdout.readline()
        assert first == "ready\n", f"{adapter}: the receiver said {first!r} instead of being ready"
        process.stdin.write(_GO)
        process.stdin.flush()
        outcome: dict[str, int] = json.loads(receiver.stdout.readline())
        receiver.wait(_PATIENCE_S)
    return outcome
