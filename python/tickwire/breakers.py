"""The circuit breakers of a client: one for each event type and handler.

    breakers = Breakers(settings)
    breakers.get("GatewayTrade", on_trade).call(on_trade, trade)
    breakers.get("GatewayTrade").state

So a handler that is broken, or an event type that none can digest, takes no other down. Their number
is bounded, because event types come off the wire: once `limit` is reached, what is new shares one
breaker, `others`.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Hashable
from typing import Any

from .breaker import Breaker, BreakerChange, BreakerSettings, BreakerStatus
from .config import count
from .errors import ConfigError

__all__ = ["Breakers"]


class Breakers:
    """Breakers by (event type, handler); from any thread.

    `settings` are those of every breaker that is not given its own; `clock` and `uniform` as `Breaker`
    has them.

    Attributes:
        others: what event types and handlers share for which there was no room.
    """

    def __init__(
        self,
        settings: BreakerSettings | None = None,
        *,
        limit: int = 1_024,
        clock: Callable[[], float] = time.monotonic,
        uniform: Callable[[], float] = random.random,
    ) -> None:
        self._limit = count("limit", limit, 1_000_000)
        self._settings = settings
        self._clock = clock
        self._uniform = uniform
        self._lock = threading.Lock()
        self._breakers: dict[tuple[str, Hashable], Breaker] = {}
        self._names: set[str] = set()
        self._listeners: tuple[Callable[[BreakerChange], object], ...] = ()
        self.others = self._new("others", None, None)
        self._names.add(self.others.name)

    def get(
        self,
        event_type: str,
        handler: Callable[..., Any] | str | None = None,
        *,
        settings: BreakerSettings | None = None,
        fallback: Callable[..., Any] | None = None,
    ) -> Breaker:
        """The breaker of this event type and handler, made when first asked for, which is when `settings`
        and `fallback` count. A handler is known by equality: a bound method is the same every time.
        """
        if handler is not None and not isinstance(handler, str) and not callable(handler):
            raise ConfigError(f"handler: got {handler!r}, expected a callable, a name or None")
        try:
            hash(handler)
        except TypeError:
            raise ConfigError(
                f"handler: got a {type(handler).__qualname__} that cannot be hashed, expected a function or a "
                "method; or give a name"
            ) from None
        key = (event_type, handler)
        with self._lock:
            if (found := self._breakers.get(key)) is not None:
                return found
            if len(self._breakers) >= self._limit:
                return self.others
            made = self._new(self._name(event_type, handler), settings, fallback)
            self._breakers[key] = made
            self._names.add(made.name)
            return made

    def forget(self, handler: Callable[..., Any] | str) -> None:
        """Drop the breakers of a handler that is no longer called."""
        with self._lock:
            for key in [key for key in self._breakers if key[1] == handler]:
                self._names.discard(self._breakers.pop(key).name)

    def snapshot(self) -> dict[str, BreakerStatus]:
        """State and counts by name, `others` among them once it is in use; each a cut of its own."""
        with self._lock:
            breakers = list(self._breakers.values())
            if len(breakers) >= self._limit:
                breakers.append(self.others)
        return {breaker.name: breaker.status() for breaker in breakers}

    def add_listener(self, listener: Callable[[BreakerChange], object]) -> None:
        """Call `listener` with every change of state of every breaker from now on; see `Breaker`."""
        with self._lock:
            self._listeners = (*self._listeners, listener)
            breakers = [self.others, *self._breakers.values()]
            for breaker in breakers:
                breaker.add_listener(listener)

    def __len__(self) -> int:
        return len(self._breakers)

    def __repr__(self) -> str:
        return f"Breakers({len(self)})"

    def _new(
        self, name: str, settings: BreakerSettings | None, fallback: Callable[..., Any] | None
    ) -> Breaker:
        made = Breaker(
            name,
            self._settings if settings is None else settings,
            fallback=fallback,
            clock=self._clock,
            uniform=self._uniform,
        )
        for listener in self._listeners:
            made.add_listener(listener)
        return made

    def _name(self, event_type: str, handler: Callable[..., Any] | str | None) -> str:
        if handler is None:
            name = event_type
        elif isinstance(handler, str):
            name = f"{event_type} {handler}"
        else:
            name = f"{event_type} {getattr(handler, '__qualname__', type(handler).__qualname__)}"
        # Two lambdas of one function have one name.
        number, unique = 1, name
        while unique in self._names:
            number += 1
            unique = f"{name} #{number}"
        return unique
