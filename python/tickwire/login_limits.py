"""Time limits and counts of a login, in one frozen object. All times are seconds."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from .config import count, positive
from .errors import ConfigError

__all__ = ["LoginLimits"]

_MOST = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginLimits:
    """Limits of a `Login`."""

    # Asking
    fetch_s: float = 30.0
    """For one login or renewal. One that takes longer is given up, and its late answer not taken."""
    hanging: int = 3
    """Calls that were given up and have not returned. With so many, no other is started; renewals leave
    the last of several places to logins."""
    retry_min_s: float = 1.0
    """First delay after a login or renewal that failed, or gave a token that is refused at once; it doubles."""
    retry_max_s: float = 60.0
    """Largest such delay."""
    stable_s: float = 60.0
    """A token that is refused after this long was good once; the next login follows without a delay."""

    # Renewing
    margin: float = 0.1
    """A token is renewed when this part of its life is left,"""
    margin_s: float = 60.0
    """or this long before its end, whichever is earlier, but never in the first half of its life."""
    skew_s: float = 30.0
    """How much earlier still, since the issuer's clock and this one differ."""

    # Being logged out
    relogin_min_s: float = 2.0
    """Least delay before the login that follows a logout."""
    relogin_max_s: float = 5.0
    """Largest such delay; one between the two is drawn at random."""
    logouts: int = 3
    """So many logouts"""
    logout_window_s: float = 120.0
    """within this time mean that another session wants the login, which ends then."""

    # Leaving
    close_s: float = 2.0
    """For the renewal thread to end."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            name = f"LoginLimits.{field.name}"
            if field.name in ("hanging", "logouts"):
                count(name, getattr(self, field.name), _MOST)
            else:
                positive(name, getattr(self, field.name))
        if self.margin >= 1:
            raise ConfigError(f"LoginLimits.margin: got {self.margin}, expected a part of the life, below 1")
        for least, most in (("retry_min_s", "retry_max_s"), ("relogin_min_s", "relogin_max_s")):
            if getattr(self, least) > getattr(self, most):
                raise ConfigError(
                    f"LoginLimits.{least}: got {getattr(self, least)}, "
                    f"expected at most {most} ({getattr(self, most)})"
                )
