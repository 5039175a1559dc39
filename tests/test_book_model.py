"""The book against a naive model, a dict of prices for each side, through every way in.

The same deltas go in one by one, as JSON and as MessagePack, cut anywhere; all of them must leave the
model's book, and the same counts.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

import tickwire as tw
from effort import examples
from packed import as_message

T0 = 1_700_000_000
CODES = {"ask": [1], "bid": [2], "best_ask": [3, 10], "best_bid": [4, 9], "reset": [6]}
LEVELS = 8

Delta = tuple[str, float, float]


@dataclass
class Naive:
    """Price to size, and nothing else."""

    bids: dict[float, float] = field(default_factory=dict)
    asks: dict[float, float] = field(default_factory=dict)

    def apply(self, kind: str, price: float, size: float) -> None:
        if kind == "reset":
            self.bids, self.asks = {}, {}
            return
        own, other = (self.bids, self.asks) if kind.endswith("bid") else (self.asks, self.bids)
        sign = 1 if own is self.bids else -1
        if size:
            own[price] = size
            for passed in [held for held in other if sign * (price - held) > 0]:
                del other[passed]
            if kind.startswith("best"):
                for better in [held for held in own if sign * (held - price) > 0]:
                    del own[better]
        else:
            own.pop(price, None)

    def levels(self) -> tuple[list[list[float]], list[list[float]]]:
        bids = sorted(self.bids.items(), reverse=True)[:LEVELS]
        return [list(level) for level in bids], [list(level) for level in sorted(self.asks.items())[:LEVELS]]


# Some prices are off the grid, and some of those nearer to each other than to it.
PRICES = st.integers(-40, 40).map(lambda n: 100 + n / 4) | st.integers(-200, 200).map(lambda n: 100 + n / 50)
DELTAS = st.lists(
    st.tuples(
        st.sampled_from(["bid", "ask"] * 6 + ["best_bid", "best_ask"] * 2 + ["reset"]),
        PRICES,
        st.integers(0, 4).map(float),
    ),
    max_size=120,
)


def records(deltas: list[Delta], sizes: list[int]) -> list[bytes]:
    """The deltas as events of so many elements each, by turns; without the end of a record."""
    made: list[bytes] = []
    at = turn = 0
    while at < len(deltas):
        size = sizes[turn % len(sizes)]
        turn += 1
        elements = []
        for number, (kind, price, volume) in enumerate(deltas[at : at + size], at):
            code = CODES[kind][number % len(CODES[kind])]
            elements.append({"timestamp": when(number), "type": code, "price": price, "volume": volume})
        data = elements[0] if size == 1 else elements
        made.append(json.dumps({"type": 1, "target": "GatewayDepth", "arguments": ["X", data]}).encode())
        at += size
    return made


def when(number: int) -> str:
    return dt.datetime.fromtimestamp(T0 + number, dt.UTC).isoformat()


def engine_of() -> tw.Engine:
    return tw.Engine([tw.Instrument("X", tick_size=0.25, book_levels=LEVELS)], ["1m"])


def seen(engine: tw.Engine) -> tuple[list[list[float]], list[list[float]]]:
    book = engine.book("X")
    return ([], []) if book is None else (book.bids.tolist(), book.asks.tolist())


@settings(max_examples=examples(60), deadline=None)
@given(DELTAS, st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(1, 400))
def test_every_way_in_leaves_the_book_of_the_model(deltas: list[Delta], sizes: list[int], cut: int) -> None:
    one_by_one, naive = engine_of(), Naive()
    for number, (kind, price, size) in enumerate(deltas):
        assert one_by_one.push_depth("X", (T0 + number) * 10**9, kind, price, size)  # type: ignore[arg-type]
        naive.apply(kind, price, size)
        assert seen(one_by_one) == naive.levels()

    made = records(deltas, sizes)
    json_bytes = b"".join(record + b"\x1e" for record in made)
    packed_bytes = b"".join(map(as_message, made))
    for protocol, stream in (("json", json_bytes), ("messagepack", packed_bytes)):
        for step in (len(stream) or 1, cut):
            engine = engine_of()
            feed = engine.feed(protocol=protocol)
            for at in range(0, len(stream), step):
                feed.push_bytes(stream[at : at + step])
            assert engine.book("X") == one_by_one.book("X")
            assert engine.stats() == one_by_one.stats()
