"""`EventStream`: a bounded queue of events that threads and coroutines can read."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from .errors import SubscriptionClosed
from .events import Event

__all__ = ["EventStream"]

# A wait in slices of this length lets Ctrl-C through where a lock would hold it off.
_SLICE_S = 0.1


class EventStream:
    """Events in the order in which they happened; the oldest are shed where nobody reads.

    published == delivered + pending + shed at every moment.
    """

    def __init__(self, capacity: int, on_close: Callable[[EventStream], None]) -> None:
        self._capacity = capacity
        self._on_close = on_close
        self._items: deque[Event] = deque()
        self._ready = threading.Condition()
        self._wakers: set[Callable[[], None]] = set()
        self._closed = False
        self._published = self._delivered = self._shed = 0

    def put(self, event: Event) -> None:
        """Append one event; for `Events`."""
        with self._ready:
            if self._closed:
                return
            self._published += 1
            if len(self._items) == self._capacity:
                self._items.popleft()
                self._shed += 1
            self._items.append(event)
            self._wake()

    def poll(self) -> list[Event]:
        """Everything that is waiting; never blocks."""
        with self._ready:
            items = list(self._items)
            self._items.clear()
            self._delivered += len(items)
            return items

    def get(self, timeout: float | None = None) -> Event:
        """The next event; `TimeoutError` after `timeout` seconds, `SubscriptionClosed` at the end."""
        deadline_s = None if timeout is None else time.monotonic() + timeout
        with self._ready:
            while (event := self._take()) is None:
                if self._closed:
                    raise SubscriptionClosed("the stream of events was closed, and all of it has been read")
                remaining_s = _SLICE_S if deadline_s is None else deadline_s - time.monotonic()
                if remaining_s <= 0:
                    raise TimeoutError(f"no event within {timeout} s")
                self._ready.wait(min(remaining_s, _SLICE_S))
            return event

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        try:
            return self.get()
        except SubscriptionClosed:
            raise StopIteration from None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        loop = asyncio.get_running_loop()
        waiting = asyncio.Event()

        def waker() -> None:
            # A loop that was closed meanwhile has nobody left to wake.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(waiting.set)

        while True:
            waiting.clear()
            with self._ready:
                event = self._take()
                if event is not None:
                    return event
                if self._closed:
                    raise StopAsyncIteration
                self._wakers.add(waker)
            try:
                await waiting.wait()
            finally:
                with self._ready:
                    self._wakers.discard(waker)

    def close(self) -> None:
        """Stop. What it holds can still be read; then iteration ends. Closing twice is harmless."""
        with self._ready:
            if self._closed:
                return
            self._closed = True
            self._wake()
        self._on_close(self)

    @property
    def closed(self) -> bool:
        """Whether it, or its client, was closed."""
        return self._closed

    def stats(self) -> dict[str, int]:
        """What became of everything published: published == delivered + pending + shed."""
        with self._ready:
            return {
                "published": self._published,
                "delivered": self._delivered,
                "pending": len(self._items),
                "shed": self._shed,
            }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take(self) -> Event | None:
        if not self._items:
            return None
        self._delivered += 1
        return self._items.popleft()

    def _wake(self) -> None:
        self._ready.notify_all()
        for waker in self._wakers:
            waker()
        self._wakers.clear()
