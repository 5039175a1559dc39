"""The official JavaScript client against the hub: the one peer here that its protocol's authors wrote."""

from __future__ import annotations

import json
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hubs import PATIENCE_S
from tickwire import sim

HERE = Path(__file__).parent
NODE, NPM = shutil.which("node"), shutil.which("npm")

pytestmark = pytest.mark.skipif(
    NODE is None or NPM is None,
    reason="needs node and npm, which are not on the PATH, for the JavaScript client",
)


@pytest.fixture(scope="session", autouse=True)
def _packages() -> None:
    """The locked packages, installed once and again when the lock file has changed."""
    if NPM is None:
        return
    wanted = (HERE / "package-lock.json").read_bytes()
    stamp = HERE / "node_modules" / ".tickwire-lock"
    if stamp.exists() and stamp.read_bytes() == wanted:
        return
    done = subprocess.run(
        [NPM, "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
        cwd=HERE,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"npm ci failed with status {done.returncode}:\n{done.stderr}", pytrace=False)
    stamp.write_bytes(wanted)


class Client:
    """The running client."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        for line in self._process.stdout:
            self._lines.put(line)

    def next(self, event: str) -> dict[str, Any]:
        """Its next line, which must be this event."""
        line = json.loads(self._lines.get(timeout=6 * PATIENCE_S))
        assert line.pop("event") == event, line
        return line

    def tell(self, line: str) -> None:
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def leave(self) -> None:
        """Let it stop its connection and end."""
        self.tell("stop")
        assert self._process.wait(6 * PATIENCE_S) == 0, self._process.stderr.read()

    def last_words(self) -> str:
        """Its complaints, once it has given up without a word on stdout."""
        assert self._process.wait(6 * PATIENCE_S) != 0
        self._reader.join()
        assert self._lines.empty()
        return self._process.stderr.read()

    def end(self) -> None:
        self._process.kill()
        self._reader.join()


@contextmanager
def running(hub: sim.Hub, **task: Any) -> Iterator[Client]:
    task = {
        "url": hub.url,
        "token": hub.token(),
        "protocol": "json",
        "negotiate": False,
        "contracts": hub.symbols,
        "ticks": 0,
        "reconnect": False,
    } | task
    with subprocess.Popen(
        [str(NODE), str(HERE / "client.mjs")],
        cwd=HERE,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        client = Client(process)
        try:
            client.tell(json.dumps(task))
            yield client
        finally:
            client.end()


@pytest.mark.parametrize("shape", ["list", "object"])
@pytest.mark.parametrize("negotiate", [True, False], ids=["negotiate", "direct"])
@pytest.mark.parametrize("protocol", ["json", "messagepack"])
def test_it_subscribes_counts_and_stops(protocol: str, negotiate: bool, shape: str):
    market = sim.Market(3, seed=1, rate=None, mix={"trade": 0.3, "quote": 0.4, "depth": 0.3})
    with sim.Hub(market, start="all", count=5_000, records_per_message=7, shape=shape) as hub:
        token = hub.token()
        with running(hub, token=token, protocol=protocol, negotiate=negotiate, ticks=5_000) as client:
            client.next("connected")
            done = client.next("done")
            sent = hub.connection().sent
            client.leave()
            assert client.next("closed") == {"error": None}
        hub.wait_until(lambda h: not h.connection().is_open)

        assert done["counts"] == {
            "GatewayTrade": sent.trades,
            "GatewayQuote": sent.quotes,
            "GatewayDepth": sent.depth,
        }
        assert done["ticks"] == sent.ticks == 5_000
        assert done["logged"] == []
        assert done["refusal"] == (
            "Failed to invoke 'NoSuchMethod' due to an error on the server. HubException: Method does not exist."
        )
        contract, trades = done["first"]["GatewayTrade"]
        assert contract in hub.symbols
        trade = trades[0] if shape == "list" else trades
        assert set(trade) == {"symbolId", "price", "timestamp", "type", "volume"}
        for contract in hub.symbols:
            quote = done["merged"][contract]
            assert quote["bestBid"] < quote["bestAsk"]
            assert quote["symbolName"].startswith("/")

        # The token went in the header alone, of both requests where there are two.
        assert [request.path.endswith("/negotiate") for request in hub.requests] == (
            [True] if negotiate else []
        ) + [False]
        assert {request.headers["authorization"] for request in hub.requests} == {f"Bearer {token}"}
        assert not any(token in request.query for request in hub.requests)
        info = hub.connection()
        assert (info.protocol, info.closed_reason) == (protocol, "client sent Close")


@pytest.mark.parametrize("protocol", ["json", "messagepack"])
def test_it_reconnects_when_a_close_allows_it_and_not_otherwise(protocol: str):
    with sim.Hub() as hub, running(hub, protocol=protocol, reconnect=True) as client:
        client.next("connected")
        client.next("done")
        hub.fault(sim.CloseMessage("restarting", allow_reconnect=True))
        client.next("reconnected")
        assert [info.is_open for info in hub.connections] == [False, True]
        hub.fault(sim.CloseMessage("maintenance"))
        assert client.next("closed") == {"error": "Server returned an error on close: maintenance"}
        client.leave()
        assert len(hub.connections) == 2


@pytest.mark.parametrize("negotiate", [True, False], ids=["negotiate", "direct"])
def test_it_is_refused_without_a_good_token(negotiate: bool):
    with sim.Hub() as hub, running(hub, token=hub.token(ttl_s=-5), negotiate=negotiate) as client:
        words = client.last_words()
        assert not negotiate or "expired token: Status code '401'" in words
        assert hub.requests[-1].status == 401
        assert hub.connections == ()


@pytest.mark.parametrize("protocol", ["json", "messagepack"])
def test_pings_keep_it_connected(protocol: str):
    with sim.Hub(ping_s=0.05) as hub, running(hub, protocol=protocol) as client:
        client.next("connected")
        client.next("done")
        # It checks every byte of a message; a ping it could not read would end the connection.
        sent = hub.connection().sent.messages
        hub.broadcast("Unknown", 1)
        hub.wait_until(lambda h: h.connection().sent.messages > sent + 5 or not h.connection().is_open)
        client.leave()
        assert client.next("closed") == {"error": None}
