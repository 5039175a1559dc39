"""The breakers of a client: each for itself, bounded in number, told apart by name."""

from __future__ import annotations

import pytest

from tickwire.breaker import BreakerChange, BreakerSettings
from tickwire.breakers import Breakers
from tickwire.errors import BreakerOpen, ConfigError

QUICK = BreakerSettings(failures=2, rate=None)


def on_trade(trade: object) -> None:
    raise LookupError(trade)


def on_quote(quote: object) -> object:
    return quote


class Strategy:
    def on_trade(self, trade: object) -> object:
        return trade


def test_a_broken_handler_takes_no_other_down() -> None:
    breakers = Breakers(QUICK)
    for _ in range(2):
        with pytest.raises(LookupError):
            breakers.get("GatewayTrade", on_trade).call(on_trade, 1)
        assert breakers.get("GatewayTrade", on_quote).call(on_quote, 2) == 2
        assert breakers.get("GatewayQuote", on_trade).call(on_quote, 3) == 3
    with pytest.raises(BreakerOpen, match="'GatewayTrade on_trade'"):
        breakers.get("GatewayTrade", on_trade).call(on_trade, 1)
    states = {name: status.state for name, status in breakers.snapshot().items()}
    assert states == {
        "GatewayTrade on_trade": "open",
        "GatewayTrade on_quote": "closed",
        "GatewayQuote on_trade": "closed",
    }


def test_the_same_handler_has_the_same_breaker() -> None:
    breakers, strategy = Breakers(), Strategy()
    one = breakers.get("GatewayTrade", strategy.on_trade)
    assert breakers.get("GatewayTrade", strategy.on_trade) is one
    assert breakers.get("GatewayTrade", Strategy().on_trade) is not one
    assert breakers.get("GatewayTrade") is not one
    assert breakers.get("GatewayTrade", "by name").name == "GatewayTrade by name"
    assert len(breakers) == 4


def test_handlers_of_one_name_are_told_apart() -> None:
    breakers = Breakers()
    made = [breakers.get("X", lambda: None) for _ in range(3)]
    name = "X test_handlers_of_one_name_are_told_apart.<locals>.<listcomp>.<lambda>"
    names = [breaker.name.replace("<listcomp>.", "") for breaker in made]
    assert names == [name.replace("<listcomp>.", "") + end for end in ("", " #2", " #3")]
    assert len(breakers.snapshot()) == 3


def test_their_number_is_bounded() -> None:
    breakers = Breakers(QUICK, limit=2)
    known = breakers.get("a")
    for number in range(1_000):
        breakers.get(f"event {number}")
    assert len(breakers) == 2
    assert breakers.get("another") is breakers.get("yet another") is breakers.others
    assert breakers.get("a") is known
    assert list(breakers.snapshot()) == ["a", "event 0", "others"]
    assert breakers.get("others").name == "others"


def test_a_type_of_event_called_others_is_not_the_others() -> None:
    breakers = Breakers(limit=1)
    breakers.get("others").failure()
    breakers.get("new").success()
    assert {name: status.failures for name, status in breakers.snapshot().items()} == {
        "others #2": 1,
        "others": 0,
    }


def test_a_forgotten_handler_makes_room() -> None:
    breakers = Breakers(limit=2)
    breakers.get("a", on_trade)
    breakers.get("b", on_trade)
    breakers.forget(on_trade)
    assert not breakers.snapshot()
    assert breakers.get("c", on_trade).name == "c on_trade"


def test_listeners_hear_breakers_made_before_and_after() -> None:
    breakers = Breakers(QUICK)
    heard: list[BreakerChange] = []
    breakers.get("before")
    breakers.add_listener(heard.append)
    for name in ("before", "after"):
        for _ in range(2):
            breakers.get(name).failure(1)
    assert [(change.breaker, change.state) for change in heard] == [("before", "open"), ("after", "open")]


def test_settings_and_fallback_of_one() -> None:
    breakers = Breakers(QUICK)
    once = breakers.get("a", settings=BreakerSettings(failures=1), fallback=lambda: "instead")
    once.failure()
    assert breakers.get("a").call(int) == "instead"


class Unhashable:
    __hash__ = None  # type: ignore[assignment]

    def __call__(self) -> None: ...


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        (5, "handler: got 5, expected a callable, a name or None"),
        (Unhashable(), "a Unhashable that cannot be hashed"),
    ],
)
def test_a_handler_that_cannot_be_known_again_is_refused(handler: object, message: str) -> None:
    breakers = Breakers()
    with pytest.raises(ConfigError, match=message):
        breakers.get("a", handler)  # type: ignore[arg-type]
    assert len(breakers) == 0


def test_a_limit_that_cannot_work_is_refused() -> None:
    with pytest.raises(ConfigError, match="limit: got 0"):
        Breakers(limit=0)
