"""One login serves many hubs: one call for all who wait, renewals beside living links, and clear ends."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import jwt
import psutil
import pytest

from clocks import HandClock
from hubs import PATIENCE_S
from tickwire import events
from tickwire.auth import Token
from tickwire.clock import Clock
from tickwire.errors import (
    ConfigError,
    ConnectionFailed,
    ConnectTimeout,
    LoginFailed,
    SessionTakenOver,
    UpgradeRefused,
)
from tickwire.login import Login
from tickwire.login_limits import LoginLimits
from tickwire.pause import Pause
from tickwire.tasks import Tasks
from tickwire.wakeup import Stopped, Waiter


def until(condition: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, "it did not come to pass"
        time.sleep(0.001)


def make_jwt(now_ns: int, life_s: float, number: int = 0) -> str:
    now_s = now_ns // 1_000_000_000
    claims = {"iat": now_s, "exp": now_s + int(life_s), "n": number}
    return jwt.encode(claims, "k" * 32, algorithm="HS256")


class Source:
    """A source of JWTs that can renew, counts its calls, and does as it is told."""

    def __init__(self, clock: Clock, life_s: float = 86_400.0) -> None:
        self.clock = clock
        self.life_s = life_s
        self.logins = 0
        self.renewals = 0
        self.at_once = 0
        self.most_at_once = 0
        self.before: Callable[[], None] = lambda: None
        self.renews: Callable[[Token], str | Token | None] = lambda token: self.make()

    def make(self) -> str:
        return make_jwt(self.clock.now_ns(), self.life_s, self.logins + self.renewals)

    def __call__(self) -> str:
        self.logins += 1
        return self._work(self.make)

    def renew(self, token: Token) -> str | Token | None:
        self.renewals += 1
        return self._work(lambda: self.renews(token))

    def _work(self, make: Callable[[], Any]) -> Any:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            self.before()
            return make()
        finally:
            self.at_once -= 1


class Client:
    """What a client does with a login."""

    def __init__(self, login: Login, **options: Any) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.renewed: list[Token] = []
        self.share = login.attach(self.tell, on_renewed=self.renewed.append, **options)

    def tell(self, kind: type[events.Event], **fields: Any) -> None:
        kind(ts=0, client="c", **fields)
        self.told.append((kind.__name__, fields))


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


class Pool:
    """Runs calls in threads that do not keep a test that fails from ending."""

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()

        def run() -> None:
            try:
                future.set_result(function(*arguments))
            except BaseException as error:  # noqa: BLE001  # raised by who waits
                future.set_exception(error)

        threading.Thread(target=run, daemon=True).start()
        return future


@pytest.fixture
def pool() -> Pool:
    return Pool()


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    until(lambda: not [t for t in threading.enumerate() if t.name.startswith("tickwire")])


# Asking


def test_all_who_wait_share_one_call(pool: Pool, clock: HandClock) -> None:
    source, gate = Source(clock), threading.Event()
    source.before = lambda: gate.wait(PATIENCE_S) and None
    login = Login(source, clock=clock)
    waiting = [pool.submit(login.token) for _ in range(8)]
    until(lambda: source.logins)
    gate.set()
    tokens = [one.result(PATIENCE_S) for one in waiting]
    assert len(set(map(id, tokens))) == 1
    assert (source.logins, source.most_at_once) == (1, 1)
    assert login.token() is tokens[0]
    assert login.status()["state"] == "valid"


def test_text_none_and_callables_need_no_thread_and_no_clock() -> None:
    assert Login(None).token() is None
    login = Login("text", clock=HandClock())
    first = login.token()
    assert first is not None
    assert login.token() is first
    assert not login.can_change
    login.refused(first)
    second = login.token()
    assert second is not None
    assert second is not first, "each grant is an object of its own"
    assert second.reveal() == "text"


def test_without_reuse_the_source_is_asked_for_every_connection() -> None:
    answers = iter(["one", "two", "three"])
    login = Login(lambda: next(answers), reuse=False)
    tokens = [login.token(), login.token()]
    assert [token.reveal() for token in tokens if token is not None] == ["one", "two"]
    assert login.is_current(tokens[1])
    assert not login.is_current(tokens[0])


def test_a_call_ends_within_its_limit_though_the_source_hangs(pool: Pool, clock: HandClock) -> None:
    source, gate = Source(clock), threading.Event()
    source.before = lambda: gate.wait() and None
    login = Login(source, clock=clock)
    asked = pool.submit(login.token, None, 5.0)
    until(lambda: source.logins)
    clock.advance(5.0)
    with pytest.raises(ConnectTimeout, match=r"delivered no token within 5\.0 s"):
        asked.result(PATIENCE_S)
    # Whoever comes next waits for the same call, until that is given up.
    asked = pool.submit(login.token, None, 60.0)
    until(lambda: login._waiting)
    clock.advance(LoginLimits().fetch_s)
    with pytest.raises(ConnectTimeout, match=r"within 30\.0 s"):
        asked.result(PATIENCE_S)
    assert login.status()["hanging"] == 1
    # After a delay it is tried again, and what the first call brings at last is not taken.
    source.before = lambda: None
    asked = pool.submit(login.token, None, 60.0)
    clock.advance(LoginLimits().retry_max_s)
    token = asked.result(PATIENCE_S)
    assert source.logins == 2
    gate.set()
    until(lambda: login.status()["hanging"] == 0)
    assert login.token() is token


def test_calls_that_hang_are_not_piled_up(pool: Pool, clock: HandClock) -> None:
    source, gate = Source(clock), threading.Event()
    source.before = lambda: gate.wait() and None
    login = Login(source, clock=clock, limits=LoginLimits(hanging=2))
    for count in (1, 2):
        asked = pool.submit(login.token, None, 1_000.0)
        until(lambda count=count: source.logins == count or clock.advance(1.0))  # type: ignore[misc]
        clock.advance(30.0)
        with pytest.raises(ConnectTimeout):
            asked.result(PATIENCE_S)
    with pytest.raises(LoginFailed, match=r"2 calls of .* have not returned"):
        login.token()
    gate.set()
    until(lambda: login.status()["hanging"] == 0)
    asked = pool.submit(login.token, None, 1_000.0)
    clock.advance(60.0)
    assert asked.result(PATIENCE_S) is not None


@pytest.mark.parametrize("make", [Waiter, Pause])
def test_the_owner_ends_the_wait(make: type[Any], pool: Pool, clock: HandClock) -> None:
    source, gate = Source(clock), threading.Event()
    source.before = lambda: gate.wait() and None
    login = Login(source, clock=clock)
    waiter = make(Clock())
    asked = pool.submit(login.token, waiter, 3_600.0)
    until(lambda: source.logins)
    waiter.stop()
    failure = asked.exception(PATIENCE_S)
    assert isinstance(failure, Stopped)
    gate.set()
    until(lambda: login.status()["state"] == "valid")
    if isinstance(waiter, Waiter):
        waiter.close()


def test_a_failure_reaches_all_who_waited_and_the_next_call_waits_a_little(
    pool: Pool, clock: HandClock
) -> None:
    source, gate, cause = Source(clock), threading.Event(), OSError("down")

    def fail() -> None:
        gate.wait(PATIENCE_S)
        raise cause

    source.before = fail
    login = Login(source, clock=clock)
    waiting = [pool.submit(login.token) for _ in range(4)]
    until(lambda: source.logins)
    until(lambda: len(login._waiting) == 4)
    gate.set()
    failures = [one.exception(PATIENCE_S) for one in waiting]
    assert source.logins == 1
    assert {type(one) for one in failures} == {ConnectionFailed}
    assert all(one is not None and one.__cause__ is cause for one in failures)
    assert len(set(map(id, failures))) == 4, "each is raised by its own thread"
    with pytest.raises(LoginFailed, match="not asked again") as caught:
        login.token(time_limit_s=0.1)
    assert caught.value.retry_after_s is not None
    assert 0.1 < caught.value.retry_after_s <= 1.0
    source.before = lambda: None
    asked = pool.submit(login.token)
    clock.advance(1.0)
    assert asked.result(PATIENCE_S) is not None
    assert source.logins == 2


def test_errors_of_every_kind_are_raised_with_all_that_they_know(clock: HandClock) -> None:
    raised = UpgradeRefused("no", status=418, retry_after_s=3.0)

    def source() -> str:
        raise raised

    with pytest.raises(UpgradeRefused, match=r"^no$") as caught:
        Login(source, clock=clock).token()
    assert caught.value is not raised
    assert (caught.value.status, caught.value.retry_after_s, caught.value.fault) == (418, 3.0, "link lost")
    assert "source" in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]


def test_what_the_login_server_refuses_for_good_is_final(clock: HandClock) -> None:
    source = Source(clock)

    def refuse() -> None:
        raise LoginFailed("wrong key", code=3, permanent=True)

    source.before = refuse
    login = Login(source, clock=clock)
    for _ in range(3):
        with pytest.raises(LoginFailed, match="wrong key") as caught:
            login.token()
        assert (caught.value.code, caught.value.permanent) == (3, True)
    assert source.logins == 1
    assert login.status()["state"] == "ended"


def test_an_async_source_runs_on_the_loop_of_a_client(clock: HandClock) -> None:
    homes: list[asyncio.AbstractEventLoop] = []

    async def source() -> str:
        homes.append(asyncio.get_running_loop())
        return "token"

    async def main() -> None:
        login = Login(source, reuse=False)
        client = Client(login, loop=asyncio.get_running_loop())
        await asyncio.to_thread(login.token)
        client.share.detach()
        await asyncio.to_thread(login.token)
        assert [home is asyncio.get_running_loop() for home in homes] == [True, False]

    asyncio.run(main())


# Refusals and logouts


def test_a_refused_token_is_replaced_once_for_all_hubs(clock: HandClock) -> None:
    source = Source(clock)
    login = Login(source, clock=clock)
    old = login.token()
    clock.advance(3_600.0)
    login.refused(old)
    new = login.token()
    login.refused(old)
    assert login.token() is new
    assert source.logins == 2
    assert login.status()["refusals"] == 1


def test_hubs_that_are_logged_out_together_log_in_once_and_not_at_once(
    pool: Pool, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    source = Source(clock)
    login = Login(source, clock=clock)
    token = login.token()
    assert token is not None
    with caplog.at_level(logging.WARNING, "tickwire.login"):
        login.logged_out(token, f"another session {token.reveal()}")
        login.logged_out(token, "another session")
    assert [record.getMessage() for record in caplog.records] == [
        "the gateway ended the session: another session ***"
    ]
    waiting = [pool.submit(login.token) for _ in range(2)]
    until(lambda: len(login._waiting) == 2)
    time.sleep(0.02)
    assert source.logins == 1
    clock.advance(LoginLimits().relogin_max_s)
    assert waiting[0].result(PATIENCE_S) is waiting[1].result(PATIENCE_S)
    assert source.logins == 2
    login.logged_out(token)
    assert login.token() is waiting[0].result(), "the old session is over and done with"


def test_a_logout_on_a_link_older_than_the_last_renewal_ends_the_session_too(clock: HandClock) -> None:
    source = Source(clock)
    login = Login(source, clock=clock)
    client = Client(login)
    first = login.token()
    advance_to_renewal(login, clock)
    until(lambda: source.renewals == 1 and login.token() is not first)
    login.logged_out(first)
    assert login.status()["logouts"] == 1
    assert login.status()["state"] == "none"
    client.share.detach()


def test_a_login_that_is_fought_over_ends_for_all(pool: Pool, clock: HandClock) -> None:
    source = Source(clock)
    login = Login(source, clock=clock)
    for _ in range(2):
        login.logged_out(take(pool, login, clock))
        clock.advance(20.0)
    last = take(pool, login, clock)
    waiting = pool.submit(login.token)
    login.logged_out(last)
    waiting.exception(PATIENCE_S)
    for _ in range(3):
        clock.advance(10_000.0)
        with pytest.raises(SessionTakenOver, match="3 times within 120 s"):
            login.token()
    assert source.logins == 3


def test_logouts_far_apart_are_no_fight(pool: Pool, clock: HandClock) -> None:
    login = Login(Source(clock), clock=clock)
    for _ in range(10):
        login.logged_out(take(pool, login, clock))
        clock.advance(61.0)
    assert take(pool, login, clock) is not None


def take(pool: Pool, login: Login, clock: HandClock) -> Token | None:
    """The token, letting time pass as needed."""
    asked: Future[Token | None] = pool.submit(login.token)
    until(lambda: asked.done() or clock.advance(0.5))
    return asked.result()


# Renewals


def advance_to_renewal(login: Login, clock: HandClock) -> None:
    until(lambda: login.status()["renewal_in_s"] is not None)
    clock.advance(max(0.0, login.status()["renewal_in_s"]) + 0.001)


def test_a_token_is_renewed_ahead_of_its_end_and_every_client_told_once(clock: HandClock) -> None:
    source = Source(clock)
    login = Login(source, clock=clock)
    clients = [Client(login), Client(login)]
    first = login.token()
    expires_ns = login.expires_ns(first)
    assert expires_ns == clock.now_ns() + 86_400 * 10**9
    assert 0.85 * 86_400 < login.status()["renewal_in_s"] < 0.9 * 86_400
    advance_to_renewal(login, clock)
    until(lambda: all(client.told for client in clients))
    second = login.token()
    assert second is not first
    assert (source.logins, source.renewals) == (1, 1)
    for client in clients:
        expected = {"expires_ns": login.expires_ns(second), "how": "renewed"}
        assert client.told == [("TokenRenewed", expected)]
        assert client.renewed == [second]
        client.share.detach()
    assert login.status()["renewal_in_s"] is not None
    assert not [t for t in threading.enumerate() if t.name == "tickwire-token-renewal"]


def test_a_renewal_that_fails_or_hangs_leaves_the_token_in_place(clock: HandClock) -> None:
    source, gate = Source(clock), threading.Event()
    login = Login(source, clock=clock)
    client = Client(login)
    first = login.token()

    def fail() -> None:
        raise LoginFailed("busy", retry_after_s=7.0)

    source.before = fail
    advance_to_renewal(login, clock)
    until(lambda: client.told)
    assert client.told == [("TokenRenewalFailed", {"reason": "busy", "retry_s": 7.0})]
    source.before = lambda: gate.wait() and None
    advance_to_renewal(login, clock)
    until(lambda: source.renewals == 2)
    # A connection that is made meanwhile takes the token there is, and does not wait.
    assert login.token() is first
    clock.advance(LoginLimits().fetch_s)
    until(lambda: len(client.told) == 2)
    kind, fields = client.told[1]
    assert kind == "TokenRenewalFailed"
    assert "within 30.0 s" in fields["reason"]
    assert login.token() is first
    source.before = lambda: None
    advance_to_renewal(login, clock)
    until(lambda: len(client.told) == 3)
    assert client.told[2][0] == "TokenRenewed"
    assert login.token() is not first
    gate.set()
    client.share.detach()


@pytest.mark.parametrize(
    "end", [Login.refused, Login.logged_out, lambda login, _: login.logout()], ids=["401", "told", "asked"]
)
def test_a_login_waits_for_no_renewal_of_a_token_that_is_worthless(
    pool: Pool, clock: HandClock, end: Callable[[Login, Token | None], None]
) -> None:
    source, gate, calls = Source(clock), threading.Event(), iter(range(2))
    login = Login(source, clock=clock)
    client = Client(login)
    first = login.token()
    # The renewal hangs, the login does not.
    source.before = lambda: next(calls) == 0 and gate.wait() and None  # type: ignore[assignment,return-value]
    advance_to_renewal(login, clock)
    until(lambda: source.renewals == 1)
    end(login, first)
    assert login.status()["given_up"] == login.status()["hanging"] == 1
    waiting = [pool.submit(login.token) for _ in range(2)]
    if end is Login.logged_out:
        until(lambda: len(login._waiting) == 2)
        clock.advance(LoginLimits().relogin_max_s)
    tokens = {id(one.result(PATIENCE_S)) for one in waiting}
    assert len(tokens) == 1
    assert (source.logins, source.renewals) == (2, 1)
    second = login.token()
    gate.set()
    until(lambda: login.status()["hanging"] == 0)
    assert login.status()["discarded"] == 1
    assert login.token() is second
    client.share.detach()


def test_an_async_renewal_of_a_token_that_is_refused_is_cancelled(clock: HandClock) -> None:
    began, ended = threading.Event(), threading.Event()

    class Slow(Source):
        async def renew(self, token: Token) -> str:  # type: ignore[override]
            began.set()
            try:
                await asyncio.sleep(3_600)
            finally:
                ended.set()
            return ""

    login = Login(Slow(clock), clock=clock)
    client = Client(login)
    first = login.token()
    advance_to_renewal(login, clock)
    assert began.wait(PATIENCE_S)
    login.refused(first)
    assert ended.wait(PATIENCE_S)
    until(lambda: login.status()["hanging"] == 0)
    assert login.token() is not first
    assert not [told for told in client.told if told[0] == "TokenRenewalFailed"]
    client.share.detach()


def test_a_token_that_cannot_be_renewed_is_replaced_by_a_login(clock: HandClock) -> None:
    source = Source(clock)
    source.renews = lambda token: None
    login = Login(source, clock=clock)
    client = Client(login)
    login.token()
    advance_to_renewal(login, clock)
    until(lambda: client.told)
    assert client.told[0][1]["how"] == "login"
    assert (source.logins, source.renewals) == (2, 1)
    client.share.detach()


def test_a_session_that_is_confirmed_without_a_new_token_goes_on(clock: HandClock) -> None:
    source = Source(clock)
    source.renews = lambda token: token
    login = Login(source, clock=clock)
    client = Client(login)
    first = login.token()
    for count in (1, 2, 3):
        advance_to_renewal(login, clock)
        until(lambda count=count: source.renewals == count)  # type: ignore[misc]
        until(lambda: login.status()["state"] == "valid")
        assert login.token() is first
    assert not client.told
    client.share.detach()


def test_the_renewal_thread_lives_while_somebody_is_attached(clock: HandClock) -> None:
    def renewals() -> list[str]:
        return [t.name for t in threading.enumerate() if t.name.endswith("token-renewal")]

    login = Login(Source(clock), clock=clock)
    login.token()
    assert not renewals()
    first_tasks, second_tasks = Tasks("first", clock), Tasks("second", clock)
    first, second = Client(login, tasks=first_tasks), Client(login, tasks=second_tasks)
    until(lambda: renewals() == ["first-token-renewal"])
    # The client whose thread it is goes: the next one lends its own.
    first.share.detach()
    assert first_tasks.close(PATIENCE_S) == ()
    until(lambda: renewals() == ["second-token-renewal"])
    # Tasks that are closed before their client has detached end it as well.
    assert second_tasks.close(PATIENCE_S) == ()
    assert not renewals()
    second.share.detach()
    second.share.detach()
    assert not renewals()
    third = Client(login)
    until(renewals)
    third.share.detach()
    assert not renewals()


def test_detaching_ends_a_call_that_nobody_waits_for(clock: HandClock) -> None:
    began, ended = threading.Event(), threading.Event()

    class Slow(Source):
        async def renew(self, token: Token) -> str:  # type: ignore[override]
            began.set()
            try:
                await asyncio.sleep(3_600)
            finally:
                ended.set()
            return ""

    login = Login(Slow(clock), clock=clock)
    client = Client(login)
    token = login.token()
    advance_to_renewal(login, clock)
    assert began.wait(PATIENCE_S)
    client.share.detach()
    assert ended.wait(PATIENCE_S)
    until(lambda: login.status()["state"] == "valid")
    assert login.token() is token


def test_logging_out_ends_the_session_where_the_source_can() -> None:
    ended: list[Token] = []

    class Leaves(Source):
        async def logout(self, token: Token) -> None:
            ended.append(token)

    source = Leaves(Clock())
    login = Login(source)
    token = login.token()
    login.logout()
    assert ended == [token]
    assert login.token() is not token
    Login("text").logout()


def test_thousand_renewals_leave_nothing_behind(clock: HandClock) -> None:
    count = 1_000
    source = Source(clock)
    login = Login(source, clock=clock)
    client = Client(login)
    held = login.token()
    process = psutil.Process()
    before: tuple[int, int] | None = None
    threads = 0
    for number in range(1, count + 1):
        advance_to_renewal(login, clock)
        until(lambda number=number: len(client.told) == number)  # type: ignore[misc]
        threads = max(threads, threading.active_count())
        if number == 100:
            before = (threads, process.num_fds())
        # Every so often a hub comes back in the middle of it.
        if number % 7 == 0:
            login.refused(held)
            held = login.token()
    assert before is not None
    assert (threads, process.num_fds()) == before
    assert source.renewals == count
    assert source.most_at_once == 1
    assert len(login._expiries) <= 4
    client.share.detach()
    del held


# What cannot work


def test_what_cannot_work_is_refused() -> None:
    with pytest.raises(ConfigError, match="token: got int"):
        Login(5)  # type: ignore[arg-type]
    for bad in (
        {"margin": 1.0},
        {"logouts": 0},
        {"fetch_s": 0.0},
        {"relogin_min_s": 6.0},
        {"retry_min_s": 61.0},
        {"hanging": 1.5},
    ):
        with pytest.raises(ConfigError, match=f"LoginLimits.{next(iter(bad))}"):
            LoginLimits(**bad)  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_source_that_ends_its_thread_is_a_failure(clock: HandClock) -> None:
    def source() -> str:
        raise SystemExit

    with pytest.raises(ConnectionFailed, match="ended its thread"):
        Login(source, clock=clock).token()
