"""`Subscription`: a reader's place in the streams of an engine."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from . import _core

__all__ = ["Item", "Subscription"]

Item = _core.Bar | _core.Trade | _core.Quote


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

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        while True:
            item = self._take()
            if item is not None:
                return item
            loop = asyncio.get_running_loop()
            news = loop.create_future()

            def wake(loop: asyncio.AbstractEventLoop = loop, news: asyncio.Future[None] = news) -> None:
                # Called by whatever thread published, perhaps after this loop has ended.
                if not loop.is_closed():
                    loop.call_soon_threadsafe(lambda: None if news.done() else news.set_result(None))

            self._arm(wake)
            # What came before the arming wakes nobody.
            item = self._take()
            if item is not None:
                return item
            if self.closed:
                raise StopAsyncIteration
            await news

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
