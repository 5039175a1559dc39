"""A client that speaks MessagePack: against the embedded hub, beside a JSON client, and against bytes."""

from __future__ import annotations

import json
from collections.abc import Callable

import msgpack
import pytest

import tickwire as tw
from hubs import BINARY, PATIENCE_S, TEXT, UNIT_S, Connection, HandmadeHub, Script, frame, no_leftovers
from packed import framed, invocation
from tickwire.events import Message
from tickwire.link_limits import LinkLimits

SYMBOL = "CON.F.US.EP.Z25"
TOKEN = "opaque-token-of-a-test"
WHEN = msgpack.Timestamp(1_763_649_000, 250_000_000)
WHEN_NS = 1_763_649_000_250_000_000
FAST = LinkLimits(backoff_min_s=0.01, backoff_max_s=0.05)


def engine_of() -> tw.Engine:
    return tw.Engine([tw.Instrument(SYMBOL, tick_size=0.25)], ["1m"])


def trade(price: float) -> bytes:
    """A trade as a server of Microsoft's writes it: capitals, decimals as text, a time as extension."""
    data = {"SymbolId": "F.US.EP", "Price": f"{price:.9f}", "Timestamp": WHEN, "Type": "Sell", "Volume": 3}
    return invocation("GatewayTrade", SYMBOL, [data])


def messages(connection: Connection, count: int) -> list[list[object]]:
    """The next messages of a client, each of them alone in its binary frame; pings of it left out."""
    read: list[list[object]] = []
    while len(read) < count:
        opcode, payload = connection.read_frame()
        assert opcode == BINARY
        body = payload[1 if payload[0] < 0x80 else 2 :]
        assert framed(body) == payload
        items = msgpack.unpackb(body)
        read += [items] if items != [6] else []
    return read


def opened(calls: int, *after: bytes, glued: bytes = b"") -> Script:
    """A script: a good connection in MessagePack, then `after`, each in a frame; then until the end."""

    def script(connection: Connection) -> None:
        connection.upgrade()
        opcode, asked = connection.read_frame()
        assert (opcode, json.loads(asked[:-1])) == (TEXT, {"protocol": "messagepack", "version": 1})
        connection.send(frame(b"{}\x1e" + glued, BINARY))
        for call in messages(connection, calls):
            kind, headers, invocation_id, target, _, streams = call
            assert (kind, headers, streams) == (1, {}, [])
            refused = target == "Nonsense"
            outcome = [1, "no such method"] if refused else [2]
            connection.send(frame(framed(msgpack.packb([3, {}, invocation_id, *outcome])), BINARY))
        for data in after:
            connection.send(frame(data, BINARY))
        connection.serve()

    return script


def until(condition: Callable[[], object], hub: HandmadeHub) -> None:
    """Wait for a condition that the hub's script brings about."""
    connection = hub.connection()
    limit_s = PATIENCE_S
    while not condition():
        assert limit_s > 0, "what the test waits for did not happen"
        connection.ended.wait(0.005)
        limit_s -= 0.005


# The embedded hub


@pytest.mark.parametrize("swaps", [False, True], ids=["one socket", "two sockets"])
def test_both_protocols_bring_the_same_ticks(swaps: bool) -> None:
    market = tw.sim.Market(3, seed=5, rate=4_000, mix={"trade": 0.4, "quote": 0.4, "depth": 0.2})
    instruments = [
        tw.Instrument(contract.symbol, tick_size=contract.tick_size) for contract in market.contracts
    ]
    # Two sockets may bring ticks of one instant in another order, or one of them a little later.
    timeframes = ["1d"] if swaps else ["1s", "1m"]
    plain, packed = tw.Engine(instruments, timeframes), tw.Engine(instruments, timeframes)
    streams = ("trades", "quotes", "depth")
    count = 6_000
    hub = tw.sim.Hub(
        market, count=count, start="manual", shape="mixed", records_per_message=7, first_depth=None
    )
    with (
        no_leftovers(),
        hub,
        tw.connect(hub=hub.url, token=hub.token(), engine=plain, streams=streams, clock="event"),
        tw.connect(
            hub=hub.url,
            token=hub.token(),
            engine=packed,
            streams=streams,
            clock="event",
            protocol="messagepack",
        ) as client,
    ):
        hub.start()
        if swaps:
            hub.wait_until(lambda hub: hub.sent.ticks > count // 4, PATIENCE_S)
            client.swap()
            hub.wait_until(lambda _: client.status()["swaps"] == 1, PATIENCE_S, what="the swap")
        hub.wait_finished(PATIENCE_S)
        for engine in (plain, packed):
            hub.wait_until(
                lambda _, engine=engine: engine.stats()["received"] >= count, PATIENCE_S, what="all ticks"
            )
        assert client.status()["unreadable_controls"] == 0
    ours, theirs = packed.stats(), plain.stats()
    assert ours["accepted"] == theirs["accepted"] == count
    # How quickly ticks come is each connection's own.
    same = theirs.keys() - {"duplicates", "clock_offset_ns"}
    assert {name: ours[name] for name in same} == {name: theirs[name] for name in same}
    for symbol in plain.symbols:
        for read in (tw.Engine.trades, tw.Engine.quotes):
            one, other = (read(engine, symbol).drop("ts_recv") for engine in (packed, plain))
            assert one.sort(one.columns).equals(other.sort(other.columns)), symbol
        for timeframe in () if swaps else timeframes:
            one, other = (engine.bars(symbol, timeframe, partial=True) for engine in (packed, plain))
            assert one.equals(other), symbol


def test_a_call_that_the_hub_refuses_is_told() -> None:
    with (
        no_leftovers(),
        tw.sim.Hub(tw.sim.Market(1, seed=1), start="manual") as hub,
        pytest.raises(tw.SubscribeRefused, match=r"Nonsense.*Method does not exist"),
        tw.connect(hub=hub.url, token=hub.token(), calls=[("Nonsense", 1)], protocol="messagepack"),
    ):
        pass


# A hub made of bytes


def test_what_comes_with_the_answer_to_the_handshake_is_not_lost() -> None:
    engine = engine_of()
    ping = framed(b"\x91\x06")
    # A message that is cut between two frames, which a hub should not do, and is read all the same.
    last = trade(5001.0)
    with (
        no_leftovers(),
        HandmadeHub(opened(2, trade(5000.5), last[:30], last[30:], glued=trade(5000.25) + ping)) as hub,
        tw.connect(hub=hub.url, token=TOKEN, engine=engine, protocol="messagepack", clock="event") as client,
    ):
        until(lambda: engine.stats()["received"] == 3, hub)
        assert client.status()["hub_pings"] == 1
    trades = engine.trades(SYMBOL)
    assert trades["price"].to_list() == [5000.25, 5000.5, 5001.0]
    assert trades["side"].to_list() == [-1, -1, -1]
    assert trades["ts_event"].to_physical().to_list() == [WHEN_NS] * 3
    goodbye = [payload for opcode, payload in hub.connection().frames if opcode == BINARY][-1]
    assert goodbye == framed(msgpack.packb([7, None]))


def test_a_client_without_an_engine_hears_messages() -> None:
    order = {"id": 7, "at": WHEN, 5: b"x"}
    says = (
        invocation("GatewayUserOrder", order),
        framed(msgpack.packb([3, {}, "no call of ours", 3, 1])),
        framed(msgpack.packb([8, 1])),
        framed(msgpack.packb([99, "x"])),
        framed(msgpack.packb([3, {}])),
        framed(b"\xc1"),
        invocation("GatewayUserTrade", {"id": 8}),
    )
    with (
        no_leftovers(),
        HandmadeHub(opened(1, *says)) as hub,
        tw.connect(
            hub=hub.url, token=TOKEN, calls=[("SubscribeOrders", 123)], protocol="messagepack"
        ) as client,
    ):
        told = client.events()
        heard: list[Message] = []

        def ended() -> bool:
            heard.extend(event for event in told.poll() if isinstance(event, Message))
            return client.status()["controls"] == len(says) + 1

        until(ended, hub)
        heard.extend(event for event in told.poll() if isinstance(event, Message))
        assert client.status()["unreadable_controls"] == 2
    assert [event for event in heard if event.target] == heard[:1] + heard[-1:]
    assert (heard[0].target, heard[0].arguments) == ("GatewayUserOrder", (order,))
    assert heard[-1].arguments == ({"id": 8},)


def test_a_close_says_why_and_whether_to_come_back() -> None:
    close = framed(msgpack.packb([7, "going down", True]))
    engine = engine_of()
    with (
        no_leftovers(),
        HandmadeHub(opened(2, trade(5000.0), close), opened(2, trade(5000.25))) as hub,
        tw.connect(
            hub=hub.url, token=TOKEN, engine=engine, protocol="messagepack", clock="event", limits=FAST
        ) as client,
    ):
        until(lambda: engine.stats()["received"] == 2, hub)
        assert "going down" in client.status()["last_error"]


def test_a_stream_without_lengths_is_given_up_and_a_new_connection_made() -> None:
    engine = engine_of()
    lost = b"\xff\xff\xff\xff\xff\x0f" + trade(1.0)
    with (
        no_leftovers(),
        HandmadeHub(opened(2, trade(5000.0), lost), opened(2, trade(5000.25))) as hub,
        tw.connect(
            hub=hub.url, token=TOKEN, engine=engine, protocol="messagepack", clock="event", limits=FAST
        ) as client,
    ):
        until(lambda: engine.trades(SYMBOL).height == 2, hub)
        assert "no length where a message should begin" in client.status()["last_error"]
        assert client.status()["connections"] == 2
    assert engine.stats()["rejections"] == {"malformed": 1}


def test_a_malformed_and_an_oversize_message_harm_no_other() -> None:
    engine = engine_of()
    engine.feed("main", max_record_bytes=400, protocol="messagepack")
    bad = [framed(b"\xc1\xff"), framed(msgpack.packb([6, "x" * 500])), framed(b"")]
    with (
        no_leftovers(),
        HandmadeHub(opened(2, bad[0] + trade(5000.0) + bad[1], bad[2] + trade(5000.25))) as hub,
        tw.connect(hub=hub.url, token=TOKEN, engine=engine, protocol="messagepack", clock="event") as client,
    ):
        until(lambda: engine.stats()["received"] == 5, hub)
        assert client.status()["connections"] == 1
    assert engine.stats()["rejections"] == {"malformed": 2, "oversize": 1}
    assert engine.trades(SYMBOL)["price"].to_list() == [5000.0, 5000.25]


def test_a_hub_that_speaks_json_only_refuses() -> None:
    def script(connection: Connection) -> None:
        connection.upgrade()
        connection.read_frame()
        connection.send(frame(b'{"error":"The protocol \'messagepack\' is not supported."}\x1e'))
        connection.serve()

    limits = LinkLimits(backoff_min_s=0.01, backoff_max_s=0.02, start_s=UNIT_S)
    with (
        HandmadeHub(script) as hub,
        pytest.raises(tw.ConnectionFailed, match="'messagepack' is not supported"),
        tw.connect(hub=hub.url, token=TOKEN, engine=engine_of(), protocol="messagepack", limits=limits),
    ):
        pass


# Feeds


def test_a_feed_reads_one_protocol() -> None:
    engine = engine_of()
    packed = engine.feed("packed", protocol="messagepack")
    assert (packed.protocol, engine.feed().protocol) == ("messagepack", "json")
    assert engine.feed("packed", protocol="messagepack") is packed
    with pytest.raises(tw.ConfigError, match="got 'json', but the feed 'packed' reads 'messagepack'"):
        engine.feed("packed")
    with pytest.raises(tw.ConfigError, match="got 'messagepack', but the feed 'main' reads 'json'"):
        engine.feed(protocol="messagepack")
    with pytest.raises(tw.ConfigError, match='got "msgpack", expected "json" or "messagepack"'):
        engine.feed("third", protocol="msgpack")  # type: ignore[arg-type]
    with pytest.raises(tw.ConfigError, match="got 'msgpack', expected one of 'json', 'messagepack'"):
        tw.connect(hub="http://127.0.0.1:1", engine=engine, protocol="msgpack")  # type: ignore[arg-type]
    with pytest.raises(tw.ConfigError, match="but the feed 'main' reads 'json'"):
        tw.connect(hub="http://127.0.0.1:1", engine=engine, protocol="messagepack")


def test_a_feed_in_messagepack() -> None:
    engine = engine_of()
    feed = engine.feed("packed", protocol="messagepack")
    stream = trade(5000.0) + framed(b"\x91\x06") + trade(5000.25)
    receipt = feed.push_bytes(stream[:150], WHEN_NS + 5)
    assert (receipt.received, receipt.control) == (1, (b"\x91\x06",))
    assert feed.carried_bytes > 0
    assert feed.push_bytes(memoryview(stream[150:]), WHEN_NS + 7).accepted == 1
    assert engine.trades(SYMBOL)["ts_recv"].to_physical().to_list() == [WHEN_NS + 5, WHEN_NS + 7]
    assert not feed.is_lost
    receipt = feed.push_bytes(b"\x80\x80\x80\x80\x80\x00" + stream)
    assert (receipt.received, receipt.rejected, feed.is_lost) == (1, 1, True)
    assert feed.push_bytes(stream).received == 0
    feed.reset()
    assert not feed.is_lost
    assert feed.push_bytes(stream).accepted == 2
