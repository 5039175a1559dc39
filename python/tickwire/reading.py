"""An engine's subscription, read through a client.

It behaves as the engine's own, with one addition: when a client has failed for good, reading past
what had been delivered raises the reason instead of ending as if all were well.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import Self

from .errors import ConnectionFailed, SubscriptionClosed
from .subscription import Item, Subscription

__all__ = ["LiveSubscription", "LiveSubscriptions", "SubscriptionQueue"]


class SubscriptionQueue:
    """A subscription as a callback's queue."""

    def __init__(self, live: LiveSubscription) -> None:
        # Kept, since the client holds its subscriptions weakly.
        self._live = live
        self._inner = live._inner
        self.poll = self._inner.poll
        self.arm = self._inner._arm
        self.close = self._inner.close
        self.stats = self._inner.stats


class LiveSubscription:
    """Items of one subscription; closed with its client."""

    def __init__(
        self, inner: Subscription, failure: Callable[[], BaseException | None], capacity: int
    ) -> None:
        self._inner = inner
        self._failure = failure
        self.capacity = capacity
        """Items held per instrument and timeframe, trades or quotes."""
        self._items: Iterator[Item] = iter(inner)
        self._async_items: AsyncIterator[Item] | None = None

    def poll(self) -> list[Item]:
        """Everything that is waiting; never blocks. Raises once the client has failed and nothing is left."""
        items = self._inner.poll()
        if not items and self._inner.closed:
            self._raise_failure()
        return items

    def get(self, timeout: float | None = None) -> Item:
        """The next item; `TimeoutError` after `timeout` seconds, `SubscriptionClosed` at the end."""
        try:
            return self._inner.get(timeout)
        except SubscriptionClosed:
            self._raise_failure()
            raise

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Item:
        try:
            return next(self._items)
        except StopIteration:
            self._raise_failure()
            raise

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        if self._async_items is None:
            self._async_items = aiter(self._inner)
        try:
            return await anext(self._async_items)
        except StopAsyncIteration:
            self._raise_failure()
            raise

    def close(self) -> None:
        """Stop. What it holds can still be read; then iteration ends."""
        self._inner.close()

    @property
    def closed(self) -> bool:
        """Whether it, or its client, was closed."""
        return self._inner.closed

    def stats(self) -> dict[str, int]:
        """What became of everything published: published == delivered + pending + shed."""
        return self._inner.stats()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def queue(self) -> SubscriptionQueue:
        """What it delivers, for a callback: a client that failed ends it without an error."""
        return SubscriptionQueue(self)

    def _raise_failure(self) -> None:
        error = self._failure()
        if error is not None:
            raise ConnectionFailed(f"the client has ended: {error}") from error


class LiveSubscriptions:
    """The subscriptions of one client that anybody still holds. From any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: weakref.WeakSet[LiveSubscription] = weakref.WeakSet()

    def add(self, live: LiveSubscription) -> None:
        """One more."""
        with self._lock:
            self._held.add(live)

    def close(self) -> None:
        """Close all of them; what they hold can still be read."""
        for live in self._all():
            live.close()

    def pressure(self) -> tuple[float, int, int]:
        """How full the fullest is, 0 to 1, and what all of them have published and shed so far."""
        counts = [(live.stats(), live.capacity) for live in self._all()]
        fill = max((stats["pending"] / capacity for stats, capacity in counts), default=0.0)
        published = sum(stats["published"] for stats, _ in counts)
        return min(1.0, fill), published, sum(stats["shed"] for stats, _ in counts)

    def _all(self) -> list[LiveSubscription]:
        with self._lock:
            return list(self._held)
