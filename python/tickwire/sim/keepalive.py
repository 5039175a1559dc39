"""How a connection is kept alive, and how its end is noticed: pings of both layers, and time limits.

A connection that was sent nothing for `ping_s` gets a SignalR ping, and one that said nothing for
`silence_s` is dropped: pings of the WebSocket layer are no words. With `ws_ping_s` the hub also pings
on that layer, as servers with short time-outs do, and closes with 1011 what does not pong in time.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from websockets.frames import Frame, Opcode

from .loop import EARLY_S

if TYPE_CHECKING:
    import asyncio

    from .connection import Connection
    from .core import Core

__all__ = ["KeepAlive"]

_PONG_MISSED = 1011
"""Close code for a missing pong, the one that `websockets` sends."""


class KeepAlive:
    """The timers of one connection that has done its handshake."""

    def __init__(self, core: Core, connection: Connection) -> None:
        self._core = core
        self._loop = core.loop
        self._settings = core.settings
        self._connection = connection
        self._last_heard_s = self._loop.time()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._pings: deque[tuple[bytes, asyncio.TimerHandle | None]] = deque()
        self._pinged = 0

    def begin(self) -> None:
        """The handshake is done."""
        self._later("ping", self._settings.ping_s, self._ping_if_idle)
        self._later("silence", self._settings.silence_s, self._drop_if_silent)
        if self._settings.ws_ping_s is not None:
            self._later("ws_ping", self._settings.ws_ping_s, self._ws_ping)

    def stop(self) -> None:
        """The connection is gone."""
        for timer in self._timers.values():
            timer.cancel()
        for _, limit in self._pings:
            if limit is not None:
                limit.cancel()

    def heard(self) -> None:
        """The client sent a message."""
        self._last_heard_s = self._loop.time()

    def ping(self, payload: bytes, limit_s: float | None) -> None:
        """Send a WebSocket ping, and close the connection if its pong takes longer than the limit."""
        if not self._connection.takes_messages or self._connection.outbox.silenced:
            return
        limit = None if limit_s is None else self._loop.call_later(limit_s, self._pong_missed)
        self._pings.append((payload, limit))
        self._connection.outbox.raw(Frame(Opcode.PING, payload).serialize(mask=False))

    def ponged(self, payload: bytes) -> None:
        """A pong came; it also answers the pings before its own (RFC 6455, 5.5.3)."""
        if not any(payload == sent for sent, _ in self._pings):
            return
        while True:
            sent, limit = self._pings.popleft()
            if limit is not None:
                limit.cancel()
            if sent == payload:
                return

    def _later(self, name: str, seconds: float, function: object) -> None:
        self._timers[name] = self._loop.call_later(seconds, function)  # type: ignore[arg-type]

    def _ping_if_idle(self) -> None:
        wait_s = self._settings.ping_s - (self._loop.time() - self._connection.outbox.last_write_s)
        if wait_s <= EARLY_S:
            self._connection.conversation.send_ping()
            self._core.changed()
            wait_s = self._settings.ping_s
        self._later("ping", wait_s, self._ping_if_idle)

    def _drop_if_silent(self) -> None:
        wait_s = self._settings.silence_s - (self._loop.time() - self._last_heard_s)
        if wait_s > EARLY_S:
            self._later("silence", wait_s, self._drop_if_silent)
        elif self._connection.outbox.silenced:
            # A hub that plays dead ends nothing.
            self._later("silence", self._settings.silence_s, self._drop_if_silent)
        else:
            # Without the wait for what is buffered: a client that is gone will not take it.
            self._connection.abort("client silent for too long")

    def _ws_ping(self) -> None:
        self._pinged += 1
        self.ping(b"hub ping %d" % self._pinged, self._settings.pong_s)
        if self._settings.ws_ping_s is not None:
            self._later("ws_ping", self._settings.ws_ping_s, self._ws_ping)

    def _pong_missed(self) -> None:
        self._connection.close("no pong in time", _PONG_MISSED)
