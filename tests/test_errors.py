"""Bad arguments: the documented error, naming the argument, what was got and what was expected; and
nothing has changed.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

import tickwire as tw
from states import differences, state
from tickwire import errors

S = 1_000_000_000
NAIVE = dt.datetime(2024, 1, 1)  # noqa: DTZ001 - what is meant to be refused
T0 = 1_700_000_040 * S
GOOD = {"ts_event": [T0 + 60 * S], "price": [10.0], "size": [1.0]}
GOOD_QUOTES = {"ts_event": [T0 + 60 * S], "bid": [10.0], "ask": [10.25]}
TRADES = {"symbol": ["X"], **GOOD}
QUOTES = {"symbol": ["X"], **GOOD_QUOTES}


@pytest.fixture
def engine() -> tw.Engine:
    engine = tw.Engine(
        [tw.Instrument("X", tick_size=0.25, source=("trade", "bid")), tw.Instrument("Y", tick_size=0.25)],
        ["1s", "1m"],
    )
    for second in range(3):
        engine.push_trade("X", T0 + second * S, 10.0, 1.0)
        engine.push_quote("X", T0 + second * S, 9.75, 10.0)
    return engine


def instrument(**changes: Any) -> tw.Instrument:
    return tw.Instrument(**{"symbol": "X", "tick_size": 0.25} | changes)


def refused(error: type[Exception], named: str, got: str, call: Callable[[], object]) -> None:
    with pytest.raises(error) as caught:
        call()
    # For a value of the wrong type Python's own error carries the argument's name in a note.
    message = "; ".join([str(caught.value), *getattr(caught.value, "__notes__", [])])
    assert named in message, message
    assert got in message, message
    if issubclass(error, tw.TickwireError):
        assert "got" in message or "has" in message, message
        assert any(word in message for word in ("expected", "give", "leave it out", "do not fit")), message


# The tree


def test_everything_raised_on_purpose_is_a_tickwire_error() -> None:
    public = {name: getattr(errors, name) for name in errors.__all__}
    assert all(issubclass(error, tw.TickwireError) for error in public.values())
    assert all(getattr(tw, name) is error for name, error in public.items())
    assert issubclass(tw.ConfigError, ValueError)
    assert issubclass(tw.DataError, ValueError)
    assert issubclass(tw.UnknownInstrument, KeyError)
    assert issubclass(tw.ConnectTimeout, TimeoutError)
    assert issubclass(tw.ConnectionFailed, ConnectionError)


def test_an_unknown_instrument_reads_as_a_sentence(engine: tw.Engine) -> None:
    with pytest.raises(KeyError) as caught:
        engine.bars("Z", "1m")
    assert str(caught.value) == 'symbol: got "Z", expected one of the engine\'s instruments: X, Y'


# Settings


@pytest.mark.parametrize(
    ("changes", "named", "got"),
    [
        ({"symbol": ""}, "symbol", "''"),
        ({"symbol": 5}, "symbol", "5"),
        ({"symbol": "X\n"}, "symbol", "'X\\n'"),
        ({"tick_size": 0.0}, "tick_size", "0.0"),
        ({"tick_size": -0.25}, "tick_size", "-0.25"),
        ({"tick_size": math.nan}, "tick_size", "nan"),
        ({"tick_size": math.inf}, "tick_size", "inf"),
        ({"tick_size": "0.25"}, "tick_size", "'0.25'"),
        ({"tick_size": True}, "tick_size", "True"),
        ({"source": "trades"}, "source", "'trades'"),
        ({"source": ("bid", "offer")}, "source", "'offer'"),
        ({"source": ()}, "source", "no source"),
        ({"source": 5}, "source", "5"),
        ({"lateness": "soon"}, "lateness", "'soon'"),
        ({"lateness": "5"}, "lateness", "'5'"),
        ({"lateness": "-1s"}, "lateness", "'-1s'"),
        ({"lateness": 5}, "lateness", "5"),
        ({"lateness": "99999999999h"}, "lateness", "'99999999999h'"),
        ({"stamp": "recv"}, "stamp", "'recv'"),
        ({"rules": {"grid": "off"}}, "rules", "{'grid': 'off'}"),
    ],
)
def test_instruments(changes: dict[str, Any], named: str, got: str) -> None:
    refused(tw.ConfigError, named, got, lambda: instrument(**changes))


@pytest.mark.parametrize(
    ("changes", "got"),
    [
        ({"grid": "ignore"}, "'ignore'"),
        ({"band": None}, "None"),
        ({"size": True}, "True"),
        ({"skew": "Reject"}, "'Reject'"),
        ({"crossed": ""}, "''"),
        ({"allow_negative": "no"}, "'no'"),
        ({"band_width": 0}, "0"),
        ({"band_width": math.nan}, "nan"),
        ({"band_ticks": -1.0}, "-1.0"),
        ({"band_agree": 0}, "0"),
        ({"band_agree": 2.5}, "2.5"),
        ({"band_agree": 1 << 40}, str(1 << 40)),
        ({"band_age": "1 minute"}, "'1 minute'"),
        ({"skew_limit": dt.timedelta(seconds=-1)}, "timedelta"),
    ],
)
def test_rules(changes: dict[str, Any], got: str) -> None:
    refused(tw.ConfigError, next(iter(changes)), got, lambda: tw.Rules(**changes))


@pytest.mark.parametrize(
    ("arguments", "named", "got"),
    [
        ({"instruments": []}, "instruments", "none"),
        ({"instruments": ["X"]}, "instruments", "'X'"),
        ({"instruments": "X"}, "instruments", "'X'"),
        ({"instruments": None}, "instruments", "None"),
        ({"instruments": [instrument(), instrument()]}, "instruments", "'X' twice"),
        ({"timeframes": "1m"}, "timeframes", "'1m'"),
        ({"timeframes": 60}, "timeframes", "60"),
        ({"timeframes": [60]}, "timeframes", "60"),
        ({"timeframes": ["1m", "1min"]}, "timeframe", '"1min"'),
        ({"timeframes": ["0m"]}, "timeframe", '"0m"'),
        ({"timeframes": ["01m"]}, "timeframe", '"01m"'),
        ({"timeframes": ["1M"]}, "timeframe", '"1M"'),
        ({"timeframes": ["m"]}, "timeframe", '"m"'),
        ({"timeframes": [""]}, "timeframe", '""'),
        ({"timeframes": ["100001s"]}, "timeframe", '"100001s"'),
        ({"timeframes": ["-1s"]}, "timeframe", '"-1s"'),
        ({"capacity": 0}, "capacity", "0"),
        ({"capacity": 1 << 40}, "capacity", str(1 << 40)),
        ({"capacity": 1e6}, "capacity", "1000000.0"),
        ({"capacity": True}, "capacity", "True"),
        ({"retain": 0}, "retain", "0"),
        ({"retain": "30d"}, "retain", "'30d'"),
        ({"retain": {"1m": -1}}, "retain['1m']", "-1"),
        ({"retain": {"5m": 10}}, "retain", "'5m'"),
        ({"source": "offer"}, "source", "'offer'"),
        ({"lateness": "long"}, "lateness", "'long'"),
    ],
)
def test_engines(arguments: dict[str, Any], named: str, got: str) -> None:
    given = {"instruments": instrument(), "timeframes": ["1s", "1m"]} | arguments
    refused(tw.ConfigError, named, got, lambda: tw.Engine(**given))


# Calls on an engine


Call = Callable[[tw.Engine], object]


def table(base: dict[str, Any], **changes: Any) -> pl.DataFrame:
    return pl.DataFrame(base | changes, strict=False)


CALLS: list[tuple[type[Exception], str, str, Call]] = [
    # Scalar writers: a value of another type is Python's own error, which names the argument.
    (TypeError, "ts_event", "str", lambda engine: engine.push_trade("X", "now", 10.0, 1.0)),
    (TypeError, "price", "None", lambda engine: engine.push_trade("X", T0, None, 1.0)),
    (TypeError, "size", "str", lambda engine: engine.push_trade("X", T0, 10.0, "1")),
    (TypeError, "symbol", "int", lambda engine: engine.push_trade(5, T0, 10.0, 1.0)),
    (TypeError, "bid", "list", lambda engine: engine.push_quote("X", T0, [], 1.0)),
    (tw.DataError, "side", "2", lambda engine: engine.push_trade("X", T0 + 60 * S, 10.0, 1.0, 2)),
    # Columns.
    (tw.DataError, "price", "2 rows", lambda engine: engine.push_trades("X", **GOOD | {"price": [1.0, 2.0]})),
    (tw.DataError, "size", "<U1", lambda engine: engine.push_trades("X", **GOOD | {"size": ["1"]})),
    (
        tw.DataError,
        "ts_event",
        "float64",
        lambda engine: engine.push_trades("X", **GOOD | {"ts_event": [1.5]}),
    ),
    (
        tw.DataError,
        "ts_event",
        "object",
        lambda engine: engine.push_trades("X", **GOOD | {"ts_event": [None]}),
    ),
    (
        tw.DataError,
        "ts_event",
        str(1 << 63),
        lambda engine: engine.push_trades("X", **GOOD | {"ts_event": [1 << 63]}),
    ),
    (tw.DataError, "price", "2 dim", lambda engine: engine.push_trades("X", **GOOD | {"price": [[1.0]]})),
    (tw.DataError, "price", "complex", lambda engine: engine.push_trades("X", **GOOD | {"price": [1j]})),
    (tw.DataError, "side", "257", lambda engine: engine.push_trades("X", **GOOD, side=[257])),
    (tw.DataError, "side", "255", lambda engine: engine.push_trades("X", **GOOD, side=np.uint8([255]))),
    (tw.DataError, "side", "<U3", lambda engine: engine.push_trades("X", **GOOD, side=["buy"])),
    (tw.DataError, "ts_recv", "0 rows", lambda engine: engine.push_trades("X", **GOOD, ts_recv=[])),
    (TypeError, "symbols", "int", lambda engine: engine.push_trades(5, **GOOD)),
    (tw.DataError, "ask", "0 rows", lambda engine: engine.push_quotes("X", **GOOD_QUOTES | {"ask": []})),
    (tw.DataError, "last", "bool", lambda engine: engine.push_quotes("X", **GOOD_QUOTES, last=[True])),
    # Tables.
    (tw.DataError, "table", "list", lambda engine: engine.push_table([1, 2])),
    (tw.DataError, "'size'", "missing", lambda engine: engine.push_table(table(TRADES).drop("size"))),
    (tw.DataError, "'bid'", "missing", lambda engine: engine.push_table(table(QUOTES).drop("bid"))),
    (tw.DataError, "'symbol'", "1 null", lambda engine: engine.push_table(table(TRADES, symbol=[None]))),
    (tw.DataError, "'price'", "String", lambda engine: engine.push_table(table(TRADES, price=["10"]))),
    (tw.DataError, "'ts_event'", "Float64", lambda engine: engine.push_table(table(TRADES, ts_event=[1.5]))),
    (
        tw.DataError,
        "'ts_event'",
        "Date",
        lambda engine: engine.push_table(table(TRADES, ts_event=[dt.date(2024, 1, 1)])),
    ),
    (
        tw.DataError,
        "'ts_event'",
        str(1 << 63),
        lambda engine: engine.push_table(table(TRADES, ts_event=[1 << 63])),
    ),
    (tw.DataError, "'side'", "'B'", lambda engine: engine.push_table(table(TRADES, side=["B"]))),
    (tw.DataError, "'side'", "300", lambda engine: engine.push_table(table(TRADES, side=[300]))),
    (tw.DataError, "'side'", "Float64", lambda engine: engine.push_table(table(TRADES, side=[1.0]))),
    # Payloads.
    (TypeError, "data", "list", lambda engine: engine.push_bytes([1, 2])),
    (TypeError, "ts_recv", "str", lambda engine: engine.push_bytes(b"{}", ts_recv="now")),
    (tw.ConfigError, "max_record_bytes", "0", lambda engine: engine.feed("new", max_record_bytes=0)),
    # Time.
    (TypeError, "now_ns", "float", lambda engine: engine.advance(1.5)),
    (tw.ConfigError, "start_ns", "5", lambda engine: engine.mark_gap(5, 5)),
    (tw.UnknownInstrument, "symbol", "Z", lambda engine: engine.mark_gap(None, T0, symbols=["X", "Z"])),
    # Readers.
    (tw.UnknownInstrument, "symbol", "Z", lambda engine: engine.bars("Z", "1m")),
    (tw.UnknownInstrument, "symbol", "Z", lambda engine: engine.lazy("Z", "1m")),
    (tw.UnknownInstrument, "symbol", "Z", lambda engine: engine.joined("Z", ["1m"])),
    (tw.UnknownInstrument, "symbol", "Z", lambda engine: engine.trades("Z")),
    (tw.UnknownInstrument, "symbol", "Z", lambda engine: engine.quotes("Z")),
    (tw.UnknownInstrument, "symbol", "Z", lambda engine: engine.snapshot("Z")),
    (tw.UnknownInstrument, "symbol", "Z", lambda engine: engine.last("Z")),
    (tw.UnknownInstrument, "symbol", "Z", lambda engine: engine.book("Z")),
    (tw.UnknownInstrument, "symbol", "Z", lambda engine: engine.stats("Z")),
    (tw.UnknownInstrument, "symbol", "Z", lambda engine: engine.rejections("Z")),
    (tw.UnknownInstrument, "symbol", "Z", lambda engine: engine.instrument("Z")),
    (tw.ConfigError, "timeframe", "5m", lambda engine: engine.bars("X", "5m")),
    (tw.ConfigError, "timeframe", "1 minute", lambda engine: engine.bars("X", "1 minute")),
    (tw.ConfigError, "source", "ask", lambda engine: engine.bars("X", "1m", source="ask")),
    (tw.ConfigError, "source", "bid", lambda engine: engine.bars("Y", "1m", source="bid")),
    (tw.ConfigError, "source", "close", lambda engine: engine.bars("X", "1m", source="close")),
    (tw.ConfigError, "last", "0", lambda engine: engine.bars("X", "1m", last=0)),
    (tw.ConfigError, "last", "-1", lambda engine: engine.trades("X", last=-1)),
    (tw.ConfigError, "last", "2.0", lambda engine: engine.quotes("X", last=2.0)),
    (tw.ConfigError, "since", "2024", lambda engine: engine.bars("X", "1m", since="2024")),
    (
        tw.ConfigError,
        "since",
        "time zone",
        lambda engine: engine.bars("X", "1m", since=NAIVE),
    ),
    (tw.ConfigError, "since", str(1 << 70), lambda engine: engine.bars("X", "1m", since=1 << 70)),
    (
        tw.ConfigError,
        "since",
        "9999",
        lambda engine: engine.bars("X", "1m", since=dt.datetime.max.replace(tzinfo=dt.UTC)),
    ),
    (tw.ConfigError, "time_unit", "'s'", lambda engine: engine.bars("X", "1m", time_unit="s")),
    (tw.ConfigError, "tz", "'Mars'", lambda engine: engine.bars("X", "1m", tz="Mars")),
    (tw.ConfigError, "timeframes", "none", lambda engine: engine.joined("X", [])),
    (tw.ConfigError, "timeframes", "'1m'", lambda engine: engine.joined("X", "1m")),
    (tw.ConfigError, "timeframe", "5m", lambda engine: engine.joined("X", ["1m", "5m"])),
    # Snapshots.
    (tw.ConfigError, "timeframe", "5m", lambda engine: engine.snapshot("X").bars("5m")),
    (tw.ConfigError, "source", "ask", lambda engine: engine.snapshot("X").bars("1m", source="ask")),
    (tw.ConfigError, "timeframe", "5m", lambda engine: engine.snapshot("X").open_bars("5m")),
    (tw.ConfigError, "source", "offer", lambda engine: engine.snapshot("X").closed_bar("1m", source="offer")),
    (tw.ConfigError, "source", "offer", lambda engine: engine.snapshot("X").closing_time("offer")),
    # Subscriptions.
    (tw.ConfigError, "bars", "nothing", lambda engine: engine.subscribe()),
    (tw.ConfigError, "bars", "'1m'", lambda engine: engine.subscribe(bars="1m")),
    (tw.ConfigError, "bars", "5", lambda engine: engine.subscribe(bars=[5])),
    (tw.ConfigError, "timeframe", "5m", lambda engine: engine.subscribe(bars=["5m"])),
    (tw.ConfigError, "symbols", "'X'", lambda engine: engine.subscribe(trades=True, symbols="X")),
    (tw.UnknownInstrument, "symbol", "Z", lambda engine: engine.subscribe(trades=True, symbols=["Z"])),
    (tw.ConfigError, "source", "Y", lambda engine: engine.subscribe(bars=["1m"], source="bid")),
    (tw.ConfigError, "source", "offer", lambda engine: engine.subscribe(bars=["1m"], source="offer")),
    (tw.ConfigError, "overflow", "'drop'", lambda engine: engine.subscribe(trades=True, overflow="drop")),
    (tw.ConfigError, "capacity", "0", lambda engine: engine.subscribe(trades=True, capacity=0)),
    (tw.ConfigError, "capacity", "2.5", lambda engine: engine.subscribe(trades=True, capacity=2.5)),
    (
        tw.ConfigError,
        "capacity",
        str(1 << 50),
        lambda engine: engine.subscribe(bars=["1m"], capacity=1 << 50),
    ),
    (tw.ConfigError, "capacity", "65537", lambda engine: engine.subscribe(trades=True, capacity=65_537)),
    (tw.ConfigError, "timeout", "-1", lambda engine: engine.subscribe(trades=True).get(timeout=-1)),
    (tw.ConfigError, "timeout", "NaN", lambda engine: engine.subscribe(trades=True).get(timeout=math.nan)),
    (TypeError, "timeout", "str", lambda engine: engine.subscribe(trades=True).get(timeout="1s")),
]


@pytest.mark.parametrize(("error", "named", "got", "call"), CALLS)
def test_calls(engine: tw.Engine, error: type[Exception], named: str, got: str, call: Call) -> None:
    sub = engine.subscribe(bars=["1s"], trades=True, quotes=True, symbols=["X"])
    before = state(engine)
    refused(error, named, got, lambda: call(engine))
    assert differences(state(engine), before) == []
    assert sub.stats()["published"] == 0
    # And it still works.
    assert engine.push_trade("X", T0 + 5 * S, 10.0, 1.0)


def test_a_column_is_checked_before_any_row_is_applied(engine: tw.Engine) -> None:
    """The fault is in the last of many rows; none before it may have been applied."""
    before = state(engine)
    ts = np.full(1_000, T0 + 60 * S)
    side = np.zeros(1_000, dtype=np.int64)
    side[-1] = 2
    with pytest.raises(tw.DataError, match="side"):
        engine.push_trades("X", ts_event=ts, price=np.full(1_000, 10.0), size=np.ones(1_000), side=side)
    assert differences(state(engine), before) == []


def test_frozen() -> None:
    with pytest.raises(AttributeError):
        instrument().symbol = "Y"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        tw.Rules().grid = "off"  # type: ignore[misc]
