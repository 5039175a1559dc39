"""What is the same for every attempt of a client, and what is counted over all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from .clock import Clock
from .config import ProtocolName
from .errors import ConnectionFailed
from .events import Event
from .link_limits import LinkLimits
from .login import Login
from .reconcile import Volumes
from .route import Route
from .tasks import Tasks
from .wanted import Wanted

if TYPE_CHECKING:
    from .link import Link

__all__ = [
    "Counters",
    "Feed",
    "Marks",
    "Overlap",
    "OverlapReport",
    "Plan",
    "Receipt",
    "SwapChoice",
    "check_stream",
]

SwapChoice = Literal["learn", "expiry", "never"]


class Receipt(Protocol):
    """What a feed answers to a payload."""

    @property
    def received(self) -> int: ...
    @property
    def accepted(self) -> int: ...
    @property
    def rejected(self) -> int: ...
    @property
    def duplicates(self) -> int: ...
    @property
    def control(self) -> Sequence[bytes]: ...


class Feed(Protocol):
    """The engine's end of a connection."""

    def push_bytes(self, data: bytes, ts_recv: int | None = None) -> Receipt: ...
    def reset(self) -> None: ...
    @property
    def is_lost(self) -> bool:
        """Whether nothing can be read until `reset`."""

    def volumes(self) -> Mapping[str, Volumes]: ...


def check_stream(feed: Feed, receipt: Receipt) -> None:
    """Raises `ConnectionFailed` if nothing that follows on the connection can be read."""
    if receipt.rejected and feed.is_lost:
        raise ConnectionFailed(
            "the hub sent no length where a message should begin; what follows cannot be read",
            fault="violation",
        )


class OverlapReport(Protocol):
    """What came of an overlap."""

    @property
    def contact(self) -> bool:
        """Whether the old connection delivered beyond the point at which the new one was complete."""

    @property
    def uncertain(self) -> Sequence[tuple[str, int, int]]:
        """What could not be told apart: symbol, and from when to when, event time in int ns UTC."""


class Overlap(Protocol):
    """Lets the ticks of two feeds through once, while both flow."""

    def ready(self) -> None:
        """All subscriptions of the new connection are confirmed."""

    @property
    def contact(self) -> bool:
        """Whether the old connection can be closed without a loss."""

    def unsettled(self, survivor: Any) -> int:
        """Ticks that would count twice if only the feed `survivor` went on from now."""

    def end(self, survivor: Any) -> OverlapReport:
        """Go back to one feed."""


class Marks(Protocol):
    """What a connection tells about time, beside data."""

    def advance(self, now_ns: int) -> None:
        """Idle bars that end up to now may close; `now_ns` is the time of day."""

    def mark(self, start_ns: int | None, end_ns: int) -> None:
        """Bars of this time of day are not complete; the gap itself is told when it has ended."""

    def gap(
        self, start_ns: int | None, end_ns: int, reason: str, symbols: Sequence[str] | None = None
    ) -> None:
        """Data is missing between these times of day; of all instruments unless some are named."""

    def doubt(self, symbol: str, start_ns: int, end_ns: int, reason: str) -> None:
        """The ticks of one instrument between these event times may not be right."""

    def begin(self, now_ns: int) -> None:
        """From this time of day on all streams of a link flow."""

    def end(self) -> None:
        """A link that flowed has ended."""

    def watch(self, link: Link) -> None:
        """Called about once a second while a link lives; may raise `ConnectionFailed` to end it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that is the same for every attempt."""

    name: str
    """Of the client; threads, events and log records carry it."""
    route: Route
    protocol: ProtocolName
    login: Login
    feeds: tuple[Feed, Feed]
    """The feed of a connection, and the one of the connection that is opened beside it."""
    overlap: Callable[[Feed, Feed], Overlap]
    marks: Marks
    wanted: Wanted
    limits: LinkLimits
    clock: Clock
    tasks: Tasks
    tell: Callable[..., None]
    """Publish an event: its type, and its fields but for `ts` and `client`."""
    on_control: Callable[[dict[str, Any]], None]
    swap: SwapChoice


@dataclass(slots=True)
class Counters:
    """What a client counts over all its connections; those of a living one are added when it ends."""

    attempts: int = 0
    connections: int = 0
    failures: int = 0
    failures_in_a_row: int = 0
    swaps: int = 0
    received: int = 0
    accepted: int = 0
    rejected: int = 0
    duplicates: int = 0
    reads: int = 0
    bytes_read: int = 0
    messages: int = 0
    pings: int = 0
    pongs: int = 0
    hub_pings: int = 0
    controls: int = 0
    unreadable_controls: int = 0
    last_error: str | None = None

    def add(self, counts: Mapping[str, int]) -> None:
        """Add what a connection has counted that has ended."""
        for name, count in counts.items():
            setattr(self, name, getattr(self, name) + count)


def telling(publish: Callable[[Event], None], clock: Clock, name: str) -> Callable[..., None]:
    """`Plan.tell` for a client of this name."""

    def tell(kind: type[Event], **fields: Any) -> None:
        publish(kind(ts=clock.now_ns(), client=name, **fields))

    return tell
