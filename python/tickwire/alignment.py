"""What bars are aligned to, from words to what the core takes: UTC, a zone's wall clock, or a session."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from . import _core
from .calendar import zone
from .errors import ConfigError

if TYPE_CHECKING:
    from .session import Session

__all__ = ["Align", "alignment", "check_align", "hours", "restarts", "zones"]

Align = _core.Zone | _core.Sessions | None
"""None is UTC."""

EXPECTED = '"utc", "session", or a time zone such as "America/New_York"'


def check_align(name: str, align: object) -> None:
    """Check that it is "utc", "session" or a zone that this system knows."""
    if not isinstance(align, str):
        raise ConfigError(f"{name}: got {align!r}, expected {EXPECTED}")
    if align not in ("utc", "session"):
        try:
            zone(align)
        except ConfigError:
            raise ConfigError(
                f"{name}: got {align!r}, expected {EXPECTED}; where the system has no time zones, "
                "install tzdata"
            ) from None


def alignment(symbol: str, align: str, session: Session | None) -> Align:
    """What an instrument's bars are aligned to.

    Raises:
        ConfigError: "session", where the instrument has none.
    """
    if align == "utc":
        return None
    if align != "session":
        return zone(align)
    if session is None:
        raise ConfigError(
            f'align: got "session" for {symbol!r}, which has none; give the instrument session=, '
            "e.g. session=tickwire.CME"
        )
    return _sessions(session)


def zones(align: str, session: Session | None) -> tuple[str, ...]:
    """The zones whose transitions matter to an instrument."""
    own = () if align in ("utc", "session") else (align,)
    return own if session is None else (*own, session.zone)


def hours(session: Session | None) -> _core.Sessions | None:
    """When an instrument trades, as the core wants it; None where nothing is said."""
    return None if session is None else _sessions(session)


def restarts(symbol: str, restart: str, session: Session | None) -> _core.Sessions | None:
    """The trading days with which bars that are cut by ticks begin anew; None where they never do.

    Raises:
        ConfigError: "session", where the instrument has none.
    """
    if restart == "never":
        return None
    if session is None:
        raise ConfigError(
            f'restart: got "session" for {symbol!r}, which has none; give the instrument session=, '
            "e.g. session=tickwire.CME"
        )
    return _sessions(session)


@functools.lru_cache(maxsize=256)
def _sessions(session: Session) -> _core.Sessions:
    """One table for all instruments of a session: it has some hundred thousand numbers."""
    table = session.table()
    return _core.Sessions(table.open_ns, table.close_ns, table.day)
