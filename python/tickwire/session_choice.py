"""Which hours a reader asks for: `session=` of frames and subscriptions, from words to a `Session`."""

from __future__ import annotations

import functools

from .errors import ConfigError
from .session import Session

__all__ = ["SessionChoice", "chosen"]

SessionChoice = str | tuple[str, ...] | Session
"""Kinds of an instrument's own hours, "any" for all of them, or the hours of another market."""


def chosen(choice: SessionChoice, symbol: str, own: Session | None) -> Session:
    """The hours that were asked for of an instrument.

    Args:
        own: the instrument's session.

    Raises:
        ConfigError: it has none, or no hours of that kind.
    """
    if isinstance(choice, Session):
        return choice
    kinds = (choice,) if isinstance(choice, str) else choice
    if not isinstance(kinds, tuple) or not kinds or not all(isinstance(kind, str) for kind in kinds):
        raise ConfigError(
            f'session: got {choice!r}, expected kinds of hours such as "regular", "any", or a tickwire.Session'
        )
    if own is None:
        raise ConfigError(
            f"session: got {choice!r}, but {symbol!r} has no session; give the instrument session=, "
            "or name one here, e.g. session=tickwire.CME"
        )
    return own if "any" in kinds else _only(own, kinds)


@functools.lru_cache(maxsize=256)
def _only(session: Session, kinds: tuple[str, ...]) -> Session:
    # One value for all who ask, so that its table is made once.
    return session.only(*kinds)
