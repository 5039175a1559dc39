"""Latencies: buckets against exact quantiles, and which time belongs to which tick."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tickwire as tw
from tickwire.cli.latency import Histogram, Latency, Strategy, TimedEngine

US = 1_000


@given(st.lists(st.integers(1_000, 10**12), min_size=1, max_size=300), st.sampled_from([0.0, 0.5, 0.99, 1.0]))
def test_quantiles_are_within_a_bucket(durations_ns: list[int], quantile: float) -> None:
    histogram = Histogram()
    for part in np.array_split(np.array(durations_ns, np.int64), 3):
        histogram.record(part)
    exact_us = np.quantile(durations_ns, quantile, method="inverted_cdf") / 1e3
    got_us = histogram.quantile_us(quantile)
    assert histogram.count == len(durations_ns)
    assert got_us is not None
    # One bucket is 2 % wide, and the result is shown to 0.1 µs.
    assert exact_us / 1.0001 - 0.1 <= got_us <= exact_us * 1.0202 + 0.1


def test_nothing_has_no_quantile() -> None:
    assert Histogram().quantile_us(0.5) is None


def test_what_is_out_of_range_is_counted_at_its_ends() -> None:
    histogram = Histogram()
    histogram.record(np.array([-5, 0, 10**15], np.int64))
    assert histogram.count == 3
    assert histogram.quantile_us(0.01) == pytest.approx(1.0, abs=0.1)
    assert histogram.quantile_us(1.0) == pytest.approx(1e9, rel=0.02)


@pytest.fixture
def parts() -> tuple[TimedEngine, Strategy, Latency]:
    engine = TimedEngine(tw.Instrument("ES", tick_size=0.25), ["1s"])
    strategy = Strategy(engine.subscribe(trades=True))
    return engine, strategy, Latency(engine, strategy)


def test_each_tick_is_measured_to_the_end_of_its_own_read(parts) -> None:
    engine, strategy, latency = parts
    engine.reads.extend([(1_000 * US, 1_010 * US), (2_000 * US, 2_500 * US)])
    strategy.taken.extend([(900 * US, 1_000 * US, 1_100 * US), (900 * US, 2_000 * US, 2_600 * US)])
    latency.collect()
    assert latency.to_engine.quantile_us(0.5) == pytest.approx(110, rel=0.03)
    assert latency.to_engine.quantile_us(1.0) == pytest.approx(1_600, rel=0.03)
    assert latency.to_strategy.quantile_us(0.5) == pytest.approx(200, rel=0.03)
    assert latency.to_strategy.quantile_us(1.0) == pytest.approx(1_700, rel=0.03)


def test_a_tick_waits_for_the_note_of_its_read(parts) -> None:
    """A strategy can have a tick before the thread that read it has noted so."""
    engine, strategy, latency = parts
    strategy.taken.append((900 * US, 1_000 * US, 1_100 * US))
    latency.collect()
    assert (latency.to_engine.count, latency.to_strategy.count) == (0, 1)
    engine.reads.append((500 * US, 510 * US))
    latency.collect()
    assert latency.to_engine.count == 0
    engine.reads.append((1_000 * US, 1_300 * US))
    latency.collect()
    assert (latency.to_engine.count, latency.to_strategy.count) == (1, 1)
    assert latency.to_engine.quantile_us(0.5) == pytest.approx(400, rel=0.03)


def test_a_strategy_that_lags_finds_the_reads_of_its_ticks(parts) -> None:
    engine, strategy, latency = parts
    engine.reads.extend((read * US, read * US + 10 * US) for read in range(1_000, 2_000))
    latency.collect()
    strategy.taken.append((1_000 * US - 90 * US, 1_000 * US, 5_000 * US))
    latency.collect()
    assert latency.to_engine.quantile_us(0.5) == pytest.approx(100, rel=0.03)


def test_a_feed_notes_every_push_and_stays_a_feed() -> None:
    engine = TimedEngine(tw.Instrument("ES", tick_size=0.25), ["1s"])
    feed = engine.feed()
    receipt = feed.push_bytes(b'{"type":6}\x1e', 1_000)
    assert receipt.control == (b'{"type":6}',)
    ((arrived_ns, done_ns),) = engine.reads
    assert arrived_ns == 1_000 < done_ns
    feed.reset()
