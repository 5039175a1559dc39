"""A hub on a clock that is not the world's: days of it pass in a moment, and every deadline is met."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from itertools import pairwise

import pytest

from sim.clocks import EPOCH_NS, JumpingClock, SetClock
from sim.wire import CLOSE, PING, PONG, TEXT, Wire
from tickwire import sim
from tickwire.clock import Clock
from tickwire.sim.loop import new_event_loop

DAY_S = 86_400.0


class Client:
    """Reads frames on the hub's own loop and answers pings of both layers."""

    def __init__(self, clock: Clock) -> None:
        self.seen: list[tuple[float, int, bytes]] = []
        self._clock = clock

    async def run(self, hub: sim.Hub, token: str, contract: str | None) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
        writer.write(
            f"GET /hubs/market HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: Upgrade\r\n"
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        self._say(writer, TEXT, b'{"protocol":"json","version":1}\x1e')
        if contract is not None:
            call = f'{{"type":1,"target":"SubscribeContractQuotes","arguments":["{contract}"]}}\x1e'
            self._say(writer, TEXT, call.encode())
        try:
            while True:
                opcode, length = await reader.readexactly(2)
                if length == 126:
                    length = int.from_bytes(await reader.readexactly(2), "big")
                payload = await reader.readexactly(length)
                self.seen.append((self._clock.monotonic_s(), opcode & 0x0F, payload))
                if payload == b'{"type":6}\x1e':
                    self._say(writer, TEXT, payload)
                elif opcode & 0x0F == PING:
                    self._say(writer, PONG, payload)
                elif opcode & 0x0F == CLOSE:
                    self._say(writer, CLOSE, payload)
        except asyncio.IncompleteReadError:
            writer.close()
            await writer.wait_closed()

    @staticmethod
    def _say(writer: asyncio.StreamWriter, opcode: int, payload: bytes) -> None:
        assert len(payload) < 126
        writer.write(bytes([0x80 | opcode, 0x80 | len(payload)]) + bytes(4) + payload)


def on_jumping_clock(main: object) -> float:
    """Run `main(clock)` on a loop of the clock; the real seconds it took."""
    clock = JumpingClock()
    begun_s = time.monotonic()
    with asyncio.Runner(loop_factory=lambda: new_event_loop(clock)) as runner:
        runner.run(main(clock))  # type: ignore[operator]
    return time.monotonic() - begun_s


def test_a_token_expires_after_a_day_of_pings():
    async def main(clock: JumpingClock) -> None:
        async with sim.Hub(clock=clock, ping_s=60.0, silence_s=90.0, close_expired=True) as hub:
            client = Client(clock)
            await client.run(hub, hub.token(), None)
            pings = [at for at, _, payload in client.seen if payload == b'{"type":6}\x1e']
            assert len(pings) == pytest.approx(DAY_S / 60, abs=2)
            assert [b - a for a, b in pairwise(pings)] == pytest.approx([60.0] * (len(pings) - 1))
            at, _, payload = client.seen[-2]
            assert payload == b'{"type":7,"error":"The token has expired."}\x1e'
            assert at == pytest.approx(DAY_S, abs=1.0)
            info = hub.connection()
            assert info.opened_ns == pytest.approx(EPOCH_NS, abs=1e9)
            assert info.closed_ns == pytest.approx(EPOCH_NS + DAY_S * 1e9, abs=2e9)

    on_jumping_clock(main)


def test_a_stream_of_a_day_keeps_its_schedule_to_the_slot():
    seconds = DAY_S

    async def main(clock: JumpingClock) -> None:
        market = sim.Market(1, rate=0.05, mix={"quote": 1})
        hub = sim.Hub(market, clock=clock, seconds=seconds, ws_ping_s=600.0, silence_s=1e9)
        async with hub:
            client = Client(clock)
            running = asyncio.ensure_future(client.run(hub, hub.token(ttl_s=1e6), hub.symbols[0]))
            await hub.finished(None)
            sent, lateness = hub.sent, hub.lateness
        await running
        assert sent.ticks == pytest.approx(seconds * 0.05, rel=0.05)
        opcodes = Counter(opcode for _, opcode, _ in client.seen)
        assert opcodes[PING] == pytest.approx(seconds / 600, abs=2)
        assert sum(b"GatewayQuote" in payload for _, _, payload in client.seen) == sent.quotes
        assert lateness.max_us < 1_000

    on_jumping_clock(main)


def test_faults_keep_the_clock_too():
    async def main(clock: JumpingClock) -> None:
        async with sim.Hub(clock=clock, silence_s=1e9, ping_s=1e9) as hub:
            client = Client(clock)
            running = asyncio.ensure_future(client.run(hub, hub.token(), None))
            await hub.until(lambda h: bool(h.connections) and h.connection().protocol == "json")
            hub.fault(sim.Delay(3_600.0))
            hub.fault(sim.Unlisten(7_200.0))
            asked_s = clock.elapsed_s
            hub.broadcast("GatewayTrade", "X", [{}])
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", hub.port)
            await hub.until(lambda h: h.sent.ticks == 1, 2 * DAY_S)
            assert clock.elapsed_s == pytest.approx(asked_s + 3_600.0, abs=0.1)
            await asyncio.sleep(3_600.0)
            _, writer = await asyncio.open_connection("127.0.0.1", hub.port)
            writer.close()
            hub.fault(sim.Resume())
            hub.fault(sim.CloseFrame(end="fin"))
            await running

    on_jumping_clock(main)


def test_a_hub_in_a_thread_of_its_own_goes_by_its_clock():
    clock = SetClock()
    with sim.Hub(clock=clock, close_expired=True, silence_s=1e9, ping_s=1e9) as hub, Wire(hub) as wire:
        wire.shake()
        old = hub.token(ttl_s=60.0)
        assert wire.quiet()
        clock.advance(hub, DAY_S - 10.0)
        assert wire.quiet()
        with Wire(hub, token=old) as late:
            assert late.upgrade()[0] == 401
        clock.advance(hub, 11.0)
        assert wire.records() == [{"type": 7, "error": "The token has expired."}]
        assert threading.active_count() == 2


def test_a_handshake_has_as_long_as_the_clock_says():
    clock = SetClock()
    with sim.Hub(clock=clock, handshake_s=3_600.0) as hub, Wire(hub) as wire:
        assert wire.upgrade()[0] == 101
        clock.advance(hub, 3_599.0)
        assert wire.quiet()
        clock.advance(hub, 2.0)
        assert wire.records() == [{"error": "Handshake was canceled."}]
