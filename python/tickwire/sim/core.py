"""The hub as it lives on its event loop: sockets, connections, waiting, and the end of it all.

Everything here runs on one loop and takes no locks; `hub.Hub` is the door for other threads.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING

from .accounting import ClientFrame, ConnectionInfo, HttpRequest, Sent
from .connection import Connection
from .faults import Gate, LinkFault, Trigger, apply
from .http import HttpPeer
from .stream import Stream
from .ticks import KINDS, Source

if TYPE_CHECKING:
    from collections.abc import Callable

    from websockets.server import ServerProtocol

    from .methods import Call
    from .routes import Handler
    from .settings import Settings
    from .tokens import TokenIssuer

__all__ = ["Core"]

_KEPT_CONNECTIONS = 1_000


class Core:
    """The state of a running hub."""

    def __init__(self, settings: Settings, source: Source | None, tokens: TokenIssuer) -> None:
        self.settings = settings
        self.source = source
        self.tokens = tokens
        self.contracts = None if source is None else frozenset(source.symbols)
        """Contracts that can be subscribed to; None for any."""
        self.gate = Gate()
        self.triggers: list[Trigger] = []
        self.peers: set[HttpPeer] = set()
        self.requests: deque[HttpRequest] = deque(maxlen=settings.keep_requests)
        self.frames: deque[ClientFrame] = deque(maxlen=settings.keep_frames)
        self.stream = None if source is None else Stream(self, source)
        self.routes: dict[str, Handler] = {}
        """REST: what answers a POST to a path."""
        self.port = 0

        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: asyncio.Server | None = None
        self._task: asyncio.Task[None] | None = None
        self._told = False
        self._connections: dict[int, Connection] = {}
        self._opened = 0
        self._past: deque[ConnectionInfo] = deque(maxlen=_KEPT_CONNECTIONS)
        self._past_sent = Sent()
        self._negotiated: dict[str, tuple[str, float]] = {}
        self._ids: dict[str, int] = {}
        self._waiters: list[tuple[Callable[[], bool], Future[None]]] = []
        self._symbol_index = {} if source is None else {name: n for n, name in enumerate(source.symbols)}

    # Life

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop of a hub that has been started."""
        if self._loop is None:
            raise RuntimeError("the hub has not been started")
        return self._loop

    async def start(self) -> None:
        """Listen, and get the stream ready."""
        self._loop = asyncio.get_running_loop()
        self._server = await self._loop.create_server(lambda: HttpPeer(self), "127.0.0.1", self.settings.port)
        self.port = self._server.sockets[0].getsockname()[1]
        if self.stream is not None:
            self._task = self._loop.create_task(self.stream.run(), name="tickwire sim stream")
            self._task.add_done_callback(lambda _: self.changed())

    @property
    def finished(self) -> bool:
        """Whether the stream has reached its end; an error that ended it is raised here."""
        if self._task is None or not self._task.done() or self._task.cancelled():
            return False
        self._told = True
        self._task.result()
        return True

    @property
    def untold_error(self) -> BaseException | None:
        """The error that ended the stream, if nobody has been told of it yet."""
        if self._told or self._task is None or not self._task.done() or self._task.cancelled():
            return None
        return self._task.exception()

    async def stop(self) -> None:
        """Close everything: clients get all that was sent and a close, and `close_s` to take them."""
        if self._server is None:
            return
        self._server.close()
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])
        for peer in list(self.peers):
            peer.abort()
        for connection in self.live:
            connection.silenced = False
            connection.close("hub stopped", 1001)
        await self._gone([connection.closed for connection in self.live], self.settings.close_s)
        for connection in self.live:
            connection.abort()
        await self._gone([*(c.closed for c in self.live), *(peer.closed for peer in self.peers)], None)
        await self._server.wait_closed()
        for _, future in self._waiters:
            future.cancel()
        self._waiters.clear()

    @staticmethod
    async def _gone(events: list[asyncio.Event], timeout_s: float | None) -> None:
        if events:
            waits = [asyncio.ensure_future(event.wait()) for event in events]
            _, pending = await asyncio.wait(waits, timeout=timeout_s)
            for wait in pending:
                wait.cancel()

    # Connections

    @property
    def live(self) -> list[Connection]:
        """Connections whose TCP connection stands."""
        return list(self._connections.values())

    def infos(self) -> tuple[ConnectionInfo, ...]:
        """Snapshots of the latest thousand closed connections and of all open ones."""
        return (*self._past, *(connection.info() for connection in self.live))

    def sent(self) -> Sent:
        """Totals over all connections there ever were."""
        return sum((connection.sent() for connection in self.live), self._past_sent)

    def negotiate(self, hub: str, version: int) -> tuple[str, str]:
        """A new connection id and token; the one that the version uses opens a WebSocket once."""
        connection_id, connection_token = secrets.token_urlsafe(16), secrets.token_urlsafe(16)
        now = self.loop.time()
        limit_s = self.settings.negotiated_s
        self._negotiated = {k: v for k, v in self._negotiated.items() if now - v[1] < limit_s}
        self._negotiated[connection_token if version >= 1 else connection_id] = (hub, now)
        return connection_id, connection_token

    def id_problem(self, token: str, hub: str) -> tuple[int, str] | None:
        """Status and reason if no connection can be opened with this id."""
        if token in self._ids:
            return 409, "this connection has its WebSocket already"
        known = self._negotiated.get(token)
        if known is None or known[0] != hub or self.loop.time() - known[1] >= self.settings.negotiated_s:
            return 404, "No Connection with that ID"
        return None

    def open(self, ws: ServerProtocol, hub: str, token: str | None) -> Connection:
        """Enter a connection that has just been upgraded."""
        self._opened += 1
        connection = Connection(self, self._opened, hub, ws)
        self._connections[connection.number] = connection
        if token is not None:
            del self._negotiated[token]
            self._ids[token] = connection.number
        self.changed()
        return connection

    def lost(self, connection: Connection) -> None:
        """Take a connection off whose TCP connection has ended."""
        del self._connections[connection.number]
        self._ids = {token: number for token, number in self._ids.items() if number != connection.number}
        self._past.append(connection.info())
        self._past_sent += connection.sent()
        self.changed()

    def subscribed(self, connection: Connection, call: Call) -> None:
        """Note a changed subscription."""
        index = self._symbol_index
        connection.keys = frozenset(
            KINDS.index(kind) * len(index) + index[contract]
            for kind, contract in connection.subscriptions
            if contract in index
        )
        if call.kind == "quote" and call.contract in index:
            if call.action == "subscribe":
                connection.wants_full.add(index[call.contract])
            else:
                connection.wants_full.discard(index[call.contract])
        self.changed()

    # Faults

    def befall(self, fault: LinkFault, connection: int | None) -> int:
        """Let a fault befall one connection or all of them now; returns how many it struck."""
        struck = [c for c in self.live if connection in (None, c.number)]
        for one in struck:
            apply(fault, one)
        return len(struck)

    def pull_triggers(self, connection: Connection) -> None:
        """Let the faults strike that waited for as many ticks as the connection now has been sent."""
        for trigger in list(self.triggers):
            if (
                trigger.connection in (None, connection.number)
                and connection.ticks_sent >= trigger.after_ticks
                and connection.number not in trigger.struck
            ):
                trigger.struck.add(connection.number)
                trigger.remaining -= 1
                if trigger.remaining <= 0:
                    self.triggers.remove(trigger)
                apply(trigger.fault, connection)

    def clear_faults(self) -> None:
        """Disarm all gate faults and triggers, and end every silence."""
        self.gate.clear()
        self.triggers.clear()
        for connection in self.live:
            connection.silenced = False

    # Waiting

    def wait(self, predicate: Callable[[], bool]) -> Future[None]:
        """A future that is done once the predicate holds; asked again after everything that happens."""
        future: Future[None] = Future()
        self._waiters.append((predicate, future))
        self.changed()
        return future

    def changed(self) -> None:
        """Something happened that the stream or somebody else may wait for."""
        if self.stream is not None:
            self.stream.poke()
        self.ask_waiters()

    def ask_waiters(self) -> None:
        """Ask the predicates that are waited for."""
        for entry in list(self._waiters):
            predicate, future = entry
            outcome: BaseException | None = None
            if not future.cancelled():
                try:
                    if not predicate():
                        continue
                except Exception as error:  # noqa: BLE001
                    # Not handled here: it belongs to whoever waits on the predicate.
                    outcome = error
            self._waiters.remove(entry)
            # The waiter may give up in its own thread at any moment; from here on it cannot.
            if future.set_running_or_notify_cancel():
                if outcome is None:
                    future.set_result(None)
                else:
                    future.set_exception(outcome)
