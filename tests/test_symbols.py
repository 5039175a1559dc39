"""Which instrument a symbol names must not depend on which string object says it."""

from __future__ import annotations

import gc

import pytest

import tickwire as tw

START_NS = 1_700_006_400 * 10**9


def test_fresh_strings_name_the_right_instrument() -> None:
    # More instruments than the engine keeps strings for, and strings that die at once, so that an
    # address is soon used again by another symbol's text.
    names = [f"CON.F.US.X{n}.Z25" for n in range(300)]
    engine = tw.Engine([tw.Instrument(name, tick_size=0.25) for name in names], ["1m"])
    for turn in range(20):
        for number in range(len(names)):
            pushed = engine.push_trade(f"CON.F.US.X{number}.Z25", START_NS + turn, 100.0, 1.0)
            assert pushed
        gc.collect()
    assert [engine.stats(name)["trades"] for name in names] == [20] * len(names)


def test_the_same_object_every_time() -> None:
    ours, theirs = "CON.F.US.EP.Z25", "CON.F.US.ENQ.Z25"
    engine = tw.Engine([tw.Instrument(name, tick_size=0.25) for name in (ours, theirs)], ["1m"])
    for turn in range(1_000):
        engine.push_trade(ours if turn % 3 else theirs, START_NS + turn, 100.0, 1.0)
        engine.push_quote(theirs if turn % 3 else ours, START_NS + turn, 99.75, 100.0)
    assert engine.stats(ours)["trades"] == engine.stats(theirs)["quotes"] == 666
    assert engine.stats(theirs)["trades"] == engine.stats(ours)["quotes"] == 334


def test_a_string_of_another_engine_means_nothing_here() -> None:
    symbol = "CON.F.US.EP.Z25"
    first = tw.Engine([tw.Instrument(symbol, tick_size=0.25)], ["1m"])
    second = tw.Engine([tw.Instrument("CON.F.US.ENQ.Z25", tick_size=0.25)], ["1m"])
    assert first.push_trade(symbol, START_NS, 100.0, 1.0)
    assert not second.push_trade(symbol, START_NS, 100.0, 1.0)
    assert second.rejections() == {"unknown_instrument": 1}


@pytest.mark.parametrize("symbol", [5, None, b"CON.F.US.EP.Z25"])
def test_what_is_no_text(symbol: object) -> None:
    engine = tw.Engine([tw.Instrument("CON.F.US.EP.Z25", tick_size=0.25)], ["1m"])
    with pytest.raises(TypeError, match=f"argument 'symbol': got {type(symbol).__name__}, expected str"):
        engine.push_trade(symbol, START_NS, 100.0, 1.0)  # type: ignore[arg-type]
    assert engine.stats()["received"] == 0


def test_receipts_tell_what_came() -> None:
    # Receipts that say nothing special are shared; what they say must be their own payload's.
    engine = tw.Engine([tw.Instrument("ES", tick_size=0.25)], ["1m"])

    def payload(count: int, price: str = "100.0") -> str:
        trade = f'{{"price":{price},"timestamp":"2024-07-21T13:45:00Z","type":0,"volume":1}}'
        return f'{{"type":1,"target":"GatewayTrade","arguments":["ES",[{",".join([trade] * count)}]]}}\x1e'

    for count in (0, 1, 2, 8, 9, 30, 1):
        receipt = engine.push_bytes(payload(count))
        assert (receipt.received, receipt.accepted, receipt.rejected) == (count, count, 0)
        assert receipt.control == ()
    receipt = engine.push_bytes(payload(1) + payload(2, "-5") + '{"type":6}\x1e')
    assert (receipt.received, receipt.accepted, receipt.rejected) == (3, 1, 2)
    assert receipt.control == (b'{"type":6}',)
