"""One attempt at being connected: link, subscriptions, reading into the engine until something ends it.

An `Attempt` is used once, on the client's thread. It says which gap lies before it, asks the hub for
everything wanted and waits for all the answers, then reads until the link fails or the owner says
stop. While it reads, and only then, the engine is told the time: during an outage a bar that the
clock would close may lack trades that nobody heard of.

If a new token needs a new socket, a second link is opened beside the first and takes its place.

It does not try again and does not fill the gap.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NoReturn

from .auth import Token
from .errors import ConnectionFailed, ConnectTimeout
from .events import Connected, SwapFailed
from .link import Link
from .plan import Counters, Plan
from .swap import Swap
from .wakeup import Waiter
from .wanted import Call

__all__ = ["Attempt"]

# While nothing arrives, idle bars are closed at least this often.
_ADVANCE_S = 0.1
# Health is looked at, and the token's age, this often.
_WATCH_S = 1.0


class Attempt:
    """The life of one link, or of several that take each other's place without a gap."""

    def __init__(
        self,
        plan: Plan,
        waiter: Waiter,
        counters: Counters,
        *,
        token: Token | None,
        lost_ns: int | None,
        swap_due: Callable[[Token | None], bool],
    ) -> None:
        """`lost_ns`: time of day of the last byte of the connection before, None: there was none.
        `swap_due` says whether the socket must be changed, since its token is about to end.
        """
        self._plan = plan
        self._waiter = waiter
        self._counters = counters
        self._lost_ns = lost_ns
        self._swap_due = swap_due
        self._swap: Swap | None = None
        self._changes: list[tuple[Call, bool, Future[Any]]] = []
        self._changes_until_s = 0.0
        self._next_advance_s = 0.0
        self._next_watch_s = 0.0
        # The last connection may have come to its end on the feed of one that was opened beside another.
        plan.feeds[1].reset()
        self.link = Link(plan, counters, token=token, feed=plan.feeds[0], waiter=waiter)
        self.live_since_s: float | None = None

    def run(self, on_live: Callable[[], None]) -> NoReturn:
        """Connect, subscribe, tell `on_live`, read. Ends only by `Stopped` or an error."""
        plan, started_s = self._plan, self._plan.clock.monotonic_s()
        failure: ConnectionFailed | None = None
        try:
            link = self.link
            link.open()
            # Twice, since subscribing takes time: bars that close on the first ticks, before the
            # last stream is back, are marked by then, and so are bars that began meanwhile.
            reason = "join" if self._lost_ns is None else "link lost"
            plan.marks.mark(self._lost_ns, self._now_ns())
            link.subscribe(link.step)
            plan.marks.gap(self._lost_ns, self._now_ns(), reason)
            plan.marks.begin(self._now_ns())
            self.live_since_s = link.live_since_s = plan.clock.monotonic_s()
            on_live()
            plan.tell(
                Connected,
                connection=link.number,
                subscriptions=plan.wanted.confirmed,
                took_s=self.live_since_s - started_s,
            )
            self._read()
        except ConnectionFailed as error:
            failure = error
            raise
        finally:
            self._drop_swap()
            self._answer_changes(failure)
            self.link.finish(failure)
            if self.live_since_s is not None:
                plan.marks.end()
            if failure is not None:
                # What it fed, order books above all, is out of date from here on.
                self.link.feed.reset()
            # The hub's frames are in the traceback, and the traceback in the failure.
            del failure

    def _read(self) -> NoReturn:
        while True:
            self._duties()
            self.link.step(_ADVANCE_S)
            if self._swap is not None and self._swap.is_open:
                self._change_links(self._swap)

    def _duties(self) -> None:
        """What is to be done between two reads, each at its own pace."""
        plan = self._plan
        now_s = plan.clock.monotonic_s()
        if now_s >= self._next_advance_s:
            self._next_advance_s = now_s + _ADVANCE_S
            plan.marks.advance(plan.clock.now_ns())
        if now_s >= self._next_watch_s:
            self._next_watch_s = now_s + _WATCH_S
            plan.marks.watch(self.link)
            if self._swap is None and self._swap_due(self.link.token):
                spare = plan.feeds[1] if self.link.feed is plan.feeds[0] else plan.feeds[0]
                self._swap = Swap(plan, self._counters, self.link, spare, self._waiter)
        if self._changes:
            self._answer_changes(None)
            self._limit_changes(now_s)
        elif plan.wanted.has_changed and self._swap is None:
            self._change_wanted()

    def _change_links(self, swap: Swap) -> None:
        old = self.link
        try:
            self.link = swap.complete(self._duties)
        except ConnectionFailed as error:
            swap.drop(error)
            self._swap = None
            if swap.old_error is not None:
                raise swap.old_error from error
            self._plan.tell(SwapFailed, reason=str(error))
            return
        self._swap = None
        self.link.live_since_s = self._plan.clock.monotonic_s()
        self._counters.swaps += 1
        old.finish(swap.old_error)
        self._counters.add(old.counted())

    # What is wanted changes

    def _change_wanted(self) -> None:
        missing, surplus = self._plan.wanted.take()
        self._changes_until_s = self._plan.clock.monotonic_s() + self._plan.limits.subscribe_s
        self._changes = [(call, True, self.link.call(call)) for call in missing]
        self._changes += [(call, False, self.link.call(call, undo=True)) for call in surplus]

    def _answer_changes(self, failure: ConnectionFailed | None) -> None:
        """Settle what the hub has answered; on a failure, the next connection asks for all of it."""
        if failure is not None:
            self._changes = []
            return
        open_changes = []
        for call, wanted, future in self._changes:
            if future.done():
                self._plan.wanted.settle(call, future.exception(), wanted=wanted)
            else:
                open_changes.append((call, wanted, future))
        self._changes = open_changes

    def _limit_changes(self, now_s: float) -> None:
        if self._changes and now_s >= self._changes_until_s:
            call, limit_s = self._changes[0][0], self._plan.limits.subscribe_s
            raise ConnectTimeout(f"the hub did not answer {call} within {limit_s} s")

    def _drop_swap(self) -> None:
        if self._swap is not None:
            self._swap.drop(None)
            self._swap = None

    def _now_ns(self) -> int:
        now_ns = self._plan.clock.now_ns()
        # A clock that was set back meanwhile must not turn the gap around.
        return now_ns if self._lost_ns is None else max(now_ns, self._lost_ns + 1)
