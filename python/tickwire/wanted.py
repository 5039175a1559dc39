"""What a client wants to hear, as a set that outlives its connections.

An entry is one hub method to call and its arguments, with the method that takes it back. After every
connect all of them are called; in between, only what was added or removed. Whoever adds or removes
gets a future that is settled when the hub has confirmed it, on this connection or a later one, so
that nobody takes "written to the socket" for "subscribed".

The set may be changed from any thread. `take` and `settle` belong to the thread of the connection.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass

from .errors import SubscribeRefused

__all__ = ["Call", "Wanted"]


@dataclass(frozen=True, slots=True)
class Call:
    """A hub method with its arguments; the name of the method that undoes it; the instrument it is about."""

    method: str
    arguments: tuple[object, ...]
    undo: str | None = None
    symbol: str | None = None

    def __str__(self) -> str:
        return f"{self.method}({', '.join(map(repr, self.arguments))})"


class Wanted:
    """The wanted calls, in the order in which they were first wanted."""

    def __init__(self, calls: Iterable[Call] = ()) -> None:
        self._lock = threading.Lock()
        self._calls: dict[Call, None] = dict.fromkeys(calls)
        self._confirmed: set[Call] = set()
        self._waiting: dict[tuple[Call, bool], list[Future[None]]] = {}
        """Who waits, by the call and whether it is to be heard or no longer heard."""

    def add(self, calls: Iterable[Call]) -> Future[None]:
        """Want these, too; the future is settled when the hub has confirmed the last of them."""
        return self._change(calls, wanted=True)

    def discard(self, calls: Iterable[Call]) -> Future[None]:
        """Want these no longer; the future is settled when the hub has confirmed the last of them."""
        return self._change(calls, wanted=False)

    def all(self) -> tuple[Call, ...]:
        """The wanted calls."""
        with self._lock:
            return tuple(self._calls)

    @property
    def symbols(self) -> tuple[str, ...]:
        """The instruments of which anything is wanted."""
        return tuple(dict.fromkeys(call.symbol for call in self.all() if call.symbol is not None))

    @property
    def confirmed(self) -> int:
        """How many the hub of this moment has confirmed."""
        return len(self._confirmed)

    def heard(self) -> frozenset[Call]:
        """What the hub of this moment has confirmed."""
        with self._lock:
            return frozenset(self._confirmed)

    def forget(self) -> None:
        """A new connection: nothing is confirmed any more."""
        with self._lock:
            self._confirmed.clear()
            idle = self._idle()
        _tell(idle)

    def recall(self, heard: frozenset[Call]) -> None:
        """The connection before goes on, with what it had confirmed."""
        with self._lock:
            self._confirmed = set(heard)

    def take(self) -> tuple[list[Call], list[Call]]:
        """What the hub has to be asked for, and what it has to be told is no longer wanted.

        To be called when no answer is on its way. Who waits for what is so already is told.
        """
        with self._lock:
            missing = [call for call in self._calls if call not in self._confirmed]
            surplus = [call for call in self._confirmed if call not in self._calls]
            idle = self._idle()
        _tell(idle)
        return missing, surplus

    @property
    def has_changed(self) -> bool:
        """Whether `take` has anything; cheap enough to ask at every read."""
        # A glance needs no lock: one that misses a change sees it at the next read.
        return bool(self._waiting)

    def settle(self, call: Call, error: BaseException | None, *, wanted: bool) -> bool:
        """The hub has confirmed or refused that `call` is heard (`wanted`), or no longer heard.

        Returns whether somebody waited for the answer and has been told.
        """
        with self._lock:
            waiting = self._waiting.pop((call, wanted), [])
            if not wanted:
                self._confirmed.discard(call)
            elif error is None:
                self._confirmed.add(call)
            elif waiting:
                # Whoever asked for it is told, and it is not asked for again.
                self._calls.pop(call, None)
        _tell((future, error) for future in waiting)
        return bool(waiting)

    def close(self, error: BaseException) -> None:
        """There will be no more answers."""
        with self._lock:
            waiting = [future for futures in self._waiting.values() for future in futures]
            self._waiting.clear()
        _tell((future, error) for future in waiting)

    def _idle(self) -> list[tuple[Future[None], BaseException | None]]:
        """Who waits for what the hub will not be asked, and why not: it is so, or it was taken back."""
        settled: list[tuple[Future[None], BaseException | None]] = []
        for call, wanted in list(self._waiting):
            heard = call in self._confirmed
            if (call in self._calls) == heard:
                error = None if wanted == heard else SubscribeRefused(f"{call} was taken back meanwhile")
                settled += [(future, error) for future in self._waiting.pop((call, wanted))]
        return settled

    def _change(self, calls: Iterable[Call], *, wanted: bool) -> Future[None]:
        answers: list[Future[None]] = []
        with self._lock:
            for call in calls:
                if (call in self._calls) == wanted and (call in self._confirmed) == wanted:
                    continue
                if wanted:
                    self._calls[call] = None
                else:
                    self._calls.pop(call, None)
                answer: Future[None] = Future()
                answer.set_running_or_notify_cancel()
                self._waiting.setdefault((call, wanted), []).append(answer)
                answers.append(answer)
        return _all_of(answers)


def _tell(settled: Iterable[tuple[Future[None], BaseException | None]]) -> None:
    for future, error in settled:
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)


def _all_of(answers: list[Future[None]]) -> Future[None]:
    whole: Future[None] = Future()
    whole.set_running_or_notify_cancel()
    left = len(answers)
    if not left:
        whole.set_result(None)
    settled = False
    lock = threading.Lock()

    def one_done(answer: Future[None]) -> None:
        nonlocal left, settled
        error = answer.exception()
        with lock:
            left -= 1
            # The first error settles the whole; the others go their way.
            if settled or (error is None and left):
                return
            settled = True
        if error is None:
            whole.set_result(None)
        else:
            whole.set_exception(error)

    for answer in answers:
        answer.add_done_callback(one_done)
    return whole
