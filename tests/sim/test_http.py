"""Negotiate, tokens and upgrades."""

from __future__ import annotations

import logging
import socket
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from hubs import PATIENCE_S
from sim.peer import Peer, negotiate
from tickwire import sim


def refused(hub: sim.Hub, **options: object) -> int:
    """The status with which an upgrade is refused."""
    with pytest.raises(InvalidStatus) as caught, Peer(hub, **options):
        pass
    return caught.value.response.status_code


@pytest.mark.parametrize(("asked", "given"), [(None, 0), (0, 0), (1, 1), (7, 1)])
def test_negotiate_answers_the_version_it_knows(asked: int | None, given: int):
    with sim.Hub() as hub:
        answer = negotiate(hub, asked).json()
        assert answer["negotiateVersion"] == given
        assert answer["availableTransports"] == [
            {"transport": "WebSockets", "transferFormats": ["Text", "Binary"]}
        ]
        assert ("connectionToken" in answer) == (given == 1)
        key = answer["connectionToken" if given == 1 else "connectionId"]
        with Peer(hub, query=f"?id={key}") as peer:
            assert "error" not in peer.invoke("SubscribeContractTrades", "X")


def test_the_public_id_of_version_1_opens_nothing():
    with sim.Hub() as hub:
        answer = negotiate(hub, 1).json()
        assert answer["connectionId"] != answer["connectionToken"]
        assert refused(hub, query=f"?id={answer['connectionId']}") == 404


def test_an_id_opens_one_websocket():
    with sim.Hub() as hub:
        key = negotiate(hub).json()["connectionToken"]
        with Peer(hub, query=f"?id={key}"):
            assert refused(hub, query=f"?id={key}") == 409
        hub.wait_until(lambda h: not h.connection().is_open)
        assert refused(hub, query=f"?id={key}") == 404


def test_an_unknown_id_is_refused_before_the_upgrade():
    with sim.Hub() as hub:
        assert refused(hub, query="?id=nobody") == 404
        assert hub.connections == ()
        assert hub.requests[-1].note == "No Connection with that ID"


def test_an_id_belongs_to_its_hub_and_expires():
    with sim.Hub(negotiated_s=0.05) as hub:
        other = negotiate(hub, url=hub.user_url).json()["connectionToken"]
        assert refused(hub, query=f"?id={other}") == 404
    with sim.Hub(negotiated_s=0.000001) as hub:
        late = negotiate(hub).json()["connectionToken"]
        assert refused(hub, query=f"?id={late}") == 404


def test_no_id_is_a_new_connection():
    with sim.Hub() as hub, Peer(hub), Peer(hub):
        assert [info.id for info in hub.connections] == [1, 2]


@pytest.mark.parametrize("kind", ["none", "garbage", "expired", "foreign", "basic"])
def test_without_a_good_token_everything_is_401(kind: str):
    with sim.Hub() as hub:
        token = {
            "none": None,
            "garbage": "x.y.z",
            "expired": hub.token(ttl_s=-10),
            "foreign": sim.Hub().token(),
            "basic": None,
        }[kind]
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        if kind == "basic":
            headers = {"Authorization": f"Basic {hub.token()}"}
        with httpx.Client(trust_env=False) as client:
            answer = client.post(f"{hub.url}/negotiate", headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert refused(hub, token=token) == 401
        assert hub.connections == ()


def test_tokens_differ_and_carry_claims():
    hub = sim.Hub()
    assert hub.token() != hub.token()
    with hub, Peer(hub, token=hub.token("someone", plan="gold")):
        pass


def test_the_query_token_needs_to_be_allowed():
    with sim.Hub() as hub:
        assert refused(hub, token=None, query=f"?access_token={hub.token()}") == 401
    with sim.Hub(accept_query_token=True) as hub:
        with Peer(hub, token=None, query=f"?access_token={hub.token()}"):
            pass
        assert refused(hub, token=None, query="?access_token=nope") == 401
        # A header that is there is the one that counts.
        assert refused(hub, token="nope", query=f"?access_token={hub.token()}") == 401


def test_no_log_holds_a_token(caplog: pytest.LogCaptureFixture):
    # The hub runs inside the programs whose logs are searched for tokens; its own must stay clean.
    with caplog.at_level(logging.DEBUG), sim.Hub() as hub:
        token = hub.token()
        place = urlsplit(hub.url)
        with socket.create_connection((place.hostname, place.port), PATIENCE_S) as sock:
            sock.sendall(
                f"GET {place.path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
            )
            assert sock.recv(4_096).startswith(b"HTTP/1.1 101 ")
    assert token not in caplog.text


def test_auth_can_be_off():
    with sim.Hub(auth=False) as hub:
        assert negotiate(hub, token=None).status_code == 200
        with Peer(hub, token=None):
            pass


def test_requests_are_logged_word_for_word():
    with sim.Hub() as hub:
        token = hub.token()
        negotiate(hub, token=token)
        with Peer(hub, token=token):
            pass
        first, second = hub.requests
        assert (first.method, first.path, first.query, first.status) == (
            "POST",
            "/hubs/market/negotiate",
            "negotiateVersion=1",
            200,
        )
        assert (second.method, second.path, second.query, second.status) == ("GET", "/hubs/market", "", 101)
        assert first.headers["authorization"] == second.headers["authorization"] == f"Bearer {token}"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/hubs/market/negotiate?negotiateVersion=x", 400),
        ("GET", "/hubs/market/negotiate", 405),
        ("GET", "/hubs/market", 400),
        ("POST", "/negotiate", 404),
        ("GET", "/", 404),
        ("POST", "/hubs/other/negotiate", 404),
    ],
)
def test_other_requests(method: str, path: str, status: int):
    with sim.Hub(auth=False) as hub, httpx.Client(trust_env=False) as client:
        assert client.request(method, f"http://127.0.0.1:{hub.port}{path}").status_code == status


def test_bodies_and_keep_alive():
    with sim.Hub() as hub, httpx.Client(trust_env=False) as client:
        headers = {"Authorization": f"Bearer {hub.token()}"}
        for body in (b"", b"{}", b"x" * 100_000):
            assert client.post(f"{hub.url}/negotiate", headers=headers, content=body).status_code == 200
        # A chunked body, and then a refusal, on the same connection as all before it.
        assert client.post(f"{hub.url}/negotiate", headers=headers, content=iter([b"a", b"b"])).is_success
        assert client.post(f"{hub.url}/negotiate").status_code == 401
        assert client.post(f"{hub.url}/negotiate", headers=headers).is_success


def raw(hub: sim.Hub, request: bytes) -> bytes:
    """Everything the hub answers to these bytes until it ends the connection."""
    place = urlsplit(hub.url)
    with socket.create_connection((place.hostname, place.port), PATIENCE_S) as sock:
        sock.sendall(request)
        answer = b""
        while part := sock.recv(65536):
            answer += part
    return answer


def test_what_is_not_http_is_400():
    with sim.Hub() as hub:
        assert raw(hub, b"\x16\x03\x01 hello\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_upgrades_that_websockets_refuses():
    with sim.Hub(auth=False) as hub:
        head = b"GET /hubs/market HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n"
        key = b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        assert raw(hub, head + key + b"Sec-WebSocket-Version: 12\r\n\r\n").startswith(b"HTTP/1.1 400 ")
        assert raw(hub, head + b"Sec-WebSocket-Version: 13\r\n\r\n").startswith(b"HTTP/1.1 400 ")
        body = b"Content-Length: 2\r\nSec-WebSocket-Version: 13\r\n\r\n{}"
        assert raw(hub, head + key + body).startswith(b"HTTP/1.1 400 ")
        assert hub.connections == ()


def test_a_client_that_asks_for_nothing_is_let_go():
    with sim.Hub(handshake_s=0.05) as hub:
        assert raw(hub, b"") == b""
