"""The hub's history: the vendor's shape, and bars that agree with everything the hub sent."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest

from hubs import PATIENCE_S
from oracle import NS, Row, Tick, bar_of, bucket
from tickwire import sim
from tickwire.errors import ConfigError
from tickwire.sim.bars import BAR, Past, SecondBars, together
from tickwire.sim.ticks import TRADE

EP, ENQ = (contract.symbol for contract in sim.contracts(2))
# A Monday, 10:00 UTC.
T0 = 1_700_474_400 * NS
PATH = "/api/History/retrieveBars"
UNITS = {"s": 1, "m": 2, "h": 3, "d": 4, "w": 5, "mo": 6}


class Asker:
    """Asks a hub for bars, as a client of the vendor would."""

    def __init__(self, hub: sim.Hub) -> None:
        self._client = httpx.Client(
            base_url=f"http://127.0.0.1:{hub.port}",
            headers={"Authorization": f"Bearer {hub.token()}"},
            trust_env=False,
            timeout=PATIENCE_S,
        )

    def raw(self, start_ns: int, end_ns: int, **change: Any) -> httpx.Response:
        body = {
            "contractId": EP,
            "live": False,
            "startTime": stamp(start_ns),
            "endTime": stamp(end_ns),
            "unit": 1,
            "unitNumber": 1,
            "limit": 20_000,
            "includePartialBar": False,
        }
        return self._client.post(PATH, json=body | change)

    def bars(self, start_ns: int, end_ns: int, **change: Any) -> list[dict[str, Any]]:
        """Bars of an answer, the oldest first."""
        reply = self.raw(start_ns, end_ns, **change).json()
        assert (reply["success"], reply["errorCode"], reply["errorMessage"]) == (True, 0, None)
        times = [bar["t"] for bar in reply["bars"]]
        assert times == sorted(times, reverse=True), "the newest comes first"
        return reply["bars"][::-1]

    def close(self) -> None:
        self._client.close()


def stamp(ts_ns: int) -> str:
    return dt.datetime.fromtimestamp(ts_ns // NS, dt.UTC).isoformat().replace("+00:00", "Z")


def market(**how: Any) -> sim.Market:
    return sim.Market([EP, ENQ], rate=2_500.0, start_ns=T0, seed=5, **how)


def heard(source: sim.Market, count: int, symbol: str) -> list[Tick]:
    """The first trades of a market, by its own account."""
    ticks: list[Tick] = []
    left = count
    for block in islice(source.blocks(), 1 + count // 64):
        for row in range(min(left, len(block))):
            if block.kind[row] == TRADE and source.symbols[block.symbol[row]] == symbol:
                assert block.ts_ns is not None
                ticks.append(Tick(int(block.ts_ns[row]), float(block.price[row]), float(block.size[row])))
        left -= min(left, len(block))
    return ticks


def rows(ticks: list[Tick], timeframe: str) -> list[Row]:
    groups: dict[tuple[int, int], list[Tick]] = {}
    for tick in ticks:
        groups.setdefault(bucket(timeframe, tick.ts), []).append(tick)
    return [bar_of(group, *span) for span, group in sorted(groups.items())]


def as_answer(row: Row) -> dict[str, Any]:
    when = dt.datetime.fromtimestamp(row.ts // NS, dt.UTC).isoformat()
    return {"t": when, "o": row.open, "h": row.high, "l": row.low, "c": row.close, "v": int(row.volume)}


@contextlib.contextmanager
def served(seconds: float) -> Iterator[tuple[sim.Hub, sim.History, Asker]]:
    """A market that nobody was connected to, after so many seconds."""
    hub = sim.Hub(market(), start="manual", count=round(2_500 * seconds), slot_s=0.01)
    history = sim.serve_history(hub)
    with hub:
        asker = Asker(hub)
        if seconds:
            hub.start()
            hub.wait_finished(4 * PATIENCE_S)
        yield hub, history, asker
        asker.close()


def test_every_trade_of_the_stream_counts_whoever_was_connected() -> None:
    ticks = heard(market(), 10_000, EP)
    with served(4.0) as (_, history, asker):
        known = history.now_ns()
        assert T0 + 3 * NS < known < T0 + 4 * NS
        for timeframe, unit, number in [("1s", 1, 1), ("2s", 1, 2), ("1m", 2, 1)]:
            expected = [as_answer(row) for row in rows(ticks, timeframe) if row.ts_end <= known]
            assert asker.bars(T0, T0 + 60 * NS, unit=unit, unitNumber=number) == expected
            partial = asker.bars(T0, T0 + 60 * NS, unit=unit, unitNumber=number, includePartialBar=True)
            assert partial == [as_answer(row) for row in rows(ticks, timeframe)]
        # The end of the span belongs to it, and the newest come first.
        both = asker.bars(T0 + NS, T0 + 2 * NS)
        assert [bar["t"][17:19] for bar in both] == ["01", "02"]
        assert asker.bars(T0, T0 + 2 * NS, limit=2) == both
        assert asker.bars(T0 + 60 * NS, T0 + 90 * NS) == []
        faults(history, asker)


def faults(history: sim.History, asker: Asker) -> None:
    whole = asker.bars(T0, T0 + 9 * NS)
    history.lag_s = 2.0
    assert asker.bars(T0, T0 + 9 * NS) == whole[:-2]
    history.lag_s = 0.0
    history.empty = 1
    assert asker.bars(T0, T0 + 9 * NS) == []
    history.wrong = 1
    wrong = asker.bars(T0, T0 + 9 * NS)
    assert wrong[1:] == whole[1:]
    assert wrong[0]["l"] > wrong[0]["h"]
    assert asker.bars(T0, T0 + 9 * NS) == whole


def test_a_market_has_a_past_that_the_seed_decides() -> None:
    day = 86_400 * NS
    with served(0) as (_, _, asker):
        seconds = asker.bars(T0 - 3_600 * NS, T0 - NS)
        assert 2_900 < len(seconds) < 3_500, "in some seconds nothing is traded"
        minutes = asker.bars(T0 - 3_600 * NS, T0 - NS, unit=2)
        assert len(minutes) == 60
        assert sum(bar["v"] for bar in minutes) == sum(bar["v"] for bar in seconds)
        assert minutes[0]["o"] == seconds[0]["o"]
        assert minutes[-1]["c"] == seconds[-1]["c"]
        assert min(bar["l"] for bar in minutes) == min(bar["l"] for bar in seconds)
        assert len(asker.bars(T0 - day, T0 - NS)) == 20_000, "a page, and no more"
        assert asker.bars(T0 - 90 * day, T0 - 31 * day, unit=4) == [], "it does not go back for ever"
        for bar in asker.bars(T0 - day, T0 - NS, unit=3):
            assert bar["l"] <= min(bar["o"], bar["c"]) <= max(bar["o"], bar["c"]) <= bar["h"]
            assert bar["o"] * 4 % 1 == 0
    again = sim.serve_history(sim.Hub(market(), start="manual"))
    assert [tuple(bar)[2:7] for bar in again.bars(EP, 2, 1, T0 - 3_600 * NS, T0).tolist()] == [
        tuple(bar[name] for name in "ohlcv") for bar in minutes
    ]


def test_what_cannot_be_answered_is_refused() -> None:
    with served(0) as (hub, history, asker):
        for change, code in [
            ({"contractId": "CON.F.US.NONE.Z26"}, 1),
            ({"unit": 7}, 2),
            ({"unitNumber": 0}, 3),
            ({"limit": 20_001}, 4),
            ({"startTime": "yesterday"}, 5),
            ({"limit": None}, 5),
        ]:
            reply = asker.raw(T0, T0 + NS, **change).json()
            assert (reply["success"], reply["errorCode"], reply["bars"]) == (False, code, []), change
        assert history.requests == 6
        url = f"http://127.0.0.1:{hub.port}{PATH}"
        assert httpx.post(url, json={}, trust_env=False).status_code == 401
        hub.fault(sim.Refuse(429, at="rest", headers=(("retry-after", "3"),)))
        assert asker.raw(T0, T0 + NS).status_code == 429


def test_limits_and_logins_are_those_of_the_hub_s_rest() -> None:
    rest = sim.Rest({"me": "key"}, limits={PATH: (2, 30.0)})
    hub = sim.Hub(market(), start="manual", rest=rest)
    sim.serve_history(hub, rest, zone="Z")
    with hub:
        asker = Asker(hub)
        assert asker.bars(T0 - 9 * NS, T0 - NS)[0]["t"].endswith("Z")
        assert asker.raw(T0, T0).status_code == 200
        refused = asker.raw(T0, T0)
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        asker.close()


def test_recorded_ticks_have_the_time_that_they_tell() -> None:
    frame = pl.DataFrame(
        {
            # The second trade of the first second is sent later, and opens it.
            "ts_ns": [T0 + 5, T0 + NS, T0 + 3, T0 + 3 * NS],
            "symbol": [EP] * 4,
            "price": [1.0, 2.0, 3.0, 4.0],
            "size": [1.0, 1.0, 2.0, 1.0],
        }
    )
    hub = sim.Hub(sim.Replay(frame, rate=1_000.0), start="manual")
    history = sim.serve_history(hub)
    with hub:
        asker = Asker(hub)
        hub.start()
        hub.wait_finished(4 * PATIENCE_S)
        bars = asker.bars(T0 - 90 * NS, T0 + 90 * NS)
        assert [(bar["o"], bar["h"], bar["c"], bar["v"]) for bar in bars] == [(3, 3, 1, 3), (2, 2, 2, 1)]
        assert history.now_ns() == T0 + 3 * NS
        asker.close()


def test_a_hub_without_a_source_has_no_history() -> None:
    with pytest.raises(ConfigError, match="no source"):
        sim.serve_history(sim.Hub())


def test_bars_of_any_length_are_the_oracle_s() -> None:
    rng = np.random.default_rng(3)
    seconds = SecondBars()
    ticks = []
    for ts in T0 + rng.integers(0, 100 * 86_400, 3_000) * NS + rng.integers(0, 3, 3_000):
        tick = Tick(int(ts), float(rng.integers(400, 500)) / 4, float(rng.integers(1, 9)))
        ticks.append(tick)
        seconds.trade(tick.ts, tick.price, tick.size)
    all_of_it = seconds.bars(0, 2**40)
    for timeframe in ("1s", "7s", "1m", "90m", "4h", "1d", "3d", "1w", "1mo", "2mo"):
        number, unit = int(timeframe.rstrip("smhdwo")), timeframe.lstrip("0123456789")
        got = together(all_of_it, UNITS[unit], number)
        expected = [
            (r.ts // NS, r.ts_end // NS, r.open, r.high, r.low, r.close, r.volume, r.trades)
            for r in rows(ticks, timeframe)
        ]
        assert [tuple(bar) for bar in got.tolist()] == expected, timeframe
    assert together(np.empty(0, BAR), 2, 5).tolist() == []


def test_the_past_does_not_depend_on_how_it_is_asked_for() -> None:
    past = Past(sim.contracts(1)[0], 1, 0, T0 // NS, days=2)
    begin = T0 // NS
    whole = past.bars(0, 2**40)
    assert whole["start_s"][0] >= begin - 2 * 86_400
    assert whole["start_s"][-1] < begin
    assert (np.diff(whole["start_s"]) > 0).all()
    for from_s, to_s in [(begin - 5_000, begin - 4_000), (begin - 3_600, begin), (begin - 3_601, begin - 1)]:
        inside = (whole["start_s"] >= from_s) & (whole["start_s"] < to_s)
        assert past.bars(from_s, to_s).tolist() == whole[inside].tolist()
    assert abs(whole["close"][-1] - sim.contracts(1)[0].price) < 20, "it leads to where the market starts"


def test_answers_are_json_that_says_what_the_vendor_s_do() -> None:
    with served(0) as (_, _, asker):
        reply = json.loads(asker.raw(T0 - 60 * NS, T0 - NS, limit=1).content)
    assert set(reply) == {"bars", "success", "errorCode", "errorMessage"}
    assert set(reply["bars"][0]) == {"t", "o", "h", "l", "c", "v"}
