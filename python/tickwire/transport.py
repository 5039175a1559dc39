"""signalrcore's transport, for one SignalR connection.

`HubTransport` puts SignalR on a `SocketClient`: the handshake with its deadline, pings in both
layers, the limit on silence, the goodbye. It runs on the thread that calls `start` and `poll`; only
`send` and `stop` may be called from other threads, and neither blocks. Nothing of signalrcore's own
negotiation, reconnection, keep-alive or logging is used; what remains of it here is the state
machine and its callbacks. A transport serves one connection.
"""

from __future__ import annotations

import contextlib
from typing import Any

from signalrcore.messages.close_message import CloseMessage
from signalrcore.messages.ping_message import PingMessage
from signalrcore.transport.base_transport import TransportState
from signalrcore.transport.websockets.websocket_transport import WebsocketTransport

from .clock import Clock
from .errors import ConnectionFailed, ConnectTimeout, HandshakeRefused
from .link_limits import LinkLimits
from .protocol import SEPARATOR, RawProtocol
from .socketclient import SocketClient
from .wakeup import Stopped, Waiter

__all__ = ["HubTransport"]

# The answer to the handshake is `{}` or an error text.
_MAX_ANSWER_BYTES = 64 * 1024


class HubTransport(WebsocketTransport):  # type: ignore[misc]
    """One SignalR connection over one `SocketClient`."""

    _client: SocketClient
    protocol: RawProtocol

    def __init__(
        self, client: SocketClient, *, limits: LinkLimits, clock: Clock, waiter: Waiter, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._client = client
        self._limits = limits
        self._clock = clock
        self._waiter = waiter
        self._answer = b""
        self._refusal: HandshakeRefused | None = None
        self._last_message_s = 0.0
        self._last_ping_s = 0.0
        self._heartbeats = 0
        self._asked: tuple[bytes, float] | None = None
        self.round_trip_s: float | None = None
        """Of the last WebSocket ping that was answered, in seconds; None before the first."""
        self._pinged_s: float | None = None
        """When the first ping since the last byte was sent."""

    @property
    def client(self) -> SocketClient:
        """The socket, for its times and counters."""
        return self._client

    def adopt(self, waiter: Waiter) -> None:
        """From now on wait through another thread's waiter."""
        self._waiter = waiter
        self._client.adopt(waiter)

    def create_client(self) -> SocketClient:
        """The client given; a transport serves one connection."""
        return self._client

    def start(self, reconnection: bool = False) -> bool:  # noqa: ARG002
        """Connect, upgrade and shake hands; on return messages flow."""
        self._set_state(TransportState.connecting)
        try:
            self._client.connect()
            self.shake_hands()
        except BaseException:
            self._client.dispose()
            self._set_state(TransportState.disconnected)
            raise
        return True

    def shake_hands(self) -> None:
        """Say which protocol is spoken, on an upgraded client; on return messages flow."""
        self.send_handshake()
        deadline_s = self._clock.monotonic_s() + self._limits.handshake_s
        while not self.handshake_received:
            if self._waiter.is_stopped:
                raise Stopped
            remaining_s = deadline_s - self._clock.monotonic_s()
            if remaining_s <= 0:
                raise ConnectTimeout(
                    f"the hub did not answer the SignalR handshake within {self._limits.handshake_s} s"
                )
            self._pass_on(self._client.poll(remaining_s))
            if self._refusal is not None:
                raise self._refusal
        self._last_ping_s = self._clock.monotonic_s()
        self._set_state(TransportState.connected)

    def poll(self, timeout_s: float) -> None:
        """Wait at most `timeout_s` for one read, and hand on what it brought; keep the link alive."""
        wait_s = min(timeout_s, self._keep_alive(self._clock.monotonic_s()))
        self._pass_on(self._client.poll(wait_s))
        # After the read: a thread that was held up for long must find what came meanwhile before it
        # calls the hub silent.
        now_s = self._clock.monotonic_s()
        self._note_pong(now_s)
        self._check_silence(now_s)

    def _pass_on(self, payload: bytes) -> None:
        if payload:
            self.on_message(self._client, payload)

    def on_message(self, app: object, raw_message: bytes) -> None:  # noqa: ARG002
        """Take in a payload: the answer to the handshake first, then records for the protocol's sink."""
        if self.handshake_received:
            self.protocol.parse_messages(raw_message)
            return
        self._answer += raw_message
        if SEPARATOR in self._answer:
            whole, self._answer = self._answer, b""
            self.evaluate_handshake(whole)
        elif len(self._answer) > _MAX_ANSWER_BYTES:
            self._refusal = HandshakeRefused(
                "the hub sent over 64 KiB without an end instead of a handshake answer"
            )

    def evaluate_handshake(self, message: bytes) -> tuple[()]:
        """Judge the answer to the handshake."""
        response, nothing = self.protocol.decode_handshake(message)
        if response.error is None:
            self.handshake_received = True
        else:
            # Raised by the caller, when the bytes of the answer are in no frame of a traceback.
            self._refusal = HandshakeRefused(
                f"the hub refused the SignalR handshake: {self._client.quote(response.error)}"
            )
        return nothing

    def send(self, message: object, on_invocation: object = None) -> None:  # noqa: ARG002
        """Queue one SignalR message. From any thread; never blocks."""
        self._client.send(self.protocol.encode(message))
        self._last_message_s = self._clock.monotonic_s()

    def _keep_alive(self, now_s: float) -> float:
        """Ping where it is time to, and tell how many seconds from now to look again."""
        # Compared as they are added up below: by subtraction the time to wait could round to nothing
        # before it is time.
        ping_s, heartbeat_s = self._limits.ping_s, self._limits.heartbeat_s
        # A hub drops clients that it hears nothing from, and counts SignalR messages alone.
        if now_s >= self._last_message_s + ping_s:
            self.send(PingMessage())
        # A SignalR ping has no answer; a WebSocket ping tells a quiet market from a dead link, and its
        # answer comes behind all that the hub sent before: the way that ticks take.
        if now_s >= self._last_ping_s + heartbeat_s:
            self._heartbeats += 1
            self._client.ping(str(self._heartbeats).encode())
            if self._pinged_s is None:
                self._pinged_s = now_s
            if self._asked is None:
                self._asked = (str(self._heartbeats).encode(), now_s)
            self._last_ping_s = now_s
        return min(self._last_message_s + ping_s, self._last_ping_s + heartbeat_s) - now_s

    def _note_pong(self, now_s: float) -> None:
        """Measure the round trip of the oldest ping that was unanswered."""
        if self._asked is not None and self._client.last_pong == self._asked[0]:
            self.round_trip_s = now_s - self._asked[1]
            self._asked = None

    @property
    def unanswered_s(self) -> float:
        """For how long the oldest ping has waited for its answer; 0 if none does."""
        return 0.0 if self._asked is None else self._clock.monotonic_s() - self._asked[1]

    def _check_silence(self, now_s: float) -> None:
        """The link is dead if the first ping since the last byte has waited for as long as is allowed.

        Measured from that ping, so that a process that was stopped for a while still gives the hub
        the time to answer.
        """
        heard_s = self._client.last_read_s
        if self._pinged_s is not None and heard_s > self._pinged_s:
            self._pinged_s = None
        patience_s = self._limits.silence_s - self._limits.heartbeat_s
        if self._pinged_s is not None and now_s - self._pinged_s >= patience_s:
            raise ConnectTimeout(
                f"the hub has been silent for {now_s - heard_s:.1f} s (limit {self._limits.silence_s} s) "
                "and does not answer pings",
                fault="silent",
            )

    def stop(self) -> None:
        """Ask the reading thread to end the connection. From any thread; never blocks."""
        self.manually_closing = True
        self._waiter.stop()

    def dispose(self) -> None:
        """End the connection in good order. For the reading thread."""
        if not self.is_disconnected():
            with contextlib.suppress(ConnectionFailed):
                self.send(CloseMessage(None, None))
            self._client.close()
            self._set_state(TransportState.disconnected)

    def abort(self) -> None:
        """Drop a connection that has failed. For the reading thread."""
        self._client.dispose()
        self._set_state(TransportState.disconnected)
