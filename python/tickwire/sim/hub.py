"""`Hub`, the embedded hub: a SignalR server on loopback for tests, demos and benchmarks.

It speaks negotiate versions 0 and 1, WebSockets with and without negotiate, and the JSON and
MessagePack hub protocols, checks bearer tokens, answers the ProjectX subscribe methods, and streams
the ticks of a source while counting everything it sends. It does not speak long polling, server-sent
events, streams, client results, stateful reconnect or TLS, and it simulates neither accounts nor the
snapshot of the book that a gateway sends ahead of depth changes.

Everything happens on one event loop. In `with` that loop runs in a thread of the hub; in `async with`
it is the caller's. Every method and property can be used from any thread. Predicates given to
`wait_until` run on the hub's loop.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Self, TypeVar

from tickwire.errors import ConfigError

from .accounting import ClientFrame, ConnectionInfo, HttpRequest, Lateness, Sent, SentMessage
from .core import Core
from .faults import CloseMessage, Drop, Fault, Inject, Resume, Silence, Trigger
from .loop import new_event_loop
from .settings import Settings
from .tokens import TokenIssuer

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from .connection import Connection
    from .shape import Shape
    from .ticks import Source, StartRule

__all__ = ["Hub"]

_T = TypeVar("_T")


class Hub:
    """An embedded SignalR hub on 127.0.0.1.

    Args:
        source: what to stream (`Market`, `Replay`), or None for a hub that is only scripted.
        port: TCP port; 0 takes a free one.
        path: path of the market hub.
        user_path: path of the user hub.
        auth: whether negotiate and upgrade need a token of `token`.
        accept_query_token: also take the token from the `access_token` query parameter.
        start: "first" starts the stream with the first subscription, "all" when every kind and
            contract of the source has a subscriber, "manual" with `start`. None leaves it to the
            source: a market starts with the first, a replay when all of it is wanted.
        seconds: length of the stream; ticks due later are not sent.
        count: ticks of the stream, counted over all instruments whoever subscribed to them.
        records_per_message: hub messages in one WebSocket message; fewer where a client subscribed
            to a part of the stream, or where ticks share a record.
        elements_per_record: most consecutive trades (or depth changes) of one contract in a record.
        shape: trades and depth as "list"s, as single "object"s, or "mixed" by turns.
        digits: fractional digits of timestamps; None writes as many as are needed.
        zone: end of timestamps, such as "Z", "+00:00" or "".
        slot_s: ticks due within one slot are sent in one write, at its end.
        ping_s: a connection that was sent nothing for so long gets a ping.
        silence_s: a connection that said nothing for so long is dropped.
        handshake_s: time for a request and for the handshake.
        negotiated_s: how long a negotiated id can be used.
        close_s: how long a client may take to answer a WebSocket close, behind all that it was sent.
        max_message_bytes: largest message taken from a client.
        write_buffer_bytes: sent but not yet taken by the client, from which on the stream waits.
        keep_requests: how many of the latest requests `requests` holds.
        keep_frames: how many of the latest client frames `frames` holds.
        keep_sent: how many of the latest tick messages `sent_log` holds, per connection.
    """

    def __init__(
        self,
        source: Source | None = None,
        *,
        port: int = 0,
        path: str = "/hubs/market",
        user_path: str = "/hubs/user",
        auth: bool = True,
        accept_query_token: bool = False,
        start: StartRule | None = None,
        seconds: float | None = None,
        count: int | None = None,
        records_per_message: int = 1,
        elements_per_record: int = 8,
        shape: Shape = "list",
        digits: int | None = None,
        zone: str = "Z",
        slot_s: float = 0.001,
        ping_s: float = 15.0,
        silence_s: float = 30.0,
        handshake_s: float = 15.0,
        negotiated_s: float = 15.0,
        close_s: float = 2.0,
        max_message_bytes: int = 32 * 1024,
        write_buffer_bytes: int = 256 * 1024,
        keep_requests: int = 1_000,
        keep_frames: int = 1_000,
        keep_sent: int = 0,
    ) -> None:
        self._settings = Settings(
            port=port,
            path=path,
            user_path=user_path,
            auth=auth,
            accept_query_token=accept_query_token,
            start=start,
            seconds=seconds,
            count=count,
            records_per_message=records_per_message,
            elements_per_record=elements_per_record,
            shape=shape,
            digits=digits,
            zone=zone,
            slot_s=slot_s,
            ping_s=ping_s,
            silence_s=silence_s,
            handshake_s=handshake_s,
            negotiated_s=negotiated_s,
            close_s=close_s,
            max_message_bytes=max_message_bytes,
            write_buffer_bytes=write_buffer_bytes,
            keep_requests=keep_requests,
            keep_frames=keep_frames,
            keep_sent=keep_sent,
        )
        self._source = source
        self._tokens = TokenIssuer()
        self._core = Core(self._settings, source, self._tokens)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._loop_thread_id: int | None = None
        self._stop: asyncio.Event | None = None
        self._ended = False

    # Life

    def __enter__(self) -> Self:
        self._not_twice()
        ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(ready,), name="tickwire sim hub", daemon=True)
        self._thread.start()
        try:
            ready.result()
        except BaseException:
            self._thread.join()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop is not None and self._stop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
        self._raise_stream_error(error)

    async def __aenter__(self) -> Self:
        self._not_twice()
        await self._core.start()
        self._loop = asyncio.get_running_loop()
        self._loop_thread_id = threading.get_ident()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._core.stop()
        self._ended = True
        self._raise_stream_error(error)

    def _run(self, ready: Future[None]) -> None:
        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            self._loop_thread_id = threading.get_ident()
            self._stop = asyncio.Event()
            try:
                await self._core.start()
            except OSError as error:
                ready.set_exception(error)
                return
            ready.set_result(None)
            await self._stop.wait()
            await self._core.stop()
            self._ended = True

        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(serve())

    def _not_twice(self) -> None:
        if self._loop is not None or self._thread is not None:
            raise ConfigError("this hub has been entered before: make a new Hub for every run")

    def _raise_stream_error(self, error: BaseException | None) -> None:
        # A source that failed must not look like one that came to its end.
        untold = self._core.untold_error
        if error is None and untold is not None:
            raise untold

    def _call(self, function: Callable[[], _T]) -> _T:
        """Run on the hub's loop and return what comes of it."""
        if self._loop is None:
            raise ConfigError("the hub is not running: use it inside `with` or `async with`")
        if self._ended or threading.get_ident() == self._loop_thread_id:
            return function()
        future: Future[_T] = Future()

        def run() -> None:
            try:
                future.set_result(function())
            except BaseException as error:  # noqa: BLE001  raised again where it was called
                future.set_exception(error)

        self._loop.call_soon_threadsafe(run)
        return future.result()

    # Where it is

    @property
    def port(self) -> int:
        """The TCP port it listens on."""
        return self._call(lambda: self._core.port)

    @property
    def url(self) -> str:
        """Address of the market hub."""
        return f"http://127.0.0.1:{self.port}{self._settings.path}"

    @property
    def user_url(self) -> str:
        """Address of the user hub."""
        return f"http://127.0.0.1:{self.port}{self._settings.user_path}"

    @property
    def symbols(self) -> tuple[str, ...]:
        """Contract ids of the source."""
        return () if self._source is None else self._source.symbols

    def token(self, sub: str = "demo", *, ttl_s: float = 86_400.0, **claims: Any) -> str:
        """A token for this hub, valid for `ttl_s` seconds; a negative one has expired."""
        return self._tokens.issue(sub, ttl_s, claims)

    # What it saw and sent

    @property
    def connections(self) -> tuple[ConnectionInfo, ...]:
        """Connections in order of their ends, then the open ones in order of their upgrades."""
        return self._call(self._core.infos)

    def connection(self, number: int = -1) -> ConnectionInfo:
        """The connection of this number, or the newest one."""
        infos = sorted(self.connections, key=lambda info: info.id)
        found = infos[-1:] if number == -1 else [info for info in infos if info.id == number]
        if not found:
            raise ConfigError(f"connection={number!r}: got {[info.id for info in infos]} so far")
        return found[0]

    @property
    def sent(self) -> Sent:
        """Totals of all connections."""
        return self._call(self._core.sent)

    @property
    def requests(self) -> tuple[HttpRequest, ...]:
        """The latest negotiate and upgrade requests, oldest first."""
        return self._call(lambda: tuple(self._core.requests))

    @property
    def frames(self) -> tuple[ClientFrame, ...]:
        """The latest frames of clients, oldest first."""
        return self._call(lambda: tuple(self._core.frames))

    def sent_log(self, connection: int) -> tuple[SentMessage, ...]:
        """The latest `keep_sent` tick messages of an open connection, oldest first."""
        return self._call(
            lambda: tuple(entry for c in self._core.live if c.number == connection for entry in c.sent_log)
        )

    @property
    def lateness(self) -> Lateness:
        """How late batches were written, against their schedule."""
        stream = self._core.stream
        return Lateness(0.0, 0.0, 0.0, 0) if stream is None else self._call(stream.lateness)

    # Stream

    def start(self) -> None:
        """Start the stream now; needed with `start="manual"`, allowed always."""
        stream = self._core.stream
        if stream is None:
            raise ConfigError("the hub has no source: give it a Market or a Replay")
        self._call(stream.begin)

    @property
    def is_finished(self) -> bool:
        """Whether the stream has come to its end; it raises the error of a source that failed."""
        return self._call(lambda: self._core.finished)

    def wait_finished(self, timeout_s: float | None = None) -> None:
        """Block until the stream has come to its end; everything of it has then been written."""
        self.wait_until(lambda hub: hub.is_finished, timeout_s, what="the end of the stream")

    async def finished(self, timeout_s: float | None = None) -> None:
        """`wait_finished` for coroutines."""
        await self.until(lambda hub: hub.is_finished, timeout_s, what="the end of the stream")

    # Waiting

    def wait_until(
        self, predicate: Callable[[Hub], bool], timeout_s: float | None = 10.0, *, what: str = "the condition"
    ) -> None:
        """Block until `predicate(hub)` holds.

        It is asked again after each request, connection, handshake, subscription, client frame, ping,
        loss of a connection and batch of ticks. TimeoutError if it never holds.
        """
        if not self._ended and threading.get_ident() == self._loop_thread_id:
            raise ConfigError("wait_until would block the hub's own loop: await hub.until(...) there")
        future = self._call(lambda: self._core.wait(lambda: predicate(self)))
        try:
            future.result(timeout_s)
        except TimeoutError:
            future.cancel()
            raise TimeoutError(f"{what} did not come within {timeout_s} s") from None

    async def until(
        self, predicate: Callable[[Hub], bool], timeout_s: float | None = 10.0, *, what: str = "the condition"
    ) -> None:
        """`wait_until` for coroutines, on whichever loop."""
        future = self._call(lambda: self._core.wait(lambda: predicate(self)))
        try:
            await asyncio.wait_for(asyncio.wrap_future(future), timeout_s)
        except TimeoutError:
            raise TimeoutError(f"{what} did not come within {timeout_s} s") from None

    # By hand

    def broadcast(self, target: str, *arguments: Any, connection: int | None = None) -> int:
        """Send an event to one connection or to all that did their handshake; returns to how many.

        Nobody needs to have subscribed. The elements of the three market events count as ticks.
        """
        return self._call(
            lambda: sum(c.send_event(target, list(arguments)) for c in self._chosen(connection))
        )

    def send_raw(self, payload: bytes, *, connection: int | None = None, text: bool | None = None) -> int:
        """Send bytes as one WebSocket message, uncounted but for messages and bytes.

        `text` chooses the frame type, which otherwise is that of the connection's protocol.
        """

        def send() -> int:
            chosen = self._chosen(connection)
            for one in chosen:
                one.send_message(payload, text=text)
            return len(chosen)

        return self._call(send)

    def ping(self, payload: bytes = b"", *, connection: int | None = None) -> None:
        """Send a WebSocket ping; the pong comes to `frames`."""

        def send() -> None:
            for one in self._chosen(connection):
                one.send_ws_ping(payload)

        self._call(send)

    def _chosen(self, connection: int | None) -> list[Connection]:
        return [c for c in self._core.live if connection in (None, c.number)]

    def fault(
        self,
        fault: Fault,
        *,
        connection: int | None = None,
        after_ticks: int | None = None,
        times: int | None = 1,
    ) -> None:
        """Break something.

        A link fault (`Drop`, `Silence`, `Resume`, `CloseMessage`, `Inject`) strikes now, or with
        `after_ticks` whenever a connection has been sent so many ticks; `connection` picks one by
        its number, otherwise it is any. A gate fault (`Refuse`, `NoAnswer`, `HandshakeError`, `Drop`
        with `at`) strikes the next arrivals at its stage. `times` is how often it strikes where it
        waits, None for every time.
        """
        core = self._core
        if times is not None and times < 1:
            raise ConfigError(f"times={times!r}: expected at least 1, or None for every time")
        if isinstance(fault, Silence | Resume | CloseMessage | Inject) or (
            isinstance(fault, Drop) and fault.at is None
        ):
            link = fault
            if after_ticks is None:
                struck = self._call(lambda: core.befall(link, connection))
                if not struck:
                    raise ConfigError(f"connection={connection!r}: no such open connection to break")
            else:
                if after_ticks < 1:
                    raise ConfigError(f"after_ticks={after_ticks!r}: expected at least 1")
                limit = times if times is not None else 2**63
                trigger = Trigger(link, after_ticks, connection, limit, set())
                self._call(lambda: core.triggers.append(trigger))
        else:
            if connection is not None or after_ticks is not None:
                raise ConfigError(
                    f"{fault!r} waits at its stage: expected neither connection nor after_ticks"
                )
            gate = fault
            self._call(lambda: core.gate.arm(gate, times))

    def clear_faults(self) -> None:
        """Disarm faults that wait, and let silenced connections speak again."""
        self._call(self._core.clear_faults)
