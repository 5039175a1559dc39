"""`connect`: from what a user says to a `Client`, with everything checked before anything is opened."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from typing import TYPE_CHECKING

from .auth import TokenSource
from .backfill_settings import BackfillSettings
from .breaker_settings import BreakerSettings
from .client import Client, ClockChoice, Start
from .clock import Clock
from .config import ProtocolName, choice
from .errors import ConfigError
from .gateway import Gateway
from .health import HealthSettings
from .history import History
from .link_limits import LinkLimits
from .login import Login
from .machinery import Parts
from .plan import SwapChoice
from .policy import ProcessFailure
from .reconcile import Reconciler
from .rejections import RejectionLimits
from .route import Route, TokenPlace
from .session import Session
from .sessions import ALWAYS, CME
from .streams import Streams, choose, own_calls, stream_calls, stream_symbols
from .units import duration_ns
from .wanted import Wanted

if TYPE_CHECKING:
    from .engine import Engine

__all__ = ["connect"]


def connect(
    hub: str | Gateway,
    *,
    engine: Engine | None = None,
    token: TokenSource | Login = None,
    streams: Streams = ("trades", "quotes"),
    symbols: Iterable[str] | None = None,
    calls: Iterable[tuple[object, ...]] = (),
    feed: str = "main",
    protocol: ProtocolName = "json",
    start: Start = "wait",
    # The way to the hub
    tls: ssl.SSLContext | None = None,
    proxy: str | None = None,
    negotiate: bool = False,
    token_in: TokenPlace = "header",
    swap: SwapChoice = "learn",
    # Time
    history: History | None = None,
    seed: str | None = None,
    backfill: BackfillSettings | None = None,
    reconcile: Reconciler | bool = True,
    clock: ClockChoice = "wall",
    grace: str = "500ms",
    session: Session | None = None,
    daylight_ahead: str = "24h",
    limits: LinkLimits | None = None,
    # Replaceable parts
    process_failure: ProcessFailure | None = None,
    breakers: BreakerSettings | None = None,
    health: HealthSettings | None = None,
    rejections: RejectionLimits | None = None,
    time_source: Clock | None = None,
) -> Client:
    """A client that connects `hub` to `engine` when its `with` or `async with` block is entered.

    Args:
        hub: URL of the hub, where plain http and ws are taken for this machine only; or a gateway, which
            brings its market hub, login, history and session.
        engine: gets the data; its instruments are the ones subscribed. None for a user hub, whose
            events come as `events.Message`.
        token: text, a callable or async callable that returns it, or a `Login` that several clients
            share. It is sent in the Authorization header and nowhere else, but for `token_in`.
        streams: any of "trades", "quotes", "depth" for every instrument, or a dict of symbol -> streams.
        symbols: some of the engine's instruments; all of them unless given.
        calls: more hub methods to call after every connect, each with its arguments, e.g.
            [("SubscribeAccounts",), ("SubscribeOrders", 123)].
        feed: name of the engine's feed that this connection writes to. Two clients that live at the
            same time need two.
        protocol: what the hub speaks, "json" or "messagepack".
        start: "wait" enters the block when the data flows; it tries again until `LinkLimits.start_s`, and
            raises at once what trying again cannot mend. "background" enters it at once.
        tls: a context for hubs whose certificate the system does not know.
        proxy: URL of an HTTP proxy, like "http://user:password@host:3128", or "env" for what HTTPS_PROXY or
            ALL_PROXY and NO_PROXY say (never for a hub on this machine). The environment is not asked
            otherwise.
        negotiate: ask the hub for a connection first, and follow it to where it says. WebSockets need
            none; some hubs that serve their connections elsewhere do.
        token_in: "query" puts the token into the URL of the upgrade, with a `TokenInQueryWarning`, for
            hubs that take no Authorization header.
        swap: when a second connection is opened beside the living one, because the hub ends connections
            whose token expires: "expiry" for hubs known to do so, "learn" once it was seen, "never".
        history: where bars are fetched that a gap has cut, and those before the start; see `history`.
        seed: how far back bars are fetched at the start, e.g. "5d"; needs a history.
        backfill: when the history is asked, how much at once, and when it is given up; needs one, too.
        reconcile: whether trades are compared with the volume that quotes publish, where both are heard, or
            the `Reconciler` to do it with; drift is told, and treated as a gap.
        clock: "wall" closes idle bars by this machine's clock and marks the bars that a gap has cut;
            "event" leaves time to the data, for recorded ticks that come through a hub.
        grace: how far behind the venue's clock idle bars are closed. Bars whose ticks come later than that
            are marked as incomplete, and fetched where there is a history.
        session: when the market is open, for health: outside, silence means nothing. `CME` has the hours of
            Globex futures, and is the default of a gateway; else it is `ALWAYS`.
        daylight_ahead: how long before a transition of local time `events.DaylightTransition` tells of it; it does
            so again when it has come. Of the zones of the engine's bars and sessions, and of `session`.
        limits: time and size limits.
        process_failure: decides on a failure before the table of `policy` does.
        breakers: settings of the circuit breakers of callbacks.
        health: what the health's score is made of.
        rejections: what share of rejected ticks makes an `events.RejectionRate`.
        time_source: the clock; this machine's unless given.

    Raises:
        ConfigError: an argument that cannot work; nothing was connected.
        UnknownInstrument: a symbol that the engine does not have.
    """
    # The first thing done with what may hold a secret is to wrap it: no exception shows its text.
    if isinstance(hub, Gateway):
        token = hub.login if token is None else token
        history = hub.history if history is None and clock == "wall" else history
        session = CME if session is None else session
        hub = hub.market_hub
    try:
        if time_source is not None and not isinstance(time_source, Clock):
            raise ConfigError(
                f"time_source: got {time_source!r}, expected a subclass of tickwire.clock.Clock"
            )
        time = time_source if time_source is not None else Clock()
        # A callable is asked for every connection: it may look after its tokens itself.
        login = token if isinstance(token, Login) else Login(token, reuse=False, clock=time)
        route = Route.of(hub, tls=tls, proxy=proxy, negotiate=negotiate, token_in=token_in)
    finally:
        del token, hub, proxy
    choice("start", start, Start)
    choice("protocol", protocol, ProtocolName)
    choice("clock", clock, ClockChoice)
    choice("swap", swap, SwapChoice)
    grace_ns = duration_ns("grace", grace)
    if seed is not None and history is None:
        raise ConfigError(f"seed: got {seed!r} without a history to fetch it from; give history=")
    if backfill is not None and history is None:
        raise ConfigError("backfill: got settings without a history to fetch bars from; give history=")
    if history is not None and clock == "event":
        raise ConfigError(
            'history: clock="event" leaves gaps unmarked, so there is nothing to fill; use "wall"'
        )
    wanted = own_calls(calls)
    chosen: tuple[str, ...] = ()
    if engine is not None:
        chosen = choose(stream_symbols(streams, symbols), engine.symbols)
        wanted = [*stream_calls(streams, chosen), *wanted]
    elif not wanted:
        raise ConfigError("engine: got none, and no calls either; there would be nothing to listen to")
    parts = Parts(
        route=route,
        login=login,
        engine=engine,
        symbols=chosen,
        wanted=Wanted(wanted),
        feed=feed,
        protocol=protocol,
        limits=limits if limits is not None else LinkLimits(),
        clock=time,
        grace_ns=grace_ns if clock == "wall" else None,
        swap=swap,
        process_failure=process_failure,
        breakers=breakers,
        session=session if session is not None else ALWAYS,
        daylight_ahead_ns=duration_ns("daylight_ahead", daylight_ahead),
        history=history,
        seed=seed,
        backfill=backfill,
        reconciler=(Reconciler() if reconcile else None) if isinstance(reconcile, bool) else reconcile,
        health=health,
        rejections=rejections if rejections is not None else RejectionLimits(),
    )
    return Client(parts, start=start)
