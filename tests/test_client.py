"""One client from `connect` to `close`: subscriptions, gaps, coming back, and who is told of a failure."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import datetime as dt
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import tickwire as tw
from hubs import (
    PATIENCE_S,
    UNIT_S,
    Connection,
    HandmadeHub,
    Script,
    frame,
    free_port,
    good,
    no_leftovers,
    park,
    record,
    trade,
)
from tickwire.client import Client
from tickwire.clock import Clock
from tickwire.connecting import connect
from tickwire.link_limits import LinkLimits
from tickwire.policy import Decision, Failure
from tickwire.reading import LiveSubscription

SYMBOL = "CON.F.US.EP.Z25"
OTHER = "CON.F.US.ENQ.Z25"
BASE = dt.datetime(2025, 11, 20, 14, 30, tzinfo=dt.timezone.utc)
BASE_NS = int(BASE.timestamp()) * 1_000_000_000
FAST = LinkLimits(backoff_min_s=0.01, backoff_max_s=0.05)


def at(seconds: float) -> str:
    """A gateway's time stamp so many seconds after BASE."""
    return (BASE + dt.timedelta(seconds=seconds)).isoformat()


def print_at(seconds: float, price: float = 5000.0, symbol: str = SYMBOL) -> dict[str, Any]:
    return trade(symbol, price, at(seconds))


class HandClock(Clock):
    """A clock that stands still until it is set."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.ns = BASE_NS
        self.set(seconds)

    def set(self, seconds: float) -> None:
        self.ns = BASE_NS + round(seconds * 1e9)

    def now_ns(self) -> int:
        return self.ns


class Spy(tw.Engine):
    """An engine that remembers what the client told it beside data."""

    gaps: list[tuple[int | None, int]]
    advanced: list[int]

    def advance(self, now_ns: int) -> None:
        self.__dict__.setdefault("advanced", []).append(now_ns)
        super().advance(now_ns)

    def mark_gap(self, start_ns: int | None, end_ns: int, symbols: Any = None) -> None:
        self.__dict__.setdefault("gaps", []).append((start_ns, end_ns))
        super().mark_gap(start_ns, end_ns, symbols)


def make_engine(*symbols: str) -> Spy:
    return Spy(
        [tw.Instrument(symbol, tick_size=0.25) for symbol in symbols or (SYMBOL,)], timeframes=["1s", "1m"]
    )


def wait_for(condition: Callable[[], object], what: str = "what the test waits for") -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, f"{what} did not happen"
        time.sleep(0.005)


def replay(hub: HandmadeHub, engine: tw.Engine, **options: Any) -> Client:
    """A client for data whose times have nothing to do with now."""
    return connect(
        hub=hub.url, engine=engine, **({"clock": "event", "limits": FAST, "streams": "trades"} | options)
    )


# The way of a tick


def test_ticks_become_bars_and_every_stream_of_every_instrument_is_asked_for() -> None:
    engine = make_engine(SYMBOL, OTHER)
    with HandmadeHub(good(6)) as hub, replay(hub, engine, streams=("trades", "quotes", "depth")) as client:
        bars = client.bars("1s")
        hub.connection().send_records(*(print_at(second, 5000 + second) for second in range(4)))
        items = [bars.get(timeout=PATIENCE_S) for _ in range(3)]
        assert [(bar.open, bar.volume) for bar in items] == [(5000.0, 1.0), (5001.0, 1.0), (5002.0, 1.0)]
        calls = hub.connection().calls
        assert [(call["target"], call["arguments"]) for call in calls] == [
            (method, [symbol])
            for method in (
                "SubscribeContractTrades",
                "SubscribeContractQuotes",
                "SubscribeContractMarketDepth",
            )
            for symbol in (SYMBOL, OTHER)
        ]
        assert len({call["invocationId"] for call in calls}) == 6
        # The engine shows a tick before the push that brought it has returned to the client.
        wait_for(lambda: client.status()["received"] == 4)
        status = client.status()
        json.dumps(status)
        assert (status["state"], status["received"], status["accepted"], status["rejected"]) == (
            "live",
            4,
            4,
            0,
        )
        assert status["hub"] == f"ws://127.0.0.1:{hub.port}/hubs/market"
        assert (status["attempts"], status["connections"], status["messages"]) == (1, 1, 1 + 6 + 4)
    assert client.state == "closed"


def test_only_the_chosen_symbols_are_asked_for() -> None:
    with HandmadeHub(good(1)) as hub, replay(hub, make_engine(SYMBOL, OTHER), symbols=[OTHER]):
        assert [call["arguments"] for call in hub.connection().calls] == [[OTHER]]


def test_in_asyncio_bars_and_ticks_come_through_async_for() -> None:
    async def main() -> list[float]:
        async with replay(hub, make_engine()) as client:
            trades = client.trades()
            hub.connection().send_records(*(print_at(second, 5000 + second) for second in range(5)))
            prices = []
            async for item in trades:
                prices.append(item.price)
                if len(prices) == 5:
                    return prices
        raise AssertionError("the trades ended")

    with HandmadeHub(good(1)) as hub:
        assert asyncio.run(main()) == [5000.0, 5001.0, 5002.0, 5003.0, 5004.0]


def test_the_loop_stays_free_while_the_client_connects_and_closes() -> None:
    release = threading.Event()

    def script(connection: Connection) -> None:
        connection.read_request()
        release.wait(PATIENCE_S)
        connection.send(connection.accept_bytes())
        connection.shake_hands()
        connection.complete(1)
        park(connection)

    async def main() -> None:
        # If entering blocked the loop, this would never run and the hub would never answer.
        asyncio.get_running_loop().call_later(0.02, release.set)
        async with replay(hub, make_engine(), limits=LinkLimits(close_s=0.2 * UNIT_S)):
            pass

    with HandmadeHub(script) as hub:
        asyncio.run(main())


def test_arrivals_are_stamped_once_per_read_by_the_clock_given() -> None:
    clock = HandClock(0.5)
    engine = make_engine()
    with HandmadeHub(good(1)) as hub, replay(hub, engine, time_source=clock) as client:
        trades = client.trades()
        hub.connection().send(frame(record(print_at(0.1)) + record(print_at(0.2))))
        first = [trades.get(timeout=PATIENCE_S).ts_recv for _ in range(2)]
        clock.set(7.25)
        hub.connection().send_records(print_at(0.3))
        assert trades.get(timeout=PATIENCE_S).ts_recv == BASE_NS + 7_250_000_000
        assert first == [BASE_NS + 500_000_000] * 2


# Time


def test_the_wall_clock_closes_idle_bars_grace_behind_and_marks_the_joined_one() -> None:
    clock = HandClock(0.2)
    engine = make_engine()
    options = {"clock": "wall", "time_source": clock, "grace": "500ms"}
    with HandmadeHub(good(1)) as hub, replay(hub, engine, **options) as client:
        bars, trades = client.bars("1s"), client.trades()
        hub.connection().send_records(print_at(0.1))
        trades.get(timeout=PATIENCE_S)
        clock.set(1.499)
        wait_for(lambda: engine.advanced[-1] == BASE_NS + 999_000_000)
        assert bars.poll() == []
        clock.set(1.5)
        bar = bars.get(timeout=PATIENCE_S)
        assert (bar.ts, bar.complete) == (BASE_NS, False)
        # The next bar was heard from its start.
        hub.connection().send_records(print_at(1.0))
        trades.get(timeout=PATIENCE_S)
        clock.set(2.5)
        bar = bars.get(timeout=PATIENCE_S)
        assert (bar.ts, bar.complete) == (BASE_NS + 1_000_000_000, True)
        assert {start for start, _ in engine.gaps} == {None}


def test_a_busy_hub_does_not_keep_the_clock_from_advancing() -> None:
    stop = threading.Event()

    def script(connection: Connection) -> None:
        connection.open(1)
        while not stop.wait(0.001):
            connection.send_records({"type": 6})
        connection.serve()

    engine = make_engine()
    with HandmadeHub(script) as hub, replay(hub, engine, clock="wall"):
        wait_for(lambda: len(getattr(engine, "advanced", [])) >= 3)
        stop.set()


def test_with_the_event_clock_time_is_the_data_s_alone() -> None:
    engine = make_engine()
    with HandmadeHub(good(1)) as hub, replay(hub, engine, limits=LinkLimits(heartbeat_s=0.02)) as client:
        hub.connection().send_records(print_at(0.1))
        # Several wake-ups, with and without data.
        wait_for(lambda: client.status()["pongs"] >= 5)
        assert engine.stats()["accepted"] == 1
    assert not hasattr(engine, "advanced")
    assert not hasattr(engine, "gaps")


# Coming back


def fin(connection: Connection) -> None:
    """Nothing: the socket is closed when a script ends."""


def goodbye(connection: Connection) -> None:
    connection.send_records({"type": 7, "error": "restarting"})
    connection.serve()


def dropped(connection: Connection) -> None:
    """A script: the hub ends the connection as soon as it is open."""
    connection.open(1)


@pytest.mark.parametrize("leave", [fin, Connection.reset, goodbye])
def test_a_lost_link_comes_back_subscribed_with_the_gap_marked(leave: Callable[[Connection], None]) -> None:
    clock = HandClock(9.0)
    engine = make_engine()
    heard, again = threading.Event(), threading.Event()

    def first(connection: Connection) -> None:
        connection.open(1)
        heard.wait(PATIENCE_S)
        leave(connection)

    def second(connection: Connection) -> None:
        again.wait(PATIENCE_S)
        good(1)(connection)

    options = {"clock": "wall", "time_source": clock, "streams": "trades"}
    with HandmadeHub(first, second) as hub, replay(hub, engine, **options) as client:
        bars, trades = client.bars("1s"), client.trades()
        hub.connection().send_records(print_at(8.5), print_at(9.0))
        wait_for(lambda: client.status()["accepted"] == 2)
        heard.set()
        hub.connection(1)
        clock.set(12.3)
        again.set()
        wait_for(lambda: client.status()["connections"] == 2 and client.state == "live")
        assert client.status()["failures"] == 1
        # What was on the way at the end may have been as old as the grace.
        assert {gap for gap in engine.gaps if gap[0]} == {(BASE_NS + 8_500_000_000, BASE_NS + 12_300_000_000)}
        trades.poll()
        hub.connection(1).send_records(print_at(12.3))
        trades.get(timeout=PATIENCE_S)
        clock.set(14.1)
        hub.connection(1).send_records(print_at(13.0), print_at(14.1))
        seen = {bar.ts - BASE_NS: bar.complete for bar in [bars.get(timeout=PATIENCE_S) for _ in range(4)]}
        # Eight was joined in its middle, nine spans the loss, twelve the return; thirteen was heard whole.
        assert seen == {
            8_000_000_000: False,
            9_000_000_000: False,
            12_000_000_000: False,
            13_000_000_000: True,
        }


def test_a_record_cut_by_the_loss_is_not_glued_to_the_next_connection() -> None:
    whole = record(print_at(1.0))

    def first(connection: Connection) -> None:
        connection.open(1)
        connection.send(frame(whole[:40]))

    engine = make_engine()
    with HandmadeHub(first, good(1, print_at(2.0))) as hub, replay(hub, engine) as client:
        wait_for(lambda: client.status()["accepted"] == 1)
        assert (engine.stats()["received"], engine.stats()["accepted"]) == (1, 1)


def test_every_attempt_asks_for_a_fresh_token() -> None:
    tokens = iter(["first", "second", "third"])
    with (
        HandmadeHub(dropped, dropped, good(1)) as hub,
        replay(hub, make_engine(), token=lambda: next(tokens)),
    ):
        hub.connection(2)
        wait_for(lambda: hub.connections[2].headers)
        assert [c.headers["authorization"] for c in hub.connections] == [
            "Bearer first",
            "Bearer second",
            "Bearer third",
        ]


def test_twenty_reconnects_leave_nothing_behind() -> None:
    engine = make_engine()
    with HandmadeHub(good(1)) as hub, replay(hub, engine):
        pass  # what is loaded on first use is loaded
    with no_leftovers(), HandmadeHub(*[dropped] * 20, good(1)) as hub:
        with replay(hub, engine) as client:
            hub.connection(20)
            wait_for(lambda: client.status()["connections"] == 21)
            # The client's own thread, and not one per connection.
            assert sum(thread.name.startswith("tickwire-") for thread in threading.enumerate()) == 1
        assert client.status()["failures"] == 20


def test_a_hub_that_refuses_later_is_tried_again() -> None:
    def unauthorized(connection: Connection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")

    def denied(connection: Connection) -> None:
        connection.upgrade()
        connection.shake_hands()
        connection.complete(1, error="try later")

    scripts = (dropped, unauthorized, denied, good(1))
    with HandmadeHub(*scripts) as hub, replay(hub, make_engine()) as client:
        wait_for(lambda: client.status()["connections"] == 3 and client.state == "live")
        assert client.status()["failures"] == 3


def test_in_the_background_an_absent_hub_is_waited_for() -> None:
    engine = make_engine()
    with HandmadeHub(good(1)) as hub:
        url, port = hub.url, hub.port
    with connect(hub=url, engine=engine, streams="trades", start="background", limits=FAST) as client:
        wait_for(lambda: client.status()["failures"] >= 3)
        assert f"cannot connect to 127.0.0.1:{port}" in client.status()["last_error"]
        with pytest.raises(concurrent.futures.TimeoutError):
            client.wait_live(0.01)
        assert client.error is None


def test_wait_live_returns_when_the_streams_are_there() -> None:
    with HandmadeHub(good(1)) as hub, replay(hub, make_engine(), start="background") as client:
        client.wait_live(PATIENCE_S)
        assert client.state == "live"


def test_process_failure_is_asked_first_and_may_give_up() -> None:
    asked: list[tuple[int, str]] = []

    def thrice(failure: Failure) -> Decision:
        asked.append((failure.in_a_row, type(failure.error).__name__))
        return Decision(0.0 if failure.in_a_row < 3 else None)

    def drop(connection: Connection) -> None:
        connection.read_request()

    with HandmadeHub(dropped, drop) as hub, contextlib.ExitStack() as stack:
        client = stack.enter_context(replay(hub, make_engine(), process_failure=thrice))
        bars = client.bars("1s")
        with pytest.raises(tw.ConnectionFailed, match=r"the client has ended: .* during the HTTP upgrade"):
            bars.get(timeout=PATIENCE_S)
        assert client.state == "failed"
        assert asked == [(number, "ConnectionFailed") for number in (1, 2, 3)]
        with pytest.raises(tw.ConnectionFailed, match="the client has ended"):
            stack.close()


def test_a_connection_that_lived_long_enough_starts_the_delays_anew() -> None:
    asked: list[int] = []

    def note(failure: Failure) -> Decision:
        asked.append(failure.in_a_row)
        return Decision(0.0)

    def lives(seconds: float) -> Script:
        def script(connection: Connection) -> None:
            connection.open(1)
            connection.released.wait(seconds)

        return script

    limits = LinkLimits(stable_s=0.2)
    scripts = (lives(0.0), lives(0.0), lives(0.4), good(1))
    with HandmadeHub(*scripts) as hub, replay(hub, make_engine(), process_failure=note, limits=limits):
        hub.connection(3)
        assert asked == [1, 2, 1]


# The first attempt


def failing(script: Script, **options: Any) -> BaseException:
    with HandmadeHub(good(1)) as hub, replay(hub, make_engine()):
        pass
    with no_leftovers(), HandmadeHub(script) as hub:
        client = replay(hub, make_engine(), **options)
        with pytest.raises(tw.ConnectionFailed) as caught, client:
            raise AssertionError("the block must not be entered")
        assert client.state == "failed"
        assert client.error is caught.value
        assert len(hub.connections) == 1
    return caught.value


def test_a_first_failure_that_trying_again_cannot_mend_is_raised_at_once() -> None:
    def unauthorized(connection: Connection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")

    error = failing(unauthorized)
    assert isinstance(error, tw.UpgradeRefused)
    assert error.status == 401


def test_a_refused_subscription_names_method_symbol_and_reason() -> None:
    def script(connection: Connection) -> None:
        connection.upgrade()
        connection.shake_hands()
        connection.complete(1, error="unknown contract")
        connection.serve()

    error = failing(script)
    assert isinstance(error, tw.SubscribeRefused)
    assert f"SubscribeContractTrades('{SYMBOL}'): " in str(error)
    assert "unknown contract" in str(error)


def test_a_subscription_that_is_never_answered_times_out() -> None:
    def script(connection: Connection) -> None:
        connection.open(0)
        connection.serve()

    limits = LinkLimits(subscribe_s=0.1, start_s=0.5, backoff_min_s=0.01)
    with no_leftovers(), HandmadeHub(script) as hub:
        with pytest.raises(tw.ConnectTimeout) as caught, replay(hub, make_engine(), limits=limits):
            raise AssertionError("the block must not be entered")
        assert len(hub.connections) > 1
    assert "not connected within 0.5 s; the last failure was: ConnectTimeout: " in str(caught.value)
    assert "did not answer SubscribeContractTrades" in str(caught.value)
    assert "within 0.1 s" in str(caught.value)


def test_in_asyncio_the_first_failure_is_raised_too() -> None:
    async def main() -> None:
        async with replay(hub, make_engine(), limits=LinkLimits(start_s=0.2)):
            raise AssertionError("the block must not be entered")

    with HandmadeHub(lambda connection: connection.read_request()) as hub, pytest.raises(tw.ConnectTimeout):
        asyncio.run(main())


@pytest.mark.parametrize("start", ["wait", "background"])
def test_a_first_connect_with_the_server_down_is_tried_until_it_is_up(start: str) -> None:
    port = free_port()
    limits = LinkLimits(backoff_min_s=0.01, backoff_max_s=0.02)
    client = connect(
        f"http://127.0.0.1:{port}/hubs/market",
        engine=make_engine(),
        streams="trades",
        start=start,  # type: ignore[arg-type]
        limits=limits,
    )
    with client.events() as events, ThreadPoolExecutor(1) as pool:
        entered = pool.submit(client.__enter__)
        failures = 0
        while failures < 3:
            event = events.get(timeout=PATIENCE_S)
            assert isinstance(event, tw.events.Reconnecting)
            assert event.fault == "unreachable"
            failures = event.failures
        with HandmadeHub(good(1), port=port) as hub:
            entered.result(PATIENCE_S)
            client.wait_live(PATIENCE_S)
            assert client.state == "live"
            client.close()
            assert hub.connection().saw_fin


def test_ctrl_c_while_connecting_leaves_nothing_behind() -> None:
    with HandmadeHub(good(1)) as hub, replay(hub, make_engine()):
        pass

    def script(connection: Connection) -> None:
        connection.read_request()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        park(connection)

    with (
        no_leftovers(),
        HandmadeHub(script) as hub,
        pytest.raises(KeyboardInterrupt),
        replay(hub, make_engine()),
    ):
        raise AssertionError("the block must not be entered")


def test_cancelling_a_task_that_connects_leaves_nothing_behind() -> None:
    with HandmadeHub(good(1)) as hub, replay(hub, make_engine()):
        pass

    async def main() -> None:
        async def enter() -> None:
            async with replay(hub, make_engine()):
                raise AssertionError("the block must not be entered")

        task = asyncio.create_task(enter())
        await asyncio.to_thread(hub.connection)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with no_leftovers(), HandmadeHub(park) as hub:
        asyncio.run(main())


# Tokens


def test_an_async_token_provider_runs_on_the_loop_of_async_with() -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    async def login() -> str:
        await asyncio.sleep(0)
        loops.append(asyncio.get_running_loop())
        return "from-the-loop"

    async def main() -> None:
        async with replay(hub, make_engine(), token=login):
            assert loops == [asyncio.get_running_loop()]

    with HandmadeHub(good(1)) as hub:
        asyncio.run(main())
        assert hub.connection().headers["authorization"] == "Bearer from-the-loop"


def test_a_token_provider_that_hangs_neither_outlives_its_limit_nor_holds_close() -> None:
    release = threading.Event()

    def login() -> str:
        release.wait(PATIENCE_S)
        return "late"

    with HandmadeHub(good(1)) as hub:
        with (
            pytest.raises(tw.ConnectTimeout, match=r"login\) delivered no token within 0\.1 s"),
            replay(hub, make_engine(), token=login, limits=LinkLimits(token_s=0.1, start_s=0.5)),
        ):
            raise AssertionError("the block must not be entered")
        client = replay(hub, make_engine(), token=login, start="background")
        with client:
            wait_for(lambda: client.status()["attempts"] == 1)
            before_s = time.monotonic()
        assert time.monotonic() - before_s < 0.5 * UNIT_S
        assert hub.connections == []
        release.set()


def test_a_token_provider_that_fails_is_asked_again_like_a_hub_that_is_down() -> None:
    answers: Iterator[Any] = iter([OSError("login server down"), "good"])

    def login() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    with HandmadeHub(good(1)) as hub, replay(hub, make_engine(), token=login, start="background") as client:
        client.wait_live(PATIENCE_S)
        assert client.status()["failures"] == 1
        assert "raised OSError instead of returning a token" in client.status()["last_error"]


# Failures nobody may miss


def broken_engine(error: Exception) -> Spy:
    class BrokenFeed:
        def push_bytes(self, data: bytes, ts_recv: int | None = None) -> Any:
            if b"GatewayTrade" in data:
                raise error
            return feed.push_bytes(data, ts_recv)

        def reset(self) -> None:
            feed.reset()

        def volumes(self) -> Any:
            return feed.volumes()

    class Broken(Spy):
        def feed(self, name: str = "main", **_: Any) -> Any:
            return BrokenFeed()

    engine = Broken([tw.Instrument(SYMBOL, tick_size=0.25)], timeframes=["1s"])
    feed = tw.Engine.feed(engine)
    return engine


def read_poll(trades: LiveSubscription) -> None:
    wait_for(lambda: trades.poll())


def read_anext(trades: LiveSubscription) -> None:
    async def one() -> object:
        return await anext(trades)

    asyncio.run(one())


@pytest.mark.parametrize("read", [LiveSubscription.get, next, read_anext, read_poll])
def test_a_fault_in_the_engine_reaches_whoever_reads(read: Callable[[LiveSubscription], object]) -> None:
    fault = RuntimeError("the engine broke")
    with HandmadeHub(good(1)) as hub, contextlib.ExitStack() as stack:
        client = stack.enter_context(replay(hub, broken_engine(fault)))
        trades = client.trades()
        hub.connection().send_records(print_at(1.0))
        with pytest.raises(tw.ConnectionFailed, match="the client has ended: the engine broke") as caught:
            read(trades)
        assert caught.value.__cause__ is fault
        assert (client.state, client.error) == ("failed", fault)
        with pytest.raises(tw.ConnectionFailed, match="the engine broke"):
            client.trades().get(timeout=0)
        with pytest.raises(tw.ConnectionFailed, match="the engine broke"):
            stack.close()


def test_the_user_s_own_exception_wins_over_the_client_s() -> None:
    own = ZeroDivisionError()
    with HandmadeHub(good(1)) as hub:
        client = replay(hub, broken_engine(RuntimeError("x")))
        client.__enter__()
        hub.connection().send_records(print_at(1.0))
        wait_for(lambda: client.state == "failed")
        # Raises nothing, so that the exception under way goes on.
        client.__exit__(type(own), own, None)


def test_a_callback_that_raises_is_shown_and_the_connection_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[BaseException | None] = []
    monkeypatch.setattr(threading, "excepthook", lambda arguments: shown.append(arguments.exc_value))
    heard: list[tuple[str, tuple[Any, ...]]] = []
    with HandmadeHub(good(1)) as hub, replay(hub, make_engine()) as client:

        @client.on_message("GatewayUserOrder")
        def bad(message: tw.events.Message) -> None:
            raise ValueError(message.target)

        client.on_message("GatewayUserOrder")(
            lambda message: heard.append((message.target, message.arguments))
        )
        message = {"type": 1, "target": "GatewayUserOrder", "arguments": [{"id": 7}]}
        other = {"type": 1, "target": "GatewayUserTrade", "arguments": []}
        hub.connection().send_records(message, other, {"type": 6}, print_at(1.0))
        wait_for(lambda: client.status()["accepted"] == 1 and heard and shown)
        assert heard == [("GatewayUserOrder", ({"id": 7},))]
        assert [str(error) for error in shown] == ["GatewayUserOrder"]
        status = client.status()
        assert (status["hub_pings"], status["state"]) == (1, "live")
        assert [counts["failures"] for counts in status["callbacks"].values()] == [1, 0]


# Leaving


def test_closing_ends_every_reader_after_what_it_holds() -> None:
    with HandmadeHub(good(1, print_at(1.0), print_at(2.0))) as hub, replay(hub, make_engine()) as client:
        wait_for(lambda: client.status()["accepted"] == 2)
        hub.connection().send_records(print_at(3.0))
        trades = client.trades()
        wait_for(lambda: client.status()["accepted"] == 3)
        client.close()
        assert [item.price for item in trades] == [5000.0] * trades.stats()["delivered"]
        with pytest.raises(tw.SubscriptionClosed):
            trades.get(timeout=0)
        with pytest.raises(tw.SubscriptionClosed):
            client.trades().get(timeout=0)
        client.close()
    assert client.state == "closed"
    with pytest.raises(tw.ConfigError, match="used once; this one is closed"), client:
        pass


def test_closing_from_a_callback_returns_and_ends_the_client() -> None:
    closed = threading.Event()
    with HandmadeHub(good(1)) as hub, replay(hub, make_engine()) as client:

        @client.on_message("Anything")
        def close(_: tw.events.Message) -> None:
            client.close()
            closed.set()

        hub.connection().send_records({"type": 1, "target": "Anything", "arguments": []})
        assert closed.wait(PATIENCE_S)
        wait_for(lambda: client.state == "closed")
    assert hub.connection().saw_fin


def test_closing_during_the_back_off_is_prompt() -> None:
    limits = LinkLimits(backoff_min_s=60.0, backoff_max_s=60.0)
    with HandmadeHub(dropped) as hub, replay(hub, make_engine(), limits=limits) as client:
        wait_for(lambda: client.state == "reconnecting")
        before_s = time.monotonic()
        client.close()
        assert time.monotonic() - before_s < 0.5 * UNIT_S


def test_closing_a_client_that_was_never_started_is_harmless() -> None:
    with HandmadeHub(good(1)) as hub:
        with no_leftovers():
            client = replay(hub, make_engine())
            client.close()
        assert client.state == "closed"
        with pytest.raises(tw.ConnectionFailed, match="closed before it was connected"):
            client.wait_live(0)


# Arguments


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"hub": "http://rtc.example.com/hub"}, tw.ConfigError, "in clear text"),
        ({"hub": 5}, tw.ConfigError, "got int"),
        ({"streams": ("trades", "candles")}, tw.ConfigError, "streams: got 'candles'"),
        ({"streams": ()}, tw.ConfigError, "streams: got none"),
        ({"symbols": ["CON.F.US.XX.Z25"]}, tw.UnknownInstrument, "CON.F.US.XX.Z25"),
        ({"symbols": []}, tw.ConfigError, "symbols: got none"),
        ({"start": "later"}, tw.ConfigError, "start: got 'later'"),
        ({"clock": "sun"}, tw.ConfigError, "clock: got 'sun'"),
        ({"grace": "soon"}, tw.ConfigError, "grace: got 'soon'"),
        ({"token": 5}, tw.ConfigError, "token: got int"),
        ({"token": "a b"}, tw.ConfigError, "white space"),
    ],
)
def test_arguments_that_cannot_work_are_refused(
    options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as caught:
        connect(**({"hub": "https://rtc.example.com/hub", "engine": make_engine()} | options))
    assert words in str(caught.value)
