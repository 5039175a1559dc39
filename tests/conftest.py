"""What all suites share: where the recorded markets are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of recorded markets; `TICKWIRE_DATA` names another one."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("TICKWIRE_DATA", beside))
    if not (folder / "ticks").is_dir():
        pytest.skip(f"no recorded markets in {folder}; set TICKWIRE_DATA to the folder that has them")
    return folder
