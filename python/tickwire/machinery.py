"""What a client is made of, put together: events, tasks, callbacks, health, backfill, supervisor.

`Parts` is what `connect` has checked. A `Machinery` makes the pieces from it and connects them; each
piece says itself what it does. It starts nothing and decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .arrivals import Arrivals
from .backfill import Backfiller
from .backfill_settings import BackfillSettings
from .breaker import BreakerChange
from .breaker_settings import BreakerSettings
from .breakers import Breakers
from .calendar import Zone, zone
from .callbacks import Callbacks
from .clock import Clock
from .config import ProtocolName
from .daylight import Daylight
from .events import BreakerChanged, DaylightTransition, Event, Events, Message
from .health import HealthSettings
from .history import History
from .link import Link
from .link_limits import LinkLimits
from .login import Login
from .logs import EventLog
from .marks import LiveMarks, NoMarks, Watch
from .monitor import Monitor
from .plan import Overlap, OverlapReport, Plan, SwapChoice, telling
from .policy import ProcessFailure, RetryPolicy
from .projectx import SUBSCRIBE_METHODS
from .rawfeed import RawFeed
from .reading import LiveSubscriptions
from .reconcile import Drift, Reconciler
from .rejections import Count, RejectionLimits
from .route import Route
from .session import Session
from .supervisor import Supervisor
from .tasks import Tasks
from .wanted import Wanted

if TYPE_CHECKING:
    from .engine import Engine

__all__ = ["Machinery", "Parts"]


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
    daylight_ahead_ns: int
    history: History | None
    seed: str | None
    backfill: BackfillSettings | None
    reconciler: Reconciler | None
    health: HealthSettings | None
    rejections: RejectionLimits


class Machinery:
    """The pieces of one client."""

    def __init__(self, parts: Parts, name: str, *, on_end: Callable[[], None]) -> None:
        self._parts = parts
        clock = parts.clock
        self.events = Events()
        self.tell = tell = telling(self.events.publish, clock, name)
        self.events.call(Event, EventLog(clock).write)
        self.tasks = Tasks(name, clock)
        self.subscriptions = LiveSubscriptions()
        self.breakers = Breakers(parts.breakers, clock=clock.monotonic_s)
        self.breakers.add_listener(self._breaker_changed)
        self.callbacks = Callbacks(self.tasks, clock, tell)
        self.backfiller = self._make_backfiller()
        self.arrivals = Arrivals()
        self.monitor = Monitor(
            parts.health,
            clock=clock,
            session=parts.session,
            arrivals=self.arrivals,
            readers=self.subscriptions,
            callbacks=self.callbacks,
            breakers=self.breakers,
            counted=self._counted,
            rejections=parts.rejections,
            judged=self._judged,
            tell=tell,
        )
        self.events.call(Event, self.monitor.heard)
        self._daylight = Daylight(self._zones(), parts.daylight_ahead_ns)
        self.marks = self._make_marks((self._watch_daylight, self.monitor.watch))
        plan = Plan(
            name=name,
            route=parts.route,
            protocol=parts.protocol,
            login=parts.login,
            feeds=self._feeds(),
            overlap=self._overlap,
            marks=self.marks,
            wanted=parts.wanted,
            limits=parts.limits,
            clock=clock,
            tasks=self.tasks,
            tell=tell,
            on_control=self._on_control,
            swap=parts.swap,
        )
        policy = RetryPolicy(parts.limits, parts.process_failure)
        self.supervisor = Supervisor(plan, policy, on_end=on_end)

    def _zones(self) -> list[Zone]:
        """Of the wall clocks that matter; where time is the data's own, none does."""
        parts = self._parts
        if parts.grace_ns is None:
            return []
        names = () if parts.engine is None else parts.engine.zones
        return [zone(name) for name in dict.fromkeys((*names, parts.session.zone))]

    def _watch_daylight(self, _link: Link) -> None:
        now_ns = self._parts.clock.now_ns()
        for name, transition in self._daylight.due(now_ns):
            self.tell(
                DaylightTransition,
                zone=name,
                at_ns=transition.ts,
                before_ns=transition.before_ns,
                after_ns=transition.after_ns,
                in_s=(transition.ts - now_ns) / 1e9,
            )

    def _counted(self) -> dict[str, int]:
        malformed = (
            self._parts.engine.rejections().get("malformed", 0) if self._parts.engine is not None else 0
        )
        return self.supervisor.counted() | {"malformed": malformed}

    def _judged(self) -> dict[str, Count]:
        engine = self._parts.engine
        if engine is None:
            return {}
        stats = {symbol: engine.stats(symbol) for symbol in self._parts.symbols}
        return {symbol: Count(of["received"], of["rejections"]) for symbol, of in stats.items()}

    def _make_backfiller(self) -> Backfiller | None:
        parts = self._parts
        if parts.history is None or parts.engine is None:
            return None
        return Backfiller(
            parts.engine,
            parts.history,
            parts.symbols,
            clock=parts.clock,
            tell=self.tell,
            tasks=self.tasks,
            seed=parts.seed,
            settings=parts.backfill,
        )

    def _feeds(self) -> tuple[Any, Any]:
        engine, name, protocol = self._parts.engine, self._parts.feed, self._parts.protocol
        if engine is None:
            return RawFeed(protocol), RawFeed(protocol)
        return engine.feed(name, protocol=protocol), engine.feed(f"{name}+", protocol=protocol)

    def _overlap(self, old: Any, new: Any) -> Overlap:
        if self._parts.engine is None:
            return _NoOverlap()
        return self._parts.engine.overlap(old, new)

    def _make_marks(self, watch: tuple[Watch, ...]) -> LiveMarks | NoMarks:
        if self._parts.engine is None:
            return NoMarks(watch, self.tell)
        return LiveMarks(
            self._parts.engine,
            self._parts.symbols,
            clock=self._parts.clock,
            grace_ns=self._parts.grace_ns,
            arrivals=self.arrivals,
            tell=self.tell,
            refill=self.backfiller,
            audit=self._audit,
            watch=watch,
        )

    def _audit(self, link: Link) -> list[Drift]:
        """Where the trades that came do not add up to the volume in the quotes, if both are heard."""
        reconciler = self._parts.reconciler
        if reconciler is None:
            return []
        heard = {
            call.symbol for call in self._parts.wanted.all() if call.method == SUBSCRIBE_METHODS["trades"]
        }
        volumes = {symbol: of for symbol, of in link.feed.volumes().items() if symbol in heard}
        return reconciler.look(self._parts.clock.monotonic_s(), volumes)

    def _on_control(self, message: dict[str, Any]) -> None:
        target = message.get("target")
        arguments = message.get("arguments")
        self.tell(
            Message,
            target=target if isinstance(target, str) else "",
            arguments=tuple(arguments) if isinstance(arguments, list) else (message,),
        )

    def _breaker_changed(self, change: BreakerChange) -> None:
        self.tell(
            BreakerChanged,
            breaker=change.breaker,
            state=change.state,
            before=change.before,
            reason=change.reason,
        )


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
