"""Durations, times and columns as users write them, in the units that tickwire computes with."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import ConfigError, DataError

_UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
MAX_NS = np.iinfo(np.int64).max
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)")
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)


def duration_ns(name: str, value: str | dt.timedelta) -> int:
    """A duration such as "500ms", or a timedelta, in ns. `name` is the argument's, for the error."""
    if isinstance(value, dt.timedelta):
        ns = (value // dt.timedelta(microseconds=1)) * 1_000
    elif isinstance(value, str) and (match := _DURATION.fullmatch(value)):
        ns = round(float(match[1]) * _UNITS_NS[match[2]])
    else:
        raise ConfigError(
            f'{name}: got {value!r}, expected a duration such as "500ms", "60s" or "5m" '
            "(ns, us, ms, s, m, h), or a datetime.timedelta"
        )
    if not 0 <= ns <= MAX_NS:
        raise ConfigError(f"{name}: got {value!r}, expected zero or more, and at most 292 years")
    return ns


def time_ns(name: str, value: int | dt.datetime | np.datetime64) -> int:
    """A moment as int ns UTC. Datetimes must say their time zone."""
    if isinstance(value, np.datetime64):
        return int(value.astype("datetime64[ns]").astype(np.int64))
    if isinstance(value, dt.datetime):
        if value.tzinfo is None:
            raise ConfigError(f"{name}: got {value!r} without a time zone; give it one, e.g. datetime.UTC")
        value = (value - _EPOCH) // dt.timedelta(microseconds=1) * 1_000
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool) and abs(value) <= MAX_NS:
        return int(value)
    raise ConfigError(
        f"{name}: got {value!r}, expected int ns UTC or a datetime with a time zone, from 1677 to 2262"
    )


def int_column(name: str, values: Any) -> NDArray[np.int64]:
    """A column of int64; datetime64 of any unit becomes ns."""
    array = np.asarray(values)
    if array.dtype.kind == "M":
        array = array.astype("datetime64[ns]").view(np.int64)
    if array.dtype == np.uint64 and array.size and array.max() > MAX_NS:
        raise DataError(f"{name}: got {array.max()}, expected int ns UTC, at most {MAX_NS}")
    return _column(name, array, "iu", np.int64)


def float_column(name: str, values: Any) -> NDArray[np.float64]:
    """A column of float64."""
    return _column(name, np.asarray(values), "iuf", np.float64)


def side_column(name: str, values: Any) -> NDArray[np.int8]:
    """A column of aggressor sides: 1, -1 or 0."""
    array = np.asarray(values)
    column: NDArray[np.int8] = _column(name, array, "iu", np.int8)
    if (wrong := (column != array) | (np.abs(column) > 1)).any():
        raise DataError(f"{name}: got {array[wrong][0]}, expected 1 (buy), -1 (sell) or 0 (not known)")
    return column


def _column(name: str, array: NDArray[Any], kinds: str, dtype: Any) -> NDArray[Any]:
    if array.ndim != 1:
        raise DataError(f"{name}: got an array of {array.ndim} dimensions, expected one")
    # An empty list has the dtype float64, whatever it was meant to hold.
    if array.size and array.dtype.kind not in kinds:
        raise DataError(f"{name}: got dtype {array.dtype}, expected {np.dtype(dtype)}")
    return np.ascontiguousarray(array, dtype=dtype)
