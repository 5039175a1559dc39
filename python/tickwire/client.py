"""The live side: `connect` a hub to an engine, and read what comes out.

    async with tw.connect(hub="https://…/hubs/market", token=…, engine=engine) as client:
        async for bar in client.bars("1m"):
            ...

A `Client` owns one thread, which connects, subscribes every instrument, reads the socket into the
engine and comes back after a link failure, each time with a fresh token. It knows no prices, and
reading is the engine's: `bars`, `trades` and `quotes` are the engine's subscriptions, closed with the
client. If the thread ends for good, whoever waits is told why: reading a subscription and leaving
the `with` block raise the error, `status` shows it.
"""

from __future__ import annotations

import asyncio
import itertools
import ssl
import threading
import weakref
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from .address import HubAddress
from .attempt import Plan
from .auth import TokenProvider, TokenSource
from .clock import Clock
from .config import choice
from .controls import Controls
from .errors import ConfigError, ConnectionFailed, ConnectTimeout, UnknownInstrument
from .link_limits import LinkLimits
from .projectx import SUBSCRIBE_METHODS
from .reading import LiveSubscription
from .supervisor import Backoff, RetryPolicy, State, Supervisor
from .units import duration_ns

if TYPE_CHECKING:
    from .engine import Engine

__all__ = ["Client", "connect"]

Start = Literal["wait", "background"]
ClockChoice = Literal["wall", "event"]

# What a machine that is busy may need above `LinkLimits.close_s`.
_JOIN_S = 10.0

_numbers = itertools.count(1)


def connect(
    hub: str,
    *,
    engine: Engine,
    token: TokenSource = None,
    streams: Iterable[str] = ("trades", "quotes"),
    symbols: Iterable[str] | None = None,
    feed: str = "main",
    start: Start = "wait",
    # Time
    clock: ClockChoice = "wall",
    grace: str = "500ms",
    limits: LinkLimits | None = None,
    # Replaceable parts
    retry: RetryPolicy | None = None,
    tls: ssl.SSLContext | None = None,
    time_source: Clock | None = None,
) -> Client:
    """A client that connects `hub` to `engine` when its `with` or `async with` block is entered.

    Args:
        hub: URL of the market hub. Plain http and ws are taken for this machine only.
        engine: gets the data; its instruments are the ones subscribed.
        token: text, or a callable or async callable that returns it and is asked once per attempt.
            It is sent in the Authorization header and nowhere else.
        streams: any of "trades", "quotes", "depth".
        symbols: some of the engine's instruments; all of them unless given.
        feed: name of the engine's feed that this connection writes to. Two connections that live at
            the same time need two.
        start: "wait" enters the block when the data flows, and raises if the first attempt fails;
            "background" enters it at once and keeps trying.
        clock: "wall" closes idle bars by this machine's clock and marks the bars that a gap has cut;
            "event" leaves time to the data, for recorded ticks that come through a hub.
        grace: how far behind the clock idle bars are closed.
        limits: time and size limits.
        retry: when to try again after a failure; doubling delays with jitter unless given.
        tls: a context for hubs whose certificate the system does not know.
        time_source: tells the time of day; this machine's clock unless given.

    Raises:
        ConfigError: an argument that cannot work; nothing was connected.
        UnknownInstrument: a symbol that the engine does not have.
    """
    # The first thing done with the token is to wrap it: an exception from here on shows no text.
    tokens = TokenProvider(token)
    del token
    choice("start", start, Start)
    choice("clock", clock, ClockChoice)
    grace_ns = duration_ns("grace", grace)
    limits = limits if limits is not None else LinkLimits()
    if time_source is not None and not isinstance(time_source, Clock):
        raise ConfigError(f"time_source: got {time_source!r}, expected a subclass of tickwire.clock.Clock")
    chosen = _chosen(symbols, engine.symbols)
    controls = Controls()
    plan = Plan(
        address=HubAddress.parse(hub),
        tokens=tokens,
        feed=engine.feed(feed),
        marks=engine,
        calls=tuple((method, symbol) for method in _methods(streams) for symbol in chosen),
        limits=limits,
        clock=time_source if time_source is not None else Clock(),
        grace_ns=grace_ns if clock == "wall" else None,
        tls=tls,
        on_control=controls.deliver,
    )
    policy = retry if retry is not None else Backoff(limits.backoff_min_s, limits.backoff_max_s)
    return Client(plan, engine, chosen, controls, policy, start=start)


class Client:
    """One hub connection and its thread; made by `connect`. Used once.

    All methods may be called from any thread. In the thread's own callbacks `close` asks for the
    end and returns at once.
    """

    def __init__(
        self,
        plan: Plan,
        engine: Engine,
        symbols: tuple[str, ...],
        controls: Controls,
        policy: RetryPolicy,
        *,
        start: Start,
    ) -> None:
        self._plan = plan
        self._engine = engine
        self._symbols = symbols
        self._controls = controls
        self._waits = start == "wait"
        self._lock = threading.Lock()
        self._subscriptions: weakref.WeakSet[LiveSubscription] = weakref.WeakSet()
        self._supervisor = Supervisor(plan, policy, fail_fast=self._waits, on_end=self._close_subscriptions)

    # Life

    def __enter__(self) -> Self:
        self._start(None)
        if self._waits:
            try:
                self._supervisor.live.result()
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
                # Shielded, because the thread settles this future and must find it unsettled.
                await asyncio.shield(asyncio.wrap_future(self._supervisor.live))
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
        """Say goodbye to the hub, end the thread and close the subscriptions. Closing twice is harmless.

        Raises `ConnectTimeout` in the one case in which the thread cannot end: something that runs
        on it, like a callback or a subscription with backpressure, does not return.
        """
        self._supervisor.stop()
        limit_s = self._plan.limits.close_s + _JOIN_S
        if not self._supervisor.join(limit_s):
            raise ConnectTimeout(
                f"the client's thread did not end within {limit_s} s: "
                "a callback or a full blocking subscription holds it"
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
        chosen = _chosen(symbols, self._symbols)
        live = LiveSubscription(self._engine.subscribe(symbols=list(chosen), **options), lambda: self.error)
        with self._lock:
            self._subscriptions.add(live)
        # After it was added: either the thread that ends closes it, or this does.
        if self.state in ("closed", "failed"):
            live.close()
        return live

    def on_control(self, callback: Callable[[dict[str, Any]], object]) -> Callable[[dict[str, Any]], object]:
        """Call `callback` with each message of the hub that is neither market data nor SignalR's own.

        It runs on the reading thread and must be quick. Usable as a decorator. What it raises goes
        to `threading.excepthook`, and the connection lives on.
        """
        self._controls.add(callback)
        return callback

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

    def status(self) -> dict[str, Any]:
        """State, hub and counters at this moment; plain values, ready for JSON."""
        return {
            "hub": str(self._plan.address),
            "subscriptions": len(self._plan.calls),
            "callback_errors": self._controls.callback_errors,
        } | self._supervisor.status()

    def __repr__(self) -> str:
        return f"Client({self._plan.address}, state={self.state!r})"

    def _start(self, loop: asyncio.AbstractEventLoop | None) -> None:
        if self.state != "new":
            raise ConfigError(f"a client is used once; this one is {self.state}, call connect() for another")
        self._supervisor.start(f"tickwire-{next(_numbers)}", loop)

    def _close_subscriptions(self) -> None:
        with self._lock:
            subscriptions = list(self._subscriptions)
        for subscription in subscriptions:
            subscription.close()

    def _raise_failure(self) -> None:
        if self.error is not None:
            raise ConnectionFailed(f"the client has ended: {self.error}") from self.error


def _chosen(symbols: Iterable[str] | None, known: tuple[str, ...]) -> tuple[str, ...]:
    if symbols is None:
        return tuple(known)
    chosen = (symbols,) if isinstance(symbols, str) else tuple(dict.fromkeys(symbols))
    unknown = [symbol for symbol in chosen if symbol not in known]
    if unknown:
        raise UnknownInstrument(
            f"symbols: {', '.join(map(repr, unknown))} not among {', '.join(map(repr, known))}"
        )
    if not chosen:
        raise ConfigError("symbols: got none; leave it out for all of the engine's instruments")
    return chosen


def _methods(streams: Iterable[str]) -> list[str]:
    names = (streams,) if isinstance(streams, str) else tuple(dict.fromkeys(streams))
    for name in names:
        if name not in SUBSCRIBE_METHODS:
            known = ", ".join(map(repr, SUBSCRIBE_METHODS))
            raise ConfigError(f"streams: got {name!r}, expected any of {known}")
    if not names:
        raise ConfigError("streams: got none, expected at least one of 'trades', 'quotes', 'depth'")
    return [SUBSCRIBE_METHODS[name] for name in names]
