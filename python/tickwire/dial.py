"""Opening a socket to a hub: name, TCP, the tunnel of a proxy, TLS, and one HTTP exchange.

A `Dialer` does so within a deadline, on the thread that calls it, and waits through a `Waiter`, so that
`stop` ends it at any point. A socket that could not be opened in full is closed; one that was returned is
the caller's. What is said in an exchange is the business of the exchange; the bytes of both sides may hold
secrets and are kept where no traceback shows them, and no longer than they are needed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from .address import HubAddress, is_literal
from .clock import Clock
from .errors import ConnectionFailed
from .proxy import Proxies, Proxy, Tunnel
from .wakeup import READ, WRITE, Waiter

__all__ = ["Deadline", "Dialer", "Exchange"]

_READ_BYTES = 16_384


class Exchange(Protocol):
    """One request and its answer, without a socket."""

    @property
    def peer(self) -> str:
        """With whom, as messages name it."""

    failure: ConnectionFailed | None
    """Why the answer is of no use, once it is decided."""

    def request(self) -> bytes:
        """The bytes to send."""

    def feed(self, data: bytes) -> bool:
        """Take in the next bytes of the answer, empty at the end of the stream; whether it is decided."""

    def abandon(self) -> None:
        """Forget an answer that will not be completed."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """When to give up, and what to say then."""

    at_s: float
    """As `Clock.monotonic_s` tells it."""
    text: str
    """Such as "no connection to example.com:443 within 10 s"."""

    def gave_up(self, phase: str) -> str:
        return f"{self.text}: gave up {phase}"


class Dialer:
    """Opens sockets, one at a time."""

    def __init__(self, *, tls: ssl.SSLContext | None, proxies: Proxies, clock: Clock, waiter: Waiter) -> None:
        self._tls = tls
        self._proxies = proxies
        self._clock = clock
        self._waiter = waiter
        self._out = bytearray()
        self._buffer = memoryview(b"")

    def adopt(self, waiter: Waiter) -> None:
        """From now on wait through `waiter`, that of another thread."""
        self._waiter = waiter

    def dial(self, address: HubAddress, deadline: Deadline) -> socket.socket:
        """A socket on which the hub can be spoken to: through its proxy, and in TLS where it is secure."""
        proxy = self._proxies.for_hub(address)
        if proxy is None:
            sock = self._connect(address.host, address.port, address.netloc, deadline)
        else:
            with _blame("proxy"):
                sock = self._tunnel(proxy, address, deadline)
        try:
            return self._start_tls(sock, address, deadline) if address.secure else sock
        except BaseException:
            self.drop(sock)
            raise

    def _tunnel(self, proxy: Proxy, address: HubAddress, deadline: Deadline) -> socket.socket:
        sock = self._connect(proxy.host, proxy.port, f"the proxy {proxy.netloc}", deadline)
        try:
            self.converse(sock, Tunnel(proxy, address), deadline, "waiting for the proxy's answer to CONNECT")
        except BaseException:
            self.drop(sock)
            raise
        return sock

    def converse(self, sock: socket.socket, exchange: Exchange, deadline: Deadline, phase: str) -> None:
        """Send the request of `exchange` and feed it the answer until it is decided; raise its failure."""
        self._buffer = memoryview(bytearray(_READ_BYTES))
        try:
            # The request may hold a token. It goes through the buffer of outgoing bytes, which no
            # traceback shows and which is emptied whatever happens, and through no variable here.
            self._out += exchange.request()
            decided = False
            while not decided:
                self._flush(sock)
                self._waiter.wait_until(
                    sock, READ | WRITE if self._out else READ, deadline.at_s, deadline.gave_up(phase)
                )
                data = self._read(sock, exchange.peer)
                decided = data is not None and exchange.feed(data)
                # The answer may quote the token: it is gone before anything is raised.
                del data
        except BaseException:
            exchange.abandon()
            raise
        finally:
            self._out.clear()
            self._buffer = memoryview(b"")
        if exchange.failure is not None:
            raise exchange.failure

    def drop(self, sock: socket.socket) -> None:
        """Close a socket at once."""
        self._waiter.forget()
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        sock.close()

    def _connect(self, host: str, port: int, name: str, deadline: Deadline) -> socket.socket:
        found = self.resolve(host, port, deadline)
        failure: ConnectionFailed | None = None
        for left, (family, kind, proto, _, target) in zip(range(len(found), 0, -1), found, strict=True):
            # An address that does not answer may not use up the time of the ones after it.
            now_s = self._clock.monotonic_s()
            share = Deadline(now_s + (deadline.at_s - now_s) / left, deadline.text)
            sock = socket.socket(family, kind, proto)
            try:
                with _blame("unreachable"):
                    self._reach(sock, target, name, share)
            except ConnectionFailed as error:
                failure = error
                self.drop(sock)
            except BaseException:
                self.drop(sock)
                raise
            else:
                return sock
        raise failure or ConnectionFailed(f"{host} has no address", fault="not resolved")

    def resolve(self, host: str, port: int, deadline: Deadline) -> list[Any]:
        """The addresses of a host, as `socket.getaddrinfo` gives them."""
        try:
            if is_literal(host):
                return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
            with _blame("not resolved"):
                return self._waiter.aside(
                    lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM),
                    deadline.at_s,
                    deadline.gave_up("resolving the host's name"),
                )
        except socket.gaierror as error:
            raise ConnectionFailed(
                f"cannot resolve {host}: {error.strerror}", fault="not resolved"
            ) from error
        except UnicodeError as error:
            raise ConnectionFailed(f"cannot resolve {host}: not a host name", fault="not resolved") from error

    def _reach(self, sock: socket.socket, target: Any, name: str, deadline: Deadline) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        code = sock.connect_ex(target)
        if code in (errno.EINPROGRESS, errno.EWOULDBLOCK):
            phase = deadline.gave_up("waiting for the TCP connection")
            self._waiter.wait_until(sock, WRITE, deadline.at_s, phase)
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code != 0:
            raise ConnectionFailed(f"cannot connect to {name}: {os.strerror(code)}", fault="unreachable")

    def _start_tls(self, sock: socket.socket, address: HubAddress, deadline: Deadline) -> ssl.SSLSocket:
        context = self._tls if self._tls is not None else ssl.create_default_context()
        self._waiter.forget()
        # From here on the socket given is an empty shell.
        secure = context.wrap_socket(sock, server_hostname=address.host, do_handshake_on_connect=False)
        try:
            self._shake_hands(secure, address, deadline)
        except BaseException:
            self.drop(secure)
            raise
        return secure

    def _shake_hands(self, secure: ssl.SSLSocket, address: HubAddress, deadline: Deadline) -> None:
        while True:
            try:
                secure.do_handshake()
            except ssl.SSLWantReadError:
                wanted = READ
            except ssl.SSLWantWriteError:
                wanted = WRITE
            except ssl.SSLCertVerificationError as error:
                raise ConnectionFailed(
                    f"the certificate of {address.netloc} is not trusted: {error.verify_message}",
                    fault="not trusted",
                ) from error
            except OSError as error:
                # A link that breaks meanwhile says nothing about the hub's TLS.
                broke = isinstance(error, ssl.SSLEOFError) or not isinstance(error, ssl.SSLError)
                raise ConnectionFailed(
                    f"TLS with {address.netloc} failed: {error.strerror or error}",
                    fault="link lost" if broke else "not trusted",
                ) from error
            else:
                return
            self._waiter.wait_until(
                secure, wanted, deadline.at_s, deadline.gave_up("waiting for the TLS handshake")
            )

    def _flush(self, sock: socket.socket) -> None:
        try:
            while self._out:
                del self._out[: sock.send(self._out)]
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError:
            # It may have answered before it broke: reading tells.
            self._out.clear()

    def _read(self, sock: socket.socket, peer: str) -> bytes | None:
        """What one read returned: empty at the end of the stream, None if nothing was there after all."""
        try:
            return bytes(self._buffer[: sock.recv_into(self._buffer)])
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except OSError as error:
            raise ConnectionFailed(f"the connection to {peer} broke: {error.strerror or error}") from error


@contextlib.contextmanager
def _blame(fault: str) -> Iterator[None]:
    """Failures of the block, time-outs included, are of this sort."""
    try:
        yield
    except ConnectionFailed as error:
        error.fault = fault
        raise
