"""Adapters to the libraries that tickwire is compared with: one file each, none of them a dependency.

An adapter module imports its library at the top, so that importing it fails where the library is not
installed; `load` turns that into a `Missing` for the report. What the adapters of one kind have in
common:

- bars: `NAME`, `DISTRIBUTION`, `prepare(trades, timeframes) -> thunk` and `bars(outcome) -> {timeframe:
  Bars}`; the thunk makes all bars, the open ones at the end included.
- decoders: `NAME`, `DISTRIBUTION`, `prepare(records, per_call, keep=False) -> thunk` and, of a thunk
  that keeps, `ticks(outcome, records) -> columns` as `ours.decoded` has them.
- circuit breakers: `NAME`, `DISTRIBUTION`, `REFUSED` (what a refused call raises) and `guard(function,
  failures) -> function`.
- socket clients: `NAME`, `DISTRIBUTION`, `receive(url, ready) -> int`; see `receiver.py`.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Mapping
from types import ModuleType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benches.harness import Missing

__all__ = ["Bars", "check_bars", "check_columns", "load", "version"]


class Bars(NamedTuple):
    """Bars of one timeframe. `trades` is None where a library does not count."""

    ts: NDArray[np.int64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]
    trades: NDArray[np.int64] | None


def load(module: str) -> ModuleType | Missing:
    """The adapter of this name, or why it cannot be had."""
    try:
        return importlib.import_module(f"{__name__}.{module}")
    except ModuleNotFoundError as error:
        return Missing(module, f"not installed ({error.name})")


def version(distribution: str) -> str:
    """Installed version of a distribution; "" for what is no distribution."""
    return importlib.metadata.version(distribution) if distribution else ""


def check_bars(name: str, ours: Mapping[str, Bars], theirs: Mapping[str, Bars]) -> None:
    """AssertionError unless every bar is the same: times, prices and counts exactly, volumes within
    1e-12 relative.
    """
    assert ours.keys() == theirs.keys(), f"{name}: {sorted(theirs)} instead of {sorted(ours)}"
    for timeframe in ours:
        ours_here, theirs_here = ours[timeframe], theirs[timeframe]
        for field in Bars._fields:
            a, b = getattr(ours_here, field), getattr(theirs_here, field)
            if b is None:
                continue
            where = f"{name}, {timeframe} bars, {field}"
            assert len(a) == len(b), f"{where}: {len(b)} rows instead of {len(a)}"
            same = np.isclose(a, b, rtol=1e-12, atol=0) if field == "volume" else a == b
            at = int(np.argmin(same)) if len(same) else 0
            assert np.all(same), f"{where}: row {at} is {b[at]!r} instead of {a[at]!r}"


def check_columns(name: str, ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> None:
    """AssertionError unless two tables of decoded ticks are the same, NaN being equal to NaN."""
    assert ours.shape == theirs.shape, f"{name}: shape {theirs.shape} instead of {ours.shape}"
    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    at = tuple(int(index) for index in np.argwhere(~same)[0]) if not same.all() else (0, 0)
    assert same.all(), f"{name}: row {at[0]}, column {at[1]} is {theirs[at]!r} instead of {ours[at]!r}"
