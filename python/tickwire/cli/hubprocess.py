"""The embedded hub as a process of its own, which ends with the one that started it.

The link is a pair of pipes: the hub writes JSON lines to stdout, and stops when its stdin is closed.
It is kept out of Ctrl-C, so that the command decides when the stream ends and can count what came.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from tickwire.errors import ConnectionFailed

__all__ = ["HubProcess"]

_START_S = 30.0
_STOP_S = 10.0


class HubProcess:
    """`python -m tickwire.sim` with these arguments, running inside the `with` block.

    Attributes:
        url: address of the market hub.
        token: a token for it.
        finished: set once its stream has come to its end, or its process has.
    """

    url: str
    token: str

    def __init__(self, arguments: Sequence[str]) -> None:
        self._command = [sys.executable, "-m", "tickwire.sim", "--json", *arguments]
        self._events: dict[str, dict[str, Any]] = {}
        self._ready = threading.Event()
        self.finished = threading.Event()

    def __enter__(self) -> Self:
        # In a file, where no amount of it makes the process wait for a reader.
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(  # noqa: S603  this interpreter, with arguments in a list
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            # A group of its own: Ctrl-C in the terminal is for the command, not for the hub.
            start_new_session=sys.platform != "win32",
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        self._reader = threading.Thread(target=self._read, name="tickwire hub process", daemon=True)
        self._reader.start()
        try:
            self._connectable()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def check(self) -> None:
        """Raise if `finished` was set because the process has ended by itself."""
        if self.finished.is_set() and "finished" not in self._events:
            raise self._failure("ended unexpectedly")

    def stop(self) -> dict[str, Any]:
        """Stop the stream and the hub; returns its totals. Clients get all that was sent, and a close."""
        self._close_stdin()
        self._reader.join(_STOP_S)
        if "stopped" not in self._events:
            raise self._failure(f"did not report its totals within {_STOP_S} s of being stopped")
        return self._events["stopped"]

    def _connectable(self) -> None:
        self._ready.wait(_START_S)
        ready = self._events.get("ready")
        if ready is None:
            raise self._failure("did not start")
        self.url, self.token = ready["url"], ready["token"]

    def _read(self) -> None:
        for line in self._process.stdout or ():
            event = json.loads(line)
            self._events[event["event"]] = event
            if event["event"] == "ready":
                self._ready.set()
            elif event["event"] == "finished":
                self.finished.set()
        # The end of the output is the end of the process, whatever it had still to say.
        self._ready.set()
        self.finished.set()

    def _failure(self, what: str) -> ConnectionFailed:
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip().rpartition("\n")[2]
        return ConnectionFailed(f"the hub's process {what}" + (f": {said}" if said else ""))

    def _close_stdin(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()

    def _end(self) -> None:
        self._close_stdin()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._errors.close()
