"""Tells of transitions of local time: some time before each, and when it has come.

    daylight = Daylight([tw.Zone("America/New_York")], ahead_ns=24 * 3_600 * 10**9)
    for zone, transition in daylight.due(now_ns): ...

A client tells them as `events.DaylightTransition`, and the logger `tickwire.daylight` writes them.
"""

from __future__ import annotations

from collections.abc import Iterable

from .calendar import Transition, Zone

__all__ = ["Daylight"]


class Daylight:
    """Which transitions of some zones are to be told."""

    def __init__(self, zones: Iterable[Zone], ahead_ns: int) -> None:
        self._zones = tuple(zones)
        self._ahead_ns = ahead_ns
        # Up to when transitions have been told to come, and to have come.
        self._ahead_told_ns: int | None = None
        self._come_told_ns: int | None = None

    def due(self, now_ns: int) -> list[tuple[str, Transition]]:
        """What to tell now (int ns UTC), with the names of the zones: each transition once `ahead_ns` before it
        comes (later, if nobody asked then), and once when it has come. What came before the first call is
        not told.
        """
        come_ns = now_ns if self._come_told_ns is None else self._come_told_ns
        ahead_ns = now_ns if self._ahead_told_ns is None else max(now_ns, self._ahead_told_ns)
        self._come_told_ns = max(come_ns, now_ns)
        self._ahead_told_ns = max(ahead_ns, now_ns + self._ahead_ns)
        return [
            (zone.name, transition)
            for zone in self._zones
            for after_ns, until_ns in ((come_ns, self._come_told_ns), (ahead_ns, self._ahead_told_ns))
            for transition in zone.transitions(after_ns + 1, until_ns + 1)
        ]
