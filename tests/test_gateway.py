"""A gateway object against the embedded hub's REST side: login, renewal, contracts, and every way to fail."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from hubs import PATIENCE_S, no_leftovers
from tickwire import events, sim
from tickwire.clock import Clock
from tickwire.errors import ConfigError, ConnectTimeout, LoginFailed, RequestFailed
from tickwire.gateway import Gateway, projectx
from tickwire.login_limits import LoginLimits
from tickwire.pause import Pause
from tickwire.projectx import CONTRACT_SEARCH
from tickwire.wakeup import Stopped


@contextmanager
def gateway(*, key: str = "k", **options: Any) -> Iterator[tuple[sim.Hub, Gateway]]:
    rest = sim.Rest({"me": "k"}, **options)
    gc.collect()  # what earlier tests have left is not counted here
    with no_leftovers(), sim.Hub(rest=rest) as hub:
        yield hub, make(hub, key=key, login_limits=LoginLimits(retry_min_s=0.02))


def make(hub: sim.Hub, *, key: str = "k", **options: Any) -> Gateway:
    base = f"http://127.0.0.1:{hub.port}"
    return projectx("me", key, api=base, hubs=base, **options)


def asked(hub: sim.Hub) -> list[tuple[str, int | None]]:
    return [(request.path.removeprefix("/api/"), request.status) for request in hub.requests]


def until(condition: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, "it did not come to pass"
        time.sleep(0.005)


def test_contracts_are_found_after_one_login() -> None:
    with gateway() as (hub, gw):
        (found,) = gw.contracts("nq")
        assert (found.id, found.name, found.tick_size) == ("CON.F.US.ENQ.Z26", "NQZ6", 0.25)
        assert gw.contract(found.id) == found
        assert gw.contracts("no such thing") == []
        with pytest.raises(RequestFailed, match="there is no such contract") as caught:
            gw.contract("CON.X")
        assert (caught.value.code, caught.value.permanent) == (1, True)
        assert asked(hub)[:2] == [("Auth/loginKey", 200), ("Contract/search", 200)]
        assert [path for path, _ in asked(hub)].count("Auth/loginKey") == 1


def test_a_notebook_can_ask_though_its_loop_is_running() -> None:
    async def main(gw: Gateway) -> None:
        assert gw.contracts("nq")

    with gateway() as (_, gw):
        asyncio.run(main(gw))


def test_the_login_opens_the_hubs() -> None:
    with gateway() as (hub, gw):
        token = gw.login.token()
        assert token is not None
        assert hub._core.tokens.check(token.reveal()).sub == "me"
        assert (gw.market_hub, gw.user_hub) == (hub.url, hub.user_url)


def test_wrong_credentials_end_the_login_at_once() -> None:
    with gateway(key="wrong") as (hub, gw):
        for _ in range(3):
            with pytest.raises(LoginFailed, match="code 3: user or key are wrong") as caught:
                gw.contracts("ES")
            assert caught.value.permanent
        assert asked(hub) == [("Auth/loginKey", 200)]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (sim.Refuse(500, at="rest"), "500 Internal Server Error"),
        (sim.Refuse(403, at="rest"), "403 Forbidden"),
        (sim.Refuse(200, at="rest", body=b"{"), "something other than a JSON object"),
        (sim.Refuse(200, at="rest", body=b'{"success": true}'), "without a token"),
        (sim.Refuse(200, at="rest", body=b'{"success": true, "token": "a b"}'), "without a token"),
        (sim.Drop("rst", at="rest"), "did not answer properly"),
        (sim.refusal(8), "does not say why"),
        (sim.refusal(99), "not documented"),
    ],
)
def test_a_login_server_in_trouble_is_asked_again(fault: Any, words: str) -> None:
    with gateway() as (hub, gw):
        hub.fault(fault)
        with pytest.raises(LoginFailed, match=words) as caught:
            gw.contracts("ES")
        assert not caught.value.permanent
        assert gw.contracts("nq"), "after the delay, which is waited for"


def test_a_login_server_that_is_asked_too_often_says_when_to_come_back() -> None:
    with gateway(other=(1, 3600.0)) as (hub, gw):
        gw.login.token()
        with pytest.raises(LoginFailed, match="429 Too Many Requests"):
            gw.login.logout()
        with pytest.raises(LoginFailed, match="rate-limited") as caught:
            gw.login.token()
        assert caught.value.retry_after_s is not None
        assert caught.value.retry_after_s > 3000
        assert len(hub.requests) == 2


def test_a_token_that_has_expired_is_replaced_and_the_request_repeated() -> None:
    with gateway() as (hub, gw):
        gw.contracts("nq")
        token = gw.login.token()
        assert token is not None
        hub.expire(token.reveal())
        assert gw.contracts("nq")
        assert asked(hub)[2:] == [("Contract/search", 401), ("Auth/loginKey", 200), ("Contract/search", 200)]
        hub.fault(sim.Refuse(401, at="rest"), only=CONTRACT_SEARCH, times=None)
        with pytest.raises(RequestFailed, match="401 Unauthorized") as caught:
            gw.contracts("nq")
        assert caught.value.permanent


def test_a_renewal_stays_in_its_session() -> None:
    with gateway(token_ttl_s=1) as (hub, gw):
        told: list[tuple[type[events.Event], dict[str, Any]]] = []
        share = gw.login.attach(lambda kind, **fields: told.append((kind, fields)))
        first = gw.login.token()
        until(lambda: len(told) >= 2)
        second = gw.login.token()
        share.detach()
        assert first is not None
        assert second is not None
        tokens = hub._core.tokens
        assert tokens.read(first.reveal()).session == tokens.check(second.reveal()).session
        assert {fields["how"] for _, fields in told} == {"renewed"}
        assert {path for path, _ in asked(hub)[1:]} == {"Auth/validate"}


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (None, "another"),
        (sim.refusal(1), None),
        (sim.refusal(2), None),
        (sim.refusal(3), None),
        (sim.Refuse(401, at="rest"), None),
        (sim.refusal(4), "did not validate the session, code 4"),
        (sim.Refuse(500, at="rest"), "500"),
        (sim.Refuse(200, at="rest", body=b'{"success": true, "newToken": 5}'), "without a token"),
        (sim.Refuse(200, at="rest", body=b'{"success": true, "newToken": null}'), "same"),
    ],
)
def test_what_a_validation_may_say(fault: Any, outcome: str | None) -> None:
    with gateway() as (hub, gw):
        source = gw.login._provider
        token = source.fetch(None, 10.0)
        assert token is not None
        if fault is not None:
            hub.fault(fault)
        if outcome in (None, "same", "another"):
            renewed = source.renew(token, None, 10.0)
            expected = {None: renewed is None, "same": renewed is token, "another": renewed is not token}
            assert expected[outcome]
        else:
            with pytest.raises(LoginFailed, match=outcome) as caught:
                source.renew(token, None, 10.0)
            assert not caught.value.permanent


def test_logging_out_ends_the_session_at_the_gateway() -> None:
    with gateway() as (hub, gw):
        token = gw.login.token()
        assert token is not None
        gw.login.logout()
        with pytest.raises(Exception, match="expired token"):
            hub._core.tokens.check(token.reveal())
        assert gw.login.token() is not token
        assert [path for path, _ in asked(hub)] == ["Auth/loginKey", "Auth/logout", "Auth/loginKey"]


def test_all_of_a_request_ends_within_its_limit_or_when_it_is_stopped() -> None:
    with gateway() as (hub, gw):
        gw.login.token()
        hub.fault(sim.NoAnswer(at="rest"), times=None)
        with pytest.raises(RequestFailed, match="did not answer within"):
            gw.contracts("ES", time_limit_s=0.2)
        pause = Pause(Clock())
        threading.Timer(0.1, pause.stop).start()
        with pytest.raises(Stopped):
            gw.post(CONTRACT_SEARCH, {}, time_limit_s=3600.0, pause=pause)
    with gateway() as (hub, gw):
        hub.fault(sim.NoAnswer(at="rest"), times=None)
        share = gw.login.attach(lambda kind, **fields: None)
        with pytest.raises(ConnectTimeout, match="delivered no token within"):
            gw.contracts("ES", time_limit_s=0.2)
        # Nobody waits for the login any more: it ends with the last client.
        share.detach()


def test_two_sessions_of_one_user_log_each_other_out() -> None:
    rest = sim.Rest({"me": "k"})
    with no_leftovers(), sim.Hub(rest=rest, one_session=True) as hub:
        limits = LoginLimits(relogin_min_s=0.01, relogin_max_s=0.02)
        mine, other = make(hub, login_limits=limits), make(hub)
        token = mine.login.token()
        other.login.token()
        assert token is not None
        with pytest.raises(Exception, match="another session is active"):
            hub._core.tokens.check(token.reveal())
        mine.login.logged_out(token, "another session")
        token = mine.login.token()
        assert token is not None
        assert hub._core.tokens.check(token.reveal()).sub == "me"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"user": ""}, "user and key must be texts and not empty"),
        ({"key": None}, "user and key must be texts and not empty, got NoneType"),
        ({"api": "http://example.com"}, "api: http:// to example.com"),
        ({"hubs": "http://example.com"}, "hubs: http:// to example.com"),
        ({"hubs": None}, "hubs: must be a URL"),
        ({"proxy": "socks5://localhost"}, "proxy: "),
    ],
)
def test_what_cannot_work_is_refused(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        projectx(**({"user": "me", "key": "k"} | arguments))


def test_the_addresses_of_topstepx_are_the_default() -> None:
    gw = projectx("me", "k")
    assert repr(gw) == "Gateway(https://api.topstepx.com:443)"
    assert gw.market_hub == "https://rtc.topstepx.com/hubs/market"
    assert gw.user_hub == "https://rtc.topstepx.com/hubs/user"
