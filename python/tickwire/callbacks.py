"""The user's callbacks, run away from the socket.

A handler reads from a bounded queue of its own: a subscription of the engine for bars and ticks, a
`Mailbox` for raw messages. Plain functions run on one thread of the client, coroutine functions in one
task of the caller's loop; each wakes once per batch, however many items came. A handler that is slow
falls behind alone, and its queue counts what it sheds. One that raises is told, counted by its
breaker, and rests while that is open, with the items counted that it missed meanwhile. Nothing here can
touch the connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from .breaker import Breaker
from .clock import Clock
from .errors import ConfigError
from .events import HandlerFailed, Overflow
from .tasks import Tasks

__all__ = ["Callbacks", "Handler", "Mailbox", "Queue"]


class Queue(Protocol):
    """Where a handler's items come from."""

    def poll(self) -> Sequence[Any]: ...
    def arm(self, callback: Callable[[], object]) -> None: ...
    def close(self) -> None: ...
    def stats(self) -> dict[str, int]: ...


class Mailbox:
    """A bounded queue between the connection's thread and a handler; the oldest are shed."""

    def __init__(self, capacity: int) -> None:
        self._items: deque[Any] = deque()
        self._capacity = capacity
        self._lock = threading.Lock()
        self._armed: Callable[[], object] | None = None
        self._published = self._delivered = self._shed = 0

    def put(self, item: object) -> None:
        """Append; never blocks."""
        with self._lock:
            self._published += 1
            if len(self._items) == self._capacity:
                self._items.popleft()
                self._shed += 1
            self._items.append(item)
            armed, self._armed = self._armed, None
        if armed is not None:
            armed()

    def poll(self) -> list[Any]:
        """Everything that is waiting."""
        with self._lock:
            items = list(self._items)
            self._items.clear()
            self._delivered += len(items)
            return items

    def arm(self, callback: Callable[[], object]) -> None:
        """Call `callback` once, at the next `put`."""
        with self._lock:
            self._armed = callback

    def close(self) -> None:
        """There is nothing to give back."""

    def stats(self) -> dict[str, int]:
        """published == delivered + pending + shed."""
        with self._lock:
            return {
                "published": self._published,
                "delivered": self._delivered,
                "pending": len(self._items),
                "shed": self._shed,
            }


class Handler:
    """One callback with its queue, its breaker and its counts."""

    def __init__(self, function: Callable[[Any], object], queue: Queue, breaker: Breaker) -> None:
        self.function = function
        self.queue = queue
        self.breaker = breaker
        self.is_async = inspect.iscoroutinefunction(function)
        self.name = getattr(function, "__qualname__", type(function).__name__)
        self.calls = 0
        self.failures = 0
        self.skipped = 0
        """Items that came while the breaker was open."""
        self._shed = 0

    def newly_shed(self) -> int:
        """Items that the queue has shed by now, if more than at the last question; else 0."""
        shed = self.queue.stats()["shed"]
        grown = shed > self._shed
        self._shed = shed
        return shed if grown else 0

    def stats(self) -> dict[str, int]:
        """calls, failures, skipped, and the queue's own counts."""
        own = {"calls": self.calls, "failures": self.failures, "skipped": self.skipped}
        return own | self.queue.stats()


class Callbacks:
    """All handlers of one client. Handlers may be added from any thread."""

    def __init__(self, tasks: Tasks, clock: Clock, tell: Callable[..., None]) -> None:
        self._tasks = tasks
        self._clock = clock
        self._tell = tell
        self._lock = threading.Lock()
        self._handlers: tuple[Handler, ...] = ()
        self._ready = threading.Event()
        self._async_ready: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running = False
        self._stopped = False
        self._has_thread = False
        self._has_task = False

    def add(self, handler: Handler) -> None:
        """Run this one, too, from now on or from `start` on."""
        with self._lock:
            self._handlers = (*self._handlers, handler)
            running = self._running
        if running:
            self._provide(handler)
            self._wake()

    def start(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Begin; coroutine functions run on `loop`, which a client entered with `async with` has."""
        self._loop = loop
        with self._lock:
            self._running = True
            handlers = self._handlers
        for handler in handlers:
            self._provide(handler)

    def stop(self) -> None:
        """Ask for the end: the item at work is finished, the rest stays in the queues. Never blocks."""
        self._stopped = True
        self._wake()
        for handler in self._handlers:
            handler.queue.close()

    @property
    def handlers(self) -> tuple[Handler, ...]:
        """Those added so far."""
        return self._handlers

    def fill(self) -> int:
        """Items that wait, over all handlers."""
        return sum(handler.queue.stats()["pending"] for handler in self._handlers)

    @property
    def failures(self) -> int:
        """Calls that raised, over all handlers."""
        return sum(handler.failures for handler in self._handlers)

    def _provide(self, handler: Handler) -> None:
        """See to it that there is a thread or a task that runs such a handler."""
        with self._lock:
            if handler.is_async:
                if self._loop is None:
                    raise ConfigError(
                        f"{handler.name} is a coroutine function, which needs a client in `async with`; "
                        "give a plain function, or use `async with tw.connect(…)`"
                    )
                start = not self._has_task
                self._has_task = True
            else:
                start = not self._has_thread
                self._has_thread = True
        if start and handler.is_async:
            assert self._loop is not None  # noqa: S101  # checked above
            self._async_ready = asyncio.Event()
            self._tasks.task("callbacks-async", self._run_async(self._async_ready), self._loop)
        elif start:
            self._tasks.thread("callbacks", self._run, stop=self.stop)

    def _wake(self) -> None:
        """Something is waiting. Called by whatever thread published it."""
        self._ready.set()
        loop, ready = self._loop, self._async_ready
        if loop is not None and ready is not None:
            # A loop that was closed meanwhile has nobody left to wake.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(ready.set)

    def _run(self) -> None:
        while not self._stopped:
            self._ready.clear()
            for handler in self._handlers:
                if not handler.is_async:
                    handler.queue.arm(self._wake)
                    self._deliver(handler)
            self._clock.wait(self._ready, None)

    async def _run_async(self, ready: asyncio.Event) -> None:
        while not self._stopped:
            ready.clear()
            for handler in self._handlers:
                if handler.is_async:
                    handler.queue.arm(self._wake)
                    await self._deliver_async(handler)
            await ready.wait()

    def _deliver(self, handler: Handler) -> None:
        for item in handler.queue.poll():
            if self._stopped:
                return
            permit = self._admit(handler)
            if permit:
                started_s = self._clock.monotonic_s()
                try:
                    handler.function(item)
                except BaseException as error:  # noqa: BLE001  # counted and told, or raised again
                    self._failed(handler, permit, started_s, error)
                else:
                    handler.breaker.success(1, self._clock.monotonic_s() - started_s, permit=permit)
        self._tell_overflow(handler)

    async def _deliver_async(self, handler: Handler) -> None:
        for item in handler.queue.poll():
            if self._stopped:
                return
            permit = self._admit(handler)
            if permit:
                started_s = self._clock.monotonic_s()
                try:
                    await handler.function(item)  # type: ignore[misc]  # a coroutine function
                except BaseException as error:  # noqa: BLE001  # counted and told, or raised again
                    self._failed(handler, permit, started_s, error)
                else:
                    handler.breaker.success(1, self._clock.monotonic_s() - started_s, permit=permit)
        self._tell_overflow(handler)

    def _admit(self, handler: Handler) -> int:
        """The breaker's permit; 0 if the handler rests."""
        permit = handler.breaker.allow()
        if permit:
            handler.calls += 1
        else:
            handler.skipped += 1
        return permit

    def _failed(self, handler: Handler, permit: int, started_s: float, error: BaseException) -> None:
        handler.breaker.raised(error, 1, self._clock.monotonic_s() - started_s, permit=permit)
        if not isinstance(error, Exception):
            # Cancelled, or told to end: not the handler's failure.
            raise error
        handler.failures += 1
        # Told at powers of two: a handler that always fails must not fill logs and streams.
        if handler.failures & (handler.failures - 1) == 0:
            self._tell(
                HandlerFailed,
                handler=handler.name,
                error=f"{type(error).__name__}: {error}",
                failures=handler.failures,
            )
            hook_arguments = (*sys.exc_info(), threading.current_thread())
            threading.excepthook(threading.ExceptHookArgs(hook_arguments))

    def _tell_overflow(self, handler: Handler) -> None:
        shed = handler.newly_shed()
        if shed:
            self._tell(Overflow, reader=handler.name, shed=shed)
