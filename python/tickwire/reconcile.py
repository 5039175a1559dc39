"""Whether the trades that were heard add up to the volume that the hub publishes.

A hub's quotes carry the volume of the day so far, and `Feed.volumes` keeps it beside the sum of the
trades delivered since it was first heard. A `Reconciler` looks at both now and then, and says where
they have drifted apart: trades were lost on the way, or came twice.

The two come on separate streams, so at any one look they may differ by what is on its way. A difference
counts only if it stays beyond the limit for longer than the patience. Compared is what had been delivered
when the newest total came. If that was too little, trades that came later may make up for it: a newer
total will tell, and if none comes for as long as the patience, they did. A difference that was reported is
written off, so that the same loss is told once.

Pure: time comes in with every look. It marks no gap and fetches nothing; a `Drift` says where its owner
should. It does not see what was lost while nothing was published, nor from one connection to the next.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from .errors import ConfigError

__all__ = ["Drift", "Reconciler", "Volumes"]

_SECOND_NS = 1_000_000_000


class Volumes(Protocol):
    """One instrument, as `Feed.volumes` has it."""

    @property
    def published(self) -> float: ...
    @property
    def published_ts(self) -> int | None: ...
    @property
    def baseline(self) -> float: ...
    @property
    def baseline_ts(self) -> int | None: ...
    @property
    def traded(self) -> float: ...
    @property
    def traded_then(self) -> float: ...
    @property
    def trades(self) -> int: ...
    @property
    def resets(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Drift:
    """Trades and published volume have drifted apart.

    Attributes:
        symbol: which instrument.
        start_ns: event time at which they last agreed, int ns UTC.
        end_ns: first event time after the newest total that was heard, int ns UTC.
        missing: contracts published and not traded; negative if more was traded than published.
    """

    symbol: str
    start_ns: int
    end_ns: int
    missing: float


_Start = tuple[int, float, int | None]


@dataclass(slots=True)
class _Account:
    """What is known of one instrument since counting began."""

    start: _Start
    """Tells one beginning from another."""
    lacked_none_ns: int | None
    """Time of the newest total at which nothing was missing."""
    had_none_over_ns: int | None
    """Time of the newest total at which nothing was over."""
    newest: tuple[float, int | None, float] | None = None
    """The total that was compared last."""
    newest_ns: int | None = None
    difference: float = 0.0
    """Published and not traded, beyond what was written off."""
    written_off: float = 0.0
    apart_since_s: float | None = None
    made_up_since_s: float | None = None
    """Since when later trades may have made up for what was missing."""


class Reconciler:
    """Compares, look by look, the published volume of any number of instruments with their trades.

    Args:
        limit: contracts by which they may differ at any time.
        fraction: share of the volume published since counting began by which they may differ, where that
            is more. A hub may count what never comes as a trade, such as block trades.
        patience_s: seconds for which a larger difference must last; more than lie between two totals.
    """

    def __init__(self, *, limit: float = 10.0, fraction: float = 0.001, patience_s: float = 10.0) -> None:
        for name, value in (("limit", limit), ("patience_s", patience_s)):
            if not (math.isfinite(value) and value >= 0):
                raise ConfigError(f"{name}: got {value!r}, expected a number of 0 or more")
        if not 0 <= fraction < 1:
            raise ConfigError(f"fraction: got {fraction!r}, expected a share from 0 to below 1")
        self.limit = limit
        self.fraction = fraction
        self.patience_s = patience_s
        self._accounts: dict[str, _Account] = {}

    def look(self, now_s: float, volumes: Mapping[str, Volumes]) -> list[Drift]:
        """What has drifted apart by now. To be called about once a second.

        Args:
            now_s: of a monotonic clock, in seconds.
            volumes: of one connection. With another one everything begins anew.
        """
        drifts = []
        for symbol, account in list(self._accounts.items()):
            now = volumes.get(symbol)
            if now is None or _start(now) != account.start:
                # The connection or the day has ended. What was apart by then can be judged no further.
                if account.apart_since_s is not None:
                    drifts += _drift(symbol, account)
                del self._accounts[symbol]
        for symbol, now in volumes.items():
            known = self._accounts.get(symbol)
            if known is None:
                known = self._accounts[symbol] = _Account(_start(now), now.baseline_ts, now.baseline_ts)
            if self._is_apart_too_long(now_s, known, now):
                drifts += _drift(symbol, known)
                _write_off(known)
        return drifts

    def _is_apart_too_long(self, now_s: float, account: _Account, now: Volumes) -> bool:
        newest = (now.published, now.published_ts, now.traded_then)
        is_new = newest != account.newest
        account.newest, account.newest_ns = newest, now.published_ts
        since_start = now.published - now.baseline
        bound = max(self.limit, self.fraction * since_start)
        account.difference = since_start - now.traded_then - account.written_off
        later = now.traded - now.traded_then
        if is_new or later == 0 or account.difference <= bound:
            account.made_up_since_s = None
        else:
            if account.made_up_since_s is None:
                account.made_up_since_s = now_s
            if now_s - account.made_up_since_s <= self.patience_s:
                return False
            account.difference -= later
        _note_agreement(account)
        if abs(account.difference) <= bound:
            account.apart_since_s = None
            return False
        if account.apart_since_s is None:
            account.apart_since_s = now_s
            return False
        # More traded than published may only mean that the totals have not come yet.
        can_be_judged = is_new or account.difference > 0
        return can_be_judged and now_s - account.apart_since_s > self.patience_s


def _start(volumes: Volumes) -> _Start:
    return volumes.resets, volumes.baseline, volumes.baseline_ts


def _note_agreement(account: _Account) -> None:
    if account.difference <= 0:
        account.lacked_none_ns = account.newest_ns
    if account.difference >= 0:
        account.had_none_over_ns = account.newest_ns


def _drift(symbol: str, account: _Account) -> list[Drift]:
    """The difference as a `Drift`, if it can be placed in time."""
    start_ns = account.lacked_none_ns if account.difference > 0 else account.had_none_over_ns
    end_ns = account.newest_ns
    if start_ns is None or end_ns is None:
        # Without a time of any kind the engine has taken none of these trades.
        return []
    # A time in whole seconds may be that of any moment of its second.
    end_ns += _SECOND_NS if end_ns % _SECOND_NS == 0 else 1
    return [Drift(symbol, start_ns, max(end_ns, start_ns + 1), account.difference)]


def _write_off(account: _Account) -> None:
    account.written_off += account.difference
    account.apart_since_s = account.made_up_since_s = None
    account.lacked_none_ns = account.had_none_over_ns = account.newest_ns
