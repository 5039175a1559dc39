"""One attempt at a hub: signalrcore's hub object around our transport.

A `MarketHub` connects once, lives once and is thrown away; whoever wants the hub back makes another.
Payloads go whole to `feed`, which returns the records that were no market data; those are looked at
here: completions settle their calls, a close ends the attempt, pings are counted, anything else goes
to `on_control`. A close is the last thing a hub says; behind a logout there may be data, which is still
taken in.

All of it runs on the thread that calls `start` and `step`; `stop`, `call` and signalrcore's `invoke`
may be called from others, and never block. signalrcore's negotiation, reconnection, keep-alive and
message dispatch are not used.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from signalrcore.hub.base_hub_connection import BaseHubConnection

from .auth import Token
from .clock import Clock
from .config import ProtocolName
from .errors import ConnectionFailed, HubClosed, LoggedOut, SubscribeRefused
from .link_limits import LinkLimits
from .projectx import LOGOUT_TARGET
from .protocol import RawProtocol
from .route import Route
from .socketclient import SocketClient
from .transport import HubTransport
from .wakeup import Waiter

__all__ = ["MarketHub"]

_COMPLETION = 3
_PING = 6
_CLOSE = 7

# A logout is an event like any other, and what the hub had sent by then may still be on its way: it is read
# until nothing has come for the first, or the second has passed.
_QUIET_S = 0.02
_LAST_S = 0.1


class MarketHub(BaseHubConnection):  # type: ignore[misc]
    """One connection to one hub."""

    transport: HubTransport
    protocol: RawProtocol

    def __init__(
        self,
        route: Route,
        *,
        protocol: ProtocolName,
        token: Token | None,
        feed: Callable[[bytes, int], Sequence[bytes]],
        on_control: Callable[[dict[str, Any]], None],
        limits: LinkLimits,
        clock: Clock,
        waiter: Waiter,
    ) -> None:
        # No headers: signalrcore would put them into every invocation and into its logs. The token
        # goes to the socket alone.
        super().__init__(
            str(route.address),
            skip_negotiation=True,
            headers={},
            ssl_context=route.tls,
            protocol=RawProtocol(protocol, self._take),
        )
        self._feed = feed
        self._on_control = on_control
        self._clock = clock
        self._ending: ConnectionFailed | None = None
        self._calls: dict[str, Future[Any]] = {}
        self._calls_lock = threading.Lock()
        self._ids = itertools.count(1)
        self._finished = False
        self.hub_pings = 0
        self.controls = 0
        self.unreadable_controls = 0
        client = SocketClient(route, token=token, limits=limits, clock=clock, waiter=waiter)
        self.protocol = self._selected_protocol
        self.transport = HubTransport(
            client,
            limits=limits,
            clock=clock,
            waiter=waiter,
            url=str(route.address),
            protocol=self.protocol,
            headers={},
            skip_negotiation=True,
            ssl_context=route.tls,
            on_open=self._callbacks.on_open,
            on_close=self._callbacks.on_close,
            on_reconnect=self._callbacks.on_reconnect,
            on_message=self.on_message,
        )

    def start(self) -> bool:
        """Connect, upgrade, shake hands; on return the hub can be called. Raises what went wrong."""
        return self.transport.start()

    def step(self, timeout_s: float) -> None:
        """Wait at most `timeout_s` for one read and take it in; `ConnectionFailed` ends the attempt."""
        # The hub may have closed in the same breath in which it answered the handshake.
        if self._ending is None:
            self.transport.poll(timeout_s)
        ending = self._ending
        if isinstance(ending, LoggedOut):
            self._read_the_rest()
        if ending is not None:
            raise ending

    def _read_the_rest(self) -> None:
        clock, client = self._clock, self.transport.client
        now_s = clock.monotonic_s()
        last_s, quiet_s = now_s + _LAST_S, now_s + _QUIET_S
        # How the link ends, the logout is why.
        with contextlib.suppress(ConnectionFailed):
            while now_s < min(last_s, quiet_s):
                reads = client.reads
                self.transport.poll(min(last_s, quiet_s) - now_s)
                now_s = clock.monotonic_s()
                if client.reads > reads:
                    quiet_s = now_s + _QUIET_S

    def call(self, method: str, *arguments: object) -> Future[Any]:
        """Invoke a hub method; the future gets its result, `SubscribeRefused` or `ConnectionFailed`.

        The future is settled by `step`, so the thread that steps must not wait for it otherwise.
        """
        if self._ending is not None:
            # Its last words may have come in one read with the answer to the handshake.
            raise self._ending
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        invocation_id = str(next(self._ids))
        with self._calls_lock:
            if self._finished or not self.transport.is_connected():
                raise ConnectionFailed(f"the hub is not connected; {method} was not called")
            self._calls[invocation_id] = future
        try:
            self.invoke(method, list(arguments), invocation_id=invocation_id)
        except BaseException:
            self._settle(invocation_id)
            raise
        return future

    def finish(self, error: ConnectionFailed | None = None) -> None:
        """End the attempt: in good order, or at once if `error` says that the link is gone."""
        if error is None:
            self.transport.dispose()
        else:
            self.transport.abort()
        with self._calls_lock:
            self._finished = True
            calls, self._calls = self._calls, {}
        for future in calls.values():
            future.set_exception(error or ConnectionFailed("the client was closed before the hub answered"))

    # What the hub says

    def _take(self, payload: bytes) -> None:
        for record in self._feed(payload, self.transport.client.last_read_ns):
            self._dispatch(record)

    def _dispatch(self, record: bytes) -> None:
        self.controls += 1
        try:
            message = self.protocol.message_of(record)
        except ValueError:
            # Well-formed, or the feed had not handed it on, but beyond what Python's parsers take (a
            # number of thousands of digits, absurd nesting), or not what its type calls for. Nothing
            # of the sort is for us.
            self.unreadable_controls += 1
            return
        kind = message.get("type")
        if kind == _PING:
            self.hub_pings += 1
        elif kind == _COMPLETION:
            self._complete(message)
        elif kind == _CLOSE:
            self._ending = self._closed_by_hub(message)
        else:
            target = message.get("target")
            if isinstance(target, str) and target.casefold() == LOGOUT_TARGET:
                # What it says is told with the event; the log and the error say only that it came.
                self._ending = LoggedOut("the gateway has logged this session out (GatewayLogout)")
            self._on_control(message)

    def _complete(self, message: dict[str, Any]) -> None:
        future = self._settle(str(message.get("invocationId")))
        if future is None:
            self._on_control(message)
        elif message.get("error") is not None:
            future.set_exception(
                SubscribeRefused(
                    f"the hub refused a call: {self.transport.client.quote(str(message['error']))}"
                )
            )
        else:
            future.set_result(message.get("result"))

    def _settle(self, invocation_id: str) -> Future[Any] | None:
        with self._calls_lock:
            return self._calls.pop(invocation_id, None)

    def _closed_by_hub(self, message: dict[str, Any]) -> ConnectionFailed:
        error = message.get("error")
        welcome = message.get("allowReconnect") is True
        said = f": {self.transport.client.quote(str(error))}" if error is not None else ""
        return HubClosed(f"the hub closed the connection{said}", allow_reconnect=welcome)
