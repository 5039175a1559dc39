"""The table of faults: which row a failure falls under, how long is waited, when it ends."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tickwire as tw
from tickwire.errors import (
    ConnectionFailed,
    ConnectTimeout,
    HandshakeRefused,
    HubClosed,
    LoggedOut,
    LoginFailed,
    NegotiateRefused,
    ProxyRefused,
    SessionTakenOver,
    SubscribeRefused,
    UpgradeRefused,
)
from tickwire.policy import TABLE, Decision, Failure, RetryPolicy, rule_for

LIMITS = tw.LinkLimits(backoff_min_s=0.5, backoff_max_s=30.0, stable_s=10.0)

FALLS_UNDER: list[tuple[ConnectionFailed, str]] = [
    (SessionTakenOver("x"), "session taken over"),
    (LoggedOut("x"), "logged out"),
    (LoginFailed("x", permanent=True), "login refused"),
    (LoginFailed("x"), "login failed"),
    (UpgradeRefused("x", status=401), "unauthorized"),
    (UpgradeRefused("x", status=403), "unauthorized"),
    (UpgradeRefused("x", status=404), "not found"),
    (UpgradeRefused("x", status=429), "rate limited"),
    (UpgradeRefused("x", status=500), "server error"),
    (UpgradeRefused("x", status=503), "server error"),
    (UpgradeRefused("x", status=302), "refused"),
    (NegotiateRefused("x"), "negotiate refused"),
    (HandshakeRefused("x"), "handshake refused"),
    (SubscribeRefused("x"), "subscribe refused"),
    (HubClosed("x", allow_reconnect=True), "closed, come back"),
    (HubClosed("x", allow_reconnect=False), "closed"),
    *((ProxyRefused("x", status=status), "proxy failed") for status in (502, 503, 504)),
    *((ProxyRefused("x", status=status), "proxy refused") for status in (403, 407, 500, 599)),
    (ConnectTimeout("x"), "timed out"),
    (ConnectTimeout("x", fault="silent"), "silent"),
    (ConnectionFailed("x"), "link lost"),
    *(
        (ConnectionFailed("x", fault=fault), fault)
        for fault in ("not resolved", "not trusted", "proxy", "unreachable", "degraded", "violation")
    ),
]


@pytest.mark.parametrize(
    ("error", "fault"), FALLS_UNDER, ids=[f"{f}-{number}" for number, (_, f) in enumerate(FALLS_UNDER)]
)
def test_each_failure_falls_under_its_row(error: ConnectionFailed, fault: str) -> None:
    assert rule_for(error).fault == fault


def test_every_row_is_reached_and_named_once() -> None:
    names = [rule.fault for rule in TABLE]
    assert len(set(names)) == len(names)
    assert {rule_for(error).fault for error, _ in FALLS_UNDER} == set(names)


def test_the_documentation_shows_the_same_table() -> None:
    text = (Path(__file__).parents[1] / "docs" / "connection.md").read_text()
    rows = re.findall(r"^\| `([^`]+)` \| (.+?) \| (.+?) \| (.+?) \| (.+?) \|$", text, re.MULTILINE)
    assert rows == [
        (
            rule.fault,
            rule.when,
            rule.wait
            if rule.before_live is None
            else f"{rule.wait}; before the first success {rule.before_live}",
            "-" if rule.tries is None else f"{rule.tries} in a row",
            "yes" if rule.blames_token else "no",
        )
        for rule in TABLE
    ]


def after(
    policy: RetryPolicy,
    error: ConnectionFailed,
    *,
    lived_s: float = 0.0,
    was_live: bool = True,
    changes: bool = True,
) -> float | None:
    return policy.failed(error, lived_s=lived_s, was_live=was_live, token_changes=changes)[1].delay_s


def test_back_off_doubles_to_its_limit_with_jitter_of_up_to_half() -> None:
    random.seed(7)
    for failures, full_s in [(1, 0.5), (2, 1.0), (3, 2.0), (6, 16.0), (7, 30.0), (100_000, 30.0)]:
        delays = set()
        for _ in range(200):
            policy = RetryPolicy(LIMITS)
            policy.in_a_row = failures - 1
            delays.add(after(policy, ConnectionFailed("x")))
        assert all(delay is not None and full_s / 2 <= delay <= full_s for delay in delays)
        assert len(delays) > 100


def test_a_stable_connection_starts_the_delays_anew_and_a_short_one_does_not() -> None:
    policy = RetryPolicy(LIMITS)
    for expected, lived_s in [(1, 0.0), (2, 0.0), (3, 9.9), (1, 10.0), (2, 0.0)]:
        after(policy, ConnectionFailed("x"), lived_s=lived_s)
        assert policy.in_a_row == expected


def test_what_cannot_work_ends_a_client_that_was_never_live_and_not_one_that_was() -> None:
    for error in (UpgradeRefused("x", status=404), SubscribeRefused("x"), ProxyRefused("x", status=407)):
        assert after(RetryPolicy(LIMITS), error, was_live=False) is None
        delay_s = after(RetryPolicy(LIMITS), error, was_live=True)
        assert delay_s is not None
        assert 15.0 <= delay_s <= 30.0


def test_a_server_that_says_when_to_come_back_is_not_asked_before() -> None:
    for status in (429, 503):
        error = UpgradeRefused("x", status=status, retry_after_s=77.0)
        assert after(RetryPolicy(LIMITS), error) == 77.0
    assert after(RetryPolicy(LIMITS), LoginFailed("x", retry_after_s=50.0)) == 50.0


def test_a_refused_token_is_tried_five_times_in_a_row_and_a_hopeless_one_not_at_all() -> None:
    error = UpgradeRefused("x", status=401)
    policy = RetryPolicy(LIMITS)
    assert [after(policy, error) is None for _ in range(5)] == [False] * 4 + [True]
    policy = RetryPolicy(LIMITS)
    for _ in range(20):  # another kind in between starts the count anew
        assert after(policy, error) is not None
        assert after(policy, ConnectionFailed("x")) is not None
    assert after(RetryPolicy(LIMITS), error, was_live=False, changes=False) is None


def test_the_hook_is_asked_before_the_table_and_may_leave_it_to_it() -> None:
    seen: list[Failure] = []

    def hook(failure: Failure) -> Decision | None:
        seen.append(failure)
        return Decision(123.0) if failure.fault == "not found" else None

    policy = RetryPolicy(LIMITS, hook)
    assert after(policy, UpgradeRefused("x", status=404), was_live=False) == 123.0
    assert after(policy, HandshakeRefused("x")) is not None
    assert [(one.fault, one.in_a_row, one.same_in_a_row) for one in seen] == [
        ("not found", 1, 1),
        ("handshake refused", 2, 1),
    ]


@given(st.lists(st.tuples(st.sampled_from(FALLS_UNDER), st.floats(0, 20), st.booleans()), max_size=60))
def test_no_delay_is_negative_or_above_the_limit_and_only_tired_rows_end(
    steps: list[tuple[tuple[ConnectionFailed, str], float, bool]],
) -> None:
    policy = RetryPolicy(LIMITS)
    for (error, _), lived_s, was_live in steps:
        rule, decision = policy.failed(error, lived_s=lived_s, was_live=was_live, token_changes=True)
        if decision.delay_s is None:
            assert (
                rule.wait == "never"
                or rule.tries is not None
                or (rule.before_live == "never" and not was_live)
            )
        else:
            assert 0.0 <= decision.delay_s <= LIMITS.backoff_max_s
