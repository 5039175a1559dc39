"""What a client writes to the log: its events, one logger per concern, and nothing per tick.

| logger | what | levels |
|---|---|---|
| `tickwire.link` | connected, disconnected, reconnecting, logged out, changed sockets | INFO, WARNING |
| `tickwire.login` | tokens renewed, renewals that failed (written by `login` itself) | INFO, WARNING |
| `tickwire.gaps` | gaps, backfill, volume drift | INFO, WARNING |
| `tickwire.health` | changes of the state of health | INFO, WARNING |
| `tickwire.daylight` | transitions of local time, ahead of each and when it has come | INFO |
| `tickwire.rejections` | shares of rejected ticks that are high, and normal again | INFO, WARNING |
| `tickwire.callbacks` | handlers that raise, breakers, overflow | WARNING |

Every record carries the event itself as `record.event`, and `record.client`, for structured handlers.
Warnings of one kind that repeat within a minute are counted, and the next one says how many there
were. No record ever holds a token: events do not.
"""

from __future__ import annotations

import logging
from dataclasses import fields

from . import events
from .clock import Clock

__all__ = ["EventLog"]

_REPEAT_S = 60.0

# Event -> logger and level. What is not here is for the event stream alone.
_KINDS: dict[type[events.Event], tuple[str, int]] = {
    events.Connected: ("link", logging.INFO),
    events.Disconnected: ("link", logging.WARNING),
    events.Reconnecting: ("link", logging.WARNING),
    events.LoggedOut: ("link", logging.WARNING),
    events.SwapFailed: ("link", logging.WARNING),
    events.Gap: ("gaps", logging.INFO),
    events.BackfillDone: ("gaps", logging.INFO),
    events.BackfillFailed: ("gaps", logging.WARNING),
    events.VolumeDrift: ("gaps", logging.WARNING),
    events.HealthChanged: ("health", logging.WARNING),
    events.DaylightTransition: ("daylight", logging.INFO),
    events.RejectionRate: ("rejections", logging.WARNING),
    events.BreakerChanged: ("callbacks", logging.WARNING),
    events.HandlerFailed: ("callbacks", logging.WARNING),
    events.Overflow: ("callbacks", logging.WARNING),
}


class EventLog:
    """Writes the events of one client. Called on whatever thread an event happens."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: dict[tuple[object, ...], tuple[float, int]] = {}

    def write(self, event: events.Event) -> None:
        """One record, or one more repetition counted."""
        kind = _KINDS.get(type(event))
        if kind is None:
            return
        concern, level = kind
        if getattr(event, "state", None) in ("healthy", "closed", "normal"):
            level = logging.INFO
        logger = logging.getLogger(f"tickwire.{concern}")
        if not logger.isEnabledFor(level):
            return
        repeated = self._repeated(event) if level >= logging.WARNING else 0
        if repeated < 0:
            return
        suffix = f" (and {repeated} more like it before)" if repeated else ""
        logger.log(
            level,
            "%s %s%s",
            type(event).__name__,
            " ".join(f"{name}={value!r}" for name, value in _details(event)),
            suffix,
            extra={"event": event, "client": event.client},
        )

    def _repeated(self, event: events.Event) -> int:
        """How many like it were kept back, or -1 if this one is, too."""
        key = (type(event), getattr(event, "fault", None), getattr(event, "handler", None))
        now_s = self._clock.monotonic_s()
        last_s, kept_back = self._last.get(key, (-_REPEAT_S, 0))
        if now_s - last_s < _REPEAT_S:
            self._last[key] = (last_s, kept_back + 1)
            return -1
        self._last[key] = (now_s, 0)
        return kept_back


def _details(event: events.Event) -> list[tuple[str, object]]:
    return [(field.name, getattr(event, field.name)) for field in fields(event) if field.name not in ("ts",)]
