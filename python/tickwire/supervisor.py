"""The thread behind a client: attempts at the hub, one after the other, until told to stop.

The `Supervisor` makes a new `Attempt` after each failure, when its `RetryPolicy` says so, and is the
only owner of the thread; that thread is also the one that reads the socket and pushes into the
engine. What it cannot recover from (a fault in the engine or the configuration, a first attempt
that fails while the caller waits for it) ends it, with the error kept for everyone who waits.

It does not choose between kinds of link failure and does not judge the market's silence.
"""

from __future__ import annotations

import asyncio
import dataclasses
import random
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

from .attempt import Attempt, Counters, Plan
from .errors import ConnectionFailed
from .wakeup import Stopped, Waiter

__all__ = ["Backoff", "RetryPolicy", "State", "Supervisor"]


class RetryPolicy(Protocol):
    """Decides whether and when to try again."""

    def delay_s(self, failures: int, error: ConnectionFailed) -> float | None:
        """Seconds to wait after the `failures`-th failure in a row, or None to give up."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Doubling delays up to a limit, each shortened by up to half at random, for ever.

    The random part keeps a thousand clients of a hub that restarts from coming back at once.
    """

    min_s: float
    max_s: float

    def delay_s(self, failures: int, error: ConnectionFailed) -> float | None:  # noqa: ARG002
        """Never None: this policy does not give up."""
        # Beyond 2**32 the limit has long been reached, and a float would overflow in the end.
        full_s = min(self.max_s, self.min_s * 2.0 ** min(failures - 1, 32))
        return full_s * random.uniform(0.5, 1.0)


State: TypeAlias = Literal["new", "connecting", "live", "reconnecting", "closed", "failed"]


class Supervisor:
    """Owns the thread. `start` once, `stop` from anywhere, `join` from any other thread.

    With `fail_fast`, a failure before the hub was ever live ends it instead of being tried again.
    """

    def __init__(
        self, plan: Plan, policy: RetryPolicy, *, fail_fast: bool, on_end: Callable[[], None]
    ) -> None:
        self._plan = plan
        self._policy = policy
        self._fail_fast = fail_fast
        self._on_end = on_end
        self._waiter = Waiter(plan.clock)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._attempt: Attempt | None = None
        self._lost_ns: int | None = None
        self._counters = Counters()
        self.state: State = "new"
        self.error: BaseException | None = None
        self.live: Future[None] = Future()
        """Settled when the first connection has all its streams, or when there will be none."""
        self.live.set_running_or_notify_cancel()

    def start(self, name: str, loop: asyncio.AbstractEventLoop | None) -> None:
        """Begin; an async token provider runs on `loop` if there is one."""
        self._loop = loop
        self.state = "connecting"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask for the end. Never blocks."""
        self._waiter.stop()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end of the thread; whether it has ended. From the thread itself: at once."""
        if self._thread is None:
            self._end()
        elif self._thread is not threading.current_thread():
            self._thread.join(timeout_s)
            return not self._thread.is_alive()
        return True

    def status(self) -> dict[str, Any]:
        """State and counters, the living connection included."""
        status: dict[str, Any] = {"state": self.state} | dataclasses.asdict(self._counters)
        attempt = self._attempt
        if attempt is not None:
            for name, count in attempt.counted().items():
                status[name] += count
        live_since_s = attempt.live_since_s if attempt is not None else None
        status["live_s"] = self._plan.clock.monotonic_s() - live_since_s if live_since_s is not None else None
        heard_ns = attempt.last_heard_ns if attempt is not None else None
        status["last_heard_ns"] = heard_ns if heard_ns is not None else self._lost_ns
        return status

    def _run(self) -> None:
        try:
            self._supervise()
        except Stopped:
            pass
        except BaseException as error:  # noqa: BLE001  # kept, and raised to whoever waits
            # Not swallowed: whoever waits for the client, iterates or closes it gets it raised.
            self.error = error
            self._counters.last_error = f"{type(error).__name__}: {error}"
        finally:
            self._end()

    def _end(self) -> None:
        self.state = "closed" if self.error is None else "failed"
        self._waiter.close()
        try:
            self._on_end()
        finally:
            if not self.live.done():
                closed = ConnectionFailed("the client was closed before it was connected")
                self.live.set_exception(self.error or closed)

    def _supervise(self) -> None:
        counters = self._counters
        while True:
            counters.attempts += 1
            attempt = self._attempt = Attempt(self._plan, self._waiter, counters, self._lost_ns)
            try:
                attempt.run(self._loop, self._went_live)
            except ConnectionFailed as error:
                delay_s = self._after_failure(attempt, error)
            finally:
                self._account(attempt)
            self.state = "reconnecting"
            self._waiter.sleep(delay_s)

    def _went_live(self) -> None:
        self.state = "live"
        if not self.live.done():
            self.live.set_result(None)

    def _after_failure(self, attempt: Attempt, error: ConnectionFailed) -> float:
        counters = self._counters
        counters.failures += 1
        counters.last_error = f"{type(error).__name__}: {error}"
        if self._fail_fast and not self.live.done():
            raise error
        lived_s = (
            self._plan.clock.monotonic_s() - attempt.live_since_s if attempt.live_since_s is not None else 0.0
        )
        counters.failures_in_a_row = (
            1 if lived_s >= self._plan.limits.stable_s else counters.failures_in_a_row + 1
        )
        delay_s = self._policy.delay_s(counters.failures_in_a_row, error)
        if delay_s is None:
            raise error
        return delay_s

    def _account(self, attempt: Attempt) -> None:
        if attempt.live_since_s is not None:
            self._lost_ns = attempt.last_heard_ns
        # Taken away first: a reader between the two lines misses the counts rather than doubling them.
        self._attempt = None
        for name, count in attempt.counted().items():
            setattr(self._counters, name, getattr(self._counters, name) + count)
