"""Recordings in their own order of rows, trades and quotes interleaved: which ticks are late, and that no
trade is lost to a quote's clock.

Which ones are late is worked out with Polars from the rule alone: the watermark of a stream is the largest
event time so far, less the allowed lateness, and a tick is late if its smallest bar ended by then.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import recorded
import tickwire as tw

S = 1_000_000_000
FILES = {
    "taq_xxx_20180102_03_raw": 0.01,
    "esu4_databento_20240701_trades_mbp1": 0.25,
    "btcusdt_binance_spot_20240808_09": 0.01,
    "es_mdp3_20190829_trades_bbo": 0.25,
}
OFF = tw.Rules(grid="off", band="off", size="off", skew="off", crossed="off", allow_negative=True)


def expected_late(stream: pl.DataFrame, lateness_ns: int) -> int:
    """Ticks whose second was over when they came."""
    # The first tick of all is not believed alone: as a rule the second confirms it.
    newest = pl.col("ts_ns").cum_max().shift(1)
    newest = pl.when(pl.int_range(pl.len()) < 2).then(None).otherwise(newest)
    end = (pl.col("ts_ns") // S + 1) * S
    return stream.select((end <= newest - lateness_ns).sum()).item()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("lateness", ["0s", "300us", "2s"])
def test_late_ticks_are_those_of_the_rule(data: Path, name: str, lateness: str) -> None:
    rows = recorded.ticks(data, name)
    # A quote without any price is refused, and moves nothing.
    rows = rows.filter((pl.col("kind") == "trade") | pl.any_horizontal(pl.col("bid", "ask").is_not_null()))
    symbols = rows["instrument"].unique().sort().to_list()
    engine = tw.Engine(
        [tw.Instrument(symbol, tick_size=FILES[name], rules=OFF) for symbol in symbols],
        ["1s", "1m"],
        source=("trade", "bid"),
        lateness=lateness,
    )
    recorded.push_rows(engine, rows.drop("ts_recv_ns", strict=False))
    lateness_ns = {"0s": 0, "300us": 300_000, "2s": 2 * S}[lateness]
    for symbol in symbols:
        own = rows.filter(pl.col("instrument") == symbol)
        streams = [own.filter(pl.col("kind") == kind) for kind in ("trade", "quote")]
        late = [expected_late(stream, lateness_ns) for stream in streams]
        stats = engine.stats(symbol)
        assert stats["rejections"].get("late", 0) == sum(late), symbol
        assert stats["trades"] == streams[0].height - late[0], symbol
        assert stats["received"] == own.height
        # By one clock for both, trades would be lost to quotes.
        if name.startswith("btcusdt") and lateness == "0s":
            assert expected_late(own, 0) > 10_000
