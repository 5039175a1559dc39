"""The shortest whole strategy: a hub, a client, an engine, and a decision on every closed bar.

Run it as it is: `python examples/strategy.py [SECONDS]`. For a real gateway leave out the embedded
hub, and give `connect` its URL and your token.
"""

from __future__ import annotations

import sys
import time

import tickwire as tw


def main(seconds: float) -> None:
    instruments = [
        tw.Instrument("CON.F.US.EP.Z26", tick_size=0.25),
        tw.Instrument("CON.F.US.ENQ.Z26", tick_size=0.25),
    ]
    engine = tw.Engine(instruments, timeframes=["1s", "1m"])
    end_s = time.monotonic() + seconds
    with (
        tw.sim.Hub(tw.sim.Market(instruments, rate=2_000)) as hub,
        tw.connect(hub=hub.url, token=hub.token(), engine=engine) as client,
    ):
        for bar in client.bars("1s"):
            average = engine.bars(bar.symbol, "1s", last=20)["close"].mean()
            verdict = "above" if bar.close > average else "not above"
            print(f"{bar.symbol} closed at {bar.close}, {verdict} its average of {average:.2f}")
            if time.monotonic() > end_s:
                break
    stats = engine.stats()
    print(f"{stats['received']} ticks received, {stats['rejected']} rejected")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 5.0)
