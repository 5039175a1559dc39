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
import threading
import weakref
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from .arrivals import Arrivals
from .backfill import Backfiller
from .breaker import Breaker, BreakerChange
from .breaker_settings import BreakerSettings
from .breakers import Breakers
from .callbacks import Callbacks, Handler, Mailbox, Queue
from .clock import Clock
from .config import ProtocolName
from .errors import ConfigError, ConnectionFailed, ConnectTimeout
from .event_stream import EventStream
from .events import BreakerChanged, Event, Events, Message
from .health import Health, HealthSettings
from .history import History
from .link_limits import LinkLimits
from .login import Attachment, Login
from .logs import EventLog
from .marks import LiveMarks, NoMarks, Watch
from .monitor import Monitor
from .plan import Overlap, OverlapReport, Plan, SwapChoice, telling
from .policy import ProcessFailure, RetryPolicy
from .rawfeed import RawFeed
from .reading import LiveSubscription
from .route import Route
from .session import Session
from .streams import Streams, choose, stream_calls
from .supervisor import State, Supervisor
from .tasks import TaskInfo, Tasks
from .wanted import Wanted

if TYPE_CHECKING:
    from .engine import Engine

__all__ = ["Client", "ClockChoice", "Parts", "Start"]

Start = Literal["wait", "background"]
ClockChoice = Literal["wall", "event"]

# What a machine that is busy may need above `LinkLimits.close_s`.
_JOIN_S = 10.0

_MAILBOX = 4096
_CAPACITY = 4096
"""Of a subscription, unless it is told otherwise; see `Engine.subscribe`."""

_numbers = itertools.count(1)

F = TypeVar("F", bound=Callable[[Any], object])


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What `connect` has checked and a client is made of."""

    route: Route
    login: Login
    engine: Engine | None
    symbols: tuple[str, ...]
    wanted: Wanted
    feed: str
    protocol: ProtocolName
    limits: LinkLimits
    clock: Clock
    grace_ns: int | None
    swap: SwapChoice
    process_failure: ProcessFailure | None
    breakers: BreakerSettings | None
    session: Session
    history: History | None
    seed: str | None
    health: HealthSettings | None


class Client:
    """One hub connection; made by `connect`. Used once. All methods may be called from any thread."""

    def __init__(self, parts: Parts, *, start: Start) -> None:
        self._parts = parts
        self._engine = parts.engine
        self._symbols = parts.symbols
        self._waits = start == "wait"
        self.name = f"tickwire-{next(_numbers)}"
        """The client's name, with which those of its threads begin."""
        self._lock = threading.Lock()
        self._subscriptions: weakref.WeakSet[LiveSubscription] = weakref.WeakSet()
        self._events = Events()
        self._tell = tell = telling(self._events.publish, parts.clock, self.name)
        self._events.call(Event, EventLog(parts.clock).write)
        self._tasks = Tasks(self.name, parts.clock)
        self._breakers = Breakers(parts.breakers, clock=parts.clock.monotonic_s)
        self._breakers.add_listener(self._breaker_changed)
        self._callbacks = Callbacks(self._tasks, parts.clock, tell)
        self._backfiller = self._make_backfiller()
        self._attachment: Attachment | None = None
        self._arrivals = Arrivals()
        self._monitor = Monitor(
            parts.health,
            clock=parts.clock,
            session=parts.session,
            arrivals=self._arrivals,
            readers=self,
            callbacks=self._callbacks,
            breakers=self._breakers,
            counted=self._counted,
            tell=tell,
        )
        self._events.call(Event, self._monitor.heard)
        plan = Plan(
            name=self.name,
            route=parts.route,
            protocol=parts.protocol,
            login=parts.login,
            feeds=self._feeds(),
            overlap=self._overlap,
            marks=self._marks((self._monitor.watch,)),
            wanted=parts.wanted,
            limits=parts.limits,
            clock=parts.clock,
            tasks=self._tasks,
            tell=tell,
            on_control=self._on_control,
            swap=parts.swap,
        )
        policy = RetryPolicy(parts.limits, parts.process_failure)
        self._supervisor = Supervisor(plan, policy, on_end=self._ended)

    # Life

    def __enter__(self) -> Self:
        self._start(None)
        if self._waits:
            try:
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
        self._start(asyncio.get_running_loop())
        if self._waits:
            try:
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
        with self._lock:
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
        wanted, health = self._parts.wanted, self.health()
        return {
            "hub": str(self._parts.route.address),
            "subscriptions": len(wanted.all()),
            "confirmed": wanted.confirmed,
            "events": self._events.published,
            "health": {"score": health.score, "state": health.state},
            "callbacks": {handler.name: handler.stats() for handler in self._callbacks.handlers},
            "breakers": {name: status.state for name, status in self._breakers.snapshot().items()},
            "tasks": self._tasks.stats(),
            "history": self._backfiller.status() if self._backfiller is not None else None,
            "login": self._parts.login.status(),
        } | self._supervisor.status()

    def __repr__(self) -> str:
        return f"Client({self._parts.route.address}, state={self.state!r})"

    def pressure(self) -> tuple[float, int, int]:
        """For health: how full the fullest subscription is, 0 to 1; items published and shed by all."""
        with self._lock:
            subscriptions = list(self._subscriptions)
        stats = [(live.stats(), live.capacity) for live in subscriptions]
        fill = max((counts["pending"] / capacity for counts, capacity in stats), default=0.0)
        published = sum(counts["published"] for counts, _ in stats)
        return min(1.0, fill), published, sum(counts["shed"] for counts, _ in stats)

    # Inside

    def _counted(self) -> dict[str, int]:
        malformed = self._engine.rejections().get("malformed", 0) if self._engine is not None else 0
        return self._supervisor.counted() | {"malformed": malformed}

    def _start(self, loop: asyncio.AbstractEventLoop | None) -> None:
        if self.state != "new":
            raise ConfigError(f"a client is used once; this one is {self.state}, call connect() for another")
        self._attachment = self._parts.login.attach(self._tell, loop=loop, tasks=self._tasks)
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

    def _make_backfiller(self) -> Backfiller | None:
        parts = self._parts
        if parts.history is None or parts.engine is None:
            return None
        return Backfiller(
            parts.engine,
            parts.history,
            parts.symbols,
            clock=parts.clock,
            tell=self._tell,
            tasks=self._tasks,
            seed=parts.seed,
        )

    def _feeds(self) -> tuple[Any, Any]:
        engine, name, protocol = self._engine, self._parts.feed, self._parts.protocol
        if engine is None:
            return RawFeed(protocol), RawFeed(protocol)
        return engine.feed(name, protocol=protocol), engine.feed(f"{name}+", protocol=protocol)

    def _overlap(self, old: Any, new: Any) -> Overlap:
        if self._engine is None:
            return _NoOverlap()
        return self._engine.overlap(old, new)

    def _marks(self, watch: tuple[Watch, ...]) -> LiveMarks | NoMarks:
        if self._engine is None:
            return NoMarks(watch, self._tell)
        return LiveMarks(
            self._engine,
            self._symbols,
            grace_ns=self._parts.grace_ns,
            arrivals=self._arrivals,
            tell=self._tell,
            refill=self._backfiller,
            watch=watch,
        )

    def _on_control(self, message: dict[str, Any]) -> None:
        target = message.get("target")
        arguments = message.get("arguments")
        self._tell(
            Message,
            target=target if isinstance(target, str) else "",
            arguments=tuple(arguments) if isinstance(arguments, list) else (message,),
        )

    def _breaker_changed(self, change: BreakerChange) -> None:
        self._tell(
            BreakerChanged,
            breaker=change.breaker,
            state=change.state,
            before=change.before,
            reason=change.reason,
        )

    def _needs_engine(self, what: str) -> Engine:
        if self._engine is None:
            raise ConfigError(f"{what}: this client has no engine; give one to connect()")
        return self._engine

    def _ended(self) -> None:
        with self._lock:
            subscriptions = list(self._subscriptions)
        for subscription in subscriptions:
            subscription.close()
        self._events.close()

    def _raise_failure(self) -> None:
        if self.error is not None:
            raise ConnectionFailed(f"the client has ended: {self.error}") from self.error


class _NoOverlap:
    """Two connections without ticks: messages of both are told."""

    contact = True
    uncertain = ()

    def ready(self) -> None:
        """Nothing is compared."""

    def unsettled(self, survivor: Any) -> int:  # noqa: ARG002  # as the engine's
        return 0

    def end(self, survivor: Any) -> OverlapReport:  # noqa: ARG002
        return self


def _put_if(mailbox: Mailbox, target: str, event: Event) -> None:
    if isinstance(event, Message) and event.target == target:
        mailbox.put(event)
