"""One token that occurs nowhere else, followed through every way a connection can go.

The hub must see it once, in the Authorization header. It must be in no URL, no frame, no log record
with every logger at DEBUG, no message, no repr, no local variable of any frame of a traceback, and,
as far as the garbage collector can see from the client and its error, in no object but `Token`s.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import traceback
import types
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

import tickwire as tw
from hubs import CLOSE, Connection, HandmadeHub, Script, frame, good, park, record
from tickwire.auth import Token
from tickwire.client import Client, connect
from tickwire.link_limits import LinkLimits

# Never a local variable of this module's functions, whose frames are part of the tracebacks.
CANARY = "canary-5f1c2e97.b4d8.token"


def refused(connection: Connection) -> None:
    connection.read_request()
    connection.send(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")


def forbidden_with_echo(connection: Connection) -> None:
    connection.read_request()
    echo = connection.headers["authorization"].encode()
    body = b"not allowed: " + echo
    connection.send(
        b"HTTP/1.1 403 "
        + echo
        + b"\r\nWWW-Authenticate: "
        + echo
        + b"\r\nContent-Length: %d\r\n\r\n" % len(body)
        + body
    )


def redirect_with_echo(connection: Connection) -> None:
    connection.read_request()
    token = connection.headers["authorization"].split()[1].encode()
    connection.send(
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/hub?access_token=" + token + b"\r\n\r\n"
    )


def closed(connection: Connection) -> None:
    connection.read_request()


def reset(connection: Connection) -> None:
    connection.read_request()
    connection.reset()


def never_answers(connection: Connection) -> None:
    connection.read_request()
    park(connection)


def bad_accept_with_echo(connection: Connection) -> None:
    connection.read_request()
    echo = connection.headers["authorization"].encode()
    connection.send(connection.accept_bytes().replace(b"Accept: ", b"Accept: " + echo))


def bad_extension_with_echo(connection: Connection) -> None:
    connection.read_request()
    token = connection.headers["authorization"].split()[1].encode()
    header = b"Sec-WebSocket-Extensions: " + token + b"\r\n\r\n"
    connection.send(connection.accept_bytes().removesuffix(b"\r\n") + header)


def not_http_with_echo(connection: Connection) -> None:
    connection.read_request()
    connection.send(connection.raw + b"\r\n\r\n")


def handshake_error_with_echo(connection: Connection) -> None:
    connection.upgrade()
    connection.read_frame()
    connection.send(frame(record({"error": "bad " + connection.headers["authorization"]})))
    park(connection)


def handshake_garbage_with_echo(connection: Connection) -> None:
    connection.upgrade()
    connection.read_frame()
    connection.send(frame(connection.headers["authorization"].encode() + b"\x1e"))
    park(connection)


def handshake_never_answered(connection: Connection) -> None:
    connection.upgrade()
    park(connection)


def subscribe_error_with_echo(connection: Connection) -> None:
    connection.upgrade()
    connection.shake_hands()
    connection.complete(1, error="expired: " + connection.headers["authorization"])
    park(connection)


def close_message_with_echo(connection: Connection) -> None:
    connection.upgrade()
    connection.shake_hands()
    connection.send_records({"type": 7, "error": "logged out: " + connection.headers["authorization"]})
    park(connection)


def close_frame_with_echo(connection: Connection) -> None:
    connection.upgrade()
    connection.shake_hands()
    connection.send(frame(b"\x03\xf0" + connection.headers["authorization"].encode(), CLOSE))
    park(connection)


def violation_with_echo(connection: Connection) -> None:
    connection.upgrade()
    connection.shake_hands()
    connection.send(b"\xc1" + frame(connection.headers["authorization"].encode())[1:])
    park(connection)


FAILURES: list[Script] = [
    refused,
    forbidden_with_echo,
    redirect_with_echo,
    closed,
    reset,
    never_answers,
    bad_accept_with_echo,
    bad_extension_with_echo,
    not_http_with_echo,
    handshake_error_with_echo,
    handshake_garbage_with_echo,
    handshake_never_answered,
    subscribe_error_with_echo,
    close_message_with_echo,
    close_frame_with_echo,
    violation_with_echo,
]

LIMITS = LinkLimits(connect_s=0.3, handshake_s=0.3, subscribe_s=0.3)


@pytest.fixture
def logs(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Everything that anyone logs at any level."""
    caplog.set_level(logging.DEBUG)
    for name in ("SignalRCoreClient", "websockets", "websockets.client", "asyncio", "tickwire"):
        caplog.set_level(logging.DEBUG, logger=name)
    return caplog


def make_client(url: str) -> Client:
    engine = tw.Engine([tw.Instrument("A", tick_size=0.25)], timeframes=["1s"])
    return connect(hub=url, engine=engine, token=CANARY, streams="trades", limits=LIMITS, clock="event")


def chain(error: BaseException) -> Iterator[BaseException]:
    """The error and everything it was raised from or beside, hidden or not."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [one.__cause__, one.__context__]


def holders(roots: Iterable[object]) -> set[str]:
    """Types of the objects, reachable from `roots`, that directly hold a text with the canary."""
    skipped = (types.ModuleType, type, types.BuiltinFunctionType, types.CodeType)
    found: set[str] = set()
    seen: set[int] = set()
    waiting = list(roots)
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, skipped):
            continue
        seen.add(id(one))
        if isinstance(one, types.FrameType) and one.f_code.co_filename == __file__:
            continue
        if isinstance(one, types.FunctionType):
            # Its globals are a module's; what a function holds of its own is its closure.
            waiting += [one.__closure__, one.__defaults__]
            continue
        for held in gc.get_referents(one):
            if isinstance(held, str):
                if CANARY in held:
                    found.add(type(one).__name__)
            elif isinstance(held, bytes | bytearray):
                if CANARY.encode() in held:
                    found.add(type(one).__name__)
            else:
                waiting.append(held)
    return found


def check_nothing_leaked(client: Client, error: BaseException | None, logs: pytest.LogCaptureFixture) -> None:
    texts = [
        repr(client),
        str(client.status()),
        repr(vars(client)),
        repr(vars(client._supervisor)),
        logs.text,
    ]
    texts += [repr(vars(log)) for log in logs.records]
    if error is not None:
        for one in chain(error):
            shown = traceback.TracebackException.from_exception(one, capture_locals=True)
            texts += [*shown.format(), str(one), repr(one), repr(one.args), repr(vars(one))]
    assert not [text for text in texts if CANARY in text]
    assert holders([client, error]) <= {"Token"}


def check_the_hub_saw_it_once(connection: Connection) -> None:
    assert connection.raw.count(CANARY.encode()) == 1
    assert connection.headers["authorization"] == f"Bearer {CANARY}"
    assert CANARY not in connection.request_line
    assert not [payload for _, payload in connection.frames if CANARY.encode() in payload]


@pytest.mark.parametrize("script", FAILURES, ids=lambda script: script.__name__)
def test_no_failure_shows_the_token(script: Script, logs: pytest.LogCaptureFixture) -> None:
    with HandmadeHub(script) as hub:
        client = make_client(hub.url)
        with pytest.raises(tw.ConnectionFailed) as caught:
            client.__enter__()
        check_nothing_leaked(client, caught.value, logs)
        check_the_hub_saw_it_once(hub.connection())


def test_a_hub_that_is_not_there_shows_nothing(logs: pytest.LogCaptureFixture) -> None:
    with HandmadeHub(park) as hub:
        url = hub.url
    client = make_client(url)
    with pytest.raises(tw.ConnectionFailed) as caught:
        client.__enter__()
    check_nothing_leaked(client, caught.value, logs)


def test_success_reconnection_and_goodbye_show_nothing(logs: pytest.LogCaptureFixture) -> None:
    def once(connection: Connection) -> None:
        connection.open(1)

    with HandmadeHub(once, good(1)) as hub:
        with contextlib.ExitStack() as stack:
            client = stack.enter_context(make_client(hub.url))
            hub.connection(1)
            while client.status()["connections"] < 2:
                assert client.error is None
            check_nothing_leaked(client, client.error, logs)
            attempt = client._supervisor._attempt
            assert attempt is not None
            assert attempt.hub is not None
            for part in (attempt, attempt.hub, attempt.hub.transport, attempt.hub.transport.client):
                assert CANARY not in repr(part) + repr(vars(part))
            assert attempt.hub.headers == {}
            assert attempt.hub.token is None
        check_nothing_leaked(client, client.error, logs)
        for connection in hub.connections:
            check_the_hub_saw_it_once(connection)
    # The proof is worth something only if signalrcore's logger was being listened to.
    assert [log for log in logs.records if log.name == "SignalRCoreClient"]


def test_the_search_finds_what_it_looks_for(logs: pytest.LogCaptureFixture) -> None:
    class Careless:
        def __init__(self, header: str) -> None:
            self.header = header

    def fails(header: str) -> None:
        raise ValueError

    assert holders([Careless(f"Bearer {CANARY}")]) <= {"dict", "Careless"}
    assert holders([Careless(f"Bearer {CANARY}")])
    assert holders([Token(CANARY)]) == {"Token"}
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        fails(CANARY)
    shown: Any = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert CANARY in "".join(shown.format())
    logging.getLogger("SignalRCoreClient").debug("auth function result %s", CANARY)
    assert CANARY in logs.text
