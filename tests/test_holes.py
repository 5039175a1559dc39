"""The planner of backfill: nothing that is missing is forgotten, and nothing is asked for too early."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effort import examples
from oracle import NS, bucket
from tickwire.backfill_settings import BackfillSettings
from tickwire.holes import Holes, Request

T0 = 1_700_000_000 * NS
SETTINGS = BackfillSettings(
    settle_s=2.0, retry_min_s=1.0, retry_max_s=8.0, attempts=5, page_bars=100, worth_bars=20
)


class Plan:
    """A planner of one symbol, and what it is told of time."""

    def __init__(self, settings: BackfillSettings = SETTINGS, jitter: float = 0.0) -> None:
        self.closed_ns: int | None = None
        self.now_s = 0.0
        self.holes = Holes(
            lambda _, timeframe, ts: bucket(timeframe, ts), lambda _: self.closed_ns, settings, lambda: jitter
        )

    def add(self, start: float, end: float, timeframe: str = "1s") -> None:
        """Seconds after T0."""
        self.holes.add("X", timeframe, T0 + round(start * NS), T0 + round(end * NS))

    def close(self, second: float) -> None:
        self.closed_ns = T0 + round(second * NS)

    def take(self) -> tuple[float, float, float] | None:
        """Start, end and end of what is asked for, seconds after T0."""
        request = self.holes.take(self.now_s)
        if request is None:
            return None
        return tuple((ts - T0) / NS for ts in request[2:])  # type: ignore[return-value]

    def behind(self, second: float) -> float | None:
        return self.holes.behind(T0 + round(second * NS), self.now_s)

    def failed(self, *, permanent: bool = False, retry_after_s: float | None = None) -> float | None:
        return self.holes.failed(self.now_s, permanent=permanent, retry_after_s=retry_after_s)


def test_a_hole_is_of_whole_bars_that_have_been_closed_for_a_while() -> None:
    plan = Plan()
    assert plan.holes.wait_s(0.0) is None
    plan.add(5.3, 8.1)
    assert plan.take() is None, "nothing has closed yet"
    plan.close(10.999)
    assert plan.take() is None
    assert plan.holes.wait_s(0.0) == pytest.approx(0.25)
    plan.close(11.5)
    # A few more are asked for, to see how far history is.
    assert plan.take() == (5, 9, 11)
    assert plan.take() is None, "it is under way"
    plan.holes.filled()
    assert plan.holes.wait_s(0.0) is None


def test_of_a_long_hole_the_newest_page_comes_first_and_what_is_closed_does_not_wait() -> None:
    plan = Plan()
    plan.add(0, 250)
    plan.close(242)
    taken = []
    while (request := plan.take()) is not None:
        taken.append(request)
        plan.holes.filled()
    assert taken == [(140, 240, 242), (40, 140, 200), (0, 40, 100)]
    plan.close(252)
    assert plan.take() == (240, 250, 252)


def test_too_few_bars_wait_for_the_rest() -> None:
    plan = Plan()
    plan.add(0, 30)
    plan.close(21)
    assert plan.take() is None
    plan.close(22)
    assert plan.take() == (0, 20, 22)


def test_holes_that_overlap_are_one() -> None:
    plan = Plan()
    for start, end in [(10, 20), (30, 40), (15, 32), (50, 60)]:
        plan.add(start, end)
    plan.close(100)
    assert plan.take() == (50, 60, 100)
    plan.holes.filled()
    assert plan.take() == (10, 40, 100)


def test_a_hole_that_opens_in_what_is_under_way_is_asked_for_afterwards() -> None:
    plan = Plan()
    plan.add(0, 10)
    plan.close(20)
    assert plan.take() == (0, 10, 20)
    plan.add(5, 12)
    plan.holes.filled()
    assert plan.take() == (5, 12, 20)
    # And where the first one fails, both are.
    plan.add(0, 6)
    plan.failed()
    plan.now_s = 10.0
    assert plan.take() == (0, 12, 20)


def test_failures_are_retried_ever_more_rarely_and_given_up_in_the_end() -> None:
    plan = Plan()
    plan.add(0, 10)
    plan.close(20)
    delays = []
    for _ in range(5):
        assert plan.take() == (0, 10, 20)
        delay_s = plan.failed()
        delays.append(delay_s)
        if delay_s is not None:
            assert plan.take() is None
            assert plan.holes.wait_s(plan.now_s) == pytest.approx(max(delay_s, 0.25))
            plan.now_s += delay_s
    assert delays == [1.0, 2.0, 4.0, 8.0, None]
    assert plan.holes.pending() == []


def test_the_delay_is_shortened_at_random_but_not_below_what_the_server_asks() -> None:
    plan = Plan(jitter=1.0)
    plan.add(0, 10)
    plan.close(20)
    plan.take()
    assert plan.failed() == 0.5
    plan.now_s = 1.0
    plan.take()
    assert plan.failed(retry_after_s=30.0) == 30.0


def test_a_permanent_failure_is_not_retried() -> None:
    plan = Plan()
    plan.add(0, 10)
    plan.close(20)
    plan.take()
    assert plan.failed(permanent=True) is None
    assert plan.holes.pending() == []


def test_history_that_gets_on_is_waited_for() -> None:
    plan = Plan()
    plan.add(0, 10)
    plan.close(20)
    for second in range(10):
        plan.now_s += 100.0
        assert plan.take() == (second, 10, 20)
        assert plan.behind(second + 1) == 1.0


def test_history_that_shows_nothing_is_asked_again_when_more_has_closed() -> None:
    plan = Plan()
    plan.add(0, 10)
    plan.close(20)
    for look in range(20):
        plan.now_s += 100.0
        assert plan.take() == (min(look, 5), 10, min(20 + 8 * look, 70))
        plan.holes.unproven(T0 + min(look + 1, 5) * NS)
        assert plan.take() is None
        plan.close(20 + 8 * (look + 1))


def test_too_many_holes_become_fewer_and_larger() -> None:
    plan = Plan()
    count = 3 * Holes.MOST
    for index in range(count):
        plan.add(10 * index, 10 * index + 1)
    pending = plan.holes.pending()
    assert len(pending) == Holes.MOST
    covered = [(hole.start_ns - T0, hole.end_ns - T0) for hole in pending]
    for index in range(count):
        ts = 10 * index * NS
        assert any(start <= ts and ts + NS <= end for start, end in covered)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("gap"), st.integers(0, 60), st.integers(1, 150)),
        st.tuples(st.just("close"), st.integers(1, 60), st.just(0)),
        st.tuples(st.just("wait"), st.integers(1, 10), st.just(0)),
        st.tuples(st.just("take"), st.integers(0, 3), st.integers(0, 100)),
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=examples(200))
@given(st.sampled_from(["1s", "5s"]), steps)
def test_whatever_happens_every_hole_is_fetched_or_given_up(
    timeframe: str, steps: list[tuple[str, int, int]]
) -> None:
    plan = Plan()
    plan.close(0)
    closed_s = 0
    open_bars: set[int] = set()
    requests = 0
    added = 0
    bar_ns = bucket(timeframe, T0)[1] - bucket(timeframe, T0)[0]

    def bars(start_ns: int, end_ns: int) -> set[int]:
        return set(range(bucket(timeframe, start_ns)[0], bucket(timeframe, end_ns - 1)[1], bar_ns))

    def serve(kind: int, part: int) -> bool:
        nonlocal requests
        request = plan.holes.take(plan.now_s)
        if request is None:
            return False
        requests += 1
        check(request)
        fetched = bars(request.start_ns, request.end_ns)
        assert fetched <= open_bars, "only what is missing"
        is_last = plan.holes.is_last
        if part >= len(fetched):
            plan.holes.filled()
            open_bars.difference_update(fetched)
        elif kind in (0, 3):
            until_ns = bucket(timeframe, request.start_ns + part * bar_ns)[0]
            done = {ts for ts in fetched if ts < until_ns}
            if kind == 3:
                plan.holes.unproven(until_ns)
            else:
                retry_s = plan.holes.behind(until_ns, plan.now_s)
                assert (retry_s is None) == (is_last and not done)
                done = fetched if retry_s is None else done
            open_bars.difference_update(done)
        else:
            retry_s = plan.holes.failed(plan.now_s, permanent=kind == 1, retry_after_s=None)
            assert (retry_s is None) == (kind == 1 or is_last)
            if retry_s is None:
                open_bars.difference_update(fetched)
        return True

    def check(request: Request) -> None:
        assert plan.closed_ns is not None
        assert request.end_ns <= plan.closed_ns - 2 * NS
        assert request.end_ns <= request.ask_end_ns <= plan.closed_ns
        assert 0 < request.end_ns - request.start_ns <= 101 * bar_ns
        for ts in request[2:]:
            assert bucket(timeframe, ts)[0] == ts

    for kind, one, other in steps:
        if kind == "gap":
            # It ends about now, and may reach back into what has been closed.
            end_s = closed_s + one
            plan.add(end_s - other, end_s, timeframe)
            open_bars |= bars(T0 + (end_s - other) * NS, T0 + end_s * NS)
            added += 1
        elif kind == "close":
            closed_s += one
            plan.close(closed_s)
        elif kind == "wait":
            plan.now_s += one
        else:
            serve(one, other)
        pending = plan.holes.pending()
        assert all(a.end_ns <= b.start_ns for a, b in itertools.pairwise(pending))
        assert set().union(*(bars(hole.start_ns, hole.end_ns) for hole in pending)) == open_bars
    plan.close(closed_s + 1_000)
    plan.now_s += 100.0
    missing, before = len(open_bars), requests
    while serve(0, 1_000):
        pass
    assert open_bars == set()
    assert plan.holes.wait_s(plan.now_s) is None
    # One for each stretch and for each page of it; pieces of a hole that failed stay pieces.
    assert requests - before <= 2 * added + before + missing / 100 + 1
