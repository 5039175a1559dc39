"""The hub's history: the vendor's `retrieveBars`, over all trades that the hub has streamed.

    hub = sim.Hub(sim.Market(2), rest=(rest := sim.Rest({"me": "key"})))
    history = sim.serve_history(hub, rest)      # before the hub is entered
    with hub:
        history.lag_s = 10.0              # from now on it knows nothing of the last ten seconds

Every trade of the stream counts from the hub's start, whether anybody was connected or not. A market has
a past, too, which was never streamed but is the same for the same seed and beginning. Answers are the
newest bars of the span, the newest first, at most 20,000; the end of the span belongs to it. A bar is
closed when the stream has passed its end. Refusals, silence and dropped links are faults of the hub at the
stage "rest"; what only a history can do wrong is set here.
"""

from __future__ import annotations

import datetime as dt
import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from tickwire.errors import ConfigError

from .bars import UNITS, Bars, Past, SecondBars, buckets, together
from .market import Market
from .rest import Rest
from .ticks import QUOTE, TRADE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .core import Core
    from .hub import Hub
    from .shape import Event
    from .ticks import Source
    from .tokens import Grant

__all__ = ["PATH", "History", "serve_history"]

PATH = "/api/History/retrieveBars"
_MOST_BARS = 20_000
_NS = 1_000_000_000
_UNKNOWN_CONTRACT, _BAD_UNIT, _BAD_NUMBER, _BAD_LIMIT, _UNREADABLE = 1, 2, 3, 4, 5


def serve_history(hub: Hub, rest: Rest | None = None, *, days: int = 30, zone: str = "+00:00") -> History:
    """Let a hub that has not been entered yet answer `retrieveBars`.

    Args:
        rest: the hub's; where it has none it gets one that knows no user, for tokens of `Hub.token`.
        days: length of a market's past.
        zone: end of the timestamps in answers: "+00:00", "Z" or "".
    """
    core = hub._core  # the hub's other half
    if core.source is None or core.stream is None:
        raise ConfigError("the hub has no source: give it a Market or a Replay")
    history = History(core, core.source, days=days, zone=zone)
    if rest is None:
        rest = Rest({})
        rest.mount(core)
    rest.add(PATH, history.reply)
    core.stream.taps.append(history.take)
    return history


class History:
    """What a hub knows of its past. Attributes may be set from any thread.

    Attributes:
        lag_s: so many seconds before now it knows nothing yet.
        empty: so many of the next answers have no bars.
        wrong: so many of the next answers have a bar whose low is above its high.
        requests: how often it was asked, well or not.
    """

    def __init__(self, core: Core, source: Source, *, days: int, zone: str) -> None:
        self.lag_s = 0.0
        self.empty = 0
        self.wrong = 0
        self.requests = 0
        self._core = core
        self._zone = zone
        self._symbols = source.symbols
        self._streamed = {symbol: SecondBars() for symbol in source.symbols}
        self._progress_ns: int | None = None
        self._past: dict[str, Past] = {}
        self._has_own_times = not isinstance(source, Market) or source.start_ns is not None
        if isinstance(source, Market):
            start_ns = source.start_ns if source.start_ns is not None else core.clock.now_ns()
            self._past = {
                contract.symbol: Past(contract, source.seed, index, start_ns // _NS, days)
                for index, contract in enumerate(source.contracts)
            }

    def take(self, events: Sequence[Event]) -> None:
        """Note what the stream sends."""
        for event in events:
            if event.kind == QUOTE:
                self._passed(_time_ns(event.data.ts))
                continue
            for price, size, _, _, text in event.data:
                ts_ns = _time_ns(text)
                self._passed(ts_ns)
                if event.kind == TRADE:
                    self._streamed[self._symbols[event.symbol]].trade(ts_ns, price, size)

    def _passed(self, ts_ns: int) -> None:
        if self._progress_ns is None or ts_ns > self._progress_ns:
            self._progress_ns = ts_ns

    def bars(self, symbol: str, unit: int, number: int, from_ns: int, to_ns: int) -> Bars:
        """All bars that open in `from_ns <= ts < to_ns`, closed or not, the oldest first."""
        edges = np.array([from_ns // _NS, -(-to_ns // _NS)], np.int64)
        first_s = int(buckets(edges[:1], unit, number)[0][0])
        last_s = int(buckets(edges[1:] - 1, unit, number)[1][0])
        seconds = self._streamed[symbol].bars(first_s, last_s)
        if symbol in self._past:
            seconds = np.concatenate([self._past[symbol].bars(first_s, last_s), seconds])
        bars = together(seconds, unit, number)
        start_ns = bars["start_s"] * _NS
        return bars[(start_ns >= from_ns) & (start_ns < to_ns)]

    def now_ns(self) -> int:
        """The time up to which it knows everything, without the lag."""
        if self._progress_ns is not None and (self._core.is_streaming or self._has_own_times):
            return self._progress_ns
        return self._core.clock.now_ns()

    def reply(self, asked: dict[str, Any], grant: Grant) -> dict[str, Any]:  # noqa: ARG002  a reply's signature
        """What the gateway answers."""
        self.requests += 1
        try:
            code, bars = self._asked(asked)
        except (KeyError, TypeError, ValueError):
            code, bars = _UNREADABLE, []
        return {"bars": bars, "success": code == 0, "errorCode": code}

    def _asked(self, asked: dict[str, Any]) -> tuple[int, list[dict[str, Any]]]:
        symbol, unit, number, limit = (asked[name] for name in ("contractId", "unit", "unitNumber", "limit"))
        if symbol not in self._streamed:
            return _UNKNOWN_CONTRACT, []
        if unit not in (*UNITS, 6):
            return _BAD_UNIT, []
        if not 1 <= number <= 100_000:
            return _BAD_NUMBER, []
        if not 1 <= limit <= _MOST_BARS:
            return _BAD_LIMIT, []
        known_ns = self.now_ns() - round(self.lag_s * _NS)
        bars = self.bars(symbol, unit, number, _time_ns(asked["startTime"]), _time_ns(asked["endTime"]) + 1)
        edge = "start_s" if asked["includePartialBar"] else "end_s"
        bars = bars[bars[edge] * _NS <= known_ns][-limit:]
        if self.empty > 0:
            self.empty -= 1
            return 0, []
        rows = [
            {"t": self._text(start_s), "o": open_, "h": high, "l": low, "c": close, "v": round(volume)}
            for start_s, _, open_, high, low, close, volume, _ in bars.tolist()
        ]
        if self.wrong > 0 and rows:
            self.wrong -= 1
            rows[0]["l"] = rows[0]["h"] + 1
        return 0, rows[::-1]

    def _text(self, second: int) -> str:
        return dt.datetime.fromtimestamp(second, dt.UTC).replace(tzinfo=None).isoformat() + self._zone


@functools.lru_cache(maxsize=64)
def _second(text: str) -> int:
    moment = dt.datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp())


def _time_ns(text: str) -> int:
    """ISO 8601 text, with or without a zone, as ns UTC."""
    head, _, rest = text.partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    return _second(head + rest[len(digits) :]) * _NS + int(digits.ljust(9, "0")[:9])
