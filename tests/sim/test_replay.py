"""Recorded ticks: every format, the source's order, full precision, and clear refusals."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from hubs import PATIENCE_S
from sim.peer import Peer, elements
from tickwire import ConfigError, DataError, sim

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "ticks"

FRAME = pl.DataFrame(
    {
        # Out of order, with nanoseconds, and two equal rows.
        "ts_ns": [1_000_000_000_000_000_001, 1_000_000_000_123_456_789, 1_000_000_000_000_000_000]
        + [1_000_000_001_500_000_000] * 2,
        "instrument": ["B", "A", "B", "A", "A"],
        "kind": ["trade", "quote", "trade", "trade", "trade"],
        "price": [2208.1, None, -37.63, 5e-05, 5e-05],
        "size": [1.0, None, 0.0, 0.00027625, 0.00027625],
        "side": ["buy", None, "sell", None, None],
        "bid": [None, 1.38676, None, None, None],
        "bid_size": [None, 2.0, None, None, None],
        "ask": [None, None, None, None, None],
        "ask_size": [None, None, None, None, None],
    },
    schema_overrides={"ask": pl.Float64, "ask_size": pl.Float64},
)


def events(source: sim.Replay, **options: Any) -> list[tuple[str, str, Any]]:
    """What a client of a hub with this source gets."""
    with sim.Hub(source, elements_per_record=1, **options) as hub, Peer(hub) as peer:
        peer.subscribe(source.symbols)
        return peer.events(len(source))


EXPECTED = [
    (
        "trade",
        "B",
        [
            {
                "symbolId": "B",
                "price": 2208.1,
                "timestamp": "2001-09-09T01:46:40.000000001Z",
                "type": 0,
                "volume": 1,
            }
        ],
    ),
    (
        "quote",
        "A",
        {
            "symbol": "A",
            "symbolName": "/A",
            "bestBid": 1.38676,
            "bestAsk": None,
            "lastUpdated": "2001-09-09T01:46:40.123456789Z",
            "timestamp": "2001-09-09T01:46:40.123456789Z",
        },
    ),
    (
        "trade",
        "B",
        [{"symbolId": "B", "price": -37.63, "timestamp": "2001-09-09T01:46:40Z", "type": 1, "volume": 0}],
    ),
    *[
        (
            "trade",
            "A",
            [{"symbolId": "A", "price": 5e-05, "timestamp": "2001-09-09T01:46:41.5Z", "volume": 0.00027625}],
        )
    ]
    * 2,
]


def test_a_frame_goes_out_row_by_row():
    source = sim.Replay(FRAME)
    assert source.symbols == ("B", "A")
    assert source.kinds == {"trade", "quote"}
    assert events(source) == EXPECTED


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".arrow", ".feather", ".ipc"])
def test_files_of_every_kind(tmp_path: Path, suffix: str):
    path = tmp_path / f"ticks{suffix}"
    write = {".parquet": FRAME.write_parquet, ".csv": FRAME.write_csv}.get(suffix, FRAME.write_ipc)
    write(path)
    assert events(sim.Replay(path)) == EXPECTED
    assert events(sim.Replay(str(path))) == EXPECTED


def test_the_other_column_names_and_types():
    renamed = FRAME.select(
        pl.col("ts_ns").cast(pl.Datetime("ns", "UTC")).alias("ts_event"),
        pl.col("instrument").cast(pl.Categorical).alias("symbol"),
        "price",
        "size",
        pl.col("side").replace_strict({"buy": 1, "sell": -1}, default=None, return_dtype=pl.Int8),
        "bid",
        "ask",
    )
    assert events(sim.Replay(renamed)) == EXPECTED
    coarse = FRAME.with_columns(pl.col("ts_ns").cast(pl.Datetime("ns")).dt.cast_time_unit("us"))
    assert events(sim.Replay(coarse))[1][2]["timestamp"] == "2001-09-09T01:46:40.123456Z"


@pytest.mark.parametrize(
    ("digits", "zone", "text"),
    [
        (0, "Z", "2001-09-09T01:46:40Z"),
        (3, "", "2001-09-09T01:46:40.123"),
        (7, "+00:00", "2001-09-09T01:46:40.1234567+00:00"),
        (9, "Z", "2001-09-09T01:46:40.123456789Z"),
        (None, "Z", "2001-09-09T01:46:40.123456789Z"),
    ],
)
def test_timestamps_in_every_form(digits: int | None, zone: str, text: str):
    assert events(sim.Replay(FRAME), digits=digits, zone=zone)[1][2]["timestamp"] == text


def test_times_before_1970_and_far_ahead():
    odd = FRAME.head(2).with_columns(ts_ns=pl.Series([-1, 9_000_000_000_000_000_001]), kind=pl.lit("trade"))
    made = [data[0]["timestamp"] for _, _, data in events(sim.Replay(odd))]
    assert made == ["1969-12-31T23:59:59.999999999Z", "2255-03-14T16:00:00.000000001Z"]


@pytest.mark.parametrize("protocol", ["json", "messagepack"])
def test_numbers_that_json_does_not_have_go_out_as_null(protocol: str):
    odd = [math.nan, math.inf, -math.inf, None]
    frame = pl.DataFrame(
        {
            "ts_ns": range(9),
            "symbol": ["X"] * 9,
            "kind": ["trade"] * 4 + ["quote"] * 4 + ["trade"],
            "price": [*odd, None, None, None, None, 5.25],
            "size": [*reversed(odd), None, None, None, None, math.inf],
            "bid": [None, None, None, None, *odd, None],
            "ask": [None, None, None, None, 7.0, 7.0, 7.0, 7.0, None],
        }
    )
    source = sim.Replay(pl.concat([frame, frame]))
    with sim.Hub(source) as hub, Peer(hub, protocol=protocol) as peer:
        peer.subscribe(source.symbols)
        made = peer.events(18)
        hub.wait_finished(PATIENCE_S)
    prices = [(e["price"], e["volume"]) for _, e in elements(made, "trade")]
    assert prices == ([(None, None)] * 4 + [(5.25, None)]) * 2
    quotes = [data for kind, _, data in made if kind == "quote"]
    assert (quotes[0]["bestBid"], quotes[0]["bestAsk"]) == (None, 7)
    assert all("bestBid" not in quote for quote in quotes[1:])
    assert [quote.get("lastPrice") for quote in quotes] == [None] * 4 + [5.25] + [None] * 3


def test_speed_follows_the_recorded_times_without_going_back():
    blocks = list(sim.Replay(FRAME, speed=10.0).blocks())
    due = np.concatenate([block.due_ns for block in blocks]).tolist()
    assert due == [0, 12_345_678, 12_345_678, 149_999_999, 149_999_999]


def test_rate_spaces_evenly_over_blocks():
    long = pl.concat([FRAME] * 1_000)
    due = np.concatenate([block.due_ns for block in sim.Replay(long, rate=1_000.0).blocks()])
    np.testing.assert_array_equal(due, np.arange(5_000) * 1_000_000)
    assert not sim.Replay(long).paced
    assert not sim.Replay(long, rate="max").paced
    assert len(sim.Replay(long)) == 5_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.clear(), "no rows"),
        (lambda f: f.drop("ts_ns"), "no column 'ts_ns' or 'ts_event'"),
        (lambda f: f.drop("instrument"), "no column 'instrument' or 'symbol'"),
        (lambda f: f.with_columns(ts_ns=pl.lit("noon")), "expected int64 ns UTC or a datetime"),
        (lambda f: f.with_columns(ts_ns=pl.Series([1, None, 3, 4, 5])), "no value in row 1"),
        (lambda f: f.with_columns(instrument=pl.Series(["A", "B", None, "C", "D"])), "no value in row 2"),
        (
            lambda f: f.with_columns(kind=pl.Series(["trade", "trade", "trade", "depth", "trade"])),
            "'depth' in row 3",
        ),
        (
            lambda f: f.with_columns(kind=pl.Series(["trade", None, "trade", "trade", "trade"])),
            "None in row 1",
        ),
    ],
)
def test_recordings_that_cannot_work_are_refused(change: Any, message: str):
    with pytest.raises(DataError, match=message):
        sim.Replay(change(FRAME))


def test_files_that_cannot_work_are_refused(tmp_path: Path):
    with pytest.raises(DataError, match="no such file"):
        sim.Replay(tmp_path / "nothing.parquet")
    (tmp_path / "ticks.xls").write_bytes(b"")
    with pytest.raises(DataError, match=r"got '\.xls'"):
        sim.Replay(tmp_path / "ticks.xls")
    for arguments in ({"speed": 1.0, "rate": 5.0}, {"speed": 0.0}, {"rate": -1.0}):
        with pytest.raises(ConfigError):
            sim.Replay(FRAME, **arguments)


@pytest.mark.parametrize("protocol", ["json", "messagepack"])
def test_recorded_gold_arrives_as_it_was_recorded(protocol: str):
    path = SHARED / "gc_comex_20131007_09_trades.parquet"
    if not path.exists():
        pytest.skip("needs the recorded markets of ../shared/data, which are not part of the project")
    frame = pl.read_parquet(path).head(20_000)
    source = sim.Replay(frame)
    with sim.Hub(source, records_per_message=50) as hub, Peer(hub, protocol=protocol) as peer:
        peer.subscribe(source.symbols, ["trade"])
        made = elements(peer.events(len(source)), "trade")
        hub.wait_finished(60)
        assert hub.sent.trades == hub.sent.ticks == frame.height
    got = pl.DataFrame(
        {
            "instrument": [contract for contract, _ in made],
            "price": [float(element["price"]) for _, element in made],
            "size": [float(element["volume"]) for _, element in made],
            "ts": [element["timestamp"] for _, element in made],
        }
    ).with_columns(ts_ns=pl.col("ts").str.to_datetime("%+", time_unit="ns").dt.epoch("ns"))
    for column in ("instrument", "ts_ns", "price", "size"):
        assert got[column].to_list() == frame[column].to_list()
