"""`python -m benches.run`: tickwire beside its rivals, in one table.

It needs the packages of `benches/requirements.txt`; a rival that is not installed is named in the table.
It refuses a debug build. The exit status is 1 with `--check` if a goal was missed or could not be judged.
What Rust alone takes is another benchmark's: `cargo bench -p tickwire-core --bench engine`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .harness import pin

if TYPE_CHECKING:
    from .harness import Line
    from .lines import Options

__all__ = ["main"]

_KEYS = ("batch", "call", "single", "decode", "wire", "frames", "breaker", "daylight", "latency")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    chosen.lines = chosen.lines or list(_KEYS)
    if unknown := [key for key in chosen.lines if key not in _KEYS]:
        parser.error(f"LINE: got {unknown[0]!r}, expected any of {', '.join(_KEYS)}")
    if chosen.rounds < 1 or chosen.scale <= 0 or chosen.trades < 1 or chosen.seconds <= 0:
        parser.error("--rounds, --scale, --trades and --seconds: expected numbers above zero")
    pin()
    # After the pinning: Polars starts as many threads as it finds cores.
    import tickwire as tw

    if tw._core.debug_build:
        print(
            "benches: this is a debug build of tickwire; build it with `maturin develop --release`",
            file=sys.stderr,
        )
        return 2
    from . import report
    from .lines import Options

    options = Options(
        trades=int(chosen.trades), rounds=chosen.rounds, scale=chosen.scale, seconds=chosen.seconds
    )
    lines: list[Line] = []
    for key in chosen.lines:
        print(f"{key} …", file=sys.stderr, flush=True)
        found = _functions()[key](options)
        lines += found if isinstance(found, list) else [found]
    print(report.head(chosen.rounds), report.table(lines), sep="\n\n")
    print()
    for line in lines:
        print(f"- {line.title}: {line.detail}")
    if chosen.json is not None:
        chosen.json.write_text(
            json.dumps(report.as_json(lines, chosen.rounds), indent=1, ensure_ascii=False) + "\n"
        )
    judged = [(line.rival(goal.rival), goal) for line in lines for goal in line.goals]
    good = all(rival is not None and goal.met(rival.slower) for rival, goal in judged)
    return 0 if good or not chosen.check else 1


def _functions() -> dict[str, Callable[[Options], Line | list[Line]]]:
    from . import lines
    from .breaker import breaker
    from .daylight import daylight
    from .latency import latency
    from .wire import wire

    return {
        "batch": lines.batch,
        "call": lines.call,
        "single": lines.single,
        "decode": lines.decode,
        "wire": wire,
        "frames": lines.frames,
        "breaker": breaker,
        "daylight": daylight,
        "latency": latency,
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benches.run", description="tickwire beside its rivals.")
    add = parser.add_argument
    add("lines", nargs="*", metavar="LINE", help=f"which of {', '.join(_KEYS)} (default: all)")
    add("--trades", type=float, default=1e7, help="rows of the batch line (default: 1e7)")
    add("--scale", type=float, default=1.0, help="factor on the sizes of all other lines (default: 1)")
    add("--seconds", type=float, default=60.0, help="length of each run of the latency line (default: 60)")
    add("--rounds", type=int, default=7, help="counted rounds (default: 7)")
    add("--json", type=Path, metavar="FILE", help="write everything as JSON, too")
    add("--check", action="store_true", help="exit with 1 unless every goal is met")
    return parser


if __name__ == "__main__":
    sys.exit(main())
