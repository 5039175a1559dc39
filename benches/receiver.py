"""`python -m benches.receiver ADAPTER URL CPU`: one client of `sender.py`, measured from inside.

It prints "ready" when it is subscribed, and when everything has come a JSON object: `trades` counted,
and the CPU and wall time of this process from the one to the other, ns.
"""

from __future__ import annotations

import importlib
import json
import sys
import time

from .harness import pin


def main() -> None:
    """Receive once."""
    adapter, url, cpu = sys.argv[1], sys.argv[2], int(sys.argv[3])
    pin(cpu)
    receive = importlib.import_module(adapter).receive
    started: list[int] = []

    def ready() -> None:
        print("ready", flush=True)
        started.extend((time.process_time_ns(), time.perf_counter_ns()))

    trades = receive(url, ready)
    cpu_ns, wall_ns = time.process_time_ns() - started[0], time.perf_counter_ns() - started[1]
    print(json.dumps({"trades": trades, "cpu_ns": cpu_ns, "wall_ns": wall_ns}), flush=True)


if __name__ == "__main__":
    main()
