"""Hub payloads cut anywhere: the same state as fed whole. The wire knows no borders of records."""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tickwire as tw
from effort import LONG, examples
from packed import as_message
from states import Seen, differences, is_same, seen, state
from tickwire.config import ProtocolName

S = 1_000_000_000
SYMBOL = "CON.F.US.MNQ.U26"
RECV = 1_787_172_691 * S


def engine_of() -> tw.Engine:
    return tw.Engine(tw.Instrument(SYMBOL, tick_size=0.25, source=("trade", "bid", "mid")), ["1s", "1m"])


def message(target: str, data: str, symbol: str = SYMBOL) -> str:
    return f'{{"type":1,"target":"{target}","arguments":["{symbol}",{data}]}}'


both = pytest.mark.parametrize("protocol", ["json", "messagepack"])


@functools.cache
def captured(count: int, protocol: ProtocolName = "json") -> bytes:
    """Records as the gateway sends them: arrays, partial quotes, odd order, control messages, broken ones."""
    rng = random.Random(7)
    records = []
    for index in range(count):
        when = f"2026-08-19T20:51:{index % 60:02d}.{rng.randrange(10**7):07d}+00:00"
        price = 29_547 + rng.randrange(-8, 8) / 4
        trade = f'{{"symbolId":"F.US.MNQ","price":{price},"timestamp":"{when}","type":{index % 3},"volume":{index % 5}}}'
        records.append(
            rng.choice(
                [
                    message("GatewayTrade", trade),
                    message("GatewayTrade", trade),
                    message("GatewayTrade", f"[{trade},null,{trade}]"),
                    message(
                        "GatewayQuote", f'{{"bestBid":{price},"bestAsk":{price + 0.25},"timestamp":"{when}"}}'
                    ),
                    message(
                        "GatewayQuote", f'{{"symbol":"F.US.MNQ","bestAsk":{price},"lastUpdated":"{when}"}}'
                    ),
                    message("GatewayDepth", f'{{"timestamp":"{when}","type":4,"price":{price},"volume":2}}'),
                    # Unicode in several bytes and in escapes, braces and quotes inside of text.
                    message("GatewayTrade", '{"note":"é😀\\u001e{\\"[","price":1}'),
                    message("GatewayTrade", trade, symbol="CON.F.US.MES.U26"),
                    f'{{"arguments":["{SYMBOL}", {trade} ],\t"target":"GatewayTrade","type":1}}',
                    '{"type":6}',
                    f'{{"type":3,"invocationId":"{index}","result":null}}',
                    '{"type":1,"target":"GatewayUserAccount","arguments":[{"id":1}]}',
                    '{"type":1,"target":"GatewayTrade","arguments":[',
                    "",
                ]
            )
        )
    if protocol == "messagepack":
        return b"".join(as_message(record.encode()) for record in records)
    return "".join(record + "\x1e" for record in records).encode()


def fed(*parts: bytes, protocol: ProtocolName = "json") -> tuple[tw.Engine, list[bytes]]:
    """An engine that was given the parts, and the control messages that came back."""
    engine = engine_of()
    feed, control = engine.feed(protocol=protocol), []
    for part in parts:
        control += feed.push_bytes(part, RECV).control
    assert feed.carried_bytes == 0
    return engine, control


@functools.cache
def whole(count: int, protocol: ProtocolName) -> tuple[Seen, list[bytes]]:
    engine, control = fed(captured(count, protocol), protocol=protocol)
    stats = engine.stats()
    assert set(stats["rejections"]) >= {"malformed", "unknown_instrument"}
    assert min(stats["trades"], stats["quotes"], stats["depth"], len(control)) > 0
    return seen(engine), control


def check(count: int, protocol: ProtocolName, cuts: Sequence[int]) -> None:
    stream = captured(count, protocol)
    parts = [stream[a:b] for a, b in itertools.pairwise([0, *cuts, len(stream)])]
    engine, control = fed(*parts, protocol=protocol)
    expected, expected_control = whole(count, protocol)
    if not is_same(seen(engine), expected) or control != expected_control:
        raise AssertionError((cuts, differences(state(engine), state(fed(stream, protocol=protocol)[0]))))


def test_both_protocols_lead_to_the_same_state() -> None:
    (json, json_control), (packed, packed_control) = whole(1_000, "json"), whole(1_000, "messagepack")
    assert is_same(json, packed)
    assert len(json_control) == len(packed_control)
    assert set(json_control) > {b'{"type":6}'}
    assert set(packed_control) > {b"\x91\x06"}


@both
def test_sixty_records_in_every_two_parts(protocol: ProtocolName) -> None:
    for cut in range(len(captured(60, protocol)) + 1):
        check(60, protocol, [cut])


@both
def test_sixty_records_byte_by_byte(protocol: ProtocolName) -> None:
    check(60, protocol, range(len(captured(60, protocol)) + 1))


@both
@settings(max_examples=examples(40))
@given(st.data())
def test_a_thousand_records_in_random_parts(protocol: ProtocolName, data: st.DataObject) -> None:
    size = len(captured(1_000, protocol))
    check(1_000, protocol, sorted(data.draw(st.lists(st.integers(0, size), max_size=60))))


@both
def test_a_thousand_records_in_two_parts(protocol: ProtocolName) -> None:
    """In every two parts, where there is time for 127,000 of them."""
    size = len(captured(1_000, protocol))
    for cut in range(0, size + 1, 1 if LONG else size // 50):
        check(1_000, protocol, [cut])


def test_a_split_that_loses_a_byte_is_seen() -> None:
    """The comparison compares: a byte that is missing somewhere makes another state."""
    stream = captured(60)
    unnoticed = [
        cut
        for cut in range(0, len(stream), 7)
        if is_same(seen(fed(stream[:cut], stream[cut + 1 :])[0]), whole(60, "json")[0])
    ]
    assert len(unnoticed) < len(stream) // 7 // 2


def test_two_feeds_do_not_mix() -> None:
    engine = engine_of()
    one, two = engine.feed("one"), engine.feed("two")
    assert engine.feed("one") is one
    first, second = captured(60)[:2_000], captured(60)[2_000:]
    one.push_bytes(first)
    assert one.carried_bytes > 0
    assert two.push_bytes(b'{"type":6}\x1e').control == (b'{"type":6}',)
    one.push_bytes(second)
    alone = engine_of()
    alone.push_bytes(captured(60))
    assert differences(state(engine), state(alone)) == []


def test_a_reset_forgets_the_cut_record() -> None:
    engine = engine_of()
    feed = engine.feed()
    feed.push_bytes(b'{"type":1,"target":"GatewayTr')
    feed.reset()
    assert feed.carried_bytes == 0
    assert feed.push_bytes(b'{"type":6}\x1e').control == (b'{"type":6}',)
    assert engine.stats()["received"] == 0
