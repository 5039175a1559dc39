"""The lines of the report, in-process ones; `wire.py` has the one that goes over a socket.

Each function checks that its contenders have equal results, times them, and returns a `Line`. A rival
that is not installed is named in the line, which then has no ratio to it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl

import tickwire as tw

from . import ours, rivals
from .harness import Contender, Goal, Line, Missing, Thunk, compare
from .market import SYMBOL, TIMEFRAMES, Records, records, trades
from .rivals import floor_call

__all__ = ["Options", "batch", "call", "decode", "frames", "kinds", "present", "single"]


@dataclass(frozen=True, slots=True)
class Options:
    """How much to run.

    Attributes:
        trades: rows of the batch line; other lines have sizes of their own, `scale` times.
        rounds: counted rounds per line.
        scale: factor on the sizes of the lines but the batch's.
        seconds: length of each run of the latency line.
    """

    trades: int = 10_000_000
    rounds: int = 7
    scale: float = 1.0
    seconds: float = 60.0

    def size(self, count: int) -> int:
        """`count`, scaled."""
        return max(1_000, round(count * self.scale))


_PER_SECOND = 100.0
"""Trades per second of event time, but where a line says otherwise."""


def present(names: list[str], missing: list[Missing]) -> list[Any]:
    """The adapters that can be had; the others go to `missing`."""
    found: list[ModuleType] = []
    for name in names:
        loaded = rivals.load(name)
        if isinstance(loaded, Missing):
            missing.append(loaded)
        else:
            found.append(loaded)
    return found


def _ours(prepare: Callable[..., Thunk], *arguments: object) -> Contender:
    return Contender(ours.NAME, partial(prepare, *arguments), tw.__version__)


def _theirs(
    rival: Any, prepare: Callable[..., Thunk], *arguments: object, name: str | None = None
) -> Contender:
    return Contender(name or rival.NAME, partial(prepare, *arguments), rivals.version(rival.DISTRIBUTION))


def batch(options: Options) -> list[Line]:
    """Columns in memory to bars of eight timeframes, in a busy market and in a quieter one."""
    return [_batch(options, per_second) for per_second in (_PER_SECOND, _PER_SECOND / 10)]


def _batch(options: Options, per_second: float) -> Line:
    missing: list[Missing] = []
    data = trades(options.trades, per_second)
    found = present(["polars_bars", "tickbar_bars", "numba_bars"], missing)
    expected = ours.as_bars(ours.batch(data, TIMEFRAMES)())
    for rival in found:
        rivals.check_bars(rival.NAME, expected, rival.bars(rival.prepare(data, TIMEFRAMES)()))
    count = sum(len(bars.ts) for bars in expected.values())
    del expected
    contenders = [_ours(ours.batch, data, TIMEFRAMES)]
    contenders += [_theirs(rival, rival.prepare, data, TIMEFRAMES) for rival in found]
    return Line(
        f"batch {per_second:g}/s",
        f"NumPy columns to bars, 8 timeframes, {per_second:g} trades/s",
        "trade",
        f"{len(data):,} trades of one instrument, {per_second:g} per second of event time, "
        f"{count:,} bars. tickwire also validates every trade and keeps the newest in its ring.",
        compare(contenders, units=len(data), rounds=options.rounds),
        [Goal("Polars group_by_dynamic", 0.4, "time")],
        missing,
    )


def kinds(options: Options) -> list[Line]:
    """Bars that are cut by their ticks beside time bars, about as many of each."""
    lengths = {"trades": "100t", "volume": "1050v", "notional": "5e6n", "range": "2r", "Renko": "2renko"}
    return [_kind(options, name, timeframe) for name, timeframe in lengths.items()]


def _kind(options: Options, name: str, timeframe: str) -> Line:
    data = trades(options.size(2_000_000), _PER_SECOND)
    cut, timed = (ours.batch(data, (one,))()[one] for one in (timeframe, "1s"))
    assert cut["trades"].sum() == timed["trades"].sum() == len(data)
    assert np.isclose(cut["volume"].sum(), timed["volume"].sum(), rtol=1e-12)
    rival = "time bars of a second"
    contenders = [
        Contender(f"bars of {timeframe}", partial(ours.batch, data, (timeframe,)), tw.__version__),
        Contender(rival, partial(ours.batch, data, ("1s",)), tw.__version__),
    ]
    return Line(
        f"kinds {name}",
        f"NumPy columns to bars by {name}",
        "trade",
        f"{len(data):,} trades into {cut.height:,} bars of {timeframe}, and into {timed.height:,} time bars.",
        compare(contenders, units=len(data), rounds=options.rounds),
        [Goal(rival, 2, "time")],
    )


def call(options: Options) -> Line:
    """One scalar push against the least that a C-level call costs."""
    missing: list[Missing] = []
    data = trades(options.size(200_000), _PER_SECOND)
    rows = list(zip(data.ts_event.tolist(), data.price.tolist(), data.size.tolist(), strict=True))

    def loop(push: Callable[[str, int, float, float], bool]) -> Thunk:
        def run() -> None:
            for ts, price, size in rows:
                push(SYMBOL, ts, price, size)

        return run

    made = ours.engine()
    loop(made.push_trade)()
    stats = made.stats()
    assert stats["accepted"] == stats["received"] == len(rows), stats
    contenders = [_ours(lambda: loop(ours.engine().push_trade))]
    floor = floor_call.build()
    if isinstance(floor, Missing):
        missing.append(floor)
    else:
        loop(floor.push)()
        assert floor.last() == (SYMBOL, *rows[-1]), floor.last()
        contenders.append(Contender(floor_call.NAME, partial(loop, floor.push)))
    return Line(
        "call",
        "push_trade, one call per trade",
        "call",
        f"{len(rows):,} calls in a Python loop, which is part of both times; 8 timeframes.",
        compare(contenders, units=len(rows), rounds=options.rounds),
        [Goal(floor_call.NAME, 2.5, "time")],
        missing,
    )


def single(options: Options) -> Line:
    """Tick by tick from Python, bars read at the end."""
    missing: list[Missing] = []
    data = trades(options.size(100_000), _PER_SECOND)
    found = present(["nautilus_bars", "tickbar_bars", "plain_bars"], missing)
    expected = ours.as_bars(ours.single(data, TIMEFRAMES)())
    contenders = [_ours(ours.single, data, TIMEFRAMES)]
    for rival in found:
        objects = hasattr(rival, "prepare_objects")
        prepare = rival.prepare_objects if objects else rival.prepare
        name = f"{rival.NAME}, ready Ticks" if objects else rival.NAME
        rivals.check_bars(name, expected, rival.bars(prepare(data, TIMEFRAMES)()))
        contenders.append(_theirs(rival, prepare, data, TIMEFRAMES, name=name))
    return Line(
        "single",
        "Tick by tick from Python, 8 timeframes",
        "trade",
        f"{len(data):,} trades. nautilus_trader and tickbar get objects that were made beforehand; tickwire "
        "gets numbers.",
        compare(contenders, units=len(data), rounds=options.rounds),
        [Goal("nautilus_trader aggregators", 12, "speed")],
        missing,
    )


def decode(options: Options) -> list[Line]:
    """Hub records as bytes: a line per kind, number of records per call, and protocol."""
    kinds = records(options.size(20_000))
    return [
        line(kind, per_call, options.rounds)
        for line in (_decode, _decode_packed)
        for kind in kinds
        for per_call in (1, 50)
    ]


def _decode(kind: Records, per_call: int, rounds: int) -> Line:
    missing: list[Missing] = []
    found = present(["msgspec_decode", "signalrcore_parse"], missing)
    expected = ours.decoded(ours.decode(kind, per_call)(), kind)
    assert len(expected) == kind.ticks, (len(expected), kind.ticks)
    contenders = [_ours(ours.decode, kind, per_call)]
    for rival in found:
        theirs = rival.ticks(rival.prepare(kind, per_call, keep=True)(), kind)
        rivals.check_columns(f"{rival.NAME}, {kind.name}", expected, theirs)
        contenders.append(_theirs(rival, rival.prepare, kind, per_call))
    goals = [
        Goal("msgspec, typed", 1.2 if per_call == 1 else 2, "speed"),
        Goal("signalrcore parse", 10, "speed"),
    ]
    size = sum(map(len, kind.one)) / len(kind.one)
    return Line(
        f"decode {kind.name} x{per_call}",
        f"push_bytes, {kind.name}, {per_call} per call",
        "record",
        f"{len(kind.one):,} records of {size:.0f} bytes. tickwire decodes and applies them; the rivals decode "
        "and drop them.",
        compare(contenders, units=len(kind.one), rounds=rounds),
        goals if kind.name == "trade" else [],
        missing,
    )


def _decode_packed(kind: Records, per_call: int, rounds: int) -> Line:
    missing: list[Missing] = []
    packed = kind.packed()
    expected = ours.decoded(ours.decode(kind, per_call)(), kind)
    rivals.check_columns(
        f"MessagePack, {kind.name}", expected, ours.decoded(ours.decode(packed, per_call)(), packed)
    )
    contenders = [
        _ours(ours.decode, packed, per_call),
        Contender(f"{ours.NAME}, the same as JSON", partial(ours.decode, kind, per_call), tw.__version__),
    ]
    for rival in present(["msgpack_unpack"], missing):
        theirs = rival.ticks(rival.prepare(packed, per_call, keep=True)(), packed)
        rivals.check_columns(f"{rival.NAME}, {kind.name}", expected, theirs)
        contenders.append(_theirs(rival, rival.prepare, packed, per_call))
    size = sum(map(len, packed.one)) / len(packed.one)
    return Line(
        f"decode packed {kind.name} x{per_call}",
        f"push_bytes in MessagePack, {kind.name}, {per_call} per call",
        "record",
        f"{len(packed.one):,} messages of {size:.0f} bytes. tickwire decodes and applies them; the rival gets each "
        "message alone, decodes and drops it.",
        compare(contenders, units=len(packed.one), rounds=rounds),
        missing=missing,
    )


def frames(options: Options) -> list[Line]:
    """Closed bars as a Polars frame, a value of it read."""
    total = options.size(1_000_000)
    return [_frame(total, last, options.rounds) for last in (1_000, total)]


def _frame(total: int, last: int, rounds: int) -> Line:
    source = trades(total + 1, 1.0)
    made = ours.engine(("1s",))
    made.push_trades(SYMBOL, ts_event=source.ts_event, price=source.price, size=source.size)
    whole = made.bars(SYMBOL, "1s")
    assert len(whole) == total, (len(whole), total)
    arrays = {name: whole[name].to_numpy() for name in whole.columns}
    expected = pl.DataFrame({name: column[-last:] for name, column in arrays.items()})
    got = made.bars(SYMBOL, "1s", last=last)
    for name in arrays:
        assert np.array_equal(got[name].to_numpy(), expected[name].to_numpy(), equal_nan=name == "vwap"), name
    repeats = 20
    times = itertools.count(int(source.ts_event[-1]) + 10**9, 10**9)

    def export() -> Thunk:
        def run() -> None:
            for _ in range(repeats):
                # A bar closes before each export, so that none can be answered with the frame before.
                made.push_trade(SYMBOL, next(times), 4_500.0, 1.0)
                made.bars(SYMBOL, "1s", last=last)["close"][-1]

        return run

    def build() -> Thunk:
        def run() -> None:
            for _ in range(repeats):
                pl.DataFrame({name: column[-last:] for name, column in arrays.items()})["close"][-1]

        return run

    rival = Contender("polars.DataFrame of NumPy columns", build, rivals.version("polars"))
    return Line(
        f"frame {last}",
        f"engine.bars, the newest {last:,} bars",
        "frame",
        f"From an engine that holds {total:,} closed bars and closes another before each export; the rival makes "
        "the same frame of nine NumPy columns that it has already.",
        compare([_ours(export), rival], units=repeats, rounds=rounds),
    )
