"""Negotiate: the state machine against a model, and the real thing against hubs of both kinds."""

from __future__ import annotations

import json
import re
import ssl
import threading
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tickwire as tw
from decisions import first_of_all
from http_scripts import http, ids, negotiated
from hubs import Connection, HandmadeHub, good, no_leftovers, park
from tickwire.address import HubAddress
from tickwire.auth import Token
from tickwire.client import Client
from tickwire.connecting import connect
from tickwire.errors import ConnectionFailed, ConnectTimeout, NegotiateRefused, UpgradeRefused
from tickwire.link_limits import LinkLimits
from tickwire.negotiate import Negotiation

HUB = HubAddress.parse("https://rtc.example.com/hubs/market")


def client_of(url: str, **options: Any) -> Client:
    engine = tw.Engine([tw.Instrument("A", tick_size=0.25)], timeframes=["1s"])
    options = {"token": "t0ken", "streams": "trades", "clock": "event", "negotiate": True} | options
    options.setdefault("process_failure", first_of_all)
    return connect(hub=url, engine=engine, **options)


def asked(*answers: bytes, token: str | None = "t0ken") -> tuple[Negotiation, list[str]]:
    """A negotiation that got these answers, and its requests."""
    made = Negotiation(HUB, None if token is None else Token(token))
    requests = []
    for answer in answers:
        requests.append(made.request().decode())
        assert made.feed(answer)
    return made, requests


# Requests


def test_the_request_is_exactly_this() -> None:
    _, (request,) = asked(http(ids()))
    assert request == (
        "POST /hubs/market/negotiate?negotiateVersion=1 HTTP/1.1\r\nHost: rtc.example.com\r\n"
        f"User-Agent: tickwire/{tw.__version__}\r\nAccept: application/json\r\nContent-Length: 0\r\n"
        "Connection: close\r\nAuthorization: Bearer t0ken\r\n\r\n"
    )
    _, (request,) = asked(http(ids()), token=None)
    assert "uthorization" not in request
    assert request.endswith("close\r\n\r\n")


@pytest.mark.parametrize(
    ("url", "target", "host"),
    [
        ("https://h/", "/negotiate?negotiateVersion=1", "h"),
        ("https://h:8443/hub/?firm=7", "/hub/negotiate?firm=7&negotiateVersion=1", "h:8443"),
        ("https://h/hub?negotiateVersion=0", "/hub/negotiate?negotiateVersion=0", "h"),
        ("http://[::1]/hub", "/hub/negotiate?negotiateVersion=1", "[::1]"),
    ],
)
def test_the_path_is_extended_ahead_of_the_query(url: str, target: str, host: str) -> None:
    request = Negotiation(HubAddress.parse(url), None).request().decode()
    assert request.startswith(f"POST {target} HTTP/1.1\r\nHost: {host}\r\n")


# Answers


@pytest.mark.parametrize(
    ("answer", "connection_id"),
    [
        (ids(), "secret-id"),
        (ids(negotiateVersion=0), "public-id"),
        (ids(negotiateVersion=0, connectionToken=...), "public-id"),
        (ids(negotiateVersion=..., connectionToken=...), "public-id"),
        (ids(error=None, url=None), "secret-id"),
    ],
    ids=["1", "0 with both", "0", "missing", "nulls"],
)
def test_each_version_has_its_id(answer: dict[str, Any], connection_id: str) -> None:
    made, _ = asked(http(answer))
    assert made.failure is None
    assert made.is_done
    assert made.connection_id is not None
    assert made.connection_id.reveal() == connection_id
    assert connection_id not in repr(vars(made))


@given(cuts=st.lists(st.integers(0, 400), max_size=12), chunked=st.booleans(), ends=st.booleans())
def test_an_answer_may_come_cut_anywhere_in_chunks_or_until_the_end(
    cuts: list[int], chunked: bool, ends: bool
) -> None:
    body = json.dumps(ids()).encode()
    if chunked:
        body = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (
            len(body),
            body,
        )
    elif ends:
        body = b"HTTP/1.0 200 OK\r\n\r\n" + body
    else:
        body = b"HTTP/1.1 100 Continue\r\n\r\n" + http(ids())
    places = sorted({cut for cut in cuts if 0 < cut < len(body)})
    pieces = [body[a:b] for a, b in zip([0, *places], [*places, len(body)], strict=True)]
    made = Negotiation(HUB, Token("t"))
    made.request()
    decided = [made.feed(piece) for piece in pieces]
    if ends and not chunked:
        decided.append(made.feed(b""))
    assert decided == [False] * (len(decided) - 1) + [True]
    assert made.is_done


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (http({"error": "no room"}), "refused to negotiate: 'no room'"),
        (http({"error": "bad t0ken"}), "refused to negotiate: 'bad ***'"),
        (http(ids(error={"code": 3})), "refused to negotiate: \"{'code': 3}\""),
        (http(b"[]"), "something other than a JSON object"),
        (http(b"<html>"), "something other than a JSON object"),
        (http(b"\xff\xfe"), "something other than a JSON object"),
        (http(b"[" * 60_000), "something other than a JSON object"),
        (http(b" " * 70_000), "over 64 KiB"),
        (http(ids(negotiateVersion=2)), "a version that was not asked for"),
        (http(ids(negotiateVersion=True)), "a version that was not asked for"),
        (http(ids(negotiateVersion="1")), "a version that was not asked for"),
        (http(ids(connectionToken=...)), "without a connectionToken that can be sent"),
        (http(ids(connectionToken="two\r\nlines")), "without a connectionToken that can be sent"),
        (http(ids(connectionToken=7)), "without a connectionToken that can be sent"),
        (http(ids(negotiateVersion=0, connectionId="")), "without a connectionId that can be sent"),
        (http(ids(availableTransports=...)), "without a list of availableTransports"),
        (http(ids(availableTransports=[{"transport": "LongPolling"}])), "offers no WebSockets"),
        (http(ids(availableTransports=["WebSockets", None])), "offers no WebSockets"),
        (http({}), "without a list of availableTransports"),
    ],
)
def test_an_answer_without_a_connection_is_refused_in_words(answer: bytes, words: str) -> None:
    made, _ = asked(answer)
    assert isinstance(made.failure, NegotiateRefused)
    assert words in str(made.failure)
    assert str(made.failure).startswith("rtc.example.com:443 ")
    assert not made.is_done


@pytest.mark.parametrize(
    "answer", [b"SSH-2.0-OpenSSH_9.7\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: " + 70_000 * b"x"]
)
def test_an_answer_in_no_http_is_a_violation(answer: bytes) -> None:
    made, _ = asked(answer)
    assert "did not answer negotiate in HTTP/1.1" in str(made.failure)
    assert made.failure is not None
    assert made.failure.fault == "violation"


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{"])
def test_an_answer_that_ends_early_is_a_broken_link(sent: bytes) -> None:
    made = Negotiation(HUB, None)
    made.request()
    assert not sent or not made.feed(sent)
    assert made.feed(b"")
    assert type(made.failure) is ConnectionFailed
    assert "ended the connection during negotiate" in str(made.failure)


@pytest.mark.parametrize(
    ("status", "headers", "advice", "retry_after_s"),
    [
        ("401 Unauthorized", "", "the token is missing, wrong or expired", None),
        ("403 Nope", "", "does not allow this hub", None),
        ("404 Not Found", "", "no hub at this path, or it does not negotiate", None),
        ("302 Found", "Location: https://evil.example\r\n", "HTTP redirects are not followed", None),
        ("307 Temporary Redirect", "Location: /x\r\n", "HTTP redirects are not followed", None),
        ("429 Too Many Requests", "Retry-After: 7\r\n", "too many connections", 7.0),
        ("503 Busy", "Retry-After: soon\r\n", "expected 200 OK", None),
        (
            "503 Busy",
            "Date: Mon, 02 Nov 2026 10:00:00 GMT\r\nRetry-After: Mon, 02 Nov 2026 10:01:30 GMT\r\n",
            "expected 200 OK",
            90.0,
        ),
        ("204 No Content", "", "expected 200 OK", None),
    ],
)
def test_any_status_but_200_is_a_refusal(
    status: str, headers: str, advice: str, retry_after_s: float | None
) -> None:
    # Without a body, though one was promised: the head decides.
    made, _ = asked(f"HTTP/1.1 {status}\r\n{headers}Content-Length: 0\r\n\r\n".encode())
    assert isinstance(made.failure, UpgradeRefused)
    assert advice in str(made.failure)
    assert (made.failure.status, made.failure.retry_after_s) == (int(status[:3]), retry_after_s)


# Redirects


def test_a_redirect_is_asked_again_with_the_token_given_for_it() -> None:
    made, requests = asked(
        http({"url": "https://other.example/client/?hub=market", "accessToken": "theirs"}), http(ids())
    )
    assert made.is_done
    assert (
        "POST /client/negotiate?hub=market&negotiateVersion=1 HTTP/1.1\r\nHost: other.example\r\n"
        in requests[1]
    )
    assert "Authorization: Bearer theirs\r\n" in requests[1]
    assert "t0ken" not in requests[1]
    assert str(made.address) == "wss://other.example:443/client/"
    assert made.token is not None
    assert made.token.reveal() == "theirs"


ORIGINS = ["https://rtc.example.com", "https://other.example", "https://rtc.example.com:8443"]


@given(hops=st.lists(st.tuples(st.sampled_from(ORIGINS), st.sampled_from([None, "t1", "t2"])), max_size=5))
def test_a_token_goes_to_the_origin_it_was_meant_for(hops: list[tuple[str, str | None]]) -> None:
    answers = [http({"url": f"{origin}/hub", "accessToken": token}) for origin, token in hops]
    made, requests = asked(*answers, http(ids()))
    assert made.is_done
    # The model: a redirect within an origin keeps the token, one to another origin forgets it.
    here, token = ORIGINS[0], "t0ken"
    expected: list[str | None] = [token]
    for origin, given_token in hops:
        token = given_token if given_token is not None or origin != here else token
        here = origin
        expected.append(token)
    sent = [re.findall(r"Authorization: Bearer (\S+)", request) for request in requests]
    assert sent == [[] if token is None else [token] for token in expected]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"url": "http://other.example/hub"}, "expected an https or wss URL"),
        ({"url": "ws://127.0.0.1:5000/hub"}, "expected an https or wss URL"),
        ({"url": "ftp://other.example/"}, "expected an https or wss URL"),
        ({"url": "/relative"}, "expected an https or wss URL"),
        ({"url": 7}, "expected an https or wss URL"),
        ({"url": "https://user:pw@other.example/"}, "expected an https or wss URL"),
        ({"url": "https://other.example/?access_token=x"}, "expected an https or wss URL"),
        ({"url": "https://other.example/t0ken"}, "an address that holds a token"),
        ({"url": "https://t0ken.example/"}, "an address that holds a token"),
        ({"url": "https://other.example/?x=%740ken"}, "an address that holds a token"),
        ({"url": "https://other.example/th31rs", "accessToken": "th31rs"}, "an address that holds a token"),
        ({"url": "https://other.example/", "accessToken": "t0ken"}, "would send its token to another host"),
        ({"url": "https://other.example/", "accessToken": 7}, "an accessToken that cannot be sent"),
        ({"url": "https://other.example/", "accessToken": "a b"}, "an accessToken that cannot be sent"),
    ],
)
def test_a_redirect_that_must_not_be_followed_is_refused(answer: Mapping[str, object], words: str) -> None:
    made, _ = asked(http(answer))
    assert isinstance(made.failure, NegotiateRefused)
    assert words in str(made.failure)
    assert "t0ken" not in str(made.failure)
    assert "th31rs" not in str(made.failure)
    assert made.address is HUB


def test_redirects_are_followed_five_times() -> None:
    again = http({"url": "https://rtc.example.com/hubs/market"})
    made, _ = asked(*[again] * 5)
    assert made.failure is None
    made, _ = asked(*[again] * 6)
    assert "redirect for the 6th time; 5 are followed" in str(made.failure)


# Over sockets


def test_the_embedded_hub_is_negotiated_with_anew_for_every_connection() -> None:
    with tw.sim.Hub() as hub:
        limits = LinkLimits(backoff_min_s=0.01)
        with client_of(hub.url, token=hub.token(), limits=limits) as client:
            hub.fault(tw.sim.Drop())
            hub.wait_until(lambda h: len(h.connections) == 2)
            assert client.error is None
        requests = hub.requests
        assert [(one.method, one.path, one.status) for one in requests] == 2 * [
            ("POST", "/hubs/market/negotiate", 200),
            ("GET", "/hubs/market", 101),
        ]
        assert len({one.query for one in requests[1::2]}) == 2
        assert all(one.query.startswith("id=") for one in requests[1::2])
        assert len({one.headers["authorization"] for one in requests}) == 1


def test_a_hub_of_version_0_is_understood() -> None:
    answer = ids(negotiateVersion=..., connectionToken=..., connectionId="a+b/c=")
    with HandmadeHub(negotiated(answer), good(1)) as hub, client_of(hub.url + "?firm=7"):
        assert hub.connection(1).request_line == "GET /hubs/market?firm=7&id=a%2Bb%2Fc%3D HTTP/1.1"


def test_the_connection_of_a_negotiate_is_closed() -> None:
    with HandmadeHub(negotiated(ids()), good(1)) as hub, no_leftovers(), client_of(hub.url):
        assert hub.connection(0).ended.wait(10)


def test_a_redirect_leads_to_another_hub_which_never_sees_our_token() -> None:
    with HandmadeHub(negotiated(ids()), good(1)) as second:
        answer = {"url": second.url.replace("/hubs/market", "/elsewhere"), "accessToken": "theirs"}
        with HandmadeHub(negotiated(answer)) as first, client_of(first.url) as client:
            assert client.state == "live"
            assert first.connection().headers["authorization"] == "Bearer t0ken"
            for connection in second.connections:
                assert connection.headers["authorization"] == "Bearer theirs"
                assert b"t0ken" not in connection.raw
            assert second.connection(1).request_line == "GET /elsewhere?id=secret-id HTTP/1.1"


def test_after_a_redirect_a_new_attempt_begins_at_the_first_hub() -> None:
    def once(connection: Connection) -> None:
        connection.open(1)

    with HandmadeHub(negotiated(ids()), once, negotiated(ids()), good(1)) as second:
        answer = {"url": second.url, "accessToken": "theirs"}
        limits = LinkLimits(backoff_min_s=0.01)
        with HandmadeHub(negotiated(answer)) as first, client_of(first.url, limits=limits):
            second.connection(3)
            assert [one.headers["authorization"] for one in first.connections] == 2 * ["Bearer t0ken"]


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See", "307 Temporary", "308 Permanent"])
def test_an_http_redirect_reaches_nobody(status: str) -> None:
    with HandmadeHub(park) as second:
        location = f"Location: {second.url}\r\n"
        with (
            HandmadeHub(negotiated(b"", status, location)) as first,
            pytest.raises(UpgradeRefused, match="HTTP redirects are not followed"),
        ):
            client_of(first.url).__enter__()
        assert second.connections == []


def test_an_error_stops_before_any_upgrade() -> None:
    with no_leftovers(), HandmadeHub(negotiated({"error": "no room"})) as hub:
        with pytest.raises(NegotiateRefused, match="'no room'"):
            client_of(hub.url, process_failure=None).__enter__()
        assert len(hub.connections) == 1


@pytest.mark.parametrize("dribbles", [False, True])
def test_a_negotiate_that_is_not_answered_times_out(dribbles: bool) -> None:
    def script(connection: Connection) -> None:
        connection.read_request()
        if dribbles:
            connection.send(b"HTTP/1.1 200 OK\r\n")
            while not connection.released.wait(0.02):
                connection.send(b"X-Header: x\r\n")
        park(connection)

    limits = LinkLimits(negotiate_s=0.2)
    words = r"within 0\.2 s: gave up waiting for the answer to negotiate"
    with no_leftovers(), HandmadeHub(script) as hub, pytest.raises(ConnectTimeout, match=words):
        client_of(hub.url, limits=limits).__enter__()


def test_redirects_share_one_time_limit() -> None:
    def script(connection: Connection) -> None:
        connection.read_request()
        connection.released.wait(0.15)
        connection.send(http({"url": hub.url}))

    with HandmadeHub(script) as hub, pytest.raises(ConnectTimeout, match="negotiate"):
        client_of(hub.url, limits=LinkLimits(negotiate_s=0.4)).__enter__()


def test_close_ends_a_negotiate_that_waits() -> None:
    arrived = threading.Event()

    def script(connection: Connection) -> None:
        connection.read_request()
        arrived.set()
        park(connection)

    with no_leftovers(), HandmadeHub(script) as hub:
        client = client_of(hub.url, start="background")
        client.__enter__()
        assert arrived.wait(10)
        client.close()
        assert client.state == "closed"


def test_over_tls_both_requests_are_encrypted(authority: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    server, tls = authority
    with HandmadeHub(negotiated(ids()), good(1), tls=server) as hub, client_of(hub.url, tls=tls):
        assert [one.headers["authorization"] for one in hub.connections] == 2 * ["Bearer t0ken"]
