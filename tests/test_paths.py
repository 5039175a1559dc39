"""All paths, one state: the same dirty ticks by single calls, by NumPy columns, by tables and by hub
payloads in JSON and MessagePack give equal counters, rings and bars.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import math
import random
from collections.abc import Callable
from dataclasses import dataclass

import polars as pl
import pytest

import tickwire as tw
from packed import as_message
from states import differences, state

S = 1_000_000_000
T0 = 1_700_000_040 * S
SYMBOLS = ["CON.F.US.EP.Z25", "CON.F.US.MNQ.U26"]
UNKNOWN = "CON.F.US.GCE.Z25"
NO_TIME = -(2**63)
"""How a column of integers says that a time is absent."""


@dataclass(frozen=True)
class Dirty:
    """A trade, or with `ask` a quote. Prices stand in quarters, so that text and number agree."""

    symbol: str
    ts: int | None
    price: float
    size: float = 1.0
    side: int = 0
    recv: int | None = None
    ask: float | None = None
    ask_size: float = 2.0
    last: float = 100.0


def stream(seed: int) -> list[Dirty]:
    """Mostly ordinary ticks of two instruments, and every kind of trouble between them."""
    rng = random.Random(seed)
    ticks: list[Dirty] = []
    now, poisoned = T0, set()
    prices = dict.fromkeys([*SYMBOLS, UNKNOWN], 100.0)
    for _ in range(300):
        now += rng.choice([0, 0, 1_000, 300_000_000, 900_000_000])
        symbol = rng.choice([*SYMBOLS * 6, UNKNOWN])
        prices[symbol] += rng.choice([-0.25, 0.0, 0.25])
        price = prices[symbol]
        recv = rng.choice([None, now + 3_000_000])
        if rng.random() < 0.4:
            tick = Dirty(symbol, now, price, 3.0, 0, recv, ask=price + 0.25)
        else:
            tick = Dirty(symbol, now, price, float(rng.randrange(5)), rng.choice([-1, 0, 1]), recv)
        # One stamp from the far future at most: a second would be believed, and all after it late.
        trouble = rng.randrange(60) if symbol != UNKNOWN else None
        if trouble == 9 and symbol in poisoned:
            trouble = None
        change = {
            0: {"price": math.nan if tick.ask is None else math.inf},
            1: {"price": price * 3},
            2: {"ts": now + 60 * S, "recv": now},
            3: {"ts": now - 30 * S},
            4: {"ts": None},
            5: {"price": -price},
            6: {"price": 0.0},
            7: {"size": -1.0},
            8: {"price": price + 0.1},
            9: {"ts": now + 7_200 * S, "recv": None},
            10: {"ask": price - 1.0} if tick.ask is not None else {},
        }.get(trouble, {})
        poisoned |= {symbol} if trouble == 9 else set()
        ticks.append(dataclasses.replace(tick, **change))
        if trouble == 11:
            ticks.append(ticks[-1])
    return ticks


def engine_of() -> tw.Engine:
    instruments = [
        tw.Instrument(SYMBOLS[0], tick_size=0.25, source=("trade", "bid", "mid", "last")),
        tw.Instrument(SYMBOLS[1], tick_size=0.25, lateness="2s", rules=tw.Rules(grid="reject", band_agree=2)),
    ]
    return tw.Engine(instruments, ["1s", "7s", "1m", "5t", "3r", "2renko"])


def engine_of_sizes() -> tw.Engine:
    """Bars that are filled by sizes, and so are made of trades alone."""
    instruments = [
        tw.Instrument(SYMBOLS[0], tick_size=0.25, split="split"),
        tw.Instrument(SYMBOLS[1], tick_size=0.25),
    ]
    return tw.Engine(instruments, ["1s", "5v", "0.7v", "900n"])


def runs(ticks: list[Dirty], key: Callable[[Dirty], object]) -> list[list[Dirty]]:
    return [list(run) for _, run in itertools.groupby(ticks, key)]


def by_calls(engine: tw.Engine, ticks: list[Dirty]) -> None:
    for tick in ticks:
        if tick.ask is None:
            engine.push_trade(tick.symbol, tick.ts, tick.price, tick.size, tick.side, tick.recv)
        else:
            engine.push_quote(
                tick.symbol,
                tick.ts,
                tick.price,
                tick.ask,
                tick.size,
                tick.ask_size,
                tick.recv,
                last=tick.last,
            )


def times(values: list[int | None]) -> list[int]:
    return [NO_TIME if value is None else value for value in values]


def by_columns(engine: tw.Engine, ticks: list[Dirty]) -> None:
    for run in runs(ticks, lambda tick: (tick.symbol, tick.ask is None)):
        common = {"ts_event": times([tick.ts for tick in run]), "ts_recv": times([tick.recv for tick in run])}
        prices, sizes = [tick.price for tick in run], [tick.size for tick in run]
        if run[0].ask is None:
            side = [tick.side for tick in run]
            engine.push_trades(run[0].symbol, price=prices, size=sizes, side=side, **common)
        else:
            engine.push_quotes(
                run[0].symbol,
                bid=prices,
                bid_size=sizes,
                ask=[tick.ask for tick in run],
                ask_size=[tick.ask_size for tick in run],
                last=[tick.last for tick in run],
                **common,
            )


def by_tables(engine: tw.Engine, ticks: list[Dirty]) -> None:
    for run in runs(ticks, lambda tick: tick.ask is None):
        columns = {
            "symbol": [tick.symbol for tick in run],
            "ts_event": pl.Series([tick.ts for tick in run], dtype=pl.Int64),
            "ts_recv": pl.Series([tick.recv for tick in run], dtype=pl.Int64).cast(pl.Datetime("ns", "UTC")),
        }
        prices, sizes = [tick.price for tick in run], [tick.size for tick in run]
        if run[0].ask is None:
            columns |= {"price": prices, "size": sizes, "side": [tick.side for tick in run]}
        else:
            columns |= {"bid": prices, "ask": [tick.ask for tick in run], "bid_size": sizes}
            columns |= {name: [getattr(tick, name) for tick in run] for name in ("ask_size", "last")}
        engine.push_table(pl.DataFrame(columns))


def number(value: float) -> str:
    # JSON has no number for what is not finite. What feeds write instead is not a number.
    return repr(value) if math.isfinite(value) else '"NaN"'


def timestamp(ts: int | None) -> str:
    if ts is None:
        return '"no time at all"'
    second = dt.datetime.fromtimestamp(ts // S, dt.timezone.utc)
    return f'"{second:%Y-%m-%dT%H:%M:%S}.{ts % S:09d}+00:00"'


def record(tick: Dirty) -> str:
    if tick.ask is None:
        target, kind = "GatewayTrade", {1: 0, -1: 1, 0: 2}[tick.side]
        data = (
            f'{{"symbolId":"F.US","price":{number(tick.price)},"timestamp":{timestamp(tick.ts)},'
            f'"type":{kind},"volume":{number(tick.size)}}}'
        )
    else:
        target = "GatewayQuote"
        data = (
            f'{{"lastPrice":{number(tick.last)},"bestBid":{number(tick.price)},"bestBidSize":{number(tick.size)},'
            f'"bestAsk":{number(tick.ask)},"bestAskSize":{number(tick.ask_size)},"timestamp":{timestamp(tick.ts)}}}'
        )
    return f'{{"type":1,"target":"{target}","arguments":["{tick.symbol}",{data}]}}\x1e'


def by_payloads(engine: tw.Engine, ticks: list[Dirty]) -> None:
    for run in runs(ticks, lambda tick: tick.recv):
        engine.push_bytes("".join(map(record, run)), ts_recv=run[0].recv)


def by_arrays_of_trades(engine: tw.Engine, ticks: list[Dirty]) -> None:
    """As the gateway sends bursts: one message with all trades of a contract."""
    for run in runs(ticks, lambda tick: (tick.recv, tick.symbol, tick.ask is None)):
        text = "".join(map(record, run))
        if run[0].ask is None:
            elements = ",".join(record(tick).split(",", 3)[3][:-3] for tick in run)
            text = f'{{"type":1,"target":"GatewayTrade","arguments":["{run[0].symbol}",[{elements}]]}}\x1e'
        engine.push_bytes(text.encode(), ts_recv=run[0].recv)


def by_messages(engine: tw.Engine, ticks: list[Dirty]) -> None:
    feed = engine.feed("packed", protocol="messagepack")
    for run in runs(ticks, lambda tick: tick.recv):
        messages = [as_message(record(tick).removesuffix("\x1e").encode()) for tick in run]
        feed.push_bytes(b"".join(messages), ts_recv=run[0].recv)


PATHS = [by_columns, by_tables, by_payloads, by_arrays_of_trades, by_messages]


def in_words_of_columns(value: object) -> object:
    """What cannot be written as a JSON number is malformed on the wire, and not finite elsewhere."""
    if not isinstance(value, dict):
        return value
    return {{"malformed": "not_finite"}.get(key, key): in_words_of_columns(one) for key, one in value.items()}


@pytest.mark.parametrize("make", [engine_of, engine_of_sizes])
@pytest.mark.parametrize("seed", range(8))
def test_all_paths_one_state(seed: int, make: Callable[[], tw.Engine]) -> None:
    ticks = stream(seed)
    single = make()
    by_calls(single, ticks)
    expected = state(single)
    assert expected["all"]["received"] == len(ticks)
    for path in PATHS:
        other = make()
        path(other, ticks)
        assert differences(in_words_of_columns(state(other)), expected) == [], path.__name__


def test_the_streams_have_every_kind_of_trouble() -> None:
    rejections, flags = set(), set()
    for seed in range(8):
        engine = engine_of()
        by_calls(engine, stream(seed))
        stats = engine.stats()
        assert stats["accepted"] > 180, "most ticks must be good"
        rejections |= stats["rejections"].keys()
        flags |= stats["flags"].keys()
    reasons = "unknown_instrument no_event_time not_finite not_positive size grid skew late band"
    assert rejections == set(reasons.split())
    assert flags == {"grid", "crossed"}


def test_a_receipt_tells_what_came_of_a_call() -> None:
    ticks = stream(1)
    engine, counted = engine_of(), engine_of()
    by_calls(counted, ticks)
    receipts = [engine.push_bytes(record(tick), ts_recv=tick.recv) for tick in ticks]
    stats = counted.stats()
    for name in ("received", "accepted", "rejected"):
        assert sum(getattr(receipt, name) for receipt in receipts) == stats[name]
    assert all(receipt.control == () for receipt in receipts)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, str])
def test_payloads_of_any_type(kind: type) -> None:
    ticks = stream(2)[:50]
    text = "".join(map(record, ticks))
    engine, other = engine_of(), engine_of()
    engine.push_bytes(text)
    other.push_bytes(text if kind is str else kind(text.encode()))
    assert differences(state(other), state(engine)) == []
