"""Other people's SignalR: programs of other languages and environments, run as processes of their own.

A peer is told what to do by one JSON line on its stdin and reports in JSON lines on its stdout. What it
needs (npm packages, a Python environment, a Go binary) is installed into `tests/interop`, once and again
when what is wanted has changed. Where a runtime is missing, or a download fails, tests that need it are
skipped with that reason.
"""

from __future__ import annotations

import hashlib
import json
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hubs import PATIENCE_S

__all__ = ["HERE", "Peer", "aiosignalr", "go_server", "javascript", "running"]

HERE = Path(__file__).parent / "interop"

_INSTALL_S = 300


class Peer:
    """A running peer."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def next(self, event: str) -> dict[str, Any]:
        """Its next line, which must be this event."""
        try:
            line = self._lines.get(timeout=6 * PATIENCE_S)
        except queue.Empty:
            line = None
        if line is None:
            self._process.kill()
            raise AssertionError(f"no {event!r} came; it complained: {self._complaints()}")
        told: dict[str, Any] = json.loads(line)
        assert told.pop("event") == event, told
        return told

    def tell(self, line: str) -> None:
        """Give it a line on stdin."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def leave(self) -> None:
        """Let it stop its connection and end."""
        self.tell("stop")
        assert self._process.wait(6 * PATIENCE_S) == 0, self._complaints()

    def last_words(self) -> str:
        """Its complaints, once it has given up without a word on stdout."""
        assert self._process.wait(6 * PATIENCE_S) != 0
        assert self._lines.get(timeout=PATIENCE_S) is None
        return self._complaints()

    def end(self) -> None:
        """End it at once."""
        self._process.kill()
        self._reader.join()

    def _complaints(self) -> str:
        assert self._process.stderr is not None
        return self._process.stderr.read()


@contextmanager
def running(command: Sequence[str], task: dict[str, Any]) -> Iterator[Peer]:
    """A peer that was given `task`."""
    with subprocess.Popen(
        command,
        cwd=HERE,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        peer = Peer(process)
        try:
            peer.tell(json.dumps(task))
            yield peer
        finally:
            peer.end()


# What is needed


def javascript(script: str) -> list[str]:
    """The command that runs a script of `tests/interop` in Node with its packages."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("needs node and npm, which are not on the PATH")
    wanted = HERE / "package-lock.json"
    _once(
        HERE / "node_modules" / ".tickwire",
        [wanted],
        [[npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]],
    )
    return [node, script]


def aiosignalr(script: str) -> list[str]:
    """The command that runs a script of `tests/interop` in an environment with aiosignalr.

    An environment of its own, because aiosignalr wants another `websockets` than is tested here.
    """
    folder = HERE / ".venv"
    python = folder / "bin" / "python"
    wanted = HERE / "requirements.txt"
    install = [
        str(python),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "-r",
        wanted.name,
    ]
    _once(
        folder / ".tickwire",
        [wanted],
        [[sys.executable, "-m", "venv", "--clear", str(folder)], install],
    )
    return [str(python), script]


def go_server() -> list[str]:
    """The command that runs the server of `tests/interop/go`, built."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("needs go, which is not on the PATH")
    source = HERE / "go"
    binary = source / ".build" / "server"
    wanted = [source / name for name in ("go.mod", "go.sum", "main.go")]
    _once(binary.parent / ".tickwire", wanted, [[go, "-C", str(source), "build", "-o", str(binary), "."]])
    return [str(binary)]


_failed: dict[Path, str] = {}


def _once(stamp: Path, wanted: Sequence[Path], commands: Sequence[Sequence[str]]) -> None:
    """Run what installs `wanted`, unless that was done for the same files; skip the test if it fails."""
    content = hashlib.sha256(b"\0".join(path.read_bytes() for path in wanted)).hexdigest()
    if stamp.exists() and stamp.read_text() == content:
        return
    if stamp not in _failed:
        for command in commands:
            try:
                done = subprocess.run(
                    command, cwd=HERE, capture_output=True, text=True, timeout=_INSTALL_S, check=False
                )
                complaint = done.stderr.strip() if done.returncode else ""
            except subprocess.TimeoutExpired:
                complaint = f"took over {_INSTALL_S} s"
            if complaint:
                _failed[stamp] = f"{' '.join(command[:4])} failed: {complaint[-300:]}"
                break
        else:
            stamp.parent.mkdir(exist_ok=True)
            stamp.write_text(content)
            return
    # Tried once a run: every test that needs it is skipped for the same reason.
    pytest.skip(_failed[stamp])
