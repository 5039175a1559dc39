"""The thread behind a client: attempts at the hub, one after the other, until told to stop.

The `Supervisor` makes a new `Attempt` with a fresh token after each failure, as the `RetryPolicy`
says, and is the only owner of the thread; that thread is also the one that reads the socket and
pushes into the engine. What it cannot recover from (a fault that the table calls final, a fault in
the engine or the configuration) ends it, with the error kept for everyone who waits.

It does not log in and does not judge the market's silence.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Literal, TypeAlias

from .attempt import Attempt
from .auth import Token
from .errors import ConnectionFailed, LoggedOut, SessionTakenOver
from .events import Disconnected, Reconnecting
from .events import LoggedOut as LoggedOutEvent
from .events import SessionTakenOver as SessionTakenOverEvent
from .plan import Counters, Plan
from .policy import RetryPolicy
from .wakeup import Stopped, Waiter

__all__ = ["State", "Supervisor"]

State: TypeAlias = Literal["new", "connecting", "live", "reconnecting", "closed", "failed"]

# A connection that ends this close to the expiry of its token was ended for it.
_EXPIRY_SLACK_NS = 5_000_000_000
# The socket is changed this long before the token expires, where it has to be.
_SWAP_AHEAD_NS = 60_000_000_000


_COUNTED = tuple(field.name for field in dataclasses.fields(Counters) if field.name != "last_error")


class Supervisor:
    """Owns the thread. `start` once, `stop` from anywhere."""

    def __init__(self, plan: Plan, policy: RetryPolicy, *, on_end: Callable[[], None]) -> None:
        self._plan = plan
        self._policy = policy
        self._on_end = on_end
        self._waiter = Waiter(plan.clock, plan.tasks)
        self._attempt: Attempt | None = None
        self._lost_ns: int | None = None
        self._counters = Counters()
        self._expiry_ends_links = plan.swap == "expiry"
        self._swap_asked = False
        self._taken_over = threading.Lock()
        self.state: State = "new"
        self.error: BaseException | None = None
        self.live: Future[None] = Future()
        """Settled when the first connection has all its streams, or when there will be none."""
        self.live.set_running_or_notify_cancel()

    def start(self) -> None:
        """Begin."""
        self.state = "connecting"
        self._plan.tasks.thread("link", self._run, stop=self._waiter.stop)

    def stop(self) -> None:
        """Ask for the end. Never blocks."""
        self._waiter.stop()
        if self.state == "new":
            self._end()

    def swap(self) -> None:
        """Change to a new socket beside the living one, at the next opportunity."""
        self._swap_asked = True

    def login_ended(self, error: BaseException) -> None:
        """There will be no other token: told at once if it was taken over, though the link may live on.

        From any thread.
        """
        # Taken once: by the login, or by an attempt that asks it.
        if isinstance(error, SessionTakenOver) and self._taken_over.acquire(blocking=False):
            self._plan.tell(SessionTakenOverEvent, reason=str(error))

    @property
    def attempt(self) -> Attempt | None:
        """The attempt of this moment."""
        return self._attempt

    @property
    def counters(self) -> Counters:
        """Counts of all connections that have ended."""
        return self._counters

    @property
    def lost_ns(self) -> int | None:
        """When the last connection that was live was last heard, int ns UTC."""
        return self._lost_ns

    def counted(self) -> dict[str, int]:
        """Counters, the living connection included."""
        counts = {name: getattr(self._counters, name) for name in _COUNTED}
        attempt = self._attempt
        if attempt is not None:
            for name, count in attempt.link.counted().items():
                counts[name] += count
        return counts

    def status(self) -> dict[str, Any]:
        """State and counters, and when it was last heard; plain values."""
        status: dict[str, Any] = {"state": self.state} | self.counted()
        status["last_error"] = self._counters.last_error
        attempt = self._attempt
        live_since_s = heard_ns = None
        if attempt is not None:
            live_since_s, heard_ns = attempt.live_since_s, attempt.link.last_heard_ns
        now_s = self._plan.clock.monotonic_s()
        status["live_s"] = now_s - live_since_s if live_since_s is not None else None
        status["last_heard_ns"] = heard_ns if heard_ns is not None else self._lost_ns
        return status

    def _run(self) -> None:
        try:
            self._supervise()
        except Stopped:
            pass
        except BaseException as error:  # noqa: BLE001  # kept, and raised to whoever waits
            # Not swallowed: whoever waits for the client, iterates or closes it gets it raised.
            self.error = error
            self._counters.last_error = f"{type(error).__name__}: {error}"
        finally:
            self._end()

    def _end(self) -> None:
        self.state = "closed" if self.error is None else "failed"
        self._waiter.close()
        closed = ConnectionFailed("the client was closed before it was connected")
        try:
            self._plan.wanted.close(self.error or closed)
            self._on_end()
        finally:
            if not self.live.done():
                self.live.set_exception(self.error or closed)

    def _supervise(self) -> None:
        while True:
            self._counters.attempts += 1
            delay_s = self._try_once()
            self.state = "reconnecting" if self.live.done() else "connecting"
            self._waiter.sleep(delay_s)

    def _try_once(self) -> float:
        """One attempt to its end; seconds to wait before the next. Raises what is final."""
        plan = self._plan
        token: Token | None = None
        attempt: Attempt | None = None
        try:
            token = plan.login.token(self._waiter, plan.limits.token_s)
            attempt = self._attempt = Attempt(
                plan,
                self._waiter,
                self._counters,
                token=token,
                lost_ns=self._lost_ns,
                swap_due=self._is_swap_due,
            )
            attempt.run(self._went_live)
        except ConnectionFailed as error:
            if attempt is not None:
                token = attempt.link.token
            return self._after_failure(attempt, token, error)
        finally:
            if attempt is not None:
                self._account(attempt)

    def _went_live(self) -> None:
        self.state = "live"
        if not self.live.done():
            self.live.set_result(None)

    def _after_failure(self, attempt: Attempt | None, token: Token | None, error: ConnectionFailed) -> float:
        plan, counters = self._plan, self._counters
        now_s = plan.clock.monotonic_s()
        live_since_s = attempt.live_since_s if attempt is not None else None
        rule, decision = self._policy.failed(
            error,
            lived_s=now_s - live_since_s if live_since_s is not None else 0.0,
            was_live=self.live.done(),
            token_changes=plan.login.can_change,
        )
        counters.failures += 1
        counters.failures_in_a_row = self._policy.in_a_row
        counters.last_error = f"{type(error).__name__}: {error}"
        if attempt is not None and live_since_s is not None:
            plan.tell(
                Disconnected,
                connection=attempt.link.number,
                reason=str(error),
                fault=rule.fault,
                last_heard_ns=attempt.link.last_heard_ns,
            )
            self._learn_expiry(token)
        self._tell_login(rule.blames_token, token, error)
        if decision.delay_s is None:
            raise error
        plan.tell(
            Reconnecting,
            failures=self._policy.in_a_row,
            delay_s=decision.delay_s,
            reason=str(error),
            fault=rule.fault,
        )
        return decision.delay_s

    def _tell_login(self, blames_token: bool, token: Token | None, error: ConnectionFailed) -> None:
        plan = self._plan
        if isinstance(error, SessionTakenOver):
            self.login_ended(error)
        elif isinstance(error, LoggedOut):
            plan.tell(LoggedOutEvent, reason=str(error))
            plan.login.logged_out(token, str(error))
        elif blames_token:
            plan.login.refused(token)

    def _learn_expiry(self, token: Token | None) -> None:
        ends_ns = self._plan.login.expires_ns(token)
        if ends_ns is not None and self._plan.swap == "learn":
            ended_ns = self._plan.clock.now_ns()
            if abs(ended_ns - ends_ns) <= _EXPIRY_SLACK_NS:
                self._expiry_ends_links = True

    def _is_swap_due(self, token: Token | None) -> bool:
        """Whether the hub is going to end this token's connection, and another token is to be had."""
        if self._swap_asked:
            self._swap_asked = False
            return True
        if not self._expiry_ends_links or self._plan.login.has_ended:
            return False
        ends_ns = self._plan.login.expires_ns(token)
        if ends_ns is None or self._plan.login.is_current(token):
            return False
        return ends_ns - self._plan.clock.now_ns() <= _SWAP_AHEAD_NS

    def _account(self, attempt: Attempt) -> None:
        if attempt.live_since_s is not None:
            self._lost_ns = attempt.link.last_heard_ns
        # Taken away first: a reader between the two lines misses the counts rather than doubling them.
        self._attempt = None
        self._counters.add(attempt.link.counted())
