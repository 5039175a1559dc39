"""Where the states of health begin, and when a bad link is left: frozen, and checked when made."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass

from .config import positive
from .errors import ConfigError
from .health_terms import TERMS, Term

__all__ = ["HealthSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthSettings:
    """Settings of a `HealthModel`. Scores go from 0 to 100; a state is left at another score than it is
    entered at, so that a score on the edge does not make it flap.
    """

    # States
    degraded_below: float = 75.0
    """A lower score ends healthy …"""
    healthy_from: float = 85.0
    """… and this one comes back to it."""
    unhealthy_below: float = 45.0
    degraded_from: float = 55.0
    down_below: float = 10.0
    unhealthy_from: float = 20.0
    worse_after_s: float = 3.0
    """For so long the score must be too low before the state gets worse."""
    better_after_s: float = 15.0
    """For so long it must be high enough before the state gets better."""

    # Leaving a bad link
    reconnect_below: float = 50.0
    """A link score below this, for …"""
    reconnect_after_s: float = 5.0
    """… so long is a reason for a new connection."""
    settle_s: float = 60.0
    """A connection younger than this is given time."""
    cool_down_s: float = 60.0
    """Least time from one such reconnect to the next; doubles each time …"""
    cool_down_max_s: float = 1_800.0
    """… up to this. As long without a reason, and it starts anew."""
    look_s: float = 3.0
    """Assessments further apart than this are no evidence, and the connection is given time as if it were
    new: who was held up cannot tell a bad link from its own absence."""

    terms: tuple[Term, ...] = TERMS
    """What deducts how much."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if field.name != "terms":
                positive(f"HealthSettings.{field.name}", getattr(self, field.name))
        order = (
            "down_below",
            "unhealthy_from",
            "unhealthy_below",
            "degraded_from",
            "degraded_below",
            "healthy_from",
        )
        scores = [(getattr(self, name), name) for name in order]
        for (low, lower), (high, higher) in itertools.pairwise(scores):
            if not low < high <= 100:
                raise ConfigError(
                    f"HealthSettings.{higher}: got {high}, expected more than {lower} ({low}) and at most 100"
                )
        if self.cool_down_max_s < self.cool_down_s:
            raise ConfigError(
                f"HealthSettings.cool_down_max_s: got {self.cool_down_max_s}, "
                f"expected at least cool_down_s ({self.cool_down_s})"
            )
        if not isinstance(self.terms, tuple) or not all(isinstance(term, Term) for term in self.terms):
            raise ConfigError(f"HealthSettings.terms: got {self.terms!r}, expected a tuple of Term")
