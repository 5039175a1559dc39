"""Requests to a gateway: what goes out, what may come back, and what is never followed, awaited or believed."""

from __future__ import annotations

import asyncio
import ssl
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from hubs import Connection, HandmadeHub, no_leftovers, park
from tickwire import rest as rest_module
from tickwire import sim
from tickwire.auth import Secret, Token
from tickwire.errors import ConfigError, RequestFailed
from tickwire.pause import Pause, run_alone
from tickwire.proxy import Proxies
from tickwire.ratelimit import RateLimit
from tickwire.rest import Rest, parse_url
from tickwire.sim.routes import Answer, json_answer
from virtual_time import VirtualClock

PATH = "/api/Echo"


def make(url: str, *, proxy: str | None = None, **options: Any) -> Rest:
    address = parse_url(url, "api")
    options = {
        "limits": {},
        "other": RateLimit(1_000, 1.0),
        "proxy": Proxies.of(proxy).for_hub(address),
    } | options
    return Rest(address, **options)


def post(
    rest: Rest, body: dict[str, Any] | None = None, *, token: Token | None = None, limit_s: float = 5.0
) -> Any:
    return asyncio.run(rest.post(PATH, body or {}, token=token, time_limit_s=limit_s))


def serving(answer: Callable[[Any, bytes], Answer]) -> sim.Hub:
    hub = sim.Hub()
    hub._core.routes[PATH] = answer
    return hub


def base(hub: sim.Hub) -> str:
    return f"http://127.0.0.1:{hub.port}"


def read_all(connection: Connection) -> None:
    # With the body: a socket that is closed with something unread is reset, and its last words are lost.
    connection.read_request()
    connection._take(int(connection.headers["content-length"]))


def origin(hub: HandmadeHub) -> str:
    return hub.url.removesuffix("/hubs/market")


def test_token_and_secrets_go_out_where_they_belong_and_the_answer_comes_back() -> None:
    with no_leftovers(), serving(lambda request, body: json_answer({"a": [1, None]})) as hub:
        rest = make(base(hub) + "/")
        assert post(rest, {"key": Secret("s3cret"), "n": 1}, token=Token("t0ken")) == {"a": [1, None]}
        (request,) = hub.requests
        assert request.headers["authorization"] == "Bearer t0ken"
        assert request.body == b'{"key": "s3cret", "n": 1}'
        assert request.query == ""
        assert post(rest) == {"a": [1, None]}
        assert "authorization" not in hub.requests[-1].headers


def test_a_prefix_of_the_address_is_kept() -> None:
    with sim.Hub() as hub:
        hub._core.routes["/v2" + PATH] = lambda request, body: json_answer({})
        assert post(make(base(hub) + "/v2/")) == {}


def test_tls_is_checked(authority: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    server, trusting = authority

    def answer(connection: Connection) -> None:
        read_all(connection)
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    with HandmadeHub(answer, tls=server) as hub:
        url = origin(hub)
        assert post(make(url, tls=trusting)) == {}
        with pytest.raises(RequestFailed, match=r"could not be reached: .*CERTIFICATE_VERIFY_FAILED"):
            post(make(url))


@pytest.mark.parametrize(
    ("status", "permanent"),
    [(400, True), (401, True), (403, False), (404, True), (408, False), (500, False), (503, False)],
)
def test_another_status_is_a_failure_of_its_kind(status: int, permanent: bool) -> None:
    with serving(lambda request, body: Answer(status, (), b"secret words")) as hub:
        with pytest.raises(RequestFailed, match=f"{PATH} answered {status}") as caught:
            post(make(base(hub)))
        assert (caught.value.status, caught.value.permanent) == (status, permanent)
        assert "secret" not in str(caught.value)


def test_a_redirect_is_not_followed() -> None:
    with serving(lambda request, body: json_answer({})) as other, sim.Hub() as hub:
        location = (("location", base(other) + PATH),)
        hub._core.routes[PATH] = lambda request, body: Answer(307, location, b"")
        with pytest.raises(RequestFailed, match=r"307 .*redirects are not followed") as caught:
            post(make(base(hub)), token=Token("t0ken"))
        assert caught.value.permanent
        assert other.requests == ()


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000])
def test_what_is_no_json_object_is_a_failure(body: bytes) -> None:
    with (
        serving(lambda request, _: Answer(200, (), body)) as hub,
        pytest.raises(RequestFailed, match="other than a JSON object") as caught,
    ):
        post(make(base(hub)))
    assert not caught.value.permanent


def test_an_answer_has_a_largest_size_also_when_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest_module, "_MAX_BYTES", 10_000)
    packed = zlib.compress(b" " * 10_000_000)
    for headers, body in (((), b" " * 20_000), ((("content-encoding", "deflate"),), packed)):
        with (
            serving(lambda request, _, headers=headers, body=body: Answer(200, headers, body)) as hub,
            pytest.raises(RequestFailed, match="more than 10000 bytes"),
        ):
            post(make(base(hub)))


def test_time_is_limited_for_the_whole_of_a_request() -> None:
    def dribble(connection: Connection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not connection.released.wait(0.01):
            connection.send(b" ")

    def silent(connection: Connection) -> None:
        connection.read_request()
        park(connection)

    for script in (park, silent, dribble):
        with no_leftovers(), HandmadeHub(script) as hub:
            url = origin(hub)
            with pytest.raises(RequestFailed, match=r"did not answer within 0\.3 s"):
                post(make(url), limit_s=0.3)


@pytest.mark.parametrize("said", [b"", b"not http\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"])
def test_what_is_not_http_is_a_failure(said: bytes) -> None:
    def script(connection: Connection) -> None:
        connection.read_request()
        connection.send(said)

    with HandmadeHub(script) as hub, pytest.raises(RequestFailed, match=r"did not answer properly \("):
        post(make(origin(hub)))


def test_nobody_there_is_a_failure() -> None:
    with sim.Hub() as hub:
        url = base(hub)
    with pytest.raises(RequestFailed, match="could not be reached"):
        post(make(url))


def test_a_server_that_is_asked_too_often_is_left_alone_for_a_while() -> None:
    with serving(lambda request, body: Answer(429, (("retry-after", "3600"),), b"")) as hub:
        rest = make(base(hub))
        with pytest.raises(RequestFailed, match="429 Too Many Requests") as caught:
            post(rest)
        assert caught.value.retry_after_s == 3600.0
        assert not caught.value.permanent
        with pytest.raises(RequestFailed, match="rate-limited: the next request is due in") as caught:
            post(rest, limit_s=1.0)
        assert caught.value.retry_after_s is not None
        assert 3500.0 < caught.value.retry_after_s <= 3600.0
        assert len(hub.requests) == 1


def test_whose_turn_has_not_come_waits_by_the_clock_given() -> None:
    clock = VirtualClock()
    # Real time would take an hour, and the clock would not have moved.
    hub = sim.Hub(clock=clock)
    hub._core.routes[PATH] = lambda request, body: json_answer({})
    with hub:
        rest = make(base(hub), other=RateLimit(2, 3_600.0), clock=clock)
        for _ in range(5):
            run_alone(lambda: rest.post(PATH, {}, token=None, time_limit_s=7_200.0), Pause(clock))
        assert 7_200.0 <= clock.elapsed_s < 7_300.0
        assert len(hub.requests) == 5


def test_paths_with_a_limit_of_their_own_do_not_share_the_others() -> None:
    with serving(lambda request, body: json_answer({})) as hub:
        rest = make(base(hub), limits={PATH: RateLimit(1, 3600.0)}, other=RateLimit(2, 3600.0))
        hub._core.routes["/other"] = lambda request, body: json_answer({})
        assert post(rest) == {}
        with pytest.raises(RequestFailed, match="rate-limited"):
            post(rest)
        for _ in range(2):
            asyncio.run(rest.post("/other", {}, token=None, time_limit_s=1.0))
        with pytest.raises(RequestFailed, match="rate-limited"):
            asyncio.run(rest.post("/other", {}, token=None, time_limit_s=1.0))


def test_a_turn_that_comes_in_time_is_waited_for() -> None:
    with serving(lambda request, body: json_answer({})) as hub:
        rest = make(base(hub), other=RateLimit(1, 0.05))
        for _ in range(4):
            assert post(rest) == {}


def test_the_environment_chooses_no_proxy_and_no_credential(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with serving(lambda request, body: json_answer({})) as hub:
        assert post(make(base(hub))) == {}
        assert "authorization" not in hub.requests[-1].headers


def test_a_proxy_is_taken_where_it_is_asked_for() -> None:
    seen: list[str] = []

    def proxy(connection: Connection) -> None:
        read_all(connection)
        seen.extend([connection.request_line, connection.headers["proxy-authorization"]])
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    with HandmadeHub(proxy) as hub:
        url = origin(hub).replace("://", "://user:pass@")
        assert post(make("http://127.0.0.1:9", proxy=url)) == {}
    assert seen == [f"POST http://127.0.0.1:9{PATH} HTTP/1.1", "Basic dXNlcjpwYXNz"]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://gateway.example", "api: http:// to gateway.example would send the token in clear text"),
        ("https://user:s3cret@gateway.example", "api: the URL holds user information"),
        ("https://gateway.example/?a=1", "api: the URL must have no query"),
        ("ftp://gateway.example", "api: the URL must start with https"),
        (None, "api: must be a URL"),
    ],
)
def test_an_address_that_cannot_be_is_refused(url: Any, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make(url)
    assert words in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_only_secrets_are_revealed_into_a_body() -> None:
    with sim.Hub() as hub, pytest.raises(TypeError, match="a set is not sent as JSON"):
        post(make(base(hub)), {"n": {1}})
