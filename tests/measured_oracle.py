"""Bars that are cut by their ticks, written down naively: everything is made anew from all accepted ticks,
in fractions, with prices as numbers of ticks.

A price stands here as the number of ticks that it was drawn as, so that nothing depends on how a
float is turned into one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction

from oracle import Tick, Watermark

SLACK = Fraction(1, 10**12)
MOST_BARS = 4_096


@dataclass(frozen=True)
class Print:
    """A tick as it enters a bar: the time it is labelled with, the price in ticks, the size."""

    time: int
    price: Fraction
    size: Fraction
    counts: bool = True
    """Whether it is the first part of a trade."""


@dataclass(frozen=True)
class Cut:
    """A bar; prices in ticks, sums exact."""

    ts: int
    ts_end: int
    open: Fraction
    high: Fraction
    low: Fraction
    close: Fraction
    volume: Fraction
    notional: Fraction
    """In ticks times sizes."""
    trades: int


def cut_of(prints: list[Print]) -> Cut:
    prices = [one.price for one in prints]
    return Cut(
        prints[0].time,
        prints[-1].time,
        prices[0],
        max(prices),
        min(prices),
        prices[-1],
        sum((one.size for one in prints), Fraction(0)),
        sum((one.price * one.size for one in prints), Fraction(0)),
        sum(one.counts for one in prints),
    )


def parse(timeframe: str) -> tuple[Fraction, str]:
    number, unit = re.fullmatch(r"([\d.e]+?)(t|v|n|r|renko)", timeframe).groups()
    return Fraction(number), unit


def bars(
    timeframe: str, prints: list[Print], tick_size: Fraction, split: str
) -> tuple[list[Cut], Cut | None]:
    """Closed bars and the open one."""
    length, unit = parse(timeframe)
    if unit == "renko":
        return renko(length, prints)
    if unit in ("v", "n") and split == "split":
        groups = list(divided(length, prints, tick_size if unit == "n" else None))
    else:
        groups = list(grouped(length, unit, prints, tick_size))
    *done, last = groups
    return [cut_of(group) for group in done], cut_of(last) if last else None


def grouped(length: Fraction, unit: str, prints: list[Print], tick_size: Fraction) -> Iterator[list[Print]]:
    """Whole ticks; the last group is the open one, perhaps empty."""
    group: list[Print] = []
    for one in prints:
        if unit == "r" and group:
            prices = [other.price for other in (*group, one)]
            if max(prices) - min(prices) > length:
                yield group
                group = []
        group.append(one)
        if is_full(length, unit, group, tick_size):
            yield group
            group = []
    yield group


def is_full(length: Fraction, unit: str, group: list[Print], tick_size: Fraction) -> bool:
    match unit:
        case "t":
            return len(group) == length
        case "v":
            return reaches(sum((one.size for one in group), Fraction(0)), length)
        case "n":
            notional = (abs(one.price) * tick_size * one.size for one in group)
            return reaches(sum(notional, Fraction(0)), length)
        case _:
            return False


def reaches(amount: Fraction, length: Fraction) -> bool:
    return amount >= length * (1 - SLACK)


def divided(length: Fraction, prints: list[Print], tick_size: Fraction | None) -> Iterator[list[Print]]:
    """Each trade cut at the boundaries of volume, or with a tick size of notional."""
    group: list[Print] = []
    filled = Fraction(0)
    for one in prints:
        per_size = Fraction(1) if tick_size is None else abs(one.price) * tick_size
        left: Print | None = one
        if per_size * one.size - (length - filled) >= MOST_BARS * length:
            yield [*group, one]
            group, filled = [], Fraction(0)
            continue
        while left is not None:
            room = length - filled
            amount = per_size * left.size
            if amount < room - length * SLACK:
                group.append(left)
                filled += amount
                break
            if amount <= room + length * SLACK:
                part, left = left, None
            else:
                part = replace(left, size=room / per_size)
                left = replace(left, size=left.size - part.size, counts=False)
            yield [*group, part]
            group, filled = [], Fraction(0)
    yield group


def renko(brick: Fraction, prints: list[Print]) -> tuple[list[Cut], Cut | None]:
    done: list[Cut] = []
    pending: list[Print] = []
    if not prints:
        return done, None
    level, direction = prints[0].price, 0
    began = level
    for one in prints:
        pending.append(one)
        up = level + brick * (2 if direction < 0 else 1)
        down = level - brick * (2 if direction > 0 else 1)
        laid: list[tuple[Fraction, Fraction]] = []
        while one.price >= up or one.price <= down:
            way = 1 if one.price >= up else -1
            start = up - brick if way > 0 else down + brick
            laid.append((start, start + way * brick))
            level, direction = start + way * brick, way
            up, down = level + brick * (2 if way < 0 else 1), level - brick * (2 if way > 0 else 1)
        for index, (start, end) in enumerate(laid):
            whole = cut_of(pending) if index == 0 else cut_of([replace(one, size=Fraction(0), counts=False)])
            done.append(replace(whole, open=start, close=end, low=min(start, end), high=max(start, end)))
            pending, began = [], end
    if not pending:
        return done, None
    still = cut_of(pending)
    return done, replace(still, open=began, high=max(still.high, began), low=min(still.low, began))


@dataclass
class MeasuredBars:
    """One instrument without time bars, so that nothing is late; `lateness_ns` changes nothing."""

    tick_size: Fraction
    split: str = "keep"
    prints: list[Print] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.watermark = Watermark()

    def push(
        self, ts: int, price: Fraction, size: float, recv: int | None = None, *, accepted: bool = True
    ) -> None:
        """A tick, `price` in ticks. One that was not accepted tells of the clocks and enters no bar."""
        tick = Tick(ts, float(price * self.tick_size), size, recv)
        self.watermark.clock.sample(tick.ts, tick.recv)
        if not accepted:
            return
        self.watermark.observe(tick)
        time = ts if self.watermark.believed is None else self.watermark.believed
        if self.prints:
            time = max(time, self.prints[-1].time)
        self.prints.append(Print(time, price, Fraction(size)))

    def bars(self, timeframe: str) -> tuple[list[Cut], Cut | None]:
        """Closed bars and the open one."""
        return bars(timeframe, self.prints, self.tick_size, self.split)
