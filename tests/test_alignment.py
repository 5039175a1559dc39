"""Bars by the wall clock of a place: they tile time, and what they hold is what `zoneinfo` says."""

from __future__ import annotations

import datetime as dt
import itertools

import numpy as np
import polars as pl
import pytest

import tickwire as tw
from effort import LONG
from zones import DAY, NS, ZONES, first_moment, local, transitions

MINUTE, HOUR = 60 * NS, 3_600 * NS
SYMBOL = "X"
LONDON_HOURS = tw.Session("Europe/London", "08:00", "16:30")


def engine_of(timeframes: list[str], **instrument: object) -> tw.Engine:
    return tw.Engine(tw.Instrument(SYMBOL, tick_size=0.25, **instrument), timeframes)  # type: ignore[arg-type]


def spans(engine: tw.Engine, timeframe: str, start: int, end: int) -> list[tuple[int, int]]:
    """The bars from the one that holds `start` to the one that holds `end`, one after another."""
    found = [engine.bar_span(SYMBOL, timeframe, start)]
    while found[-1][1] <= end:
        found.append(engine.bar_span(SYMBOL, timeframe, found[-1][1]))
    return found


@pytest.mark.parametrize("name", ZONES)
def test_bars_around_every_transition(name: str) -> None:
    """1990 to 2037; all of them at length, else every third."""
    engine = engine_of(["1h", "1d"], align=name)
    moments = list(transitions(name, 1990, 2037)) or [(1_700_000_000 * NS, 0, 0)]
    for at, _, _ in moments if LONG else moments[::3]:
        start, end = at - 30 * HOUR, at + 30 * HOUR
        hours, days = spans(engine, "1h", start, end), spans(engine, "1d", start, end)
        for (_, stop), (begin, _) in itertools.pairwise(hours):
            assert stop == begin
        for begin, stop in hours:
            shown, last = local(begin, name), local(stop - NS, name)
            # One hour of one date by the wall clock, at one offset, but for a jump inside of it.
            assert (shown.date(), shown.hour) == (last.date(), last.hour)
            assert begin <= engine.bar_span(SYMBOL, "1h", begin + (stop - begin) // 2)[0] < stop
            if at in (begin, stop) or not begin < at < stop:
                assert stop - begin == (last - shown) // dt.timedelta(seconds=1) * NS + NS
            # It ends where another hour is shown, or this one anew.
            following = local(stop, name)
            assert (following.date(), following.hour) != (shown.date(), shown.hour) or (stop == at > 0)
        for begin, stop in days:
            date = local(begin, name).date()
            assert begin == first_moment(date, name)
            following = local(stop, name).date()
            assert stop == first_moment(following, name)
            # The clock may be set back over midnight, but no date is passed over that was shown.
            assert following == date + DAY or first_moment(date + DAY, name) == stop


@pytest.mark.parametrize(
    ("name", "date", "hours"),
    [
        ("America/New_York", "2024-03-10", 23),
        ("America/New_York", "2024-11-03", 25),
        ("America/New_York", "2024-07-04", 24),
        ("Australia/Lord_Howe", "2024-10-06", 23.5),
        ("Australia/Lord_Howe", "2024-04-07", 24.5),
        ("America/Santiago", "2024-09-08", 23),  # has no midnight
        ("America/Havana", "2024-11-03", 25),
        ("America/St_Johns", "2010-11-07", 25),  # has two
        ("America/Caracas", "2016-05-01", 23.5),
        ("Asia/Pyongyang", "2018-05-04", 23.5),
        ("Antarctica/Troll", "2024-03-31", 22),
        ("Antarctica/Troll", "2024-10-27", 26),
        ("Pacific/Apia", "2011-12-29", 24),
        ("Pacific/Apia", "2011-12-31", 24),
    ],
)
def test_hours_of_a_day(name: str, date: str, hours: float) -> None:
    engine = engine_of(["1d"], align=name)
    start = first_moment(dt.date.fromisoformat(date), name)
    begin, end = engine.bar_span(SYMBOL, "1d", start)
    assert (begin, (end - begin) / HOUR) == (start, hours)


@pytest.mark.parametrize(
    ("name", "date"),
    [
        ("America/New_York", "2024-03-10"),
        ("America/New_York", "2024-11-03"),
        ("Australia/Lord_Howe", "2024-10-06"),
        ("Australia/Lord_Howe", "2024-04-07"),
        ("Pacific/Apia", "2011-12-30"),
        ("America/St_Johns", "2010-11-07"),
        ("Asia/Kathmandu", "1986-01-01"),
        ("Africa/Casablanca", "2024-03-10"),
    ],
)
def test_a_trade_a_minute_is_in_the_bars_of_its_hour_and_its_date(name: str, date: str) -> None:
    """Through the engine, by ticks and by rolling up, and against sums that know zoneinfo only."""
    timeframes = ["1m", "5m", "15m", "1h", "4h", "1d", "1w", "1mo"]
    engine = engine_of(timeframes, align=name)
    middle = first_moment(dt.date.fromisoformat(date), name)
    ts = np.arange(middle - 4 * 24 * HOUR, middle + 4 * 24 * HOUR, MINUTE)
    price = 100 + np.arange(len(ts)) % 97 * 0.25
    receipt = engine.push_trades(SYMBOL, ts_event=ts, price=price, size=np.ones(len(ts)))
    assert receipt.accepted == len(ts)
    rows = pl.DataFrame({"ts": ts, "price": price}).with_columns(
        moment=pl.Series([local(int(each), name).replace(tzinfo=None) for each in ts]),
        fold=pl.Series([local(int(each), name).fold for each in ts]),
    )
    reached = rows["moment"].cum_max().dt.date()
    keys = {
        # Another hour than the minute before, or the same anew.
        "1h": ((pl.col("moment").dt.truncate("1h").diff() != dt.timedelta()) | (pl.col("fold").diff() > 0))
        .fill_null(value=False)
        .cum_sum(),
        "1d": pl.Series(reached),
        "1w": pl.Series(reached).dt.truncate("1w"),
        "1mo": pl.Series(reached).dt.truncate("1mo"),
    }
    for timeframe, key in keys.items():
        expected = rows.group_by(key.alias("key"), maintain_order=True).agg(
            pl.col("ts").first(),
            open=pl.col("price").first(),
            high=pl.col("price").max(),
            low=pl.col("price").min(),
            close=pl.col("price").last(),
            trades=pl.len().cast(pl.Int64),
        )
        bars = engine.bars(SYMBOL, timeframe, partial=True).with_columns(pl.col("ts").dt.epoch("ns"))
        # The first may begin before the first tick.
        assert bars["ts"].to_list()[1:] == expected["ts"].to_list()[1:], timeframe
        columns = ["open", "high", "low", "close", "trades"]
        assert bars.select(columns).equals(expected.select(columns)), timeframe
    for timeframe in timeframes:
        assert engine.bars(SYMBOL, timeframe, partial=True)["trades"].sum() == len(ts)


@pytest.mark.parametrize("align", ["America/New_York", "Australia/Lord_Howe", "session"])
def test_history_rolls_up_as_ticks_do(align: str) -> None:
    """Ready minutes put in behind ticks that went on, across transitions of spring 2024."""
    timeframes = ["1m", "30m", "1h", "4h", "1d", "1w"]
    session = LONDON_HOURS if align == "session" else None
    live, patched = (engine_of(timeframes, align=align, session=session) for _ in range(2))
    start = first_moment(dt.date(2024, 3, 8), "UTC")
    ts = np.arange(start, start + 32 * 24 * HOUR, 7 * MINUTE)
    price = 100 + np.arange(len(ts)) % 89 * 0.25
    for engine, rows in ((live, slice(None)), (patched, slice(len(ts) // 2, None))):
        engine.push_trades(SYMBOL, ts_event=ts[rows], price=price[rows], size=np.ones(len(ts[rows])))
    minutes = live.bars(SYMBOL, "1m")
    counts = patched.push_bars(SYMBOL, "1m", minutes)
    assert counts["inserted"] == len(ts) // 2
    for timeframe in timeframes:
        columns = ["ts", "open", "high", "low", "close", "volume", "trades"]
        assert (
            patched.bars(SYMBOL, timeframe)
            .select(columns)
            .equals(live.bars(SYMBOL, timeframe).select(columns))
        ), timeframe
    # The labels of history must be those of the engine's bars.
    half = live.bars(SYMBOL, "1d").with_columns(pl.col("ts").dt.offset_by("30m"))
    with pytest.raises(tw.DataError, match="not the start of a 1d bar"):
        patched.push_bars(SYMBOL, "1d", half)


def test_a_column_of_times_has_the_bars_of_its_rows() -> None:
    engine = engine_of(["30m", "1h", "1d"], align="Europe/London")
    ts = 1_711_846_800 * NS + np.arange(-90, 90) * 20 * MINUTE
    for timeframe in engine.timeframes:
        starts, ends = engine.bar_span(SYMBOL, timeframe, ts)
        rows = [engine.bar_span(SYMBOL, timeframe, int(each)) for each in ts]
        assert list(zip(starts.tolist(), ends.tolist(), strict=True)) == rows


def test_what_larger_bars_are_made_of() -> None:
    timeframes = ["20m", "30m", "1h", "4h", "1d", "1mo"]
    chain = {"20m": None, "30m": None, "1h": "30m", "4h": "1h", "1d": "4h", "1mo": "1d"}
    assert dict(engine_of(timeframes).parents(SYMBOL)) == chain
    assert dict(engine_of(timeframes, align="America/New_York").parents(SYMBOL)) == chain
    assert dict(engine_of(timeframes, align="Asia/Kolkata").parents(SYMBOL)) == chain
    # 15 minutes, of which neither 20 nor 30 is a multiple.
    assert dict(engine_of(timeframes, align="Asia/Kathmandu").parents(SYMBOL)) == chain | {"1h": None}
    session = engine_of(timeframes, align="session", session=tw.CME)
    assert dict(session.parents(SYMBOL)) == chain


def test_instruments_of_one_engine_differ() -> None:
    engine = tw.Engine(
        [
            tw.Instrument("ES", tick_size=0.25, align="session", session=tw.CME),
            tw.Instrument("DAX", tick_size=0.5, align="Europe/Berlin"),
            tw.Instrument("BTC", tick_size=0.1, align="utc"),
            tw.Instrument("NQ", tick_size=0.25),
        ],
        ["1h", "1d"],
        align="America/Chicago",
    )
    noon = 1_720_094_400 * NS
    starts = [engine.bar_span(symbol, "1d", noon)[0] - noon for symbol in engine.symbols]
    assert [start / HOUR for start in starts] == [-14, -14, -12, -7]
    assert engine.zones == ("America/Chicago", "Europe/Berlin")


def test_larger_bars_stand_beside_the_smaller_ones_that_end_with_them() -> None:
    engine = engine_of(["1h", "1d"], align="America/New_York")
    start = first_moment(dt.date(2024, 3, 9), "America/New_York")
    ts = np.arange(start, start + 49 * HOUR, HOUR)
    engine.push_trades(SYMBOL, ts_event=ts, price=np.arange(1.0, 50.0), size=np.ones(49))
    joined = engine.joined(SYMBOL, ["1h", "1d"])
    # The tenth ends with its 23rd hour.
    assert joined["close_1d"].to_list() == [None] * 23 + [24.0] * 23 + [47.0] * 2


def test_alignments_that_cannot_be_are_refused() -> None:
    for align in ("Mars/Olympus", "UTC+1", "", 5):
        with pytest.raises(
            tw.ConfigError, match=r"align: got .*expected \"utc\", \"session\", or a time zone"
        ):
            tw.Instrument("X", tick_size=1.0, align=align)  # type: ignore[arg-type]
        with pytest.raises(tw.ConfigError, match="align: got"):
            tw.Engine(tw.Instrument("X", tick_size=1.0), align=align)  # type: ignore[arg-type]
    with pytest.raises(tw.ConfigError, match="align: got \"session\" for 'X', which has none"):
        tw.Engine(tw.Instrument("X", tick_size=1.0), align="session")
    with pytest.raises(tw.ConfigError, match="session: got"):
        tw.Instrument("X", tick_size=1.0, session="CME")  # type: ignore[arg-type]


def test_a_session_s_bars_count_from_its_open() -> None:
    engine = engine_of(["1h", "4h", "1d", "1w"], align="session", session=LONDON_HOURS)
    # Thursday 28 March 2024, 08:00 GMT; London's clocks go forward on the Sunday after.
    thursday = 1_711_612_800 * NS
    friday, monday = thursday + 24 * HOUR, thursday + (4 * 24 - 1) * HOUR
    assert engine.bar_span(SYMBOL, "1d", thursday) == (thursday, friday)
    assert engine.bar_span(SYMBOL, "1d", friday) == (friday, monday), "until the market opens again"
    assert engine.bar_span(SYMBOL, "4h", monday - 1)[1] == monday
    assert engine.bar_span(SYMBOL, "4h", monday) == (monday, monday + 4 * HOUR)
    assert engine.bar_span(SYMBOL, "1w", friday) == (thursday - 3 * 24 * HOUR, monday)
