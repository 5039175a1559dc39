"""What sort of failure opening a socket ends with, which decides what a client does about it."""

from __future__ import annotations

import socket
import ssl

import pytest

from hubs import Connection, HandmadeHub, Script, no_leftovers, park
from tickwire.address import HubAddress
from tickwire.clock import Clock
from tickwire.dial import Deadline, Dialer
from tickwire.errors import ConnectionFailed, ConnectTimeout
from tickwire.proxy import Proxies
from tickwire.wakeup import Waiter


def failure(url: str, tls: ssl.SSLContext | None = None, limit_s: float = 5.0) -> ConnectionFailed:
    """How dialling ends."""
    clock = Clock()
    waiter = Waiter(clock)
    dialer = Dialer(tls=tls, proxies=Proxies(), clock=clock, waiter=waiter)
    try:
        with pytest.raises(ConnectionFailed) as caught:
            dialer.dial(HubAddress.parse(url), Deadline(clock.monotonic_s() + limit_s, "no connection"))
        return caught.value
    finally:
        waiter.close()


def test_a_name_that_nobody_knows() -> None:
    error = failure("wss://no-such-host.invalid/hub")
    assert "cannot resolve no-such-host.invalid" in str(error)
    assert error.fault == "not resolved"


def test_nobody_listening() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert failure(f"ws://127.0.0.1:{port}/hub").fault == "unreachable"


def test_a_listener_that_takes_nobody() -> None:
    with no_leftovers(), socket.socket() as listener, socket.socket() as first:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        # It fills the queue of connections that wait to be taken, so the next SYN gets no answer.
        first.connect(listener.getsockname())
        second = socket.socket()
        second.setblocking(False)
        second.connect_ex(listener.getsockname())
        error = failure(f"ws://127.0.0.1:{listener.getsockname()[1]}/hub", limit_s=0.2)
        second.close()
    assert isinstance(error, ConnectTimeout)
    assert str(error) == "no connection: gave up waiting for the TCP connection"
    assert error.fault == "unreachable"


def test_an_unknown_certificate(authority: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    with HandmadeHub(park, tls=authority[0]) as hub:
        assert failure(hub.url).fault == "not trusted"


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        (lambda connection: connection.send(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "not trusted"),
        (lambda connection: None, "link lost"),
        (lambda connection: connection.reset(), "link lost"),
        (park, "timed out"),
    ],
    ids=["no TLS", "FIN", "RST", "silent"],
)
def test_a_tls_handshake_that_fails(
    script: Script, fault: str, authority: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    def asked(connection: Connection) -> None:
        connection._fill()
        script(connection)

    with no_leftovers(), HandmadeHub(asked) as hub:
        error = failure(hub.url.replace("http:", "https:"), authority[1], limit_s=0.3)
    assert error.fault == fault
