"""Everything a client runs beside the caller's own code: its threads and asyncio tasks, in one place.

Whatever the library starts, it starts through a `Tasks`. So each one has a name and an owner, their
number has a limit, an exception in one is told and kept, and `close` ends all of them, the youngest
first, within a time limit, and says which did not end. It starts nothing by itself and runs
nothing periodically.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Literal

from .clock import Clock
from .errors import ConfigError

__all__ = ["TaskError", "TaskInfo", "Tasks"]

# The last errors are kept for the report, not all of them.
_KEPT_ERRORS = 16


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """One thread or task at one moment.

    Attributes:
        name: of the thread or task; all names of a client begin with the client's.
        kind: "thread" or "task" (asyncio).
        age_s: seconds since it was started.
    """

    name: str
    kind: Literal["thread", "task"]
    age_s: float


@dataclass(frozen=True, slots=True)
class TaskError:
    """An exception that ended a thread or task."""

    name: str
    error: BaseException


class _Job:
    """One thread or task, from start to end."""

    __slots__ = ("cancel", "ended", "kind", "loop", "name", "started_s", "thread")

    def __init__(
        self, name: str, kind: Literal["thread", "task"], started_s: float, cancel: Callable[[], object]
    ) -> None:
        self.name = name
        self.kind = kind
        self.started_s = started_s
        self.cancel = cancel
        self.ended = threading.Event()
        self.thread: threading.Thread | None = None
        self.loop: asyncio.AbstractEventLoop | None = None

    def waits_for_caller(self) -> bool:
        """Whether it cannot end before the calling thread goes on."""
        if self.thread is not None:
            return self.thread is threading.current_thread()
        try:
            return self.loop is asyncio.get_running_loop()
        except RuntimeError:
            return False


class Tasks:
    """The threads and tasks of one owner. All methods may be called from any thread."""

    def __init__(self, name: str, clock: Clock, *, limit: int = 32) -> None:
        self._name = name
        self._clock = clock
        self._limit = limit
        self._lock = threading.Lock()
        self._jobs: list[_Job] = []
        self._errors: deque[TaskError] = deque(maxlen=_KEPT_ERRORS)
        self._closed = False
        self.started = 0
        self.failed = 0

    def thread(
        self, name: str, target: Callable[[], object], *, stop: Callable[[], object] = lambda: None
    ) -> threading.Thread:
        """Start a daemon thread that runs `target` and that `stop`, which must not block, asks to end.

        Raises `ConfigError` if there are too many already, or if this was closed; nothing was started.
        """
        job = self._admit(name, "thread", stop)

        def run() -> None:
            try:
                target()
            except Exception as error:  # noqa: BLE001  # kept, and shown by the hook
                self._failed(job, error)
            finally:
                self._over(job)

        job.thread = threading.Thread(target=run, name=job.name, daemon=True)
        try:
            job.thread.start()
        except RuntimeError:
            # The system gives out no more threads. After Ctrl-C, which may come here, the thread runs.
            self._over(job)
            raise
        return job.thread

    def task(
        self, name: str, coroutine: Coroutine[Any, Any, object], loop: asyncio.AbstractEventLoop
    ) -> Future[None]:
        """Run `coroutine` as a task of `loop`, from any thread. The future is done when it has ended."""
        done: Future[None] = Future()
        running: list[asyncio.Task[None]] = []

        def cancel() -> None:
            if running and not loop.is_closed():
                loop.call_soon_threadsafe(running[0].cancel)

        try:
            job = self._admit(name, "task", cancel)
        except ConfigError:
            coroutine.close()
            raise
        job.loop = loop

        async def run() -> None:
            try:
                await coroutine
            except Exception as error:  # noqa: BLE001  # kept, and shown by the hook
                self._failed(job, error)
            finally:
                self._over(job)
                done.set_result(None)

        def start() -> None:
            running.append(loop.create_task(run(), name=job.name))

        loop.call_soon_threadsafe(start)
        return done

    def list(self) -> tuple[TaskInfo, ...]:
        """What runs now, the oldest first."""
        now_s = self._clock.monotonic_s()
        with self._lock:
            return tuple(TaskInfo(job.name, job.kind, now_s - job.started_s) for job in self._jobs)

    def errors(self) -> tuple[TaskError, ...]:
        """The last exceptions that ended a thread or task, the oldest first."""
        with self._lock:
            return tuple(self._errors)

    def stats(self) -> dict[str, float]:
        """running, started and failed so far, and the age of the oldest in seconds."""
        running = self.list()
        return {
            "running": len(running),
            "started": self.started,
            "failed": self.failed,
            "oldest_s": max((info.age_s for info in running), default=0.0),
        }

    def close(self, timeout_s: float) -> tuple[TaskInfo, ...]:
        """End everything, the youngest first, in `timeout_s` seconds together; those that did not end.

        Nothing can be started afterwards. Called from a thread or task of this, that one is told to
        end and not waited for. Closing again waits again.
        """
        with self._lock:
            self._closed = True
            jobs = list(reversed(self._jobs))
        deadline_s = self._clock.monotonic_s() + timeout_s
        for job in jobs:
            job.cancel()
        left = []
        for job in jobs:
            if job.waits_for_caller():
                continue
            if not self._clock.wait(job.ended, max(0.0, deadline_s - self._clock.monotonic_s())):
                left.append(job)
            elif job.thread is not None:
                # It has said so itself, as the last thing it does.
                job.thread.join()
        now_s = self._clock.monotonic_s()
        return tuple(TaskInfo(job.name, job.kind, now_s - job.started_s) for job in reversed(left))

    def _admit(self, name: str, kind: Literal["thread", "task"], cancel: Callable[[], object]) -> _Job:
        with self._lock:
            if self._closed:
                raise ConfigError(f"{self._name} was closed; {name} was not started")
            if len(self._jobs) >= self._limit:
                running = ", ".join(job.name for job in self._jobs)
                raise ConfigError(
                    f"{self._name} runs {self._limit} threads and tasks, which is the limit; "
                    f"{name} was not started; running: {running}"
                )
            job = _Job(f"{self._name}-{name}", kind, self._clock.monotonic_s(), cancel)
            self._jobs.append(job)
            self.started += 1
            return job

    def _over(self, job: _Job) -> None:
        with self._lock:
            self._jobs.remove(job)
        job.ended.set()

    def _failed(self, job: _Job, error: Exception) -> None:
        with self._lock:
            self.failed += 1
            self._errors.append(TaskError(job.name, error))
        hook_arguments = (*sys.exc_info(), threading.current_thread())
        threading.excepthook(threading.ExceptHookArgs(hook_arguments))
