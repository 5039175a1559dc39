"""The hub as it lives on its event loop: sockets, connections, waiting, and the end of it all.

Everything here runs on one loop and takes no locks; `hub.Hub` is the door for other threads. Time of
day is the clock's, waiting and durations are the loop's.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING

from .accounting import ClientFrame, ConnectionInfo, HttpRequest, Sent
from .armed import Armed
from .connection import Connection
from .faults import CloseMessage, Logout
from .http import HttpPeer
from .listener import Listener
from .stream import Stream
from .ticks import KINDS, Source
from .tokens import Grant, TokenIssuer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from websockets.server import ServerProtocol

    from tickwire.clock import Clock

    from .routes import Handler
    from .settings import Settings

__all__ = ["Core"]

_KEPT_CONNECTIONS = 1_000


class Core:
    """The state of a running hub."""

    def __init__(self, settings: Settings, source: Source | None, clock: Clock) -> None:
        self.settings = settings
        self.source = source
        self.clock = clock
        self.tokens = TokenIssuer(clock)
        self.contracts = None if source is None else frozenset(source.symbols)
        """Contracts that can be subscribed to; None for any."""
        self.symbol_index = {} if source is None else {name: n for n, name in enumerate(source.symbols)}
        self.hubs = {settings.path: "market", settings.user_path: "user"}
        """Names of the hubs by their paths."""
        self.routes: dict[str, Handler] = {}
        """REST: what answers a POST to a path."""
        self.armed = Armed(self)
        self.listener = Listener(lambda: HttpPeer(self), self.changed)
        self.peers: set[HttpPeer] = set()
        self.requests: deque[HttpRequest] = deque(maxlen=settings.keep_requests)
        self.frames: deque[ClientFrame] = deque(maxlen=settings.keep_frames)
        self.stream = None if source is None else Stream(self, source)

        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._told = False
        self._connections: dict[int, Connection] = {}
        self._opened = 0
        self._past: deque[ConnectionInfo] = deque(maxlen=_KEPT_CONNECTIONS)
        self._past_sent = Sent()
        self._negotiated: dict[str, tuple[str, float]] = {}
        self._ids: dict[str, int] = {}
        self._waiters: list[tuple[Callable[[], bool], Future[None]]] = []

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
        await self.listener.start(self.settings.port)
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
    def is_streaming(self) -> bool:
        """Whether the stream has not ended yet, well or not."""
        return self._task is not None and not self._task.done()

    @property
    def untold_error(self) -> BaseException | None:
        """The error that ended the stream, if nobody has been told of it yet."""
        if self._told or self._task is None or not self._task.done() or self._task.cancelled():
            return None
        return self._task.exception()

    async def stop(self) -> None:
        """Close everything: clients get all that was sent and a close, and `close_s` to take them."""
        await self.listener.stop()
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])
        for peer in list(self.peers):
            peer.abort()
        for connection in self.live:
            connection.resume()
            connection.close("hub stopped", 1001)
        await self._gone([connection.closed for connection in self.live], self.settings.close_s)
        for connection in self.live:
            connection.abort()
        await self._gone([*(c.closed for c in self.live), *(peer.closed for peer in self.peers)], None)
        await self.listener.wait_closed()
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

    def chosen(self, number: int | None) -> list[Connection]:
        """The live connection of this number, or all of them."""
        return [c for c in self.live if number in (None, c.number)]

    def of_user(self, connection: Connection) -> list[Connection]:
        """The live connections of one user, on both hubs."""
        return [c for c in self.live if c.user == connection.user]

    def infos(self) -> tuple[ConnectionInfo, ...]:
        """Snapshots of the latest thousand closed connections and of all open ones."""
        return (*self._past, *(connection.info() for connection in self.live))

    def sent(self) -> Sent:
        """Totals over all connections there ever were."""
        return sum((connection.outbox.sent() for connection in self.live), self._past_sent)

    def negotiate(self, hub: str, version: int) -> tuple[str, str]:
        """A new connection id and token; the one that the version uses opens a WebSocket once."""
        connection_id, connection_token = secrets.token_urlsafe(16), secrets.token_urlsafe(16)
        now_s = self.loop.time()
        limit_s = self.settings.negotiated_s
        self._negotiated = {k: v for k, v in self._negotiated.items() if now_s - v[1] < limit_s}
        self._negotiated[connection_token if version >= 1 else connection_id] = (hub, now_s)
        return connection_id, connection_token

    def id_problem(self, token: str, hub: str) -> tuple[int, str] | None:
        """Status and reason if no connection can be opened with this id."""
        if token in self._ids:
            return 409, "this connection has its WebSocket already"
        known = self._negotiated.get(token)
        if known is None or known[0] != hub or self.loop.time() - known[1] >= self.settings.negotiated_s:
            return 404, "No Connection with that ID"
        return None

    def open(self, ws: ServerProtocol, path: str, token: str | None, grant: Grant | None) -> Connection:
        """Enter a connection that is being upgraded; `token` is its negotiated id."""
        if grant is not None:
            self.log_in(grant)
        self._opened += 1
        connection = Connection(self, self._opened, self.hubs[path], path, ws, grant)
        self._connections[connection.number] = connection
        if token is not None:
            del self._negotiated[token]
            self._ids[token] = connection.number
        if grant is not None and self.settings.close_expired:
            left_s = (grant.expires_ns - self.clock.now_ns()) / 1e9
            connection.later(left_s, lambda: self._expire(connection))
        self.changed()
        return connection

    def lost(self, connection: Connection) -> None:
        """Take a connection off whose TCP connection has ended."""
        del self._connections[connection.number]
        self._ids = {token: number for token, number in self._ids.items() if number != connection.number}
        self._past.append(connection.info())
        self._past_sent += connection.outbox.sent()
        self.changed()

    def keys_of(self, subscriptions: Iterable[tuple[str, str]]) -> frozenset[int]:
        """`Event.key`s of (kind, contract) pairs, without those that the source does not have."""
        index = self.symbol_index
        return frozenset(
            KINDS.index(kind) * len(index) + index[contract]
            for kind, contract in subscriptions
            if contract in index
        )

    # Sessions

    def log_in(self, grant: Grant) -> None:
        """A user comes with this grant, by a login or an upgrade; a new session ends older ones if so set."""
        setting = self.settings.one_session
        if not setting:
            return
        self.tokens.supersede(grant)
        for connection in self.live:
            held = connection.grant
            if held is not None and held.sub == grant.sub and held.session < grant.session:
                self.armed.befall(Logout() if setting is True else setting, connection)

    def expire(self, grant: Grant) -> None:
        """Let a token expire now, whatever its time."""
        self.tokens.expire(grant)
        for connection in self.live:
            if connection.grant is not None and connection.grant.id == grant.id:
                self._expire(connection)

    def _expire(self, connection: Connection) -> None:
        setting = self.settings.close_expired
        if setting:
            end = CloseMessage("The token has expired.") if setting is True else setting
            self.armed.befall(end, connection)

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
