"""Every cause that health knows has a fault that brings it about, in a client on a hub.

A fault is injected, of the link, of the market, of a handler, of a reader or of the login, and the cause must
deduct what the table of the documentation says for the signal that was injected. The causes that move
beside it are named; no other may. Time is virtual, so that what is measured is what was injected.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import tickwire as tw
from hubs import no_leftovers
from tickwire import sim
from tickwire.client import Client
from tickwire.health import TERMS, Health
from virtual_time import VirtualClock

PAGE = Path(__file__).parents[1] / "docs" / "health.md"
_ROW = re.compile(
    r"^\| ([a-z ]+) \| `(\w+)` \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| (yes|no) \|", re.MULTILINE
)

LIMIT_S = 120.0
"""Virtual seconds within which a fault must show."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the documentation."""

    signal: str
    start: float
    end: float
    most: float
    link: bool

    def deduction(self, value: float) -> float:
        """By the words above the table: nothing up to the start, all from the end on, a line between."""
        share = (value - self.start) / (self.end - self.start)
        return self.most * min(max(share, 0.0), 1.0)


TABLE = {
    cause: Row(signal, float(start), float(end), float(most), link == "yes")
    for cause, signal, start, end, most, link in _ROW.findall(PAGE.read_text())
}


class Engine(tw.Engine):
    """An engine in a process that is held up: starved, stopped, or busy with something else."""

    scene: Scene

    def feed(self, name: str = "main", **options: Any) -> Any:
        return Feed(self.scene, super().feed(name, **options))


class Feed:
    """A feed whose payloads lie about for a while."""

    def __init__(self, scene: Scene, inner: tw.Feed) -> None:
        self._scene = scene
        self._inner = inner
        self._payloads = 0

    def push_bytes(self, data: bytes, ts_recv: int) -> tw.Receipt:
        self._payloads += 1
        held_up_s = self._scene.held_up_s(self._payloads)
        if held_up_s:
            self._scene.clock.wait(threading.Event(), held_up_s)
        return self._inner.push_bytes(data, ts_recv)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Scene:
    """A client on a hub, both on one clock, whose market waits to be started."""

    def __init__(self, hub: sim.Hub, clock: VirtualClock) -> None:
        self.hub = hub
        self.clock = clock
        self.login_fails = False
        self.held_up_s: Callable[[int], float] = lambda _: 0.0
        """For how long this process is held up with a payload in its hands, by the payload's number."""
        self.released = threading.Event()
        """Ends what a handler waits for."""
        self.kept: list[Any] = []
        engine = Engine([tw.Instrument(symbol, tick_size=0.25) for symbol in hub.symbols], ["1m"])
        engine.scene = self
        login = tw.Login(Broker(self), clock=clock)
        self.client: Client = tw.connect(
            hub.url,
            engine=engine,
            token=login,
            time_source=clock,
            start="background",
        )

    @contextmanager
    def running(self) -> Iterator[None]:
        """In it the client is live, until it is left."""
        with self.client:
            try:
                self.clock.until(lambda: self.client.state == "live", 10.0)
                yield
            finally:
                self.released.set()


class Broker:
    """Logs in; renews, unless it is to fail."""

    LIFE_S = 100.0

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def __call__(self) -> str:
        return self._scene.hub.token(ttl_s=self.LIFE_S)

    def renew(self, token: tw.Token) -> str:
        if self._scene.login_fails:
            raise tw.LoginFailed("the login server is down")
        return self._scene.hub.token(ttl_s=self.LIFE_S, renews=token.reveal())


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One cause.

    Attributes:
        cause: of the table.
        fault: brings it about.
        value: what the signal becomes; None if it only has to deduct.
        beside: the causes that move with it.
        started: whether the market runs from the beginning.
        before_s: for how long all is well before the fault.
        market, hub: of `sim.Market`, `sim.Hub`.
    """

    cause: str
    fault: Callable[[Scene], object]
    value: float | None = None
    beside: frozenset[str] = frozenset()
    started: bool = False
    before_s: float = 5.0
    market: dict[str, Any] = field(default_factory=dict)
    hub: dict[str, Any] = field(default_factory=dict)


def malformed(scene: Scene) -> None:
    """Five beside 95 good ones."""
    scene.hub.start()
    for _ in range(5):
        scene.hub.send_raw(b"<html>502 Bad Gateway</html>\x1e")


def raise_every(of: int) -> Callable[[Scene], None]:
    """A callback that raises every so many calls."""

    def fault(scene: Scene) -> None:
        calls = 0

        @scene.client.on_trade
        def breaks(_: object) -> None:
            nonlocal calls
            calls += 1
            if calls % of == 0:
                raise ValueError("a mistake of the strategy")

        scene.hub.start()

    return fault


def leave_unread(scene: Scene) -> None:
    scene.kept.append(scene.client.trades(capacity=100))
    scene.hub.start()


def hold_a_callback(scene: Scene) -> None:
    scene.client.on_trade(lambda _: scene.clock.wait(scene.released, None))
    scene.hub.start()


def hold_up(held_up_s: Callable[[int], float]) -> Callable[[Scene], None]:
    def fault(scene: Scene) -> None:
        scene.held_up_s = held_up_s

    return fault


def fail_renewals(scene: Scene) -> None:
    scene.login_fails = True


CASES = (
    Case(cause="round trip", fault=lambda scene: scene.hub.fault(sim.Delay(2.0)), value=2.0),
    Case(cause="ping unanswered", fault=lambda scene: scene.hub.fault(sim.Silence())),
    Case(
        cause="silence",
        fault=lambda scene: scene.hub.fault(sim.Silence()),
        beside=frozenset({"ping unanswered"}),
    ),
    Case(
        cause="delay here",
        fault=hold_up(lambda _: 0.1),
        value=0.1,
        beside=frozenset({"delay peaks here"}),
        started=True,
    ),
    Case(
        cause="delay peaks here",
        fault=hold_up(lambda number: 0.0 if number % 30 else 0.2),
        value=0.2,
        started=True,
    ),
    # A venue that publishes late, over a link that is as quick as ever.
    Case(cause="late data", fault=lambda scene: scene.hub.fault(sim.Skew(-4.0)), value=4.0, started=True),
    # A link that is slow: its pings are so, too.
    Case(
        cause="late data",
        fault=lambda scene: scene.hub.fault(sim.Delay(4.0)),
        value=4.0,
        beside=frozenset({"round trip"}),
        started=True,
    ),
    Case(cause="clock", fault=lambda scene: start_skewed(scene, -3.0), value=3.0),
    Case(cause="clock", fault=lambda scene: start_skewed(scene, 3.0), value=3.0),
    Case(
        cause="low rate",
        fault=lambda scene: scene.hub.fault(sim.Lose()),
        started=True,
        before_s=330.0,
        market={"rate": 2.0},
    ),
    Case(cause="reconnects", fault=lambda scene: scene.hub.fault(sim.Drop("fin")), value=1),
    Case(cause="malformed records", fault=malformed, value=0.05, hub={"count": 95}),
    Case(cause="callback errors", fault=raise_every(4), value=0.25),
    Case(
        cause="breakers",
        fault=raise_every(1),
        beside=frozenset({"callback errors"}),
    ),
    Case(cause="slow reader", fault=leave_unread, value=0.8, hub={"count": 80}),
    Case(
        cause="shed items",
        fault=leave_unread,
        value=0.2,
        beside=frozenset({"slow reader"}),
        hub={"count": 125},
    ),
    Case(
        cause="callback queue",
        fault=hold_a_callback,
        value=3 / 4,
        beside=frozenset({"slow reader"}),
        market={"rate": 1_000.0},
        hub={"count": 3_073},
    ),
    Case(cause="token renewal", fault=fail_renewals, value=1),
)


def start_skewed(scene: Scene, seconds: float) -> None:
    scene.hub.fault(sim.Skew(seconds))
    scene.hub.start()


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Idle bars are looked at once a second, not ten times, or that is what most of the time goes into."""
    monkeypatch.setattr("tickwire.attempt._ADVANCE_S", 1.0)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[BaseException | None]:
    """What callbacks raise: it is shown by the hook, which pytest would take for the test's failure."""
    errors: list[BaseException | None] = []
    monkeypatch.setattr(threading, "excepthook", lambda arguments: errors.append(arguments.exc_value))
    return errors


def check(health: Health, cause: str, beside: frozenset[str], value: float | None) -> None:
    """The cause, and those beside it, deduct what the documentation says; no other does."""
    reasons = {reason.cause: reason.deduction for reason in health.reasons}
    assert set(reasons) == {cause} | beside, health.reasons
    for name, deduction in reasons.items():
        measured = getattr(health.signals, TABLE[name].signal)
        assert deduction == pytest.approx(TABLE[name].deduction(measured))
        assert deduction > 0
    if value is not None:
        assert getattr(health.signals, TABLE[cause].signal) == pytest.approx(value, rel=0.02, abs=0.01)
    assert health.score == pytest.approx(max(100.0 - sum(reasons.values()), 0.0))
    link = sum(deduction for name, deduction in reasons.items() if TABLE[name].link)
    assert health.link_score == pytest.approx(max(100.0 - link, 0.0))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.cause}, {len(case.beside)} beside")
def test_a_fault_deducts_what_is_documented(case: Case, shown: list[BaseException | None]) -> None:
    clock = VirtualClock()
    market = sim.Market(1, burst=0.0, **({"rate": 50.0, "mix": {"trade": 1.0}} | case.market))
    with (
        no_leftovers(),
        sim.Hub(market, clock=clock, start=None if case.started else "manual", **case.hub) as hub,
    ):
        scene = Scene(hub, clock)
        with scene.running():
            clock.sleep(case.before_s)
            health = scene.client.health()
            assert (health.score, health.state, health.reasons) == (100.0, "healthy", ())
            case.fault(scene)

            def shows() -> bool:
                health = scene.client.health()
                measured = getattr(health.signals, TABLE[case.cause].signal)
                close = case.value is None or measured == pytest.approx(case.value, rel=0.02, abs=0.01)
                moved = {reason.cause for reason in health.reasons}
                return close and {case.cause} | case.beside <= moved

            clock.until(shows, LIMIT_S, step_s=1.0)
            check(scene.client.health(), case.cause, case.beside, case.value)
    assert {str(error) for error in shown} <= {"a mistake of the strategy"}


def test_every_cause_has_its_fault() -> None:
    assert set(TABLE) == {term.cause for term in TERMS}
    assert {case.cause for case in CASES} == set(TABLE)
