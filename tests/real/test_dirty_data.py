"""Raw exchange data beside its authors' own cleaning: docs/data-quality.md has the table that this proves.

The authors' steps are done over with Polars; the result is the cleaned file, row for row. Then what each
step takes away is compared with what the rules say of the same rows.
"""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest

import recorded
import tickwire as tw

RAW, CLEANED = "taq_xxx_20180102_03_raw", "taq_xxx_20180102_03_cleaned"
KEPT_CONDITIONS = ["", "F", "F I", "I"]
EVERYTHING = ("spike", "outsize", "zero_size", "backwards", "locked", "one_sided", "duplicate")


class Steps(NamedTuple):
    """The rows left after each of the authors' steps, by the step's name."""

    trades: dict[str, pl.DataFrame]
    quotes: dict[str, pl.DataFrame]


@pytest.fixture(scope="module")
def raw(data: Path) -> pl.DataFrame:
    return recorded.ticks(data, RAW).with_row_index("row")


@pytest.fixture(scope="module")
def steps(raw: pl.DataFrame) -> Steps:
    local = pl.from_epoch("ts_ns", time_unit="ns").dt.replace_time_zone("UTC")
    time = local.dt.convert_time_zone("America/New_York").dt.time()
    open_hours = (time >= dt.time(9, 30)) & (time <= dt.time(16))
    day = local.dt.convert_time_zone("America/New_York").dt.date()
    spread = pl.col("ask") - pl.col("bid")
    trades = {"raw": raw.filter(pl.col("kind") == "trade")}
    quotes = {"raw": raw.filter(pl.col("kind") == "quote")}
    trades["priced"] = trades["raw"].filter(pl.col("price") != 0)
    trades["hours"] = trades["priced"].filter(open_hours)
    trades["venue"] = trades["hours"].filter(pl.col("exchange") == "N")
    trades["uncorrected"] = trades["venue"].filter(pl.col("corr") == "0")
    trades["condition"] = trades["uncorrected"].filter(pl.col("cond").is_in(KEPT_CONDITIONS))
    quotes["priced"] = quotes["raw"].filter((pl.col("bid") != 0) & (pl.col("ask") != 0))
    quotes["hours"] = quotes["priced"].filter(open_hours)
    quotes["venue"] = quotes["hours"].filter(pl.col("exchange") == "N")
    quotes["positive spread"] = quotes["venue"].filter(spread >= 0)
    quotes["small spread"] = quotes["positive spread"].filter(spread < 50 * spread.median().over(day))
    return Steps(trades, quotes)


def verdicts(ticks: pl.DataFrame, **rules: str) -> pl.DataFrame:
    """The rows of one kind with what the rules say of them."""
    given = tw.Rules(grid="off", **rules)  # type: ignore[arg-type]
    validator = tw.Validator(tw.Instrument("XXX", tick_size=0.01, rules=given))
    ts_event = ticks["ts_ns"].to_numpy()
    if ticks["kind"][0] == "trade":
        judged = validator.trades(
            ts_event=ts_event, **{name: ticks[name].to_numpy() for name in ("price", "size")}
        )
    else:
        names = ("bid", "ask", "bid_size", "ask_size")
        judged = validator.quotes(ts_event=ts_event, **{name: ticks[name].to_numpy() for name in names})
    return ticks.hstack(judged)


@pytest.fixture(scope="module")
def trades(steps: Steps) -> pl.DataFrame:
    return verdicts(steps.trades["raw"], **dict.fromkeys(EVERYTHING, "flag"))


@pytest.fixture(scope="module")
def quotes(steps: Steps) -> pl.DataFrame:
    return verdicts(steps.quotes["raw"], **dict.fromkeys(EVERYTHING, "flag"))


def rows(frame: pl.DataFrame, condition: pl.Expr) -> list[int]:
    return frame.filter(condition)["row"].to_list()


def flagged(reason: str) -> pl.Expr:
    return pl.col("flags").list.contains(reason)


def test_the_authors_steps_lead_to_their_file(data: Path, steps: Steps) -> None:
    cleaned = recorded.ticks(data, CLEANED)
    for kind, last, numbers in (
        ("trade", steps.trades["condition"], ["price"]),
        ("quote", steps.quotes["small spread"], ["bid", "ask"]),
    ):
        theirs = cleaned.filter(pl.col("kind") == kind).sort("ts_ns")
        merged = last.group_by("ts_ns").agg(pl.col(numbers).median()).sort("ts_ns")
        assert merged["ts_ns"].to_list() == theirs["ts_ns"].to_list()
        for name in numbers:
            assert (merged[name] - theirs[name]).abs().max() < 1e-9
    left = {name: frame.height for name, frame in steps.trades.items()}
    assert left == {
        "raw": 77_263,
        "priced": 77_263,
        "hours": 76_812,
        "venue": 11_187,
        "uncorrected": 11_187,
        "condition": 11_185,
    }
    left = {name: frame.height for name, frame in steps.quotes.items()}
    assert left == {
        "raw": 131_401,
        "priced": 131_305,
        "hours": 130_529,
        "venue": 94_420,
        "positive spread": 94_420,
        "small spread": 94_420,
    }


def test_quotes_without_a_price_are_the_ones_rejected(steps: Steps, quotes: pl.DataFrame) -> None:
    """The file writes zero for a side that is absent: crossed and locked quotes are among those."""
    without = (pl.col("bid") == 0) | (pl.col("ask") == 0)
    theirs = rows(steps.quotes["raw"], without)
    assert len(theirs) == 96
    assert rows(quotes, pl.col("reason") == "not_positive") == theirs
    crossed, locked = (pl.col("bid") > pl.col("ask")), (pl.col("bid") == pl.col("ask"))
    assert (len(rows(quotes, crossed)), len(rows(quotes, locked))) == (44, 35)
    assert rows(quotes, (crossed | locked) & ~without) == []
    assert rows(quotes, flagged("crossed") | flagged("locked") | flagged("one_sided")) == []


def test_told_that_zero_means_absent_the_same_quotes_are_one_sided_or_empty(steps: Steps) -> None:
    given = steps.quotes["raw"].with_columns(pl.col("bid", "ask").replace(0.0, float("nan")))
    judged = verdicts(given, one_sided="flag", band="off")
    one, both = (
        rows(steps.quotes["raw"], expression)
        for expression in (
            (pl.col("bid") == 0) ^ (pl.col("ask") == 0),
            (pl.col("bid") == 0) & (pl.col("ask") == 0),
        )
    )
    assert (len(one), len(both)) == (61, 35)
    assert rows(judged, flagged("one_sided")) == one
    assert rows(judged, pl.col("reason") == "not_finite") == both


def test_the_band_takes_stub_quotes_of_venues_that_the_authors_leave_out(quotes: pl.DataFrame) -> None:
    off = quotes.filter(pl.col("reason") == "band")
    assert off.height == 33
    # Bids far under a market at 156: beyond the authors' own limit for a spread, 50 times the median.
    stubs = off.group_by("exchange", "bid").len().sort("exchange").rows()
    assert stubs == [("A", 90.8, 31), ("V", 125.11, 2)]
    assert set(quotes["reason"]) == {None, "not_positive", "band"}


@pytest.mark.parametrize(
    ("kind", "numbers", "groups", "beyond_first", "next_to_it"),
    [
        ("trade", ["price", "size"], 10_261, 5_850, 9_628),
        ("quote", ["bid", "ask", "bid_size", "ask_size"], 18_968, 10_514, 6_028),
    ],
)
def test_duplicates(
    raw: pl.DataFrame,
    trades: pl.DataFrame,
    quotes: pl.DataFrame,
    kind: str,
    numbers: list[str],
    groups: int,
    beyond_first: int,
    next_to_it: int,
) -> None:
    """The data's own count is of all members of groups of like rows, venue and condition included; the rule
    compares a tick, which has neither, with the one right before it.
    """
    part = raw.filter(pl.col("kind") == kind)
    columns = part.drop("row")
    assert int(columns.is_duplicated().sum()) == groups
    assert columns.height - columns.unique().height == beyond_first
    names = ["ts_ns", *numbers]
    again = pl.all_horizontal(pl.col(name).eq(pl.col(name).shift()) for name in names)
    expected = rows(part, again)
    judged = trades if kind == "trade" else quotes
    assert rows(judged, flagged("duplicate")) == expected
    assert len(expected) == next_to_it


def test_prints_that_the_authors_drop_one_by_one_stand_out_by_size(
    steps: Steps, raw: pl.DataFrame, trades: pl.DataFrame
) -> None:
    corrected = rows(raw, pl.col("corr").is_not_null() & (pl.col("corr") != "0"))
    kept = steps.trades["condition"].select("row")
    opening = steps.trades["uncorrected"].join(kept, on="row", how="anti")["row"].to_list()
    outsize = rows(trades, flagged("outsize"))
    assert (len(corrected), len(opening), len(outsize)) == (2, 2, 10)
    assert set(corrected) | set(opening) < set(outsize)
    # The others are the crosses of the opening and the close, and blocks.
    assert trades.filter(flagged("outsize"))["size"].min() >= 90_000


def test_no_print_is_rejected_and_few_are_spikes(trades: pl.DataFrame) -> None:
    assert trades["accepted"].all()
    spikes = trades.filter(flagged("spike"))
    assert spikes.height == 14
    # Reported late, at a price agreed before, or outside the regular hours; none on the main venue.
    assert "N" not in set(spikes["exchange"])


def test_of_what_the_authors_keep_nothing_is_rejected(data: Path, steps: Steps) -> None:
    cleaned = recorded.ticks(data, CLEANED)
    for kept in (
        steps.trades["condition"],
        steps.quotes["small spread"],
        *(cleaned.filter(pl.col("kind") == kind) for kind in ("trade", "quote")),
    ):
        assert verdicts(kept)["accepted"].all()


def test_the_page_has_these_figures(trades: pl.DataFrame, quotes: pl.DataFrame) -> None:
    page = (Path(__file__).parents[2] / "docs" / "data-quality.md").read_text("utf-8")
    told = {
        name: tuple(int(number.replace(",", "")) for number in numbers)
        for name, *numbers in re.findall(r"^\| `(\w+)` \| ([\d,]+) / ([\d,]+) \|", page, re.MULTILINE)
    }
    counted: dict[str, list[int]] = {}
    for place, judged in enumerate((trades, quotes)):
        for column in (judged["reason"].drop_nulls(), judged.explode("flags")["flags"].drop_nulls()):
            for name, number in column.value_counts().iter_rows():
                counted.setdefault(name, [0, 0])[place] += number
    assert told == {name: tuple(numbers) for name, numbers in counted.items()}
