"""When so many ticks are rejected that somebody should know: pure, the clock and the counts are given.

    alarm = RejectionAlarm(RejectionLimits())
    for alert in alarm.look(now_s, {symbol: Count(stats["received"], stats["rejections"])}): ...

An alert is raised when of an instrument's ticks in the newest `window_s` seconds a larger share than
`share` was rejected, and lifted when it is below `clear`: between the two it stays as it was, so that a
share on the edge does not make it flap. What happened before the first look does not count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from .config import count, positive
from .errors import ConfigError
from .health_meters import Recent

__all__ = ["Alert", "Count", "RejectionAlarm", "RejectionLimits"]

_K = TypeVar("_K")


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectionLimits:
    """What share of an instrument's ticks may be rejected.

    Attributes:
        share: a larger one raises the alert …
        clear: … and a smaller one than this lifts it.
        least: fewer rejections than this in a window raise none.
        window_s: what is recent.
        by_reason: reasons that have a share of their own and are judged apart, e.g. {"late": 0.1}; its
            alert is lifted below the same part of it as `clear` is of `share`.
    """

    share: float = 0.01
    clear: float = 0.005
    least: int = 20
    window_s: float = 60.0
    by_reason: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        positive("RejectionLimits.share", self.share)
        positive("RejectionLimits.clear", self.clear)
        positive("RejectionLimits.window_s", self.window_s)
        count("RejectionLimits.least", self.least, 1 << 62)
        if self.clear >= self.share:
            raise ConfigError(
                f"RejectionLimits.clear: got {self.clear}, expected less than share ({self.share})"
            )
        if not isinstance(self.by_reason, Mapping):
            raise ConfigError(
                f"RejectionLimits.by_reason: got {self.by_reason!r}, expected a dict such as {{'late': 0.1}}"
            )
        for reason, share in self.by_reason.items():
            positive(f"RejectionLimits.by_reason[{reason!r}]", share)
        object.__setattr__(self, "by_reason", MappingProxyType(dict(self.by_reason)))


class Count(NamedTuple):
    """What has come of one instrument so far, and what of it was rejected by reason."""

    received: int
    rejections: Mapping[str, int]


class Alert(NamedTuple):
    """A change: `state` is "high" or "normal" from now on. `reason` is None for all reasons that have no
    limit of their own; `rejections` says how many there were of each.
    """

    symbol: str
    reason: str | None
    state: str
    received: int
    rejections: Mapping[str, int]

    @property
    def rejected(self) -> int:
        """How many in all."""
        return sum(self.rejections.values())


class RejectionAlarm:
    """Raises alerts and lifts them. Belongs to one thread; times are monotonic seconds."""

    def __init__(self, limits: RejectionLimits) -> None:
        self._limits = limits
        self._received: dict[str, Recent] = {}
        self._rejected: dict[tuple[str, str], Recent] = {}
        self._high: set[tuple[str, str | None]] = set()
        self._looked_s: float | None = None

    def look(self, now_s: float, counts: Mapping[str, Count]) -> list[Alert]:
        """The counters say `counts` by symbol; returns what has changed since the last look."""
        alerts = []
        for symbol, (received_total, rejections) in counts.items():
            received = self._grown(self._received, symbol, received_total, now_s)
            recent = {
                reason: self._grown(self._rejected, (symbol, reason), total, now_s)
                for reason, total in rejections.items()
            }
            own = self._limits.by_reason
            parts: dict[str | None, dict[str, int]] = {
                reason: {reason: n} for reason, n in recent.items() if reason in own
            }
            parts[None] = {reason: n for reason, n in recent.items() if reason not in own}
            for reason, part in parts.items():
                known = {name: n for name, n in part.items() if n}
                alert = Alert(symbol, reason, "", received, MappingProxyType(known))
                state = self._judge(alert)
                if state is not None:
                    alerts.append(alert._replace(state=state))
        self._looked_s = now_s
        return alerts

    def _grown(self, meters: dict[_K, Recent], key: _K, total: int, now_s: float) -> int:
        meter = meters.get(key)
        if meter is None:
            meter = meters[key] = Recent(self._limits.window_s)
            if self._looked_s is not None:
                # It was not there at the last look: all of it is new.
                meter.update(0, self._looked_s)
        return int(meter.update(total, now_s))

    def _judge(self, alert: Alert) -> str | None:
        limits, key = self._limits, (alert.symbol, alert.reason)
        share = limits.share if alert.reason is None else limits.by_reason[alert.reason]
        if key in self._high:
            if alert.rejected > share * (limits.clear / limits.share) * alert.received:
                return None
            self._high.discard(key)
            return "normal"
        if alert.rejected < limits.least or alert.rejected <= share * alert.received:
            return None
        self._high.add(key)
        return "high"
