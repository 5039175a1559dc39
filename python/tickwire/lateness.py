"""Ticks that came too late for their bars, and which bars lack them.

A tick whose bar has been closed is rejected as late, and its bar has said that it is complete. An engine
counts such ticks and does not keep their times, so it is looked at now and then: a tick that came since
the look before belongs to a bar that is closed by now, and is no older than what the connection had
delivered by then, less a slack for ticks that overtake each other. That whole time is in doubt.

Where bars are in doubt is said at every look, so that they can be marked at once; what is to be told
and fetched is gathered, and handed out for each instrument at most once in `TELL_S`.

Pure: counts and times are given. It marks nothing, and does not see ticks that never came.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TELL_S", "LateTicks"]

TELL_S = 10.0
"""Seconds between two that are told of one instrument."""


@dataclass(slots=True)
class _Seen:
    """One instrument, at the last look."""

    late: int
    floor_ns: int | None = None
    """No tick that comes later is older, but for the slack."""
    doubt: tuple[int, int] | None = None
    """Not told yet."""
    not_before_s: float = 0.0


class LateTicks:
    """The late ticks of one client's instruments. Belongs to one thread."""

    def __init__(self, slack_ns: int) -> None:
        """`slack_ns`: by how much ticks of an instrument may overtake each other, in event time."""
        self._slack_ns = slack_ns
        self._seen: dict[str, _Seen] = {}
        self.ticks = 0
        """Late ticks that were found."""
        self.told = 0
        """Times in doubt that were handed out by `due`."""

    def look(
        self, symbol: str, late: int, newest_ns: int | None, closed_ns: int | None
    ) -> tuple[int, int] | None:
        """Where bars are in doubt because of ticks that came since the last look: from when to when, event
        time in int ns UTC.

        Args:
            late: ticks rejected as late so far.
            newest_ns: event time of the newest tick that was accepted.
            closed_ns: the time up to which bars are closed.
        """
        seen = self._seen.setdefault(symbol, _Seen(late))
        more, seen.late = late - seen.late, late
        floor_ns = seen.floor_ns
        if newest_ns is not None:
            # A stamp from the future is none that later ticks have to reach.
            reached_ns = newest_ns if closed_ns is None else min(newest_ns, closed_ns)
            seen.floor_ns = reached_ns if floor_ns is None else max(floor_ns, reached_ns)
        if not more or closed_ns is None:
            return None
        self.ticks += more
        start_ns = (closed_ns if floor_ns is None else min(floor_ns, closed_ns)) - self._slack_ns
        if start_ns >= closed_ns:
            return None
        doubt = (start_ns, closed_ns)
        known = seen.doubt
        seen.doubt = doubt if known is None else (min(known[0], start_ns), max(known[1], closed_ns))
        return doubt

    def begin(self, symbol: str, late: int, from_ns: int) -> None:
        """The instrument flows from now on, and what comes is of this time or later.

        Ticks that were late before belong to what was missed until then, and are passed over.
        """
        seen = self._seen.setdefault(symbol, _Seen(late))
        seen.late = late
        seen.floor_ns = from_ns if seen.floor_ns is None else max(seen.floor_ns, from_ns)

    def due(self, now_s: float) -> list[tuple[str, int, int]]:
        """What is to be told now: symbol, and from when to when. `now_s` is of a monotonic clock."""
        found = []
        for symbol, seen in self._seen.items():
            if seen.doubt is not None and now_s >= seen.not_before_s:
                found.append((symbol, *seen.doubt))
                seen.doubt, seen.not_before_s = None, now_s + TELL_S
        self.told += len(found)
        return found
