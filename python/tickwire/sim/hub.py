"""`Hub`, the embedded hub: a SignalR server on loopback for tests, demos and benchmarks.

It speaks negotiate versions 0 and 1, WebSockets with and without negotiate, and the JSON and
MessagePack hub protocols, checks bearer tokens, answers the ProjectX subscribe methods, and streams
the ticks of a source while counting everything it sends. It does not speak long polling, server-sent
events, streams, client results, stateful reconnect or TLS, and it simulates no accounts.

Everything happens on one event loop. In `with` that loop runs in a thread of the hub; in `async with`
it is the caller's. Every method and property can be used from any thread. Predicates given to
`wait_until` run on the hub's loop.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self

from tickwire.clock import Clock
from tickwire.errors import ConfigError

from .accounting import ClientFrame, ConnectionInfo, HttpRequest, Lateness, Sent, SentMessage
from .core import Core
from .door import Door
from .faults import Fault, LinkFault, Ping, Stage
from .settings import FirstDepth, Settings
from .tokens import Grant, TokenRefused

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from .books import Levels
    from .rest import Rest
    from .shape import Shape
    from .ticks import Source, StartRule

__all__ = ["Hub"]


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
        ws_ping_s: every so often each connection gets a WebSocket ping; None for never.
        pong_s: a connection whose pong to such a ping takes longer is closed with code 1011.
        silence_s: a connection that said nothing for so long is dropped.
        handshake_s: time for a request and for the handshake.
        negotiated_s: how long a negotiated id can be used.
        close_s: how long a client may take to answer a WebSocket close, behind all that it was sent.
        slow_s: a connection that takes less than it is sent for so long is dropped; None lets the stream
            wait for it.
        close_expired: what befalls a connection when its token expires: a link fault, or True for a
            Close message with an error.
        one_session: what befalls a user's older connections when the user comes with the token of a
            newer session, whose older tokens are refused from then on: a link fault, or True for
            `Logout()`. Every login opens a session, and so does every `token` that renews no other.
        max_message_bytes: largest message taken from a client.
        write_buffer_bytes: sent but not yet taken by the client, from which on the stream waits.
        keep_requests: how many of the latest requests `requests` holds.
        keep_frames: how many of the latest client frames `frames` holds.
        keep_sent: how many of the latest tick messages `sent_log` holds, per connection.
        first_depth: what a subscription to depth begins with: all "levels" of the book in one message, the
            same behind a "reset", or None for nothing but later changes.
        clock: the time of day and, in `with`, all waiting. In `async with` durations and waiting are
            those of the running loop, which must go by the same clock.
        rest: the gateway's REST side, beside the hubs; without it there is none.
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
        ws_ping_s: float | None = None,
        pong_s: float = 20.0,
        silence_s: float = 30.0,
        handshake_s: float = 15.0,
        negotiated_s: float = 15.0,
        close_s: float = 2.0,
        slow_s: float | None = None,
        close_expired: bool | LinkFault = False,
        one_session: bool | LinkFault = False,
        max_message_bytes: int = 32 * 1024,
        write_buffer_bytes: int = 256 * 1024,
        keep_requests: int = 1_000,
        keep_frames: int = 1_000,
        keep_sent: int = 0,
        first_depth: FirstDepth | None = "levels",
        clock: Clock | None = None,
        rest: Rest | None = None,
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
            ws_ping_s=ws_ping_s,
            pong_s=pong_s,
            silence_s=silence_s,
            handshake_s=handshake_s,
            negotiated_s=negotiated_s,
            close_s=close_s,
            slow_s=slow_s,
            close_expired=close_expired,
            one_session=one_session,
            max_message_bytes=max_message_bytes,
            write_buffer_bytes=write_buffer_bytes,
            keep_requests=keep_requests,
            keep_frames=keep_frames,
            keep_sent=keep_sent,
            first_depth=first_depth,
        )
        self._source = source
        clock = Clock() if clock is None else clock
        self._core = Core(self._settings, source, clock)
        if rest is not None:
            rest.mount(self._core)
        self._door = Door(self._core, clock)

    # Life

    def __enter__(self) -> Self:
        self._door.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._door.close()
        self._raise_stream_error(error)

    async def __aenter__(self) -> Self:
        await self._door.open_here()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._door.close_here()
        self._raise_stream_error(error)

    def _raise_stream_error(self, error: BaseException | None) -> None:
        # A source that failed must not look like one that came to its end.
        untold = self._core.untold_error
        if error is None and untold is not None:
            raise untold

    # Where it is

    @property
    def port(self) -> int:
        """The TCP port it listens on."""
        return self._door.call(lambda: self._core.listener.port)

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

    def token(
        self,
        sub: str = "demo",
        *,
        ttl_s: float = 86_400.0,
        renews: str | None = None,
        opaque: bool = False,
        **claims: Any,
    ) -> str:
        """A token for this hub, valid for `ttl_s` seconds; a negative one has expired.

        It opens a new session of the user `sub`, or with `renews` stays in the one of that token. An
        opaque one is no JWT, and carries no claims.
        """
        tokens = self._core.tokens
        if renews is None:
            return tokens.issue(sub, ttl_s, claims, opaque=opaque)
        grant = self._grant(renews)
        return tokens.issue(grant.sub, ttl_s, claims, session=grant.session, opaque=opaque)

    def _grant(self, token: str) -> Grant:
        try:
            return self._core.tokens.read(token)
        except TokenRefused as error:
            raise ConfigError(f"got a {error}, expected a token of this hub") from None

    def expire(self, token: str) -> None:
        """Let a token expire now: it is refused from here on, and `close_expired` takes effect."""
        grant = self._grant(token)
        self._door.call(lambda: self._core.expire(grant))

    # What it saw and sent

    @property
    def connections(self) -> tuple[ConnectionInfo, ...]:
        """Connections in order of their ends, then the open ones in order of their upgrades."""
        return self._door.call(self._core.infos)

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
        return self._door.call(self._core.sent)

    @property
    def requests(self) -> tuple[HttpRequest, ...]:
        """The latest negotiate and upgrade requests, oldest first."""
        return self._door.call(lambda: tuple(self._core.requests))

    @property
    def frames(self) -> tuple[ClientFrame, ...]:
        """The latest frames of clients, oldest first."""
        return self._door.call(lambda: tuple(self._core.frames))

    def sent_log(self, connection: int) -> tuple[SentMessage, ...]:
        """The latest `keep_sent` tick messages of an open connection, oldest first."""
        return self._door.call(
            lambda: tuple(entry for c in self._core.chosen(connection) for entry in c.outbox.log)
        )

    @property
    def lateness(self) -> Lateness:
        """How late batches were written, against their schedule."""
        stream = self._core.stream
        return Lateness(0.0, 0.0, 0.0, 0) if stream is None else self._door.call(stream.lateness)

    def book(self, symbol: str) -> tuple[Levels, Levels]:
        """Bids and asks of a contract, (price, size) each, best first, as the depth changes that were sent
        so far have left them, whatever faults did to them on their way. Empty without depth.
        """
        index, stream = self._core.symbol_index.get(symbol), self._core.stream
        if index is None or stream is None:
            raise ConfigError(f"symbol={symbol!r}: expected one of the source's, {self.symbols}")
        return self._door.call(lambda: stream.levels(index))

    # Stream

    def start(self) -> None:
        """Start the stream now; needed with `start="manual"`, allowed always."""
        stream = self._core.stream
        if stream is None:
            raise ConfigError("the hub has no source: give it a Market or a Replay")
        self._door.call(stream.begin)

    @property
    def is_finished(self) -> bool:
        """Whether the stream has come to its end; it raises the error of a source that failed."""
        return self._door.call(lambda: self._core.finished)

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
        if self._door.is_here:
            raise ConfigError("wait_until would block the hub's own loop: await hub.until(...) there")
        future = self._door.call(lambda: self._core.wait(lambda: predicate(self)))
        try:
            future.result(timeout_s)
        except TimeoutError:
            future.cancel()
            raise TimeoutError(f"{what} did not come within {timeout_s} s") from None

    async def until(
        self, predicate: Callable[[Hub], bool], timeout_s: float | None = 10.0, *, what: str = "the condition"
    ) -> None:
        """`wait_until` for coroutines, on whichever loop."""
        future = self._door.call(lambda: self._core.wait(lambda: predicate(self)))
        try:
            await asyncio.wait_for(asyncio.wrap_future(future), timeout_s)
        except TimeoutError:
            raise TimeoutError(f"{what} did not come within {timeout_s} s") from None

    # By hand

    def broadcast(self, target: str, *arguments: Any, connection: int | None = None) -> int:
        """Send an event to one connection or to all that did their handshake; returns to how many.

        Nobody needs to have subscribed. The elements of the three market events count as ticks.
        """
        return self._door.call(
            lambda: sum(c.send_event(target, list(arguments)) for c in self._core.chosen(connection))
        )

    def send_raw(self, payload: bytes, *, connection: int | None = None, text: bool | None = None) -> int:
        """Send bytes as one WebSocket message, uncounted but for messages and bytes.

        `text` chooses the frame type, which otherwise is that of the connection's protocol.
        """

        def send() -> int:
            chosen = self._core.chosen(connection)
            for one in chosen:
                one.send_message(payload, text=text)
            return len(chosen)

        return self._door.call(send)

    def ping(self, payload: bytes = b"", *, connection: int | None = None) -> None:
        """Send a WebSocket ping; the pong comes to `frames`. `Ping` is one that must be answered."""
        self.fault(Ping(payload), connection=connection)

    def fault(
        self,
        fault: Fault,
        *,
        at: Stage | None = None,
        only: str | None = None,
        connection: int | None = None,
        after_ticks: int | None = None,
        times: int | None = 1,
    ) -> None:
        """Break something.

        A *link* fault strikes open connections now: all of them, or the one with the number
        `connection`. With `after_ticks` it strikes a connection when it has been sent so many ticks,
        behind the message that reached them; 0 is right behind the answer to its upgrade. With `at`
        ("upgrade", "handshake" or "subscribe") it waits for the next arrivals at that stage, and
        strikes behind the answer, which a distortion takes in.

        A *gate* fault takes the place of the answer to the next arrivals at its stage; `only` limits it
        (and a link fault with `at`) to requests of this path, to handshakes on the hub of this path, or
        to calls of this method, such as "SubscribeContractQuotes".

        A *hub* fault (`Unlisten`, `Listen`, `Skew`) befalls the hub, now or `after_ticks`.

        `times` is how often a fault strikes where it waits, None for every time. ConfigError for a
        fault that cannot work, or if there is no connection to strike.
        """
        self._door.call(
            lambda: self._core.armed.set(
                fault, at=at, only=only, connection=connection, after_ticks=after_ticks, times=times
            )
        )

    def clear_faults(self) -> None:
        """Disarm faults that wait, listen again, and end every silence, distortion and skew."""
        self._door.call(self._core.armed.clear)
