"""One token that occurs nowhere else, followed through every way a connection can go.

The hub must see it once, in the Authorization header. It must be in no URL, no frame, no log record
with every logger at DEBUG, no message, no repr, no local variable of any frame of a traceback, and,
as far as the garbage collector can see from the client and its error, in no object but `Token`s.
"""

from __future__ import annotations

import contextlib
import logging
import traceback
from typing import Any

import pytest

import tickwire as tw
from canary import check_nothing_leaked, holders, listen
from decisions import first_of_all
from hubs import CLOSE, Connection, HandmadeHub, Script, frame, good, park, record
from tickwire.auth import Token
from tickwire.client import Client
from tickwire.connecting import connect
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
    listen(caplog)
    return caplog


def make_client(url: str) -> Client:
    engine = tw.Engine([tw.Instrument("A", tick_size=0.25)], timeframes=["1s"])
    return connect(
        hub=url,
        engine=engine,
        token=CANARY,
        streams="trades",
        limits=LIMITS,
        clock="event",
        process_failure=first_of_all,
    )


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
        check_nothing_leaked(client, caught.value, logs, CANARY)
        check_the_hub_saw_it_once(hub.connection())


def test_a_hub_that_is_not_there_shows_nothing(logs: pytest.LogCaptureFixture) -> None:
    with HandmadeHub(park) as hub:
        url = hub.url
    client = make_client(url)
    with pytest.raises(tw.ConnectionFailed) as caught:
        client.__enter__()
    check_nothing_leaked(client, caught.value, logs, CANARY)


def test_success_reconnection_and_goodbye_show_nothing(logs: pytest.LogCaptureFixture) -> None:
    def once(connection: Connection) -> None:
        connection.open(1)

    with HandmadeHub(once, good(1)) as hub:
        with contextlib.ExitStack() as stack:
            client = stack.enter_context(make_client(hub.url))
            hub.connection(1)
            while client.status()["connections"] < 2:
                assert client.error is None
            check_nothing_leaked(client, client.error, logs, CANARY)
            attempt = client._supervisor._attempt
            assert attempt is not None
            assert attempt.link.hub is not None
            for part in (
                attempt,
                attempt.link.hub,
                attempt.link.hub.transport,
                attempt.link.hub.transport.client,
            ):
                assert CANARY not in repr(part) + repr(vars(part))
            assert attempt.link.hub.headers == {}
            assert attempt.link.hub.token is None
        check_nothing_leaked(client, client.error, logs, CANARY)
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

    assert holders([Careless(f"Bearer {CANARY}")], [CANARY]) <= {"dict", "Careless"}
    assert holders([Careless(f"Bearer {CANARY}")], [CANARY])
    assert holders([Token(CANARY)], [CANARY]) == {"Token"}
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        fails(CANARY)
    shown: Any = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert CANARY in "".join(shown.format())
    logging.getLogger("SignalRCoreClient").debug("auth function result %s", CANARY)
    assert CANARY in logs.text
