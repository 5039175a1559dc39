"""Calling a history so that none of its calls can hold up anybody.

Each call runs in a thread of its own, which ends with the call. Whoever waits for it waits for no longer
than the time limit, and no longer than he is wanted. A coroutine is cancelled then, and a plain method
that takes a `pause` finds it stopped; one that does neither is left behind, and how many of those there
may be is limited.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Coroutine
from typing import Any

from .backfill_settings import BackfillSettings
from .clock import Clock
from .errors import HistoryFailed
from .history import History
from .holes import Request
from .pause import Pause, run_alone
from .wakeup import Stopped

__all__ = ["Fetcher"]


class _Call:
    """One call, and what came of it."""

    def __init__(self, clock: Clock) -> None:
        self.pause = Pause(clock)
        self.over = False
        self.table: Any = None
        self.failure: HistoryFailed | None = None


class Fetcher:
    """The calls of one history. `bars` belongs to one thread."""

    def __init__(self, history: History, clock: Clock, settings: BackfillSettings) -> None:
        self._history = history
        self._clock = clock
        self._settings = settings
        self._takes_pause = "pause" in inspect.signature(history.bars).parameters
        self._lock = threading.Lock()
        self._left: set[_Call] = set()

    @property
    def hanging(self) -> int:
        """Calls beyond their time limit that have not returned."""
        return len(self._left)

    def bars(self, request: Request, waiter: Pause) -> Any:
        """The table for a request.

        Raises `HistoryFailed`; `Stopped` when `waiter` is stopped, which must be this thread's.
        """
        if len(self._left) >= self._settings.hanging:
            raise HistoryFailed(f"{len(self._left)} calls of the history have not returned; no other is made")
        call = _Call(self._clock)

        def run() -> None:
            try:
                self._run(call, request)
            finally:
                call.over = True
                with self._lock:
                    self._left.discard(call)
                waiter.wake()

        thread = threading.Thread(target=run, name="tickwire-history-call", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            raise HistoryFailed("no thread could be started to ask the history") from None
        limit_s = self._settings.request_s
        deadline_s = self._clock.monotonic_s() + limit_s
        while not call.over:
            left_s = deadline_s - self._clock.monotonic_s()
            if left_s <= 0 or waiter.is_stopped:
                self._leave(call)
                break
            waiter.doze(left_s)
        if waiter.is_stopped:
            raise Stopped
        if not call.over:
            raise HistoryFailed(f"history did not answer within {limit_s} s")
        if call.failure is not None:
            raise call.failure
        return call.table

    def _leave(self, call: _Call) -> None:
        with self._lock:
            if not call.over:
                self._left.add(call)
        call.pause.stop()

    def _run(self, call: _Call, request: Request) -> None:
        try:
            more = {"pause": call.pause} if self._takes_pause else {}
            answer = self._history.bars(
                request.symbol, request.timeframe, request.start_ns, request.ask_end_ns, **more
            )
            call.table = (
                run_alone(lambda: _wait(answer), call.pause) if inspect.isawaitable(answer) else answer
            )
        except Stopped:
            call.failure = HistoryFailed("the call of the history was stopped")
        except HistoryFailed as error:
            # As another one: the traceback, and all that its frames hold, is let go.
            failure = HistoryFailed(str(error), permanent=error.permanent, retry_after_s=error.retry_after_s)
            call.failure = failure
        except Exception as error:  # noqa: BLE001  # whatever a history of the user's raises; told as an event
            call.failure = HistoryFailed(f"{type(error).__name__}: {error}")


def _wait(answer: Any) -> Coroutine[Any, Any, Any]:
    async def wait() -> Any:
        return await answer

    return wait()
