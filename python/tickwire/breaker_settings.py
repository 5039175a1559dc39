"""When a circuit breaker opens, and how it comes back: frozen, and checked when made."""

from __future__ import annotations

from dataclasses import dataclass

from .config import count, positive
from .errors import ConfigError

__all__ = ["BreakerSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerSettings:
    """Settings of a `Breaker`. A failure is a call that raised, or took longer than `slow_call_s`.

    Attributes:
        failures: so many failures in a row open it; None for no such limit.
        rate: this share of the window's calls failing opens it, above 0 and at most 1; None for no
            such limit. It is looked at when a call fails: a success never opens a breaker.
        window_calls: the window is this many newest calls, unless `window_s` is given.
        window_s: the window is the calls of the newest so many seconds, counted in ten slices, so that
            it reaches back by between nine tenths of this time and all of it.
        minimum_calls: with fewer calls in the window there is no rate.
        slow_call_s: a call that takes longer has failed; None if slowness is not a failure.
        recovery_s: how long it stays open the first time.
        recovery_factor: how much longer after each probe that failed.
        recovery_max_s: the longest it stays open.
        jitter: up to this share is taken off at random, so that breakers do not probe in step; from
            0 to less than 1.
        probes: so many calls are let through half-open; it closes when all of them have succeeded, and
            opens with the first that fails.
        probe_limit_s: a half-open breaker whose probes have not ended after this long opens again.
        ignore: exceptions that are answers, not failures. What is no `Exception` (KeyboardInterrupt,
            asyncio.CancelledError) is neither: such a call counts for nothing.
    """

    failures: int | None = 5
    rate: float | None = 0.5
    window_calls: int = 100
    window_s: float | None = None
    minimum_calls: int = 20
    slow_call_s: float | None = 1.0
    recovery_s: float = 1.0
    recovery_factor: float = 2.0
    recovery_max_s: float = 60.0
    jitter: float = 0.2
    probes: int = 1
    probe_limit_s: float = 30.0
    ignore: tuple[type[Exception], ...] = ()

    def __post_init__(self) -> None:
        for name in ("window_s", "slow_call_s"):
            if getattr(self, name) is not None:
                positive(f"BreakerSettings.{name}", getattr(self, name))
        for name in ("recovery_s", "recovery_factor", "recovery_max_s", "probe_limit_s"):
            positive(f"BreakerSettings.{name}", getattr(self, name))
        for name, most in (("window_calls", 100_000), ("minimum_calls", 100_000), ("probes", 1_000)):
            count(f"BreakerSettings.{name}", getattr(self, name), most)
        if self.failures is not None:
            count("BreakerSettings.failures", self.failures, 100_000)
        if self.rate is not None:
            positive("BreakerSettings.rate", self.rate)
            if self.rate > 1:
                raise ConfigError(f"BreakerSettings.rate: got {self.rate}, expected a share of at most 1")
        if self.failures is None and self.rate is None:
            raise ConfigError("BreakerSettings: got neither failures nor rate; give one, or it never opens")
        if self.rate is not None and self.window_s is None and self.minimum_calls > self.window_calls:
            raise ConfigError(
                f"BreakerSettings.minimum_calls: got {self.minimum_calls}, expected at most window_calls "
                f"({self.window_calls}), or there is never a rate"
            )
        if self.recovery_factor < 1:
            raise ConfigError(
                f"BreakerSettings.recovery_factor: got {self.recovery_factor}, expected 1 or more"
            )
        if self.recovery_max_s < self.recovery_s:
            raise ConfigError(
                f"BreakerSettings.recovery_max_s: got {self.recovery_max_s}, "
                f"expected at least recovery_s ({self.recovery_s})"
            )
        if (
            isinstance(self.jitter, bool)
            or not isinstance(self.jitter, (int, float))
            or not 0 <= self.jitter < 1
        ):
            raise ConfigError(f"BreakerSettings.jitter: got {self.jitter!r}, expected from 0 to less than 1")
        if not isinstance(self.ignore, tuple) or not all(
            isinstance(kind, type) and issubclass(kind, Exception) for kind in self.ignore
        ):
            raise ConfigError(
                f"BreakerSettings.ignore: got {self.ignore!r}, expected a tuple of exception classes"
            )
