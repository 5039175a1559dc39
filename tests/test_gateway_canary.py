"""User, key and tokens of a gateway, followed through every way a request can go.

Key and user are in the body of the login and nowhere else; a token is in the Authorization header
and nowhere else. The server quotes them in whatever it answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from canary import chain, holders, listen
from tickwire import sim
from tickwire.auth import Token
from tickwire.errors import TickwireError
from tickwire.gateway import Gateway, projectx
from tickwire.login_limits import LoginLimits
from tickwire.sim.routes import Answer, Posted

# Never local variables of this module's functions, whose frames are part of the tracebacks.
USER = "canary-user-71c9"
KEY = "canary-key-9d30/4e=="
OPAQUE = "canary-opaque-52aa"
LIMITS = LoginLimits(retry_min_s=0.01, fetch_s=5.0)


@pytest.fixture
def logs(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    listen(caplog)
    for name in ("httpx", "httpcore", "httpcore.connection", "httpcore.http11", "httpcore.proxy"):
        caplog.set_level(logging.DEBUG, logger=name)
    return caplog


def secrets(hub: sim.Hub) -> set[str]:
    """All that must not be seen: user, key, and every token that was ever given out or sent."""
    sent = {request.headers.get("authorization", "").removeprefix("Bearer ") for request in hub.requests}
    return (sent | {USER, KEY, OPAQUE} | set(hub._core.tokens._opaque)) - {""}


def echo(status: int, shape: Callable[[str], bytes]) -> Callable[[Posted, bytes], Answer]:
    """A route that quotes what it was sent, in headers and body."""

    def answer(request: Posted, body: bytes) -> Answer:
        said = f"{request.headers.get('authorization', '')} {body.decode()}".strip()
        quoted = said.replace('"', "'")
        headers = (("x-echo", quoted), ("set-cookie", quoted), ("location", f"http://127.0.0.1:9/?{quoted}"))
        return Answer(status, headers if status != 200 else headers[:1], shape(quoted))

    return answer


def plain(said: str) -> bytes:
    return said.encode()


def failure(said: str) -> bytes:
    return b'{"success": false, "errorCode": 8, "errorMessage": "%s"}' % said.encode()


def bad_token(said: str) -> bytes:
    return b'{"success": true, "token": "%b\\n", "newToken": "x %b", "contracts": [{"id": "%b"}]}'.replace(
        b"%b", said.replace("/", "\\/").encode()
    )


def ways() -> Iterator[tuple[str, int, Callable[[str], bytes]]]:
    for status in (302, 307, 400, 401, 403, 404, 429, 500):
        yield f"{status}", status, plain
    yield "garbage", 200, plain
    yield "failure", 200, failure
    yield "bad token", 200, bad_token


WAYS = list(ways())
PATHS = ["/api/Auth/loginKey", "/api/Auth/validate", "/api/Auth/logout", "/api/Contract/search"]


@contextlib.contextmanager
def gateway(*, opaque: bool = False) -> Iterator[tuple[sim.Hub, Gateway]]:
    with sim.Hub(rest=sim.Rest({USER: KEY}, opaque=opaque)) as hub:
        base = f"http://127.0.0.1:{hub.port}"
        yield hub, projectx(USER, KEY, api=base, hubs=base, login_limits=LIMITS)


def use_all(gw: Gateway) -> list[TickwireError]:
    """Everything that asks the gateway; the errors."""
    errors: list[TickwireError] = []
    for ask in (
        lambda: gw.contracts("ES"),
        lambda: renew(gw),
        lambda: gw.login.logout(),
        lambda: gw.contract("x"),
    ):
        try:
            ask()
        except TickwireError as error:
            errors.append(error)
    return errors


def renew(gw: Gateway) -> Token | None:
    source = gw.login._provider
    token = source.fetch(None, 5.0)
    assert token is not None
    return source.renew(token, None, 5.0)


def check(hub: sim.Hub, gw: Gateway, errors: list[TickwireError], logs: pytest.LogCaptureFixture) -> None:
    hidden = secrets(hub)
    texts = [logs.text, *(repr(vars(log)) for log in logs.records)]
    texts += [repr(gw), repr(vars(gw)), repr(gw.login), repr(vars(gw.login)), str(gw.login.status())]
    texts += [repr(vars(gw.login._state)), repr(vars(gw._rest)), repr(gw.login._provider)]
    for error in errors:
        for one in chain(error):
            shown = traceback.TracebackException.from_exception(one, capture_locals=True)
            texts += [*shown.format(), str(one), repr(one), repr(one.args), repr(vars(one))]
    assert not [text for text in texts for secret in hidden if secret in text]
    assert holders([gw, *errors], hidden) <= {"Token", "_UserOrKey"}
    for request in hub.requests:
        rest = {name: value for name, value in request.headers.items() if name != "authorization"}
        said = f"{request.path} {request.query} {rest}"
        assert not [secret for secret in hidden if secret in said]
        if not request.path.endswith("loginKey"):
            assert not [secret for secret in hidden if secret.encode() in request.body]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.rsplit("/", 1)[-1])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way[0])
def test_no_answer_that_quotes_a_secret_shows_it(
    way: tuple[str, int, Callable[[str], bytes]], path: str, logs: pytest.LogCaptureFixture
) -> None:
    with gateway(opaque=way[1] == 200) as (hub, gw):
        hub._core.routes[path] = echo(way[1], way[2])
        errors = use_all(gw)
        assert errors
        check(hub, gw, errors, logs)


@pytest.mark.parametrize(
    "fault", [sim.NoAnswer(at="rest"), sim.Drop("rst", at="rest")], ids=["silent", "reset"]
)
def test_no_request_that_breaks_off_shows_a_secret(fault: Any, logs: pytest.LogCaptureFixture) -> None:
    with gateway() as (hub, gw):
        gw.contracts("ES")
        hub.fault(fault, times=None)
        errors: list[TickwireError] = []
        for _ in range(2):
            with pytest.raises(TickwireError) as caught:
                gw.contracts("ES", time_limit_s=0.2)
            errors.append(caught.value)
        check(hub, gw, errors, logs)
    # And when nobody is there.
    errors += use_all(gw)
    check(hub, gw, errors, logs)


@pytest.mark.parametrize("opaque", [False, True])
def test_success_shows_nothing_and_the_search_finds_what_it_looks_for(
    opaque: bool, logs: pytest.LogCaptureFixture
) -> None:
    with gateway(opaque=opaque) as (hub, gw):
        share = gw.login.attach(lambda kind, **fields: logging.getLogger("test").info("%s %s", kind, fields))
        assert use_all(gw)
        gw.login.logged_out(gw.login.token(), KEY[:5])
        share.detach()
        check(hub, gw, [], logs)
        # The proof is worth something only if httpx was being listened to, and requests were logged.
        assert any(log.name == "httpx" and "/api/Auth/loginKey" in log.getMessage() for log in logs.records)
        # Requests of others are logged as ever.
        with httpx.Client(trust_env=False) as client:
            client.post(f"http://127.0.0.1:{hub.port}/x", headers={"x-mine": OPAQUE})
        assert any(log.name == "httpcore.http11" for log in logs.records)
        assert holders([Token(OPAQUE)], secrets(hub)) == {"Token"}
        assert secrets(hub) >= {USER, KEY, OPAQUE}
        assert len(secrets(hub)) > 3


def test_arguments_that_are_refused_show_nothing() -> None:
    for arguments in (
        {"user": USER, "key": ""},
        {"user": USER, "key": KEY, "api": f"http://{KEY}"},
        {"user": USER, "key": KEY, "hubs": f"https://{USER}:{KEY}@host"},
        {"user": USER, "key": KEY, "proxy": f"http://{USER}:{KEY}@/x"},
    ):
        with pytest.raises(TickwireError) as caught:
            # In a call of its own, since this frame's locals are the test's.
            (lambda arguments: projectx(**arguments))(arguments)
        assert KEY not in str(caught.value)
        frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
        inside = [frame for frame in frames if "/tickwire/" in frame.filename]
        assert inside
        shown = [text for frame in inside for text in (frame.locals or {}).values()]
        assert not [text for text in shown if KEY in text or USER in text]


def test_a_call_from_a_running_loop_shows_nothing(logs: pytest.LogCaptureFixture) -> None:
    async def main(gw: Gateway) -> list[TickwireError]:
        return use_all(gw)

    with gateway() as (hub, gw):
        hub._core.routes["/api/Contract/search"] = echo(500, plain)
        check(hub, gw, asyncio.run(main(gw)), logs)
