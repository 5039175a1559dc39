"""The wanted set against a naive model: what is asked for, what is taken back, who is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwire.errors import ConnectionFailed, SubscribeRefused
from tickwire.wanted import Call, Wanted

CALLS = [Call("Sub", (symbol,), "Unsub", symbol) for symbol in "ABCD"]


def test_futures_are_settled_by_the_hub_s_answer_and_not_before() -> None:
    wanted = Wanted(CALLS[:1])
    wanted.settle(CALLS[0], None, wanted=True)
    assert not wanted.has_changed
    future = wanted.add(CALLS[1:3])
    assert wanted.has_changed
    assert wanted.take() == (CALLS[1:3], [])
    wanted.settle(CALLS[1], None, wanted=True)
    assert not future.done()
    wanted.settle(CALLS[2], None, wanted=True)
    assert future.result(0) is None
    assert wanted.add(CALLS[:3]).done()
    assert wanted.confirmed == 3


def test_what_was_refused_is_told_and_not_asked_for_again() -> None:
    wanted = Wanted()
    future = wanted.add([CALLS[0]])
    assert wanted.settle(CALLS[0], SubscribeRefused("no"), wanted=True)
    with pytest.raises(SubscribeRefused):
        future.result(0)
    assert wanted.take() == ([], [])
    # One that nobody waits for stays wanted: whoever connects decides.
    wanted = Wanted(CALLS[:1])
    assert not wanted.settle(CALLS[0], SubscribeRefused("no"), wanted=True)
    assert wanted.take() == (CALLS[:1], [])


def test_taking_back_while_the_answer_is_on_its_way_is_not_forgotten() -> None:
    wanted = Wanted()
    added = wanted.add([CALLS[0]])
    gone = wanted.discard([CALLS[0]])
    wanted.settle(CALLS[0], None, wanted=True)
    assert added.done()
    assert not gone.done()
    assert wanted.has_changed
    assert wanted.take() == ([], [CALLS[0]])
    wanted.settle(CALLS[0], None, wanted=False)
    assert gone.result(0) is None
    assert not wanted.has_changed


def test_closing_tells_everyone_who_waits() -> None:
    wanted = Wanted()
    future = wanted.add(CALLS)
    wanted.close(ConnectionFailed("over"))
    with pytest.raises(ConnectionFailed, match="over"):
        future.result(0)


def test_who_waits_for_what_needs_no_asking_is_told() -> None:
    # Taken back before it was asked for.
    wanted = Wanted()
    added, gone = wanted.add([CALLS[0]]), wanted.discard([CALLS[0]])
    assert wanted.take() == ([], [])
    assert gone.result(0) is None
    with pytest.raises(SubscribeRefused, match=r"Sub\('A'\) was taken back meanwhile"):
        added.result(0)
    # And the other way round.
    wanted = Wanted([CALLS[0]])
    wanted.settle(CALLS[0], None, wanted=True)
    gone, added = wanted.discard([CALLS[0]]), wanted.add([CALLS[0]])
    assert wanted.take() == ([], [])
    assert added.result(0) is None
    with pytest.raises(SubscribeRefused, match="was taken back meanwhile"):
        gone.result(0)
    assert not wanted.has_changed


def test_what_is_to_end_has_ended_with_the_connection() -> None:
    wanted = Wanted(CALLS[:2])
    wanted.settle(CALLS[0], None, wanted=True)
    gone = wanted.discard([CALLS[0]])
    stays = wanted.add([CALLS[2]])
    assert not gone.done()
    wanted.forget()
    assert gone.result(0) is None
    assert not stays.done()
    assert wanted.all() == (CALLS[1], CALLS[2])


def test_a_connection_that_is_gone_back_to_has_what_it_had() -> None:
    wanted = Wanted(CALLS[:2])
    for call in CALLS[:2]:
        wanted.settle(call, None, wanted=True)
    heard = wanted.heard()
    wanted.forget()
    wanted.settle(CALLS[0], None, wanted=True)
    wanted.recall(heard)
    assert wanted.discard([CALLS[1]]).done() is False
    assert wanted.take() == ([], [CALLS[1]])


@given(
    st.lists(
        st.tuples(st.sampled_from(["add", "discard", "answer", "refuse", "lost"]), st.sampled_from(CALLS)),
        max_size=60,
    )
)
def test_the_hub_ends_up_with_exactly_what_is_wanted(steps: list[tuple[str, Call]]) -> None:
    wanted = Wanted()
    model: dict[Call, None] = {}
    at_hub: set[Call] = set()

    def serve(refuse: Call | None) -> None:
        missing, surplus = wanted.take()
        for call in missing:
            if call == refuse:
                if wanted.settle(call, SubscribeRefused("no"), wanted=True):
                    model.pop(call, None)
            else:
                at_hub.add(call)
                wanted.settle(call, None, wanted=True)
        for call in surplus:
            at_hub.discard(call)
            wanted.settle(call, None, wanted=False)

    waiting = []
    for what, call in steps:
        if what == "add":
            waiting.append(wanted.add([call]))
            model[call] = None
        elif what == "discard":
            waiting.append(wanted.discard([call]))
            model.pop(call, None)
        elif what == "lost":
            at_hub.clear()
            wanted.forget()
        else:
            serve(call if what == "refuse" else None)
        assert set(wanted.all()) == set(model)
    serve(None)
    assert at_hub == set(model)
    assert all(future.done() for future in waiting)
    assert not wanted.has_changed
    assert wanted.confirmed == len(at_hub)
