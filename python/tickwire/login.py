"""One login, shared by all hubs that use it: who is asked for a token, and when.

    login = tw.Login(provider)
    market = tw.connect(hub=…, token=login, engine=engine)
    user = tw.connect(hub=…, token=login, …)

`Login` hands out one token to all of its clients. It asks the source when there is none, once for all
who wait; renews it ahead of expiry while a client is attached and the source can renew; and when the
gateway ends the session it logs in once for all hubs, or, when that happens again and again, ends
with `SessionTakenOver` for all of them. Sockets that are open are never touched by any of this.

What may be done is decided by `LoginState`, and `Calls` does it; here are the lock, the waiting and the
renewal thread. The lock is never held while the source, an event's receiver or a wait runs.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import math
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from .auth import Token, TokenProvider, TokenSource, expires_ns
from .clock import Clock
from .errors import ConfigError, ConnectTimeout, LoginFailed, TickwireError
from .login_attachment import Attachment, Keeper, announce
from .login_calls import Answer, Calls, again
from .login_limits import LoginLimits
from .login_state import Fetch, LoginState, Notice
from .pause import Pause, Sleeper
from .wakeup import Stopped

if TYPE_CHECKING:
    from .tasks import Tasks

__all__ = ["Attachment", "Login"]

log = logging.getLogger("tickwire.login")

R = TypeVar("R")


class Login:
    """A login that any number of clients share. All methods may be called from any thread.

    Args:
        source: where tokens come from: text, a callable or async callable, or a source that can
            also `renew` (see `auth`); None for a hub that asks for no token.
        limits: time limits and counts.
        reuse: whether a token is handed out again while it is believed to be good. False asks the
            source for every connection, for a callable that looks after its tokens itself; the
            tokens of one that can renew are always used again.
        clock: this machine's unless given.
    """

    def __init__(
        self,
        source: TokenSource,
        *,
        limits: LoginLimits | None = None,
        reuse: bool = True,
        clock: Clock | None = None,
    ) -> None:
        # The first thing done with the token is to wrap it: an exception from here on shows no text.
        try:
            provider = TokenProvider(source)
        finally:
            del source
        self._provider = provider
        self._limits = limits if limits is not None else LoginLimits()
        self._clock = clock if clock is not None else Clock()
        self._state = LoginState(
            self._limits, repr(provider), renewable=provider.can_renew, reuse=reuse or provider.can_renew
        )
        self._lock = threading.Lock()
        self._waiting: list[Sleeper] = []
        self._attachments: tuple[Attachment, ...] = ()
        self._keeper: Keeper | None = None
        self._calls = Calls(provider, self._clock, self._limits.fetch_s, self._landed)
        self._expiries: weakref.WeakKeyDictionary[Token, int | None] = weakref.WeakKeyDictionary()

    # For hubs

    @property
    def can_change(self) -> bool:
        """Whether asking again can bring another token."""
        return not self._provider.is_immediate

    @property
    def has_ended(self) -> bool:
        """Whether no token will be given any more; sockets that are open go on."""
        return self._state.ended is not None

    def is_current(self, token: Token | None) -> bool:
        """Whether no other token has taken the place of this one, and no hub has refused it."""
        with self._lock:
            return self._state.is_current(token)

    def expires_ns(self, token: Token | None) -> int | None:
        """When a token says that it expires, ns UTC by its issuer's clock; None if it does not say."""
        if token is None:
            return None
        if token not in self._expiries:
            self._expiries[token] = expires_ns(token)
        return self._expiries[token]

    def token(self, waiter: Sleeper | None = None, time_limit_s: float = 30.0) -> Token | None:
        """The token for a connection that is about to be made; None for a login without one.

        Returns at once where there is a token believed to be good, else waits, at most `time_limit_s`
        seconds, for the one call of the source that all who wait share. By the object, not the text,
        `refused` and `logged_out` know the token again. Blocks, so it must not be called on an event
        loop's thread.

        Raises `Stopped` if the owner of `waiter` stops it; `ConnectTimeout` after the limit;
        `LoginFailed` with `retry_after_s` if the source is not to be asked again so soon;
        `SessionTakenOver` for good; and what the call of the source failed with.
        """
        if self._provider.is_none:
            return None
        waiter = waiter if waiter is not None else Pause(self._clock)
        deadline_s = self._clock.monotonic_s() + time_limit_s
        joined = 0
        with self._lock:
            self._waiting.append(waiter)
        try:
            while not waiter.is_stopped:
                now_s = self._clock.monotonic_s()
                self._give_up_late(now_s)
                step, joined = self._step(now_s, deadline_s, joined)
                if isinstance(step, Token):
                    return step
                if isinstance(step, Fetch):
                    self._calls.start(step, self._loop())
                elif now_s >= deadline_s:
                    raise ConnectTimeout(f"{self._provider!r} delivered no token within {time_limit_s} s")
                else:
                    waiter.doze(min(step, deadline_s) - now_s)
            raise Stopped
        finally:
            with self._lock:
                self._waiting.remove(waiter)

    def refused(self, token: Token | None) -> None:
        """A hub answered this token with 401 or 403: the next `token` fetches another, once for all hubs."""
        if token is not None:
            self._hear(lambda state, now_s: state.refused(token, now_s))
            self._changed()

    def logged_out(self, token: Token | None, reason: str = "") -> None:
        """The gateway ended the session of a hub that uses this token.

        All hubs of a session hear of it, and the first one counts: one login follows for all of
        them, after a wait; or none, when it was one logout too many.
        """
        if token is None:
            return
        is_news = self._hear(lambda state, now_s: state.logged_out(token, now_s))
        if is_news:
            ended = self._state.ended
            log.warning("the gateway ended the session: %s", token.redact(reason) or "no reason given")
            if ended is not None:
                log.error("%s", ended)
            self._changed()

    def logout(self, time_limit_s: float = 10.0) -> None:
        """End the session at the gateway, where the source can. The next `token` logs in anew."""

        def forget(state: LoginState, now_s: float) -> Token | None:
            token = state.usable(now_s, state.delivered_by)
            state.forget()
            return token

        token = self._hear(forget)
        self._changed()
        if token is not None:
            self._provider.logout(token, time_limit_s)

    # For clients

    def attach(
        self,
        tell: Callable[..., None],
        *,
        on_renewed: Callable[[Token], object] | None = None,
        on_ended: Callable[[TickwireError], object] | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        tasks: Tasks | None = None,
    ) -> Attachment:
        """Share this login until `Attachment.detach`; it is renewed while anybody does.

        Args:
            tell: gets each TokenRenewed and TokenRenewalFailed, as a type and its fields but for `ts`
                and `client`. Must not block.
            on_renewed: called with a token that has replaced another; must neither block nor raise.
            on_ended: called with the reason, when there will be no token any more; as `on_renewed`.
            loop: async sources run on it while it runs.
            tasks: owns the renewal thread, should it be started for this client.
        """

        def detach() -> None:
            self._detach(attachment)

        attachment = Attachment(tell, on_renewed, on_ended, loop, tasks, detach)
        with self._lock:
            self._attachments = (*self._attachments, attachment)
        self._changed()
        return attachment

    def status(self) -> dict[str, Any]:
        """Counters, and how it stands: "none", "valid", "fetching" or "ended". Plain values."""
        with self._lock:
            state, now_s = self._state, self._clock.monotonic_s()
            if state.ended is not None:
                name = "ended"
            elif state.flight is not None:
                name = "fetching"
            else:
                name = "none" if state.usable(now_s, state.delivered_by) is None else "valid"
            renewal_s = state.renewal_s()
            return {
                "state": name,
                **dataclasses.asdict(state.counts),
                "hanging": len(state.hanging),
                "renewal_in_s": None if renewal_s is None else renewal_s - now_s,
                "clients": len(self._attachments),
            }

    def __repr__(self) -> str:
        if not hasattr(self, "_calls"):
            # Shown in the traceback of a source that was refused.
            return "Login(not made)"
        return f"Login({self._provider!r}, state={self.status()['state']!r})"

    # Waiting

    def _step(self, now_s: float, deadline_s: float, joined: int) -> tuple[Token | Fetch | float, int]:
        """A token, a call to start, or until when to sleep; and the number of the login waited for."""
        with self._lock:
            state = self._state
            if state.ended is not None:
                raise again(state.ended)
            token = state.usable(now_s, joined)
            if token is not None:
                return token, joined
            if state.failure is not None and 0 < joined <= state.failure[0]:
                raise again(state.failure[1])
            if state.flight is not None:
                if state.flight.kind == "login":
                    joined = joined or state.flight.number
                return state.flight.deadline_s, joined
            begin_s = state.begin_s()
            if begin_s <= now_s:
                fetch = state.begin_login(now_s)
                return fetch, joined or fetch.number
            if begin_s > deadline_s:
                raise self._too_soon(begin_s - now_s)
            return begin_s, joined

    def _too_soon(self, wait_s: float) -> LoginFailed:
        if math.isinf(wait_s):
            hanging = len(self._state.hanging)
            return LoginFailed(
                f"{hanging} calls of {self._provider!r} have not returned; no other is started"
            )
        last = self._state.failure
        why = f"; the last time: {last[1]}" if last is not None else ""
        return LoginFailed(
            f"{self._provider!r} is not asked again for {wait_s:.1f} s{why}", retry_after_s=wait_s
        )

    def _give_up_late(self, now_s: float) -> None:
        fetch = self._state.flight
        if fetch is not None and now_s >= fetch.deadline_s:
            self._changed(self._hear(lambda state, _: state.give_up_late(now_s)))

    def _hear(self, hear: Callable[[LoginState, float], R]) -> R:
        """Let the state hear of something; cancel the call that it gives up and tell that it has ended."""
        with self._lock:
            state, attachments = self._state, self._attachments
            fetch, had_ended = state.flight, state.ended
            heard = hear(state, self._clock.monotonic_s())
            is_over = fetch is not None and state.flight is not fetch
            ended = state.ended if had_ended is None else None
        if is_over:
            self._calls.cancel(fetch)
        for one in attachments:
            if ended is not None and one.on_ended is not None:
                one.on_ended(ended)
        return heard

    def _changed(self, notice: Notice | None = None) -> None:
        """Wake whoever waits, see that what is to be renewed will be, and tell the clients."""
        keeper: Keeper | None = None
        with self._lock:
            waiting, attachments = list(self._waiting), self._attachments
            if self._keeper is not None:
                self._keeper.bell.set()
            elif self._state.renewal_s() is not None:
                owner = next((one for one in attachments if not one.is_leaving), None)
                keeper = self._keeper = Keeper(owner) if owner is not None else None
        for waiter in waiting:
            waiter.wake()
        if keeper is not None:
            self._hire(keeper)
        announce(notice, attachments)

    # Calls of the source

    def _landed(self, fetch: Fetch, answer: Answer) -> None:
        def hear(state: LoginState, now_s: float) -> Notice | None:
            if answer.is_withdrawn:
                state.withdrawn(fetch)
            elif answer.error is not None:
                return state.failed(fetch, answer.error, now_s)
            elif answer.token is not None:
                return state.delivered(fetch, answer.token, answer.remaining_s, now_s)
            else:
                state.unrenewable(fetch, now_s)
            return None

        self._changed(self._hear(hear))

    def _loop(self) -> asyncio.AbstractEventLoop | None:
        loops = (one.loop for one in self._attachments)
        return next((loop for loop in loops if loop is not None and loop.is_running()), None)

    # The renewal thread

    def _hire(self, keeper: Keeper) -> None:
        def run() -> None:
            self._keep(keeper)

        def dismiss() -> None:
            with self._lock:
                keeper.owner.is_leaving = True
                if self._keeper is keeper:
                    self._keeper = None
            keeper.bell.set()

        tasks = keeper.owner.tasks
        try:
            if tasks is not None:
                try:
                    keeper.thread = tasks.thread("token-renewal", run, stop=dismiss)
                except ConfigError:
                    # The client is being closed, or has too many already: the thread is the login's own.
                    tasks = None
            if tasks is None:
                thread = threading.Thread(target=run, name="tickwire-token-renewal", daemon=True)
                thread.start()
                keeper.thread = thread
        except RuntimeError:
            log.warning(
                "the system gives out no more threads; renewals wait for the next change of the login"
            )
            with self._lock:
                self._keeper = None

    def _keep(self, keeper: Keeper) -> None:
        while True:
            keeper.bell.clear()
            now_s = self._clock.monotonic_s()
            self._give_up_late(now_s)
            with self._lock:
                if self._keeper is not keeper:
                    return
                fetch = self._state.begin_renewal(now_s)
                next_s = self._state.renewal_s()
                if next_s is None:
                    self._keeper = None
            if fetch is not None:
                self._calls.start(fetch, self._loop())
            elif next_s is None:
                return
            else:
                self._clock.wait(keeper.bell, max(next_s - now_s, 0.0))

    def _detach(self, attachment: Attachment) -> None:
        keeper: Keeper | None = None
        with self._lock:
            attachment.is_leaving = True
            self._attachments = tuple(one for one in self._attachments if one is not attachment)
            if self._keeper is not None and self._keeper.owner is attachment:
                keeper, self._keeper = self._keeper, None
            is_unwanted = not self._attachments and not self._waiting
        if is_unwanted:
            self._calls.cancel()
        self._changed()
        if keeper is not None:
            keeper.bell.set()
            if keeper.thread is not None and keeper.thread is not threading.current_thread():
                keeper.thread.join(self._limits.close_s)
