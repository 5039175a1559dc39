"""`python -m tickwire.sim`: the hub as a process of its own.

With `--json` it writes JSON lines to stdout: `{"event": "ready", "url", "token", …}` when clients can
connect, `{"event": "finished", …totals}` when the stream has come to its end, and
`{"event": "stopped", …totals}` as its last line. It stops on SIGTERM or SIGINT, or when its standard
input, if that is a pipe or a terminal, comes to its end: so it does not outlive the process that
started it. A line `start` on standard input starts the stream of `--start manual`. Errors go to stderr.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import signal
import stat
import sys
import threading
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

from tickwire.errors import TickwireError

from .hub import Hub
from .loop import new_event_loop
from .market import Market
from .replay import Replay

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .ticks import Source

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        source = _source(options)
        hub = Hub(
            source,
            port=options.port,
            auth=not options.no_auth,
            accept_query_token=options.accept_query_token,
            start=options.start,
            seconds=options.seconds,
            count=options.count,
            records_per_message=options.records_per_message,
            elements_per_record=options.elements_per_record,
            shape=options.shape,
            digits=options.digits,
        )
        # The imports leave some hundred thousand objects behind. Kept out of the collector's sight,
        # they do not make one of its passes last ten milliseconds in the middle of the stream.
        gc.collect()
        gc.freeze()
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(_serve(hub, options))
    except (TickwireError, OSError) as error:
        sys.stderr.write(f"tickwire.sim: {error}\n")
        return 2
    return 0


async def _serve(hub: Hub, options: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        if sys.platform == "win32":  # whose loops take no signal handlers
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
        else:
            loop.add_signal_handler(number, stop.set)
    async with hub:
        _heed_stdin(loop, hub, stop)
        token = hub.token(ttl_s=options.token_ttl)
        _say(
            options,
            "ready",
            url=hub.url,
            user_url=hub.user_url,
            token=token,
            symbols=hub.symbols,
            pid=os.getpid(),
        )
        stopping = loop.create_task(stop.wait())
        ending = loop.create_task(hub.finished())
        await asyncio.wait([stopping, ending], return_when=asyncio.FIRST_COMPLETED)
        if ending.done():
            ending.result()
            _say(options, "finished", **_totals(hub))
        else:
            ending.cancel()
        await stopping
    _say(options, "stopped", **_totals(hub))


def _totals(hub: Hub) -> dict[str, Any]:
    sent = hub.sent
    return {
        "sent": sent.ticks,
        **asdict(sent),
        "connections": len(hub.connections),
        "lateness": asdict(hub.lateness),
    }


def _say(options: argparse.Namespace, event: str, **fields: Any) -> None:
    if options.json:
        line = json.dumps({"event": event, **fields})
    else:
        line = f"{event}: " + ", ".join(f"{name} {value}" for name, value in fields.items())
    try:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # Nobody reads any more. Python would complain again when it flushes stdout at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _heed_stdin(loop: asyncio.AbstractEventLoop, hub: Hub, stop: asyncio.Event) -> None:
    """Take commands from standard input and stop with it, unless it is a file or such as /dev/null."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:  # closed, as under some service managers: only signals stop the hub then
        return
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(0)):
        return

    def watch() -> None:
        # The bare descriptor: a reader blocked in sys.stdin would hold its lock at the exit.
        held = b""
        try:
            while data := os.read(0, 4_096):
                *commands, held = (held + data).split(b"\n")
                for command in commands:
                    if command.strip() == b"start":
                        loop.call_soon_threadsafe(hub.start)
            loop.call_soon_threadsafe(stop.set)
        except RuntimeError:  # the loop was stopped by a signal in the meantime
            return

    threading.Thread(target=watch, name="tickwire sim stdin", daemon=True).start()


def _source(options: argparse.Namespace) -> Source:
    if options.replay is not None:
        return Replay(options.replay, speed=options.speed, rate=options.rate)
    names = options.instruments
    return Market(
        int(names) if names.isdecimal() else names.split(","),
        seed=options.seed,
        rate=10_000.0 if options.rate is None else options.rate,
        mix=options.mix,
        burst=options.burst,
    )


def _rate(text: str) -> float | Literal["max"]:
    return "max" if text == "max" else float(text)


def _mix(text: str) -> dict[str, float]:
    return {name: float(share) for name, _, share in (part.partition("=") for part in text.split(","))}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tickwire.sim", description="A market-data hub on loopback."
    )
    add = parser.add_argument
    add("--port", type=int, default=0, help="TCP port (default: any free one)")
    add("--instruments", default="4", help="how many built-in contracts, or their ids with commas between")
    add(
        "--rate",
        type=_rate,
        help='ticks per second over all instruments, or "max" (default: 10000, a replay: max)',
    )
    add("--seconds", type=float, help="length of the stream (default: without end)")
    add("--count", type=int, help="ticks of the stream (default: without end)")
    add("--seed", type=int, default=0, help="seed of the market (default: 0)")
    add("--mix", type=_mix, help="shares of the kinds, such as trade=0.2,quote=0.4,depth=0.4")
    add("--burst", type=float, default=1.0, help="unevenness inside a second (default: 1)")
    add("--replay", metavar="FILE", help="stream a Parquet, CSV or Arrow file instead of the market")
    add("--speed", type=float, help="replay the recorded times so many times faster")
    add("--start", choices=("first", "all", "manual"), help="when the stream starts")
    add("--records-per-message", type=int, default=1, help="hub messages per WebSocket message (default: 1)")
    add("--elements-per-record", type=int, default=8, help="most trades in one event (default: 8)")
    add("--shape", choices=("list", "object", "mixed"), default="list", help="form of trades (default: list)")
    add("--digits", type=int, help="fractional digits of timestamps (default: as many as needed)")
    add("--no-auth", action="store_true", help="take clients without a token")
    add("--accept-query-token", action="store_true", help="also take the token from the URL")
    add("--token-ttl", type=float, default=86_400.0, metavar="S", help="life of the token (default: a day)")
    add("--json", action="store_true", help="write JSON lines")
    return parser


if __name__ == "__main__":
    sys.exit(main())
