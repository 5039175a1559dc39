"""Every program in examples/ runs as it is, to its end, and says something."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hubs import UNIT_S

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
# What to run a program with where it would otherwise take its time.
ARGUMENTS = {"strategy.py": ["2"]}
# What a reader is promised to see.
SHOWS = {
    "strategy.py": "ticks received, 0 rejected",
    "moving_average_cross.py": "buy at",
    "replay_file.py": "40000 ticks, 2 rejected: {'not_finite': 2}",
    "threads.py": "600000 accepted, bars taken: {'ESZ5': 599, 'NQZ5': 599}",
}


def test_every_example_is_known() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SHOWS)


@pytest.mark.parametrize("name", sorted(SHOWS))
def test_example_runs_to_its_end(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name), *ARGUMENTS.get(name, [])],
        capture_output=True,
        text=True,
        timeout=60 * UNIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # A thread that fails prints its traceback, and leaves the exit status alone.
    assert done.stderr == ""
    assert SHOWS[name] in done.stdout
