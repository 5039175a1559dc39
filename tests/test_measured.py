"""Bars that are cut by their ticks: the rules by example, and what they share with time bars."""

from __future__ import annotations

import polars as pl
import pytest

import tickwire as tw
from oracle import NS

T0 = 1_700_000_040 * NS
UNGUARDED = tw.Rules(band="off", grid="off")


def engine_of(*timeframes: str, **options: object) -> tw.Engine:
    return tw.Engine(tw.Instrument("X", tick_size=0.25, rules=UNGUARDED), timeframes, **options)  # type: ignore[arg-type]


def push(engine: tw.Engine, *ticks: tuple[float, float]) -> None:
    """Prices and sizes, a second apart, after those that came before."""
    count = engine.stats()["received"]
    for index, (price, size) in enumerate(ticks):
        assert engine.push_trade("X", T0 + (count + index) * NS, price, size)


def rows(engine: tw.Engine, timeframe: str, *columns: str, partial: bool = False) -> list[tuple[object, ...]]:
    return engine.bars("X", timeframe, partial=partial).select(columns).rows()


def test_the_last_trade_of_a_count_closes_its_bar() -> None:
    engine = engine_of("3t")
    push(engine, (100.0, 1), (101.0, 2))
    assert engine.bars("X", "3t").height == 0
    push(engine, (99.0, 3))
    frame = engine.bars("X", "3t")
    assert frame.columns[-1] == "ts_end"
    assert frame.schema["ts_end"] == frame.schema["ts"] == pl.Datetime("ns", "UTC")
    assert rows(engine, "3t", "open", "high", "low", "close", "volume", "trades", "complete") == [
        (100.0, 101.0, 99.0, 99.0, 6.0, 3, True)
    ]
    bar = engine.snapshot("X").closed_bar("3t")
    assert (bar.ts, bar.ts_end) == (T0, T0 + 2 * NS), "from the first tick to the last"
    assert engine.snapshot("X").open_bars("3t") == []


def test_a_trade_over_the_boundary_stays_whole_or_is_divided() -> None:
    kept, split = engine_of("10v", split="keep"), engine_of("10v", split="split")
    for engine in (kept, split):
        push(engine, (100.0, 4), (101.0, 33), (102.0, 0), (103.0, 3))
    assert rows(kept, "10v", "volume", "trades", partial=True) == [(37.0, 2), (3.0, 2)]
    # The trade counts where it begins; what it fills alone has no trades.
    assert rows(split, "10v", "open", "close", "volume", "trades", partial=True) == [
        (100.0, 101.0, 10.0, 2),
        (101.0, 101.0, 10.0, 0),
        (101.0, 101.0, 10.0, 0),
        (101.0, 103.0, 10.0, 2),
    ]
    assert rows(split, "10v", "complete") == [(True,)] * 4


def test_an_instrument_may_say_what_becomes_of_a_trade() -> None:
    instruments = [
        tw.Instrument("X", tick_size=0.25),
        tw.Instrument("Y", tick_size=0.25, split="keep"),
    ]
    engine = tw.Engine(instruments, ["10v"], split="split")
    for symbol in ("X", "Y"):
        engine.push_trade(symbol, T0, 100.0, 25)
        volumes = engine.bars(symbol, "10v", partial=True)["volume"].to_list()
        assert volumes == ([10.0, 10.0, 5.0] if symbol == "X" else [25.0])


def test_decimal_sizes_fill_what_they_add_up_to() -> None:
    engine = engine_of("0.8v", "0.3v")
    push(engine, (100.0, 0.7), (100.0, 0.1), (100.0, 0.1), (100.0, 0.2))
    assert rows(engine, "0.8v", "trades") == [(2,)], "0.7 + 0.1 is less than 0.8 in binary"
    assert rows(engine, "0.3v", "trades") == [(1,), (3,)]


def test_one_trade_cannot_fill_any_number_of_bars() -> None:
    engine = engine_of("1v", split="split")
    push(engine, (100.0, 1e9), (100.0, 4_096.5))
    assert rows(engine, "1v", "volume")[0] == (1e9,), "more than 4,096 bars: it stays whole"
    assert engine.bars("X", "1v").height == 1 + 4_096


def test_a_bar_is_never_wider_than_its_range() -> None:
    engine = engine_of("4r")
    push(engine, (100.0, 1), (101.0, 1), (100.25, 1), (101.25, 1), (110.0, 1), (109.0, 1), (108.75, 1))
    # A jump opens a bar at the new price and leaves none between.
    assert rows(engine, "4r", "open", "high", "low", "close", partial=True) == [
        (100.0, 101.0, 100.0, 100.25),
        (101.25, 101.25, 101.25, 101.25),
        (110.0, 110.0, 109.0, 109.0),
        (108.75, 108.75, 108.75, 108.75),
    ]


def test_renko_turns_after_two_bricks() -> None:
    engine = engine_of("4renko")
    push(engine, (100.0, 1), (101.0, 2), (100.0, 3), (99.25, 4), (99.0, 5))
    assert rows(engine, "4renko", "open", "close", "volume", "trades") == [
        (100.0, 101.0, 3.0, 2),
        (100.0, 99.0, 12.0, 3),
    ]
    # Several at once: the tick belongs to the first, the others are phantoms.
    push(engine, (95.75, 6))
    assert rows(engine, "4renko", "open", "high", "low", "close", "volume", "trades", "vwap")[2:] == [
        (99.0, 99.0, 98.0, 98.0, 6.0, 1, 95.75),
        (98.0, 98.0, 97.0, 97.0, 0.0, 0, None),
        (97.0, 97.0, 96.0, 96.0, 0.0, 0, None),
    ]
    push(engine, (97.5, 7))
    still = engine.snapshot("X").open_bars("4renko")[0]
    assert (still.open, still.high, still.low, still.close) == (96.0, 97.5, 96.0, 97.5)


def test_a_leap_of_thousands_of_bricks_begins_anew() -> None:
    engine = engine_of("1renko")
    push(engine, (100.0, 1), (100_000.0, 1), (100_000.25, 1))
    assert rows(engine, "1renko", "open", "close", "volume") == [(100_000.0, 100_000.25, 3.0)]


def test_labels_never_go_back_nor_far_ahead() -> None:
    engine = engine_of("2t")
    for offset in (0, 5, 3, 1, 7_200, 6, 8, 9):
        assert engine.push_trade("X", T0 + offset * NS, 100.0, 1)
    frame = engine.bars("X", "2t")
    begins = [(ts - T0) // NS for ts in frame["ts"].dt.epoch("ns")]
    ends = [(ts - T0) // NS for ts in frame["ts_end"].dt.epoch("ns")]
    # One stamp two hours ahead is not believed, here as elsewhere.
    assert begins == [0, 5, 5, 8]
    assert ends == [5, 5, 6, 9]
    since = engine.bars("X", "2t", since=T0 + 5 * NS)
    assert since.height == 3, "all bars that share a label are found"


def test_time_passing_closes_nothing_and_nothing_is_late() -> None:
    engine = engine_of("2t")
    assert engine.push_trade("X", T0, 100.0, 1)
    engine.advance(T0 + 86_400 * NS)
    assert engine.bars("X", "2t").height == 0
    assert engine.push_trade("X", T0 - 3_600 * NS, 101.0, 1)
    assert rows(engine, "2t", "close") == [(101.0,)]


def test_a_tick_that_is_late_for_a_time_bar_enters_no_bar() -> None:
    engine = engine_of("1s", "2t")
    push(engine, (100.0, 1), (101.0, 1), (102.0, 1))
    assert not engine.push_trade("X", T0, 103.0, 1)
    assert engine.snapshot("X").open_bars("2t")[0].trades == 1


def test_volume_of_quotes_is_refused_at_once() -> None:
    for timeframe in ("100v", "1e6n"):
        with pytest.raises(tw.ConfigError, match="quotes carry no volume"):
            engine_of("1s", timeframe, source=("trade", "bid"))
        with pytest.raises(tw.ConfigError, match="X: got timeframe"):
            tw.Engine(tw.Instrument("X", tick_size=1, source="last"), [timeframe])
    engine = engine_of("3t", "8r", "8renko", source=("bid", "last"))
    assert engine.timeframes == ("3t", "8r", "8renko")


def test_any_spelling_finds_an_amount() -> None:
    engine = engine_of("1e3n", "1s", retain={"1000n": 5})
    assert engine.timeframes == ("1s", "1000n")
    assert engine.bars("X", "1e3n").equals(engine.bars("X", "1000.0n"))
    with engine.subscribe(bars=["1e3n"]) as news:
        push(engine, (100.0, 10))
        assert news.poll()[0].timeframe == "1000n"
    with pytest.raises(tw.ConfigError, match=r"retain.*'2000n'"):
        engine_of("1e3n", retain={"2e3n": 5})


@pytest.mark.parametrize("text", ["0t", "1.5t", "-5v", "1e-3v", "8Renko", "t", "5", "5x"])
def test_text_that_is_no_timeframe(text: str) -> None:
    with pytest.raises(tw.ConfigError, match=r"got timeframe .*expected .*5000v"):
        engine_of(text)
    with pytest.raises(tw.ConfigError, match="split"):
        engine_of("1s", split=text)


def test_a_gap_marks_the_open_bar_and_the_one_after_it() -> None:
    engine = engine_of("2t", "1r")
    engine.mark_gap(None, T0 - NS)
    push(engine, (100.0, 1), (100.0, 1), (100.0, 1))
    assert rows(engine, "2t", "complete") == [(False,)], "joined in its middle, perhaps"
    engine.mark_gap(T0 + 2 * NS + 1, T0 + 3 * NS)
    push(engine, (100.0, 1), (100.0, 1), (100.0, 1))
    assert rows(engine, "2t", "complete") == [(False,), (False,), (True,)]
    engine.mark_gap(T0 + 6 * NS, T0 + 7 * NS)
    push(engine, (100.0, 1), (100.0, 1), (100.0, 1), (100.0, 1))
    assert rows(engine, "2t", "complete")[3:] == [(False,), (True,)], "begun with a tick that is missing"
    push(engine, (101.0, 1))
    assert rows(engine, "1r", "complete") == [(False,)]


def test_a_gap_found_later_revises_the_bars_that_it_cut() -> None:
    engine = engine_of("2t")
    push(engine, *[(100.0, 1)] * 600)
    with engine.subscribe(bars=["2t"]) as news:
        engine.mark_gap(T0 + 100 * NS + 1, T0 + 103 * NS)
        revised = news.poll()
    assert [((bar.ts - T0) // NS, bar.complete, bar.revision) for bar in revised] == [
        (100, False, 1),
        (102, False, 1),
    ]
    frame = engine.bars("X", "2t")
    assert frame.filter(~pl.col("complete"))["ts"].dt.epoch("ns").to_list() == [bar.ts for bar in revised]
    assert frame.height == 300
    assert (frame["trades"] == 2).all()
    push(engine, *[(100.0, 1)] * 2)
    assert engine.bars("X", "2t")["ts"].is_sorted()
    assert engine.snapshot("X").closed_bar("2t").complete


def test_bars_that_share_a_label_are_revised_one_by_one() -> None:
    engine = engine_of("1t")
    for offset in (0, 1, 1, 1, 2):
        engine.push_trade("X", T0 + offset * NS, 100.0 + offset, 1)
    engine.mark_gap(T0 + 1 * NS + 1, T0 + 2 * NS)
    assert rows(engine, "1t", "close", "complete") == [
        (100.0, True),
        (101.0, True),
        (101.0, True),
        (101.0, True),
        (102.0, False),
    ]


def test_history_is_of_time_bars_alone() -> None:
    engine = engine_of("1m", "2t")
    push(engine, (100.0, 1), (101.0, 1), (102.0, 1))
    before = engine.bars("X", "2t", partial=True)
    table = pl.DataFrame(
        {"ts": [T0 - 120 * NS], "open": [1.0], "high": [1.0], "low": [1.0], "close": [1.0], "volume": [1.0]}
    )
    with pytest.raises(tw.ConfigError, match="length of time"):
        engine.push_bars("X", "2t", table)
    with pytest.raises(tw.ConfigError, match="length of time"):
        engine.bar_span("X", "2t", T0)
    assert engine.parents("X") == [("1m", None)]
    assert engine.push_bars("X", "1m", table)["inserted"] == 1
    assert engine.bars("X", "2t", partial=True).equals(before)


def test_joined_with_time_bars_shows_nothing_from_the_future() -> None:
    engine = engine_of("1s", "2t")
    for offset in (0, 500_000_000, NS, NS + 1, 2 * NS, 3 * NS):
        engine.push_trade("X", T0 + offset, 100.0 + offset / NS, 1)
    # The bars of two end at 0.5 s, just after 1 s, and at 3 s; those of a second at 1, 2 and 3 s.
    seconds = engine.joined("X", ["1s", "2t"])
    assert seconds["ts_end_2t"].dt.epoch("ns").to_list() == [T0 + NS // 2, T0 + NS + 1, T0 + NS + 1]
    counts = engine.joined("X", ["2t", "1s"])
    ends = [None if ts is None else (ts - T0) // NS + 1 for ts in counts["ts_1s"].dt.epoch("ns")]
    assert ends == [None, 1, 3]


def test_the_newest_bars_are_retained() -> None:
    engine = engine_of("1t", "10t", retain={"1t": 100})
    push(engine, *[(100.0 + index % 7, 1) for index in range(2_000)])
    assert 100 <= engine.bars("X", "1t").height <= 700
    newest = engine.bars("X", "1t", last=50)
    assert newest["ts_end"].dt.epoch("ns")[-1] == T0 + 1_999 * NS
    assert newest["ts"].equals(newest["ts_end"].rename("ts"))
    assert engine.bars("X", "10t").height == 200


def test_bars_come_to_subscribers_with_the_tick_that_closes_them() -> None:
    engine = engine_of("1s", "1t", "2t")
    with engine.subscribe(bars=["1s", "1t", "2t"], trades=True) as news:
        push(engine, (100.0, 1), (101.0, 1))
        kinds = [getattr(item, "timeframe", "trade") for item in news.poll()]
    assert kinds == ["1t", "trade", "1s", "1t", "2t", "trade"]


CHICAGO_OPENS = [1_700_002_800 * NS, 1_700_089_200 * NS, 1_700_175_600 * NS]
"""17:00 in Chicago on Tuesday to Thursday, 14 to 16 November 2023: CME's trading days begin."""


def days(*timeframes: str, batch: bool, restart: str = "session") -> tw.Engine:
    """Five trades before each open and six after it; prices rise by one tick."""
    instrument = tw.Instrument(
        "X",
        tick_size=0.25,
        session=tw.CME,
        restart=restart,  # type: ignore[arg-type]
        rules=UNGUARDED,
    )
    engine = tw.Engine(instrument, timeframes)
    # The first tick of a stream is not believed alone; nor does anything begin anew before it.
    engine.push_trade("X", CHICAGO_OPENS[0] - 7_200 * NS, 90.0, 0, ts_recv=CHICAGO_OPENS[0])
    ticks = [
        (start + index * NS, 100.0 + 0.25 * index, 3.0) for start in CHICAGO_OPENS for index in range(-5, 6)
    ]
    if batch:
        times, prices, sizes = map(list, zip(*ticks, strict=True))
        engine.push_trades("X", ts_event=times, price=prices, size=sizes, ts_recv=times)
    else:
        for ts, price, size in ticks:
            assert engine.push_trade("X", ts, price, size, ts_recv=ts)
    return engine


@pytest.mark.parametrize("batch", [False, True])
def test_bars_begin_anew_with_a_trading_day(batch: bool) -> None:
    timeframes = ("4t", "10v", "1500n", "8r", "5renko")
    engine, other = days(*timeframes, batch=batch), days(*timeframes, batch=batch, restart="never")
    for timeframe in timeframes[:-1]:
        frame = engine.bars("X", timeframe, partial=True)
        starts = set(frame["ts"].dt.epoch("ns"))
        assert set(CHICAGO_OPENS) <= starts, timeframe
        spans = zip(frame["ts"].dt.epoch("ns"), frame["ts_end"].dt.epoch("ns"), strict=True)
        assert not any(ts < opening <= end for ts, end in spans for opening in CHICAGO_OPENS), timeframe
        assert not set(CHICAGO_OPENS) <= set(other.bars("X", timeframe, partial=True)["ts"].dt.epoch("ns"))
        assert frame["trades"].sum() == 34
        assert frame["volume"].sum() == 99.0
    assert rows(engine, "4t", "trades", partial=True) == [
        (4,),
        (2,),
        (4,),
        (4,),
        (3,),
        (4,),
        (4,),
        (3,),
        (4,),
        (2,),
    ]
    assert engine.bars("X", "5renko").equals(other.bars("X", "5renko")), "bricks are laid by prices alone"


def test_blocks_begin_anew_as_single_trades_do() -> None:
    """Enough trades for the path that takes many at once, over an open."""
    instrument = tw.Instrument("X", tick_size=0.25, session=tw.CME, restart="session", rules=UNGUARDED)
    timeframes = ("7t", "50v", "900n", "3r", "2renko")
    single, batched = tw.Engine(instrument, timeframes), tw.Engine(instrument, timeframes)
    times = [CHICAGO_OPENS[1] + (index - 700) * NS // 3 for index in range(1_500)]
    prices = [100.0 + (index * index // 7 % 19) / 4 for index in range(1_500)]
    sizes = [float(index % 5) for index in range(1_500)]
    for tick in zip(times, prices, sizes, strict=True):
        single.push_trade("X", *tick)
    batched.push_trades("X", ts_event=times, price=prices, size=sizes)
    for timeframe in timeframes:
        assert single.bars("X", timeframe, partial=True).equals(batched.bars("X", timeframe, partial=True))
    for timeframe in timeframes[:-1]:
        assert CHICAGO_OPENS[1] in set(single.bars("X", timeframe)["ts"].dt.epoch("ns"))


def test_who_begins_anew_needs_a_session() -> None:
    with pytest.raises(tw.ConfigError, match=r"restart: got \"session\" for 'X', which has none"):
        engine_of("4t", restart="session")
    with pytest.raises(tw.ConfigError, match="restart: got 'daily', expected one of 'never', 'session'"):
        tw.Instrument("X", tick_size=1, restart="daily")  # type: ignore[arg-type]
