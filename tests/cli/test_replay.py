"""`tickwire replay`: the bars are the engine's, whatever the file's format and way, and errors are sentences."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import recorded
import tickwire as tw
import tickwire.cli

START_NS = 1_700_000_040_000_000_000
SECOND_NS = 1_000_000_000
GOLD = "gc_comex_20131007_09_trades"
SPANS = ["1m", "1h"]


@pytest.fixture(scope="module")
def ticks() -> pl.DataFrame:
    """Ten minutes of two instruments: trades and quotes, with sides, and a column to filter by."""
    random = np.random.default_rng(11)
    count = 4_000
    price = 100 + 0.25 * np.cumsum(random.integers(-1, 2, count))
    is_trade = random.random(count) < 0.5
    return pl.DataFrame(
        {
            "ts_ns": START_NS + np.sort(random.integers(0, 600 * SECOND_NS, count)),
            "instrument": random.choice(["AAA", "BBB"], count),
            "kind": np.where(is_trade, "trade", "quote"),
            "price": np.where(is_trade, price, np.nan),
            "size": np.where(is_trade, random.integers(1, 9, count), np.nan),
            "side": np.where(is_trade, random.choice(["buy", "sell"], count), None),
            "bid": np.where(is_trade, np.nan, price - 0.25),
            "ask": np.where(is_trade, np.nan, price + 0.25),
            "basis": random.choice(["C", "E", "O"], count),
        },
        schema_overrides={"side": pl.String},
    ).with_columns(pl.col("price", "size", "bid", "ask").fill_nan(None))


def save(frame: pl.DataFrame, path: Path) -> Path:
    match path.suffix:
        case ".csv":
            frame.write_csv(path)
        case ".parquet":
            frame.write_parquet(path)
        case _:
            frame.write_ipc(path)
    return path


def by_api(ticks: pl.DataFrame, spans: list[str], *, tick_size: float, source: str = "trade") -> pl.DataFrame:
    """The table that `replay --out` writes, made with the engine alone."""
    symbols = ticks["instrument"].unique(maintain_order=True).to_list()
    engine = tw.Engine(
        [tw.Instrument(symbol, tick_size=tick_size) for symbol in symbols], spans, source=source
    )
    for kind, columns in (("trade", recorded.TRADES), ("quote", [*recorded.QUOTES[:4]])):
        part = ticks.filter(pl.col("kind") == kind)
        if part.height:
            engine.push_table(part.select(columns))
    engine.advance(ticks["ts_ns"].max())
    return pl.concat(
        engine.bars(symbol, span, partial=True, source=source).select(
            pl.lit(symbol).alias("instrument"),
            pl.lit(span).alias("timeframe"),
            pl.lit(source).alias("source"),
            pl.all(),
        )
        for symbol in symbols
        for span in engine.timeframes
    )


# Bars


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".arrow", ".feather"])
def test_every_format_gives_the_engine_s_bars(run_json, ticks, tmp_path: Path, suffix: str) -> None:
    file = save(ticks, tmp_path / f"ticks{suffix}")
    out = tmp_path / "bars.parquet"
    result = run_json("replay", file, "--timeframes", "1s,1m", "--out", out)
    bars = pl.read_parquet(out)
    assert_frame_equal(bars, by_api(ticks, ["1s", "1m"], tick_size=0.25))
    assert result["received"] == result["accepted"] == ticks.height
    assert result["tick_sizes"] == {"AAA": 0.25, "BBB": 0.25}
    assert result["bars"] == bars.height == sum(group["bars"] for group in result["groups"])


def test_through_the_hub_the_bars_are_the_same(run_json, ticks, tmp_path: Path) -> None:
    file = save(ticks, tmp_path / "ticks.parquet")
    outs = [tmp_path / "direct.parquet", tmp_path / "hub.parquet"]
    options = ["--timeframes", "1s,1m", "--source", "trade,bid,ask,mid"]
    direct = run_json("replay", file, *options, "--out", outs[0])
    hub = run_json("replay", file, *options, "--out", outs[1], "--through-hub")
    assert direct["received"] == hub["received"] == ticks.height
    assert_frame_equal(pl.read_parquet(outs[0]), pl.read_parquet(outs[1]))


def test_recorded_gold(run_json, data: Path, tmp_path: Path) -> None:
    file = data / "ticks" / f"{GOLD}.parquet"
    outs = [tmp_path / "direct.parquet", tmp_path / "hub.parquet"]
    direct = run_json("replay", file, "--timeframes", "1m,1h", "--out", outs[0])
    hub = run_json("replay", file, "--timeframes", "1m,1h", "--out", outs[1], "--through-hub")
    ticks = recorded.ticks(data, GOLD)
    assert direct["received"] == hub["received"] == ticks.height
    assert len(direct["tick_sizes"]) == 11
    assert set(direct["tick_sizes"].values()) == {0.1}
    bars = pl.read_parquet(outs[0])
    assert_frame_equal(bars, by_api(ticks, SPANS, tick_size=0.1))
    assert_frame_equal(bars, pl.read_parquet(outs[1]))
    minutes = bars.filter(pl.col("timeframe") == "1m")
    assert minutes.height == 4_681


def test_filter_on_a_column_that_ticks_do_not_have(run_json, data: Path, tmp_path: Path) -> None:
    file = data / "ticks" / "iqfeed_equity_20210301_03_trades.parquet"
    result = run_json("replay", file, "--filter", "basis IN ('C', 'E')", "--timeframes", "1s,5s")
    assert [group["bars"] for group in result["groups"]] == [7_949, 5_878]


def test_filter(run_json, ticks, tmp_path: Path) -> None:
    file, out = save(ticks, tmp_path / "ticks.csv"), tmp_path / "bars.parquet"
    result = run_json("replay", file, "--filter", "basis = 'C' AND instrument = 'BBB'", "--out", out)
    kept = ticks.filter((pl.col("basis") == "C") & (pl.col("instrument") == "BBB"))
    assert result["received"] == kept.height
    assert_frame_equal(pl.read_parquet(out), by_api(kept, ["1m"], tick_size=0.25))


def test_quotes_alone_make_bid_and_ask_bars(run_json, ticks, tmp_path: Path) -> None:
    quotes = ticks.filter(pl.col("kind") == "quote").drop("kind", "price", "size", "side")
    out = tmp_path / "bars.parquet"
    run_json("replay", save(quotes, tmp_path / "quotes.arrow"), "--out", out)
    bars = pl.read_parquet(out)
    assert bars["source"].unique().sort().to_list() == ["ask", "bid"]
    for source in ("bid", "ask"):
        expected = by_api(quotes.with_columns(kind=pl.lit("quote")), ["1m"], tick_size=0.25, source=source)
        assert_frame_equal(bars.filter(pl.col("source") == source), expected)


def test_open_bars_are_marked_or_left_out(run_json, ticks, tmp_path: Path) -> None:
    file, out = save(ticks, tmp_path / "ticks.parquet"), tmp_path / "bars.parquet"
    everything = run_json("replay", file, "--out", out)
    bars = pl.read_parquet(out)
    last_ns = ticks["ts_ns"].max()
    ends_ns = bars["ts"].dt.epoch("ns") + 60 * SECOND_NS
    assert (bars["complete"] == (ends_ns <= last_ns)).all()
    assert (~bars["complete"]).sum() == 2
    closed = run_json("replay", file, "--out", out, "--closed-only")
    assert_frame_equal(pl.read_parquet(out), bars.filter("complete"))
    assert everything["bars"] - closed["bars"] == 2


@pytest.mark.parametrize("suffix", [".csv", ".arrow", ".feather", ".parquet"])
def test_every_output_holds_the_same(run_json, ticks, tmp_path: Path, suffix: str) -> None:
    file, out = save(ticks, tmp_path / "ticks.parquet"), tmp_path / f"bars{suffix}"
    run_json("replay", file, "--out", out)
    read: dict[str, Callable[[Path], pl.DataFrame]] = {".csv": pl.read_csv, ".parquet": pl.read_parquet}
    bars = read.get(suffix, pl.read_ipc)(out)
    if suffix == ".csv":
        assert bars["ts"].str.ends_with("Z").all()
        bars = bars.with_columns(pl.col("ts").str.to_datetime(time_unit="ns", time_zone="UTC"))
    assert_frame_equal(bars, by_api(ticks, ["1m"], tick_size=0.25))


# What a file may hold


def small(tmp_path: Path, **columns: list[Any]) -> Path:
    """A file of a few ticks; columns that are not given are those of plain trades."""
    rows = len(next(iter(columns.values())))
    plain: dict[str, list[Any]] = {
        "ts_event": [START_NS + row * SECOND_NS for row in range(rows)],
        "symbol": ["A"] * rows,
        "price": [10.25 + row / 4 for row in range(rows)],
        "size": [1.0] * rows,
    }
    return save(pl.DataFrame({**plain, **columns}, strict=False), tmp_path / "small.parquet")


def test_rejected_ticks_are_counted_by_reason(run_json, tmp_path: Path) -> None:
    prices = [10.25, None, -1.0, 10.5, 10.75]
    result = run_json("replay", small(tmp_path, price=prices, size=[1.0, 1.0, 1.0, -2.0, 1.0]))
    assert (result["received"], result["accepted"]) == (5, 2)
    assert result["rejections"] == {"not_finite": 1, "not_positive": 1, "size": 1}


def test_negative_prices_where_they_are_legal(run_json, tmp_path: Path) -> None:
    file = small(tmp_path, price=[1.25, 0.25, -0.5])
    assert run_json("replay", file)["rejections"] == {"not_positive": 1}
    assert run_json("replay", file, "--allow-negative")["rejected"] == 0


def test_lateness(run_json, tmp_path: Path) -> None:
    times = [START_NS, START_NS + 2 * SECOND_NS, START_NS + SECOND_NS // 2]
    file = small(tmp_path, ts_event=times)
    assert run_json("replay", file, "--timeframes", "1s")["rejections"] == {"late": 1}
    assert run_json("replay", file, "--timeframes", "1s", "--lateness", "5s")["rejected"] == 0


def test_tick_size_given(run_json, tmp_path: Path) -> None:
    file = small(tmp_path, symbol=["A", "A", "B"], price=[10.25, 10.5, 7.3])
    assert run_json("replay", file)["tick_sizes"] == {"A": 0.25, "B": 0.1}
    one = run_json("replay", file, "--tick-size", "A=0.5")
    assert one["tick_sizes"] == {"A": 0.5, "B": 0.1}
    assert one["flags"] == {"grid": 1}
    both = run_json("replay", file, "--tick-size", "0.01", "--tick-size", "B=0.2")
    assert both["tick_sizes"] == {"A": 0.01, "B": 0.2}


def test_times_as_text(run_json, tmp_path: Path) -> None:
    file = tmp_path / "iso.csv"
    file.write_text(
        "ts_event,symbol,price\n2024-01-02T03:04:05.123456789Z,A,1.5\n2024-01-02T03:05:06Z,A,1.75\n"
    )
    out = tmp_path / "bars.parquet"
    # Without a size there is nothing to add up, and no trade either.
    assert run_json("replay", file, "--out", out)["rejections"] == {"size": 2}
    file.write_text(
        file.read_text().replace("price", "price,size").replace(".5\n", ".5,1\n").replace(".75\n", ".75,2\n")
    )
    run_json("replay", file, "--out", out)
    assert pl.read_parquet(out)["ts"].dt.strftime("%H:%M:%S").to_list() == ["03:04:00", "03:05:00"]


# People


def test_table(run, ticks, tmp_path: Path) -> None:
    file, out = save(ticks, tmp_path / "ticks.parquet"), tmp_path / "bars.csv"
    done = run("replay", file, "--timeframes", "1m,5m", "--out", out)
    assert done.returncode == 0
    # No progress bar where nobody watches.
    assert done.stderr == ""
    assert re.search(
        r"^AAA +1m +1[01] +2023-11-14 22:14:00 +2023-11-14 22:2[34]:00", done.stdout, re.MULTILINE
    )
    assert "4,000 ticks in " in done.stdout
    assert "accepted 4,000, rejected 0" in done.stdout
    assert "end after the last tick of the file" in done.stdout
    assert f"bars written to {out}" in done.stdout


# Errors

TRADE = {"ts_ns": [START_NS], "instrument": ["A"], "price": [1.5], "size": [2.0]}


@pytest.mark.parametrize(
    ("columns", "options", "sentence"),
    [
        ({}, ["--timeframes", "7x"], 'got timeframe "7x", expected a length of time'),
        ({}, ["--timeframes", "1s,,1m"], "--timeframes: got '1s,,1m', expected names with commas between"),
        ({}, ["--source", "bids"], "--source: got 'bids', expected one of 'trade', 'bid'"),
        ({}, ["--source", "bid"], "--source bid: the file has no quotes"),
        (
            {"kind": ["quote"], "bid": [1.0], "ask": [2.0]},
            ["--source", "trade"],
            "--source trade: the file has no trades",
        ),
        (
            {"kind": ["quote"], "bid": [1.0], "ask": [2.0]},
            ["--source", "last"],
            "the file has no column 'last'",
        ),
        ({}, ["--filter", "foo = 1"], "--filter 'foo = 1': unable to find column \"foo\""),
        ({}, ["--filter", "size +"], "expected an SQL condition on ts_ns, instrument, price, size"),
        ({}, ["--filter", "size"], "--filter 'size': got Float64 values, expected a condition"),
        ({}, ["--filter", "size > 9"], "no row meets --filter 'size > 9'"),
        ({}, ["--tick-size", "x"], "--tick-size: got 'x', expected a number above zero"),
        ({}, ["--tick-size", "B=1"], "--tick-size: got 'B', expected one of the file's instruments: A"),
        ({}, ["--lateness", "soon"], "lateness: got 'soon', expected a duration"),
        ({}, ["--out", "bars.xlsx"], "--out: got bars.xlsx, expected a name that ends in .parquet"),
        ({}, ["--out", "nowhere/bars.csv"], "--out: the folder nowhere does not exist"),
        ({"price": ["1.5", "abc"]}, [], "column 'price' has 'abc' in row 1, expected a number"),
        (
            {"price": ["1.5", "abc"], "use": [0, 1]},
            ["--filter", "use = 1"],
            "column 'price' has 'abc' in row 1",
        ),
        ({"instrument": ["A", None]}, [], "column 'instrument' is empty in row 1, expected an instrument"),
        ({"kind": ["trade", "depth"]}, [], "column 'kind' has 'depth' in row 1, expected 'trade' or 'quote'"),
        ({"ts_ns": ["noon"]}, [], "column 'ts_ns' has text that is no time, e.g. 'noon'"),
        ({"ts_ns": [1.5]}, [], "column 'ts_ns' has type Float64, expected int ns UTC or timestamps"),
        ({"ts_ns": None}, [], "no column 'ts_ns' or 'ts_event'; got instrument, price, size"),
        ({"instrument": None}, [], "no column 'instrument' or 'symbol'; got ts_ns, price, size"),
        (
            {"price": None},
            [],
            "no prices; got ts_ns, instrument, size, expected a column price, or bid and ask",
        ),
        ({"price": [3.14159265358979, 2.71828182845904]}, [], "the prices of A lie on no decimal grid"),
    ],
)
def test_wrong_input(
    columns: dict[str, Any],
    options: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    merged = {name: values for name, values in (TRADE | columns).items() if values is not None}
    rows = max(map(len, merged.values()))
    frame = pl.DataFrame(
        {name: values if len(values) == rows else values * rows for name, values in merged.items()}
    )
    file = save(frame, tmp_path / "ticks.parquet")
    assert tickwire.cli.main(["replay", file.name, *options, "--json"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert sentence in printed.err
    assert len(printed.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("none.parquet", None, "none.parquet: no such file"),
        ("ticks.txt", b"", "ticks.txt: got '.txt', expected .parquet"),
        ("junk.parquet", b"junk", "junk.parquet: cannot be read"),
        ("junk.arrow", b"junk", "junk.arrow: cannot be read"),
        ("empty.csv", b"", "empty.csv: cannot be read: empty CSV"),
        ("head.csv", b"ts_ns,instrument,price,size\n", "head.csv: has no rows, expected ticks"),
    ],
)
def test_files_that_are_none(run, tmp_path: Path, name: str, content: bytes | None, sentence: str) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    done = run("replay", file)
    assert done.returncode == 2
    assert done.stdout == ""
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_input_is_not_overwritten(run, ticks, tmp_path: Path) -> None:
    file = save(ticks, tmp_path / "ticks.parquet")
    before = file.read_bytes()
    done = run("replay", file, "--out", tmp_path / "." / "ticks.parquet")
    assert done.returncode == 2
    assert "is the file that is replayed" in done.stderr
    assert file.read_bytes() == before
