"""A second link beside the living one, to take its place without a gap: make before break.

The new link asks the login for its token and connects on a thread of its own, since that may take
long and the old link has to be read meanwhile. From then on one thread reads both in turn: an
`Overlap` lets each tick through once, the new link subscribes everything, both flow until they are seen
to have met, the old one is ended. If the old link dies before, the new one goes on, and the time between
is a gap. If the new one fails, it is dropped, and the old one goes on as if nothing had been tried.
"""

from __future__ import annotations

from collections.abc import Callable

from .errors import ConfigError, ConnectionFailed
from .link import Link
from .plan import Counters, Feed, Overlap, Plan
from .wakeup import Stopped, Waiter

__all__ = ["Swap"]

# Two sockets are read in turn, each waited for this long.
_SLICE_S = 0.005
# Both links flow until each is known to have delivered what the other has, at most for so long after the
# new one is complete.
_SETTLE_S = 5.0


class Swap:
    """One try at changing sockets. Belongs to the thread that reads, but for the opening."""

    def __init__(self, plan: Plan, counters: Counters, old: Link, feed: Feed, waiter: Waiter) -> None:
        """Begins at once; `waiter` is the reading thread's."""
        self._plan = plan
        self._counters = counters
        self._old = old
        self._feed = feed
        self._reader = waiter
        self._opener = Waiter(plan.clock, plan.tasks)
        self._link: Link | None = None
        self._failure: ConnectionFailed | None = None
        self._opened = False
        self.old_error: ConnectionFailed | None = None
        """Why the old link ended by itself; None while it lives."""
        try:
            plan.tasks.thread("swap", self._open, stop=self._opener.stop)
        except ConfigError:
            # The client may have been closed a moment ago, and its threads asked to stop before that.
            if waiter.is_stopped:
                raise Stopped from None
            raise

    @property
    def is_open(self) -> bool:
        """Whether the opening is over, well or not; `complete` is to be called then."""
        return self._opened

    def complete(self, duties: Callable[[], None]) -> Link:
        """Subscribe, let both flow, part; the new link. Calls `duties` about every 10 ms.

        Raises what ended the new link; the old one lives, unless `old_error` says otherwise.
        """
        if self._link is None:
            raise self._failure or ConnectionFailed("the new connection was given up")
        plan, link = self._plan, self._link
        link.adopt(self._reader)

        def pump(timeout_s: float) -> None:  # noqa: ARG001  # the slice is shorter than any limit
            duties()
            self._step_old()
            link.step(_SLICE_S)

        overlap = plan.overlap(self._old.feed, link.feed)
        heard = plan.wanted.heard()
        survivor = self._old
        try:
            link.subscribe(pump)
            overlap.ready()
            complete_ns = plan.clock.now_ns()
            settled_s = plan.clock.monotonic_s() + _SETTLE_S
            while plan.clock.monotonic_s() < settled_s and not self._is_settled(overlap, link):
                pump(_SLICE_S)
            survivor = link
        except ConnectionFailed:
            self._catch_up(overlap, duties)
            raise
        finally:
            if survivor is not link:
                plan.wanted.recall(heard)
            report = overlap.end(survivor.feed)
            for symbol, start_ns, end_ns in report.uncertain:
                plan.marks.doubt(symbol, start_ns, end_ns, "overlap uncertain")
        heard_ns = self._old.last_heard_ns
        # A link that was heard after the new one was complete does not lag by the time between. In a
        # quiet market there may be no tick to show more.
        if not report.contact and (heard_ns is None or heard_ns < complete_ns):
            plan.marks.gap(heard_ns, complete_ns, "link lost" if self.old_error else "overlap uncertain")
        return link

    def _is_settled(self, overlap: Overlap, link: Link) -> bool:
        return (overlap.contact or self.old_error is not None) and not overlap.unsettled(link.feed)

    def _catch_up(self, overlap: Overlap, duties: Callable[[], None]) -> None:
        """Let the old link deliver what the new one, which has failed, was the first to bring."""
        clock = self._plan.clock
        until_s = clock.monotonic_s() + _SETTLE_S
        while self.old_error is None and overlap.unsettled(self._old.feed) and clock.monotonic_s() < until_s:
            duties()
            self._step_old()

    def drop(self, failure: ConnectionFailed | None) -> None:
        """Give up. The link is ended, now or as soon as it has opened."""
        self._opener.stop()
        if self._link is not None:
            self._link.finish(failure)

    def _step_old(self) -> None:
        if self.old_error is not None:
            return
        try:
            self._old.step(_SLICE_S)
        except ConnectionFailed as error:
            self.old_error = error

    def _open(self) -> None:
        link: Link | None = None
        try:
            plan = self._plan
            token = plan.login.token(self._opener, plan.limits.token_s)
            link = Link(plan, self._counters, token=token, feed=self._feed, waiter=self._opener)
            del token
            link.open()
            if self._opener.is_stopped:
                link.finish(None)
            else:
                self._link = link
        except ConnectionFailed as error:
            self._failure = error
            if link is not None:
                link.finish(error)
        except Stopped:
            if link is not None:
                link.finish(None)
        finally:
            if not self._opener.is_stopped:
                self._opener.forget()
            self._opener.close()
            self._opened = True
            self._reader.wake()
