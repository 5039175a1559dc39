"""Where a connection's thread waits: for its socket, for a deadline, for a word from another thread.

One `Waiter` serves a client for life; its connections come and go. Every wait of the thread goes
through it, whatever it is waiting for, so `stop` ends any of them at once. Waiting belongs to one
thread; `wake`, `stop` and `is_stopped` may be used from any.
"""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from .clock import Clock
from .errors import ConnectTimeout

if TYPE_CHECKING:
    from .tasks import Tasks

__all__ = ["READ", "WRITE", "Stopped", "Waiter"]

READ = selectors.EVENT_READ
WRITE = selectors.EVENT_WRITE

T = TypeVar("T")


class Stopped(BaseException):
    """The owner asked the thread to stop; unwinds it, and is never seen outside.

    Not an `Exception`, for the reason that `asyncio.CancelledError` is none: code that handles
    failures must not take it for one.
    """


class Waiter:
    """The one place where a connection's thread sleeps."""

    def __init__(self, clock: Clock, tasks: Tasks | None = None) -> None:
        """`tasks` owns the threads that `aside` starts; without it nobody does."""
        self._clock = clock
        self._tasks = tasks
        self._bell, self._rope = socket.socketpair()
        self._bell.setblocking(False)
        self._rope.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._bell_key = self._selector.register(self._bell, READ)
        self._watched: socket.socket | None = None
        self._events = 0
        self._lock = threading.Lock()
        self._rung = False
        self._stopped = False
        self._closed = False

    @property
    def is_stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped

    def stop(self) -> None:
        """End every wait, now and later. Never blocks."""
        self._stopped = True
        self.wake()

    def wake(self) -> None:
        """End the wait of this moment, or the next one if there is none. Never blocks."""
        with self._lock:
            if self._rung or self._closed:
                return
            self._rung = True
            self._rope.send(b"\0")

    def wait(self, sock: socket.socket, events: int, timeout_s: float) -> int:
        """Wait for `sock` to be ready for any of `events`; which ones, or 0 if something else ended the wait."""
        if sock is not self._watched:
            self.forget()
            self._selector.register(sock, events)
            self._watched, self._events = sock, events
        elif events != self._events:
            self._selector.modify(sock, events)
            self._events = events
        ready = 0
        for key, mask in self._clock.select(self._selector, max(timeout_s, 0.0)):
            if key is self._bell_key:
                self._drain()
            else:
                ready = mask
        return ready

    def wait_until(self, sock: socket.socket, events: int, deadline_s: float, what: str) -> None:
        """Wait until `sock` is ready; else `Stopped`, or `ConnectTimeout` at `deadline_s` (`Clock.monotonic_s`)."""
        while not self._stopped:
            remaining_s = deadline_s - self._clock.monotonic_s()
            if remaining_s <= 0:
                raise ConnectTimeout(what)
            if self.wait(sock, events, remaining_s):
                return
        raise Stopped

    def sleep(self, seconds: float) -> None:
        """Sleep, whatever wakes; `Stopped` ends it early."""
        deadline_s = self._clock.monotonic_s() + seconds
        while not self._stopped:
            remaining_s = deadline_s - self._clock.monotonic_s()
            if remaining_s <= 0:
                return
            self.doze(remaining_s)
        raise Stopped

    def aside(self, function: Callable[[], T], deadline_s: float, what: str) -> T:
        """Run what cannot be interrupted, a resolver or a user's callable, in a thread and wait for it.

        The thread is abandoned, a daemon, if it outlives the deadline (`ConnectTimeout` with `what`)
        or `stop` (`Stopped`). What it raises is raised here.
        """
        box: list[tuple[T | None, BaseException | None]] = []

        def run() -> None:
            try:
                box.append((function(), None))
            except BaseException as error:  # noqa: BLE001  # raised by the waiting thread
                box.append((None, error))
            self.wake()

        if self._tasks is not None:
            self._tasks.thread("aside", run)
        else:
            threading.Thread(target=run, name="tickwire-aside", daemon=True).start()
        while not box:
            if self._stopped:
                raise Stopped
            remaining_s = deadline_s - self._clock.monotonic_s()
            if remaining_s <= 0:
                raise ConnectTimeout(what)
            self.doze(remaining_s)
        result, error = box.pop()
        try:
            if error is not None:
                raise error
            return result  # type: ignore[return-value]  # either a result or an error was put in
        finally:
            # The error's traceback holds this frame, which must not hold the error.
            del error

    def forget(self) -> None:
        """Stop watching the last socket; to be called before that socket is closed."""
        if self._watched is not None:
            self._selector.unregister(self._watched)
            self._watched, self._events = None, 0

    def close(self) -> None:
        """Give back the file descriptors. `stop` and `wake` do nothing after it."""
        self._stopped = True
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self.forget()
        self._selector.close()
        self._bell.close()
        self._rope.close()

    def doze(self, timeout_s: float) -> None:
        """Sleep until `wake`, `stop` or `timeout_s` seconds later."""
        self.forget()
        if self._clock.select(self._selector, timeout_s):
            self._drain()

    def _drain(self) -> None:
        # First lower the flag, then empty the pipe: a wake in between rings again, at worst once too often.
        with self._lock:
            self._rung = False
            self._bell.recv(64)
