"""Streams of events: order, bounds, ends, threads and coroutines."""

from __future__ import annotations

import asyncio
import threading

import pytest

from hubs import PATIENCE_S
from tickwire.errors import ConfigError, SubscriptionClosed
from tickwire.events import Events, LoggedOut, SwapFailed


def event(number: int) -> SwapFailed:
    return SwapFailed(ts=number, client="c", reason=str(number))


def test_all_streams_have_one_order_whatever_thread_publishes() -> None:
    events = Events()
    one, other = events.subscribe(10_000), events.subscribe(10_000)
    threads = [
        threading.Thread(target=lambda base=base: [events.publish(event(base + n)) for n in range(1_000)])
        for base in (0, 10_000, 20_000)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    first, second = one.poll(), other.poll()
    assert first == second
    assert len(first) == events.published == 3_000


def test_the_oldest_are_shed_and_counted() -> None:
    events = Events()
    stream = events.subscribe(3)
    for number in range(5):
        events.publish(event(number))
    assert stream.get(0).ts == 2
    assert stream.stats() == {"published": 5, "delivered": 1, "pending": 2, "shed": 2}
    with pytest.raises(TimeoutError):
        events.subscribe(1).get(timeout=0)


def test_a_closed_stream_ends_after_what_it_holds() -> None:
    events = Events()
    stream = events.subscribe(8)
    events.publish(event(1))
    events.close()
    assert [item.ts for item in stream] == [1]
    with pytest.raises(SubscriptionClosed):
        stream.get(0)
    assert list(events.subscribe(1)) == []


def test_waiting_threads_and_coroutines_are_woken() -> None:
    events = Events()
    stream = events.subscribe(8)
    threading.Timer(0.05, lambda: events.publish(event(7))).start()
    assert stream.get(PATIENCE_S).ts == 7

    async def main() -> list[int]:
        asyncio.get_running_loop().call_later(0.01, lambda: events.publish(event(8)))
        asyncio.get_running_loop().call_later(0.05, events.close)
        return [item.ts async for item in stream]

    assert asyncio.run(main()) == [8]


def test_callbacks_get_their_kind_and_one_that_raises_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda arguments: shown.append(arguments.exc_value))
    events, heard = Events(), []

    def bad(_: object) -> None:
        raise ValueError("mine")

    events.call(SwapFailed, bad)
    events.call(LoggedOut, heard.append)
    events.publish(event(1))
    out = LoggedOut(ts=2, client="c", reason="x")
    events.publish(out)
    assert heard == [out]
    assert events.callback_errors == len(shown) == 1


def test_streams_that_nobody_closes_are_limited() -> None:
    events = Events()
    streams = [events.subscribe(1) for _ in range(Events.MAX_STREAMS)]
    with pytest.raises(ConfigError, match="more than 64 open streams"):
        events.subscribe(1)
    streams[0].close()
    events.subscribe(1)
