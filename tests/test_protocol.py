"""The codecs of the client and the feed without an engine, against `msgpack` and the specification."""

from __future__ import annotations

import contextlib
import itertools
import json
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from signalrcore.messages.close_message import CloseMessage
from signalrcore.messages.handshake.request import HandshakeRequestMessage
from signalrcore.messages.invocation_message import InvocationMessage
from signalrcore.messages.ping_message import PingMessage

from packed import framed
from tickwire.config import ProtocolName
from tickwire.protocol import JsonCodec, MessagePackCodec, RawProtocol
from tickwire.rawfeed import RawFeed


def protocol(name: ProtocolName, sink: list[bytes] | None = None) -> RawProtocol:
    return RawProtocol(name, [].append if sink is None else sink.append)


# What the client says


@pytest.mark.parametrize("name", ["json", "messagepack"])
def test_the_handshake_is_json_text_in_either_protocol(name: ProtocolName) -> None:
    made = protocol(name)
    request = made.handshake_message()
    assert isinstance(request, HandshakeRequestMessage)
    assert made.encode(request) == f'{{"protocol":"{name}","version":1}}\x1e'


@pytest.mark.parametrize("size", [0, 1, 100, 127, 128, 20_000, 3_000_000])
def test_a_call_in_messagepack(size: int) -> None:
    call = InvocationMessage("7", "SubscribeOrders", ["x" * size, 1, None, 2.5])
    data = protocol("messagepack").encode(call)
    body = msgpack.packb([1, {}, "7", "SubscribeOrders", ["x" * size, 1, None, 2.5], []])
    assert data == framed(body)


def test_ping_and_close_in_messagepack() -> None:
    made = protocol("messagepack")
    assert made.encode(PingMessage()) == b"\x02\x91\x06"
    assert made.encode(CloseMessage(None, None)) == b"\x03\x92\x07\xc0"
    assert made.encode(CloseMessage("over", None)) == framed(msgpack.packb([7, "over"]))


def test_the_json_ones_are_text() -> None:
    made = protocol("json")
    assert made.encode(PingMessage()) == '{"type":6}\x1e'
    call = InvocationMessage("7", "SubscribeOrders", [1])
    assert json.loads(str(made.encode(call))[:-1]) == {
        "type": 1,
        "invocationId": "7",
        "target": "SubscribeOrders",
        "arguments": [1],
    }


@pytest.mark.parametrize("name", ["json", "messagepack"])
def test_what_a_client_does_not_send_is_refused(name: ProtocolName) -> None:
    with pytest.raises(TypeError, match="object is not a message that this client sends"):
        protocol(name).encode(object())


# What the hub says


@pytest.mark.parametrize("name", ["json", "messagepack"])
def test_what_follows_the_answer_to_the_handshake_goes_to_the_sink(name: ProtocolName) -> None:
    heard: list[bytes] = []
    made = protocol(name, heard)
    answer, _ = made.decode_handshake(b"{}\x1e" + b"\x02\x91\x06\x1e")
    assert answer.error is None
    assert heard == [b"\x02\x91\x06\x1e"]
    answer, _ = made.decode_handshake(b'{"error":"no such protocol"}\x1e\x02\x91\x06')
    assert answer.error == "no such protocol"
    assert len(heard) == 1


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([1, {}, None, "Tell", [1, "a"], []], {"type": 1, "target": "Tell", "arguments": [1, "a"]}),
        ([1, {"a": "b"}, "5", "Ask", []], {"type": 1, "invocationId": "5", "target": "Ask", "arguments": []}),
        ([2, {}, "5", {"x": 1}], {"type": 2, "invocationId": "5", "item": {"x": 1}}),
        ([3, {}, "5", 1, "no"], {"type": 3, "invocationId": "5", "error": "no"}),
        ([3, {}, "5", 1, None], {"type": 3, "invocationId": "5", "error": ""}),
        ([3, {}, "5", 2], {"type": 3, "invocationId": "5"}),
        ([3, {}, "5", 3, [1]], {"type": 3, "invocationId": "5", "result": [1]}),
        ([3, {}, "5", 3, None], {"type": 3, "invocationId": "5"}),
        # A server in the field sends headers that are none.
        ([3, 128, "5", 2], {"type": 3, "invocationId": "5"}),
        ([4, {}, "5", "Flow", [], []], {"type": 4, "invocationId": "5", "target": "Flow", "arguments": []}),
        ([5, {}, "5"], {"type": 5, "invocationId": "5"}),
        ([6], {"type": 6}),
        ([7, None], {"type": 7}),
        ([7, "over"], {"type": 7, "error": "over"}),
        ([7, "over", True], {"type": 7, "error": "over", "allowReconnect": True}),
        ([7, None, False, "later"], {"type": 7, "allowReconnect": False}),
        ([8, 17], {"type": 8, "sequenceId": 17}),
        ([9, 17], {"type": 9, "sequenceId": 17}),
        ([99, "x", [1]], {"type": 99, "items": ["x", [1]]}),
        ([0], {"type": 0, "items": []}),
        ([-1], {"type": -1, "items": []}),
    ],
)
def test_every_message_has_the_names_of_json(items: list[Any], message: dict[str, Any]) -> None:
    assert protocol("messagepack").message_of(msgpack.packb(items)) == message


@pytest.mark.parametrize(
    "items",
    [
        [],
        {},
        "text",
        None,
        [None],
        ["6"],
        [True],
        [6.0],
        [1],
        [1, {}, None, "Tell"],
        [1, {}, None, "Tell", "x"],
        [2, {}, "5"],
        [3, {}, "5"],
        [3, {}, "5", 1],
        [3, {}, "5", 3],
        [3, {}, "5", 4, "x"],
        [5],
        [7],
        [8],
        [9],
        [1, {}, None, "Tell", [{(1, 2): 3}]],
    ],
)
def test_what_is_no_message_is_a_value_error(items: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        protocol("messagepack").message_of(msgpack.packb(items))


@pytest.mark.parametrize("record", [b"", b"[]", b"7", b"nul", b"[" * 100_000, b'"' + b"\xff"])
def test_what_is_no_json_message_is_a_value_error(record: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        protocol("json").message_of(record)


@given(st.binary(max_size=80))
def test_any_bytes_are_a_message_or_a_value_error(record: bytes) -> None:
    for codec in (JsonCodec(), MessagePackCodec()):
        for data in (record, b"\x96\x01\x80\xc0\xa1a" + record):
            with contextlib.suppress(ValueError):
                assert isinstance(codec.unpack(data), dict)


def test_times_keep_their_nanoseconds() -> None:
    moment = msgpack.Timestamp(1_721_569_500, 123_456_789)
    record = msgpack.packb([1, {}, None, "Tell", [{"at": moment, 5: msgpack.ExtType(7, b"x")}], []])
    message = protocol("messagepack").message_of(record)
    assert message["arguments"] == [{"at": moment, 5: msgpack.ExtType(7, b"x")}]


# A feed without an engine


def taken(feed: RawFeed, parts: list[bytes]) -> list[bytes]:
    return [record for part in parts for record in feed.push_bytes(part).control]


@given(st.lists(st.binary(max_size=300), max_size=6), st.data())
def test_messages_come_whole_however_the_stream_is_cut(bodies: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(map(framed, bodies))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    parts = [stream[a:b] for a, b in itertools.pairwise([0, *cuts, len(stream)])]
    feed = RawFeed("messagepack")
    assert taken(feed, parts) == bodies
    assert not feed.is_lost


@pytest.mark.parametrize("bad", [b"\xff\xff\xff\xff\xff\x01", b"\x80\x80\x80\x80\x08", b"\x80" * 9])
def test_what_is_no_length_loses_the_stream_until_the_next_connection(bad: bytes) -> None:
    good = framed(b"\x91\x06")
    feed = RawFeed("messagepack")
    receipt = feed.push_bytes(good + bad + good)
    assert (receipt.control, receipt.received, receipt.rejected) == ((b"\x91\x06",), 1, 1)
    assert feed.is_lost
    assert feed.push_bytes(good).control == ()
    feed.reset()
    assert feed.push_bytes(good).control == (b"\x91\x06",)


def test_a_reset_forgets_the_cut_record() -> None:
    for name, start, whole in (
        ("json", b'{"type":', b'{"type":6}\x1e'),
        ("messagepack", b"\x05\x91", b"\x02\x91\x06"),
    ):
        feed = RawFeed("json" if name == "json" else "messagepack")
        assert feed.push_bytes(start).control == ()
        feed.reset()
        assert len(feed.push_bytes(whole).control) == 1
