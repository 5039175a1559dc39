"""The socket of one connection attempt.

`SocketClient` owns a TCP or TLS socket for the length of one WebSocket connection: it has it opened
and upgraded within a deadline, reads once per wake-up with a large buffer, answers pings and closes,
and ends in good order. It is signalrcore's client as far as signalrcore's transport can see, and uses
none of its code.

It runs entirely on the thread that calls `connect` and `poll`; it starts no thread that outlives a
name resolution and holds no lock while waiting, so it cannot join itself. Only `send` may be called
from other threads. Opening is the `Dialer`'s, frames are parsed in `_core.WebSocket`. What the bytes
mean, when to ping and when to give up are the transport's.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from typing import Literal

from signalrcore.transport.base_client import BaseClient

from ._core import WebSocket
from .auth import Secret, Token
from .clock import Clock
from .dial import Deadline, Dialer
from .errors import ConnectionFailed
from .link_limits import LinkLimits
from .negotiate import Negotiation
from .redact import Redactor
from .route import Route
from .upgrade import Upgrade
from .wakeup import READ, WRITE, Waiter

__all__ = ["SocketClient"]

# One read of this size per wake-up. Reading on until the socket is empty would hold the interpreter
# for as long as a busy hub sends, and starve the strategy's threads.
_READ_BYTES = 262_144

# A hub that makes the client write this much without reading any of it is not going to.
_MAX_UNSENT_BYTES = 1 << 20

# The close code with which hubs turn away who may not be there (RFC 6455, 7.4.1).
_POLICY_VIOLATION = 1008


class SocketClient(BaseClient):  # type: ignore[misc]
    """One WebSocket connection, from name resolution to the last FIN."""

    def __init__(
        self,
        route: Route,
        *,
        token: Token | None,
        limits: LinkLimits,
        clock: Clock,
        waiter: Waiter,
    ) -> None:
        self._route = route
        self._address = route.address
        self._token = token
        self._redactor = Redactor(token)
        self._limits = limits
        self._clock = clock
        self._waiter = waiter
        self._dialer = Dialer(tls=route.tls, proxies=route.proxies, clock=clock, waiter=waiter)
        self._connection_id: Secret | None = None
        self._opening = Deadline(0.0, f"{route.address.netloc} was not dialled")
        self._sock: socket.socket | None = None
        self._socket: WebSocket | None = None
        self._glued = b""
        self._out = bytearray()
        self._buffer = memoryview(bytearray(_READ_BYTES))
        self._lock = threading.Lock()
        self._failure: ConnectionFailed | None = None
        """Why the connection has ended; all that came before the end has been handed out."""
        self._deaf: ConnectionFailed | None = None
        """Why nothing can be written any more; what the hub has sent can still be read."""
        self.last_read_s = 0.0
        """When the last byte came, as `Clock.monotonic_s` tells it."""
        self.last_read_ns = 0
        """Time of day of the last byte received, as the clock tells it."""
        self.reads = 0
        self.bytes_read = 0
        self.messages = 0
        self.pings = 0
        self.pongs = 0
        self.last_pong: bytes | None = None
        """Payload of the last pong."""

    # Opening

    def connect(self) -> None:
        """Negotiate where that is wanted, connect and upgrade, each within its limit of `LinkLimits`.

        An open socket is never left behind. The three steps can also be taken one by one.
        """
        self.negotiate()
        self.dial()
        self.upgrade()

    def dial(self) -> None:
        """Open a socket; `upgrade`, which has to follow, ends within the same limit."""
        self._opening = self._deadline(self._limits.connect_s)
        self._sock = self._dialer.dial(self._address, self._opening)

    def upgrade(self) -> None:
        """Make a WebSocket of what `dial` opened; on return messages can be sent."""
        upgrade = Upgrade(
            self._address, self._token, token_in=self._route.token_in, connection_id=self._connection_id
        )
        phase = "waiting for the answer to the HTTP upgrade"
        try:
            self._dialer.converse(self._live(), upgrade, self._opening, phase)
        except BaseException:
            self.dispose()
            raise
        self._glued = upgrade.rest or b""
        self._socket = WebSocket(self._limits.max_message_bytes)
        self._stamp_read()

    def negotiate(self) -> None:
        """Ask for a connection, if the route says so. The hub may turn out to be elsewhere."""
        if not self._route.negotiate:
            return
        deadline = self._deadline(self._limits.negotiate_s)
        negotiation = Negotiation(self._address, self._token)
        while not negotiation.is_done:
            sock = self._dialer.dial(negotiation.address, deadline)
            try:
                self._dialer.converse(sock, negotiation, deadline, "waiting for the answer to negotiate")
            finally:
                self._dialer.drop(sock)
        self._address, self._token = negotiation.address, negotiation.token
        self._redactor.add(negotiation.token)
        self._redactor.add(negotiation.connection_id)
        self._connection_id = negotiation.connection_id

    def _deadline(self, limit_s: float) -> Deadline:
        text = f"no connection to {self._address.netloc} within {limit_s} s"
        return Deadline(self._clock.monotonic_s() + limit_s, text)

    def adopt(self, waiter: Waiter) -> None:
        """From now on wait through `waiter`, that of the thread that reads from now on."""
        self._waiter = waiter
        self._dialer.adopt(waiter)

    # Reading

    def poll(self, timeout_s: float) -> bytes:
        """Wait at most `timeout_s` for one read; the payloads of the messages it completed, joined.

        Raises `ConnectionFailed` once the connection has ended, after all that came before the end
        has been returned.
        """
        if self._failure is not None:
            raise self._failure
        if self._glued:
            data, self._glued = self._glued, b""
        else:
            sock = self._live()
            if self._out:
                self._flush()
            if not (self._address.secure and self._tls_pending()):
                events = READ | WRITE if self._out else READ
                ready = self._waiter.wait(sock, events, timeout_s if self._deaf is None else 0.0)
                if self._out:
                    self._flush()
                if not ready & READ:
                    self._failure = self._deaf
                    return b""
            read = self._read()
            if read is None:
                return b""
            if not read:
                self._failure = self._deaf or ConnectionFailed(
                    f"{self._address.netloc} ended the connection without a close frame"
                )
                return b""
            data = read
        self._stamp_read()
        self.reads += 1
        self.bytes_read += len(data)
        return self._receive(data)

    def _receive(self, data: bytes) -> bytes:
        if self._socket is None:
            raise ConnectionFailed(f"not connected to {self._address.netloc}")
        received = self._socket.receive(data)
        self.messages += received.messages
        self.pings += received.pings
        if received.pongs:
            self.pongs += len(received.pongs)
            self.last_pong = received.pongs[-1]
        if received.violation is not None:
            self._failure = ConnectionFailed(received.violation, fault="violation")
        elif received.close is not None:
            code, reason = received.close
            said = f": {self.quote(reason)}" if reason else ""
            self._failure = ConnectionFailed(
                f"{self._address.netloc} closed the WebSocket with code {code}{said}",
                fault="unauthorized" if code == _POLICY_VIOLATION else "link lost",
            )
        if received.pings or self._failure is not None:
            with self._lock:
                self._out += self._socket.output()
            self._flush()
        return received.payload

    def _stamp_read(self) -> None:
        self.last_read_ns = self._clock.now_ns()
        self.last_read_s = self._clock.monotonic_s()

    def _read(self) -> bytes | None:
        """What one read returned: empty at the end of the stream, None if nothing was there after all."""
        try:
            count = self._live().recv_into(self._buffer)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except OSError as error:
            raise ConnectionFailed(
                f"the connection to {self._address.netloc} broke: {error.strerror or error}"
            ) from error
        # `recv` would allocate all of the large buffer anew for each small message, which costs five
        # times what the system call does.
        return bytes(self._buffer[:count])

    def _tls_pending(self) -> bool:
        # Bytes already decrypted do not make the socket readable again.
        return isinstance(self._sock, ssl.SSLSocket) and self._sock.pending() > 0

    # Writing

    def send(self, message: str | bytes, **_: object) -> None:
        """Queue one message, `str` as text and `bytes` as binary, and see that it goes out. From any
        thread; never blocks.
        """
        # What ended it says more than that nothing can be sent.
        if self._failure is not None:
            raise self._failure
        with self._lock:
            if self._socket is None:
                raise ConnectionFailed(f"not connected to {self._address.netloc}; nothing was sent")
            if isinstance(message, str):
                self._socket.send_text(message)
            else:
                self._socket.send_binary(message)
            self._out += self._socket.output()
        self._waiter.wake()

    def ping(self, payload: bytes) -> None:
        """Queue a WebSocket ping; its pong counts as any other byte received."""
        with self._lock:
            if self._socket is not None and self._socket.is_open:
                self._socket.ping(payload)
                self._out += self._socket.output()

    def _flush(self) -> None:
        """Write what the socket takes. A failure is kept in `_deaf`, until what there is to read has been read."""
        sock = self._live()
        with self._lock:
            try:
                while self._out:
                    del self._out[: sock.send(self._out)]
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                if len(self._out) > _MAX_UNSENT_BYTES:
                    self._deaf = ConnectionFailed(f"{self._address.netloc} reads nothing of what it is sent")
                    self._out.clear()
            except OSError as error:
                self._deaf = ConnectionFailed(
                    f"the connection to {self._address.netloc} broke: {error.strerror or error}"
                )
                self._out.clear()

    # Leaving

    def close(self) -> None:
        """End the connection in good order, within `LinkLimits.close_s`. For the reading thread."""
        deadline_s = self._clock.monotonic_s() + self._limits.close_s
        # A link that breaks while it is being closed is closed.
        with contextlib.suppress(OSError):
            over = self._failure or self._deaf
            if self._sock is not None and self._socket is not None and over is None:
                self._say_goodbye(self._sock, self._socket, deadline_s)
        self.dispose()

    def _say_goodbye(self, sock: socket.socket, frames: WebSocket, deadline_s: float) -> None:
        with self._lock:
            frames.close(1000)
            self._out += frames.output()
            sock.settimeout(self._limits.close_s)
            sock.sendall(self._out)
            self._out.clear()
        # Closing with unread bytes would send a reset, which may overtake the close frame. So say
        # that nothing more will come, and read what the hub still sends until it ends too.
        sock.shutdown(socket.SHUT_WR)
        while (remaining_s := deadline_s - self._clock.monotonic_s()) > 0:
            sock.settimeout(remaining_s)
            if not sock.recv(_READ_BYTES):
                return

    def dispose(self) -> None:
        """Drop the connection at once. For the reading thread."""
        if self._sock is not None:
            self._dialer.drop(self._sock)
            self._sock = None
        self._socket = None
        self._out.clear()
        self._buffer = memoryview(b"")
        self._glued = b""

    def is_connection_closed(self) -> bool:
        """Whether nothing more can be sent."""
        return self._socket is None or self._failure is not None

    def is_trace_enabled(self) -> Literal[False]:
        """Never: a trace would show the upgrade request."""
        return False

    def quote(self, text: str) -> str:
        """What the hub said, fit for a message: secrets masked, control characters shown, not too long."""
        return self._redactor.quote(text)

    def _live(self) -> socket.socket:
        if self._sock is None:
            raise ConnectionFailed(f"not connected to {self._address.netloc}")
        return self._sock
