"""The order book as a strategy sees it: what it holds, its figures, its frame, and what is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import tickwire as tw

T0 = 1_700_000_000_000_000_000
SYMBOL = "CON.F.US.MNQ.U26"


def engine_of(**how: object) -> tw.Engine:
    return tw.Engine([tw.Instrument("X", tick_size=0.25)], ["1m"], **how)


def filled(levels: int = 3, **how: object) -> tw.Engine:
    """An engine with a complete book: 100.00 by 100.25, sizes 1, 2, 3, … of bids and 10, 20, … of asks."""
    engine = engine_of(**how)
    assert engine.push_depth("X", T0, "reset")
    for place in range(levels):
        assert engine.push_depth("X", T0 + place, "bid", 100.0 - place / 4, place + 1)
        assert engine.push_depth("X", T0 + place, "ask", 100.25 + place / 4, 10 * (place + 1))
    return engine


def test_there_is_no_book_before_depth_comes() -> None:
    engine = engine_of()
    engine.push_quote("X", T0, 100.0, 100.25)
    assert engine.book("X") is None
    assert engine.snapshot("X").book is None
    assert engine.memory()["books"] == 0


def test_the_book_is_what_was_pushed() -> None:
    engine = filled()
    book = engine.book("X")
    assert book is not None
    np.testing.assert_array_equal(book.bids, [[100.0, 1], [99.75, 2], [99.5, 3]])
    np.testing.assert_array_equal(book.asks, [[100.25, 10], [100.5, 20], [100.75, 30]])
    assert (book.symbol, book.ts_event, book.complete, book.levels) == ("X", T0 + 2, True, 10)
    assert (book.bid, book.bid_size, book.ask, book.ask_size) == (100.0, 1.0, 100.25, 10.0)
    assert (book.bid_levels, book.ask_levels, book.updates) == (3, 3, 7)
    assert book.counts["resets"] == 1
    assert book == engine.snapshot("X").book
    assert hash(book) == hash(engine.book("X"))
    assert book != engine.book("X", levels=2)
    assert repr(book) == (
        f"Book(symbol='X', ts_event={T0 + 2}, bid=100, ask=100.25, levels=(3, 3), complete=True)"
    )
    # What was handed out neither changes nor can be changed.
    engine.push_depth("X", T0 + 9, "bid", 100.0, 7)
    assert book.bids[0, 1] == 1
    with pytest.raises(ValueError, match="read-only"):
        book.bids[0, 1] = 5


def test_figures() -> None:
    engine = filled()
    engine.push_trade("X", T0, 100.0, 1, -1)
    book = engine.book("X")
    assert book is not None
    assert (book.mid, book.spread) == (100.125, 0.25)
    assert book.microprice == pytest.approx((100.0 * 10 + 100.25 * 1) / 11, rel=1e-15)
    assert book.imbalance() == pytest.approx((6 - 60) / 66)
    assert book.imbalance(1) == pytest.approx((1 - 10) / 11)
    assert book.last_side == -1


def test_figures_of_what_is_not_there() -> None:
    engine = engine_of()
    engine.push_depth("X", T0, "reset")
    book = engine.book("X")
    assert book is not None
    assert book.bids.shape == book.asks.shape == (0, 2)
    assert all(map(math.isnan, (book.bid, book.ask_size, book.mid, book.spread, book.microprice)))
    assert math.isnan(book.imbalance())
    assert book.last_side == 0
    engine.push_depth("X", T0, "ask", 5.0, 2)
    book = engine.book("X")
    assert book is not None
    assert book.imbalance() == -1
    assert math.isnan(book.mid)


def test_the_frame_has_a_column_for_each_price_and_size() -> None:
    engine = filled(2)
    engine.push_depth("X", T0 + 5, "ask", 100.5, 0)
    book = engine.book("X", levels=2)
    assert book is not None
    frame = book.frame()
    assert frame.columns == [
        "ts_event",
        *("bid_px_00", "ask_px_00", "bid_sz_00", "ask_sz_00"),
        *("bid_px_01", "ask_px_01", "bid_sz_01", "ask_sz_01"),
    ]
    assert frame.schema["ts_event"] == pl.Datetime("ns", "UTC")
    assert frame["ts_event"].cast(pl.Int64)[0] == T0 + 5
    assert frame.row(0)[1:] == (100.0, 100.25, 1.0, 10.0, 99.75, None, 2.0, None)


def test_as_many_levels_are_shown_as_were_asked_for() -> None:
    engine = filled(30, book_levels=20)
    book = engine.book("X")
    assert book is not None
    assert (len(book.bids), len(book.asks), book.bid_levels) == (20, 20, 30)
    fewer = engine.book("X", levels=4)
    assert fewer is not None
    np.testing.assert_array_equal(fewer.asks, book.asks[:4])
    for levels in (0, 21):
        with pytest.raises(tw.ConfigError, match=f"levels: got {levels}, expected 1 to 20"):
            engine.book("X", levels)
    with pytest.raises(tw.ConfigError, match="levels: got 5, expected 1 to the 4"):
        fewer.imbalance(5)
    own = tw.Engine([tw.Instrument("X", tick_size=1.0, book_levels=2)], ["1m"], book_levels=5)
    own.push_depth("X", T0, "reset")
    book = own.book("X")
    assert book is not None
    assert book.levels == 2


def test_what_cannot_work_is_refused() -> None:
    for levels in (0, 1_025, True, 1.5):
        with pytest.raises(tw.ConfigError, match="book_levels"):
            engine_of(book_levels=levels)
        with pytest.raises(tw.ConfigError, match="book_levels"):
            tw.Instrument("X", tick_size=1.0, book_levels=levels)  # type: ignore[arg-type]
    engine = engine_of()
    with pytest.raises(tw.DataError, match='kind: got "bids", expected "bid"'):
        engine.push_depth("X", T0, "bids", 1.0, 1.0)  # type: ignore[arg-type]
    with pytest.raises(tw.UnknownInstrument):
        engine.book("Y")
    assert engine.push_depth("Y", T0, "bid", 1.0, 1.0) is False
    assert engine.push_depth("X", None, "bid", 1.0, 1.0) is False
    assert engine.rejections("X") == {"no_event_time": 1}
    book = engine.book("X")
    assert book is not None
    assert book.counts["missed"] == 1


def test_disagreements_with_the_quotes_are_counted() -> None:
    engine = filled()
    engine.push_quote("X", T0, 99.0, 100.25)
    engine.push_quote("X", T0 + 400_000_000, 99.0, 100.25)
    assert engine.stats("X")["book_disagreements"] == 0
    engine.push_quote("X", T0 + 600_000_000, 99.0, 100.25)
    engine.push_depth("X", T0 + 900_000_000, "bid", 98.0, 1.0)
    assert engine.stats("X")["book_disagreements"] == engine.stats()["book_disagreements"] == 1


def test_a_feed_that_begins_anew_takes_its_books_along() -> None:
    engine = filled()
    feed = engine.feed()
    feed.reset()
    assert engine.book("X").complete, "the feed has brought no depth yet"
    level = {"timestamp": "2023-11-14T22:13:20Z", "type": 2, "price": 99.0, "volume": 3}
    record = {"type": 1, "target": "GatewayDepth", "arguments": ["X", level]}
    assert feed.push_bytes(json.dumps(record) + "\x1e").accepted == 1
    feed.reset()
    book = engine.book("X")
    assert (book.complete, len(book.bids), book.counts["gaps"]) == (False, 0, 1)


def test_a_marked_gap_voids_a_book_from_before_it() -> None:
    engine = filled()
    engine.mark_gap(None, T0 + 5)
    engine.mark_gap(T0, T0 + 5)
    assert engine.book("X").complete
    engine.mark_gap(T0 + 1, T0 + 5)
    assert not engine.book("X").complete


def test_a_real_depth_message_is_a_best_bid(data: Path) -> None:
    samples = json.loads((data / "projectx" / "stream_event_samples.market_only.json").read_text())["samples"]
    payload = next(s for s in samples if s["event_type"] == "depth")["raw_payload"]["payload"]
    engine = tw.Engine([tw.Instrument(SYMBOL, tick_size=0.25)], ["1m"])
    record = {"type": 1, "target": "GatewayDepth", "arguments": [SYMBOL, [payload]]}
    assert engine.push_bytes(json.dumps(record) + "\x1e").accepted == 1
    book = engine.book(SYMBOL)
    assert book is not None
    # Its size is the total; what it calls the current volume is zero.
    assert payload["currentVolume"] == 0
    np.testing.assert_array_equal(book.bids, [[29547.0, 2.0]])
    assert book.ts_event == 1_787_172_691_417_369_300
    assert not book.complete
