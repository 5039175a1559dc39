"""`tickwire replay --report`: what it says is what Polars finds, on a terminal, as JSON and as a page."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import recorded

START_NS = 1_700_000_040_000_000_000
SECOND_NS = 1_000_000_000
BINANCE = "btcusdt_binance_spot_20240808_09"
VOID = {"meta", "link", "br"}


class Page(HTMLParser):
    """Checks that tags close in order, and collects the cells of every table row."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self.addresses: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag in VOID:
            return
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        self.text += data
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data


@pytest.fixture
def dirty(tmp_path: Path) -> Path:
    """An hour of trades and quotes with one of each fault, rows 0 to 299 and 300 to 499."""
    trades = pl.DataFrame(
        {
            "ts_event": [START_NS + row * SECOND_NS for row in range(300)],
            "price": [100 + 0.25 * (row % 2) for row in range(300)],
            "size": [float(1 + row % 3) for row in range(300)],
        }
    )
    at = pl.int_range(pl.len())
    trades = trades.with_columns(
        ts_event=pl.when(at == 250).then(START_NS + 200 * SECOND_NS).otherwise("ts_event"),
        price=pl.when(at == 100).then(500.0).when(at == 150).then(108.0).when(at == 260).then(-1.0).otherwise("price"),
        size=pl.when(at == 120).then(0.0).when(at == 140).then(1e5).otherwise("size"),
    )  # fmt: skip
    quotes = pl.DataFrame(
        {
            "ts_event": [START_NS + row * SECOND_NS for row in range(200)],
            "bid": [100.0] * 198 + [100.5, 100.25],
            "ask": [100.25] * 197 + [None, 100.25, 100.25],
        },
        schema_overrides={"ask": pl.Float64},
    )
    path = tmp_path / "dirty.parquet"
    both = pl.concat(
        [
            trades.with_columns(kind=pl.lit("trade"), instrument=pl.lit("<A&B>")),
            quotes.with_columns(kind=pl.lit("quote"), instrument=pl.lit("<A&B>")),
        ],
        how="diagonal",
    )
    both.write_parquet(path)
    return path


def test_every_fault_is_found_where_it_is(run_json, dirty: Path) -> None:
    result = run_json("replay", dirty, "--report", "--tick-size", "0.25", "--timeframes", "1s")
    (one,) = result["quality"]
    found = {
        (finding["action"], finding["reason"], finding["kind"]): (
            finding["count"],
            finding["first"]["row"],
            finding["last"]["row"],
        )
        for finding in one["findings"]
    }
    assert found == {
        ("rejected", "band", "trade"): (1, 100, 100),
        ("rejected", "not_positive", "trade"): (1, 260, 260),
        ("flagged", "zero_size", "trade"): (1, 120, 120),
        ("flagged", "outsize", "trade"): (1, 140, 140),
        ("flagged", "spike", "trade"): (1, 150, 150),
        ("flagged", "backwards", "trade"): (1, 250, 250),
        ("flagged", "one_sided", "quote"): (1, 497, 497),
        ("flagged", "crossed", "quote"): (1, 498, 498),
        ("flagged", "locked", "quote"): (1, 499, 499),
    }
    assert one["findings"][0]["first"] == {
        "row": 100,
        "ts_event": "2023-11-14T22:15:40.000000000Z",
        "price": 500.0,
        "size": 2.0,
    }
    assert one["late"] == 1 == result["rejections"]["late"]
    assert one["out_of_order"] == {
        "trades": {"count": 1, "most_s": 49.0},
        "quotes": {"count": 0, "most_s": 0.0},
    }
    assert one["spread"]["median_ticks"] == 1.0
    assert (one["spread"]["crossed_share"], one["spread"]["one_sided_share"]) == (1 / 200, 1 / 200)
    assert one["gaps"][0]["length_s"] == 2.0, "around the tick whose time is wrong"
    assert one["clock"] is None
    # The bars are made as without a report.
    assert "quality" not in run_json("replay", dirty, "--tick-size", "0.25")


def test_the_page_and_the_json_say_the_same(run, dirty: Path, tmp_path: Path) -> None:
    page, data = tmp_path / "report.html", tmp_path / "report.json"
    done = run("replay", dirty, "--tick-size", "0.25", "--report-file", page, "--report-file", data)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(data.read_text("utf-8"))
    parsed = Page(page.read_text("utf-8"))
    assert parsed.addresses == [], "it needs nothing else"
    (one,) = report["instruments"]
    assert one["symbol"] == "<A&B>"
    assert "<A&B>" in parsed.text
    assert parsed.rows[1] == ["<A&B>", "300", "200", "2", "7", str(one["late"])]
    shown = [row for row in parsed.rows if row and row[0] in ("rejected", "flagged")]
    assert [row[:4] for row in shown] == [
        [finding["action"], finding["kind"] + "s", finding["reason"], str(finding["count"])]
        for finding in one["findings"]
    ]
    assert "row 100, 2023-11-14 22:15:40.000: price 500, size 2" in parsed.text


def test_people_see_lines(run, dirty: Path) -> None:
    done = run("replay", dirty, "--tick-size", "0.25", "--report")
    assert done.returncode == 0, done.stderr
    assert "  rejected band: 1 trades (0.3%), first row 100, 2023-11-14 22:15:40.000: price 500, size 2" in (
        done.stdout.splitlines()
    )
    assert "silent for 1 s from 2023-11-14" in done.stdout


def test_recorded_crypto_has_its_clocks_compared(run_json, data: Path) -> None:
    """Against the columns themselves."""
    result = run_json("replay", data / "ticks" / f"{BINANCE}.parquet", "--report")
    (one,) = result["quality"]
    ticks = recorded.ticks(data, BINANCE)
    delay = (ticks["ts_recv_ns"] - ticks["ts_ns"]).to_numpy() / 1e9
    clock = one["clock"]
    assert clock["ticks"] == ticks.height
    assert clock["median_s"] == pytest.approx(float(np.median(delay)))
    assert (clock["min_s"], clock["max_s"]) == pytest.approx((delay.min(), delay.max()))
    assert clock["before_event_share"] == pytest.approx((delay < 0).mean())
    trades = ticks.filter(pl.col("kind") == "trade")
    columns = ["ts_ns", "price", "size", "side"]
    assert one["same_rows"]["trades"] == trades.height - trades.select(columns).unique().height
    behind = (trades["ts_ns"].cum_max() - trades["ts_ns"]).to_numpy()
    assert one["out_of_order"]["trades"] == {"count": int((behind > 0).sum()), "most_s": behind.max() / 1e9}
    times = np.sort(ticks["ts_ns"].to_numpy())
    assert [gap["length_s"] for gap in one["gaps"]] == pytest.approx(np.sort(np.diff(times))[:-6:-1] / 1e9)


def test_wrong_names_are_told_before_the_work(run, dirty: Path) -> None:
    done = run("replay", dirty, "--report-file", "report.pdf")
    assert done.returncode == 2
    assert "--report-file: got report.pdf, expected a name that ends in .html, .json" in done.stderr
