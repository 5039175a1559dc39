"""What is printed: the machine, the versions, the method, and a table in Markdown; or JSON of the same."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import Any

import tickwire as tw

from .harness import Line

__all__ = ["as_json", "head", "machine", "table", "verdict"]

_METHOD = """\
Contenders of a line run in turn in one process pinned to one core, {rounds} rounds after one that is not \
counted; over the socket, each in a fresh process pinned to a core, the sender on another. Times are medians \
over the rounds of the CPU time of the process (all its threads); "times ours" is the median over the rounds of \
a rival's time divided by tickwire's. Reading the results is inside the timing, the garbage collector outside. Before a \
line is timed, its contenders' results are compared: bar by bar, field by field, or by count."""


def machine() -> dict[str, str]:
    """Where this runs."""
    return {
        "cpu": _cpu_model(),
        "cores": str(os.cpu_count()),
        "system": platform.platform(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "tickwire": tw.__version__,
    }


def head(rounds: int) -> str:
    """Machine and method, as text."""
    facts = machine()
    return (
        f"Machine: {facts['cpu']}, {facts['cores']} cores, {facts['system']}, {facts['python']}, "
        f"tickwire {facts['tickwire']} (release build).\n\nMethod: {_METHOD.format(rounds=rounds)}"
    )


def table(lines: list[Line]) -> str:
    """Every contender of every line."""
    rows = ["| line | contender | time | times ours | goal |", "|---|---|---|---|---|"]
    for line in lines:
        for number, result in enumerate(line.results):
            name = f"{result.name} {result.version}".rstrip()
            time = f"{_time(result.median_ns)} per {line.unit}" + (f", {result.note}" if result.note else "")
            times = "" if number == 0 else f"{result.slower:.3g}"
            title = line.title if number == 0 else ""
            rows.append(f"| {title} | {name} | {time} | {times} | {verdict(line, result.name)} |")
        rows += [f"| | {missing.name} | {missing.reason} | | |" for missing in line.missing]
    return "\n".join(rows)


def verdict(line: Line, rival: str) -> str:
    """What the goal says of a rival of this line; "" where there is no goal."""
    for goal in line.goals:
        result = line.rival(rival)
        if goal.rival == rival and result is not None:
            outcome = "met" if goal.met(result.slower) else "MISSED"
            return f"{goal.text()}: {goal.ratio(result.slower):.3g}, {outcome}"
    return ""


def as_json(lines: list[Line], rounds: int) -> dict[str, Any]:
    """All of it as plain values; times in ns."""
    return {
        "machine": machine(),
        "method": _METHOD.format(rounds=rounds),
        "lines": [
            {
                "key": line.key,
                "title": line.title,
                "unit": line.unit,
                "detail": line.detail,
                "contenders": [
                    {
                        "name": result.name,
                        "version": result.version,
                        "median_ns": result.median_ns,
                        "per_round_ns": result.per_unit_ns,
                        "times_ours": result.slower,
                        "note": result.note,
                    }
                    for result in line.results
                ],
                "missing": [{"name": missing.name, "reason": missing.reason} for missing in line.missing],
                "goals": [
                    {
                        "rival": goal.rival,
                        "kind": goal.kind,
                        "bound": goal.bound,
                        "ratio": None if rival is None else goal.ratio(rival.slower),
                        "met": None if rival is None else goal.met(rival.slower),
                    }
                    for goal in line.goals
                    for rival in [line.rival(goal.rival)]
                ],
            }
            for line in lines
        ],
    }


def _time(ns: float) -> str:
    if ns < 1_000:
        return f"{ns:.3g} ns"
    return f"{ns / 1e3:.3g} µs" if ns < 1e6 else f"{ns / 1e6:.3g} ms"


def _cpu_model() -> str:
    if sys.platform == "linux":
        for text in Path("/proc/cpuinfo").read_text().splitlines():
            if text.startswith("model name"):
                return text.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
