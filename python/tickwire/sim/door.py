"""How other threads reach a hub: a loop of its own in a thread, or the caller's, and calls onto it."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

from tickwire.errors import ConfigError

from .loop import new_event_loop

if TYPE_CHECKING:
    from collections.abc import Callable

    from tickwire.clock import Clock

    from .core import Core

__all__ = ["Door"]

_T = TypeVar("_T")


class Door:
    """Runs a core once, on one loop, and lets functions be called there from any thread."""

    def __init__(self, core: Core, clock: Clock) -> None:
        self._core = core
        self._clock = clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._loop_thread_id: int | None = None
        self._stop: asyncio.Event | None = None
        self._ended = False

    def open(self) -> None:
        """Run the core on a loop of its own, in a thread of its own."""
        self._not_twice()
        ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(ready,), name="tickwire sim hub", daemon=True)
        self._thread.start()
        try:
            ready.result()
        except BaseException:
            self._thread.join()
            raise

    def close(self) -> None:
        """End the core and its thread."""
        if self._loop is not None and self._stop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    async def open_here(self) -> None:
        """Run the core on the running loop."""
        self._not_twice()
        await self._core.start()
        self._loop = asyncio.get_running_loop()
        self._loop_thread_id = threading.get_ident()

    async def close_here(self) -> None:
        """End the core."""
        await self._core.stop()
        self._ended = True

    @property
    def is_here(self) -> bool:
        """Whether this thread is the one of the running core's loop."""
        return not self._ended and threading.get_ident() == self._loop_thread_id

    def call(self, function: Callable[[], _T]) -> _T:
        """Run on the core's loop and return what comes of it; at once when the core has ended."""
        if self._loop is None:
            raise ConfigError("the hub is not running: use it inside `with` or `async with`")
        if self._ended or self.is_here:
            return function()
        future: Future[_T] = Future()

        def run() -> None:
            try:
                future.set_result(function())
            except BaseException as error:  # noqa: BLE001  raised again where it was called
                future.set_exception(error)

        self._loop.call_soon_threadsafe(run)
        return future.result()

    def _run(self, ready: Future[None]) -> None:
        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            self._loop_thread_id = threading.get_ident()
            self._stop = asyncio.Event()
            try:
                await self._core.start()
            except OSError as error:
                ready.set_exception(error)
                return
            ready.set_result(None)
            await self._stop.wait()
            await self._core.stop()
            self._ended = True

        with asyncio.Runner(loop_factory=lambda: new_event_loop(self._clock)) as runner:
            runner.run(serve())

    def _not_twice(self) -> None:
        if self._loop is not None or self._thread is not None:
            raise ConfigError("this hub has been entered before: make a new Hub for every run")
