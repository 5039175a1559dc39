"""`tickwire bench`: how fast tickwire is on this machine, in under ten seconds.

Each case first shows that it does its work, and is then timed over several rounds, of which the
median counts. It compares with nothing: rivals need to be installed, and live in the repository.
"""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tickwire import _core
from tickwire.errors import ConfigError, TickwireError

from .output import print_json, results_console

if TYPE_CHECKING:
    from tickwire.engine import Engine

__all__ = ["bench"]

_SYMBOL = "CON.F.US.EP.Z26"
_TIMEFRAMES = ("1s", "5s", "15s", "30s", "1m", "5m", "15m", "1h")
_TICK_SIZE = 0.25
_FIRST_NS = 1_700_000_000_000_000_000
# Ten ticks a second: each opens and closes as many bars as in a lively market.
_STEP_NS = 100_000_000
_BATCH_TICKS = 200_000
_CALLS = 20_000
_EXPORTS = 200
_EXPORT_BARS = 4_096


@dataclass(frozen=True, slots=True)
class _Case:
    """What is timed: `prepare` makes what one round needs, and returns the work of the round."""

    key: str
    name: str
    unit: str
    count: int
    prepare: Callable[[], Callable[[], None]]

    def median_ns(self, rounds: int) -> float:
        """Median over the rounds, per unit, in ns. The first round warms up, and is left out."""
        times_ns = []
        for _ in range(rounds + 1):
            work = self.prepare()
            begun_ns = time.perf_counter_ns()
            work()
            times_ns.append((time.perf_counter_ns() - begun_ns) / self.count)
        return statistics.median(times_ns[1:])


def bench(
    rounds: Annotated[int, typer.Option(help="Rounds of each case; the median counts.", min=1)] = 7,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of a table.")
    ] = False,
) -> None:
    """Measure the engine on this machine.

    One instrument, eight timeframes, validation and ring included. Times are medians; on a busy
    machine they say more about the other programs.
    """
    if _core.debug_build:
        raise ConfigError(
            "this is a debug build, whose speed means nothing; build with `maturin develop --release`"
        )
    cases = [_batch(), _scalar(), _json(1), _json(50), _export()]
    medians_ns = {case.key: case.median_ns(rounds) for case in cases}
    machine = _machine()
    if as_json:
        results = {
            case.key: {"per": case.unit, "median_ns": round(medians_ns[case.key], 1)} for case in cases
        }
        print_json(
            {"machine": machine, "rounds": rounds, "timeframes": list(_TIMEFRAMES), "results": results}
        )
        return
    _print_table(cases, medians_ns, machine, rounds)


def _print_table(
    cases: list[_Case], medians_ns: dict[str, float], machine: dict[str, str], rounds: int
) -> None:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("case", no_wrap=True)
    table.add_column("ns", justify="right", no_wrap=True)
    table.add_column("per", no_wrap=True)
    table.add_column("per second", justify="right", no_wrap=True)
    for case in cases:
        median_ns = medians_ns[case.key]
        table.add_row(case.name, f"{median_ns:,.0f}", case.unit, f"{1e9 / median_ns:,.0f}")
    console = results_console()
    console.print(table)
    console.print()
    console.print(", ".join(f"{name} {value}" for name, value in machine.items()))
    console.print(f"one instrument, timeframes {' '.join(_TIMEFRAMES)}; medians of {rounds} rounds")


# Cases


def _engine() -> Engine:
    from tickwire.config import Instrument
    from tickwire.engine import Engine

    return Engine(Instrument(_SYMBOL, tick_size=_TICK_SIZE), _TIMEFRAMES)


def _ticks(count: int) -> dict[str, Any]:
    """Columns of trades that walk about on the grid."""
    import numpy as np

    random = np.random.default_rng(0)
    steps = random.integers(-1, 2, count)
    return {
        "ts_event": _FIRST_NS + _STEP_NS * np.arange(count, dtype=np.int64),
        # Reflected, so that no length of walk leaves the band or reaches zero.
        "price": 6_000 + _TICK_SIZE * np.abs((np.cumsum(steps) + 200) % 800 - 400),
        "size": random.integers(1, 20, count).astype(np.float64),
        "side": (2 * random.integers(0, 2, count) - 1).astype(np.int8),
    }


def _rows(columns: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The arguments of `push_trade` behind the symbol, as Python's own numbers."""
    return list(zip(*(columns[name].tolist() for name in ("ts_event", "price", "size", "side")), strict=True))


def _check(engine: Engine, ticks: int) -> None:
    """Timing something that does not work would be no measurement."""
    stats = engine.stats()
    if stats["accepted"] != ticks or stats["rejected"]:
        raise TickwireError(f"the case does not do its work: got {stats}, expected {ticks} accepted ticks")


def _batch() -> _Case:
    columns = _ticks(_BATCH_TICKS)

    def prepare() -> Callable[[], None]:
        engine = _engine()

        def work() -> None:
            engine.push_trades(_SYMBOL, **columns)

        return work

    engine = _engine()
    engine.push_trades(_SYMBOL, **columns)
    _check(engine, _BATCH_TICKS)
    return _Case("batch", "push_trades, 200,000 ticks per call", "tick", _BATCH_TICKS, prepare)


def _scalar() -> _Case:
    columns = _ticks(_CALLS)
    rows = _rows(columns)

    def push(engine: Engine) -> None:
        push_trade = engine.push_trade
        for ts_event, price, size, side in rows:
            push_trade(_SYMBOL, ts_event, price, size, side)

    def prepare() -> Callable[[], None]:
        engine = _engine()
        return lambda: push(engine)

    engine = _engine()
    push(engine)
    _check(engine, _CALLS)
    return _Case("scalar", "push_trade, the Python loop included", "tick", _CALLS, prepare)


def _json(records: int) -> _Case:
    payloads = _payloads(_CALLS, records)

    def push(engine: Engine) -> None:
        push_bytes = engine.feed().push_bytes
        for payload in payloads:
            push_bytes(payload)

    def prepare() -> Callable[[], None]:
        engine = _engine()
        return lambda: push(engine)

    engine = _engine()
    push(engine)
    _check(engine, _CALLS)
    return _Case(f"json_{records}", f"push_bytes, JSON, {records} per call", "tick", _CALLS, prepare)


def _payloads(count: int, records: int) -> list[bytes]:
    import json

    import numpy as np

    columns = _ticks(count)
    times = np.datetime_as_string(columns["ts_event"].astype("datetime64[ns]"), unit="us")
    made = []
    for time_text, (_, price, size, side) in zip(times.tolist(), _rows(columns), strict=True):
        trade = {
            "symbolId": "F.US.EP",
            "price": price,
            "timestamp": f"{time_text}Z",
            "type": 0 if side > 0 else 1,
            "volume": int(size),
        }
        message = {"type": 1, "target": "GatewayTrade", "arguments": [_SYMBOL, [trade]]}
        made.append(json.dumps(message, separators=(",", ":")).encode() + b"\x1e")
    return [b"".join(made[first : first + records]) for first in range(0, count, records)]


def _export() -> _Case:
    seconds = _EXPORT_BARS + (_EXPORTS + 1) * 2
    columns = _ticks(seconds)
    columns["ts_event"] = _FIRST_NS + (1_000_000_000 // _STEP_NS) * (columns["ts_event"] - _FIRST_NS)

    def filled() -> Callable[[], int]:
        engine = _engine()
        first = {name: values[: _EXPORT_BARS + 1] for name, values in columns.items()}
        engine.push_trades(_SYMBOL, **first)
        rest = iter(_rows({name: values[_EXPORT_BARS + 1 :] for name, values in columns.items()}))

        def export() -> int:
            # Each tick closes a bar, so that no export can be the one before.
            engine.push_trade(_SYMBOL, *next(rest))
            return engine.bars(_SYMBOL, "1s", last=_EXPORT_BARS).height

        return export

    def prepare() -> Callable[[], None]:
        export = filled()

        def work() -> None:
            for _ in range(_EXPORTS):
                export()

        return work

    if (got := filled()()) != _EXPORT_BARS:
        raise TickwireError(f"the case does not do its work: got {got} bars, expected {_EXPORT_BARS}")
    return _Case("export", "push_trade, then bars() of 4,096 to Polars", "frame", _EXPORTS, prepare)


# Machine


def _machine() -> dict[str, str]:
    import numpy as np
    import polars as pl

    return {
        "cpu": _cpu(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "polars": pl.__version__,
        "tickwire": _core.__version__,
    }


def _cpu() -> str:
    """The processor's name as Linux tells it, which `platform` does not."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
