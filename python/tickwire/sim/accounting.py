"""What the hub counted: immutable snapshots of connections, requests, frames and totals."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["ClientFrame", "ConnectionInfo", "HttpRequest", "Lateness", "Sent", "SentMessage"]


@dataclass(frozen=True, slots=True)
class Sent:
    """What was handed to the socket; after a reset link some of it never arrived.

    Attributes:
        trades: elements of GatewayTrade events.
        quotes: GatewayQuote events.
        depth: elements of GatewayDepth events.
        records: hub messages that carry them; completions, pings and raw payloads not included.
        messages: WebSocket messages of any content.
        bytes: everything written, HTTP answer and frame headers included.
    """

    trades: int = 0
    quotes: int = 0
    depth: int = 0
    records: int = 0
    messages: int = 0
    bytes: int = 0

    @property
    def ticks(self) -> int:
        """Trades, quotes and depth elements together: the unit of rates and of `count`."""
        return self.trades + self.quotes + self.depth

    def __add__(self, other: Sent) -> Sent:
        return Sent(
            self.trades + other.trades,
            self.quotes + other.quotes,
            self.depth + other.depth,
            self.records + other.records,
            self.messages + other.messages,
            self.bytes + other.bytes,
        )


@dataclass(frozen=True, slots=True)
class ConnectionInfo:
    """One WebSocket connection as it stood when it was asked for.

    Attributes:
        id: number of the connection, from 1 up in order of the upgrades.
        hub: "market" or "user".
        user: whose token opened it; None without one.
        protocol: "json" or "messagepack"; None before the handshake.
        subscriptions: (kind, contract id) pairs, kind being "trade", "quote" or "depth".
        sent: what it was sent, copies that faults made included.
        duplicated: ticks of `sent` that were copies.
        lost: ticks that were to be sent and that a fault swallowed; no part of `sent`. Ticks of the
            stream that came up in a silence are not among them: nobody took part.
        received_messages: WebSocket messages that the client sent.
        pongs: WebSocket pongs that the client sent; their payloads are in `Hub.frames`.
        opened_ns: wall clock at the upgrade, ns UTC.
        closed_ns: wall clock at the end of the TCP connection, or None while it is open.
        closed_reason: why it ended, or None while it is open.
        close_code: code of the WebSocket close frame that the client sent, if it sent one.
    """

    id: int
    hub: str
    user: str | None
    protocol: str | None
    subscriptions: frozenset[tuple[str, str]]
    sent: Sent
    duplicated: int
    lost: int
    received_messages: int
    pongs: int
    opened_ns: int
    closed_ns: int | None
    closed_reason: str | None
    close_code: int | None

    @property
    def is_open(self) -> bool:
        """Whether the TCP connection still stood."""
        return self.closed_ns is None


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A negotiate, upgrade or REST request and its answer.

    The headers are kept as they came, the Authorization value included: tests for leaked tokens
    look here. That is right for a simulator whose tokens are worth nothing elsewhere.

    Attributes:
        method: HTTP method.
        path: path without the query.
        query: text after the question mark, or "".
        headers: names in lower case, values as sent.
        status: status of the answer, or None if it was left without one.
        note: why it was refused, or "".
        body: the request's body.
    """

    method: str
    path: str
    query: str
    headers: dict[str, str] = field(hash=False)
    status: int | None
    note: str
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class ClientFrame:
    """A message or control frame that a client sent.

    Attributes:
        connection: its `ConnectionInfo.id`.
        kind: "text", "binary", "ping", "pong" or "close".
        payload: the unmasked payload; fragments of one message are joined.
    """

    connection: int
    kind: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A WebSocket message that carried ticks.

    Attributes:
        number: of the message among all that its connection was sent, from 1 up.
        records: hub messages in it.
        ticks: ticks in it.
        payload: its payload.
    """

    number: int
    records: int
    ticks: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Lateness:
    """How long after their scheduled time batches were written, in µs, over the latest batches."""

    p50_us: float
    p99_us: float
    max_us: float
    batches: int
