"""Ticks and ready bars in any order, against a model that works everything out anew.

The model keeps accepted ticks and applied bars. A bar of the timeframe of the tables is either a
given one or made of ticks; every larger bar is those of its bucket put together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

import tickwire as tw
from effort import examples
from oracle import NS, Bars, Row, Tick, bucket

# The engine's timeframes, and the one of the tables.
LADDERS = [(["1m", "5m", "15m"], "1m"), (["1s", "1m", "5m"], "1m"), (["10s", "1m", "3m"], "10s")]
# A quarter of an hour ends here, and all smaller bars.
BASE_NS = 1_700_000_100 * NS


def together(rows: list[Row], start: int, end: int) -> Row:
    rows = sorted(rows, key=lambda row: row.ts)
    return Row(
        start,
        end,
        rows[0].open,
        max(row.high for row in rows),
        min(row.low for row in rows),
        rows[-1].close,
        math.fsum(row.volume for row in rows),
        math.fsum(row.notional for row in rows),
        sum(row.trades for row in rows),
    )


@dataclass
class History(Bars):
    base: str = "1m"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.given: dict[int, Row] = {}
        self.revisions: dict[tuple[str, int], int] = {}

    def larger(self) -> list[str]:
        return self.timeframes[self.timeframes.index(self.base) + 1 :]

    def bars(self, timeframe: str) -> tuple[list[Row], list[Row]]:
        if timeframe == self.base:
            closed, still_open = super().bars(timeframe)
            known = {row.ts: row for row in closed} | self.given
            return [known[ts] for ts in sorted(known)], still_open
        if timeframe not in self.larger():
            return super().bars(timeframe)
        closed, still_open = self.bars(self.base)
        groups: dict[tuple[int, int], list[Row]] = {}
        for row in closed + still_open:
            groups.setdefault(bucket(timeframe, row.ts), []).append(row)
        rows = [together(parts, *span) for span, parts in sorted(groups.items())]
        done = [row for row in rows if self._is_closed(row.ts_end)]
        return done, rows[len(done) :]

    def push_bars(self, rows: list[Row], replace: bool) -> dict[str, int]:
        closed, still_open = self.bars(self.base)
        pending = min((row.ts for row in still_open), default=math.inf)
        known = {row.ts for row in closed}
        counts = {"received": len(rows), "inserted": 0, "replaced": 0, "existing": 0, "open": 0}
        applied = []
        for row in rows:
            if row.ts >= pending:
                kind = "open"
            elif row.ts not in known:
                kind = "inserted"
            else:
                kind = "replaced" if replace else "existing"
            counts[kind] += 1
            if kind in ("inserted", "replaced"):
                applied.append(row)
            if kind == "replaced":
                self._revise(self.base, row.ts)
        if applied:
            self.advance(max(row.ts_end for row in applied))
            for timeframe in self.larger():
                # What was closed before, or is by the time that the new bars tell.
                before = {row.ts for row in self.bars(timeframe)[0]}
                touched = {bucket(timeframe, row.ts)[0] for row in applied}
                for ts in touched & before:
                    self._revise(timeframe, ts)
            self.given |= {row.ts: row for row in applied}
        return counts

    def _revise(self, timeframe: str, ts: int) -> None:
        self.revisions[timeframe, ts] = self.revisions.get((timeframe, ts), 0) + 1


Step = Tick | int | tuple[list[tuple[int, int]], bool]


@st.composite
def streams(draw: st.DrawFn) -> tuple[int, int, list[Step]]:
    """A ladder, a lateness in units of the tables' timeframe, and ticks, moments and tables."""
    ladder = draw(st.integers(0, len(LADDERS) - 1))
    first, end = bucket(LADDERS[ladder][1], BASE_NS)
    unit = end - first
    lateness = draw(st.sampled_from([0, 0, 2]))
    steps: list[Step] = []
    now = BASE_NS
    for _ in range(draw(st.integers(1, 14))):
        kind = draw(st.sampled_from(["tick", "tick", "bars", "bars", "advance"]))
        if kind == "tick":
            now += draw(st.integers(-1, 8)) * unit // 4
            price, size = draw(st.integers(396, 404)) / 4, draw(st.sampled_from([0.0, 1.0, 0.3]))
            steps.append(Tick(now, price, size, now))
        elif kind == "advance":
            now += draw(st.integers(0, 4)) * unit // 2
            steps.append(now)
        else:
            start = (now - BASE_NS) // unit + draw(st.integers(-9, 2))
            taken = draw(st.lists(st.integers(0, 9), min_size=1, max_size=8, unique=True))
            rows = [(BASE_NS + (start + offset) * unit, draw(st.integers(396, 404))) for offset in taken]
            steps.append((rows, draw(st.booleans())))
    return ladder, lateness * unit, steps


def given_row(base: str, ts: int, quarter: int) -> Row:
    price = quarter / 4
    low, high, volume = price - 0.25, price + 0.5, quarter / 10
    return Row(ts, bucket(base, ts)[1], price, high, low, price + 0.25, volume, volume * price, quarter % 5)


def as_table(rows: list[Row]) -> pl.DataFrame:
    frame = pl.DataFrame(rows, orient="row", schema=list(Row.__dataclass_fields__))
    return frame.with_columns(vwap=pl.col("notional") / pl.col("volume")).drop("ts_end", "notional")


def same(bar: tw.Bar, row: Row) -> bool:
    vwap = math.nan if row.volume == 0 else row.notional / row.volume
    return (
        (bar.ts, bar.ts_end, bar.open, bar.high, bar.low, bar.close, bar.trades)
        == (row.ts, row.ts_end, row.open, row.high, row.low, row.close, row.trades)
        and math.isclose(bar.volume, row.volume, rel_tol=1e-12)
        and (math.isclose(bar.vwap, vwap, rel_tol=1e-12) or (math.isnan(bar.vwap) and math.isnan(vwap)))
    )


def check(engine: tw.Engine, model: History) -> None:
    snapshot = engine.snapshot("X")
    assert snapshot.closing_time() == model.watermark.closing
    for timeframe in model.timeframes:
        closed, still_open = model.bars(timeframe)
        frame = snapshot.bars(timeframe)
        assert frame["ts"].dt.epoch("ns").to_list() == [row.ts for row in closed], timeframe
        for column in ("open", "high", "low", "close", "trades"):
            assert frame[column].to_list() == [getattr(row, column) for row in closed], (timeframe, column)
        for got, row in zip(frame["volume"], closed, strict=True):
            assert math.isclose(got, row.volume, rel_tol=1e-12)
        assert frame["complete"].all()
        bars = snapshot.open_bars(timeframe)
        assert len(bars) == len(still_open), (timeframe, bars, still_open)
        assert all(same(bar, row) for bar, row in zip(bars, still_open, strict=True)), (bars, still_open)


@settings(max_examples=examples(150))
@given(streams())
def test_ticks_and_bars_in_any_order(stream: tuple[int, int, list[Step]]) -> None:
    ladder, lateness, steps = stream
    timeframes, base = LADDERS[ladder]
    instrument = tw.Instrument("X", tick_size=0.25, lateness=f"{lateness}ns", rules=tw.Rules(band="off"))
    engine = tw.Engine(instrument, timeframes)
    news = engine.subscribe(bars=timeframes)
    model = History(timeframes, timeframes[:1], lateness, base=base)
    for step in steps:
        before = {timeframe: model.bars(timeframe)[0] for timeframe in timeframes}
        revisions = dict(model.revisions)
        if isinstance(step, Tick):
            accepted = engine.push_trade("X", step.ts, step.price, step.size, ts_recv=step.recv)
            assert accepted == model.push(step)
        elif isinstance(step, int):
            engine.advance(step)
            model.advance(step)
        else:
            rows = [given_row(base, ts, quarter) for ts, quarter in step[0]]
            assert engine.push_bars("X", base, as_table(rows), replace=step[1]) == model.push_bars(
                rows, step[1]
            )
        check(engine, model)
        # Subscribers hear of every bar that ticks closed and of every revision; the last word on a
        # bar is what it is now. Of new history they hear nothing.
        last_word = {(bar.timeframe, bar.ts): bar for bar in news.poll()}
        for timeframe in timeframes:
            labels = {row.ts for row in before[timeframe]}
            for row in model.bars(timeframe)[0]:
                key = (timeframe, row.ts)
                revised = model.revisions.get(key, 0) - revisions.get(key, 0)
                if revised:
                    assert last_word[key].revision == model.revisions[key]
                if key in last_word:
                    assert same(last_word.pop(key), row)
                    assert revised or row.ts not in labels
        assert last_word == {}
