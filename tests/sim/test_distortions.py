"""Distortions: what arrives, in which pieces, order and number, and whether both ends count the same."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Opcode

from hubs import PATIENCE_S
from sim.clocks import SetClock
from sim.peer import Peer, count, ticks_in
from sim.wire import CONT, PING, PONG, TEXT, Frame, Wire
from tickwire import sim
from tickwire.sim.distortions import Pace, Selection, cut, fragments
from tickwire.sim.messages import TickMessage

PROTOCOLS = pytest.mark.parametrize("protocol", ["json", "messagepack"])


def run(*faults: sim.Fault, protocol: str = "json", ticks: int = 3_000, **options: Any) -> tuple[Any, Any]:
    """Send a stream through distortions; what arrived as (kind, contract, text), and the hub's account."""
    market = sim.Market(2, rate=None, seed=5)
    options = {"elements_per_record": 1, "digits": 9, "start": "manual"} | options
    with (
        sim.Hub(market, count=ticks, first_depth=None, **options) as hub,
        Peer(hub, protocol=protocol) as peer,
    ):
        peer.subscribe(hub.symbols)
        hub.wait_until(lambda h: len(h.connection().subscriptions) == 6)
        for fault in faults:
            hub.fault(fault)
        hub.start()
        hub.wait_finished(PATIENCE_S)
        sent = hub.sent
        events = peer.events(sent.ticks)
        assert count(events) == +Counter(trade=sent.trades, quote=sent.quotes, depth=sent.depth)
        return [(kind, contract, json.dumps(data)) for kind, contract, data in events], hub.connection()


def contents(events: list[tuple[str, str, str]]) -> Counter[tuple[str, str, str]]:
    """The events without their times, which differ from run to run."""

    def bare(text: str) -> str:
        data = json.loads(text)
        for element in data if isinstance(data, list) else [data]:
            for name in ("timestamp", "lastUpdated"):
                element.pop(name, None)
        return json.dumps(data)

    return Counter((kind, contract, bare(text)) for kind, contract, text in events)


@PROTOCOLS
def test_nothing_is_counted_that_was_lost(protocol: str):
    events, info = run(sim.Lose(0.25, seed=1), protocol=protocol)
    assert len(events) == info.sent.ticks
    assert info.lost == 3_000 - info.sent.ticks
    assert 600 < info.lost < 900


def test_losses_can_choose_their_kind():
    _, info = run(sim.Lose(1.0, kinds=("trade",)))
    _, whole = run()
    assert info.sent.trades == 0
    assert (info.sent.quotes, info.sent.depth) == (whole.sent.quotes, whole.sent.depth)
    assert info.lost == whole.sent.trades


@PROTOCOLS
def test_copies_are_counted_again(protocol: str):
    events, info = run(sim.Duplicate(0.5, seed=2, behind=3), protocol=protocol)
    assert info.sent.ticks == len(events) == 3_000 + info.duplicated
    assert 1_350 < info.duplicated < 1_650
    copies = sum(number - 1 for number in Counter(events).values())
    # A market may repeat itself within a moment, in which case more look like copies than were.
    assert copies >= info.duplicated


def numbered(*faults: sim.Fault, events: int = 100) -> tuple[list[int], sim.ConnectionInfo]:
    """What arrives of so many numbered trades."""
    with sim.Hub() as hub, Peer(hub) as peer:
        hub.wait_until(lambda h: h.connection().protocol == "json")
        for fault in faults:
            hub.fault(fault)
        for number in range(events):
            hub.broadcast("GatewayTrade", "X", [{"n": number}])
        hub.fault(sim.Resume())
        return [data[0]["n"] for _, _, data in peer.events(hub.sent.ticks)], hub.connection()


@pytest.mark.parametrize("share", [1.0, 0.5])
@pytest.mark.parametrize("behind", [0, 1, 4])
def test_a_copy_comes_as_many_messages_behind_as_it_is_told(share: float, behind: int):
    got, info = numbered(sim.Duplicate(share, behind=behind))
    assert len(got) == 100 + info.duplicated
    assert (info.duplicated == 100) == (share == 1.0)
    # Of originals alone, exactly `behind` come between a message and its copy, but for the last ones.
    twice = [number for number in range(100) if got.count(number) == 2]
    assert len(twice) == info.duplicated
    seen: set[int] = set()
    originals = [number for number in got if not (number in seen or seen.add(number))]
    assert originals == list(range(100))
    for number in twice:
        first = got.index(number)
        between = got[first + 1 : got.index(number, first + 1)]
        assert sum(other > number for other in between) == min(behind, 99 - number)


def test_messages_leave_the_window_within_its_reach():
    got, _ = numbered(sim.Reorder(5, seed=1))
    assert sorted(got) == list(range(100))
    assert got != sorted(got)
    # None comes earlier than the window allows.
    assert all(at >= number - 5 for at, number in enumerate(got))


@PROTOCOLS
def test_reordering_keeps_all_and_mixes_within_its_window(protocol: str):
    plain, _ = run(protocol=protocol)
    events, info = run(sim.Reorder(8, seed=3), protocol=protocol)
    assert info.sent.ticks == 3_000
    assert (info.lost, info.duplicated) == (0, 0)
    # The first quote of a contract is a full one whenever it comes; the rest is the same to the letter.
    assert contents(events) == contents(plain)
    assert [kind for kind, *_ in events] != [kind for kind, *_ in plain]


def test_the_same_seed_strikes_the_same_messages():
    faults = (sim.Lose(0.1, seed=7), sim.Duplicate(0.2, seed=8, behind=2), sim.Reorder(5, seed=9))
    (one, a), (two, b) = run(*faults), run(*faults)
    assert [(kind, contract) for kind, contract, _ in one] == [(kind, contract) for kind, contract, _ in two]
    assert (a.lost, a.duplicated) == (b.lost, b.duplicated)
    other, _ = run(sim.Lose(0.1, seed=70), *faults[1:])
    assert [kind for kind, *_ in other] != [kind for kind, *_ in one]


def test_what_is_held_back_comes_with_resume():
    with sim.Hub() as hub, Peer(hub) as peer:
        hub.wait_until(lambda h: h.connection().protocol == "json")
        hub.fault(sim.Reorder(100))
        for number in range(10):
            hub.broadcast("GatewayTrade", "X", [{"n": number}])
        assert hub.sent.ticks == 0
        hub.fault(sim.Resume())
        got = [data[0]["n"] for _, _, data in peer.events(10)]
        assert sorted(got) == list(range(10))
        assert got != list(range(10))
        hub.broadcast("GatewayTrade", "X", [{"n": 10}])
        assert peer.event()[2] == [{"n": 10}]


def test_what_is_held_back_at_the_end_of_the_link_was_lost():
    with sim.Hub() as hub, Peer(hub) as peer:
        hub.wait_until(lambda h: h.connection().protocol == "json")
        hub.fault(sim.Reorder(100))
        hub.broadcast("GatewayTrade", "X", [{"n": 1}, {"n": 2}])
        hub.fault(sim.Drop())
        assert list(peer.messages()) == []
        hub.wait_until(lambda h: not h.connection().is_open)
        assert (hub.connection().sent.ticks, hub.connection().lost) == (0, 2)


# Pieces


@pytest.mark.parametrize("pings", [False, True])
def test_a_message_in_frames_with_pings_between(pings: bool):
    with sim.Hub() as hub, Wire(hub) as wire:
        wire.shake()
        hub.fault(sim.Fragment(10, pings=pings))
        hub.broadcast("GatewayTrade", "X", [{"price": 1}])
        payload = b""
        frames: list[Frame] = []
        while not (frames and frames[-1].fin and frames[-1].opcode != PING):
            frames.append(wire.frame())
        parts = [frame for frame in frames if frame.opcode != PING]
        payload = b"".join(frame.payload for frame in parts)
        assert json.loads(payload[:-1])["arguments"] == ["X", [{"price": 1}]]
        assert [frame.opcode for frame in parts] == [TEXT] + [CONT] * (len(parts) - 1)
        assert [len(frame.payload) for frame in parts[:-1]] == [10] * (len(parts) - 1)
        assert [frame.fin for frame in parts] == [False] * (len(parts) - 1) + [True]
        between = [frame for frame in frames if frame.opcode == PING]
        assert between == [Frame(True, PING, b"between")] * (pings * (len(parts) - 1))
        assert hub.sent.messages == 2  # and the handshake's answer
        hub.fault(sim.Resume())
        hub.broadcast("GatewayTrade", "X", [])
        assert wire.records()[0]["arguments"] == ["X", []]


@pytest.mark.parametrize("at", [None, 1, 20, 10_000])
def test_a_record_over_two_messages(at: int | None):
    with sim.Hub(keep_sent=5) as hub, Wire(hub) as wire:
        wire.shake()
        hub.fault(sim.Split(at))
        hub.broadcast("GatewayTrade", "X", [{"price": 1}])
        one, two = wire.frame(), wire.frame()
        assert (one.fin, one.opcode, two.fin, two.opcode) == (True, TEXT, True, TEXT)
        whole = one.payload + two.payload
        assert json.loads(whole[:-1])["arguments"] == ["X", [{"price": 1}]]
        assert len(one.payload) == {None: len(whole) // 2, 10_000: len(whole) - 1}.get(at, at)
        sent = hub.sent
        assert (sent.ticks, sent.records, sent.messages) == (1, 1, 3)
        assert hub.sent_log(1) == (sim.SentMessage(3, 1, 1, whole),)
        # What carries no ticks stays whole.
        wire.call("SubscribeContractTrades", "X")
        assert wire.records() == [{"type": 3, "invocationId": "1"}]


@PROTOCOLS
def test_a_link_that_dribbles_delivers_all_the_same(protocol: str):
    events, info = run(sim.Dribble(7), protocol=protocol, ticks=100)
    assert len(events) == info.sent.ticks == 100


def test_the_upgrade_dribbles_byte_by_byte():
    clock = SetClock()
    with sim.Hub(clock=clock, handshake_s=1e9) as hub, Wire(hub) as wire:
        hub.fault(sim.Dribble(1, pause_s=1.0), at="upgrade")
        wire.ask_upgrade()
        for byte in b"HTTP/1.1 101 Switching":
            wire.fill()
            assert wire.chunks[-1] == bytes([byte])
            clock.advance(hub, 1.0)
        hub.fault(sim.Resume())
        assert wire.head()[0] == 101


def test_a_silence_cuts_no_frame_in_half():
    with sim.Hub() as hub, Wire(hub) as wire:
        wire.shake()
        hub.fault(sim.Dribble(1, pause_s=0.001))
        hub.broadcast("GatewayTrade", "X", [{"n": 1}])
        wire.take(0)
        wire.fill()  # the frame has begun
        hub.fault(sim.Silence())
        hub.broadcast("GatewayTrade", "X", [{"n": 2}])
        hub.fault(sim.Resume())
        hub.broadcast("GatewayTrade", "X", [{"n": 3}])
        got = [wire.records()[0]["arguments"][1][0]["n"] for _ in range(2)]
        assert got == [1, 3]
        assert (hub.sent.ticks, hub.connection().lost) == (2, 0)


# Time


@PROTOCOLS
def test_latency_and_jitter_keep_the_order(protocol: str):
    plain, _ = run(protocol=protocol, ticks=500)
    events, info = run(sim.Delay(0.01, jitter_s=0.02, seed=4), protocol=protocol, ticks=500)
    assert info.sent.ticks == 500
    assert [event[:2] for event in events] == [event[:2] for event in plain]


def test_everything_is_late_on_a_delayed_link():
    clock = SetClock()
    with sim.Hub(clock=clock) as hub, Wire(hub) as wire:
        wire.shake()
        hub.fault(sim.Delay(5.0))
        wire.send_frame(PING, b"x")
        wire.call("SubscribeContractTrades", "X")
        hub.wait_until(lambda h: b"Subscribe" in h.frames[-1].payload)
        hub.broadcast("GatewayTrade", "X", [{"price": 1}])
        clock.advance(hub, 4.9)
        assert wire.quiet()
        assert hub.sent.ticks == 0  # nothing counts before it is on the wire
        clock.advance(hub, 0.2)
        assert wire.frame() == Frame(True, PONG, b"x")
        assert wire.records()[0]["type"] == 3
        assert wire.records()[0]["type"] == 1
        hub.wait_until(lambda h: h.sent.ticks == 1)


def test_a_close_waits_its_turn_on_a_delayed_link():
    with sim.Hub() as hub, Wire(hub) as wire:
        wire.shake()
        hub.fault(sim.Delay(0.05))
        hub.broadcast("GatewayTrade", "X", [{"price": 1}])
        hub.fault(sim.CloseFrame(1000, end="fin"))
        assert wire.records()[0]["type"] == 1
        assert wire.frame().opcode == 0x8
        assert wire.rest() == (b"", True)


def test_a_link_that_goes_loses_what_was_under_way():
    with sim.Hub() as hub, Wire(hub) as wire:
        wire.shake()
        hub.fault(sim.Delay(60.0))
        hub.broadcast("GatewayTrade", "X", [{"price": 1}])
        hub.fault(sim.Drop())
        assert wire.rest() == (b"", True)
        hub.wait_until(lambda h: not h.connection().is_open)
        assert (hub.connection().sent.ticks, hub.connection().lost) == (0, 1)


def test_leaving_a_hub_sends_what_is_under_way():
    hub = sim.Hub(close_s=0.1)
    hub.__enter__()
    with Wire(hub) as wire:
        wire.shake()
        hub.fault(sim.Delay(60.0))
        hub.broadcast("GatewayTrade", "X", [{"price": 1}])
        hub.__exit__(None, None, None)
        assert wire.records()[0]["type"] == 1
        assert wire.frame().opcode == 0x8
    assert hub.sent.ticks == 1


# The state machines


def message(number: int) -> TickMessage:
    return TickMessage.of(Opcode.TEXT, b"%d" % number, 1, (1, 0, 0))


@given(
    ticks=st.integers(0, 60),
    lose=st.none() | st.builds(sim.Lose, st.floats(0.01, 1), st.integers(0, 9)),
    duplicate=st.none() | st.builds(sim.Duplicate, st.floats(0.01, 1), st.integers(0, 9), st.integers(0, 5)),
    reorder=st.none() | st.builds(sim.Reorder, st.integers(1, 10), st.integers(0, 9)),
)
def test_every_message_is_accounted_for(
    ticks: int, lose: sim.Lose | None, duplicate: sim.Duplicate | None, reorder: sim.Reorder | None
):
    selection = Selection()
    for distortion in (lose, duplicate, reorder):
        if distortion is not None:
            selection.set(distortion)
    out = [chosen for number in range(ticks) for chosen in selection.feed(message(number))]
    assert len(out) <= 2 * ticks
    out += selection.rest()
    originals = [int(chosen.message.payload) for chosen in out if not chosen.is_copy]
    copies = [int(chosen.message.payload) for chosen in out if chosen.is_copy]
    assert len(originals) == len(set(originals)) == ticks - selection.lost_ticks
    assert len(copies) == len(set(copies))
    assert set(copies) <= set(originals)
    if reorder is None:
        assert originals == sorted(originals)
    if duplicate is None:
        assert copies == []
    if lose is None:
        assert selection.lost_ticks == 0
    assert selection.rest() == []


@given(st.binary(max_size=300), st.integers(1, 50), st.booleans())
def test_fragments_join_to_the_message(payload: bytes, size: int, pings: bool):
    data = fragments(Opcode.TEXT, payload, sim.Fragment(size, pings))
    joined, last = b"", False
    at = 0
    while at < len(data):
        assert not last
        first, length = data[at], data[at + 1]
        at += 2
        part, at = data[at : at + length], at + length
        if first & 0x0F != PING:
            assert len(part) <= size
            joined += part
            last = bool(first & 0x80)
    assert (joined, last) == (payload, True)


@given(st.binary(max_size=50), st.none() | st.integers(1, 60))
def test_a_cut_loses_nothing(payload: bytes, at: int | None):
    parts = cut(payload, sim.Split(at))
    assert b"".join(parts) == payload
    assert len(parts) == (2 if len(payload) > 1 else 1)
    assert all(parts) or payload == b""


@settings(max_examples=50)
@given(st.lists(st.floats(0, 10), max_size=30), st.floats(0, 5), st.floats(0, 5), st.integers(0, 9))
def test_a_delay_never_overtakes(gaps: list[float], seconds: float, jitter_s: float, seed: int):
    pace = Pace(sim.Delay(seconds, jitter_s, seed))
    now_s, before = 0.0, 0.0
    for gap in gaps:
        now_s += gap
        due_s = pace.due_s(now_s)
        assert due_s >= before
        assert now_s + seconds <= due_s
        assert due_s <= max(before, now_s + seconds + jitter_s)
        before = due_s


def test_ticks_in_counts_what_the_hub_counts():
    _, info = run(shape="mixed", elements_per_record=8, records_per_message=5, ticks=2_000)
    assert info.sent.ticks == 2_000
    assert ticks_in(("trade", "X", [1, 2])) == 2
