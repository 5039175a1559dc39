"""The table in the documentation says what the tests expect."""

from __future__ import annotations

import pytest

from faults import table
from faults.cases import CASES
from faults.swaps import SWAPS


@pytest.mark.skipif(table.WRITE, reason="the page is being written")
def test_the_documentation_expects_the_same() -> None:
    page = table.PAGE.read_text()
    assert table.expectations(page) == [table.expected(case) for case in CASES]
    assert table.swap_expectations(page) == [table.swap_expected(case) for case in SWAPS]
