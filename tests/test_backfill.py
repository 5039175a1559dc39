"""Backfill step by step, against histories that misbehave; through a hub in `test_backfill_hub`."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest

import tickwire as tw
from clocks import HandClock
from histories import QUICK, SYMBOLS, until
from oracle import NS
from tickwire.backfill import Backfiller
from tickwire.backfill_settings import BackfillSettings, seed_ns
from tickwire.errors import ConfigError, HistoryFailed
from tickwire.events import BackfillDone, BackfillFailed
from tickwire.tasks import Tasks

EP, ENQ = SYMBOLS
TIMEFRAMES = ("1s", "5s", "15s", "1m")


class Bars:
    """A history that answers with what it was given, or raises it."""

    def __init__(self, *answers: Any, timeframes: Sequence[str] = ("1s", "5s", "1m")) -> None:
        self.answers = list(answers)
        self.given = timeframes
        self.asked: list[tuple[str, int, int]] = []

    def timeframes(self, wanted: Sequence[str]) -> Sequence[str]:
        return self.given

    def bars(self, symbol: str, timeframe: str, start_ns: int, end_ns: int) -> Any:
        self.asked.append((timeframe, (start_ns - T0) // NS, (end_ns - T0) // NS))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


T0 = HandClock.START_NS
"""Twenty seconds after the start of a minute."""


def table(*seconds: int, volume: float = 5.0) -> pl.DataFrame:
    prices = dict.fromkeys(("open", "high", "low", "close"), [10.0] * len(seconds))
    return pl.DataFrame(
        {"ts": [T0 + second * NS for second in seconds], **prices, "volume": [volume] * len(seconds)},
        schema_overrides={"ts": pl.Int64},
    )


class Bench:
    """An engine that has heard a trade in each of the seconds 0 to 9 and 20 to 29, and missed the rest."""

    def __init__(self, history: Any, **settings: Any) -> None:
        self.clock = HandClock()
        self.engine = tw.Engine(tw.Instrument("X", tick_size=0.25), ["1s", "5s"])
        self.told: list[tuple[type, dict[str, Any]]] = []
        self.backfiller = Backfiller(
            self.engine,
            history,
            ["X"],
            clock=self.clock,
            tell=lambda kind, **fields: self.told.append((kind, fields)),
            tasks=Tasks("test", self.clock),
            settings=BackfillSettings(**({"settle_s": 1.0, "attempts": 3} | settings)),
        )
        for second in range(30):
            if not 10 <= second < 20:
                self.trade(second)
        self.engine.mark_gap(T0 + 10 * NS, T0 + 20 * NS)
        self.engine.advance(T0 + 30 * NS)

    def trade(self, second: int) -> None:
        ts = T0 + second * NS
        assert self.engine.push_trade("X", ts, 10.0, 5.0, ts_recv=ts)

    def run(self, steps: int = 50) -> None:
        """Until nothing is due for a minute."""
        for _ in range(steps):
            wait_s = self.backfiller.step()
            if wait_s is None or wait_s > 60:
                return
            self.clock.advance(wait_s)

    def seconds(self, *, complete: bool = True) -> list[int]:
        bars = self.engine.bars("X", "1s").filter(pl.col("complete") == complete)
        return ((bars["ts"].dt.epoch("ns") - T0) // NS).to_list()

    def failures(self) -> list[tuple[int, int, float | None]]:
        return [
            ((f["start_ns"] - T0) // NS, (f["end_ns"] - T0) // NS, f["retry_s"])
            for kind, f in self.told
            if kind is BackfillFailed
        ]


GAP = (T0 + 10 * NS, T0 + 20 * NS, ["X"])


def test_a_gap_is_filled_with_what_there_is_and_asks_for_a_little_more() -> None:
    history = Bars(table(11, 13, 20, 21))
    bench = Bench(history)
    bench.backfiller.gap(*GAP)
    assert bench.backfiller.status()["new_gaps"] == 1
    bench.run()
    assert history.asked == [("1s", 10, 30)]
    assert bench.seconds() == [*range(10), 11, 13, *range(20, 30)]
    assert bench.engine.bars("X", "5s")["complete"].all()
    assert [kind for kind, _ in bench.told] == [BackfillDone]
    assert bench.told[0][1] == {
        "symbol": "X",
        "timeframe": "1s",
        "start_ns": T0 + 10 * NS,
        "end_ns": T0 + 20 * NS,
        "inserted": 2,
        "replaced": 0,
    }
    assert bench.backfiller.status() == {
        "requests": 1,
        "failures": 0,
        "late": 0,
        "done": 1,
        "given_up": 0,
        "inserted": 2,
        "replaced": 0,
        "revisions": 0,
        "hanging": 0,
        "new_gaps": 0,
        "pending": [],
        "last_error": None,
    }


def test_what_fails_is_tried_again_and_given_up_in_the_end() -> None:
    bench = Bench(Bars(OSError("no route"), HistoryFailed("busy", retry_after_s=40.0), OSError("no route")))
    bench.backfiller.gap(*GAP)
    bench.run()
    (first, second, third) = bench.failures()
    assert first[:2] == second[:2] == third[:2] == (10, 20)
    assert first[2] is not None
    assert second[2] is not None
    assert 0.5 <= first[2] <= 1.0
    assert second[2] >= 40.0
    assert third[2] is None
    status = bench.backfiller.status()
    assert (status["failures"], status["given_up"], status["pending"]) == (3, 1, [])
    assert status["last_error"] == "OSError: no route"
    # A later gap is a new beginning.
    bench.backfiller._fetcher._history.answers = [table(*range(10, 30))]  # type: ignore[attr-defined]
    bench.backfiller.gap(*GAP)
    bench.run()
    assert bench.seconds() == list(range(30))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (table(*range(10, 30)).with_columns(high=pl.lit(1.0)), "outside of low and high"),
        (table(10).drop("volume"), "'volume' is missing"),
        ("no table", "Arrow PyCapsule"),
        (table(10, 11).with_columns(ts=pl.Series([None, T0 + 10 * NS])), "no time"),
        (table(10).lazy().select(pl.col("nothing")), "cannot be read"),
        (pl.concat([table(10, 11), table(11, 20)]), "a second bar starts at"),
        (None, "Arrow PyCapsule"),
    ],
)
def test_bars_that_cannot_be_right_change_nothing(answer: Any, words: str) -> None:
    bench = Bench(Bars(answer))
    bench.backfiller.gap(*GAP)
    before = bench.engine.bars("X", "1s")
    bench.run()
    assert len(bench.failures()) == 3
    assert all(words in fields["reason"] for kind, fields in bench.told if kind is BackfillFailed)
    assert bench.engine.bars("X", "1s").equals(before)


def test_bars_that_are_cut_otherwise_are_given_up_at_once() -> None:
    bench = Bench(Bars(table(20).with_columns(ts=pl.col("ts") + 1)))
    bench.backfiller.gap(*GAP)
    bench.run()
    assert bench.failures() == [(10, 20, None)]
    assert "leave this timeframe out" in bench.told[0][1]["reason"]


def test_what_was_heard_bears_witness_against_a_history_that_is_behind() -> None:
    # Of second 20 five contracts were heard, of which a part only is known to be all.
    history = Bars(table(*range(10, 15)), table(*range(10, 30)))
    bench = Bench(history)
    bench.backfiller.gap(*GAP)
    bench.run()
    assert len(history.asked) == 2
    assert bench.seconds() == list(range(30))
    assert bench.failures() == []
    assert bench.backfiller.status()["late"] == 1


def test_a_history_that_shows_nothing_is_believed_after_a_while() -> None:
    history = Bars(table(10))
    bench = Bench(history, quiet_s=40.0)
    # Nothing more is heard, so nothing says that history is behind, nor that it is not.
    bench.engine.mark_gap(T0 + 30 * NS, T0 + 40 * NS)
    bench.backfiller.gap(T0 + 30 * NS, T0 + 40 * NS, ["X"])
    for second in range(30, 100):
        bench.engine.advance(T0 + second * NS)
        bench.run(3)
    assert bench.seconds() == [*range(10), *range(20, 30)]
    assert len(history.asked) == 9, "now and then, until forty seconds after the gap"
    assert [kind for kind, _ in bench.told] == [BackfillDone]


def test_bars_that_history_never_has_are_left_as_they_are_and_the_rest_is_filled() -> None:
    bench = Bench(Bars(table(*range(3, 7), *range(8, 30)), timeframes=["1s"]))
    bench.engine.mark_gap(T0 + 3 * NS, T0 + 12 * NS)
    bench.backfiller.gap(T0 + 3 * NS, T0 + 12 * NS, ["X"])
    bench.run()
    assert bench.seconds(complete=False) == [7]
    assert bench.failures() == [(7, 12, None)]
    five = bench.engine.bars("X", "5s").select((pl.col("ts").dt.epoch("ns") - T0) // NS, "complete")
    assert five.filter(~pl.col("complete"))["ts"].to_list() == [5, 10]


def test_history_with_less_volume_than_was_heard_does_not_replace() -> None:
    bench = Bench(Bars(table(*range(10, 30), volume=4.0)))
    bench.engine.mark_gap(T0 + 20 * NS + 1, T0 + 20 * NS + 2)
    bench.backfiller.gap(T0 + 20 * NS + 1, T0 + 20 * NS + 2, ["X"])
    bench.run()
    bar = bench.engine.bars("X", "1s", since=T0 + 20 * NS).row(0, named=True)
    assert (bar["volume"], bar["complete"]) == (5.0, False)
    assert bench.failures() == [(20, 21, None)]


def test_a_bar_that_is_still_open_waits() -> None:
    history = Bars(table(*range(10, 45)))
    bench = Bench(history)
    bench.engine.mark_gap(T0 + 30 * NS, T0 + 40 * NS)
    bench.backfiller.gap(T0 + 30 * NS, T0 + 40 * NS, ["X"])
    bench.run(5)
    assert history.asked == []
    bench.trade(40)
    bench.run(5)
    assert history.asked == [], "not closed for long enough"
    bench.trade(41)
    bench.run(5)
    assert history.asked == [("1s", 30, 41)]
    assert bench.seconds() == [*range(10), *range(20, 41)]


def test_unknown_symbols_are_nothing_to_it() -> None:
    bench = Bench(Bars(table()))
    bench.backfiller.gap(T0, T0 + NS, ["Y"])
    assert bench.backfiller.step() is None


def test_joining_again_fills_what_was_missed_since_the_first_time() -> None:
    history = Bars(table(*range(-20, 30)))
    bench = Bench(history, worth_bars=10)
    bench.backfiller.gap(None, T0 + 3 * NS, ["X"])
    bench.backfiller.gap(None, T0 + 5 * NS, ["X"])
    # A clock that was set back meanwhile.
    bench.backfiller.gap(None, T0 + 4 * NS, ["X"])
    bench.run()
    # The five seconds that were open then began at zero.
    assert sorted(history.asked) == [("1s", 0, 30), ("1s", 3, 30)]
    bench.backfiller.gap(None, T0 + 9 * NS, ["X"])
    bench.run()
    assert history.asked[2:] == [("1s", 5, 30)]


def test_readers_see_all_of_a_backfill_or_nothing() -> None:
    engine = tw.Engine(tw.Instrument("X", tick_size=0.25), ["1s", "1m", "1h"])
    ts = T0 // (3_600 * NS) * 3_600 * NS
    seconds = 3_600 * 4
    assert engine.push_trade("X", ts, 10.0, 1.0, ts_recv=ts)
    engine.mark_gap(ts + 1, ts + seconds * NS)
    engine.advance(ts + (seconds + 1) * NS)
    prices = dict.fromkeys(("open", "high", "low", "close"), [10.0] * seconds)
    bars = pl.DataFrame(
        {"ts": range(ts, ts + seconds * NS, NS), **prices, "volume": [1.0] * seconds},
        schema_overrides={"ts": pl.Int64},
    )
    seen: set[tuple[int, int, int]] = set()
    done = threading.Event()

    def read() -> None:
        while True:
            ended = done.is_set()
            cut = engine.snapshot("X")
            seen.add(tuple(cut.bars(timeframe).height for timeframe in ("1s", "1m", "1h")))  # type: ignore[arg-type]
            if ended:
                return

    reader = threading.Thread(target=read)
    reader.start()
    until(lambda: seen, "a reader that reads")
    counts, revised = engine.replace_bars("X", "1s", bars, ts, ts + seconds * NS)
    done.set()
    reader.join(30)
    assert (counts["inserted"], counts["replaced"]) == (seconds - 1, 1)
    assert seen == {(1, 1, 1), (seconds, seconds // 60, 4)}
    assert [(bar.timeframe, bar.ts, bar.revision, bar.complete) for bar in revised] == [
        (timeframe, ts, 1, True) for timeframe in ("1s", "1m", "1h")
    ]


# What it is told


def test_a_history_without_any_of_the_timeframes() -> None:
    with pytest.raises(ConfigError, match=r"timeframes \['2s'\], expected at least one of .*'1s', '5s'"):
        Bench(Bars(table(), timeframes=["2s"]))


@pytest.mark.parametrize(
    ("seed", "days"),
    [("5d", 5), ("2w", 14), ("36h", 1.5), (dt.timedelta(days=3), 3), (None, 0), ("0s", 0), ("90m", 0.0625)],
)
def test_lengths_of_a_seed(seed: Any, days: float) -> None:
    assert seed_ns(seed) == round(days * 86_400 * NS)


@pytest.mark.parametrize("seed", ["5 days", "d", "-1d", 5, "400y", "99999d"])
def test_what_is_no_length_of_a_seed(seed: Any) -> None:
    with pytest.raises(ConfigError, match="seed: got"):
        seed_ns(seed)


@pytest.mark.parametrize(
    "wrong",
    [
        {"settle_s": -1.0},
        {"quiet_s": float("nan")},
        {"request_s": 0.0},
        {"retry_min_s": 0.0},
        {"retry_min_s": 5.0, "retry_max_s": 4.0},
        {"attempts": 0},
        {"page_bars": 1.5},
        {"hanging": True},
    ],
)
def test_settings_that_cannot_work(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(wrong))}: got"):
        BackfillSettings(**wrong)


def test_quick_settings_are_settings() -> None:
    assert QUICK.settle_s < BackfillSettings().settle_s
