"""The command itself: its help, its version, and what it says where it cannot run."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import pytest

import tickwire

COMMANDS = ["demo", "replay", "bench", "doctor", "contracts"]


def test_version(run) -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"tickwire {tickwire.__version__}\n")


def test_help_names_every_command(run) -> None:
    done = run("--help")
    assert done.returncode == 0
    for name in COMMANDS:
        assert name in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_json(run, name: str) -> None:
    done = run(name, "--help")
    assert done.returncode == 0
    assert "--json" in done.stdout


def test_unknown_command(run) -> None:
    done = run("dance")
    assert done.returncode == 2
    assert "dance" in done.stderr


def test_console_script_is_the_module() -> None:
    (script,) = importlib.metadata.entry_points(group="console_scripts", name="tickwire")
    assert script.load() is importlib.import_module("tickwire.cli").main


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_the_extra_it_says_what_to_install(missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; import tickwire.cli; sys.exit(tickwire.cli.main(['demo']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert f"{missing} is not installed" in done.stderr
    assert 'python -m pip install "tickwire[cli]"' in done.stderr
    assert "Traceback" not in done.stderr


def test_help_does_not_wait_for_what_commands_need() -> None:
    """Polars and the connection layer take longer to import than a help page should take to come."""
    code = "import sys; from tickwire.cli import main; main(['--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "typer" in loaded
    assert not loaded & {"polars", "signalrcore", "tickwire.sim"}
