"""A pause ends sleeps and coroutines from other threads, whatever they wait for."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from hubs import PATIENCE_S, no_leftovers
from tickwire.clock import Clock
from tickwire.pause import Pause, run_alone
from tickwire.wakeup import Stopped


def test_a_wake_ends_this_sleep_or_the_next_and_no_other() -> None:
    pause = Pause(Clock())
    pause.wake()
    pause.doze(3600.0)
    slept = threading.Event()

    def sleep() -> None:
        pause.doze(3600.0)
        slept.set()

    thread = threading.Thread(target=sleep)
    thread.start()
    assert not slept.wait(0.05)
    pause.wake()
    thread.join(PATIENCE_S)
    assert slept.is_set()
    assert not pause.is_stopped


def test_stop_ends_every_sleep_and_calls_back_once() -> None:
    pause = Pause(Clock())
    calls: list[str] = []
    pause.on_stop(lambda: calls.append("early"))
    forgotten = lambda: calls.append("forgotten")  # noqa: E731
    pause.on_stop(forgotten)
    pause.forget(forgotten)
    pause.stop()
    pause.stop()
    pause.doze(3600.0)
    pause.doze(3600.0)
    pause.on_stop(lambda: calls.append("late"))
    assert calls == ["early", "late"]
    assert pause.is_stopped


async def answer() -> str:
    await asyncio.sleep(0)
    return "answer"


async def fails() -> str:
    raise OSError("failed")


async def is_tidied_up_after_in_vain() -> None:
    """Ctrl-C comes while the loop is being shut down."""

    async def interrupt() -> None:
        raise KeyboardInterrupt

    asyncio.get_running_loop().shutdown_asyncgens = interrupt  # type: ignore[method-assign]


def test_a_coroutine_runs_on_a_loop_of_its_own() -> None:
    pause = Pause(Clock())
    assert run_alone(answer, pause) == "answer"
    with pytest.raises(OSError, match="failed"):
        run_alone(fails, pause)


def test_what_fails_outside_the_coroutine_leaves_no_loop_behind() -> None:
    def makes_none() -> Any:
        raise OSError("not made")

    with no_leftovers():
        with pytest.raises(OSError, match="not made"):
            run_alone(makes_none, Pause(Clock()))
        with pytest.raises(KeyboardInterrupt):
            run_alone(is_tidied_up_after_in_vain, Pause(Clock()))


def test_a_coroutine_runs_beside_a_loop_that_is_running_here() -> None:
    async def main() -> None:
        pause = Pause(Clock())
        assert run_alone(answer, pause) == "answer"
        with pytest.raises(OSError, match="failed"):
            run_alone(fails, pause)

    asyncio.run(main())


def test_stop_cancels_the_coroutine() -> None:
    pause = Pause(Clock())
    ended: list[str] = []

    async def sleeps() -> None:
        threading.Thread(target=pause.stop).start()
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append("cancelled")

    with pytest.raises(Stopped):
        run_alone(sleeps, pause)
    assert ended == ["cancelled"]
    with pytest.raises(Stopped):
        run_alone(sleeps, pause)
