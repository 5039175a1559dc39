"""The command as its users run it: a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from hubs import UNIT_S

COMMAND = [sys.executable, "-W", "error", "-m", "tickwire"]
LIMIT_S = 60 * UNIT_S

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def command() -> list[str]:
    """How to start the command."""
    return COMMAND


@pytest.fixture(scope="session")
def run() -> Run:
    """Runs one command line to its end, without a terminal."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=LIMIT_S, check=False
        )

    return run


@pytest.fixture(scope="session")
def run_json(run: Run) -> Callable[..., dict[str, Any]]:
    """Runs one command line with --json; returns the object, which must be all that is printed."""

    def run_json(*arguments: object) -> dict[str, Any]:
        done = run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        (line,) = done.stdout.splitlines()
        result: dict[str, Any] = json.loads(line)
        return result

    return run_json
