"""The health of a connection: a score from 0 to 100 with its reasons, a state, and whether to reconnect.

    model = HealthModel()
    health = model.assess(signals, now_s)        # once a second, with what the client measured
    if reason := model.wants_reconnect(now_s):   # at most once per cool-down
        ...

The score is 100 less what the causes in the table of `health_terms` deduct, and not less than 0; it is 0
while there is no connection. The link's score is the same with the link's causes alone.

    healthy    below 75 for 3 s → degraded
    degraded   below 45 for 3 s → unhealthy      85 or more for 15 s → healthy
    unhealthy  below 10 for 3 s → down           55 or more for 15 s → degraded
    down       not connected: at once            20 or more for 15 s → unhealthy

When a connection comes up, the state is what its first score says.

A closed market, and an open one that is quiet while frames and pongs flow, do not make a connection
unhealthy. A reconnect is wanted for the link's score alone, never within `settle_s` of a connect.

It reads no clock, measures nothing itself, and acts on nothing; one thread calls it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .errors import ConfigError
from .health_settings import HealthSettings
from .health_terms import TERMS, Reason, Signals, Term

__all__ = ["TERMS", "Health", "HealthModel", "HealthSettings", "HealthState", "Reason", "Signals", "Term"]

HealthState = Literal["healthy", "degraded", "unhealthy", "down"]
_STATES: tuple[HealthState, ...] = ("healthy", "degraded", "unhealthy", "down")


@dataclass(frozen=True, slots=True)
class Health:
    """The health at one moment.

    Attributes:
        score: 0 to 100.
        state: "healthy", "degraded", "unhealthy" or "down".
        reasons: (cause, deduction, words), the heaviest first; empty at 100.
        link_score: 0 to 100, by the link's causes alone.
        state_s: for how many seconds it has been in this state.
        signals: what it was judged by.
    """

    score: float
    state: HealthState
    reasons: tuple[Reason, ...]
    link_score: float
    state_s: float
    signals: Signals


class HealthModel:
    """Turns signals into health. Times are monotonic seconds, and never go back."""

    def __init__(self, settings: HealthSettings | None = None) -> None:
        settings = HealthSettings() if settings is None else settings
        if not isinstance(settings, HealthSettings):
            raise ConfigError(f"settings: got {settings!r}, expected a tickwire.HealthSettings")
        self._settings = settings
        # Scores at which a state gives way to the next worse one, and at which that one gives way to it.
        self._falls = (settings.degraded_below, settings.unhealthy_below, settings.down_below)
        self._rises = (settings.healthy_from, settings.degraded_from, settings.unhealthy_from)
        # Index of the state; none before the first assessment.
        self._level = -1
        self._since_s = 0.0
        # Since when the score has called for a worse or a better state.
        self._worse_since_s: float | None = None
        self._better_since_s: float | None = None
        self._connected = False
        self._reconnect = _Reconnect(settings)

    def assess(self, signals: Signals, now_s: float) -> Health:
        """Judge what was measured at `now_s`."""
        reasons, score, link_score = self._judge(signals)
        self._move(score, signals.connected, now_s)
        self._reconnect.look(link_score, signals, reasons, now_s)
        return Health(score, _STATES[self._level], reasons, link_score, now_s - self._since_s, signals)

    def wants_reconnect(self, now_s: float) -> str | None:
        """Why the connection should be replaced by a new one, in words; None if it should not. An answer
        counts as done: the next one comes after the cool-down at the earliest.
        """
        return self._reconnect.take(now_s)

    def _judge(self, signals: Signals) -> tuple[tuple[Reason, ...], float, float]:
        if not signals.connected:
            words = "not connected" + (f": {signals.why}" if signals.why else "")
            return (Reason("connection", 100.0, words),), 0.0, 0.0
        found: list[Reason] = []
        total = link = 0.0
        for term in self._settings.terms:
            deduction = term.deduction(signals)
            if deduction > 0:
                found.append(term.reason(signals, deduction))
                total += deduction
                link += deduction * term.link
        found.sort(key=lambda reason: -reason.deduction)
        return tuple(found), max(100.0 - total, 0.0), max(100.0 - link, 0.0)

    def _move(self, score: float, connected: bool, now_s: float) -> None:
        fresh, self._connected = connected and not self._connected, connected
        if not connected:
            self._set(len(_STATES) - 1, now_s)
        elif fresh:
            # Nothing that was before says anything about this connection.
            self._set(sum(score < fall for fall in self._falls), now_s)
        else:
            worse, better = self._level, self._level
            while worse < len(self._falls) and score < self._falls[worse]:
                worse += 1
            while better > 0 and score >= self._rises[better - 1]:
                better -= 1
            self._worse_since_s = _since(worse > self._level, self._worse_since_s, now_s)
            self._better_since_s = _since(better < self._level, self._better_since_s, now_s)
            if _lasted(self._worse_since_s, self._settings.worse_after_s, now_s):
                self._set(worse, now_s)
            elif _lasted(self._better_since_s, self._settings.better_after_s, now_s):
                self._set(better, now_s)

    def _set(self, level: int, now_s: float) -> None:
        if level != self._level:
            self._since_s = now_s
        self._level = level
        self._worse_since_s = self._better_since_s = None


class _Reconnect:
    """Decides when a bad link is left: seldom, and more seldom each time."""

    def __init__(self, settings: HealthSettings) -> None:
        self._settings = settings
        self._links = {term.cause for term in settings.terms if term.link}
        self._looked_s: float | None = None
        self._bad_since_s: float | None = None
        self._good_since_s: float | None = None
        self._cool_down_s = settings.cool_down_s
        # Not before these: the end of the time given after a late look, and of the cool-down.
        self._settled_s: float | None = None
        self._cool_s: float | None = None
        self._reason: str | None = None

    def look(self, link_score: float, signals: Signals, reasons: tuple[Reason, ...], now_s: float) -> None:
        settings = self._settings
        late = self._looked_s is not None and now_s - self._looked_s > settings.look_s
        self._looked_s = now_s
        if late:
            self._settled_s = now_s + settings.settle_s
        bad = signals.connected and link_score < settings.reconnect_below
        self._bad_since_s = _since(bad, self._bad_since_s, now_s)
        # Time without a connection, or without a look, is no proof that the link is good.
        self._good_since_s = _since(signals.connected and not bad and not late, self._good_since_s, now_s)
        if _lasted(self._good_since_s, settings.cool_down_max_s, now_s):
            self._cool_down_s = settings.cool_down_s
        ready = (
            _lasted(self._bad_since_s, settings.reconnect_after_s, now_s)
            and signals.connected_s >= settings.settle_s
            and (self._settled_s is None or now_s >= self._settled_s)
            and (self._cool_s is None or now_s >= self._cool_s)
        )
        words = (reason.words for reason in reasons if reason.cause in self._links)
        self._reason = "; ".join(words) if ready else None

    def take(self, now_s: float) -> str | None:
        reason, self._reason = self._reason, None
        if reason is not None:
            self._cool_s = now_s + self._cool_down_s
            self._cool_down_s = min(2 * self._cool_down_s, self._settings.cool_down_max_s)
        return reason


def _since(holds: bool, since_s: float | None, now_s: float) -> float | None:
    """Since when something has held; None if it does not."""
    if not holds:
        return None
    return now_s if since_s is None else since_s


def _lasted(since_s: float | None, for_s: float, now_s: float) -> bool:
    return since_s is not None and now_s - since_s >= for_s
