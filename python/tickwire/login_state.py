"""What is known of a login, and what may be done next: a state machine without clock, lock or thread.

    no token ──begin_login──> fetching ──delivered──> token ──begin_renewal──> token, fetching
        ^                        │ failed                │ refused, logged_out
        └────────────────────────┴───────────────────────┘          ended: permanent failure, taken over

At most one `Fetch` is under way. One that passes its deadline is given up, not waited for, and so is the
renewal of a token that a hub refuses or whose session ends: it has a number, and what comes back under
an old number is counted and not taken. Times are those of a monotonic clock, in seconds, and never go
back.

A login starts a session, and renewals stay in it. A logout ends the session, so every token of it is
dropped, whichever of them the hub was told; a refusal is about one token.
"""

from __future__ import annotations

import math
import random
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from .auth import Token
from .errors import ConnectTimeout, LoginFailed, SessionTakenOver, TickwireError
from .login_limits import LoginLimits

__all__ = ["Counts", "Fetch", "LoginState", "Notice", "RenewalFailed", "Renewed"]

# A learned life grows by this after each token that was replaced in time, since a token may have been
# revoked early when its life was learned.
_RELAX = 1.1


@dataclass(frozen=True, slots=True, eq=False)
class Fetch:
    """One call of the source.

    Attributes:
        number: counts up from 1.
        kind: "login" or "renewal".
        base: the token to renew.
        began_s, deadline_s: when it began, and when it is given up.
    """

    number: int
    kind: Literal["login", "renewal"]
    base: Token | None
    began_s: float
    deadline_s: float


@dataclass(frozen=True, slots=True)
class Renewed:
    """A token has taken the place of another one; `how` is "renewed" or "login"."""

    how: str
    token: Token


@dataclass(frozen=True, slots=True)
class RenewalFailed:
    """A renewal has failed; the token stays."""

    reason: str
    retry_s: float


Notice = Renewed | RenewalFailed


@dataclass(slots=True)
class Counts:
    """What happened so far."""

    logins: int = 0
    renewals: int = 0
    failures: int = 0
    given_up: int = 0
    """Calls that were left behind: past their deadline, or renewals of a token that became worthless."""
    discarded: int = 0
    """Tokens that such calls brought in the end, and that were not taken."""
    refusals: int = 0
    logouts: int = 0


class LoginState:
    """See the module. `source` is how messages name what is asked for tokens."""

    def __init__(
        self,
        limits: LoginLimits,
        source: str,
        *,
        renewable: bool,
        reuse: bool,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._limits = limits
        self._source = source
        self._renewable = renewable
        self._reuse = reuse
        self._jitter = jitter
        self.counts = Counts()
        self.ended: TickwireError | None = None
        """Why no token will be given any more."""
        self.flight: Fetch | None = None
        self.failure: tuple[int, TickwireError] | None = None
        """Number and error of the last login that failed, until one succeeds."""
        self.hanging: set[int] = set()
        """Numbers of calls that were given up and have not returned."""
        self._numbers = 0
        # The token in use
        self._token: Token | None = None
        self.delivered_by = 0
        """Number of the call that brought the token."""
        self._since_s = -math.inf
        self._expires_s = math.inf
        self._is_opaque = False
        self._session: weakref.WeakSet[Token] = weakref.WeakSet()
        # Its renewal
        self._renew_s: float | None = None
        self._needs_login = False
        self._failed_renewals = 0
        self._learned_s: float | None = None
        # What went wrong
        self._not_before_s = -math.inf
        self._strikes = 0
        self._forgiven = False
        self._logouts: deque[float] = deque(maxlen=limits.logouts)

    # Looking

    def usable(self, now_s: float, joined: int = 0) -> Token | None:
        """The token, if it is believed to be good.

        Where tokens are not used again, only for a caller that waited for fetch number `joined`.
        """
        if now_s >= self._expires_s:
            return None
        if not self._reuse and not 0 < joined <= self.delivered_by:
            return None
        return self._token

    def is_current(self, token: Token | None) -> bool:
        """Whether this is the token that is handed out, or would be."""
        return token is not None and token is self._token

    def begin_s(self) -> float:
        """When a login may begin; infinite while another call is under way or too many hang."""
        return math.inf if self._is_busy("login") else self._not_before_s

    def renewal_s(self) -> float | None:
        """When a renewal is due, or the one under way is given up; None if there is nothing to renew."""
        if self.ended is not None or self._token is None or self._renew_s is None:
            return None
        if self.flight is not None:
            return self.flight.deadline_s
        if self._is_busy("login" if self._needs_login else "renewal"):
            return None
        return max(self._renew_s, self._not_before_s) if self._needs_login else self._renew_s

    # Asking

    def begin_login(self, now_s: float) -> Fetch:
        """Start a login, which the caller must have found to be allowed by `begin_s`."""
        return self._begin("login", None, now_s)

    def begin_renewal(self, now_s: float) -> Fetch | None:
        """Start a renewal, if one is due and nothing else is under way."""
        due_s = self.renewal_s()
        if due_s is None or now_s < due_s or self.flight is not None:
            return None
        return (
            self._begin("login", None, now_s)
            if self._needs_login
            else self._begin("renewal", self._token, now_s)
        )

    def _begin(self, kind: Literal["login", "renewal"], base: Token | None, now_s: float) -> Fetch:
        self._numbers += 1
        self.flight = Fetch(self._numbers, kind, base, now_s, now_s + self._limits.fetch_s)
        return self.flight

    # Answers

    def delivered(self, fetch: Fetch, token: Token, remaining_s: float | None, now_s: float) -> Notice | None:
        """The call has brought a token, good for `remaining_s` seconds more; None if it does not say."""
        if not self._landed(fetch):
            self.counts.discarded += 1
            return None
        self._failed_renewals = 0
        if token is fetch.base:
            # Good, but without a successor yet.
            self._renew_s = now_s + max(self._limits.retry_max_s, (self._expires_s - now_s) / 2)
            return None
        is_first = self.delivered_by == 0
        self._forgive(now_s)
        if self._token is not None and self._is_opaque and self._learned_s is not None:
            self._learned_s *= _RELAX
        if fetch.kind == "login":
            self.counts.logins += 1
            self.failure = None
            self._session.clear()
        else:
            self.counts.renewals += 1
        self._session.add(token)
        self._token, self.delivered_by, self._since_s = token, fetch.number, fetch.began_s
        self._is_opaque = remaining_s is None
        self._needs_login = False
        self._forgiven = False
        self._schedule(remaining_s if remaining_s is not None else self._learned_s, now_s)
        return None if is_first else Renewed("login" if fetch.kind == "login" else "renewed", token)

    def unrenewable(self, fetch: Fetch, now_s: float) -> None:
        """The source says that only a new login will do."""
        if self._landed(fetch):
            self._needs_login = True
            self._renew_s = now_s

    def failed(self, fetch: Fetch, error: TickwireError, now_s: float) -> Notice | None:
        """The call has failed."""
        return self._fail(fetch, error, now_s) if self._landed(fetch) else None

    def withdrawn(self, fetch: Fetch) -> None:
        """The call was ended because nobody waits for it."""
        self._landed(fetch)

    def give_up_late(self, now_s: float) -> Notice | None:
        """Give up the call under way if it has passed its deadline; to be asked before anything else."""
        fetch = self.flight
        if fetch is None or now_s < fetch.deadline_s:
            return None
        self._leave_behind(fetch)
        limit_s = self._limits.fetch_s
        error = ConnectTimeout(f"{self._source} delivered no token within {limit_s} s")
        return self._fail(fetch, error, now_s)

    # What hubs say

    def refused(self, token: Token, now_s: float) -> None:
        """A hub does not take this token. A renewal of it that is under way is given up: what has been
        refused may not be renewed either, and the login that follows waits for nothing.
        """
        if token is not self._token:
            return  # an older one, or another hub was quicker
        self.counts.refusals += 1
        self._forgive(now_s)
        lived_s = now_s - self._since_s
        if lived_s >= self._limits.stable_s:
            if self._is_opaque:
                self._learned_s = min(lived_s, self._learned_s or lived_s)
        else:
            self._strikes += 1
            if self._strikes > 1:
                self._not_before_s = now_s + self._back_off_s(self._strikes - 1)
        self._drop()

    def logged_out(self, token: Token, now_s: float) -> bool:
        """A hub was told that the session of this token has ended; whether that is news."""
        if self.ended is not None or token not in self._session:
            return False  # a session before this one, or another hub was quicker
        self.counts.logouts += 1
        self.forget()
        self._logouts.append(now_s)
        limits = self._limits
        if len(self._logouts) == limits.logouts and now_s - self._logouts[0] <= limits.logout_window_s:
            self.ended = SessionTakenOver(
                f"the gateway ended the session {limits.logouts} times within {limits.logout_window_s:g} s: another "
                "session of the same user keeps logging in; end that one, then connect again"
            )
            return True
        wait_s = self._jitter(limits.relogin_min_s, limits.relogin_max_s)
        self._not_before_s = max(self._not_before_s, now_s + wait_s)
        return True

    def forget(self) -> None:
        """The session is over: drop its tokens, and give up a renewal under way."""
        self._session.clear()
        self._drop()

    # Inside

    def _is_busy(self, kind: Literal["login", "renewal"]) -> bool:
        # A renewal leaves a place for the login that may have to take its own, if there are two at all.
        most = self._limits.hanging if kind == "login" else max(self._limits.hanging - 1, 1)
        return self.flight is not None or len(self.hanging) >= most

    def _leave_behind(self, fetch: Fetch) -> None:
        self.flight = None
        self.hanging.add(fetch.number)
        self.counts.given_up += 1

    def _landed(self, fetch: Fetch) -> bool:
        """Whether the call that has returned is the one under way, which it then no longer is."""
        if self.flight is fetch:
            self.flight = None
            return True
        self.hanging.discard(fetch.number)
        return False

    def _fail(self, fetch: Fetch, error: TickwireError, now_s: float) -> Notice | None:
        self.counts.failures += 1
        self._forgive(now_s)
        retry_after_s = getattr(error, "retry_after_s", None) or 0.0
        if fetch.kind == "login":
            self.failure = (fetch.number, error)
            self._strikes += 1
            self._not_before_s = now_s + max(self._back_off_s(self._strikes), retry_after_s)
            if self._token is None and isinstance(error, LoginFailed) and error.permanent:
                self.ended = error
        if self._token is None or self._renew_s is None:
            return None
        # The token stays: only a hub knows whether it is still good.
        self._failed_renewals += 1
        retry_s = max(self._back_off_s(self._failed_renewals), retry_after_s)
        self._renew_s = now_s + retry_s
        return RenewalFailed(str(error), retry_s)

    def _schedule(self, life_s: float | None, now_s: float) -> None:
        limits = self._limits
        self._renew_s, self._expires_s = None, math.inf
        if life_s is None:
            return
        self._expires_s = self._since_s + life_s - min(limits.skew_s, life_s / 10)
        if self._renewable:
            ahead_s = min(max(limits.margin * life_s, limits.margin_s) + limits.skew_s, life_s / 2)
            # Whatever a token says of itself, renewals follow each other with a pause.
            self._renew_s = max(self._since_s + life_s - ahead_s, now_s + limits.retry_min_s)

    def _drop(self) -> None:
        self._token = None
        self._renew_s = None
        self._needs_login = False
        if self.flight is not None and self.flight.kind == "renewal":
            self._leave_behind(self.flight)

    def _forgive(self, now_s: float) -> None:
        """A token that was good for long clears, once, what went wrong before it."""
        if not self._forgiven and self._token is not None and now_s - self._since_s >= self._limits.stable_s:
            self._strikes = 0
            self._forgiven = True

    def _back_off_s(self, times: int) -> float:
        # Beyond 2**32 the limit has long been reached, and a float would overflow in the end.
        full_s = min(self._limits.retry_max_s, self._limits.retry_min_s * 2.0 ** min(times - 1, 32))
        return full_s * self._jitter(0.5, 1.0)
