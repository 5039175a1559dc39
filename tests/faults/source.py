"""Where the tokens of a run come from, and the clock by which they age."""

from __future__ import annotations

import threading

import tickwire as tw
from hubs import PATIENCE_S
from tickwire import sim
from tickwire.clock import Clock

__all__ = ["JumpClock", "Source"]

_POLL_S = 0.002
_LIFE_S = 86_400.0


class JumpClock(Clock):
    """This machine's time, and forward from it by as much as the test wants."""

    def __init__(self) -> None:
        self._ahead_s = 0.0

    def jump(self, seconds: float) -> None:
        """Let so much time pass at once."""
        self._ahead_s += seconds

    def now_ns(self) -> int:
        return super().now_ns() + int(self._ahead_s * 1e9)

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self._ahead_s

    def wait(self, event: threading.Event, timeout_s: float | None) -> bool:
        deadline_s = None if timeout_s is None else self.monotonic_s() + timeout_s
        while not event.wait(_POLL_S):
            if deadline_s is not None and self.monotonic_s() >= deadline_s:
                return event.is_set()
        return True


class Source:
    """Gives out tokens of the hub; a renewal waits until the test lets it go."""

    TO_RENEWAL_S = 80_000.0
    """A time after which a token is to be renewed, but far from its end."""

    def __init__(self, hub: sim.Hub) -> None:
        self._hub = hub
        self.current = hub.token(ttl_s=_LIFE_S)
        self.logins = 0
        self.renewing = threading.Event()
        self.returned = threading.Event()
        self.fails = False
        self._go = threading.Event()

    def __call__(self) -> str:
        self.logins += 1
        if self.logins > 1:
            self.current = self._hub.token(ttl_s=_LIFE_S)
        return self.current

    def renew(self, token: tw.Token) -> str:
        """The provider's renewal."""
        self.renewing.set()
        try:
            self._go.wait(10 * PATIENCE_S)
            if self.fails:
                self.fails = False
                raise tw.LoginFailed("the login server is down")
            self.current = self._hub.token(ttl_s=_LIFE_S, renews=token.reveal())
            return self.current
        finally:
            self.returned.set()

    def let_go(self) -> None:
        """Answer the renewal, and all that follow."""
        self._go.set()
