"""Rules of a running engine: changed between ticks, and the ticks that broke one."""

from __future__ import annotations

import threading

import polars as pl
import pytest

import tickwire as tw

S = 1_000_000_000
T0 = 1_700_000_040 * S


def engine_of(rules: tw.Rules, *symbols: str) -> tw.Engine:
    return tw.Engine(
        [tw.Instrument(symbol, tick_size=0.25, rules=rules) for symbol in symbols or ("X",)], ["1s"]
    )


def test_rejected_ticks_of_every_kind() -> None:
    engine = engine_of(tw.Rules(grid="reject"), "X", "Y")
    engine.push_trade("Y", T0, 100.1, 2.0, -1, T0 + 5)
    engine.push_quote("X", T0, 100.1, 100.25, 3.0)
    engine.push_trade("X", None, 100.0, 1.0)
    engine.push_trade("Z", T0, 100.0, 1.0)
    frame = engine.rejected_ticks()
    assert frame.columns == [
        "symbol", "kind", "reason", "ts_event", "ts_recv", "price", "size", "side",
        "bid", "ask", "bid_size", "ask_size", "last",
    ]  # fmt: skip
    assert frame.schema["ts_event"] == pl.Datetime("ns", "UTC")
    rows = frame.with_columns(pl.col("ts_event", "ts_recv").dt.epoch("ns")).rows()
    assert rows == [
        ("X", "quote", "grid", T0, None, None, None, None, 100.1, 100.25, 3.0, None, None),
        ("X", "trade", "no_event_time", None, None, 100.0, 1.0, 0, None, None, None, None, None),
        ("Y", "trade", "grid", T0, T0 + 5, 100.1, 2.0, -1, None, None, None, None, None),
    ]
    assert engine.rejected_ticks("X", last=1).rows() == frame.rows()[1:2]
    assert engine.rejections() == {"grid": 2, "no_event_time": 1, "unknown_instrument": 1}
    assert engine.flagged_ticks().height == 0


def test_depth_that_was_rejected() -> None:
    engine = engine_of(tw.Rules(grid="reject"))
    data = (
        '{"type":1,"target":"GatewayDepth","arguments":["X",[{"timestamp":"2023-11-14T22:14:00Z","type":3,'
        '"price":100.1,"volume":2,"currentVolume":2}]]}\x1e'
    )
    assert engine.push_bytes(data).rejected == 1
    (row,) = engine.rejected_ticks().rows(named=True)
    assert (row["kind"], row["reason"], row["price"], row["size"]) == ("depth", "grid", 100.1, 2.0)


def test_only_the_newest_are_kept() -> None:
    engine = engine_of(tw.Rules())
    for row in range(300):
        engine.push_trade("X", T0 + row, 100.1, 1.0)
        engine.push_trade("X", T0 + row, 100.0, -1.0 - row)
    assert engine.flagged_ticks()["reason"].to_list() == ["grid"] * 256
    assert engine.rejected_ticks()["size"].to_list() == [-1.0 - row for row in range(44, 300)]


def test_rules_are_changed_between_ticks() -> None:
    engine = engine_of(tw.Rules(grid="reject"))
    assert not engine.push_trade("X", T0, 100.1, 1.0)
    lax = tw.Rules(grid="off")
    engine.set_rules("X", lax)
    assert engine.instrument("X").rules == lax
    assert engine.push_trade("X", T0, 100.1, 1.0)
    # What was learned of the market stays.
    assert not engine.push_trade("X", T0, 300.0, 1.0)
    assert engine.stats()["rejections"] == {"grid": 1, "band": 1}
    with pytest.raises(tw.ConfigError, match=r"rules: got 'off', expected a tickwire\.Rules"):
        engine.set_rules("X", "off")  # type: ignore[arg-type]
    with pytest.raises(tw.UnknownInstrument):
        engine.set_rules("Y", lax)
    assert engine.instrument("X").rules == lax


def test_a_batch_is_judged_by_one_set_of_rules() -> None:
    """Rules that change all the while: each call's trades are all rejected or all accepted."""
    strict, lax = tw.Rules(grid="reject", band="off"), tw.Rules(grid="off", band="off")
    engine = engine_of(strict)
    done = threading.Event()

    def change() -> None:
        while not done.is_set():
            for rules in (lax, strict):
                engine.set_rules("X", rules)

    thread = threading.Thread(target=change)
    thread.start()
    seen = set()
    for _ in range(400):
        receipt = engine.push_trades("X", ts_event=[T0] * 200, price=[100.1] * 200, size=[1.0] * 200)
        seen.add((receipt.accepted, receipt.rejected))
    done.set()
    thread.join()
    assert seen <= {(200, 0), (0, 200)}
    assert engine.stats()["received"] == 80_000


def test_a_spike_is_told_afterwards() -> None:
    engine = engine_of(tw.Rules(spike="flag", spike_ticks=2))
    for row in range(60):
        engine.push_trade("X", T0 + row, 100.0 + 0.25 * (row % 2), 1.0)
    engine.push_trade("X", T0 + 60, 108.0, 1.0)
    assert engine.stats()["flags"] == {}
    engine.push_trade("X", T0 + 61, 100.0, 1.0)
    assert engine.stats()["flags"] == {"spike": 1}
    (row,) = engine.flagged_ticks().rows(named=True)
    assert (row["reason"], row["price"]) == ("spike", 108.0)
    # It has been applied, and stays so.
    assert engine.bars("X", "1s", partial=True)["high"].to_list() == [108.0]


def test_a_halt_and_a_fall_through_zero_lock_nobody_out() -> None:
    """Crude oil as in April 2020: a gap over a halt, then prices that fall through zero."""
    rules = tw.Rules.of("futures", tick_size=0.01)
    engine = tw.Engine(tw.Instrument("X", tick_size=0.01, rules=rules), ["1s"])
    accepted = []
    prices = [
        18.0,
        17.5,
        11.0,
        10.9,
        10.95,
        10.5,
        1.0,
        0.5,
        0.0,
        -0.5,
        -1.5,
        -9.0,
        -9.5,
        -9.2,
        -37.6,
        -37.7,
        -37.63,
    ]
    for row, price in enumerate(prices):
        accepted.append(engine.push_trade("X", T0 + row, price, 1.0))
    told = dict(zip(prices, accepted, strict=True))
    assert [price for price, taken in told.items() if not taken] == [
        11.0,
        10.9,
        1.0,
        0.5,
        -9.0,
        -9.5,
        -37.6,
        -37.7,
    ]
    assert engine.last("X").price == -37.63


# Rules.of


@pytest.mark.parametrize("asset_class", ["futures", "equity", "fx", "crypto"])
def test_an_asset_class_brings_rules(asset_class: str) -> None:
    rules = tw.Rules.of(asset_class, tick_size=0.25)  # type: ignore[arg-type]
    assert rules.band == "reject"
    assert rules.spike == "flag"
    assert rules.duplicate == "off"
    assert rules.allow_negative == (asset_class == "futures")
    engine = engine_of(rules)
    assert engine.push_trade("X", T0, 0.25, 1.0)
    assert engine.push_trade("X", T0, -0.25, 1.0) == (asset_class == "futures")
    assert engine.push_trade("X", T0, 0.2, 1.0) == (asset_class == "futures")


def test_changes_of_an_asset_class() -> None:
    rules = tw.Rules.of("equity", tick_size=0.01, zero_size="off", price_low=5.0)
    assert (rules.zero_size, rules.price_low, rules.grid) == ("off", 5.0, "off")
    with pytest.raises(tw.ConfigError, match="asset_class: got 'stock', expected one of 'futures', 'equity'"):
        tw.Rules.of("stock", tick_size=0.01)  # type: ignore[arg-type]
    with pytest.raises(tw.ConfigError, match="bands: no rule of this name, expected one of allow_negative"):
        tw.Rules.of("fx", tick_size=0.01, bands="off")
    with pytest.raises(tw.ConfigError, match="tick_size: got 0, expected a finite number above zero"):
        tw.Rules.of("fx", tick_size=0)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"spike": "reject"}, 'spike: got "reject", but a spike is known only when'),
        ({"price_low": float("nan")}, "price_low: got nan, expected a finite"),
        ({"price_low": 2.0, "price_high": 2.0}, r"price_high: got 2.0, expected more than price_low \(2.0\)"),
        ({"spike_ticks": 0}, "spike_ticks: got 0, expected a whole number from 1 to 1000"),
        ({"outsize_times": -1}, "outsize_times: got -1, expected a finite number above zero"),
        ({"stale_limit": "soon"}, "stale_limit: got 'soon', expected a duration"),
        ({"locked": "no"}, "locked: got 'no', expected one of 'reject', 'flag', 'off'"),
    ],
)
def test_rules_that_cannot_be(wrong: dict, sentence: str) -> None:
    with pytest.raises(tw.ConfigError, match=sentence):
        tw.Rules(**wrong)
