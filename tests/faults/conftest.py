"""Results of the faults, written into the documentation if that is asked for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from faults import table
from faults.cases import RUNS
from faults.swaps import SWAP_RUNS
from faults.table import Results


@pytest.fixture(scope="session")
def results() -> Iterator[Results]:
    """What came of each run. `TICKWIRE_WRITE_FAULTS=1` writes the page, if all were run and went well."""
    results = Results({}, {})
    yield results
    complete = set(results.faults) == {run for _, run in RUNS} and set(results.swaps) == set(SWAP_RUNS)
    if complete and table.WRITE:
        table.PAGE.write_text(table.page(results))
