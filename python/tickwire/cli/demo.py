"""`tickwire demo`: the whole way, from a hub's socket to bars, without account and network."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tickwire.errors import ConfigError

from .output import names, print_json, results_console

if TYPE_CHECKING:
    from rich.console import Console

    from tickwire.client import Client
    from tickwire.health import Health
    from tickwire.sim import Contract
    from tickwire.subscription import Subscription

    from .hubprocess import HubProcess
    from .latency import Latency, TimedEngine
    from .screen import Row, View

__all__ = ["demo"]

_MOST_INSTRUMENTS = 100
_RING_TICKS = 65_536
_TABLE_S = 0.25
_LINE_S = 1.0
# Window of the rate that is shown.
_RATE_S = 1.0
# After the hub has stopped, what it sent is on this machine: longer than this is lost, not slow.
_ARRIVAL_S = 5.0
# A thread that wants the interpreter waits this long for one that draws; the default is 5 ms, which
# would show up in the latencies of a demo that draws four times a second.
_SWITCH_S = 0.0005


def demo(
    seconds: Annotated[float, typer.Option(help="How long to run; 0 runs until Ctrl-C.", min=0)] = 30.0,
    rate: Annotated[float, typer.Option(help="Ticks per second, over all instruments.", min=0.1)] = 10_000.0,
    instruments: Annotated[
        str, typer.Option(help="How many, or ids of built-in contracts with commas between.")
    ] = "4",
    timeframes: Annotated[
        str, typer.Option(help="What bars are cut by, commas between: 1s, 5m, 100t, 5000v, 8r, …")
    ] = "1s,5s,1m",
    seed: Annotated[int, typer.Option(help="Seed of the simulated market.", min=0)] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of a table.")
    ] = False,
) -> None:
    """Stream a simulated market and show its bars live.

    A hub in a process of its own sends ticks over a local socket; the client, the engine and a
    strategy that takes every tick run in this one. Latencies count from the time at which the hub
    was due to send a tick. At the end the ticks sent and received are compared: the exit status is
    1 if they differ.
    """
    contracts = _contracts(instruments)
    engine = _engine(contracts, names("--timeframes", timeframes))
    outcome = _run(engine, _Settings(instruments, seconds or None, rate, seed, as_json))
    if as_json:
        print_json(outcome)
    else:
        _summary(outcome)
    if outcome["sent"] != outcome["received"]:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class _Settings:
    instruments: str
    seconds: float | None
    rate: float
    seed: int
    as_json: bool

    def of_hub(self) -> list[str]:
        """Arguments of the hub's process."""
        symbols = ",".join(names("--instruments", self.instruments))
        arguments = ["--instruments", symbols, "--rate", repr(self.rate), "--seed", str(self.seed)]
        # Nothing is sent before everything is subscribed, or the first ticks would be fewer.
        arguments += ["--start", "all"]
        return arguments if self.seconds is None else [*arguments, "--seconds", repr(self.seconds)]


def _contracts(text: str) -> tuple[Contract, ...]:
    from tickwire.sim import contracts

    if text.isdecimal():
        count = int(text)
        if not 1 <= count <= _MOST_INSTRUMENTS:
            raise ConfigError(f"--instruments: got {count}, expected 1 to {_MOST_INSTRUMENTS}")
        return contracts(count)
    known = {contract.symbol: contract for contract in contracts()}
    wanted = names("--instruments", text)
    if unknown := [symbol for symbol in wanted if symbol not in known]:
        raise ConfigError(
            f"--instruments: got {unknown[0]!r}, expected how many, or ids of these: {', '.join(known)}"
        )
    return tuple(known[symbol] for symbol in wanted)


def _engine(contracts: tuple[Contract, ...], timeframes: list[str]) -> TimedEngine:
    from tickwire.config import Instrument

    from .latency import TimedEngine

    listed = [Instrument(contract.symbol, tick_size=contract.tick_size) for contract in contracts]
    return TimedEngine(listed, timeframes, capacity=_RING_TICKS)


def _run(engine: TimedEngine, settings: _Settings) -> dict[str, Any]:
    # Importing polars takes long enough to hold up the first ticks, so it is done before them.
    import polars as pl  # noqa: F401
    import rich.live  # noqa: F401

    from tickwire.connecting import connect

    from .hubprocess import HubProcess
    from .latency import Latency, Strategy

    sys.setswitchinterval(_SWITCH_S)
    with (
        engine.subscribe(trades=True, quotes=True, capacity=_RING_TICKS) as ticks,
        HubProcess(settings.of_hub()) as hub,
        connect(hub.url, token=hub.token, engine=engine) as client,
    ):
        strategy = Strategy(ticks)
        strategy.start()
        watch = _Watch(engine, client, Latency(engine, strategy), ticks, settings)
        _show(watch, hub, settings)
        # Without the hub the connection is down.
        health = client.health()
        totals = hub.stop()
        _await(engine, totals["sent"])
        client.close()
        # Closed, it ends the strategy's loop once everything has been taken.
        ticks.close()
        strategy.join()
        return watch.outcome(totals, health)


def _await(engine: TimedEngine, sent: int) -> None:
    """Wait for what the hub has sent to be in the engine."""
    deadline_s = time.monotonic() + _ARRIVAL_S
    while engine.stats()["received"] < sent and time.monotonic() < deadline_s:
        time.sleep(0.005)


class _Watch:
    """Looks at everything, and keeps what a rate needs."""

    def __init__(
        self,
        engine: TimedEngine,
        client: Client,
        latency: Latency,
        ticks: Subscription,
        settings: _Settings,
    ) -> None:
        from .screen import places, short_names

        self._engine = engine
        self._client = client
        self._latency = latency
        self._ticks = ticks
        self._settings = settings
        self._names = short_names(engine.symbols)
        self._places = {symbol: places(engine.instrument(symbol).tick_size) for symbol in engine.symbols}
        self._begun_s = time.monotonic()
        self._counted = deque([(self._begun_s, 0)])

    def view(self) -> View:
        """The state of everything now."""
        from .screen import View

        self._latency.collect()
        now_s = time.monotonic()
        stats = self._engine.stats()
        delivery = self._ticks.stats()
        return View(
            elapsed_s=now_s - self._begun_s,
            total_s=self._settings.seconds,
            asked=self._settings.rate,
            rate=self._rate(now_s, stats["received"]),
            stats=stats,
            latency_us=self._latency.summary(),
            ring=self._fill(),
            waiting=delivery["pending"],
            shed=delivery["shed"],
            memory_bytes=self._engine.memory()["total"],
            state=self._client.state,
            health=self._client.health(),
            bars_closed=self._bars_closed(),
            rows=tuple(self._rows()),
        )

    def last_view(self) -> View:
        """How it all stood at the end, with the rate over the whole time."""
        view = self.view()
        elapsed_s = view.elapsed_s if view.total_s is None else min(view.elapsed_s, view.total_s)
        return replace(view, state="ended", elapsed_s=elapsed_s, rate=view.stats["received"] / elapsed_s)

    def outcome(self, totals: dict[str, Any], health: Health) -> dict[str, Any]:
        """The result, for the summary and for JSON."""
        self._latency.collect()
        stats = self._engine.stats()
        return {
            "sent": totals["sent"],
            "received": stats["received"],
            "accepted": stats["accepted"],
            "rejected": stats["rejected"],
            "rejections": stats["rejections"],
            "bars_closed": self._bars_closed(),
            "latency_us": self._latency.summary(),
            "hub_late_us": {name: round(totals["lateness"][f"{name}_us"], 1) for name in ("p50", "p99")},
            "to_strategy": self._ticks.stats(),
            "health": {
                "score": health.score,
                "state": health.state,
                "reasons": [list(reason) for reason in health.reasons],
            },
            "instruments": list(self._engine.symbols),
            "timeframes": list(self._engine.timeframes),
            "rate": self._settings.rate,
        }

    def _rate(self, now_s: float, received: int) -> float:
        self._counted.append((now_s, received))
        while len(self._counted) > 2 and self._counted[1][0] <= now_s - _RATE_S:
            self._counted.popleft()
        then_s, before = self._counted[0]
        return (received - before) / (now_s - then_s) if now_s > then_s else 0.0

    def _fill(self) -> float:
        most = 0
        for symbol in self._engine.symbols:
            stats = self._engine.stats(symbol)
            most = max(most, stats["trades"], stats["quotes"])
        return min(1.0, most / _RING_TICKS)

    def _bars_closed(self) -> int:
        engine = self._engine
        return sum(
            engine.bars(symbol, span).height for symbol in engine.symbols for span in engine.timeframes
        )

    def _rows(self) -> Iterator[Row]:
        from .screen import Row

        for symbol in self._engine.symbols:
            # One cut, so that the timeframes of an instrument agree with each other.
            snapshot = self._engine.snapshot(symbol)
            for timeframe in self._engine.timeframes:
                opened = snapshot.open_bars(timeframe)
                yield Row(
                    symbol=self._names[symbol],
                    timeframe=timeframe,
                    places=self._places[symbol],
                    opened=opened[-1] if opened else None,
                    closed=snapshot.closed_bar(timeframe),
                )


# Showing


def _show(watch: _Watch, hub: HubProcess, settings: _Settings) -> None:
    """Show what goes on until the stream ends, or Ctrl-C."""
    console = results_console()
    has_table = not settings.as_json and console.is_terminal and not console.is_dumb_terminal
    try:
        if has_table:
            _show_table(watch, hub, console)
        else:
            _show_lines(watch, hub, None if settings.as_json else console)
    except KeyboardInterrupt:
        # The way to end a demo; what follows is the same as at the end of its time.
        pass
    if has_table:
        # The live screen is gone with its block; what it showed last stays.
        from .screen import screen

        console.print(screen(watch.last_view(), console, height=None))
        console.print()


def _show_table(watch: _Watch, hub: HubProcess, console: Console) -> None:
    from rich.live import Live

    from .screen import screen

    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(screen(watch.view(), console, height=console.height), refresh=True)
            if _ended(hub, _TABLE_S):
                return


def _show_lines(watch: _Watch, hub: HubProcess, console: Console | None) -> None:
    from .screen import line

    while not _ended(hub, _LINE_S):
        view = watch.view()
        if console is not None:
            console.print(line(view), soft_wrap=True)


def _ended(hub: HubProcess, wait_s: float) -> bool:
    if not hub.finished.wait(wait_s):
        return False
    hub.check()
    return True


def _summary(outcome: dict[str, Any]) -> None:
    console = results_console()
    sent, received = outcome["sent"], outcome["received"]
    verdict = "every tick arrived" if sent == received else f"{sent - received:,} are missing"
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in outcome["rejections"].items())
    to_engine, to_strategy = outcome["latency_us"]["engine"], outcome["latency_us"]["strategy"]
    for text in (
        f"sent {sent:,}, received {received:,}: {verdict}",
        f"accepted {outcome['accepted']:,}, rejected {outcome['rejected']:,}"
        + (f": {reasons}" if reasons else ""),
        f"bars closed {outcome['bars_closed']:,}",
        f"p50/p99 µs after due: engine {_pair(to_engine)}, strategy {_pair(to_strategy)}; "
        f"hub itself {_pair(outcome['hub_late_us'])}",
    ):
        console.print(text, soft_wrap=True)


def _pair(quantiles: dict[str, float | None]) -> str:
    return "/".join("-" if value is None else f"{value:,.0f}" for value in quantiles.values())
