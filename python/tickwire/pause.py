"""Waiting that another thread can end, for threads that have no socket to watch, and running
coroutines that way.

A `Pause` is to such a thread what a `Waiter` is to the thread of a connection: `doze` sleeps, `wake`
ends the sleep, `stop` ends it and all later ones. `run_alone` runs a coroutine on a loop of its own,
and gives it up when the pause is stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from .clock import Clock, ClockLoop
from .wakeup import Stopped

__all__ = ["Pause", "Sleeper", "run_alone"]

T = TypeVar("T")


class Sleeper(Protocol):
    """What a thread sleeps with: a `Pause`, or the `Waiter` of a connection."""

    @property
    def is_stopped(self) -> bool:
        """Whether its owner wants the thread to end."""

    def wake(self) -> None:
        """End the sleep of this moment, or else the next one. From any thread; never blocks."""

    def doze(self, timeout_s: float) -> None:
        """Sleep until woken, stopped or `timeout_s` seconds later."""


class Pause:
    """One thread's sleep. `doze` belongs to that thread; the rest may be called from any."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        """By which it waits, and the loop of what `run_alone` runs for it."""
        self._bell = threading.Event()
        self._lock = threading.Lock()
        self._stopped = False
        self._callbacks: list[Callable[[], object]] = []

    @property
    def is_stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped

    def stop(self) -> None:
        """End every sleep, now and later, and call what `on_stop` was given. Never blocks."""
        with self._lock:
            self._stopped = True
            callbacks, self._callbacks = self._callbacks, []
        self._bell.set()
        for callback in callbacks:
            callback()

    def wake(self) -> None:
        """End the sleep of this moment, or else the next one. Never blocks."""
        self._bell.set()

    def doze(self, timeout_s: float) -> None:
        """Sleep until woken, stopped or `timeout_s` seconds later."""
        if self.clock.wait(self._bell, max(timeout_s, 0.0)) and not self._stopped:
            self._bell.clear()

    def on_stop(self, callback: Callable[[], object]) -> None:
        """Call `callback`, which must not block, at `stop`; now, if that has been."""
        with self._lock:
            if not self._stopped:
                self._callbacks.append(callback)
                return
        callback()

    def forget(self, callback: Callable[[], object]) -> None:
        """Take back what `on_stop` was given."""
        with self._lock:
            if callback in self._callbacks:
                self._callbacks.remove(callback)


def run_alone(make: Callable[[], Coroutine[Any, Any, T]], pause: Pause) -> T:
    """Run the coroutine that `make` returns on a loop of its own, in this thread and on the clock of the
    pause, and return its result.

    `Stopped` if the pause was stopped first; the coroutine is cancelled then. Where this thread's
    loop is already running (a notebook), a thread is borrowed for it, and this one blocks.
    """
    # Not `get_running_loop`, whose error would be the context of all that is raised here.
    if asyncio._get_running_loop() is None:
        return _run(make, pause)
    box: list[tuple[T | None, BaseException | None]] = []

    def run() -> None:
        try:
            box.append((_run(make, pause), None))
        except BaseException as error:  # noqa: BLE001  # raised by the thread that waits
            box.append((None, error))

    thread = threading.Thread(target=run, name="tickwire-aside", daemon=True)
    thread.start()
    thread.join()
    result, error = box.pop()
    try:
        if error is not None:
            raise error
        return result  # type: ignore[return-value]  # either a result or an error was put in
    finally:
        # The error's traceback holds this frame, which must not hold the error.
        del error


def _run(make: Callable[[], Coroutine[Any, Any, T]], pause: Pause) -> T:
    if pause.is_stopped:
        raise Stopped
    results = _complete(make, pause)
    if results:
        return results[0]
    # Not the coroutine's own CancelledError: the frames that were cancelled, and all they hold, are let go.
    raise Stopped if pause.is_stopped else asyncio.CancelledError


def _complete(make: Callable[[], Coroutine[Any, Any, T]], pause: Pause) -> list[T]:
    """The result, or nothing if the coroutine was cancelled."""
    # Not `asyncio.run`, whose end waits for a name resolver that hangs in the loop's thread pool.
    loop = asyncio.new_event_loop() if type(pause.clock) is Clock else ClockLoop(pause.clock)
    # Whatever comes, a second Ctrl-C too, the loop's own pair of sockets is closed.
    with contextlib.closing(loop):
        task = loop.create_task(make())

        def cancel() -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed a moment ago
                loop.call_soon_threadsafe(task.cancel)

        pause.on_stop(cancel)
        try:
            loop.run_until_complete(asyncio.wait([task]))
        finally:
            pause.forget(cancel)
            if not task.done():
                # Ctrl-C.
                task.cancel()
                loop.run_until_complete(asyncio.wait([task]))
            loop.run_until_complete(loop.shutdown_asyncgens())
    return [] if task.cancelled() else [task.result()]
