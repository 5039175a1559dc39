"""Durations, times and columns, from what users write to what the core takes."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tickwire as tw
from tickwire.units import duration_ns, float_column, int_column, side_column, time_ns

S = 1_000_000_000
NAIVE = dt.datetime(2024, 1, 1)  # noqa: DTZ001 - what is meant to be refused


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("0s", 0),
        ("1ns", 1),
        ("2us", 2_000),
        ("500ms", 500_000_000),
        ("1.5s", 1_500_000_000),
        ("0.1s", 100_000_000),
        ("5m", 300 * S),
        ("24h", 86_400 * S),
        (dt.timedelta(seconds=1, microseconds=3), S + 3_000),
        (dt.timedelta(days=100_000), 8_640_000_000 * S),
    ],
)
def test_durations(text: str | dt.timedelta, ns: int) -> None:
    assert duration_ns("lateness", text) == ns


@pytest.mark.parametrize(
    "text", ["", "s", "1", "1 s", "-1s", "1e3s", "1d", "1S", "1.s", ".5s", "1s ", None, 1.0]
)
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(tw.ConfigError, match="lateness: got"):
        duration_ns("lateness", text)  # type: ignore[arg-type]


def test_durations_longer_than_time_itself() -> None:
    assert duration_ns("lateness", "2562047h") == 2_562_047 * 3_600 * S
    for text in ("2562048h", dt.timedelta.max):
        with pytest.raises(tw.ConfigError, match="292 years"):
            duration_ns("lateness", text)


@given(st.datetimes(NAIVE.replace(year=1678), NAIVE.replace(year=2262), timezones=st.timezones()))
def test_times_are_exact_in_any_zone(moment: dt.datetime) -> None:
    ns = time_ns("since", moment)
    assert dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc) + dt.timedelta(
        microseconds=ns // 1_000
    ) == moment.astimezone(dt.timezone.utc)
    assert ns % 1_000 == 0


def test_times_of_other_types() -> None:
    assert time_ns("since", 5) == 5
    assert time_ns("since", np.int64(5)) == 5
    assert time_ns("since", np.datetime64("1970-01-01T00:00:01")) == S


@pytest.mark.parametrize("value", [True, 1.0, "2024-01-01", NAIVE, dt.date(2024, 1, 1), 1 << 63, None])
def test_what_is_no_time(value: object) -> None:
    with pytest.raises(tw.ConfigError, match="since: got"):
        time_ns("since", value)  # type: ignore[arg-type]


def test_columns_of_times() -> None:
    seconds = np.array(["1970-01-01T00:00:01", "NaT"], dtype="datetime64[s]")
    assert int_column("ts", seconds).tolist() == [S, -(2**63)]
    assert int_column("ts", np.array([1, 2], dtype=np.uint32)).dtype == np.int64
    assert int_column("ts", []).dtype == np.int64
    reversed_view = np.arange(10, dtype=np.int64)[::-2]
    assert int_column("ts", reversed_view).flags.c_contiguous
    assert int_column("ts", reversed_view).tolist() == [9, 7, 5, 3, 1]


def test_a_good_column_is_not_copied() -> None:
    times, prices = np.arange(5, dtype=np.int64), np.arange(5, dtype=np.float64)
    assert np.shares_memory(int_column("ts", times), times)
    assert np.shares_memory(float_column("price", prices), prices)


def test_columns_of_numbers() -> None:
    assert float_column("price", [1, 2]).tolist() == [1.0, 2.0]
    assert float_column("price", np.float32([0.5])).tolist() == [0.5]
    assert float_column("price", []).tolist() == []


def test_columns_of_sides() -> None:
    assert side_column("side", [1, -1, 0]).tolist() == [1, -1, 0]
    for wrong in ([2], [256], [-129], np.uint8([255])):
        with pytest.raises(tw.DataError, match="side: got"):
            side_column("side", wrong)
