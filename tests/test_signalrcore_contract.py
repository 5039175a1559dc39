"""What is subclassed of signalrcore, pinned.

The package uses signalrcore's hub object, transport state machine and message classes, and
overrides the rest. If one of these tests fails after an upgrade, read what has changed before
moving the pin: an override may no longer be called, or something below it may have begun to do I/O.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import inspect
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from signalrcore.hub.base_hub_connection import BaseHubConnection, HubCallbacks
from signalrcore.messages.close_message import CloseMessage
from signalrcore.messages.handshake.request import HandshakeRequestMessage
from signalrcore.messages.handshake.response import HandshakeResponseMessage
from signalrcore.messages.invocation_message import InvocationMessage
from signalrcore.messages.message_type import MessageType
from signalrcore.messages.ping_message import PingMessage
from signalrcore.protocol.base_hub_protocol import BaseHubProtocol
from signalrcore.transport.base_client import BaseClient
from signalrcore.transport.base_transport import BaseTransport, TransportState
from signalrcore.transport.websockets.websocket_transport import WebsocketTransport
from signalrcore.types import RECORD_SEPARATOR, HubProtocolEncoding

from hubs import HandmadeHub, good
from tickwire.auth import Token
from tickwire.clock import Clock
from tickwire.hub import MarketHub
from tickwire.link_limits import LinkLimits
from tickwire.protocol import RawProtocol
from tickwire.route import Route
from tickwire.socketclient import SocketClient
from tickwire.transport import HubTransport
from tickwire.wakeup import Waiter

READ_AGAIN = "signalrcore has changed here; read the new code, then move the pin"


def test_the_version_is_the_one_that_was_read() -> None:
    assert importlib.metadata.version("signalrcore") == "1.0.2", READ_AGAIN


# Code of signalrcore that runs in our connections, by the start of its SHA-256.
INHERITED: list[tuple[Callable[..., Any], str]] = [
    (BaseHubConnection.__init__, "f173138f6cc9aded"),
    (BaseHubConnection.invoke, "3b51ba0b358305f3"),
    (HubCallbacks, "5823620b605170f0"),
    (BaseTransport.__init__, "e92c782d526a59c2"),
    (BaseTransport._set_state, "9c6e8e1fd491eb93"),
    (BaseTransport.send_handshake, "2cba0a5cbbfa0adc"),
    (BaseTransport.is_connected, "ae52e616ae233491"),
    (BaseTransport.is_disconnected, "277f38677d05150c"),
    (BaseTransport.is_running, "02d87deb5065c8cf"),
    (WebsocketTransport.__init__, "5e8a5a6f861341f3"),
    (BaseHubProtocol.__init__, "ae1d46eb51a94fc1"),
    (BaseHubProtocol.handshake_message, "c33a370f7299a24d"),
    (InvocationMessage.__init__, "673e030b059af6c5"),
    (PingMessage.__init__, "db9a367e50323212"),
    (CloseMessage.__init__, "1f7f6b4bdff54e0f"),
    (HandshakeRequestMessage, "9361cdf686dd87fc"),
    (HandshakeResponseMessage, "4cb9fb41549cd5f1"),
]


@pytest.mark.parametrize(("code", "digest"), INHERITED, ids=lambda value: getattr(value, "__qualname__", ""))
def test_inherited_code_is_the_code_that_was_read(code: Callable[..., Any], digest: str) -> None:
    source = inspect.getsource(code)
    assert hashlib.sha256(source.encode()).hexdigest()[:16] == digest, READ_AGAIN


@pytest.mark.parametrize(
    ("ours", "theirs", "overridden"),
    [
        (MarketHub, BaseHubConnection, {"__init__", "start"}),
        (
            HubTransport,
            WebsocketTransport,
            {
                "__init__",
                "create_client",
                "start",
                "stop",
                "dispose",
                "send",
                "on_message",
                "evaluate_handshake",
            },
        ),
        (RawProtocol, BaseHubProtocol, {"__init__", "decode_handshake", "parse_messages"}),
        (
            SocketClient,
            BaseClient,
            {"connect", "close", "dispose", "send", "is_connection_closed", "is_trace_enabled"},
        ),
    ],
)
def test_every_override_overrides_something(ours: type, theirs: type, overridden: set[str]) -> None:
    assert issubclass(ours, theirs)
    for name in overridden:
        assert name in vars(ours), f"{ours.__name__}.{name} is gone from our side"
        assert any(name in vars(base) for base in theirs.__mro__[:-1]), (
            f"{theirs.__name__}.{name}: {READ_AGAIN}"
        )
    added = {name for name in vars(ours) if any(name in vars(base) for base in theirs.__mro__[:-1])}
    # A name that we use for something of our own and that signalrcore has, too, is a trap.
    assert (
        added
        - overridden
        - {"__module__", "__doc__", "__annotations__", "_client", "__dict__", "__weakref__"}
        == set()
    )


def test_message_types_states_and_constants_are_as_expected() -> None:
    assert {member.name: member.value for member in MessageType} == {
        "invocation": 1,
        "stream_item": 2,
        "completion": 3,
        "stream_invocation": 4,
        "cancel_invocation": 5,
        "ping": 6,
        "close": 7,
        "ack": 8,
        "sequence": 9,
        "invocation_binding_failure": -1,
    }
    assert [state.name for state in TransportState] == [
        "connecting",
        "connected",
        "reconnecting",
        "disconnected",
    ]
    assert RECORD_SEPARATOR == "\x1e"
    assert HubProtocolEncoding.text.value == "Text"


def test_a_connection_starts_no_thread_and_calls_back_on_open_and_close() -> None:
    heard: list[str] = []
    waiter = Waiter(Clock())
    with HandmadeHub(good(0)) as hub:
        made = MarketHub(
            Route.of(hub.url),
            protocol="json",
            token=Token("t"),
            feed=lambda payload, ts_recv: [],
            on_control=lambda message: None,
            limits=LinkLimits(),
            clock=Clock(),
            waiter=waiter,
        )
        made.on_open(lambda: heard.append("open"))
        made.on_close(lambda: heard.append("close"))
        before = {thread.name for thread in threading.enumerate()}
        assert made.start() is True
        started = {thread.name for thread in threading.enumerate()} - before - {"handmade-hub"}
        assert started == set()
        assert not made.transport.connection_checker.running
        assert made.transport.reconnection_handler is None
        assert heard == ["open"]
        made.finish()
        assert heard == ["open", "close"]
    waiter.close()


def test_importing_tickwire_loads_nothing_heavy() -> None:
    program = (
        "import sys, tickwire, tickwire.client\n"
        "heavy = {'signalrcore', 'websockets', 'httpx', 'polars', 'jwt', 'psutil'} & set(sys.modules)\n"
        "print(','.join(sorted(heavy)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
