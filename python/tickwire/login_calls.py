"""Calls of a token source, each in a thread of its own, so that one that hangs can be left behind.

A thread ends with its call. Async sources are cancelled when nobody wants the answer any more; one
that is not async cannot be, and its thread, a daemon, lives until it returns.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from .auth import Token, TokenProvider, remaining_s
from .clock import Clock
from .errors import ConnectionFailed, LoginFailed, TickwireError
from .login_state import Fetch
from .pause import Pause
from .wakeup import Stopped

__all__ = ["Answer", "Calls", "again"]

E = TypeVar("E", bound=BaseException)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a call: a token, an error, or neither.

    Attributes:
        token: with an identity of its own, unless it is the one that was to be renewed.
        remaining_s: how long the token is good for; None if it does not say.
        is_withdrawn: whether the call was cancelled.
    """

    token: Token | None = None
    remaining_s: float | None = None
    error: TickwireError | None = None
    is_withdrawn: bool = False


class Calls:
    """The calls under way, and those that hang. All methods may be called from any thread."""

    def __init__(
        self,
        provider: TokenProvider,
        clock: Clock,
        time_limit_s: float,
        landed: Callable[[Fetch, Answer], None],
    ) -> None:
        """`landed` gets the answer of each call, once, on the call's thread."""
        self._provider = provider
        self._clock = clock
        self._time_limit_s = time_limit_s
        self._landed = landed
        self._lock = threading.Lock()
        self._pauses: dict[int, Pause] = {}

    def start(self, fetch: Fetch, loop: asyncio.AbstractEventLoop | None) -> None:
        """Call the source; at once and here, if that takes no time."""
        pause = Pause(self._clock)
        if self._provider.is_immediate:
            self._run(fetch, loop, pause)
            return
        with self._lock:
            self._pauses[fetch.number] = pause
        name = f"tickwire-token-{fetch.kind}"
        try:
            threading.Thread(target=self._run, args=(fetch, loop, pause), name=name, daemon=True).start()
        except RuntimeError:
            # The system gives out no more threads.
            with self._lock:
                del self._pauses[fetch.number]
            self._landed(fetch, Answer(error=LoginFailed("no thread could be started to ask for a token")))

    def cancel(self, fetch: Fetch | None = None) -> None:
        """Cancel one call, or all. Never blocks."""
        with self._lock:
            pauses = [
                pause for number, pause in self._pauses.items() if fetch is None or fetch.number == number
            ]
        for pause in pauses:
            pause.stop()

    def _run(self, fetch: Fetch, loop: asyncio.AbstractEventLoop | None, pause: Pause) -> None:
        # Whatever ends the call, the login must hear of it, or everybody waits for the time limit.
        answer = Answer(error=ConnectionFailed(f"{self._provider!r} ended its thread"))
        try:
            answer = self._ask(fetch, loop, pause)
        finally:
            with self._lock:
                self._pauses.pop(fetch.number, None)
            self._landed(fetch, answer)

    def _ask(self, fetch: Fetch, loop: asyncio.AbstractEventLoop | None, pause: Pause) -> Answer:
        try:
            if fetch.base is not None:
                token = self._provider.renew(fetch.base, loop, self._time_limit_s, pause)
            else:
                token = self._provider.fetch(loop, self._time_limit_s, pause)
        except Stopped:
            return Answer(is_withdrawn=True)
        except TickwireError as error:
            return Answer(error=error)
        if token is None or token is fetch.base:
            return Answer(token)
        # Another object, since a source may give the same one twice.
        return Answer(token.again(), remaining_s(token, self._clock.now_ns()))


def again(error: E) -> E:
    """The same error for another thread to raise: its traceback grows where it is raised."""
    # Not `copy`, which would call an __init__ that may want more than the message.
    again = type(error).__new__(type(error))
    again.args = error.args
    again.__dict__.update(error.__dict__)
    again.__cause__ = error.__cause__
    return again.with_traceback(error.__traceback__)
