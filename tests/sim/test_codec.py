"""`sim.codec` against general encoders, and against bytes worked out by hand."""

from __future__ import annotations

import json

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwire.sim import codec

JSON = codec.JsonProtocol()
PACK = codec.MessagePackProtocol()


def test_json_records_end_with_0x1e():
    payload = b'{"arguments":["X"],"target":"T","type":1}\x1e{"type":6}\x1e{"type":99,"new":[]}\x1e'
    first, ping, unknown = JSON.parse(payload)
    assert first == codec.ClientMessage(1, None, "T", ("X",))
    assert ping == codec.ClientMessage(6)
    assert unknown.type == 99


@pytest.mark.parametrize(
    "payload",
    [
        b'{"type":6}',
        b"\x1e",
        b"nope\x1e",
        b"[1]\x1e",
        b'{"type":"1"}\x1e',
        b'{"type":true}\x1e',
        b"{}\x1e",
        b'{"type":1,"target":"T"}\x1e',
        b'{"type":1,"arguments":[]}\x1e',
        b'{"type":1,"target":7,"arguments":[]}\x1e',
        b'{"type":1,"invocationId":7,"target":"T","arguments":[]}\x1e',
        b"\xff\x1e",
        b"[" * 100_000 + b"\x1e",
    ],
)
def test_json_that_is_no_message_is_refused(payload: bytes):
    with pytest.raises(codec.CodecError):
        JSON.parse(payload)


@pytest.mark.parametrize(
    "payload",
    [
        b"\x80",  # a length that goes on, and ends
        b"\x80\x80\x80\x80\x80\x01",  # six bytes of length
        b"\x05\x91\x06",  # five bytes announced, two there
        b"\x01\xc1",  # a byte that MessagePack never uses
        b"\x01\x06",  # a number, not an array
        b"\x01\x90",  # an array without a type
        b"\x03\x92\xa1\x31\x01",  # a type that is text
    ],
)
def test_message_pack_that_is_no_message_is_refused(payload: bytes):
    with pytest.raises(codec.CodecError):
        PACK.parse(payload)


@pytest.mark.parametrize(
    ("length", "prefix"),
    [
        (0x7F, b"\x7f"),
        (0x80, b"\x80\x01"),
        (0x3FFF, b"\xff\x7f"),
        (0x4000, b"\x80\x80\x01"),
        (0x200000, b"\x80\x80\x80\x01"),
    ],
)
def test_lengths_are_varints(length: int, prefix: bytes):
    # An invocation of target "T" with one long string argument, made exactly `length` bytes long.
    def body(text: str) -> bytes:
        return msgpack.packb([1, {}, None, "T", [text], []])

    text = "x" * (length - len(body("x" * length)) + length)
    assert len(body(text)) == length
    payload = PACK.invocation("T", [text])
    assert payload == prefix + body(text)
    assert PACK.parse(payload) == [codec.ClientMessage(1, None, "T", (text,))]


def test_message_pack_by_the_byte():
    assert PACK.ping() == b"\x02\x91\x06"
    assert PACK.completion("1") == b"\x06\x94\x03\x80\xa1\x31\x02"
    assert PACK.completion("1", error="no") == b"\x09\x95\x03\x80\xa1\x31\x01\xa2no"
    assert PACK.close(None, None) == b"\x03\x92\x07\xc0"
    assert PACK.close("e", allow_reconnect=True) == b"\x05\x93\x07\xa1e\xc3"
    assert PACK.invocation("T", [1]) == b"\x09\x96\x01\x80\xc0\xa1T\x91\x01\x90"


def test_json_by_the_byte():
    assert JSON.ping() == b'{"type":6}\x1e'
    assert JSON.completion("1") == b'{"type":3,"invocationId":"1"}\x1e'
    assert JSON.completion("1", error="no") == b'{"type":3,"invocationId":"1","error":"no"}\x1e'
    assert JSON.close(None, None) == b'{"type":7}\x1e'
    assert JSON.close("e", allow_reconnect=False) == b'{"type":7,"error":"e","allowReconnect":false}\x1e'
    assert JSON.invocation("T", ["é"]) == '{"type":1,"target":"T","arguments":["é"]}\x1e'.encode()


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
calls = st.lists(
    st.tuples(st.none() | st.text(), st.text(), st.lists(values, max_size=3)), min_size=1, max_size=4
)


@given(calls)
def test_both_protocols_read_what_general_encoders_write(made: list[tuple[str | None, str, list[object]]]):
    expected = [codec.ClientMessage(1, key, target, tuple(arguments)) for key, target, arguments in made]
    text = "".join(
        json.dumps(
            {"type": 1, "target": target, "arguments": arguments}
            | ({} if key is None else {"invocationId": key})
        )
        + "\x1e"
        for key, target, arguments in made
    )
    assert JSON.parse(text.encode()) == expected
    packed = b""
    for key, target, arguments in made:
        body = msgpack.packb([1, {}, key, target, arguments])  # without stream ids, as older clients send it
        low, high = len(body) & 0x7F, len(body) >> 7
        packed += (bytes([low | 0x80, high]) if high else bytes([low])) + body
    assert PACK.parse(packed) == expected


def test_handshakes():
    assert codec.parse_handshake(b'{"version":1,"protocol":"json"}') == ("json", 1)
    for bad in (b"", b"[]", b"{"):
        with pytest.raises(codec.CodecError):
            codec.parse_handshake(bad)
    assert codec.handshake_reply() == b"{}\x1e"
    assert codec.handshake_reply("no") == b'{"error":"no"}\x1e'
    assert codec.protocol_named("json") is not None
    assert codec.protocol_named("JSON") is None
