"""A seeded market: several instruments, spreads, bursts, trades at the bid and at the ask.

The model makes plausible load, not forecasts. Prices are random walks without drift on each
instrument's tick grid, reflected at a quarter above and below their start so that a long run stays
positive. Quotes move the walk and redraw the spread; trades print at the current bid or ask with
their aggressor; depth changes follow the quotes and touch the levels next to them. Activity is uneven twice over: runs of
ticks stay in one instrument, and inside each second the ticks crowd into some of its hundredths,
while every second still holds exactly `rate` of them.

The same arguments give the same ticks, whatever the hub does with them. Equality across releases
of NumPy is not promised: its distributions may change.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from tickwire.errors import ConfigError

from .contracts import Contract, contracts
from .ladders import Ladder
from .ticks import DEPTH, KINDS, QUOTE, TRADE, Block, StartRule

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

__all__ = ["Market"]

_NOMINAL_RATE = 10_000.0
"""Ticks per second assumed for volatility and event time when no rate is set."""

_SPREAD_TICKS = np.array([1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 3], dtype=np.int64)
"""Spreads are drawn from here: mostly one tick."""

_BINS_PER_SECOND = 100

_OPENING_LEVELS = 20
"""Levels of each side that rest before the first change."""


class _Instrument(Protocol):
    @property
    def symbol(self) -> str: ...
    @property
    def tick_size(self) -> float: ...


class Market:
    """A seeded market model as a source of ticks.

    Args:
        instruments: how many of the built-in contracts, or contract ids of theirs, `Contract`s, or
            anything with `symbol` and `tick_size` (a `tickwire.Instrument`).
        seed: of every random number drawn.
        rate: ticks per second over all instruments, or None (or "max") for no pace of its own.
        mix: share of each kind, as `{"trade": 0.3, "quote": 0.7}`; depth is off unless named here.
        burst: how unevenly the ticks of one second are spread over it; 0 spaces them evenly, at 1
            the busiest hundredth holds about eight times the average.
        run_ticks: mean number of ticks in a row that stay in one instrument.
        start_ns: event time of the first tick, ns UTC; None stamps every tick with the time at
            which it is scheduled to be sent.
    """

    def __init__(
        self,
        instruments: int | Iterable[str | Contract | _Instrument] = 4,
        *,
        seed: int = 0,
        rate: float | Literal["max"] | None = _NOMINAL_RATE,
        mix: Mapping[str, float] | None = None,
        burst: float = 1.0,
        run_ticks: float = 4.0,
        start_ns: int | None = None,
    ) -> None:
        self.contracts = _resolve(instruments)
        self.seed = seed
        self.rate = None if rate is None or rate == "max" else float(rate)
        self.mix = _shares(mix if mix is not None else {"trade": 0.3, "quote": 0.7})
        self.burst = burst
        self.run_ticks = run_ticks
        self.start_ns = start_ns
        if seed < 0:
            raise ConfigError(f"seed={seed!r}: expected an integer from 0 up")
        if self.rate is not None and not (math.isfinite(self.rate) and self.rate > 0):
            raise ConfigError(f"rate={rate!r}: expected ticks per second above 0, or None for no pace")
        if not (math.isfinite(burst) and burst >= 0):
            raise ConfigError(f"burst={burst!r}: expected a number from 0 up")
        if not (math.isfinite(run_ticks) and run_ticks >= 1):
            raise ConfigError(f"run_ticks={run_ticks!r}: expected a number from 1 up")

    @property
    def symbols(self) -> tuple[str, ...]:
        """Contract ids."""
        return tuple(contract.symbol for contract in self.contracts)

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds with a share above 0."""
        return frozenset(kind for kind, share in zip(KINDS, self.mix, strict=True) if share > 0)

    @property
    def paced(self) -> bool:
        """Whether a rate was set."""
        return self.rate is not None

    @property
    def start(self) -> StartRule:
        """A market is live: it runs from the first subscription on."""
        return "first"

    def opening(self) -> list[list[tuple[int, float, float]]]:
        """For each instrument the levels that rest before the first tick: type code, price, size."""
        return self._new_walk().opening()

    def _new_walk(self) -> _Walk:
        rng = np.random.default_rng([self.seed, 2])
        return _Walk(self.contracts, self.rate or _NOMINAL_RATE, self.mix, rng)

    def blocks(self) -> Iterator[Block]:
        """The market from its first tick, without end."""
        # Short blocks keep the time that one takes to make below a millisecond, so that making the
        # next one does not delay what is due; slow markets need not look far ahead either.
        ticks = 8_192 if self.rate is None else max(64, min(1_024, int(self.rate / 8)))
        walk = self._new_walk()
        rng = np.random.default_rng([self.seed, 0])
        first = 0
        while True:
            due_ns, offset_ns = self._times(first, ticks)
            yield walk.block(
                rng,
                due_ns,
                None if self.start_ns is None else self.start_ns + offset_ns,
                self.run_ticks,
            )
            first += ticks

    def _times(self, first: int, ticks: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Send offsets and event offsets of `ticks` ticks from number `first`, in ns."""
        index = np.arange(first, first + ticks, dtype=np.int64)
        if self.rate is None:
            return np.zeros(ticks, np.int64), (index * (1e9 / _NOMINAL_RATE)).astype(np.int64)
        at_s = index / self.rate
        second = np.floor(at_s)
        fraction = at_s - second
        if self.burst > 0:
            edges = np.linspace(0.0, 1.0, _BINS_PER_SECOND + 1)
            for value in np.unique(second):
                # A generator per second, so that the shape of a second depends on nothing else.
                weights = np.random.default_rng([self.seed, 1, int(value)]).lognormal(
                    sigma=self.burst, size=_BINS_PER_SECOND
                )
                filled = np.concatenate([[0.0], np.cumsum(weights)])
                inside = second == value
                fraction[inside] = np.interp(fraction[inside], filled / filled[-1], edges)
        due_ns = second.astype(np.int64) * 1_000_000_000 + (fraction * 1e9).astype(np.int64)
        return due_ns, due_ns


class _Walk:
    """The state of all instruments between two blocks."""

    def __init__(
        self,
        specs: tuple[Contract, ...],
        rate: float,
        mix: tuple[float, float, float],
        rng: np.random.Generator,
    ) -> None:
        weights = np.array([spec.weight for spec in specs])
        weights /= weights.sum()
        scaled = [spec.scaled_tick() for spec in specs]
        self._numerator = np.array([numerator for numerator, _ in scaled], dtype=np.int64)
        self._denominator = np.array([denominator for _, denominator in scaled], dtype=np.float64)
        self._start = np.array([spec.start_ticks() for spec in specs], dtype=np.int64)
        self._band = np.maximum(self._start // 4, 4)
        self._share = np.cumsum(weights)
        self._kind_share = np.cumsum(mix)
        # A walk of n steps of one tick, each taken with probability p, spreads by sqrt(n p) ticks:
        # p follows from the wanted spread after one second, whatever the rate.
        quotes_per_s = np.maximum(rate * mix[QUOTE] * weights, 1e-9)
        volatility = np.array([spec.volatility_ticks for spec in specs])
        self._step_probability = np.clip(volatility**2 / quotes_per_s, 0.01, 0.5)
        self._offset = np.zeros(len(specs), np.int64)
        self._spread = np.ones(len(specs), np.int64)
        self._ladders = [
            Ladder.around(bid, bid + 1, rng.integers(1, 200, 2 * _OPENING_LEVELS).tolist())
            for bid in self._start.tolist()
        ]

    def opening(self) -> list[list[tuple[int, float, float]]]:
        """The levels that rest before the first block."""
        return [
            [
                (code, int(price) * int(numerator) / float(denominator), float(size))
                for code, price, size in ladder.levels()
            ]
            for ladder, numerator, denominator in zip(
                self._ladders, self._numerator, self._denominator, strict=True
            )
        ]

    def block(
        self,
        rng: np.random.Generator,
        due_ns: NDArray[np.int64],
        ts_ns: NDArray[np.int64] | None,
        run_ticks: float,
    ) -> Block:
        """The next `len(due_ns)` ticks."""
        ticks = len(due_ns)
        lengths = rng.geometric(1.0 / run_ticks, ticks)
        lengths = lengths[: int(np.searchsorted(np.cumsum(lengths), ticks)) + 1]
        # Rounding leaves the last cumulative share a hair below 1, hence the clip.
        owner = np.searchsorted(self._share, rng.random(len(lengths)), side="right")
        symbol = np.repeat(np.minimum(owner, len(self._start) - 1), lengths)[:ticks]
        aggressor = np.repeat(np.where(rng.random(len(lengths)) < 0.5, 1, -1), lengths)[:ticks]
        drawn = np.searchsorted(self._kind_share, rng.random(ticks), side="right")
        kind = np.minimum(drawn, len(KINDS) - 1).astype(np.int8)

        bid, ask = self._top(rng, kind, symbol)
        is_trade, is_quote, is_depth = kind == TRADE, kind == QUOTE, kind == DEPTH
        price = np.where(is_trade, np.where(aggressor > 0, ask, bid), 0)
        size = np.ceil(rng.pareto(2.2, ticks) + 1e-9)
        side = np.where(is_trade, aggressor, 0)
        resting = np.full(ticks, np.nan)
        if is_depth.any():
            at = np.flatnonzero(is_depth)
            code, level, total = self._changes(rng, symbol[at], bid[at], ask[at])
            side[at], price[at], size[at], resting[at] = code, level, total, total
        nothing = np.nan
        return Block(
            kind=kind,
            symbol=symbol.astype(np.int32),
            due_ns=due_ns,
            ts_ns=ts_ns,
            price=np.where(is_quote, nothing, self._money(price, symbol)),
            size=np.where(is_quote, nothing, size),
            side=side.astype(np.int8),
            resting=resting,
            bid=np.where(is_quote, self._money(bid, symbol), nothing),
            ask=np.where(is_quote, self._money(ask, symbol), nothing),
        )

    def _changes(
        self,
        rng: np.random.Generator,
        symbol: NDArray[np.int64],
        bid: NDArray[np.int64],
        ask: NDArray[np.int64],
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Type codes, prices in ticks and sizes of depth changes, with the quotes as they stand."""
        draws = rng.random((len(symbol), 4)).tolist()
        tops = zip(symbol.tolist(), bid.tolist(), ask.tolist(), draws, strict=True)
        changes = np.array([self._ladders[s].change(b, a, draw) for s, b, a, draw in tops], np.int64)
        code, price, size = changes.T
        return code, price, size

    def _top(
        self, rng: np.random.Generator, kind: NDArray[np.int8], symbol: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Bid and ask in ticks as they stand at each tick of the block."""
        ticks = len(kind)
        is_quote = kind == QUOTE
        draw = rng.random(ticks)
        probability = self._step_probability[symbol]
        step = np.where(draw < probability, np.where(draw < probability / 2, -1, 1), 0) * is_quote
        drawn = _SPREAD_TICKS[rng.integers(0, len(_SPREAD_TICKS), ticks)]

        # One stable sort by instrument turns "per instrument, in order" into contiguous segments.
        order = np.argsort(symbol, kind="stable")
        owner = symbol[order]
        begins = np.flatnonzero(np.concatenate([[True], owner[1:] != owner[:-1]]))
        lengths = np.diff(np.concatenate([begins, [ticks]]))
        ends = begins + lengths - 1
        total = np.cumsum(step[order])
        before = np.where(begins > 0, total[begins - 1], 0)
        offset = total - np.repeat(before, lengths) + self._offset[owner]
        # The last quote at or before each tick of the segment; none yet means the carried spread.
        quoted = np.where(is_quote[order], np.arange(ticks), -1)
        latest = np.maximum.accumulate(quoted)
        spread = np.where(latest >= np.repeat(begins, lengths), drawn[order][latest], self._spread[owner])
        present = owner[begins]
        self._offset[present] = offset[ends]
        self._spread[present] = spread[ends]

        band = self._band[owner]
        folded = np.mod(offset + band, 4 * band)
        folded = np.where(folded > 2 * band, 4 * band - folded, folded) - band
        low = self._start[owner] + folded - spread // 2
        bid = np.empty(ticks, np.int64)
        ask = np.empty(ticks, np.int64)
        bid[order] = low
        ask[order] = low + spread
        return bid, ask

    def _money(self, ticks: NDArray[np.int64], symbol: NDArray[np.int64]) -> NDArray[np.float64]:
        """Prices from ticks: one exact product, one division, so the double nearest to the decimal."""
        return (ticks * self._numerator[symbol]) / self._denominator[symbol]


def _shares(mix: Mapping[str, float]) -> tuple[float, float, float]:
    unknown = sorted(set(mix) - set(KINDS))
    if unknown:
        raise ConfigError(f"mix has {unknown[0]!r}: expected only {', '.join(KINDS)}")
    values = [float(mix.get(kind, 0.0)) for kind in KINDS]
    total = sum(values)
    if not (math.isfinite(total) and total > 0) or min(values) < 0:
        raise ConfigError(f"mix={dict(mix)!r}: expected shares from 0 up, at least one above 0")
    return values[0] / total, values[1] / total, values[2] / total


def _resolve(instruments: int | Iterable[str | Contract | _Instrument]) -> tuple[Contract, ...]:
    if isinstance(instruments, int):
        return contracts(instruments)
    if isinstance(instruments, str):
        raise ConfigError(f"instruments={instruments!r}: expected a list of contracts, or how many")
    known = {contract.symbol: contract for contract in contracts()}
    found: list[Contract] = []
    for item in instruments:
        if isinstance(item, Contract):
            found.append(item)
        elif isinstance(item, str):
            if item not in known:
                raise ConfigError(
                    f"instruments has {item!r}, which is not built in ({', '.join(known)}): "
                    "pass a sim.Contract with its tick size and start price"
                )
            found.append(known[item])
        else:
            tick_size = float(item.tick_size)
            found.append(known.get(item.symbol) or Contract(item.symbol, tick_size, 20_000 * tick_size))
    if not found:
        raise ConfigError("instruments is empty: expected at least one contract")
    seen: set[str] = set()
    for contract in found:
        if contract.symbol in seen:
            raise ConfigError(f"instruments has {contract.symbol!r} twice: expected each contract once")
        seen.add(contract.symbol)
    return tuple(found)
