"""The ProjectX gateway's history: `retrieveBars`, page after page.

The gateway gives at most 20,000 bars at once, the newest first, so a span is read from its end. Whether
`endTime` belongs to the span is not documented; a bar that comes twice counts once, and a page that
brings nothing older ends the reading. Times come with Z, with an offset or with neither, which is UTC.

Rate limit, login, proxies and secrets are the gateway's (see `gateway`); when to try again is decided by
who asks.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from .errors import ConfigError, ConnectionFailed, HistoryFailed, SessionTakenOver
from .projectx import RETRIEVE_BARS

if TYPE_CHECKING:
    import polars as pl

    from .pause import Pause

__all__ = ["Post", "ProjectXHistory"]

PAGE_BARS = 20_000
"""The most that the gateway gives at once."""

_MOST_PAGES = 500
_UNITS = {"s": 1, "m": 2, "h": 3, "d": 4, "w": 5, "mo": 6}
_TIMEFRAME = re.compile(r"(\d+)(s|mo|m|h|d|w)")
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
_MICROSECOND = dt.timedelta(microseconds=1)

_Row = tuple[int, float, float, float, float, float]


class Post(Protocol):
    """Asks the gateway; `Gateway.post` does."""

    def __call__(
        self, path: str, body: Mapping[str, Any], *, time_limit_s: float, pause: Pause | None
    ) -> dict[str, Any]:
        """The answer to a request that went well; any `ConnectionFailed` otherwise."""


class ProjectXHistory:
    """Bars of a ProjectX gateway; a `history.History`. All methods may be called from any thread."""

    def __init__(self, post: Post, *, live: bool = False, time_limit_s: float = 30.0) -> None:
        """`live` asks with the live data subscription; the time limit is that of one page."""
        self._post = post
        self._live = live
        self._time_limit_s = time_limit_s

    def timeframes(self, wanted: Sequence[str]) -> list[str]:
        """Every length of time, the gateway's units being seconds, minutes, hours, days, weeks, months."""
        return [timeframe for timeframe in wanted if _TIMEFRAME.fullmatch(timeframe)]

    def bars(
        self, symbol: str, timeframe: str, start_ns: int, end_ns: int, *, pause: Pause | None = None
    ) -> pl.DataFrame:
        """Closed bars with `start_ns <= ts < end_ns`, oldest first: ts (int ns UTC), open, high, low,
        close, volume. Blocks; ends with `Stopped` when `pause` is stopped.

        Raises:
            HistoryFailed: the gateway refused, could not be asked, or answered with something else.
        """
        import polars as pl

        unit, number = _unit(timeframe)
        rows: dict[int, _Row] = {}
        until_ns = end_ns
        for _ in range(_MOST_PAGES):
            page = self._page(symbol, unit, number, start_ns, until_ns, pause)
            rows.update((row[0], row) for row in page)
            oldest_ns = min((row[0] for row in page), default=until_ns)
            if len(page) < PAGE_BARS or oldest_ns <= start_ns or oldest_ns >= until_ns:
                break
            until_ns = oldest_ns
        kept = [rows[ts] for ts in sorted(rows) if start_ns <= ts < end_ns]
        schema = {"ts": pl.Int64} | dict.fromkeys(("open", "high", "low", "close", "volume"), pl.Float64)
        return pl.DataFrame(kept, schema=schema, orient="row")

    def _page(
        self, symbol: str, unit: int, number: int, start_ns: int, end_ns: int, pause: Pause | None
    ) -> list[_Row]:
        body = {
            "contractId": symbol,
            "live": self._live,
            "startTime": _text(start_ns),
            "endTime": _text(end_ns),
            "unit": unit,
            "unitNumber": number,
            "limit": PAGE_BARS,
            "includePartialBar": False,
        }
        try:
            reply = self._post(RETRIEVE_BARS, body, time_limit_s=self._time_limit_s, pause=pause)
        except ConnectionFailed as error:
            failure = HistoryFailed(
                str(error),
                permanent=isinstance(error, SessionTakenOver) or getattr(error, "permanent", False),
                retry_after_s=getattr(error, "retry_after_s", None),
            )
        else:
            # Where nothing was traded some servers say null rather than [].
            return _rows(reply.get("bars") or [])
        raise failure

    def __repr__(self) -> str:
        return f"ProjectXHistory({self._post!r})"


def _unit(timeframe: str) -> tuple[int, int]:
    match = _TIMEFRAME.fullmatch(timeframe)
    if match is None:
        raise ConfigError(f'timeframe: got {timeframe!r}, expected a length of time such as "1s" or "5m"')
    return _UNITS[match[2]], int(match[1])


def _rows(bars: object) -> list[_Row]:
    problem = "with something other than a list of bars"
    if isinstance(bars, list):
        try:
            return [_row(bar) for bar in bars]
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            problem = f"with a bar that lacks a time, a price or a volume ({type(error).__name__})"
    raise HistoryFailed(f"the gateway answered {RETRIEVE_BARS} {problem}")


def _row(bar: Any) -> _Row:
    moment = dt.datetime.fromisoformat(bar["t"])
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.timezone.utc)
    ts = (moment - _EPOCH) // _MICROSECOND * 1_000
    return ts, float(bar["o"]), float(bar["h"]), float(bar["l"]), float(bar["c"]), float(bar["v"])


def _text(ts_ns: int) -> str:
    moment = _EPOCH + dt.timedelta(microseconds=ts_ns // 1_000)
    return moment.replace(tzinfo=None).isoformat() + "Z"
