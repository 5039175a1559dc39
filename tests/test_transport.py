"""The connection against a hub that misbehaves: what the wire carries, and how each fault ends."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hubs import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PATIENCE_S,
    PING,
    PONG,
    TEXT,
    UNIT_S,
    Connection,
    HandmadeHub,
    Script,
    Sink,
    frame,
    good,
    park,
    record,
)
from tickwire.address import HubAddress
from tickwire.auth import Token
from tickwire.clock import Clock
from tickwire.errors import (
    ConfigError,
    ConnectionFailed,
    ConnectTimeout,
    HandshakeRefused,
    SubscribeRefused,
    UpgradeRefused,
)
from tickwire.hub import MarketHub
from tickwire.link_limits import LinkLimits
from tickwire.route import Route
from tickwire.wakeup import Stopped, Waiter

EVENT = {"type": 1, "target": "GatewayTrade", "arguments": ["A", {}]}
EVENT_RECORD = record(EVENT)


class Rig:
    """A `MarketHub` with its waiter and a sink, driven by the test's own thread."""

    def __init__(self, url: str, limits: LinkLimits | None = None, **options: Any) -> None:
        self.sink = Sink()
        self.controls: list[dict[str, Any]] = []
        self.waiter = Waiter(Clock())
        self.hub = MarketHub(
            Route.of(url, tls=options.pop("tls", None)),
            protocol=options.pop("protocol", "json"),
            token=options.pop("token", None),
            feed=self.sink,
            on_control=options.pop("on_control", self.controls.append),
            limits=limits if limits is not None else LinkLimits(),
            clock=Clock(),
            waiter=self.waiter,
            **options,
        )

    def step_until(self, condition: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline_s, "what the test waits for did not happen"
            self.hub.step(0.02)

    def end_of_link(self) -> ConnectionFailed:
        """Step until the link fails; the error."""
        with pytest.raises(ConnectionFailed) as caught:
            self.step_until(lambda: False)
        return caught.value


@contextlib.contextmanager
def rig(hub: HandmadeHub, limits: LinkLimits | None = None, **options: Any) -> Iterator[Rig]:
    made = Rig(hub.url, limits, **options)
    try:
        yield made
    finally:
        made.hub.finish()
        made.waiter.close()


# Opening


def test_the_upgrade_and_the_handshake_are_what_the_protocol_asks_for() -> None:
    with HandmadeHub(good(0)) as hub, rig(hub, token=Token("t0ken")) as made:
        assert made.hub.start() is True
        connection = hub.connection()
        assert connection.request_line == "GET /hubs/market HTTP/1.1"
        assert connection.headers["host"] == f"127.0.0.1:{hub.port}"
        assert connection.headers["authorization"] == "Bearer t0ken"
        assert connection.headers["sec-websocket-version"] == "13"
        assert "sec-websocket-extensions" not in connection.headers
        assert connection.asked == {"protocol": "json", "version": 1}
        sock = made.hub.transport.client._live()
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0


def test_without_a_token_there_is_no_authorization_header() -> None:
    with HandmadeHub(good(0)) as hub, rig(hub) as made:
        made.hub.start()
        assert "authorization" not in hub.connection().headers


def test_records_glued_to_the_upgrade_answer_and_to_the_handshake_are_kept() -> None:
    def script(connection: Connection) -> None:
        connection.read_request()
        # All in one segment: the answer to a handshake that has not been asked for yet, too.
        connection.send(connection.accept_bytes() + frame(b"{}\x1e" + EVENT_RECORD) + frame(EVENT_RECORD))
        connection.serve()

    with HandmadeHub(script) as hub, rig(hub) as made:
        made.hub.start()
        made.step_until(lambda: len(made.sink.payload) == 2 * len(EVENT_RECORD))
        assert made.sink.payload == EVENT_RECORD * 2


def test_everything_may_come_one_byte_at_a_time() -> None:
    def script(connection: Connection) -> None:
        connection.read_request()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in connection.accept_bytes() + frame(b"{}\x1e") + frame(EVENT_RECORD):
            connection.send(bytes([byte]))
        connection.serve()

    with HandmadeHub(script) as hub, rig(hub) as made:
        made.hub.start()
        made.step_until(lambda: made.sink.payload == EVENT_RECORD)


def answering(answer: Callable[[Connection], bytes]) -> Script:
    def script(connection: Connection) -> None:
        connection.read_request()
        connection.send(answer(connection))
        park(connection)

    return script


def refused(answer: Callable[[Connection], bytes]) -> ConnectionFailed:
    with HandmadeHub(answering(answer)) as hub, rig(hub) as made:
        with pytest.raises(ConnectionFailed) as caught:
            made.hub.start()
        assert made.hub.transport.client._sock is None, "the socket must be closed"
        assert made.hub.transport.is_disconnected()
        return caught.value


@pytest.mark.parametrize(
    ("head", "status", "advice"),
    [
        (
            b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
            401,
            "token is missing, wrong or expired",
        ),
        # The body never comes; and the length looks like the status of success.
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 101\r\n\r\n", 403, "token does not allow this hub"),
        (b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n", 404, "no hub at this path"),
        (
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/101\r\n\r\n",
            302,
            "redirects are not followed",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "expected 101"),
        (b"HTTP/1.0 503 \r\n\r\n", 503, "expected 101"),
    ],
)
def test_any_status_but_101_is_a_refusal(head: bytes, status: int, advice: str) -> None:
    error = refused(lambda _: head)
    assert isinstance(error, UpgradeRefused)
    assert error.status == status
    assert f"HTTP {status}" in str(error)
    assert advice in str(error)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"Sec-WebSocket-Accept: ", b"Sec-WebSocket-Accept: x", "Sec-WebSocket-Accept header"),
        (b"Sec-WebSocket-Accept: ", b"X-Other: ", "Sec-WebSocket-Accept header"),
        (b"Upgrade: websocket", b"Upgrade: h2c", "Upgrade header"),
        (b"Connection: Upgrade", b"Connection: close", "Connection header"),
        (
            b"Connection: Upgrade",
            b"Connection: Upgrade\r\nSec-WebSocket-Extensions: permessage-deflate",
            "extension",
        ),
        (b"HTTP/1.1 101", b"SSH-2.0-OpenSSH", "did not answer the HTTP upgrade in HTTP/1.1"),
    ],
)
def test_a_101_that_is_no_websocket_answer_is_refused(old: bytes, new: bytes, words: str) -> None:
    error = refused(lambda connection: connection.accept_bytes().replace(old, new))
    assert words in str(error)


def test_headers_without_end_are_refused() -> None:
    error = refused(lambda _: b"HTTP/1.1 101 X\r\n" + b"X: y\r\n" * 20_000)
    assert "64 KiB" in str(error)


def test_a_connection_that_ends_during_the_upgrade_says_so() -> None:
    with (
        HandmadeHub(lambda connection: connection.read_request()) as hub,
        rig(hub) as made,
        pytest.raises(ConnectionFailed, match="ended the connection during the HTTP upgrade"),
    ):
        made.hub.start()


def test_nobody_listening_is_named_with_host_and_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    made = Rig(f"ws://127.0.0.1:{port}/hub")
    with pytest.raises(ConnectionFailed, match=f"cannot connect to 127.0.0.1:{port}: Connection refused"):
        made.hub.start()
    made.waiter.close()


def test_a_host_name_is_resolved_and_all_its_addresses_are_tried() -> None:
    # localhost has ::1 as well on most machines, where this hub does not listen.
    with HandmadeHub(good(0)) as hub:
        made = Rig(hub.url.replace("127.0.0.1", "localhost"))
        made.hub.start()
        assert hub.connection().headers["host"] == f"localhost:{hub.port}"
        made.hub.finish()
        made.waiter.close()


def test_a_name_that_does_not_exist_is_a_connection_failure() -> None:
    made = Rig("https://nowhere.invalid/hub")
    with pytest.raises(ConnectionFailed, match=r"nowhere\.invalid"):
        made.hub.start()
    made.waiter.close()


def test_an_upgrade_that_is_never_answered_times_out() -> None:
    with (
        HandmadeHub(park) as hub,
        rig(hub, LinkLimits(connect_s=0.2)) as made,
        pytest.raises(
            ConnectTimeout, match=r"within 0\.2 s: gave up waiting for the answer to the HTTP upgrade"
        ),
    ):
        made.hub.start()


def test_an_upgrade_answered_one_header_at_a_time_for_ever_times_out() -> None:
    def script(connection: Connection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\n")
        while True:
            connection.send(b"X-Wait: 1\r\n")
            time.sleep(0.02)

    with (
        HandmadeHub(script) as hub,
        rig(hub, LinkLimits(connect_s=0.2)) as made,
        pytest.raises(ConnectTimeout),
    ):
        made.hub.start()


def test_a_handshake_that_is_never_answered_times_out_though_pings_come() -> None:
    def script(connection: Connection) -> None:
        connection.upgrade()
        connection.send(frame(b"", PING))
        connection.serve()

    with HandmadeHub(script) as hub, rig(hub, LinkLimits(handshake_s=0.2)) as made:
        with pytest.raises(ConnectTimeout, match=r"SignalR handshake within 0\.2 s"):
            made.hub.start()
        assert (PONG, b"") in hub.connection().frames


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b'{"error":"Requested protocol \'json\' is not available."}\x1e', "is not available"),
        (b'{"error":""}\x1e', "refused the SignalR handshake: ''"),
        (b'{"type":6}\x1e', "expected an answer to the handshake"),
        (b"hello\x1e", "not JSON"),
        (b"[]\x1e", "not a JSON object"),
        (b"x" * 100_000, "64 KiB"),
    ],
)
def test_a_handshake_answered_with_anything_but_success_is_refused(answer: bytes, words: str) -> None:
    def script(connection: Connection) -> None:
        connection.upgrade()
        connection.read_frame()
        connection.send(frame(answer))
        park(connection)

    with HandmadeHub(script) as hub, rig(hub) as made:
        with pytest.raises(HandshakeRefused) as caught:
            made.hub.start()
        assert words in str(caught.value)
        assert made.hub.transport.is_disconnected()


# TLS


def test_over_tls_all_works_the_same(authority: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    server, client = authority
    body = EVENT_RECORD * 5000

    def script(connection: Connection) -> None:
        connection.open(0)
        connection.send(frame(body))
        connection.serve()

    with HandmadeHub(script, tls=server) as hub, rig(hub, tls=client, token=Token("t0ken")) as made:
        made.hub.start()
        made.step_until(lambda: len(made.sink.payload) == len(body))
        assert made.sink.payload == body
        made.hub.call("Anything", 1)
        records = hub.connection().records
        made.step_until(lambda: not records.empty())
        assert records.get()["target"] == "Anything"


def test_an_unknown_certificate_is_refused_by_default(
    authority: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    with HandmadeHub(good(0), tls=authority[0]) as hub, rig(hub, token=Token("t0ken")) as made:
        with pytest.raises(ConnectionFailed, match=r"certificate of 127\.0\.0\.1:\d+ is not trusted"):
            made.hub.start()
        assert hub.connection().raw == b"", "the request, with the token, went to a stranger"


def test_a_certificate_for_another_host_is_refused(authority: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    server, client = authority
    with HandmadeHub(good(0), tls=server) as hub:
        made = Rig(hub.url.replace("127.0.0.1", "localhost"), tls=client)
        with pytest.raises(ConnectionFailed, match="not trusted: Hostname mismatch"):
            made.hub.start()
        made.waiter.close()


def test_a_tls_handshake_that_is_never_answered_times_out() -> None:
    with HandmadeHub(park) as hub:
        made = Rig(hub.url.replace("http:", "https:"), LinkLimits(connect_s=0.2))
        with pytest.raises(ConnectTimeout, match="gave up waiting for the TLS handshake"):
            made.hub.start()
        made.waiter.close()


# Control frames and framing


def test_pings_are_answered_with_their_payload_wherever_they_stand() -> None:
    text = "größe".encode()
    message = b'{"type": 1, "x": "' + text + b'"}\x1e'
    cut = message.index(b"\xc3") + 1  # in the middle of a character

    def script(connection: Connection) -> None:
        connection.upgrade()
        connection.send(frame(b"early", PING))
        connection.shake_hands()
        connection.send(frame(b"hb-1", PING))
        connection.send(
            frame(message[:cut], fin=False) + frame(b"mid", PING) + frame(message[cut:], CONTINUATION)
        )
        connection.send(frame(EVENT_RECORD, BINARY))
        connection.serve()

    with HandmadeHub(script) as hub, rig(hub) as made:
        made.hub.start()
        made.step_until(lambda: made.sink.payload == message + EVENT_RECORD)
        connection = hub.connection()
        made.step_until(lambda: (PONG, b"mid") in connection.frames)
        pongs = [payload for opcode, payload in connection.frames if opcode == PONG]
        assert pongs == [b"early", b"hb-1", b"mid"]


def test_a_pong_with_payload_does_no_harm() -> None:
    def script(connection: Connection) -> None:
        connection.open(0)
        connection.send(frame(b"xyz", PONG) + frame(EVENT_RECORD))
        connection.serve()

    with HandmadeHub(script) as hub, rig(hub) as made:
        made.hub.start()
        made.step_until(lambda: made.sink.payload == EVENT_RECORD)
        assert made.hub.transport.client.pongs == 1


def test_a_close_frame_is_echoed_and_its_code_and_reason_are_told() -> None:
    said = b"\x03\xe9going away"

    def script(connection: Connection) -> None:
        connection.open(0)
        connection.send(frame(EVENT_RECORD) + frame(said, CLOSE))
        while connection.read_frame() != (CLOSE, said):
            pass

    with HandmadeHub(script) as hub, rig(hub) as made:
        made.hub.start()
        error = made.end_of_link()
        assert "code 1001: 'going away'" in str(error)
        assert made.sink.payload == EVENT_RECORD, "what came before the close must be delivered"
        assert hub.connection().ended.wait(PATIENCE_S)
        assert (CLOSE, said) in hub.connection().frames


def test_a_message_of_16_megabytes_arrives_and_one_over_the_limit_ends_the_link() -> None:
    body = b'{"type": 1, "x": "' + b"y" * (16 << 20) + b'"}\x1e'

    def script(connection: Connection) -> None:
        connection.open(0)
        connection.send(frame(body))
        connection.send(frame(b"z" * (len(body) + 1)))
        connection.serve()

    limits = LinkLimits(max_message_bytes=len(body))
    with HandmadeHub(script) as hub, rig(hub, limits) as made:
        made.hub.start()
        error = made.end_of_link()
        assert made.sink.payload == body
        assert f"the limit is {len(body)}; raise max_message_bytes" in str(error)
        connection = hub.connection()
        made.hub.finish(error)
        assert connection.ended.wait(PATIENCE_S)


def test_a_violation_ends_the_link_after_what_came_before_it() -> None:
    def script(connection: Connection) -> None:
        connection.open(0)
        connection.send(frame(EVENT_RECORD) + b"\xc1\x01x")
        connection.serve()

    with HandmadeHub(script) as hub, rig(hub) as made:
        made.hub.start()
        error = made.end_of_link()
        assert "broke the WebSocket protocol: reserved bits" in str(error)
        assert made.sink.payload == EVENT_RECORD
        connection = hub.connection()
        made.hub.finish(error)
        assert connection.ended.wait(PATIENCE_S)
        assert (CLOSE, b"\x03\xea") in connection.frames, "the hub is told: protocol error"


# The end of a link


def test_fin_and_rst_are_told_apart_and_end_the_link() -> None:
    def fin(connection: Connection) -> None:
        connection.open(0)
        connection.send(frame(EVENT_RECORD))

    with HandmadeHub(fin) as hub, rig(hub) as made:
        made.hub.start()
        assert "ended the connection without a close frame" in str(made.end_of_link())
        assert made.sink.payload == EVENT_RECORD

    def rst(connection: Connection) -> None:
        connection.open(0)
        connection.reset()

    with HandmadeHub(rst) as hub, rig(hub) as made:
        made.hub.start()
        assert "reset by peer" in str(made.end_of_link())


def test_what_a_hub_sent_before_it_left_is_read_though_it_takes_no_answer() -> None:
    go = threading.Event()
    body = EVENT_RECORD * 4000

    def script(connection: Connection) -> None:
        connection.open(0)
        go.wait(PATIENCE_S)
        # More than one read of it; then nobody is there to take the pong.
        connection.send(frame(b"hb", PING) + frame(body) + frame(body))

    with HandmadeHub(script) as hub, rig(hub) as made:
        made.hub.start()
        go.set()
        assert hub.connection().ended.wait(PATIENCE_S)
        error = made.end_of_link()
        assert made.sink.payload == body + body
        assert made.hub.transport.client.pings == 1
        assert "ended the connection" in str(error) or "broke" in str(error)


def test_a_hub_that_reads_nothing_is_given_up_before_memory_is() -> None:
    def script(connection: Connection) -> None:
        connection.open(0)
        park(connection)

    def flood() -> None:
        for _ in range(1000):
            made.hub.call("Echo", "x" * 60_000)
            made.hub.step(0.0)

    with HandmadeHub(script) as hub, rig(hub) as made:
        made.hub.start()
        with pytest.raises(ConnectionFailed, match="reads nothing of what it is sent"):
            flood()


def test_a_close_glued_to_the_handshake_answer_is_noticed_at_once() -> None:
    def script(connection: Connection) -> None:
        connection.upgrade()
        connection.read_frame()
        connection.send(frame(b"{}\x1e" + record({"type": 7, "error": "full"})))
        park(connection)

    with HandmadeHub(script) as hub, rig(hub) as made:
        made.hub.start()
        with pytest.raises(ConnectionFailed, match="closed the connection: 'full'"):
            made.hub.step(3600.0)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({"type": 7}, "the hub closed the connection"),
        (
            {"type": 7, "error": "shutting down", "allowReconnect": True},
            "closed the connection: 'shutting down'",
        ),
    ],
)
def test_a_close_message_ends_the_link_with_its_reason(message: dict[str, Any], words: str) -> None:
    with HandmadeHub(good(0, message)) as hub, rig(hub) as made:
        made.hub.start()
        assert words in str(made.end_of_link())


def test_a_hub_gone_silent_is_noticed_and_was_pinged() -> None:
    def script(connection: Connection) -> None:
        connection.open(0)
        # Reads, so that the pings are seen, but answers nothing: as a link that lost its way back.
        while True:
            connection.read_frame()

    limits = LinkLimits(heartbeat_s=0.1, silence_s=0.5)
    with HandmadeHub(script) as hub, rig(hub, limits) as made:
        made.hub.start()
        before_s = time.monotonic()
        error = made.end_of_link()
        assert isinstance(error, ConnectTimeout)
        assert "silent" in str(error)
        assert "limit 0.5 s" in str(error)
        assert "does not answer pings" in str(error)
        assert time.monotonic() - before_s >= 0.45
        assert PING in [opcode for opcode, _ in hub.connection().frames]


def test_a_quiet_hub_that_answers_pings_stays_connected() -> None:
    with (
        HandmadeHub(good(0)) as hub,
        rig(hub, LinkLimits(heartbeat_s=0.05 * UNIT_S, silence_s=0.4 * UNIT_S)) as made,
    ):
        made.hub.start()
        client = made.hub.transport.client
        started_s = time.monotonic()
        made.step_until(lambda: time.monotonic() - started_s > 0.8 * UNIT_S)
        assert client.pongs >= 2
        assert made.sink.payload == b""


def test_a_reader_that_was_held_up_does_not_call_the_hub_silent() -> None:
    # As when a callback, or a stopped process, kept the thread from reading for longer than the limit.
    with (
        HandmadeHub(good(0)) as hub,
        rig(hub, LinkLimits(heartbeat_s=0.05 * UNIT_S, silence_s=0.3 * UNIT_S)) as made,
    ):
        made.hub.start()
        time.sleep(0.4 * UNIT_S)
        hub.connection().send_records(EVENT)
        made.step_until(lambda: made.sink.payload == EVENT_RECORD)
        time.sleep(0.4 * UNIT_S)
        pongs = made.hub.transport.client.pongs
        made.step_until(lambda: made.hub.transport.client.pongs > pongs)


def test_a_hub_that_hears_nothing_else_gets_signalr_pings() -> None:
    with HandmadeHub(good(0)) as hub, rig(hub, LinkLimits(ping_s=0.05)) as made:
        made.hub.start()
        connection = hub.connection()
        made.step_until(lambda: connection.records.qsize() >= 2)
        assert connection.records.get() == {"type": 6}


# Calls


def test_calls_carry_an_id_and_no_headers_and_get_their_answers() -> None:
    def script(connection: Connection) -> None:
        connection.open(1)
        connection.complete(1, error="no such contract")
        connection.serve()

    with HandmadeHub(script) as hub, rig(hub, token=Token("t0ken")) as made:
        made.hub.start()
        accepted = made.hub.call("SubscribeContractTrades", "CON.F.US.EP.Z25")
        made.step_until(accepted.done)
        denied = made.hub.call("SubscribeContractTrades", "CON.F.US.XX.Z25")
        made.step_until(denied.done)
        assert accepted.result() is None
        assert isinstance(denied.exception(), SubscribeRefused)
        assert "no such contract" in str(denied.exception())
        calls = hub.connection().calls
        assert [sorted(call) for call in calls] == [["arguments", "invocationId", "target", "type"]] * 2
        assert calls[0]["arguments"] == ["CON.F.US.EP.Z25"]
        assert calls[0]["invocationId"] != calls[1]["invocationId"]


def test_calls_under_way_fail_when_the_link_ends() -> None:
    def script(connection: Connection) -> None:
        connection.open(0)
        connection.read_frame()

    with HandmadeHub(script) as hub, rig(hub) as made:
        made.hub.start()
        future = made.hub.call("SubscribeContractTrades", "A")
        error = made.end_of_link()
        made.hub.finish(error)
        assert future.exception() is error
        with pytest.raises(ConnectionFailed, match="not connected; Late was not called"):
            made.hub.call("Late")


def test_other_messages_reach_on_control_and_odd_ones_harm_nothing() -> None:
    odd = b'{"type": 42, "n": ' + b"9" * 5000 + b"}"
    messages = [
        {"type": 99, "x": 1},
        {"type": 3, "invocationId": "never asked"},
        {"type": 2, "invocationId": "7"},
    ]

    def script(connection: Connection) -> None:
        connection.open(0)
        connection.send(frame(odd + b"\x1e"))
        connection.send_records({"type": 6}, *messages)
        connection.serve()

    with HandmadeHub(script) as hub, rig(hub) as made:
        made.hub.start()
        made.step_until(lambda: len(made.controls) == 3)
        assert made.controls == messages
        assert (made.hub.hub_pings, made.hub.controls, made.hub.unreadable_controls) == (1, 5, 1)


def test_messages_sent_from_several_threads_arrive_whole() -> None:
    with HandmadeHub(good(0)) as hub, rig(hub) as made:
        made.hub.start()
        body = "x" * 60_000

        def send(number: int) -> None:
            for count in range(20):
                made.hub.call("Echo", number, count, body)

        threads = [threading.Thread(target=send, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        connection = hub.connection()
        made.step_until(lambda: connection.records.qsize() == 80)
        for thread in threads:
            thread.join()
        arguments = [connection.records.get()["arguments"] for _ in range(80)]
        assert all(text == body for _, _, text in arguments)
        for number in range(4):
            assert [count for sender, count, _ in arguments if sender == number] == list(range(20))


# Leaving


def test_leaving_says_goodbye_in_both_layers_and_ends_with_fin() -> None:
    with HandmadeHub(good(0)) as hub, rig(hub) as made:
        made.hub.start()
        # Unread bytes in the buffer must not turn the goodbye into a reset.
        hub.connection().send(frame(EVENT_RECORD))
        made.hub.finish()
        connection = hub.connection()
        assert connection.ended.wait(PATIENCE_S)
        assert connection.records.get(timeout=PATIENCE_S) == {"type": 7}
        assert (CLOSE, b"\x03\xe8") in connection.frames
        assert connection.saw_fin
        assert made.hub.transport.is_disconnected()


def test_leaving_a_hub_that_does_not_answer_takes_close_s_and_no_longer() -> None:
    def script(connection: Connection) -> None:
        connection.open(0)
        park(connection)

    with HandmadeHub(script) as hub, rig(hub, LinkLimits(close_s=0.1)) as made:
        made.hub.start()
        before_s = time.monotonic()
        made.hub.finish()
        assert time.monotonic() - before_s < 0.5 * UNIT_S


@pytest.mark.parametrize("phase", ["upgrade", "handshake", "live"])
def test_stop_from_another_thread_ends_any_wait_at_once(phase: str) -> None:
    waiting = threading.Event()

    def script(connection: Connection) -> None:
        connection.read_request()
        if phase != "upgrade":
            connection.send(connection.accept_bytes())
            connection.read_frame()
        if phase == "live":
            connection.send(frame(b"{}\x1e"))
        waiting.set()
        park(connection)

    with HandmadeHub(script) as hub, rig(hub) as made:
        ended: list[tuple[float, BaseException]] = []

        def run() -> None:
            try:
                made.hub.start()
                while not made.waiter.is_stopped:
                    made.hub.step(30.0)
                raise Stopped
            except BaseException as error:  # noqa: BLE001  # looked at by the test
                ended.append((time.monotonic(), error))

        thread = threading.Thread(target=run)
        thread.start()
        assert waiting.wait(PATIENCE_S)
        stopped_s = time.monotonic()
        made.hub.stop()
        called_s = time.monotonic() - stopped_s
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
        ((ended_s, error),) = ended
        assert isinstance(error, Stopped)
        assert called_s < 0.1 * UNIT_S
        assert ended_s - stopped_s < 0.5 * UNIT_S


def test_stop_in_a_callback_of_the_reading_thread_returns_and_ends_the_reading() -> None:
    made: Rig

    def on_control(message: dict[str, Any]) -> None:
        made.hub.stop()
        made.controls.append(message)

    with HandmadeHub(good(0, {"type": 99})) as hub, rig(hub, on_control=on_control) as made:
        made.hub.start()
        made.step_until(lambda: made.waiter.is_stopped)
        assert made.controls == [{"type": 99}]


# Addresses


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (
            "http://rtc.example.com/hubs/market",
            "http:// to rtc.example.com would send the token in clear text",
        ),
        ("ws://192.168.1.7/hub", "in clear text"),
        ("ftp://127.0.0.1/hub", "must start with https, wss, http or ws, got 'ftp'"),
        ("127.0.0.1:5000/hub", "must start with"),
        ("https:///hub", "names no host"),
        ("https://user:pw@rtc.example.com/hub", "user information"),
        ("https://rtc.example.com/hub?access_token=canary", "pass it as token="),
        ("https://rtc.example.com/hub#x", "fragment"),
        ("https://rtc.example.com:99999/hub", "port"),
        ("https://rtc example.com/hub", "got the host 'rtc example.com'"),
        ("https://.example.com/hub", "got the host '.example.com'"),
        ("https://a..ü/hub", "got the host"),
    ],
)
def test_addresses_that_cannot_or_must_not_be_used_are_refused(url: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        HubAddress.parse(url)
    assert words in str(caught.value)
    assert "canary" not in str(caught.value)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "netloc", "secure", "path"),
    [
        ("https://rtc.example.com/hubs/market", "rtc.example.com:443", True, "/hubs/market"),
        ("wss://RTC.example.com:8443", "rtc.example.com:8443", True, "/"),
        ("ws://localhost:5000/hub", "localhost:5000", False, "/hub"),
        ("http://127.9.9.9/hub", "127.9.9.9:80", False, "/hub"),
        ("http://[::1]:5000/a b", "[::1]:5000", False, "/a%20b"),
        ("https://büro.example/ü", "xn--bro-hoa.example:443", True, "/%C3%BC"),
    ],
)
def test_addresses_are_taken_apart(url: str, netloc: str, secure: bool, path: str) -> None:
    address = HubAddress.parse(url)
    assert (address.netloc, address.secure, address.path) == (netloc, secure, path)


def test_the_query_is_sent_and_not_shown() -> None:
    with HandmadeHub(good(0)) as hub:
        made = Rig(hub.url + "?firm=7")
        made.hub.start()
        assert hub.connection().request_line == "GET /hubs/market?firm=7 HTTP/1.1"
        assert "firm" not in str(HubAddress.parse(hub.url + "?firm=7"))
        made.hub.finish()
        made.waiter.close()


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"connect_s": 0}, "LinkLimits.connect_s: got 0"),
        ({"silence_s": float("inf")}, "LinkLimits.silence_s: got inf"),
        ({"heartbeat_s": 30.0}, "expected less than silence_s"),
        ({"max_message_bytes": 1.5}, "whole number"),
        ({"backoff_min_s": 60.0}, "at most backoff_max_s"),
    ],
)
def test_limits_that_cannot_work_are_refused(limits: dict[str, float], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        LinkLimits(**limits)  # type: ignore[arg-type]
    assert words in str(caught.value)


def test_outgoing_records_are_exactly_these_bytes() -> None:
    with HandmadeHub(good(0)) as hub, rig(hub) as made:
        made.hub.start()
        made.hub.call("M", "ä")
        connection = hub.connection()
        made.step_until(lambda: not connection.records.empty())
        sent = [payload for opcode, payload in connection.frames if opcode == TEXT]
        assert sent == [
            b'{"protocol":"json","version":1}\x1e',
            json.dumps(
                {"type": 1, "invocationId": "1", "target": "M", "arguments": ["ä"]}, separators=(",", ":")
            ).encode()
            + b"\x1e",
        ]
