"""What all suites share: where the recorded markets are, a certificate, and how properties are tried."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import pytest
from hypothesis import settings

from certificates import contexts
from effort import LONG

# The same examples on every machine, so that a change is judged by what it changes; new ones at length.
settings.register_profile("tickwire", deadline=None, derandomize=not LONG, database=None, print_blob=True)
settings.load_profile("tickwire")


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of recorded markets; `TICKWIRE_DATA` names another one."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("TICKWIRE_DATA", beside))
    if not (folder / "ticks").is_dir():
        pytest.skip(f"no recorded markets in {folder}; set TICKWIRE_DATA to the folder that has them")
    return folder


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's TLS context for 127.0.0.1, and a client's context that trusts its certificate."""
    return contexts(tmp_path_factory.mktemp("tls"))
