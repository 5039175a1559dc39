"""Silver across the transitions of 11 and 25 March 2012 and 3 November 2013: bars of New York's and London's
wall clocks and sessions, against sums by Polars, which has its own time-zone data, and `zoneinfo`.
"""

from __future__ import annotations

import zoneinfo
from pathlib import Path

import polars as pl
import pytest

import tickwire as tw
from recorded import quotes, ticks
from zones import EPOCH, NS, first_moment, ns

US_SPRING, EU_SPRING = "xagusd_dst_2012_us_spring", "xagusd_dst_2012_eu_spring"
US_AUTUMN = "xagusd_dst_2013_us_autumn"
FILES = [US_SPRING, EU_SPRING, US_AUTUMN]
NEW_YORK, LONDON = "America/New_York", "Europe/London"
HOUR = 3_600 * NS
# Silver's day in New York ends at 17:00, and the next begins an hour later.
SILVER = tw.Session(NEW_YORK, "18:00", "17:00")
LONDON_DAY = tw.Session(LONDON, "08:00", "16:30")
TIMEFRAMES = ["1m", "15m", "1h", "4h", "1d", "1w"]
OFF = tw.Rules(grid="off", band="off", crossed="off")


def engine_of(data: Path, name: str, **instrument: object) -> tuple[tw.Engine, pl.DataFrame]:
    """An engine that has had all of a file, and the rows it was given."""
    rows = quotes(ticks(data, name))
    silver = tw.Instrument("XAGUSD", tick_size=0.001, source=("bid", "ask"), rules=OFF, **instrument)  # type: ignore[arg-type]
    engine = tw.Engine(silver, TIMEFRAMES)
    assert engine.push_table(rows).accepted == rows.height
    engine.advance(int(rows["ts_event"].max()) + 30 * 24 * HOUR)  # type: ignore[arg-type]
    return engine, rows.with_columns(
        utc=pl.from_epoch("ts_event", time_unit="ns").dt.replace_time_zone("UTC")
    )


def same_bars(engine: tw.Engine, rows: pl.DataFrame, timeframe: str, start: pl.Expr) -> None:
    """`start`: of each row, when its bar begins, int ns UTC."""
    for source in ("bid", "ask"):
        expected = (
            rows.group_by(start.alias("ts"), maintain_order=True)
            .agg(
                pl.col(source).first().alias("open"),
                pl.col(source).max().alias("high"),
                pl.col(source).min().alias("low"),
                pl.col(source).last().alias("close"),
                pl.len().cast(pl.Int64).alias("trades"),
            )
            .sort("ts")
        )
        bars = engine.bars("XAGUSD", timeframe, source=source).with_columns(pl.col("ts").dt.epoch("ns"))
        assert bars.select(expected.columns).to_dicts() == expected.to_dicts()


@pytest.mark.parametrize("zone", [NEW_YORK, LONDON])
@pytest.mark.parametrize("name", FILES)
def test_hours_days_and_weeks_of_the_wall_clock(data: Path, name: str, zone: str) -> None:
    engine, rows = engine_of(data, name, align=zone)
    rows = rows.with_columns(wall=pl.col("utc").dt.convert_time_zone(zone).dt.replace_time_zone(None))
    for timeframe in ("1d", "1w"):
        rows = rows.with_columns(date=pl.col("wall").dt.truncate(timeframe).dt.date())
        dates = rows["date"].unique()
        starts = [first_moment(date, zone) for date in dates]
        same_bars(engine, rows, timeframe, pl.col("date").replace_strict(dates, starts))
    # None of the files has a tick in the part of a Sunday that is shown twice: each hour has one start.
    info = zoneinfo.ZoneInfo(zone)
    for timeframe in ("1h", "4h"):
        rows = rows.with_columns(hour=pl.col("wall").dt.truncate(timeframe).cast(pl.Datetime("us")))
        walls = rows["hour"].unique()
        starts = [ns(wall.replace(tzinfo=info).astimezone(EPOCH.tzinfo)) for wall in walls]
        same_bars(engine, rows, timeframe, pl.col("hour").replace_strict(walls, starts))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(("session", "opens"), [(SILVER, -6), (LONDON_DAY, 8)])
def test_days_and_hours_of_a_session(data: Path, name: str, session: tw.Session, opens: int) -> None:
    engine, rows = engine_of(data, name, align="session", session=session)
    # A day begins `opens` hours after midnight by the wall clock, and what follows Friday's is Friday's.
    wall = pl.col("utc").dt.convert_time_zone(session.zone).dt.replace_time_zone(None)
    rows = rows.with_columns(day=(wall - pl.duration(hours=opens)).dt.date())
    weekend = pl.max_horizontal(pl.col("day").dt.weekday() - 5, 0)
    rows = rows.with_columns(day=pl.col("day") - pl.duration(days=weekend))
    open_ns = (
        (pl.col("day").cast(pl.Datetime("ns")) + pl.duration(hours=opens))
        .dt.replace_time_zone(session.zone)
        .dt.epoch("ns")
    )
    rows = rows.with_columns(open_ns=open_ns)
    same_bars(engine, rows, "1d", pl.col("open_ns"))
    for timeframe, length in (("15m", HOUR // 4), ("1h", HOUR), ("4h", 4 * HOUR)):
        into = pl.col("ts_event") - pl.col("open_ns")
        same_bars(engine, rows, timeframe, pl.col("open_ns") + into // length * length)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [(US_SPRING, 22, 21), (EU_SPRING, 21, 21), (US_AUTUMN, 21, 22)],
)
def test_the_daily_break_moves_where_the_data_shows_it(
    data: Path, name: str, before: int, after: int
) -> None:
    """It begins at 17:00 in New York: its hour UTC changes with New York's clock, and not with London's."""
    rows = (
        quotes(ticks(data, name))
        .select(start=pl.col("ts_event").shift(1), end=pl.col("ts_event"))
        .drop_nulls()
    )
    breaks = rows.filter(pl.col("end") - pl.col("start") > HOUR // 2).rows()
    hours = [round(start / HOUR) % 24 for start, _ in breaks]
    assert (hours[0], hours[-1]) == (before, after)
    table = SILVER.table()
    for start, end in breaks:
        assert not SILVER.is_open((start + end) // 2)
        row = int(table.close_ns.searchsorted(start - HOUR // 2))
        # The last quotes come some seconds late; markets open when somebody quotes.
        assert abs(int(table.close_ns[row]) - start) < 2 * 60 * NS
        assert 0 <= end - int(table.open_ns[row + 1]) < HOUR
    engine, _ = engine_of(data, name, align="session", session=SILVER)
    ends = engine.bar_span("XAGUSD", "1d", engine.bars("XAGUSD", "1d", source="bid")["ts"].to_numpy())[1]
    # Days end when quotes come again: Friday's by Sunday's clock.
    assert [int(end) // HOUR for end in ends[:-1]] == [end // HOUR for _, end in breaks]
