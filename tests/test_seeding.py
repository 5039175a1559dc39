"""Which timeframes are fetched, and how much of each."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tickwire as tw
from effort import examples
from oracle import NS, bucket
from tickwire.seeding import Tier, Tree

S, M, H, D = NS, 60 * NS, 3_600 * NS, 86_400 * NS
# A Thursday, 05:33:20 UTC.
JOIN = 1_700_112_800 * NS


def tree_of(timeframes: list[str], available: list[str]) -> Tree:
    engine = tw.Engine(tw.Instrument("X", tick_size=0.25), timeframes)
    return Tree(engine.parents("X"), available)


@pytest.mark.parametrize(
    ("timeframes", "available", "bases"),
    [
        (["1s", "1m", "5m", "1h"], ["1s", "1m"], ("1s",)),
        (["1s", "1m", "5m", "1h"], ["1m", "1h"], ("1m",)),
        (["1s", "2m", "3m", "6m"], ["2m", "3m", "6m"], ("2m", "3m")),
        (["2m", "3m", "6m"], ["2m", "6m"], ("2m", "6m")),
        (["1d", "1w", "1mo"], ["1w", "1mo"], ("1w", "1mo")),
        (["1s", "1m"], [], ()),
        (["1s", "1m"], ["1s", "7s"], ("1s",)),
    ],
)
def test_the_smallest_that_history_has_of_every_branch(
    timeframes: list[str], available: list[str], bases: tuple[str, ...]
) -> None:
    assert tree_of(timeframes, available).bases == bases


def test_a_seed_is_of_few_pages_however_long_it_is() -> None:
    timeframes = ["1s", "1m", "5m", "1h", "1d"]
    tree = tree_of(timeframes, timeframes)
    start = tree.seed_start("1s", bucket, JOIN, 60 * D)
    assert start == JOIN // D * D - 60 * D, "days are whole"
    tiers = tree.tiers("1s", bucket, start, JOIN, 20_000)
    assert [tier.timeframe for tier in tiers] == ["1s", "1m", "5m"]
    # Each begins on the hour or the day at which the next one ends.
    assert [tier.start_ns % H for tier in tiers] == [0, 0, 0]
    assert tree.tiers("1s", bucket, JOIN - H, JOIN, 20_000) == [Tier("1s", JOIN - H, JOIN)]


def test_a_seed_begins_with_whole_bars() -> None:
    tree = tree_of(["1s", "1h", "1d", "1w", "1mo"], ["1s", "1h", "1d"])
    start = tree.seed_start("1s", bucket, JOIN, 0)
    assert start == JOIN // D * D, "the day that was joined in its middle, but not the week"
    assert tree.seed_start("1s", bucket, JOIN, 8 * D) == bucket("1w", JOIN - 8 * D)[0]
    assert tree.seed_start("1s", bucket, JOIN, 40 * D) == bucket("1mo", JOIN - 40 * D)[0]
    assert tree_of(["1s"], ["1s"]).seed_start("1s", bucket, JOIN + 1, 0) == JOIN


LENGTHS = ["1s", "5s", "15s", "30s", "1m", "2m", "3m", "5m", "6m", "15m", "1h", "4h", "1d", "1w", "1mo"]


@settings(max_examples=examples(200))
@given(
    st.lists(st.sampled_from(LENGTHS), min_size=1, max_size=7, unique=True),
    st.data(),
    st.integers(0, 400 * 86_400),
    st.integers(1, 40 * 86_400),
    st.integers(10, 5_000),
)
def test_tiers_make_every_timeframe_that_can_be_made(
    timeframes: list[str], data: st.DataObject, after_s: int, length_s: int, most_bars: int
) -> None:
    available = data.draw(st.lists(st.sampled_from(timeframes), min_size=1, unique=True))
    tree = tree_of(timeframes, available)
    join = JOIN + after_s * S
    for base in tree.bases:
        start, end = bucket(base, join - length_s * S)[0], bucket(base, join)[1]
        tiers = tree.tiers(base, bucket, start, end, most_bars)
        family = tree.family(base)
        for tier in tiers:
            assert tier.timeframe in available
            assert tier.timeframe in family
            assert start <= tier.start_ns < tier.end_ns <= end
            assert bucket(tier.timeframe, tier.start_ns)[0] == tier.start_ns or tier.start_ns == start
            assert bucket(tier.timeframe, tier.end_ns - 1)[1] == tier.end_ns
        # From a timeframe down to the base, the tiers of all it is made of follow each other without a
        # hole and without a bar twice; those above which history has none go back to the start.
        parents = dict(tw.Engine(tw.Instrument("X", tick_size=1.0), timeframes).parents("X"))
        for timeframe in family:
            chain = [timeframe]
            while chain[-1] != base:
                chain.append(str(parents[chain[-1]]))
            mine = sorted((tier.start_ns, tier.end_ns) for tier in tiers if tier.timeframe in chain)
            assert mine[-1][1] == end
            assert all(one[1] == other[0] for one, other in itertools.pairwise(mine))
            if not set(tree.family(timeframe)[1:]) & set(available):
                assert mine[0][0] == start
        for tier in tiers:
            first, after = bucket(tier.timeframe, tier.start_ns)
            # Months differ in length. Only the last resort of a branch is longer than was asked for.
            bars = (tier.end_ns - tier.start_ns) / (after - first)
            assert tier.start_ns == start or "mo" in tier.timeframe or bars <= most_bars + 1
