"""What a client does about each kind of failure: one table.

`TABLE` has a row per fault, in the order in which they are tried; `docs/connection.md` shows the same
table. A row says which failures it is about, whether the token is to blame, how long to wait before
the next attempt, and after how many failures of its kind in a row to give up. `RetryPolicy` reads
the table and counts; it opens nothing and sleeps nowhere.

A `process_failure` hook is asked before the table: it may say how long to wait or to give up, or leave
the decision to the table. (The idea is that of `process_exception` in the `websockets` library.)
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from .errors import (
    ConnectionFailed,
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
from .link_limits import LinkLimits

__all__ = ["TABLE", "Decision", "Failure", "ProcessFailure", "RetryPolicy", "Rule", "rule_for"]

Wait = Literal["none", "back-off", "longest", "never"]


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed attempt or ended connection.

    Attributes:
        error: what ended it.
        fault: the row of the table.
        in_a_row: failures since the last stable connection, this one included.
        same_in_a_row: those of the same fault, without another kind between them.
        was_live: whether the client has ever been live.
        token_changes: whether asking for a token again can give another one.
    """

    error: ConnectionFailed
    fault: str
    in_a_row: int
    same_in_a_row: int
    was_live: bool
    token_changes: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do: wait `delay_s` seconds and try again, or end (None)."""

    delay_s: float | None


ProcessFailure = Callable[[Failure], "Decision | None"]
"""Decides on a failure, or returns None to leave it to the table."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row.

    Attributes:
        fault: its name, as in events and logs.
        when: which failures, in words.
        matches: which failures.
        wait: before the next attempt: "none", "back-off" (doubling), "longest" (as long as back-off
            ever waits), "never" (end at once). A Retry-After of the server is waited for in any case.
        tries: end after so many of these in a row; None never ends.
        before_live: another `wait` for a client that has never been live: what cannot work
            should say so at the start, not try for ever.
        blames_token: the token is given back as refused, and the next attempt asks for another.
    """

    fault: str
    when: str
    matches: Callable[[ConnectionFailed], bool]
    wait: Wait
    tries: int | None = None
    before_live: Wait | None = None
    blames_token: bool = False


def _status(*statuses: int) -> Callable[[ConnectionFailed], bool]:
    return lambda error: isinstance(error, UpgradeRefused) and error.status in statuses


def _is(kind: type[ConnectionFailed]) -> Callable[[ConnectionFailed], bool]:
    return lambda error: isinstance(error, kind)


def _fault(*names: str) -> Callable[[ConnectionFailed], bool]:
    return lambda error: error.fault in names


TABLE: tuple[Rule, ...] = (
    Rule("session taken over", "another session keeps logging this one out", _is(SessionTakenOver), "never"),
    Rule("logged out", "GatewayLogout: the gateway ended the session", _is(LoggedOut), "back-off"),
    Rule(
        "login refused",
        "the login server refused the credentials",
        lambda error: isinstance(error, LoginFailed) and error.permanent,
        "never",
    ),
    Rule("login failed", "the login server could not be asked, or is busy", _is(LoginFailed), "back-off"),
    Rule(
        "unauthorized",
        "401 or 403 on negotiate or upgrade; WebSocket close 1008",
        lambda error: _status(401, 403)(error) or error.fault == "unauthorized",
        "back-off",
        tries=5,
        blames_token=True,
    ),
    Rule("not found", "404: no hub at this path", _status(404), "longest", before_live="never"),
    Rule("rate limited", "429: too many requests", _status(429), "longest"),
    Rule(
        "server error",
        "5xx on negotiate or upgrade",
        lambda error: isinstance(error, UpgradeRefused) and error.status >= 500,
        "back-off",
    ),
    Rule(
        "refused",
        "any other HTTP status, a redirect included: it is not followed",
        _is(UpgradeRefused),
        "longest",
        before_live="never",
    ),
    Rule(
        "negotiate refused",
        "negotiate was answered with an error, or with nothing that could be used",
        _is(NegotiateRefused),
        "longest",
        before_live="never",
    ),
    Rule(
        "handshake refused",
        "error in answer to the SignalR handshake",
        _is(HandshakeRefused),
        "back-off",
        tries=5,
        blames_token=True,
    ),
    Rule(
        "subscribe refused",
        "a hub method was answered with an error",
        _is(SubscribeRefused),
        "longest",
        before_live="never",
    ),
    Rule(
        "closed, come back",
        "SignalR Close with allowReconnect",
        lambda error: isinstance(error, HubClosed) and error.allow_reconnect,
        "back-off",
    ),
    Rule(
        "closed",
        "SignalR Close without allowReconnect",
        _is(HubClosed),
        "back-off",
        tries=5,
        blames_token=True,
    ),
    Rule("not resolved", "the host's name cannot be resolved", _fault("not resolved"), "back-off"),
    Rule(
        "not trusted",
        "the certificate is not trusted, or TLS failed",
        _fault("not trusted"),
        "longest",
        before_live="never",
    ),
    Rule(
        "proxy failed",
        "the proxy answered 502, 503 or 504: it cannot reach the hub now",
        lambda error: isinstance(error, ProxyRefused) and error.status in (502, 503, 504),
        "back-off",
    ),
    Rule(
        "proxy refused",
        "the proxy refused the tunnel: 403, 407 or any other status",
        _is(ProxyRefused),
        "longest",
        before_live="never",
    ),
    Rule("proxy", "the proxy did not behave as one", _fault("proxy"), "back-off"),
    Rule("unreachable", "TCP: refused, no route, no answer", _fault("unreachable"), "back-off"),
    Rule(
        "timed out",
        "negotiate, upgrade, handshake or subscribe not answered in time",
        _fault("timed out"),
        "back-off",
    ),
    Rule("silent", "pings are not answered: half-open link or hung hub", _fault("silent"), "back-off"),
    Rule("degraded", "health asked for a new connection", _fault("degraded"), "none"),
    Rule(
        "violation",
        "not a WebSocket, a broken frame, a message over the size limit or without a length",
        _fault("violation"),
        "back-off",
    ),
    Rule("link lost", "FIN, RST, a WebSocket close", _is(ConnectionFailed), "back-off"),
)
"""Fault -> reaction; the first row that matches counts."""


def rule_for(error: ConnectionFailed) -> Rule:
    """The row that a failure falls under."""
    return next(rule for rule in TABLE if rule.matches(error))


class RetryPolicy:
    """Counts failures, and decides by hook and table. Belongs to one thread."""

    def __init__(self, limits: LinkLimits, process_failure: ProcessFailure | None = None) -> None:
        self._limits = limits
        self._process_failure = process_failure
        self.in_a_row = 0
        self._same = 0
        self._last_fault = ""

    def failed(
        self, error: ConnectionFailed, *, lived_s: float, was_live: bool, token_changes: bool
    ) -> tuple[Rule, Decision]:
        """What to do after `error`, which ended a connection that had been live for `lived_s` seconds."""
        rule = rule_for(error)
        stable = lived_s >= self._limits.stable_s
        self.in_a_row = 1 if stable else self.in_a_row + 1
        self._same = self._same + 1 if rule.fault == self._last_fault and not stable else 1
        self._last_fault = rule.fault
        failure = Failure(error, rule.fault, self.in_a_row, self._same, was_live, token_changes)
        decision = self._process_failure(failure) if self._process_failure is not None else None
        return rule, decision if decision is not None else self._by_table(rule, failure)

    def _by_table(self, rule: Rule, failure: Failure) -> Decision:
        wait = rule.before_live if rule.before_live is not None and not failure.was_live else rule.wait
        worn_out = rule.tries is not None and failure.same_in_a_row >= rule.tries
        # A token that cannot change and has never been taken is refused for what it is.
        hopeless = rule.fault == "unauthorized" and not failure.token_changes and not failure.was_live
        if wait == "never" or worn_out or hopeless:
            return Decision(None)
        delay_s = self._delay_s(wait, failure.in_a_row)
        retry_after_s = getattr(failure.error, "retry_after_s", None)
        return Decision(delay_s if retry_after_s is None else max(delay_s, retry_after_s))

    def _delay_s(self, wait: Wait, in_a_row: int) -> float:
        limits = self._limits
        if wait == "none":
            return 0.0
        longest_s = limits.backoff_max_s
        # Beyond 2**32 the limit has long been reached, and a float would overflow in the end.
        full_s = (
            longest_s
            if wait == "longest"
            else min(longest_s, limits.backoff_min_s * 2.0 ** min(in_a_row - 1, 32))
        )
        # The random part keeps a thousand clients of a hub that restarts from coming back at once.
        return full_s * random.uniform(0.5, 1.0)
