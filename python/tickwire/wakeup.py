"""Where a connection's thread waits: for its socket, for a deadline, for a word from another thread.

One `Waiter` serves a client for life; its connections come and go. Every wait of the thread goes
through it, whatever it is waiting for, so `stop` ends any of them at once. Waiting belongs to one
thread; `wake`, `stop` and `is_stopped` may be used from any. Nothing is opened before the first wait, so
that a waiter nobody used need not be closed.
"""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from .clock import Clock
from .errors import ConfigError, ConnectTimeout

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


class _Bell:
    """What a wait watches beside its socket. `ring` is for any thread, the rest for the one that waits."""

    def __init__(self) -> None:
        self._bell, self._rope = socket.socketpair()
        self._bell.setblocking(False)
        self._rope.setblocking(False)
        self.selector = selectors.DefaultSelector()
        self.key = self.selector.register(self._bell, READ)

    def ring(self) -> None:
        self._rope.send(b"\0")

    def silence(self) -> None:
        self._bell.recv(64)

    def close(self) -> None:
        self.selector.close()
        self._bell.close()
        self._rope.close()


class Waiter:
    """The one place where a connection's thread sleeps."""

    def __init__(self, clock: Clock, tasks: Tasks | None = None) -> None:
        """`tasks` owns the threads that `aside` starts; without it nobody does."""
        self._clock = clock
        self._tasks = tasks
        self._bell: _Bell | None = None
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
            if self._bell is not None:
                self._bell.ring()

    def wait(self, sock: socket.socket, events: int, timeout_s: float) -> int:
        """Wait for `sock` to be ready for any of `events`; which ones, or 0 if something else ended the wait."""
        bell = self._open()
        if sock is not self._watched:
            self.forget()
            bell.selector.register(sock, events)
            self._watched, self._events = sock, events
        elif events != self._events:
            bell.selector.modify(sock, events)
            self._events = events
        ready = 0
        for key, mask in self._clock.select(bell.selector, max(timeout_s, 0.0)):
            if key is bell.key:
                self._drain(bell)
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
            try:
                self._tasks.thread("aside", run)
            except ConfigError:
                # They may have been closed a moment ago, and their threads asked to stop before that.
                if self._stopped:
                    raise Stopped from None
                raise
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
            if self._bell is not None:
                self._bell.selector.unregister(self._watched)
            self._watched, self._events = None, 0

    def close(self) -> None:
        """Give back the file descriptors. `stop` and `wake` do nothing after it; a wait raises `Stopped`."""
        self._stopped = True
        with self._lock:
            self._closed = True
            bell, self._bell = self._bell, None
        if bell is not None:
            bell.close()

    def doze(self, timeout_s: float) -> None:
        """Sleep until `wake`, `stop` or `timeout_s` seconds later."""
        bell = self._open()
        self.forget()
        if self._clock.select(bell.selector, timeout_s):
            self._drain(bell)

    def _open(self) -> _Bell:
        bell = self._bell
        if bell is None:
            with self._lock:
                if self._closed:
                    raise Stopped
                bell = self._bell = _Bell()
                if self._rung:
                    bell.ring()
        return bell

    def _drain(self, bell: _Bell) -> None:
        with self._lock:
            self._rung = False
            bell.silence()
