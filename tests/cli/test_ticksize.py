"""Tick sizes from prices, against exact arithmetic."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwire.cli import ticksize

STEPS = ["0.25", "0.1", "0.01", "0.00005", "0.015625", "0.5", "1", "5", "0.0001", "12.5"]


@given(st.sampled_from(STEPS), st.lists(st.integers(1, 200_000), min_size=2, max_size=50, unique=True))
def test_it_is_the_coarsest_grid_of_all_prices(step: str, counts: list[int]) -> None:
    prices = np.array([float(count * Decimal(step)) for count in counts])
    assert ticksize.infer(prices) == math.gcd(*counts) * Decimal(step)


@given(st.sampled_from(STEPS), st.lists(st.integers(1_000, 200_000), min_size=1, max_size=50))
def test_prices_that_were_computed_are_on_their_grid(step: str, counts: list[int]) -> None:
    """3 * 0.1 is not the double nearest to 0.3."""
    computed = np.array([count * float(step) for count in (1, *counts)])
    assert ticksize.infer(np.array([*computed, 0.0])) == Decimal(step)


@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        ([4500.25], "0.01"),
        ([-37.63, -37.62], "0.01"),
        ([100.0, math.nan, 100.5, math.inf, 0.0], "0.5"),
        ([1e-8, 3e-8], "0.00000001"),
    ],
)
def test_special_cases(prices: list[float], expected: str) -> None:
    assert ticksize.infer(np.array(prices)) == Decimal(expected)


@pytest.mark.parametrize("prices", [[], [math.nan, 0.0], [math.pi, math.e], [1e15 + 0.125, 3e15 + 0.5]])
def test_no_grid(prices: list[float]) -> None:
    assert ticksize.infer(np.array(prices, np.float64)) is None
