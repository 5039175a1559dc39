"""Proxies: how one is chosen, and tunnels through real ones, good and bad."""

from __future__ import annotations

import base64
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tickwire as tw
from decisions import first_of_all
from http_scripts import answered, asks_for, ids, negotiated, tunnel
from hubs import Connection, HandmadeHub, Script, good, no_leftovers, park
from tickwire.address import HubAddress
from tickwire.client import Client
from tickwire.connecting import connect
from tickwire.errors import ConfigError, ConnectionFailed, ConnectTimeout, ProxyRefused
from tickwire.link_limits import LinkLimits
from tickwire.policy import Failure
from tickwire.proxy import Proxies, Proxy, Tunnel
from tickwire.route import Route

HUB = HubAddress.parse("https://rtc.example.com/hubs/market")


def client_of(url: str, **options: object) -> Client:
    engine = tw.Engine([tw.Instrument("A", tick_size=0.25)], timeframes=["1s"])
    options = {"token": "t0ken", "streams": "trades", "clock": "event"} | options
    options.setdefault("process_failure", first_of_all)
    return connect(hub=url, engine=engine, **options)  # type: ignore[arg-type]


# Choosing


@pytest.mark.parametrize(
    ("url", "netloc"),
    [
        ("http://proxy.example.com:3128", "proxy.example.com:3128"),
        ("http://PROXY.example.com/", "proxy.example.com:80"),
        ("http://[::1]:3128", "[::1]:3128"),
        ("http://büro.example:8080", "xn--bro-hoa.example:8080"),
    ],
)
def test_a_proxy_is_read_from_its_url(url: str, netloc: str) -> None:
    proxy = Proxy.parse(url)
    assert (proxy.netloc, proxy.credential) == (netloc, None)


@given(user=st.text(min_size=1), password=st.text())
def test_user_and_password_come_out_as_they_were_quoted(user: str, password: str) -> None:
    from urllib.parse import quote

    proxy = Proxy.parse(f"http://{quote(user, safe='')}:{quote(password, safe='')}@h:1")
    assert proxy.credential is not None
    assert base64.b64decode(proxy.credential.reveal()).decode() == f"{user}:{password}"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://user:canary@h:1", "got a URL with 'https', expected http"),
        ("socks5://user:canary@h:1", "only HTTP CONNECT is spoken"),
        ("user:canary@h:3128", "got a URL with 'no scheme', expected http"),
        ("canary:pw@h:3128", "expected http"),
        ("http://user:canary@", "without a host"),
        ("http://user:canary@h:99999", "malformed URL"),
        ("http://user:canary@[::1", "malformed URL"),
        ("http://user:canary@a b", "without a host that can be one"),
        ("http://user:canary@h:1/path", "more than a host and port"),
        ("http://user:canary@h:1?x=1", "more than a host and port"),
        ("", "no scheme"),
    ],
)
def test_what_is_no_proxy_is_refused_without_showing_it(url: str, words: str) -> None:
    with pytest.raises(ConfigError, match=r"^proxy: ") as caught:
        Route.of(str(HUB), proxy=url)
    assert words in str(caught.value)
    assert "canary" not in str(caught.value)


def test_a_proxy_must_be_a_text() -> None:
    with pytest.raises(ConfigError, match="proxy: got int, expected a URL, 'env' or None"):
        Route.of(str(HUB), proxy=3128)  # type: ignore[arg-type]


def test_a_plain_hub_takes_no_remote_proxy_which_would_see_its_token() -> None:
    with pytest.raises(ConfigError, match=r"would show its token to http://proxy\.example\.com:3128"):
        Route.of("ws://127.0.0.1:1/hub", proxy="http://proxy.example.com:3128")
    assert Route.of("ws://127.0.0.1:1/hub", proxy="http://127.0.0.1:3128").proxies.proxy is not None


@pytest.mark.parametrize(
    ("variables", "hub", "chosen"),
    [
        ({}, "wss://rtc.example.com", None),
        ({"HTTPS_PROXY": "http://p:1"}, "wss://rtc.example.com", "http://p:1"),
        ({"https_proxy": "http://p:1", "ALL_PROXY": "http://q:2"}, "wss://rtc.example.com", "http://p:1"),
        ({"ALL_PROXY": "http://q:2"}, "wss://rtc.example.com", "http://q:2"),
        ({"HTTP_PROXY": "http://p:1"}, "wss://rtc.example.com", None),
        ({"HTTPS_PROXY": "http://p:1"}, "wss://localhost", None),
        ({"HTTPS_PROXY": "http://p:1"}, "ws://127.0.0.1", None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "example.com"}, "wss://rtc.example.com", None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "x.org, .example.com"}, "wss://rtc.example.com", None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*.Example.com:443"}, "wss://rtc.example.com", None),
        (
            {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "example.com:8443"},
            "wss://rtc.example.com",
            "http://p:1",
        ),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "ample.com,,"}, "wss://rtc.example.com", "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, "wss://rtc.example.com", None),
    ],
)
def test_the_environment_is_asked_only_when_told_to(
    variables: dict[str, str], hub: str, chosen: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    address = HubAddress.parse(hub)
    proxy = Proxies.of("env").for_hub(address)
    assert (None if proxy is None else str(proxy)) == chosen
    assert Proxies.of(None).for_hub(address) is None


def test_a_bad_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "socks5://user:canary@h:1")
    with pytest.raises(ConfigError, match="HTTPS_PROXY: got a URL with 'socks5'") as caught:
        Route.of(str(HUB), proxy="env")
    assert "canary" not in str(caught.value)


def test_the_request_for_a_tunnel_is_exactly_this() -> None:
    proxy = Proxy.parse("http://user:p%40ss@h:1")
    credential = base64.b64encode(b"user:p@ss").decode()
    assert Tunnel(proxy, HUB).request().decode() == (
        "CONNECT rtc.example.com:443 HTTP/1.1\r\nHost: rtc.example.com:443\r\n"
        f"User-Agent: tickwire/{tw.__version__}\r\nProxy-Authorization: Basic {credential}\r\n\r\n"
    )
    assert credential not in repr(proxy) + str(proxy)


# Going through


def test_a_plain_hub_is_reached_through_a_tunnel() -> None:
    with HandmadeHub(good(1)) as hub, HandmadeHub(tunnel) as proxy:
        with client_of(hub.url, proxy=f"http://127.0.0.1:{proxy.port}") as client:
            assert client.state == "live"
        assert proxy.connection().request_line == f"CONNECT 127.0.0.1:{hub.port} HTTP/1.1"
        assert hub.connection().headers["authorization"] == "Bearer t0ken"
        assert "proxy-authorization" not in hub.connection().headers
        assert len(hub.connections) == len(proxy.connections) == 1


def test_with_tls_a_proxy_learns_nothing_but_host_and_port(
    authority: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    server, tls = authority
    credential = base64.b64encode(b"user:secret").decode()
    with HandmadeHub(good(1), tls=server) as hub, HandmadeHub(asks_for(credential)) as proxy:
        address = f"http://user:secret@127.0.0.1:{proxy.port}"
        with client_of(hub.url, proxy=address, tls=tls) as client:
            assert client.state == "live"
        heard = proxy.connection().raw
        assert b"t0ken" not in heard
        assert b"/hubs/market" not in heard
        assert heard.count(credential.encode()) == 1
        assert credential.encode() not in hub.connection().raw
        assert hub.connection().headers["authorization"] == "Bearer t0ken"


def test_negotiate_goes_through_the_proxy_too() -> None:
    with (
        HandmadeHub(negotiated(ids()), good(1)) as hub,
        HandmadeHub(tunnel) as proxy,
        client_of(hub.url, proxy=f"http://127.0.0.1:{proxy.port}", negotiate=True),
    ):
        assert len(hub.connections) == len(proxy.connections) == 2


def test_a_lost_link_comes_back_through_the_proxy() -> None:
    def once(connection: Connection) -> None:
        connection.open(1)

    limits = LinkLimits(backoff_min_s=0.01)
    with HandmadeHub(once, good(1)) as hub, HandmadeHub(tunnel) as proxy:
        with client_of(hub.url, proxy=f"http://127.0.0.1:{proxy.port}", limits=limits):
            hub.connection(1)
        assert len(proxy.connections) == 2


def test_the_environment_s_proxy_is_left_alone_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with HandmadeHub(park) as proxy, HandmadeHub(good(1)) as hub:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        with client_of(hub.url) as client:
            assert client.state == "live"
        assert proxy.connections == []


# Going wrong


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (
            answered("HTTP/1.1 407 Proxy Authentication Required"),
            "407 Proxy Authentication Required: it wants a user",
        ),
        (answered("HTTP/1.1 403 Forbidden"), "403 Forbidden: it does not allow this host or port"),
        (answered("HTTP/1.1 599 Odd"), "HTTP 599: ask whoever runs it"),
        (answered("HTTP/1.1 101 Switching Protocols"), "101 Switching Protocols"),
        (asks_for("something else"), "407"),
    ],
    ids=["407", "403", "599", "101", "wrong credentials"],
)
def test_a_proxy_that_refuses_is_named_with_its_status(script: Script, words: str) -> None:
    with no_leftovers(), HandmadeHub(park) as hub, HandmadeHub(script) as proxy:
        client = client_of(hub.url, proxy=f"http://u:p@127.0.0.1:{proxy.port}")
        with pytest.raises(ProxyRefused) as caught:
            client.__enter__()
        assert words in str(caught.value)
        assert f"the proxy 127.0.0.1:{proxy.port} refused a tunnel to 127.0.0.1:{hub.port}" in str(
            caught.value
        )
        assert str(caught.value.status) in words
        assert caught.value.fault == "proxy"
        assert hub.connections == []


@pytest.mark.parametrize("status", ["502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout"])
def test_a_proxy_that_cannot_reach_the_hub_for_a_while_is_asked_again(status: str) -> None:
    refusal = answered(f"HTTP/1.0 {status}\r\nContent-Length: 9999")
    failures: list[Failure] = []
    with HandmadeHub(good(1)) as hub, HandmadeHub(refusal, refusal, tunnel) as proxy:
        address, limits = f"http://127.0.0.1:{proxy.port}", LinkLimits(backoff_min_s=0.01)
        with client_of(hub.url, proxy=address, limits=limits, process_failure=failures.append) as client:
            assert client.state == "live"
        assert len(proxy.connections) == 3
    assert [failure.fault for failure in failures] == ["proxy failed"] * 2
    assert f"HTTP {status}: " in str(failures[0].error)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (answered("HTTP/1.1 200 OK", b"hello"), "sent bytes of its own"),
        (answered("SSH-2.0-OpenSSH_9.7"), "did not answer CONNECT in HTTP/1.1"),
        (answered("HTTP/1.1 200 OK\r\nX: " + 70_000 * "x"), "over 64 KiB of HTTP headers"),
        (lambda connection: connection.read_request(), "ended the connection"),
    ],
    ids=["talks", "no HTTP", "endless", "hangs up"],
)
def test_a_proxy_that_makes_no_sense_is_a_failure(script: Script, words: str) -> None:
    with HandmadeHub(script) as proxy:
        client = client_of("ws://127.0.0.1:1/hub", proxy=f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(ConnectionFailed, match=words) as caught:
            client.__enter__()
        assert caught.value.fault == "proxy"


def test_a_proxy_that_does_not_answer_times_out() -> None:
    def silent(connection: Connection) -> None:
        connection.read_request()
        park(connection)

    limits = LinkLimits(connect_s=0.2)
    with no_leftovers(), HandmadeHub(silent) as proxy:
        client = client_of("wss://rtc.example.com", proxy=f"http://127.0.0.1:{proxy.port}", limits=limits)
        with pytest.raises(
            ConnectTimeout, match="gave up waiting for the proxy's answer to CONNECT"
        ) as caught:
            client.__enter__()
        assert caught.value.fault == "proxy"
        # The proxy resolves the hub's name; nobody here was asked for it.
        assert proxy.connection().request_line == "CONNECT rtc.example.com:443 HTTP/1.1"


def test_a_proxy_that_is_not_there_is_named() -> None:
    with HandmadeHub(park) as proxy:
        address = f"http://127.0.0.1:{proxy.port}"
    with pytest.raises(
        ConnectionFailed, match=f"cannot connect to the proxy 127.0.0.1:{proxy.port}"
    ) as caught:
        client_of("ws://127.0.0.1:1/hub", proxy=address).__enter__()
    assert caught.value.fault == "proxy"


@given(cuts=st.lists(st.integers(0, 60), max_size=8), status=st.sampled_from([200, 299, 407]))
def test_an_answer_may_come_cut_anywhere(cuts: list[int], status: int) -> None:
    answer = b"HTTP/1.1 %d Some words\r\nVia: x\r\nServer: y\r\n\r\n" % status
    made = Tunnel(Proxy.parse("http://h:1"), HUB)
    places = sorted({cut for cut in cuts if 0 < cut < len(answer)})
    pieces = [answer[a:b] for a, b in zip([0, *places], [*places, len(answer)], strict=True)]
    assert [made.feed(piece) for piece in pieces] == [False] * len(places) + [True]
    assert (made.failure is None) == (status < 300)
