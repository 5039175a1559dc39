"""The waiting of a connection's thread: what ends it, and what it leaves behind."""

from __future__ import annotations

import os
import socket
import threading

import pytest

import tickwire as tw
from hubs import PATIENCE_S, no_leftovers
from tickwire.clock import Clock
from tickwire.errors import ConfigError, ConnectTimeout
from tickwire.tasks import Tasks
from tickwire.wakeup import READ, Stopped, Waiter


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_client_that_is_never_entered_opens_nothing() -> None:
    engine = tw.Engine(tw.Instrument("X", tick_size=1.0), ["1m"])
    made = [tw.connect("http://127.0.0.1:1/hub", engine=engine)]
    before = descriptors()
    made.append(tw.connect("http://127.0.0.1:1/hub", engine=engine))
    assert descriptors() == before
    made[0].close()
    assert made[0].state == "closed"


def test_nothing_is_opened_before_the_first_wait_and_nothing_left_after_the_last() -> None:
    before = descriptors()
    with no_leftovers():
        waiter = Waiter(Clock())
        waiter.wake()
        assert descriptors() == before
        # The wake before it ends the first sleep.
        waiter.doze(3_600.0)
        assert descriptors() > before
        waiter.close()
        waiter.close()
        waiter.wake()
    assert waiter.is_stopped


@pytest.mark.parametrize("was_open", [True, False])
def test_a_wait_after_the_end_is_stopped(was_open: bool) -> None:
    waiter = Waiter(Clock())
    before = descriptors()
    if was_open:
        waiter.doze(0.0)
    waiter.close()
    assert descriptors() == before
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for wait in (
            lambda: waiter.doze(3_600.0),
            lambda: waiter.sleep(3_600.0),
            lambda: waiter.wait(ours, READ, 3_600.0),
            lambda: waiter.wait_until(ours, READ, 3_600.0, "never"),
        ):
            with pytest.raises(Stopped):
                wait()


def test_stop_ends_any_wait_from_another_thread() -> None:
    waiter = Waiter(Clock())
    ended = threading.Event()

    def wait() -> None:
        with pytest.raises(Stopped):
            waiter.sleep(3_600.0)
        waiter.close()
        ended.set()

    with no_leftovers():
        thread = threading.Thread(target=wait)
        thread.start()
        waiter.stop()
        assert ended.wait(PATIENCE_S)
        thread.join()


def test_a_socket_is_waited_for_beside_the_bell() -> None:
    waiter = Waiter(Clock())
    ours, theirs = socket.socketpair()
    with ours, theirs, no_leftovers():
        assert waiter.wait(ours, READ, 0.0) == 0
        waiter.wake()
        assert waiter.wait(ours, READ, 3_600.0) == 0
        theirs.send(b"x")
        assert waiter.wait(ours, READ, 3_600.0) == READ
        deadline_s = Clock().monotonic_s()
        with pytest.raises(ConnectTimeout, match="no word came"):
            waiter.wait_until(theirs, READ, deadline_s, "no word came")
        waiter.forget()
        waiter.close()


def test_what_is_started_while_the_owner_closes_is_stopped_not_an_error() -> None:
    tasks = Tasks("owner", Clock())
    waiter = Waiter(Clock(), tasks)
    tasks.close(PATIENCE_S)
    # Nobody asked the thread to end, so it is a mistake; or somebody did, and it is the end.
    with pytest.raises(ConfigError, match="owner was closed"):
        waiter.aside(lambda: None, 3_600.0, "never")
    waiter.stop()
    with pytest.raises(Stopped):
        waiter.aside(lambda: None, 3_600.0, "never")
    waiter.close()
