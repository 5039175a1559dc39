"""Who hears what the hub says beside market data.

Callbacks run on the thread that reads the socket, in the order they were added, so they must be
quick. One that raises is the user's bug, not the link's: the exception goes to
`threading.excepthook`, where the other uncaught exceptions of threads go, it is counted, and the
connection lives on.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

__all__ = ["Controls"]


class Controls:
    """The callbacks of one client."""

    def __init__(self) -> None:
        self._callbacks: tuple[Callable[[dict[str, Any]], object], ...] = ()
        self._lock = threading.Lock()
        self.callback_errors = 0

    def add(self, callback: Callable[[dict[str, Any]], object]) -> None:
        """Call `callback` with every message from now on."""
        with self._lock:
            self._callbacks = (*self._callbacks, callback)

    def deliver(self, message: dict[str, Any]) -> None:
        """Hand one message to every callback."""
        for callback in self._callbacks:
            try:
                callback(message)
            except Exception:  # noqa: BLE001  # handed to the hook, which shows it
                self.callback_errors += 1
                hook_arguments = (*sys.exc_info(), threading.current_thread())
                threading.excepthook(threading.ExceptHookArgs(hook_arguments))
