"""The circuit breaker by example: what opens it, and how it comes back. `test_breaker_calls.py` has the ways to
call through it, listeners and threads.

`test_breaker_model.py` compares it with a naive model under any sequence of calls.
"""

from __future__ import annotations

from typing import Any

import pytest

from breaker_time import Time, breaker, fail, opened
from tickwire.breaker import Breaker, BreakerSettings
from tickwire.errors import BreakerOpen, ConfigError, TickwireError


@pytest.fixture
def time() -> Time:
    return Time()


# Opening


def test_failures_in_a_row_open_it_and_a_success_breaks_the_row(time: Time) -> None:
    b = breaker(time)
    fail(b, 2)
    b.call(int)
    fail(b, 2)
    assert b.state == "closed"
    fail(b, 1)
    assert b.state == "open"
    assert b.status().reason == "3 failed in a row, the last: LookupError"


def test_a_look_at_it_does_not_break_the_row(time: Time) -> None:
    b = breaker(time)
    for _ in range(3):
        assert b.state == "closed"
        fail(b, 1)
        b.status()
    assert b.state == "open"
    assert b.status().calls == 3


def test_a_rate_over_the_newest_calls_opens_it(time: Time) -> None:
    b = breaker(time, failures=None, rate=0.5, window_calls=4, minimum_calls=4)
    fail(b, 3)  # too few calls for a rate
    for _ in range(4):
        b.call(int)
    fail(b, 1)  # the first three have left the window: 1 of 4
    assert b.state == "closed"
    fail(b, 1)
    assert b.state == "open"
    assert b.status().reason == "2 of 4 calls failed, the last: LookupError"


def test_a_rate_that_no_binary_fraction_equals_is_met_exactly(time: Time) -> None:
    b = breaker(time, failures=None, rate=0.1, window_calls=30, minimum_calls=30)
    for _ in range(27):
        b.call(int)
    fail(b, 2)
    assert b.state == "closed"
    fail(b, 1)  # 3 of 30, and 0.1 * 30 is more than 3
    assert b.state == "open"


def test_a_rate_over_the_newest_seconds_opens_it(time: Time) -> None:
    b = breaker(time, failures=None, rate=0.5, window_s=10.0, minimum_calls=4)
    fail(b, 3)
    time.now_s += 11.0
    for _ in range(3):
        b.call(int)
    fail(b, 2)  # 2 of 5
    assert b.state == "closed"
    fail(b, 1)
    assert b.state == "open"
    assert b.status().reason == "3 of 6 calls failed, the last: LookupError"


@pytest.mark.parametrize("decorated", [False, True])
def test_a_slow_call_is_a_failure_with_a_result(time: Time, decorated: bool) -> None:
    b = breaker(time, slow_call_s=0.5)

    def slow(value: int) -> int:
        time.now_s += 0.6
        return value

    for _ in range(3):
        assert (b(slow)(7) if decorated else b.call(slow, 7)) == 7
    status = b.status()
    assert (status.state, status.calls, status.failures, status.slow) == ("open", 3, 3, 3)
    assert status.reason == "3 failed in a row, the last: a call of 0.6 s, more than 0.5 s"


def test_a_slow_failure_counts_once(time: Time) -> None:
    b = breaker(time, slow_call_s=0.5)
    b.failure(1, 0.6, LookupError())
    status = b.status()
    assert (status.calls, status.failures, status.slow) == (1, 1, 1)


def test_slowness_can_be_left_out(time: Time) -> None:
    b = breaker(time, slow_call_s=None)
    for _ in range(5):
        b.success(1, 1e9)
    assert (b.state, b.status().failures) == ("closed", 0)


def test_ignored_exceptions_are_answers(time: Time) -> None:
    b = breaker(time, ignore=(KeyError,))
    for _ in range(5):
        with pytest.raises(KeyError):
            b.call({}.__getitem__, "nothing")
    status = b.status()
    assert (status.state, status.calls, status.failures) == ("closed", 5, 0)


def test_the_text_of_an_error_is_not_told(time: Time) -> None:
    b = breaker(time)
    for _ in range(3):
        b.failure(error=LookupError("secret"))
    with pytest.raises(BreakerOpen) as caught:
        b.call(int)
    assert "LookupError" in str(caught.value)
    assert "secret" not in str(caught.value) + repr(b.status())


# Coming back


def test_open_it_refuses_until_the_recovery_time_has_passed(time: Time) -> None:
    b = opened(breaker(time))
    time.now_s += 0.99
    with pytest.raises(BreakerOpen, match=r"breaker 'b' is open \(3 failed .*\); .* in 0\.01 s") as caught:
        b.call(int)
    assert isinstance(caught.value, TickwireError)
    assert caught.value.next_probe_s == pytest.approx(0.01)
    time.now_s += 0.01
    assert b.call(int, "5") == 5
    assert b.state == "closed"
    assert b.status().short_circuited == 1


def test_each_failed_probe_makes_it_wait_longer_up_to_a_cap_and_a_success_starts_anew(time: Time) -> None:
    b = opened(breaker(time, recovery_s=1.0, recovery_factor=3.0, recovery_max_s=10.0))
    waits = []
    for _ in range(5):
        waits.append(b.status().next_probe_s)
        time.now_s += waits[-1]
        fail(b, 1)
    assert waits == pytest.approx([1, 3, 9, 10, 10])
    time.now_s += 10
    b.call(int)
    assert b.state == "closed"
    fail(b, 3)
    assert b.status().next_probe_s == pytest.approx(1)
    assert b.status().opened == 7


def test_jitter_only_shortens(time: Time) -> None:
    waits = set()
    for part in (0.0, 0.5, 1.0):
        b = Breaker(
            "b",
            BreakerSettings(failures=1, recovery_s=8.0, jitter=0.25),
            clock=time,
            uniform=lambda part=part: part,
        )
        b.failure()
        waits.add(b.status().next_probe_s)
    assert sorted(waits) == pytest.approx([6, 7, 8])


def test_half_open_lets_so_many_through_and_closes_when_all_have_succeeded(time: Time) -> None:
    b = opened(breaker(time, probes=2))
    time.now_s += 1
    permits = [b.allow(), b.allow(), b.allow()]
    assert all(permits[:2])
    assert not permits[2]
    b.success(permit=permits[0])
    assert b.state == "half-open"
    assert not b.allow()
    b.success(permit=permits[1])
    assert b.state == "closed"


def test_the_first_probe_that_fails_opens_it(time: Time) -> None:
    b = opened(breaker(time, probes=2))
    time.now_s += 1
    one, other = b.allow(), b.allow()
    b.failure(error=LookupError(), permit=one)
    assert b.state == "open"
    b.success(permit=other)  # of a time that is over
    assert b.state == "open"
    assert b.status().reason == "a probe failed: LookupError"


def test_a_cancelled_probe_gives_its_place_back(time: Time) -> None:
    b = opened(breaker(time))
    time.now_s += 1

    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        b.call(interrupted)
    status = b.status()
    assert (status.state, status.calls, status.next_probe_s) == ("half-open", 3, 0.0)
    b.call(int)
    assert b.state == "closed"


def test_probes_that_never_end_have_failed(time: Time) -> None:
    b = opened(breaker(time, probe_limit_s=5.0))
    time.now_s += 1
    assert b.allow()
    time.now_s += 4.9
    assert b.status().next_probe_s == pytest.approx(0.1)
    assert not b.allow()
    assert b.state == "half-open"
    time.now_s += 0.1
    assert not b.allow()
    assert b.state == "open"
    assert b.status().next_probe_s == pytest.approx(2)
    assert b.status().reason == "no probe ended within 5 s"


def test_a_call_that_began_before_says_nothing_about_now(time: Time) -> None:
    b = breaker(time)
    early = b.allow()
    fail(b, 3)
    b.success(permit=early)
    assert b.state == "open"
    time.now_s += 1
    probe = b.allow()
    b.failure(permit=early)
    b.success(permit=early)
    assert b.state == "half-open"
    b.success(permit=probe)
    assert b.state == "closed"
    fail(b, 2)
    b.failure(permit=early)
    assert b.state == "closed"
    assert b.status().calls == 10


# By hand


def test_forced_open_lets_nothing_through_until_reset(time: Time) -> None:
    b = breaker(time)
    b.force_open()
    time.now_s += 1e6
    with pytest.raises(BreakerOpen, match=r"opened by hand.*; reset it"):
        b.call(int)
    status = b.status()
    assert (status.state, status.forced, status.next_probe_s) == ("open", True, None)
    b.reset()
    assert (b.call(int), b.state, b.status().forced) == (0, "closed", False)


def test_forced_closed_lets_everything_through_until_reset(time: Time) -> None:
    b = opened(breaker(time))
    b.force_close()
    fail(b, 10)
    assert (b.state, b.status().forced, b.status().failures) == ("closed", True, 13)
    b.reset()
    fail(b, 2)
    assert b.state == "closed"
    fail(b, 1)
    assert b.state == "open"


def test_reset_forgets_what_failed(time: Time) -> None:
    b = breaker(time)
    fail(b, 2)
    b.reset()
    fail(b, 2)
    assert b.state == "closed"


# Settings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"failures": 0}, r"failures: got 0, expected a whole number from 1"),
        ({"failures": None, "rate": None}, "got neither failures nor rate"),
        ({"rate": 1.5}, r"rate: got 1\.5, expected a share of at most 1"),
        ({"rate": 0}, "rate: got 0, expected a finite number above zero"),
        ({"window_s": -1.0}, r"window_s: got -1\.0"),
        ({"window_calls": True}, "window_calls: got True"),
        ({"minimum_calls": 101}, r"minimum_calls: got 101, expected at most window_calls \(100\)"),
        ({"slow_call_s": float("nan")}, "slow_call_s: got nan"),
        ({"recovery_factor": 0.5}, r"recovery_factor: got 0\.5, expected 1 or more"),
        ({"recovery_s": 61.0}, r"recovery_max_s: got 60\.0, expected at least recovery_s \(61\.0\)"),
        ({"jitter": 1.0}, r"jitter: got 1\.0, expected from 0 to less than 1"),
        ({"jitter": "some"}, "jitter: got 'some'"),
        ({"probes": 0}, "probes: got 0"),
        ({"probe_limit_s": 0}, "probe_limit_s: got 0"),
        ({"ignore": (KeyboardInterrupt,)}, "ignore: got .*KeyboardInterrupt"),
        ({"ignore": KeyError}, "ignore: got .*KeyError"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        BreakerSettings(**settings)


def test_a_breaker_of_wrong_parts_is_refused() -> None:
    with pytest.raises(ConfigError, match="settings: got 5"):
        Breaker("b", 5)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="fallback: got 5"):
        Breaker("b", fallback=5)  # type: ignore[arg-type]
