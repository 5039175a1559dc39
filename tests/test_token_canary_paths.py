"""The secrets of the other ways to a hub: negotiate, redirects, proxies, and the token in the query.

As in the other canary tests, each is planted once and searched for in every log, text, repr, traceback
and object. On the wire each may appear in one place only.
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable
from urllib.parse import quote

import pytest

import tickwire as tw
from canary import check_nothing_leaked, listen
from decisions import first_of_all
from http_scripts import http, ids, negotiated, tunnel
from hubs import Connection, HandmadeHub, Script, frame, good, park, record
from tickwire.client import Client
from tickwire.connecting import connect
from tickwire.link_limits import LinkLimits
from tickwire.route import TokenInQueryWarning

# Never local variables of this module's functions, whose frames are part of the tracebacks.
TOKEN = "canary+5f1c2e97/b4d8=="
QUOTED = quote(TOKEN, safe="")
ID = "canary+id-77e0a1/c3=="
THEIRS = "canary-theirs-90ab"
PASSWORD = "canary-pa55word"
BASIC = base64.b64encode(f"user:{PASSWORD}".encode()).decode()
SECRETS = (TOKEN, QUOTED, ID, quote(ID, safe=""), THEIRS, PASSWORD, BASIC)

LIMITS = LinkLimits(negotiate_s=0.3, connect_s=0.3, handshake_s=0.3, subscribe_s=0.3)


@pytest.fixture
def logs(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Everything that anyone logs at any level."""
    listen(caplog)
    return caplog


def make_client(url: str, *, proxy_port: int | None = None, negotiate: bool = False) -> Client:
    return connect(
        hub=url,
        engine=tw.Engine([tw.Instrument("A", tick_size=0.25)], timeframes=["1s"]),
        token=TOKEN,
        streams="trades",
        clock="event",
        limits=LIMITS,
        process_failure=first_of_all,
        negotiate=negotiate,
        proxy=None if proxy_port is None else f"http://user:{PASSWORD}@127.0.0.1:{proxy_port}",
    )


def fails(client: Client, logs: pytest.LogCaptureFixture) -> None:
    with pytest.raises(tw.ConnectionFailed) as caught:
        client.__enter__()
    check_nothing_leaked(client, caught.value, logs, *SECRETS)


# Answers that quote all that they were sent


def echo(head: bytes, separator: bytes = b"\r\n") -> Script:
    """A script: after `head` a header with the whole request in it, and the request as the body."""

    def script(connection: Connection) -> None:
        connection.read_request()
        said = connection.raw
        header = b"X-Echo: " + said.replace(b"\r\n", b" ")
        connection.send(head + separator + header + b"\r\nContent-Length: %d\r\n\r\n" % len(said) + said)

    return script


def half_an_echo(connection: Connection) -> None:
    connection.read_request()
    connection.send(b"HTTP/1.1 200 OK\r\nX-Echo: " + connection.raw.replace(b"\r\n", b" "))
    park(connection)


def half_a_body(connection: Connection) -> None:
    connection.read_request()
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n" + connection.raw)
    park(connection)


def reset(connection: Connection) -> None:
    connection.read_request()
    connection.reset()


def silent(connection: Connection) -> None:
    connection.read_request()
    park(connection)


def says(make: Callable[[str], object]) -> Script:
    """A script: a negotiate answered with what `make` makes of the token."""

    def script(connection: Connection) -> None:
        connection.read_request()
        connection.send(http(make(connection.headers["authorization"].removeprefix("Bearer "))))

    return script


ANSWERS: dict[str, Script] = {
    "401": echo(b"HTTP/1.1 401 Unauthorized"),
    "302": echo(b"HTTP/1.1 302 Found"),
    "no JSON": echo(b"HTTP/1.1 200 OK"),
    "no HTTP": echo(b"HTTP/9.9 what"),
    "half a head": half_an_echo,
    "half a body": half_a_body,
    "reset": reset,
    "silent": silent,
    "error": says(
        lambda token: {"error": f"expired: {token} or {quote(token, safe='')}", "connectionToken": ID}
    ),
    "redirect with the token": says(
        lambda token: {"url": f"https://h.example/{token}", "accessToken": THEIRS}
    ),
    "redirect with our token": says(lambda token: {"url": "https://h.example/", "accessToken": token}),
    "redirect to nowhere": says(
        lambda token: {"url": "https://h.example:x/", "accessToken": THEIRS + "\n\n x"}
    ),
    "no WebSockets": says(lambda token: ids(connectionToken=ID, availableTransports=[])),
    "no token": says(lambda token: ids(connectionToken=ID + "\nx")),
}


@pytest.mark.parametrize("script", ANSWERS.values(), ids=ANSWERS.keys())
def test_no_failed_negotiate_shows_a_secret(script: Script, logs: pytest.LogCaptureFixture) -> None:
    with HandmadeHub(script) as hub:
        fails(make_client(hub.url, negotiate=True), logs)
        assert len(hub.connections) == 1
        assert hub.connection().raw.count(TOKEN.encode()) == 1


# What comes after a negotiate


def handshake_error(connection: Connection) -> None:
    connection.upgrade()
    connection.read_frame()
    connection.send(frame(record({"error": f"gone: {connection.raw.decode('latin-1')} {ID}"})))
    park(connection)


def close_message(connection: Connection) -> None:
    connection.upgrade()
    connection.shake_hands()
    connection.send_records({"type": 7, "error": f"{connection.request_line} {connection.headers} {ID}"})
    park(connection)


@pytest.mark.parametrize(
    "script",
    [echo(b"HTTP/1.1 404 Not Found"), echo(b"HTTP/1.1 101 Go"), handshake_error, close_message, silent],
    ids=["404", "101", "handshake error", "close message", "silent"],
)
def test_no_failure_after_a_negotiate_shows_the_id(script: Script, logs: pytest.LogCaptureFixture) -> None:
    with HandmadeHub(negotiated(ids(connectionToken=ID)), script) as hub:
        fails(make_client(hub.url, negotiate=True), logs)
        upgrade = hub.connection(1)
        assert upgrade.request_line == f"GET /hubs/market?id={quote(ID, safe='')} HTTP/1.1"
        assert upgrade.headers["authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    "scripts",
    [
        [echo(b"HTTP/1.1 401 Unauthorized")],
        [negotiated(ids(connectionToken=ID)), handshake_error],
        [negotiated(ids(connectionToken=ID)), close_message],
        [says(lambda token: {"error": f"unknown: {token}"})],
        [silent],
    ],
    ids=["401", "handshake error", "close message", "error", "silent"],
)
def test_no_failure_after_a_redirect_shows_a_secret(
    scripts: list[Script], logs: pytest.LogCaptureFixture
) -> None:
    with HandmadeHub(*scripts) as second:
        with HandmadeHub(negotiated({"url": second.url + "?asrs=1", "accessToken": THEIRS})) as first:
            fails(make_client(first.url, negotiate=True), logs)
        for connection in second.connections:
            assert TOKEN.encode() not in connection.raw
            assert connection.headers["authorization"] == f"Bearer {THEIRS}"


# Proxies


@pytest.mark.parametrize(
    "script",
    [
        echo(b"HTTP/1.1 407 Proxy Authentication Required"),
        echo(b"HTTP/1.1 502 Bad Gateway"),
        echo(b"HTTP/1.1 200 OK"),
        echo(b"HTTP/9.9 what"),
        half_an_echo,
        reset,
        silent,
    ],
    ids=["407", "502", "talks", "no HTTP", "half a head", "reset", "silent"],
)
@pytest.mark.parametrize("negotiate", [False, True], ids=["upgrade", "negotiate"])
def test_no_failed_tunnel_shows_the_credentials(
    script: Script, negotiate: bool, logs: pytest.LogCaptureFixture
) -> None:
    with HandmadeHub(park) as hub, HandmadeHub(script) as proxy:
        fails(make_client(hub.url, proxy_port=proxy.port, negotiate=negotiate), logs)
        assert hub.connections == []
        assert proxy.connection().raw.count(BASIC.encode()) == 1
        assert TOKEN.encode() not in proxy.connection().raw


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_no_failure_inside_a_tunnel_shows_a_secret(scheme: str, logs: pytest.LogCaptureFixture) -> None:
    # For wss the answer is no TLS.
    script = (
        echo(b"HTTP/1.1 403 Forbidden")
        if scheme == "ws"
        else lambda connection: connection.send(b"HTTP/1.1 4")
    )
    with HandmadeHub(script) as hub, HandmadeHub(tunnel) as proxy:
        fails(make_client(f"{scheme}://127.0.0.1:{hub.port}/", proxy_port=proxy.port), logs)
        assert BASIC.encode() not in hub.connection().raw


def test_success_through_everything_shows_nothing(logs: pytest.LogCaptureFixture) -> None:
    def once(connection: Connection) -> None:
        connection.open(1)

    negotiate = negotiated(ids(connectionToken=ID))
    with HandmadeHub(negotiate, once, negotiate, good(1)) as hub, HandmadeHub(tunnel) as proxy:
        with contextlib.ExitStack() as stack:
            client = stack.enter_context(make_client(hub.url, proxy_port=proxy.port, negotiate=True))
            hub.connection(3)
            while client.status()["connections"] < 2:
                assert client.error is None
            check_nothing_leaked(client, client.error, logs, *SECRETS)
        check_nothing_leaked(client, client.error, logs, *SECRETS)
        for connection in hub.connections:
            assert connection.raw.count(TOKEN.encode()) == 1
            assert BASIC.encode() not in connection.raw
        assert [one.raw.count(BASIC.encode()) for one in proxy.connections] == [1, 1, 1, 1]


# The token in the query


def ask_in_query(url: str, *, negotiate: bool = False) -> Client:
    with pytest.warns(TokenInQueryWarning, match="puts the token into the URL") as warned:
        client = connect(
            hub=url,
            engine=tw.Engine([tw.Instrument("A", tick_size=0.25)], timeframes=["1s"]),
            token=TOKEN,
            streams="trades",
            clock="event",
            limits=LIMITS,
            process_failure=first_of_all,
            token_in="query",
            negotiate=negotiate,
        )
    assert [one.filename for one in warned] == [__file__]
    assert not any(TOKEN in str(one.message) for one in warned)
    return client


@pytest.mark.parametrize(
    "script",
    [
        echo(b"HTTP/1.1 401 Unauthorized"),
        echo(b"HTTP/1.1 302 Found"),
        echo(b"HTTP/1.1 101 Go"),
        echo(b"HTTP/9.9 what"),
        half_an_echo,
        reset,
        silent,
        handshake_error,
        close_message,
    ],
    ids=[
        "401",
        "302",
        "101",
        "no HTTP",
        "half a head",
        "reset",
        "silent",
        "handshake error",
        "close message",
    ],
)
def test_no_failure_with_the_token_in_the_query_shows_it(
    script: Script, logs: pytest.LogCaptureFixture
) -> None:
    with HandmadeHub(script) as hub:
        fails(ask_in_query(hub.url + "?firm=7"), logs)
        connection = hub.connection()
        assert connection.request_line == f"GET /hubs/market?firm=7&access_token={QUOTED} HTTP/1.1"
        assert "authorization" not in connection.headers
        assert connection.raw.count(QUOTED.encode()) == 1


def test_success_with_the_token_in_the_query_shows_nothing(logs: pytest.LogCaptureFixture) -> None:
    negotiate = negotiated(ids(connectionToken=ID))
    with HandmadeHub(negotiate, good(1)) as hub:
        with ask_in_query(hub.url, negotiate=True) as client:
            check_nothing_leaked(client, None, logs, *SECRETS)
        check_nothing_leaked(client, None, logs, *SECRETS)
        asked, upgraded = hub.connections
        assert asked.headers["authorization"] == f"Bearer {TOKEN}"
        assert QUOTED not in asked.request_line
        wanted = f"GET /hubs/market?id={quote(ID, safe='')}&access_token={QUOTED} HTTP/1.1"
        assert upgraded.request_line == wanted


def test_the_embedded_hub_takes_a_token_from_the_query() -> None:
    with tw.sim.Hub(accept_query_token=True) as hub:
        engine = tw.Engine([tw.Instrument("A", tick_size=0.25)], timeframes=["1s"])
        with (
            pytest.warns(TokenInQueryWarning),
            connect(hub.url, engine=engine, token=hub.token(), token_in="query") as client,
        ):
            assert client.state == "live"
        assert "authorization" not in hub.requests[-1].headers


# Arguments that cannot work


def test_no_refused_argument_shows_its_secret(logs: pytest.LogCaptureFixture) -> None:
    engine = tw.Engine([tw.Instrument("A", tick_size=0.25)], timeframes=["1s"])
    with pytest.raises(tw.ConfigError) as caught:
        connect("wss://h.example", engine=engine, proxy=f"https://user:{PASSWORD}@127.0.0.1:1")
    check_nothing_leaked(None, caught.value, logs, *SECRETS)
    with pytest.raises(tw.ConfigError) as caught:
        connect("wss://h.example", engine=engine, proxy=f"http://user:{PASSWORD}@[127.0.0.1:1")
    check_nothing_leaked(None, caught.value, logs, *SECRETS)
    with pytest.raises(tw.ConfigError) as caught:
        connect(f"wss://h.example?access_token={TOKEN}", engine=engine)
    check_nothing_leaked(None, caught.value, logs, *SECRETS)
    with pytest.raises(tw.ConfigError) as caught:
        connect(f"wss://user:{PASSWORD}@[h.example", engine=engine)
    check_nothing_leaked(None, caught.value, logs, *SECRETS)
    with pytest.raises(tw.ConfigError) as caught:
        connect("wss://h.example", engine=engine, token=f"{TOKEN}\n{THEIRS}")
    check_nothing_leaked(None, caught.value, logs, *SECRETS)
