"""The registry of threads and tasks: owned, named, limited, ended in order, nothing lost."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from hubs import PATIENCE_S
from tickwire.clock import Clock
from tickwire.errors import ConfigError
from tickwire.tasks import Tasks


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[BaseException | None]:
    """What reached `threading.excepthook`."""
    seen: list[BaseException | None] = []
    monkeypatch.setattr(threading, "excepthook", lambda arguments: seen.append(arguments.exc_value))
    return seen


def test_closing_ends_the_youngest_first_and_leaves_nothing() -> None:
    tasks, ended = Tasks("t", Clock()), []
    bells = [threading.Event() for _ in range(3)]

    def run(number: int) -> None:
        bells[number].wait(PATIENCE_S)
        ended.append(number)

    told: list[int] = []
    for number, bell in enumerate(bells):

        def stop(number: int = number, bell: threading.Event = bell) -> None:
            told.append(number)
            bell.set()

        tasks.thread(f"n{number}", lambda number=number: run(number), stop=stop)
    assert [info.name for info in tasks.list()] == ["t-n0", "t-n1", "t-n2"]
    assert tasks.close(PATIENCE_S) == ()
    assert told == [2, 1, 0]
    assert sorted(ended) == [0, 1, 2]
    assert tasks.list() == ()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("t-n")]
    with pytest.raises(ConfigError, match="was closed; late was not started"):
        tasks.thread("late", lambda: None)


def test_what_does_not_end_is_reported_by_name() -> None:
    tasks, release = Tasks("t", Clock()), threading.Event()
    tasks.thread("stuck", lambda: release.wait(PATIENCE_S))
    left = tasks.close(0.01)
    assert [(info.name, info.kind) for info in left] == [("t-stuck", "thread")]
    release.set()
    assert tasks.close(PATIENCE_S) == ()


def test_an_exception_is_kept_counted_and_shown(shown: list[BaseException | None]) -> None:
    tasks = Tasks("t", Clock())

    def fails() -> None:
        raise ValueError("boom")

    tasks.thread("bad", fails).join(PATIENCE_S)
    assert tasks.close(PATIENCE_S) == ()
    assert [(one.name, str(one.error)) for one in tasks.errors()] == [("t-bad", "boom")]
    assert tasks.stats()["failed"] == 1
    assert [str(error) for error in shown] == ["boom"]


def test_their_number_is_limited() -> None:
    tasks, release = Tasks("t", Clock(), limit=2), threading.Event()
    for _ in range(2):
        tasks.thread("x", lambda: release.wait(PATIENCE_S), stop=release.set)
    with pytest.raises(ConfigError, match="runs 2 threads and tasks, which is the limit; y was not started"):
        tasks.thread("y", lambda: None)
    assert tasks.close(PATIENCE_S) == ()


def test_closing_from_one_of_its_own_threads_does_not_wait_for_that_one() -> None:
    tasks, closed = Tasks("t", Clock()), threading.Event()

    def run() -> None:
        assert tasks.close(PATIENCE_S) == ()
        closed.set()

    tasks.thread("self", run)
    assert closed.wait(PATIENCE_S)
    assert tasks.close(PATIENCE_S) == ()


def test_asyncio_tasks_are_cancelled_and_their_errors_kept(shown: list[BaseException | None]) -> None:
    async def main() -> None:
        tasks = Tasks("t", Clock())
        cancelled: list[Any] = []

        async def forever() -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(asyncio.current_task())
                raise

        async def fails() -> None:
            raise ValueError("boom")

        loop = asyncio.get_running_loop()
        bad = tasks.task("bad", fails(), loop)
        long = tasks.task("long", forever(), loop)
        await asyncio.wrap_future(bad)
        assert [info.name for info in tasks.list()] == ["t-long"]
        assert await asyncio.to_thread(tasks.close, PATIENCE_S) == ()
        await asyncio.wrap_future(long)
        assert len(cancelled) == 1
        assert [str(one.error) for one in tasks.errors()] == ["boom"]
        # From the loop itself nothing can be waited for: it would wait for itself.
        again = Tasks("u", Clock())
        left = again.task("long", forever(), loop)
        await asyncio.sleep(0)
        assert again.close(PATIENCE_S) == ()
        await asyncio.wrap_future(left)

    asyncio.run(main())
    assert [str(error) for error in shown] == ["boom"]
