"""Meters against what they claim to count, worked out from everything they were told."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effort import examples
from tickwire.errors import ConfigError
from tickwire.health_meters import RateMeter, Recent, share


@settings(max_examples=examples(200))
@given(
    st.lists(
        st.tuples(st.sampled_from([0.25, 0.5, 1, 2, 7, 70]), st.integers(0, 100)), min_size=1, max_size=80
    )
)
def test_growth_is_that_of_the_window_to_a_step(steps: list[tuple[float, int]]) -> None:
    meter = Recent(60.0)
    now_s, total = 0.0, 1_000
    told = [(now_s, total)]
    assert meter.update(total, now_s) == 0
    for passed_s, grown in steps:
        now_s, total = now_s + passed_s, total + grown
        got = meter.update(total, now_s)
        told.append((now_s, total))

        def before(moment_s: float) -> int:
            return [then for at_s, then in told if at_s <= moment_s or at_s == 0.0][-1]

        assert total - before(now_s - 60.0) <= got <= total - before(now_s - 60.0 - 71.0)
        if all(passed == 1 for passed, _ in steps):
            assert got == total - before(now_s - 60.0)


def test_growth_of_a_counter_that_began_anew() -> None:
    meter = Recent(60.0)
    meter.update(1_000, 0.0)
    assert meter.update(1_010, 10.0) == 10
    assert meter.update(4, 20.0) == 4
    assert meter.update(6, 30.0) == 6
    assert meter.update(6, 90.0) == 0


def test_growth_keeps_few_marks() -> None:
    meter = Recent(600.0)
    for second in range(10_000):
        meter.update(second, float(second))
    assert len(meter._marks) <= Recent.STEPS + 2


def run(meter: RateMeter, start_s: int, length_s: int, rate: float, total: float, *, learn: bool) -> float:
    for second in range(start_s, start_s + length_s):
        total += rate
        meter.update(total, float(second), learn=learn)
    return total


def test_the_usual_rate_is_learned_while_the_market_is_open() -> None:
    meter = RateMeter()
    assert meter.rate is None
    total = run(meter, 0, 300, 50.0, 0.0, learn=True)
    assert meter.normal is None
    total = run(meter, 300, 300, 50.0, total, learn=True)
    assert meter.normal == pytest.approx(50)
    assert meter.rate == pytest.approx(50)
    # A weekend teaches nothing.
    total = run(meter, 600, 48 * 3_600, 0.0, total, learn=False)
    assert meter.normal == pytest.approx(50)
    assert meter.rate == pytest.approx(0, abs=1e-9)
    # A busier market becomes the usual one within hours, the present rate follows in a minute.
    start = 600 + 48 * 3_600
    total = run(meter, start, 60, 150.0, total, learn=True)
    assert meter.rate == pytest.approx(150, rel=0.01)
    assert meter.normal == pytest.approx((600 * 50 + 60 * 150) / 660, rel=0.01)
    run(meter, start + 60, 4 * 3_600, 150.0, total, learn=True)
    assert meter.normal == pytest.approx(150, rel=0.01)


def test_the_first_minutes_weigh_alike() -> None:
    meter = RateMeter()
    total = run(meter, 0, 201, 10.0, 0.0, learn=True)
    run(meter, 201, 200, 30.0, total, learn=True)
    assert meter.normal == pytest.approx(20, rel=0.02)


def test_a_market_of_few_messages_has_no_usual_rate() -> None:
    meter = RateMeter()
    run(meter, 0, 3_600, 0.1, 0.0, learn=True)
    assert meter.normal is None


def test_a_counter_or_a_clock_that_goes_back_is_passed_over() -> None:
    meter = RateMeter()
    run(meter, 0, 600, 50.0, 0.0, learn=True)
    meter.update(10.0, 600.0, learn=True)
    meter.update(60.0, 600.0, learn=True)
    meter.update(110.0, 601.0, learn=True)
    assert meter.rate == pytest.approx(50)
    assert meter.normal == pytest.approx(50)


def test_shares() -> None:
    assert share(1, 4) == 0.25
    assert share(5, 4) == 1.0
    assert share(0, 0) is None


def test_meters_that_cannot_work_are_refused() -> None:
    with pytest.raises(ConfigError, match="window_s: got 0"):
        Recent(0)
    with pytest.raises(ConfigError, match="learn_s: got -1"):
        RateMeter(learn_s=-1)
