"""Calls of a history that come back, fail, hang, and are not waited for."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from histories import until
from tickwire.backfill_settings import BackfillSettings
from tickwire.clock import Clock
from tickwire.errors import HistoryFailed
from tickwire.fetching import Fetcher
from tickwire.holes import Request
from tickwire.pause import Pause
from tickwire.wakeup import Stopped

REQUEST = Request("X", "1s", 10, 20, 30)


class Plain:
    def __init__(self, call: Callable[..., Any]) -> None:
        self.call = call

    def timeframes(self, wanted: Any) -> Any:
        return wanted

    def bars(self, symbol: str, timeframe: str, start_ns: int, end_ns: int) -> Any:
        return self.call(symbol, timeframe, start_ns, end_ns)


class Paused(Plain):
    def bars(  # type: ignore[override]
        self, symbol: str, timeframe: str, start_ns: int, end_ns: int, *, pause: Pause
    ) -> Any:
        return self.call(pause)


def fetcher(history: Any, **settings: Any) -> Fetcher:
    return Fetcher(history, Clock(), BackfillSettings(**settings))


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    until(
        lambda: not any(t.name == "tickwire-history-call" for t in threading.enumerate()),
        "a call of the history has not ended",
    )


def test_it_asks_for_a_few_bars_more_than_are_missing() -> None:
    assert fetcher(Plain(lambda *args: args)).bars(REQUEST, Pause(Clock())) == ("X", "1s", 10, 30)


def test_a_coroutine_runs_on_a_loop_of_its_own() -> None:
    async def bars(*args: Any) -> Any:
        await asyncio.sleep(0.01)
        return args

    assert fetcher(Plain(bars)).bars(REQUEST, Pause(Clock())) == ("X", "1s", 10, 30)


def test_failures_are_told_without_the_frames_they_come_from() -> None:
    failures = [HistoryFailed("no such contract", permanent=True, retry_after_s=3.0), OSError("broken")]

    def fail(*_: Any) -> Any:
        raise failures.pop(0)

    calls = fetcher(Plain(fail))
    for text, permanent, retry_after_s in [
        ("no such contract", True, 3.0),
        ("OSError: broken", False, None),
    ]:
        with pytest.raises(HistoryFailed, match=text) as caught:
            calls.bars(REQUEST, Pause(Clock()))
        assert (caught.value.permanent, caught.value.retry_after_s) == (permanent, retry_after_s)
        assert caught.value.__context__ is None


@pytest.mark.parametrize("kind", ["coroutine", "pause"])
def test_beyond_its_time_limit_a_call_is_ended_where_that_is_possible(kind: str) -> None:
    ended = threading.Event()

    async def sleep(*_: Any) -> Any:
        try:
            await asyncio.sleep(3_600)
        finally:
            ended.set()

    def doze(pause: Pause) -> Any:
        pause.doze(3_600)
        ended.set()
        raise Stopped

    calls = fetcher(Plain(sleep) if kind == "coroutine" else Paused(doze), request_s=0.05)
    with pytest.raises(HistoryFailed, match=r"did not answer within 0\.05 s"):
        calls.bars(REQUEST, Pause(Clock()))
    assert ended.wait(10)
    until(lambda: calls.hanging == 0, "the call is over")


def test_calls_that_hang_are_left_behind_and_limited_in_number() -> None:
    release = threading.Event()
    calls = fetcher(Plain(lambda *_: release.wait(30)), request_s=0.02, hanging=2)
    for _ in range(2):
        with pytest.raises(HistoryFailed, match="did not answer"):
            calls.bars(REQUEST, Pause(Clock()))
    assert calls.hanging == 2
    with pytest.raises(HistoryFailed, match="2 calls of the history have not returned"):
        calls.bars(REQUEST, Pause(Clock()))
    release.set()
    until(lambda: calls.hanging == 0, "all calls are over")
    assert calls.bars(REQUEST, Pause(Clock())) is True


@pytest.mark.parametrize("kind", ["plain", "coroutine", "pause"])
def test_whoever_is_stopped_waits_no_longer(kind: str) -> None:
    release, began = threading.Event(), threading.Event()

    def plain(*_: Any) -> Any:
        began.set()
        release.wait(30)

    async def sleep(*_: Any) -> Any:
        began.set()
        await asyncio.sleep(3_600)

    def doze(pause: Pause) -> Any:
        began.set()
        pause.doze(3_600)
        raise Stopped

    history = {"plain": Plain(plain), "coroutine": Plain(sleep), "pause": Paused(doze)}[kind]
    waiter = Pause(Clock())
    outcome: list[type[BaseException] | None] = []

    def wait() -> None:
        try:
            fetcher(history).bars(REQUEST, waiter)
        except (Stopped, HistoryFailed) as error:
            outcome.append(type(error))

    thread = threading.Thread(target=wait)
    thread.start()
    assert began.wait(10)
    # Woken for something else, it goes on waiting.
    waiter.wake()
    time.sleep(0.02)
    assert thread.is_alive()
    waiter.stop()
    thread.join(10)
    assert outcome == [Stopped]
    release.set()
