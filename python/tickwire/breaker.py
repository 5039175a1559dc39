"""A circuit breaker: after enough failures, calls are refused for a while instead of made.

    breaker = Breaker("GatewayTrade on_trade")

    @breaker                                    # a function or a coroutine function
    def on_trade(trade): ...

    breaker.call(fn, *args)                     # or: await breaker.call_async(fn, *args)
    with breaker.calling(): ...                 # raises BreakerOpen where it refuses

    if permit := breaker.allow(len(batch)):     # a batch is one call with so many events
        ... breaker.success(len(batch), took_s, permit=permit) or breaker.failure(..., error)

Closed, calls go through and their ends are counted; enough failures open it. Open, calls get the
fallback or `BreakerOpen` until the recovery time has passed; the next call then makes it half-open.
Half-open, a few probes go through: when all have succeeded it closes, with the first that fails it
opens for longer. The states are those of Michael T. Nygard's "Release It!" (2nd ed., "Circuit
Breaker"); the windows, and slow calls as failures, are resilience4j's.

From any thread. The lock is held neither during a call nor while a listener runs. There is no thread
and no timer, and no time but that of the clock it was given (monotonic seconds).

It does not interrupt a call that takes long, and does not repeat one that failed.
"""

from __future__ import annotations

import functools
import inspect
import random
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, cast

from .breaker_machine import BreakerChange, BreakerState, BreakerStatus, Machine
from .breaker_settings import BreakerSettings
from .errors import BreakerOpen, ConfigError

__all__ = ["Breaker", "BreakerChange", "BreakerSettings", "BreakerState", "BreakerStatus"]

P = ParamSpec("P")
T = TypeVar("T")


class Breaker:
    """One circuit breaker.

    `fallback` is called with the arguments of a call that is refused. `clock` gives monotonic seconds,
    `uniform` numbers from 0 to 1 for the jitter.
    """

    __slots__ = (
        "__weakref__",
        "_clock",
        "_listeners",
        "_lock",
        "_machine",
        "_slow_s",
        "_telling",
        "fallback",
        "name",
        "settings",
    )

    def __init__(
        self,
        name: str,
        settings: BreakerSettings | None = None,
        *,
        fallback: Callable[..., Any] | None = None,
        clock: Callable[[], float] = time.monotonic,
        uniform: Callable[[], float] = random.random,
    ) -> None:
        settings = BreakerSettings() if settings is None else settings
        if not isinstance(settings, BreakerSettings):
            raise ConfigError(f"settings: got {settings!r}, expected a tickwire.BreakerSettings")
        if fallback is not None and not callable(fallback):
            raise ConfigError(f"fallback: got {fallback!r}, expected a callable")
        self.name = name
        self.settings = settings
        self.fallback = fallback
        self._clock = clock
        self._slow_s = float("inf") if settings.slow_call_s is None else settings.slow_call_s
        self._lock = threading.Lock()
        self._machine = Machine(name, settings, uniform, clock())
        self._listeners: tuple[Callable[[BreakerChange], object], ...] = ()
        self._telling = False

    # Calls

    def __call__(self, fn: Callable[P, T]) -> Callable[P, T]:
        """Decorate a function or a coroutine function."""
        if inspect.iscoroutinefunction(fn):

            @functools.wraps(fn)
            async def guarded_async(*args: P.args, **kwargs: P.kwargs) -> Any:
                return await self.call_async(fn, *args, **kwargs)

            return cast(Callable[P, T], guarded_async)
        if inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
            raise ConfigError(
                f"breaker: got the generator function {fn.__qualname__}, whose call runs none of its body; "
                "expected a function; use `with breaker.calling():` inside it"
            )
        machine, clock, slow_s = self._machine, self._clock, self._slow_s
        tick = machine.tick

        # `call`, with an ordinary success counted in place: this runs once an event.
        @functools.wraps(fn)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
            permit = machine.closed or self.allow()
            if not permit:
                return cast(T, self._refused(args, kwargs))
            started_s = clock()
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:
                self.raised(error, 1, clock() - started_s, permit=permit)
                raise
            ended_s = clock()
            if permit != machine.closed or ended_s - started_s > slow_s or ended_s >= machine.roll_at_s:
                self.success(1, ended_s - started_s, permit=permit)
            else:
                tick()
            return result

        return guarded

    def call(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `fn`; the fallback's result, or `BreakerOpen`, if that is refused."""
        permit = self.allow()
        if not permit:
            return cast(T, self._refused(args, kwargs))
        started_s = self._clock()
        try:
            result = fn(*args, **kwargs)
        except BaseException as error:
            self.raised(error, 1, self._clock() - started_s, permit=permit)
            raise
        self.success(1, self._clock() - started_s, permit=permit)
        return result

    async def call_async(self, fn: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call and await `fn`. A fallback may be a coroutine function or not."""
        permit = self.allow()
        if not permit:
            instead = self._refused(args, kwargs)
            return cast(T, await instead if inspect.isawaitable(instead) else instead)
        started_s = self._clock()
        try:
            result = await fn(*args, **kwargs)
        except BaseException as error:
            self.raised(error, 1, self._clock() - started_s, permit=permit)
            raise
        self.success(1, self._clock() - started_s, permit=permit)
        return result

    def calling(self, n: int = 1) -> Calling:
        """A context manager around one call with `n` events; entering raises `BreakerOpen` if refused."""
        return Calling(self, n)

    # Calls that are made elsewhere: ask, make the call, say how it ended

    def allow(self, n: int = 1) -> int:
        """Whether a call with `n` events may be made: a permit to name with its end, or 0.

        A permit is used up by exactly one of `success`, `failure`, `raised` and `abandon`.
        """
        # Closed, there is nothing to note down, so nothing to lock.
        if permit := self._machine.closed:
            return permit
        with self._lock:
            permit = self._machine.admit(n, self._clock())
        self._tell()
        return permit

    def success(self, n: int = 1, took_s: float = 0.0, *, permit: int = 0) -> None:
        """A call with `n` events ended without an error; it has failed all the same if it took longer
        than the settings allow. Without a permit it counts for the state of this moment.
        """
        slow = took_s > self._slow_s
        with self._lock:
            if slow:
                how = f"a call of {took_s:.3g} s, more than {self._slow_s:g} s"
                self._machine.failed(n, how, True, self._clock(), permit)
            else:
                self._machine.succeeded(n, self._clock(), permit)
        self._tell()

    def failure(
        self, n: int = 1, took_s: float = 0.0, error: BaseException | None = None, *, permit: int = 0
    ) -> None:
        """A call with `n` events failed. Without a permit it counts for the state of this moment."""
        # Not the text of the error: it may hold what must not be told to everyone.
        how = "no error given" if error is None else type(error).__name__
        with self._lock:
            self._machine.failed(n, how, took_s > self._slow_s, self._clock(), permit)
        self._tell()

    def raised(self, error: BaseException, n: int = 1, took_s: float = 0.0, *, permit: int = 0) -> None:
        """A call with `n` events raised: success, failure or abandoned, by the settings' `ignore`."""
        if isinstance(error, self.settings.ignore):
            self.success(n, took_s, permit=permit)
        elif isinstance(error, Exception):
            self.failure(n, took_s, error, permit=permit)
        else:
            self.abandon(permit)

    def abandon(self, permit: int) -> None:
        """A call was not made after all, or was cancelled: it counts for nothing."""
        with self._lock:
            self._machine.abandoned(permit)

    # By hand

    def force_open(self) -> None:
        """Refuse every call until `reset` or `force_close`."""
        with self._lock:
            self._machine.force_open(self._clock())
        self._tell()

    def force_close(self) -> None:
        """Let every call through until `reset` or `force_open`, whatever fails; ends are still counted."""
        with self._lock:
            self._machine.close("closed by hand", self._clock(), forced=True)
        self._tell()

    def reset(self) -> None:
        """Close it and forget what failed; the counts of `status` go on."""
        with self._lock:
            self._machine.close("reset by hand", self._clock())
        self._tell()

    # Looking at it

    @property
    def state(self) -> BreakerState:
        """The state: "closed", "open" or "half-open". Open lasts until a call comes after the recovery time."""
        return self._machine.state

    def status(self) -> BreakerStatus:
        """State and counts, one consistent cut."""
        with self._lock:
            return self._machine.status(self._clock())

    def add_listener(self, listener: Callable[[BreakerChange], object]) -> None:
        """Call `listener` with every change of state from now on: in order, on the thread of a call of this
        breaker, so keep it short. What it raises goes to `threading.excepthook`.
        """
        with self._lock:
            self._listeners = (*self._listeners, listener)

    def remove_listener(self, listener: Callable[[BreakerChange], object]) -> None:
        """Do not call it any more; nothing if it is none."""
        with self._lock:
            self._listeners = tuple(other for other in self._listeners if other != listener)

    def __repr__(self) -> str:
        return f"Breaker({self.name!r}, {self.state})"

    def _refused(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self.fallback is not None:
            return self.fallback(*args, **kwargs)
        raise self._open_error()

    def _open_error(self) -> BreakerOpen:
        status = self.status()
        wait_s = status.next_probe_s
        wait = "reset it" if wait_s is None else f"the next call is let through in {wait_s:.3g} s"
        return BreakerOpen(
            f"breaker {self.name!r} is {status.state} ({status.reason}); {wait}", next_probe_s=wait_s
        )

    def _tell(self) -> None:
        # One thread at a time tells the listeners, and goes on until nothing is left to tell. So they keep
        # the order of the changes, and one that changes the breaker is not called from within itself.
        if not self._machine.changes:
            return
        with self._lock:
            if self._telling:
                return
            self._telling = True
        while (told := self._next_change()) is not None:
            change, listeners = told
            for listener in listeners:
                try:
                    listener(change)
                except Exception:  # noqa: BLE001  # a listener's bug is neither the caller's nor the breaker's
                    hook_arguments = (*sys.exc_info(), threading.current_thread())
                    threading.excepthook(threading.ExceptHookArgs(hook_arguments))
                except BaseException:
                    # An interrupt is the caller's; the next call goes on with what is left to tell.
                    self._telling = False
                    raise

    def _next_change(self) -> tuple[BreakerChange, tuple[Callable[[BreakerChange], object], ...]] | None:
        with self._lock:
            if self._machine.changes:
                return self._machine.changes.popleft(), self._listeners
            self._telling = False
            return None


class Calling:
    """One guarded call as a context manager; see `Breaker.calling`. Each is good for one `with`."""

    __slots__ = ("_breaker", "_n", "_permit", "_started_s")

    def __init__(self, breaker: Breaker, n: int) -> None:
        self._breaker = breaker
        self._n = n

    def __enter__(self) -> None:
        self._permit = self._breaker.allow(self._n)
        if not self._permit:
            raise self._breaker._open_error()
        self._started_s = self._breaker._clock()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        took_s = self._breaker._clock() - self._started_s
        if error is None:
            self._breaker.success(self._n, took_s, permit=self._permit)
        else:
            self._breaker.raised(error, self._n, took_s, permit=self._permit)
