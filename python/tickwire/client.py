"""The live side: a client reads a hub into an engine, and tells what happens to the connection.

    async with tw.connect(hub="https://…/hubs/market", token=…, engine=engine) as client:
        async for bar in client.bars("1m"):
            ...

A `Client` owns its threads and tasks, all of them in `tasks`: one thread connects, subscribes, reads
the socket into the engine and comes back after a failure; callbacks have one of their own. It
knows no prices, and reading is the engine's: `bars`, `trades` and `quotes` are the engine's
subscriptions, closed with the client. If the client ends for good, whoever waits is told why: reading
a subscription and leaving the `with` block raise the error, `status` shows it.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from .breaker import Breaker
from .callbacks import Handler, Mailbox, Queue
from .errors import ConfigError, ConnectionFailed, ConnectTimeout
from .event_stream import EventStream
from .events import Event, Message
from .health import Health
from .login import Attachment
from .machinery import Machinery, Parts
from .reading import LiveSubscription
from .streams import Streams, choose, stream_calls
from .supervisor import State
from .tasks import TaskInfo

if TYPE_CHECKING:
    from .engine import Engine

__all__ = ["Client", "ClockChoice", "Start"]

Start = Literal["wait", "background"]
ClockChoice = Literal["wall", "event"]

# What a machine that is busy may need above `LinkLimits.close_s`.
_JOIN_S = 10.0

_MAILBOX = 4096
_CAPACITY = 4096
"""Of a subscription, unless it is told otherwise; see `Engine.subscribe`."""

_numbers = itertools.count(1)

F = TypeVar("F", bound=Callable[[Any], object])


class Client:
    """One hub connection; made by `connect`. Used once. All methods may be called from any thread."""

    def __init__(self, parts: Parts, *, start: Start) -> None:
        self._parts = parts
        self._engine = parts.engine
        self._symbols = parts.symbols
        self._waits = start == "wait"
        self.name = f"tickwire-{next(_numbers)}"
        """The client's name, with which those of its threads begin."""
        self._machinery = machinery = Machinery(parts, self.name, on_end=self._ended)
        self._supervisor = machinery.supervisor
        self._subscriptions = machinery.subscriptions
        self._events = machinery.events
        self._tell = machinery.tell
        self._tasks = machinery.tasks
        self._breakers = machinery.breakers
        self._callbacks = machinery.callbacks
        self._backfiller = machinery.backfiller
        self._monitor = machinery.monitor
        self._attachment: Attachment | None = None

    # Life

    def __enter__(self) -> Self:
        self._check_new()
        try:
            self._start(None)
            if self._waits:
                self._await_live()
        except BaseException:
            # Ctrl-C included: no thread is left behind.
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()
        if error is None:
            self._raise_failure()

    async def __aenter__(self) -> Self:
        self._check_new()
        try:
            self._start(asyncio.get_running_loop())
            if self._waits:
                await asyncio.to_thread(self._await_live)
        except BaseException:
            await asyncio.to_thread(self.close)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.close)
        if error is None:
            self._raise_failure()

    def close(self) -> None:
        """Say goodbye to the hub, end all threads and tasks, close the subscriptions. Twice is harmless.

        From a callback, or another thread or task of the client, that one is not waited for: it ends
        when it returns. Raises `ConnectTimeout`, with the names, if something does not end: a
        callback, or a subscription with backpressure, holds it.
        """
        self._supervisor.stop()
        self._callbacks.stop()
        if self._attachment is not None:
            self._attachment.detach()
        left = self._tasks.close(self._parts.limits.close_s + _JOIN_S)
        self._events.close()
        if left:
            names = ", ".join(f"{info.name} ({info.age_s:.1f} s old)" for info in left)
            raise ConnectTimeout(
                f"still running after {_JOIN_S} s: {names}; a callback or a full blocking subscription holds it"
            )

    # Reading

    def bars(
        self, *timeframes: str, symbols: Iterable[str] | None = None, **options: Any
    ) -> LiveSubscription:
        """Closed bars of these timeframes as they close; options as in `Engine.subscribe`."""
        return self.subscribe(bars=list(timeframes), symbols=symbols, **options)

    def trades(self, *, symbols: Iterable[str] | None = None, **options: Any) -> LiveSubscription:
        """Trades as they are accepted; options as in `Engine.subscribe`."""
        return self.subscribe(trades=True, symbols=symbols, **options)

    def quotes(self, *, symbols: Iterable[str] | None = None, **options: Any) -> LiveSubscription:
        """Quotes as they are accepted; options as in `Engine.subscribe`."""
        return self.subscribe(quotes=True, symbols=symbols, **options)

    def subscribe(self, *, symbols: Iterable[str] | None = None, **options: Any) -> LiveSubscription:
        """`Engine.subscribe` for this client's instruments, closed with the client."""
        engine = self._needs_engine("subscribe")
        chosen = choose(symbols, self._symbols)
        inner = engine.subscribe(symbols=list(chosen), **options)
        live = LiveSubscription(inner, lambda: self.error, options.get("capacity", _CAPACITY))
        self._subscriptions.add(live)
        # After it was added: either the thread that ends closes it, or this does.
        if self.state in ("closed", "failed"):
            live.close()
        return live

    def events(self, capacity: int = 1024) -> EventStream:
        """What happens to the connection from now on, as typed events; to be iterated, or polled."""
        return self._events.subscribe(capacity)

    # Callbacks

    def on_bar(self, *timeframes: str, symbols: Iterable[str] | None = None) -> Callable[[F], F]:
        """Decorator: call the function with each closed bar of these timeframes, and with revisions.

        It may be a coroutine function where the client is entered with `async with`. It runs
        outside the receive path; see `callbacks` for what happens if it is slow or raises.
        """

        def register(function: F) -> F:
            return self._call(function, "bar", self.bars(*timeframes, symbols=symbols).queue())

        return register

    def on_trade(self, function: F, *, symbols: Iterable[str] | None = None) -> F:
        """Call the function with each accepted trade; as `on_bar`. Usable as a decorator."""
        return self._call(function, "GatewayTrade", self.trades(symbols=symbols).queue())

    def on_quote(self, function: F, *, symbols: Iterable[str] | None = None) -> F:
        """Call the function with each accepted quote; as `on_bar`. Usable as a decorator."""
        return self._call(function, "GatewayQuote", self.quotes(symbols=symbols).queue())

    def on(self, kind: type[Event]) -> Callable[[F], F]:
        """Decorator: call the function with each event of this type; as `on_bar`."""

        def register(function: F) -> F:
            mailbox = Mailbox(_MAILBOX)
            self._events.call(kind, mailbox.put)
            return self._call(function, kind.__name__, mailbox)

        return register

    def on_message(self, target: str) -> Callable[[F], F]:
        """Decorator: call the function with each `events.Message` of this target; as `on_bar`."""

        def register(function: F) -> F:
            mailbox = Mailbox(_MAILBOX)
            self._events.call(Message, lambda event: _put_if(mailbox, target, event))
            return self._call(function, target, mailbox)

        return register

    def _call(self, function: F, event_type: str, queue: Queue) -> F:
        self._callbacks.add(Handler(function, queue, self._breakers.get(event_type, function)))
        return function

    # What is wanted

    def want(self, streams: Streams, symbols: Iterable[str] | None = None) -> Future[None]:
        """Listen to more streams. The future is settled when the hub has confirmed them, with
        `SubscribeRefused` if it refuses; while the link is down it waits for the next connection.
        """
        self._needs_engine("want")
        return self._parts.wanted.add(stream_calls(streams, choose(symbols, self._symbols)))

    def unwant(self, streams: Streams, symbols: Iterable[str] | None = None) -> Future[None]:
        """Listen to some streams no longer; the future as in `want`."""
        self._needs_engine("unwant")
        return self._parts.wanted.discard(stream_calls(streams, choose(symbols, self._symbols)))

    def swap(self) -> None:
        """Change to a new connection, with the token of this moment, without losing a tick.

        The second connection is opened beside the first; `status()["swaps"]` counts, and
        `events.SwapFailed` says if it did not work.
        """
        self._supervisor.swap()

    # Looking

    @property
    def state(self) -> State:
        """new, connecting, live, reconnecting, closed or failed."""
        return self._supervisor.state

    @property
    def error(self) -> BaseException | None:
        """Why the client failed; None unless `state` is "failed"."""
        return self._supervisor.error

    def wait_live(self, timeout: float | None = None) -> None:
        """Block until the data flows for the first time; for start="background".

        Raises `TimeoutError` after `timeout` seconds, and the error if the client fails or is closed.
        """
        self._supervisor.live.result(timeout)

    def health(self) -> Health:
        """Score, state and reasons: what the last look, at most about a second old, has found."""
        return self._monitor.health(self.state == "live")

    def breaker(self, event_type: str, handler: Callable[..., Any] | None = None) -> Breaker:
        """The circuit breaker of a handler, or of an event type, to look at or to open and close by hand."""
        return self._breakers.get(event_type, handler)

    def tasks(self) -> tuple[TaskInfo, ...]:
        """The threads and tasks that run for this client now."""
        return self._tasks.list()

    def status(self) -> dict[str, Any]:
        """State, hub and counters at this moment; plain values, ready for JSON."""
        wanted, health, late = self._parts.wanted, self.health(), self._machinery.marks.late
        return {
            "hub": str(self._parts.route.address),
            "subscriptions": len(wanted.all()),
            "confirmed": wanted.confirmed,
            "events": self._events.published,
            "health": {"score": health.score, "state": health.state},
            "callbacks": {handler.name: handler.stats() for handler in self._callbacks.handlers},
            "breakers": {name: status.state for name, status in self._breakers.snapshot().items()},
            "tasks": self._tasks.stats(),
            "clock_offset_ns": self._machinery.arrivals.offset_ns,
            "late": {"ticks": late.ticks, "gaps": late.told},
            "history": self._backfiller.status() if self._backfiller is not None else None,
            "login": self._parts.login.status(),
        } | self._supervisor.status()

    def __repr__(self) -> str:
        return f"Client({self._parts.route.address}, state={self.state!r})"

    # Inside

    def _check_new(self) -> None:
        if self.state != "new":
            raise ConfigError(f"a client is used once; this one is {self.state}, call connect() for another")

    def _start(self, loop: asyncio.AbstractEventLoop | None) -> None:
        self._attachment = self._parts.login.attach(
            self._tell, on_ended=self._supervisor.login_ended, loop=loop, tasks=self._tasks
        )
        if self._backfiller is not None:
            self._backfiller.start()
        self._callbacks.start(loop)
        self._supervisor.start()

    def _await_live(self) -> None:
        limit_s = self._parts.limits.start_s
        try:
            self._supervisor.live.result(limit_s)
        except TimeoutError:
            if self._supervisor.live.done():
                raise
            last = self._supervisor.counters.last_error or "no attempt has ended yet"
            raise ConnectTimeout(f"not connected within {limit_s} s; the last failure was: {last}") from None

    def _needs_engine(self, what: str) -> Engine:
        if self._engine is None:
            raise ConfigError(f"{what}: this client has no engine; give one to connect()")
        return self._engine

    def _ended(self) -> None:
        self._subscriptions.close()
        self._events.close()

    def _raise_failure(self) -> None:
        if self.error is not None:
            raise ConnectionFailed(f"the client has ended: {self.error}") from self.error


def _put_if(mailbox: Mailbox, target: str, event: Event) -> None:
    if isinstance(event, Message) and event.target == target:
        mailbox.put(event)
