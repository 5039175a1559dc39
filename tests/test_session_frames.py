"""Frames by trading hours, against loops over rows."""

from __future__ import annotations

import datetime as dt
import math
import zoneinfo
from pathlib import Path

import polars as pl
import pytest

import tickwire as tw
from recorded import ticks, trades
from tickwire import sessions

NEW_YORK = zoneinfo.ZoneInfo("America/New_York")
RTH = sessions.NYSE.only("regular")


@pytest.fixture
def engine(data: Path) -> tw.Engine:
    """Three days of stocks, from four in the morning to eight in the evening."""
    frame = trades(ticks(data, "iqfeed_equity_20210301_03_trades"))
    symbols = frame["symbol"].unique(maintain_order=True).to_list()
    made = tw.Engine(
        [tw.Instrument(symbol, tick_size=0.01, rules=tw.Rules(band="off")) for symbol in symbols],
        timeframes=["1s", "1m"],
    )
    made.push_table(frame)
    return made


def test_rows_inside_the_hours(engine: tw.Engine) -> None:
    for symbol in engine.symbols:
        for frame, column in ((engine.bars(symbol, "1m"), "ts"), (engine.trades(symbol), "ts_event")):
            local = pl.col(column).dt.convert_time_zone("America/New_York").dt.time()
            expected = frame.filter((local >= dt.time(9, 30)) & (local < dt.time(16)))
            found = sessions.within(frame, RTH)
            assert found.equals(expected)
            assert 0 < len(found) < len(frame)


def naive_vwap(
    times: list[int], prices: list[float], sizes: list[float]
) -> list[tuple[int, str, float, float]]:
    """Row after row, with exact sums, begun anew on each day in New York."""
    rows = []
    today, traded = None, list[tuple[float, float]]()
    for ts, price, size in sorted(zip(times, prices, sizes, strict=True), key=lambda row: row[0]):
        wall = dt.datetime.fromtimestamp(ts // 10**9, NEW_YORK)
        if not dt.time(9, 30) <= wall.time() < dt.time(16):
            continue
        if wall.date() != today:
            today, traded = wall.date(), []
        traded.append((price, size))
        volume = math.fsum(size for _, size in traded)
        money = math.fsum(price * size for price, size in traded if size)
        rows.append((ts, str(today), money / volume if volume else math.nan, volume))
    return rows


def same(found: pl.DataFrame, expected: list[tuple[int, str, float, float]]) -> None:
    assert found[:, 0].dt.timestamp("ns").to_list() == [row[0] for row in expected]
    assert [str(day) for day in found["day"]] == [row[1] for row in expected]
    for vwap, volume, (_, _, money, sizes) in zip(found["vwap"], found["volume"], expected, strict=True):
        assert volume == pytest.approx(sizes, rel=1e-12)
        assert vwap == pytest.approx(money, rel=1e-12) if sizes else vwap is None


def test_vwap_of_each_day_from_trades_and_from_bars(engine: tw.Engine) -> None:
    for symbol in engine.symbols:
        # All pairs of rows are added up, so not too many of them.
        frame = engine.trades(symbol).filter(pl.int_range(pl.len()) % 7 == 0)
        columns = (frame["ts_event"].dt.timestamp("ns"), frame["price"], frame["size"])
        same(sessions.running_vwap(frame, RTH), naive_vwap(*(column.to_list() for column in columns)))
        bars = engine.bars(symbol, "1m")
        columns = (bars["ts"].dt.timestamp("ns"), bars["vwap"].fill_null(0.0), bars["volume"])
        same(sessions.running_vwap(bars, RTH), naive_vwap(*(column.to_list() for column in columns)))


def test_bars_and_trades_end_at_the_same_vwap(engine: tw.Engine) -> None:
    for symbol in engine.symbols:
        by_trade, by_bar = (
            sessions.running_vwap(frame, RTH).group_by("day", maintain_order=True).last()
            for frame in (engine.trades(symbol), engine.bars(symbol, "1m", partial=True))
        )
        assert by_trade["day"].to_list() == by_bar["day"].to_list()
        assert by_trade["volume"].to_list() == by_bar["volume"].to_list()
        for one, other in zip(by_trade["vwap"], by_bar["vwap"], strict=True):
            assert one == pytest.approx(other, rel=1e-12)


def test_an_evening_belongs_to_the_day_after() -> None:
    # Sunday 17:00 in Chicago, and Monday 15:59: one trading day.
    times = [
        dt.datetime(2026, 1, 11, 23, 0, tzinfo=dt.UTC),
        dt.datetime(2026, 1, 12, 21, 59, tzinfo=dt.UTC),
        dt.datetime(2026, 1, 12, 22, 30, tzinfo=dt.UTC),
        dt.datetime(2026, 1, 12, 23, 0, tzinfo=dt.UTC),
    ]
    frame = pl.DataFrame({"ts_event": times, "price": [1.0, 2.0, 9.0, 4.0], "size": [1.0, 3.0, 1.0, 2.0]})
    found = sessions.running_vwap(frame, tw.CME)
    assert found.rows() == [
        (times[0], dt.date(2026, 1, 12), 1.0, 1.0),
        (times[1], dt.date(2026, 1, 12), 1.75, 4.0),
        (times[3], dt.date(2026, 1, 13), 4.0, 2.0),
    ]


def test_nothing_traded_has_no_vwap() -> None:
    time = dt.datetime(2026, 1, 12, 15, tzinfo=dt.UTC)
    frame = pl.DataFrame({"ts_event": [time], "price": [5.0], "size": [0.0]})
    assert sessions.running_vwap(frame, tw.CME).row(0) == (time, dt.date(2026, 1, 12), None, 0.0)
    assert sessions.running_vwap(frame.clear(), tw.CME).columns == ["ts_event", "day", "vwap", "volume"]
    assert sessions.within(frame.clear(), tw.CME).is_empty()


def test_frames_of_something_else() -> None:
    with pytest.raises(tw.DataError, match="columns ts, ts_event: expected one of them, of times"):
        sessions.within(pl.DataFrame({"ts": [1]}), tw.CME)
    with pytest.raises(tw.DataError, match="column price: missing; got ts_event, size"):
        sessions.running_vwap(pl.DataFrame({"ts_event": [], "size": []}), tw.CME)
