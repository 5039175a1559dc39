"""`Engine.push_bars`: history and backfill beside live ticks."""

from __future__ import annotations

import math
from typing import Any

import polars as pl
import pytest

import tickwire as tw

S = 1_000_000_000
M = 60 * S
# The start of an hour.
T0 = 1_699_999_200 * S
FREE = tw.Rules(band="off")


def engine_of(*timeframes: str, **how: Any) -> tw.Engine:
    source = how.pop("source", None)
    return tw.Engine(tw.Instrument("X", tick_size=0.25, rules=FREE, source=source), timeframes, **how)


def table(*rows: tuple[int, float, float], **more: Any) -> pl.DataFrame:
    """Bars of (minute after T0, price, volume)."""
    return pl.DataFrame(
        {
            "ts": [T0 + round(minute * M) for minute, _, _ in rows],
            **{name: [price for _, price, _ in rows] for name in ("open", "high", "low", "close")},
            "volume": [volume for _, _, volume in rows],
            **more,
        }
    )


def shown(engine: tw.Engine, timeframe: str, **how: Any) -> list[tuple[float, float, float]]:
    """The engine's bars as `table` takes them, price being the close."""
    bars = engine.bars("X", timeframe, **how)
    return bars.select((pl.col("ts").dt.epoch("ns") - T0) / M, "close", "volume").rows()


def counts(**given: int) -> dict[str, int]:
    return {"received": 0, "inserted": 0, "replaced": 0, "existing": 0, "open": 0} | given


def tick(engine: tw.Engine, minute: float, price: float, size: float = 1.0) -> bool:
    ts = T0 + round(minute * M)
    return engine.push_trade("X", ts, price, size, ts_recv=ts)


def test_before_the_first_tick() -> None:
    engine = engine_of("1m", "5m")
    assert engine.push_bars("X", "1m", table((1, 11.0, 1.0), (0, 10.0, 1.0))) == counts(
        received=2, inserted=2
    )
    assert shown(engine, "1m") == [(0.0, 10.0, 1.0), (1.0, 11.0, 1.0)]
    # The larger bar is still open, and takes what comes live.
    assert shown(engine, "5m") == []
    assert shown(engine, "5m", partial=True) == [(0.0, 11.0, 2.0)]
    assert not tick(engine, 1.5, 99.0)
    assert tick(engine, 2.5, 12.0)
    tick(engine, 5, 13.0)
    assert shown(engine, "5m") == [(0.0, 12.0, 3.0)]
    row = engine.bars("X", "5m").row(0, named=True)
    assert (row["open"], row["high"], row["low"], row["complete"]) == (10.0, 12.0, 10.0, True)


def test_after_live_ticks_it_comes_before_them() -> None:
    engine = engine_of("1s", "1m", "5m", "1h")
    tick(engine, 7.5, 17.0)
    history = table(*[(minute, 10.0 + minute, 1.0) for minute in range(9)])
    # Minute 7 is being collected, and 8 lies behind it: neither is touched.
    assert engine.push_bars("X", "1m", history) == counts(received=9, inserted=7, open=2)
    assert [row[0] for row in shown(engine, "1m", partial=True)] == [0, 1, 2, 3, 4, 5, 6, 7]
    assert shown(engine, "5m", partial=True) == [(0.0, 14.0, 5.0), (5.0, 17.0, 3.0)]
    assert shown(engine, "1h", partial=True) == [(0.0, 17.0, 8.0)]
    tick(engine, 60, 20.0)
    assert shown(engine, "1h") == [(0.0, 17.0, 8.0)]


def test_around_live_ticks() -> None:
    engine = engine_of("1m", "5m", "1h")
    for minute in (0, 1, 3, 4, 6):
        tick(engine, minute, 10.0 + minute)
    news = engine.subscribe(bars=["1m", "5m", "1h"])
    # Minute 2 was missed; 5 as well; 1 and 3 are known.
    given = table((1, 99.0, 9.0), (2, 12.5, 5.0), (3, 99.0, 9.0), (5, 15.5, 5.0))
    assert engine.push_bars("X", "1m", given) == counts(received=4, inserted=2, existing=2)
    assert shown(engine, "1m") == [
        (0, 10.0, 1.0),
        (1, 11.0, 1.0),
        (2, 12.5, 5.0),
        (3, 13.0, 1.0),
        (4, 14.0, 1.0),
        (5, 15.5, 5.0),
    ]
    assert shown(engine, "5m") == [(0.0, 14.0, 9.0)]
    # Of the bars that subscribers had seen, only the five minutes have changed.
    assert [(bar.timeframe, bar.revision, bar.volume) for bar in news.poll()] == [("5m", 1, 9.0)]


def test_replacing_makes_revisions() -> None:
    engine = engine_of("1m", "5m")
    for minute in range(6):
        tick(engine, minute, 10.0)
    news = engine.subscribe(bars=["1m", "5m"])
    for revision in (1, 2):
        given = table((2, 10.0 + revision, 2.0))
        assert engine.push_bars("X", "1m", given, replace=True) == counts(received=1, replaced=1)
        events = news.poll()
        assert [(bar.timeframe, bar.revision, bar.high) for bar in events] == [
            ("1m", revision, 10.0 + revision),
            ("5m", revision, 10.0 + revision),
        ]
    assert shown(engine, "1m")[2] == (2.0, 12.0, 2.0)
    assert engine.bars("X", "5m")["high"].to_list() == [12.0]
    assert engine.bars("X", "5m")["volume"].to_list() == [6.0]


def test_backfill_makes_a_gap_whole() -> None:
    engine = engine_of("1m", "5m")
    for minute in range(6):
        tick(engine, minute, 10.0)
    engine.mark_gap(T0 + 2 * M, T0 + 4 * M)
    assert engine.bars("X", "1m")["complete"].to_list() == [True, True, False, False, True]
    assert engine.bars("X", "5m")["complete"].to_list() == [False]
    engine.push_bars("X", "1m", table((2, 10.0, 1.0), (3, 10.0, 1.0)), replace=True)
    assert engine.bars("X", "1m")["complete"].all()
    assert engine.bars("X", "5m")["complete"].all()


def test_a_smaller_timeframe_is_left_alone() -> None:
    engine = engine_of("1s", "1m", "5m")
    engine.push_bars("X", "5m", table((0, 10.0, 1.0)))
    engine.push_bars("X", "1m", table((5, 11.0, 1.0)))
    assert shown(engine, "1s", partial=True) == []
    assert shown(engine, "1m") == [(5.0, 11.0, 1.0)]
    assert shown(engine, "5m", partial=True) == [(0.0, 10.0, 1.0), (5.0, 11.0, 1.0)]


def test_while_an_older_bar_is_open_newer_ones_have_to_wait() -> None:
    """Its ticks may still come; taking the newer bar would make them late."""
    engine = engine_of("1m")
    tick(engine, 3, 10.0)
    later = table((4, 11.0, 1.0))
    assert engine.push_bars("X", "1m", later) == counts(received=1, open=1)
    engine.advance(T0 + 4 * M)
    assert engine.push_bars("X", "1m", later) == counts(received=1, inserted=1)
    assert shown(engine, "1m") == [(3.0, 10.0, 1.0), (4.0, 11.0, 1.0)]


def test_a_larger_bar_that_came_ready_made_outlives_pieces_of_it() -> None:
    """Days of hourly history, then minutes that begin inside an hour: the hour must keep its volume."""
    engine = engine_of("1m", "1h")
    engine.push_bars("X", "1h", table((0, 10.0, 1_000.0)))
    engine.push_bars("X", "1m", table((58, 11.0, 3.0), (59, 12.0, 4.0)))
    assert shown(engine, "1h") == [(0.0, 10.0, 1_000.0)]
    assert shown(engine, "1m") == [(58.0, 11.0, 3.0), (59.0, 12.0, 4.0)]


def test_retention_does_not_eat_larger_bars() -> None:
    """Of the oldest minute some seconds are dropped: a revision of another cannot make it anew."""
    engine = engine_of("1s", "1m", "1h", retain={"1s": 300})
    for second in range(1_500):
        tick(engine, second / 60, 10.0)
    seconds = engine.bars("X", "1s")
    assert seconds["ts"][0].second != 0, "the oldest minute must have lost some of its seconds"
    minutes = shown(engine, "1m")
    oldest, whole = seconds.head(1), seconds.tail(100).head(1)
    for one in (oldest, whole):
        engine.push_bars("X", "1s", one.with_columns(volume=pl.lit(7.0)), replace=True)
    index = int((whole["ts"].dt.epoch("ns")[0] - T0) // M)
    minutes[index] = (float(index), 10.0, 66.0)
    assert shown(engine, "1m") == minutes
    assert shown(engine, "1h", partial=True) == [(0.0, 10.0, 1_506.0)]


@pytest.mark.parametrize("retain", [10, 1_000, 5_000])
def test_retention_of_history(retain: int) -> None:
    engine = engine_of("1m", retain=retain)
    for start in (0, 20_000):
        engine.push_bars("X", "1m", table(*[(start + minute, 10.0, 1.0) for minute in range(12_345)]))
        kept = shown(engine, "1m")
        assert retain <= len(kept) <= retain + max(retain // 4, 512)
        assert kept[-1][0] == start + 12_344


def test_history_of_quotes() -> None:
    engine = engine_of("1m", "5m", source=("bid", "ask"))
    engine.push_bars("X", "1m", table((0, 10.0, 0.0)), source="bid")
    assert shown(engine, "1m", source="bid") == [(0.0, 10.0, 0.0)]
    assert shown(engine, "1m", source="ask") == []


def test_averages_and_counts_roll_up() -> None:
    engine = engine_of("1m", "5m")
    given = table(
        (0, 10.0, 1.0), (1, 20.0, 3.0), (2, 30.0, 0.0), vwap=[10.0, None, None], trades=[2, 3, None]
    )
    engine.push_bars("X", "1m", given)
    row = engine.bars("X", "5m", partial=True).row(0, named=True)
    # Without an average of its own, a bar's close stands for it.
    assert (row["volume"], row["vwap"], row["trades"]) == (4.0, 17.5, 5)
    assert engine.bars("X", "1m")["vwap"].to_list() == [10.0, 20.0, None]


def test_months() -> None:
    engine = engine_of("1d", "1mo")
    days = pl.datetime_range(
        pl.datetime(2024, 1, 1), pl.datetime(2024, 3, 31), "1d", time_zone="UTC", eager=True
    )
    given = pl.DataFrame({"ts": days}).with_columns(
        **{name: pl.lit(10.0) for name in ("open", "high", "low", "close")}, volume=pl.lit(1.0)
    )
    engine.push_bars("X", "1d", given.reverse())
    assert engine.bars("X", "1mo")["volume"].to_list() == [31.0, 29.0, 31.0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ts": [T0, T0 + 1]}, "not the start of a 1m bar"),
        ({"ts": [T0, T0]}, "a second bar starts at"),
        ({"ts": [T0, None]}, "no time"),
        ({"high": [10.0, 9.0]}, "outside of low and high"),
        ({"low": [10.0, 10.5]}, "outside of low and high"),
        ({"open": [10.0, None]}, "not a finite number"),
        ({"close": [10.0, math.nan]}, "not a finite number"),
        ({"high": [10.0, math.inf]}, "not a finite number"),
        ({"volume": [1.0, -1.0]}, "volume"),
        ({"volume": [1.0, None]}, "volume"),
        ({"vwap": [10.0, math.inf]}, "vwap"),
        ({"trades": [1, -1]}, "trades"),
        ({"trades": ["1", "2"]}, "trades"),
        ({"ts": ["2024", "2025"]}, "ts"),
        ({"volume": ["1", "2"]}, "volume"),
    ],
)
def test_a_row_that_cannot_be_right_changes_nothing(change: dict[str, Any], message: str) -> None:
    engine = engine_of("1m", "5m")
    tick(engine, 0, 10.0)
    tick(engine, 1, 10.0)
    before = [shown(engine, timeframe, partial=True) for timeframe in ("1m", "5m")]
    given = table((5, 10.0, 1.0), (6, 10.0, 1.0)).with_columns(
        pl.Series(name, values, strict=False) for name, values in change.items()
    )
    with pytest.raises(tw.DataError, match=message):
        engine.push_bars("X", "1m", given)
    assert [shown(engine, timeframe, partial=True) for timeframe in ("1m", "5m")] == before
    # Nor has anything closed: the minute still takes ticks.
    assert tick(engine, 1.5, 10.0)


@pytest.mark.parametrize("column", ["ts", "open", "high", "low", "close", "volume"])
def test_a_missing_column_is_named(column: str) -> None:
    with pytest.raises(tw.DataError, match=f"'{column}' is missing"):
        engine_of("1m").push_bars("X", "1m", table((0, 10.0, 1.0)).drop(column))


def test_settings_that_cannot_work() -> None:
    engine, given = engine_of("1m"), table((0, 10.0, 1.0))
    with pytest.raises(tw.UnknownInstrument, match='got "Y"'):
        engine.push_bars("Y", "1m", given)
    with pytest.raises(tw.ConfigError, match="5m"):
        engine.push_bars("X", "5m", given)
    with pytest.raises(tw.ConfigError, match="bid"):
        engine.push_bars("X", "1m", given, source="bid")
    with pytest.raises(tw.DataError, match="list"):
        engine.push_bars("X", "1m", [1, 2])
    assert shown(engine, "1m") == []


def test_an_empty_table_is_nothing() -> None:
    engine = engine_of("1m")
    assert engine.push_bars("X", "1m", table((0, 10.0, 1.0)).head(0)) == counts()


def test_any_arrow_table() -> None:
    engine = engine_of("1m")
    given = table((0, 10.0, 1.0)).with_columns(pl.col("ts").cast(pl.Datetime("ns", "UTC")))
    assert engine.push_bars("X", "1m", given.to_arrow())["inserted"] == 1
    assert engine.push_bars("X", "1m", given.lazy())["existing"] == 1
    # Microseconds, and labels without a zone, which are UTC.
    micro = given.with_columns(pl.col("ts").dt.cast_time_unit("us").dt.replace_time_zone(None))
    assert engine.push_bars("X", "1m", micro)["existing"] == 1
