"""The market model: reproducible, on the grid, and as busy as it was told to be."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from tickwire import ConfigError, sim
from tickwire.sim.ticks import DEPTH, QUOTE, TRADE

FIELDS = ("kind", "symbol", "due_ns", "ts_ns", "price", "size", "side", "resting", "bid", "ask")
ALL = {"trade": 0.3, "quote": 0.4, "depth": 0.3}


def columns(market: sim.Market, ticks: int) -> dict[str, Any]:
    """The first ticks of a market as one array per field."""
    blocks: list[sim.Block] = []
    have = 0
    for block in market.blocks():
        blocks.append(block)
        have += len(block)
        if have >= ticks:
            break
    return {
        name: np.concatenate([getattr(block, name) for block in blocks])[:ticks]
        for name in FIELDS
        if getattr(blocks[0], name) is not None
    }


@pytest.mark.parametrize("rate", [50.0, 10_000.0, None])
def test_the_same_seed_makes_the_same_market(rate: float | None):
    def make(seed: int) -> dict[str, Any]:
        return columns(sim.Market(5, seed=seed, rate=rate, mix=ALL, start_ns=10**18), 5_000)

    first, again, other = make(3), make(3), make(4)
    for name in FIELDS:
        np.testing.assert_array_equal(first[name], again[name])
    assert (first["symbol"] != other["symbol"]).any()


def test_one_market_can_be_run_twice():
    market = sim.Market(3, seed=9)
    left, right = (next(iter(market.blocks())) for _ in range(2))
    np.testing.assert_array_equal(left.bid, right.bid)


@pytest.mark.parametrize("contract", sim.contracts(10), ids=lambda c: c.symbol)
def test_every_price_is_the_double_nearest_to_a_decimal_on_the_grid(contract: sim.Contract):
    made = columns(sim.Market([contract], seed=1, mix=ALL, rate=None), 20_000)
    prices = np.concatenate([made[name] for name in ("price", "bid", "ask")])
    prices = np.unique(prices[~np.isnan(prices)])
    assert len(prices) > 10
    tick = Decimal(repr(contract.tick_size))
    for price in prices:
        ticks = round(Decimal(float(price)) / tick)
        assert ticks > 0
        assert float(ticks * tick) == price


def test_trades_print_at_the_quote_and_quotes_never_cross():
    made = columns(sim.Market(4, seed=2, mix=ALL, rate=None), 100_000)
    top: dict[int, tuple[float, float]] = {}
    seen = 0
    sides = set()
    codes = set()
    names = ("kind", "symbol", "price", "size", "side", "bid", "ask")
    for kind, symbol, price, size, side, bid, ask in zip(
        *(made[name].tolist() for name in names), strict=True
    ):
        if kind == QUOTE:
            assert 0 < bid < ask
            top[symbol] = (bid, ask)
        elif kind == TRADE and symbol in top:
            assert price == top[symbol][1 if side > 0 else 0]
            seen += 1
            sides.add(side)
        elif kind == DEPTH and symbol in top:
            if size == 0:  # a level that the quotes have passed may go, too
                assert side in (1, 2)
            elif side in (1, 3, 10):
                assert price >= top[symbol][1]
                assert side == 1 or price == top[symbol][1]
            else:
                assert side in (2, 4, 9)
                assert price <= top[symbol][0]
                assert side == 2 or price == top[symbol][0]
            codes.add(side)
    assert seen > 20_000
    assert sides == {1, -1}
    assert codes == {1, 2, 3, 4, 9, 10}


def test_kinds_keep_to_their_columns_and_shares():
    made = columns(sim.Market(4, mix=ALL, rate=None), 100_000)
    for kind, share in ((TRADE, 0.3), (QUOTE, 0.4), (DEPTH, 0.3)):
        chosen = made["kind"] == kind
        assert chosen.mean() == pytest.approx(share, abs=0.01)
        assert np.isnan(made["bid"][chosen]).all() == (kind != QUOTE)
        assert np.isnan(made["price"][chosen]).all() == (kind == QUOTE)
        assert np.isnan(made["resting"][chosen]).all() == (kind != DEPTH)
    trades = made["size"][made["kind"] == TRADE]
    assert (trades >= 1).all()
    assert (trades == np.floor(trades)).all()
    assert trades.max() > 10


def test_the_walk_has_no_drift_and_the_volatility_asked_for():
    # One second of quotes at a time, from 200 independent markets.
    contract = sim.Contract("X", 1.0, 100_000.0, volatility_ticks=5.0)
    ends = []
    for seed in range(200):
        made = columns(sim.Market([contract], seed=seed, rate=1_000.0, mix={"quote": 1}), 1_000)
        ends.append(made["bid"][-1] - 100_000.0)
    assert abs(np.mean(ends)) < 4 * 5.0 / np.sqrt(200)
    assert np.std(ends) == pytest.approx(5.0, rel=0.25)


def test_a_long_run_stays_in_its_band():
    contract = sim.Contract("X", 1.0, 40.0, volatility_ticks=100.0)
    made = columns(sim.Market([contract], rate=None, mix={"quote": 1}), 200_000)
    assert made["bid"].min() > 0
    assert made["ask"].max() <= 40 + 10 + 3
    steps = np.abs(np.diff((made["bid"] + made["ask"]) / 2))
    assert steps.max() <= 3  # a step and a change of spread, never a jump


@pytest.mark.parametrize("burst", [0.0, 1.0])
@pytest.mark.parametrize("rate", [7.0, 250.0, 10_000.0])
def test_every_second_holds_exactly_its_rate(rate: float, burst: float):
    due_ns = columns(sim.Market(2, rate=rate, burst=burst), int(rate * 4))["due_ns"]
    assert (np.diff(due_ns) >= 0).all()
    assert np.bincount(due_ns // 1_000_000_000).tolist() == [rate] * 4


def test_bursts_are_bursts():
    def busiest(burst: float) -> int:
        due_ns = columns(sim.Market(2, rate=10_000.0, burst=burst), 100_000)["due_ns"]
        return int(np.bincount(due_ns // 10_000_000).max())

    assert busiest(0.0) in (100, 101)
    assert busiest(1.0) > 300


def test_activity_comes_in_runs_and_by_weight():
    heavy, light = sim.Contract("H", 1.0, 1_000.0, weight=3.0), sim.Contract("L", 1.0, 1_000.0)
    symbol = columns(sim.Market([heavy, light], rate=None), 100_000)["symbol"]
    assert (symbol == 0).mean() == pytest.approx(0.75, abs=0.02)
    changes = (np.diff(symbol) != 0).mean()
    independent = 2 * 0.75 * 0.25
    assert changes == pytest.approx(independent / 4, rel=0.1)  # runs of four ticks on average


def test_event_time_starts_where_it_was_told():
    made = columns(sim.Market(1, rate=100.0, start_ns=5_000), 200)
    np.testing.assert_array_equal(made["ts_ns"], made["due_ns"] + 5_000)
    unpaced = columns(sim.Market(1, rate=None, start_ns=5_000), 200)
    assert (unpaced["due_ns"] == 0).all()
    np.testing.assert_array_equal(np.diff(unpaced["ts_ns"]), 100_000)


def test_instruments_in_every_form():
    class Thing:
        symbol = "THING"
        tick_size = 0.5

    market = sim.Market([Thing(), "CON.F.US.EP.Z26", sim.Contract("OWN", 0.01, 3.0)])
    assert market.symbols == ("THING", "CON.F.US.EP.Z26", "OWN")
    assert market.contracts[0] == sim.Contract("THING", 0.5, 10_000.0)
    assert len(set(sim.Market(100).symbols)) == 100
    assert market.kinds == {"trade", "quote"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"instruments": 0}, "instruments=0"),
        ({"instruments": []}, "instruments is empty"),
        ({"instruments": "CON.F.US.EP.Z26"}, "expected a list"),
        ({"instruments": ["NOPE"]}, "'NOPE'"),
        ({"instruments": ["CON.F.US.EP.Z26"] * 2}, "twice"),
        ({"rate": 0.0}, "rate=0.0"),
        ({"rate": float("nan")}, "rate=nan"),
        ({"burst": -1.0}, "burst=-1.0"),
        ({"run_ticks": 0.5}, "run_ticks=0.5"),
        ({"seed": -1}, "seed=-1"),
        ({"mix": {"trades": 1.0}}, "'trades'"),
        ({"mix": {"trade": 0.0}}, "at least one above 0"),
        ({"mix": {"trade": 2.0, "quote": -1.0}}, "at least one above 0"),
    ],
)
def test_what_cannot_work_is_refused(arguments: dict[str, Any], message: str):
    with pytest.raises(ConfigError, match=message):
        sim.Market(**arguments)


@pytest.mark.parametrize(
    "arguments",
    [("", 1.0, 100.0), ("X", 0.0, 100.0), ("X", 1.0, -5.0), ("X", 1.0, float("inf")), ("X", 1.0, 3.0)],
)
def test_contracts_that_cannot_work_are_refused(arguments: tuple[str, float, float]):
    with pytest.raises(ConfigError):
        sim.Contract(*arguments)


def test_blocks_stay_small_enough_for_their_rate():
    for rate, most in ((10.0, 64), (2_000.0, 250), (10_000.0, 1_024)):
        assert all(len(block) <= most for block in itertools.islice(sim.Market(2, rate=rate).blocks(), 3))
