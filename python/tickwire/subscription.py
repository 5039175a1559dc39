"""`Subscription`: a reader's place in the streams of an engine."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Self

from . import _core

__all__ = ["Item", "Subscription"]

Item = _core.Bar | _core.Trade | _core.Quote


def _wake(waiters: deque[asyncio.Future[None]]) -> None:
    """Wake every waiting task: which of them gets the item is theirs to settle. Called by whatever
    thread published, perhaps after the loop of a task has ended.
    """
    with suppress(IndexError):
        while True:
            news = waiters.popleft()
            with suppress(RuntimeError):
                news.get_loop().call_soon_threadsafe(_set, news)


def _set(news: asyncio.Future[None]) -> None:
    if not news.done():
        news.set_result(None)


class Subscription(_core.Subscription):
    """What an engine publishes after this was made: closed bars and revisions of them, accepted trades,
    accepted quotes. Made by `Engine.subscribe`; read it in any one of these ways:

        sub.poll()                   everything that is waiting, at once
        sub.get(timeout=1.0)         one item, waiting for it; Ctrl-C interrupts
        for item in sub: …           blocks, ends when the subscription is closed
        async for item in sub: …     in any asyncio loop

    Items of one instrument and timeframe come in order. Bars come in the order of their ends, smaller
    timeframes first, and before ticks of the same time. It holds `capacity` items per stream; what is
    not fetched in time is shed, oldest first: `stats()` has published == delivered + pending + shed.
    """

    def __init__(self, *_: object) -> None:
        # Futures of tasks that wait. A deque: whatever thread publishes takes them out, while loops
        # in other threads put theirs in.
        self._waiters: deque[asyncio.Future[None]] = deque()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        while True:
            item = self._take()
            if item is not None:
                return item
            news = asyncio.get_running_loop().create_future()
            self._waiters.append(news)
            try:
                self._arm(partial(_wake, self._waiters))
                # Asked before looking again: closing may be what fetches the last items.
                closed = self.closed
                # What came before the arming wakes nobody.
                item = self._take()
                if item is not None:
                    return item
                if closed:
                    raise StopAsyncIteration
                await news
            finally:
                with suppress(ValueError):
                    self._waiters.remove(news)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
