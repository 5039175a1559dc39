"""Bars of the gateway: pages, times, units, and what goes wrong."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from histories import SYMBOLS, gateway_of, hub_of
from oracle import NS
from tickwire import sim
from tickwire.errors import (
    ConfigError,
    ConnectTimeout,
    HistoryFailed,
    LoginFailed,
    RequestFailed,
    SessionTakenOver,
)
from tickwire.projectx_history import PAGE_BARS, ProjectXHistory

T0 = 1_700_474_400 * NS
EP = SYMBOLS[0]


def seconds(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).timestamp())


class Gateway:
    """Has a bar for every second of a span, and keeps what it was asked."""

    def __init__(self, first_s: int, last_s: int, *, inclusive: bool = True, zone: str = "+00:00") -> None:
        self.first_s, self.last_s = first_s, last_s
        self.inclusive = inclusive
        self.zone = zone
        self.asked: list[dict[str, Any]] = []

    def __call__(self, path: str, body: Any, *, time_limit_s: float, pause: Any) -> dict[str, Any]:
        assert path == "/api/History/retrieveBars"
        self.asked.append(dict(body))
        start_s = max(seconds(body["startTime"]), self.first_s)
        end_s = min(seconds(body["endTime"]) - (not self.inclusive), self.last_s)
        times = range(end_s, start_s - 1, -1)[: body["limit"]]
        return {"bars": [self.bar(second) for second in times], "success": True}

    def bar(self, second: int) -> dict[str, Any]:
        text = dt.datetime.fromtimestamp(second, dt.UTC).replace(tzinfo=None).isoformat()
        price = second % 1_000
        return {
            "t": text + self.zone,
            "o": price,
            "h": price + 1,
            "l": price,
            "c": price + 0.25,
            "v": second % 7,
        }


@pytest.mark.parametrize("inclusive", [True, False])
@pytest.mark.parametrize("count", [0, 1, PAGE_BARS - 1, PAGE_BARS, PAGE_BARS + 1, 3 * PAGE_BARS])
def test_pages_are_put_together_whether_the_end_belongs_to_the_span_or_not(
    inclusive: bool, count: int
) -> None:
    begin = T0 // NS
    gateway = Gateway(begin - 100_000, begin + 100_000, inclusive=inclusive)
    bars = ProjectXHistory(gateway).bars(EP, "1s", T0, T0 + count * NS)
    assert bars["ts"].to_list() == [T0 + second * NS for second in range(count)]
    assert bars["open"].to_list() == [(begin + second) % 1_000 for second in range(count)]
    assert bars["close"].to_list() == [(begin + second) % 1_000 + 0.25 for second in range(count)]
    assert bars["volume"].to_list() == [(begin + second) % 7 for second in range(count)]
    assert len(gateway.asked) <= count // (PAGE_BARS - 1) + 1


def test_history_that_begins_later_is_read_to_its_beginning() -> None:
    begin = T0 // NS
    gateway = Gateway(begin, begin + PAGE_BARS - 1)
    bars = ProjectXHistory(gateway).bars(EP, "1s", T0 - 10**6 * NS, T0 + 10**6 * NS)
    assert bars.height == PAGE_BARS
    assert len(gateway.asked) <= 3


def test_a_gateway_that_says_the_same_for_ever_is_left() -> None:
    asked = []

    def stuck(path: str, body: Any, **_: Any) -> dict[str, Any]:
        asked.append(body)
        gateway = Gateway(0, 2**40)
        return {"bars": [gateway.bar(T0 // NS + second) for second in range(PAGE_BARS)][::-1]}

    bars = ProjectXHistory(stuck).bars(EP, "1s", T0 - 10**6 * NS, T0 + 10**6 * NS)
    assert bars.height == PAGE_BARS
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("timeframe", "unit", "number"),
    [("1s", 1, 1), ("90s", 1, 90), ("5m", 2, 5), ("4h", 3, 4), ("1d", 4, 1), ("2w", 5, 2), ("3mo", 6, 3)],
)
def test_units(timeframe: str, unit: int, number: int) -> None:
    gateway = Gateway(0, 0)
    ProjectXHistory(gateway, live=True).bars(EP, timeframe, T0, T0 + 3_600 * NS)
    assert gateway.asked == [
        {
            "contractId": EP,
            "live": True,
            "startTime": "2023-11-20T10:00:00Z",
            "endTime": "2023-11-20T11:00:00Z",
            "unit": unit,
            "unitNumber": number,
            "limit": 20_000,
            "includePartialBar": False,
        }
    ]


def test_what_is_no_length_of_time_it_does_not_have() -> None:
    history = ProjectXHistory(Gateway(0, 0))
    assert history.timeframes(["1s", "100t", "5m", "8r", "1mo"]) == ["1s", "5m", "1mo"]
    with pytest.raises(ConfigError, match="'100t'"):
        history.bars(EP, "100t", T0, T0 + NS)


@pytest.mark.parametrize(
    ("text", "ts"),
    [
        ("2023-11-20T10:00:00Z", T0),
        ("2023-11-20T10:00:00+00:00", T0),
        ("2023-11-20T10:00:00", T0),
        ("2023-11-20T11:00:00+01:00", T0),
        ("2023-11-20T10:00:00.0000000Z", T0),
        ("2023-11-20T10:00:01.5", T0 + 1_500_000_000),
    ],
)
def test_times(text: str, ts: int) -> None:
    bar = {"t": text, "o": 1, "h": 1.5, "l": 0.5, "c": 1, "v": 3}
    bars = ProjectXHistory(lambda *_, **__: {"bars": [bar]}).bars(EP, "1s", T0, T0 + 2 * NS)
    assert bars.rows() == [(ts, 1.0, 1.5, 0.5, 1.0, 3.0)]


def raising(error: Exception) -> Callable[..., dict[str, Any]]:
    def post(*_: Any, **__: Any) -> dict[str, Any]:
        raise error

    return post


@pytest.mark.parametrize(
    ("error", "permanent", "retry_after_s"),
    [
        (RequestFailed("busy", status=429, retry_after_s=7.0), False, 7.0),
        (RequestFailed("broken", status=500), False, None),
        (RequestFailed("no such contract", code=1, status=200, permanent=True), True, None),
        (LoginFailed("wrong key", code=3, permanent=True), True, None),
        (LoginFailed("not so soon", retry_after_s=3.0), False, 3.0),
        (ConnectTimeout("no token in time"), False, None),
        (SessionTakenOver("another session"), True, None),
    ],
)
def test_failures_say_whether_and_when_to_ask_again(
    error: Exception, permanent: bool, retry_after_s: float | None
) -> None:
    with pytest.raises(HistoryFailed, match=str(error)) as caught:
        ProjectXHistory(raising(error)).bars(EP, "1s", T0, T0 + NS)
    assert (caught.value.permanent, caught.value.retry_after_s) == (permanent, retry_after_s)
    assert caught.value.__context__ is None, "the frames of the request are let go"


@pytest.mark.parametrize(
    "bars",
    [
        "no list",
        [1],
        [{}],
        [{"t": "now"}],
        [{"t": "2023-11-20", "o": "x", "h": 1, "l": 1, "c": 1, "v": 1}],
        {"a": 1},
    ],
)
def test_answers_that_make_no_sense(bars: Any) -> None:
    with pytest.raises(HistoryFailed, match="retrieveBars") as caught:
        ProjectXHistory(lambda *_, **__: {"bars": bars}).bars(EP, "1s", T0, T0 + NS)
    assert not caught.value.permanent


@pytest.mark.parametrize("reply", [{"bars": []}, {"bars": None}, {}])
def test_no_bars_is_an_answer(reply: dict[str, Any]) -> None:
    bars = ProjectXHistory(lambda *_, **__: reply).bars(EP, "1s", T0, T0 + NS)
    assert bars.height == 0
    assert bars.columns == ["ts", "open", "high", "low", "close", "volume"]


def test_against_the_embedded_hub() -> None:
    hub, served = hub_of(sim.Market([EP], start_ns=T0), start="manual")
    with hub:
        history = ProjectXHistory(gateway_of(hub).post)
        bars = history.bars(EP, "1s", T0 - 30_000 * NS, T0)
        theirs = served.bars(EP, 1, 1, T0 - 30_000 * NS, T0)
        assert bars.height == len(theirs) > PAGE_BARS
        for name in ("open", "high", "low", "close", "volume"):
            assert bars[name].to_list() == theirs[name].tolist()
        assert bars["ts"].to_list() == (theirs["start_s"] * NS).tolist()
        with pytest.raises(HistoryFailed, match="no such contract") as caught:
            history.bars("CON.F.US.NONE.Z26", "1s", T0 - NS, T0)
        assert caught.value.permanent
        hub.fault(sim.Refuse(429, at="rest", headers=(("retry-after", "4"),)))
        with pytest.raises(HistoryFailed) as caught:
            history.bars(EP, "1s", T0 - NS, T0)
        assert (caught.value.permanent, caught.value.retry_after_s) == (False, 4.0)
