"""The state of a login under any order of logins, renewals, hangs, refusals and logouts from two hubs."""

from __future__ import annotations

import math

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from effort import examples
from tickwire.auth import Token
from tickwire.errors import LoginFailed, SessionTakenOver
from tickwire.login_limits import LoginLimits
from tickwire.login_state import Fetch, LoginState, RenewalFailed, Renewed

LIMITS = LoginLimits()
LIVES = st.sampled_from([None, 1.5, 60.0, 86_400.0])
STEPS = st.sampled_from([0.0, 0.3, 1.0, 4.0, 31.0, 70.0, 3_600.0])
HUBS = st.sampled_from(["market", "user"])


class AnyLogin(RuleBasedStateMachine):
    """Two hubs, a source and a clock; what they do is random, what must hold does not depend on it."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 1_000.0
        self.under_way: Fetch | None = None
        self.left_behind: list[Fetch] = []
        self.given_up = self.discarded = 0
        self.held: dict[str, Token] = {}
        self.bad: set[Token] = set()
        self.sessions: list[set[Token]] = [set()]
        self.causes = 1
        self.logins = 0
        self.logouts: list[float] = []
        self.not_before_s = -math.inf
        self.expiry_told: Token | None = None

    @initialize(renewable=st.booleans(), reuse=st.booleans())
    def begin(self, renewable: bool, reuse: bool) -> None:
        self.reuse = reuse or renewable
        self.renewable = renewable
        self.state = LoginState(
            LIMITS, "source", renewable=renewable, reuse=self.reuse, jitter=lambda least, most: least
        )

    # What threads do

    @rule(hub=HUBS)
    def ask(self, hub: str) -> None:
        self.late()
        if self.state.ended is not None:
            return
        token = self.state.usable(self.now_s)
        if token is not None:
            assert self.reuse
            self.held[hub] = token
        elif self.state.begin_s() <= self.now_s:
            if not self.reuse or self.current_has_expired():
                self.causes += 1
            self.started(self.state.begin_login(self.now_s))

    @rule()
    def renew(self) -> None:
        self.late()
        due_s = self.state.renewal_s()
        fetch = self.state.begin_renewal(self.now_s)
        is_due = due_s is not None and due_s <= self.now_s
        assert (fetch is not None) == (is_due and self.under_way is None)
        if fetch is not None:
            assert self.renewable
            self.started(fetch)

    def started(self, fetch: Fetch) -> None:
        assert self.state.ended is None, "what has ended asks nobody"
        assert self.under_way is None, "one call at a time"
        self.under_way = fetch
        if fetch.kind == "login":
            self.logins += 1
            assert self.now_s >= self.not_before_s
            assert self.logins <= self.causes, "no login without a reason"

    def late(self) -> None:
        fetch = self.under_way
        self.told(self.state.give_up_late(self.now_s))
        if fetch is not None and self.now_s >= fetch.deadline_s:
            self.leave_behind()
            self.has_failed(fetch, 0.0)
        assert self.state.flight is self.under_way

    def leave_behind(self) -> None:
        assert self.under_way is not None
        self.left_behind.append(self.under_way)
        self.given_up += 1
        self.under_way = None

    def worthless(self) -> None:
        """The token has become worthless: a renewal of it is given up, a login under way is not."""
        if self.under_way is not None and self.under_way.kind == "renewal":
            self.leave_behind()
        assert self.state.flight is self.under_way
        assert self.state.usable(self.now_s, 10**9) is None
        # What a login waits for is a login under way, its own delay, or that calls return: no renewal.
        if self.under_way is None and len(self.left_behind) < LIMITS.hanging:
            assert self.state.begin_s() < math.inf

    @rule(seconds=STEPS)
    def wait(self, seconds: float) -> None:
        self.now_s += seconds

    # What the source does

    def lands(self) -> Fetch:
        assert self.under_way is not None
        fetch, self.under_way = self.under_way, None
        return fetch

    @precondition(lambda self: self.under_way is not None)
    @rule(life_s=LIVES, hub=HUBS)
    def delivers(self, life_s: float | None, hub: str) -> None:
        fetch, token = self.lands(), Token("t")
        if fetch.kind == "login":
            self.sessions.append(set())
        else:
            assert fetch.base in self.sessions[-1]
        self.told(self.state.delivered(fetch, token, life_s, self.now_s), may_be="Renewed")
        self.sessions[-1].add(token)
        assert self.state.usable(self.now_s, fetch.number) in (token, None)
        self.held[hub] = token

    @precondition(lambda self: self.under_way is not None and self.under_way.base is not None)
    @rule(has_successor=st.booleans())
    def has_no_successor(self, has_successor: bool) -> None:
        fetch = self.lands()
        if has_successor:
            assert fetch.base is not None
            self.state.delivered(fetch, fetch.base, None, self.now_s)
        else:
            self.causes += 1
            self.state.unrenewable(fetch, self.now_s)

    @precondition(lambda self: self.under_way is not None)
    @rule(permanent=st.integers(0, 9), retry_after_s=st.sampled_from([None, 90.0]))
    def fails(self, permanent: int, retry_after_s: float | None) -> None:
        fetch = self.lands()
        error = LoginFailed("no", permanent=permanent == 0, retry_after_s=retry_after_s)
        had_token = self.state.is_current(fetch.base) or not self.dropped()
        self.told(self.state.failed(fetch, error, self.now_s), may_be="RenewalFailed")
        self.has_failed(fetch, retry_after_s or 0.0)
        if fetch.kind == "login" and permanent == 0 and not had_token:
            assert self.state.ended is error

    def has_failed(self, fetch: Fetch, retry_after_s: float) -> None:
        if fetch.kind == "login":
            self.causes += 1
            self.not_before_s = self.now_s + max(LIMITS.retry_min_s / 2, retry_after_s)

    @precondition(lambda self: self.left_behind)
    @rule(data=st.data(), delivers=st.booleans())
    def comes_back_too_late(self, data: st.DataObject, delivers: bool) -> None:
        fetch = self.left_behind.pop(data.draw(st.integers(0, len(self.left_behind) - 1)))
        before = (self.state.usable(self.now_s, 10**9), self.state.flight)
        if delivers:
            assert self.state.delivered(fetch, Token("late"), 100.0, self.now_s) is None
            self.discarded += 1
        else:
            assert self.state.failed(fetch, LoginFailed("late"), self.now_s) is None
        assert before == (self.state.usable(self.now_s, 10**9), self.state.flight)

    # What hubs hear

    @rule(hub=HUBS)
    def is_refused(self, hub: str) -> None:
        token = self.held.pop(hub, None)
        if token is not None:
            was_current = self.state.is_current(token)
            self.bad.add(token)
            self.state.refused(token, self.now_s)
            if was_current:
                self.causes += 1
                self.worthless()

    @rule(hubs=st.sampled_from([("market",), ("user",), ("market", "user"), ("user", "market")]))
    def is_logged_out(self, hubs: tuple[str, ...]) -> None:
        for hub in hubs:
            token = self.held.pop(hub, None)
            if token is None or self.state.ended is not None:
                continue
            is_news = self.state.logged_out(token, self.now_s)
            assert is_news == (token in self.sessions[-1]), "one logout for each session"
            if is_news:
                self.bad |= self.sessions[-1]
                self.sessions.append(set())
                self.causes += 1
                self.logouts.append(self.now_s)
                self.worthless()
                if self.under_way is None:
                    self.not_before_s = max(self.not_before_s, self.now_s + LIMITS.relogin_min_s)
                recent = self.logouts[-LIMITS.logouts :]
                is_fight = len(recent) == LIMITS.logouts and recent[-1] - recent[0] <= LIMITS.logout_window_s
                assert isinstance(self.state.ended, SessionTakenOver) == is_fight

    # What holds

    def dropped(self) -> bool:
        return self.state._token is None

    def current_has_expired(self) -> bool:
        token = self.state._token
        if token is None or token is self.expiry_told or self.state.usable(self.now_s, 10**9) is not None:
            return False
        self.expiry_told = token
        return True

    def told(self, notice: object, may_be: str = "RenewalFailed") -> None:
        if notice is not None:
            assert type(notice).__name__ == may_be
            if isinstance(notice, RenewalFailed):
                assert notice.retry_s > 0
                assert not self.dropped(), "the old token stays"
            else:
                assert isinstance(notice, Renewed)
                assert notice.how in ("renewed", "login")

    @invariant()
    def no_bad_token_is_handed_out(self) -> None:
        assert self.state.usable(self.now_s, 10**9) not in self.bad
        assert self.state._token not in self.bad

    @invariant()
    def calls_left_behind_are_few(self) -> None:
        assert len(self.state.hanging) == len(self.left_behind)
        if len(self.left_behind) >= LIMITS.hanging:
            assert math.isinf(self.state.begin_s())
        assert len(self.left_behind) <= LIMITS.hanging

    @invariant()
    def the_end_is_final(self) -> None:
        if self.state.ended is not None:
            assert self.state.renewal_s() is None
            assert self.state.begin_renewal(self.now_s) is None

    @invariant()
    def counts_add_up(self) -> None:
        assert self.state.counts.logouts == len(self.logouts)
        assert self.state.counts.logins <= self.logins
        assert self.state.counts.given_up == self.given_up
        assert self.state.counts.discarded == self.discarded


TestAnyLogin = AnyLogin.TestCase
TestAnyLogin.settings = settings(max_examples=examples(200), stateful_step_count=60)


def test_a_storm_of_refusals_makes_few_logins() -> None:
    state = LoginState(LIMITS, "source", renewable=False, reuse=True)
    now_s, minutes = 0.0, [0] * 60
    while now_s < 3_600.0:
        if state.begin_s() <= now_s:
            token = Token("t")
            state.delivered(state.begin_login(now_s), token, 86_400.0, now_s)
            state.refused(token, now_s)
            minutes[int(now_s // 60)] += 1
        now_s += 0.05
    assert max(minutes) <= 12
    assert max(minutes[2:]) <= 3


def test_a_storm_of_failures_makes_few_logins() -> None:
    state = LoginState(LIMITS, "source", renewable=True, reuse=True)
    # It begins as an outage often does: with a token that is about to expire.
    state.delivered(state.begin_login(0.0), Token("t"), 600.0, 0.0)
    now_s, calls = 0.0, [0] * 60
    while now_s < 3_600.0:
        fetch = state.begin_renewal(now_s)
        if fetch is None and state.usable(now_s) is None and state.begin_s() <= now_s:
            fetch = state.begin_login(now_s)
        if fetch is not None:
            state.failed(fetch, LoginFailed("down"), now_s)
            calls[int(now_s // 60)] += 1
        now_s += 0.05
    assert max(calls) <= 14
    assert max(calls[12:]) <= 5


def test_the_life_of_opaque_tokens_is_learned_from_refusals() -> None:
    state = LoginState(LIMITS, "source", renewable=True, reuse=True)
    token = Token("t")
    state.delivered(state.begin_login(0.0), token, None, 0.0)
    assert state.renewal_s() is None
    state.refused(token, 3_600.0)
    state.delivered(state.begin_login(3_600.0), Token("t"), None, 3_600.0)
    due_s = state.renewal_s()
    assert due_s is not None
    assert 3_600.0 + 1_800.0 <= due_s < 2 * 3_600.0
    # Each one that is replaced in time lets the next one live a little longer.
    for _ in range(20):
        due_s = state.renewal_s()
        assert due_s is not None
        fetch = state.begin_renewal(due_s)
        assert fetch is not None
        state.delivered(fetch, Token("t"), None, due_s)
    last_s = state.renewal_s()
    assert last_s is not None
    assert 3_600.0 < last_s - due_s < 8 * 3_600.0


def test_a_token_refused_at_once_teaches_nothing() -> None:
    state = LoginState(LIMITS, "source", renewable=True, reuse=True)
    token = Token("t")
    state.delivered(state.begin_login(0.0), token, None, 0.0)
    state.refused(token, 1.0)
    state.delivered(state.begin_login(5.0), Token("t"), None, 5.0)
    assert state.renewal_s() is None


def test_a_login_that_follows_a_refusal_waits_for_no_renewal() -> None:
    state = LoginState(LIMITS, "source", renewable=True, reuse=True)
    token, late, new = Token("t"), Token("late"), Token("new")
    state.delivered(state.begin_login(0.0), token, 100.0, 0.0)
    renewal = state.begin_renewal(90.0)
    assert renewal is not None
    state.refused(token, 90.5)
    assert state.flight is None
    assert (state.counts.given_up, len(state.hanging)) == (1, 1)
    assert state.begin_s() <= 90.5
    login = state.begin_login(90.5)
    # Whichever of the two comes first.
    assert state.delivered(renewal, late, 100.0, 91.0) is None
    assert state.usable(91.0) is None
    assert state.delivered(login, new, 100.0, 91.5) is not None
    assert state.usable(91.5) is new
    assert (state.counts.discarded, len(state.hanging)) == (1, 0)


def test_a_renewal_that_comes_back_after_the_login_does_not_take_its_place() -> None:
    state = LoginState(LIMITS, "source", renewable=True, reuse=True)
    token, new = Token("t"), Token("new")
    state.delivered(state.begin_login(0.0), token, 100.0, 0.0)
    renewal = state.begin_renewal(90.0)
    assert renewal is not None
    state.refused(token, 90.0)
    state.delivered(state.begin_login(90.0), new, 100.0, 90.0)
    due_s = state.renewal_s()
    assert state.delivered(renewal, Token("late"), 1_000.0, 95.0) is None
    assert state.usable(95.0) is new
    assert state.renewal_s() == due_s


def test_a_renewal_of_a_session_that_has_ended_meanwhile_is_not_taken() -> None:
    state = LoginState(LIMITS, "source", renewable=True, reuse=True)
    token, late = Token("t"), Token("late")
    state.delivered(state.begin_login(0.0), token, 100.0, 0.0)
    renewal = state.begin_renewal(90.0)
    assert renewal is not None
    assert state.logged_out(token, 90.0)
    assert 92.0 <= state.begin_s() <= 95.0
    assert state.delivered(renewal, late, 100.0, 91.0) is None
    assert state.usable(91.0) is None
    assert not state.logged_out(late, 91.0)


def test_renewals_that_hang_leave_a_place_for_the_login() -> None:
    state = LoginState(LIMITS, "source", renewable=True, reuse=True)
    now_s = 0.0
    state.delivered(state.begin_login(now_s), Token("t"), 86_400.0, now_s)
    started = 0
    while state.renewal_s() is not None:
        now_s = state.renewal_s() or now_s
        state.give_up_late(now_s)
        started += state.begin_renewal(now_s) is not None
    assert started == len(state.hanging) == LIMITS.hanging - 1
    token = state.usable(now_s)
    assert token is not None
    state.refused(token, now_s)
    assert state.begin_s() <= now_s


def test_credentials_that_have_become_wrong_end_nothing_while_the_token_is_good() -> None:
    state = LoginState(LIMITS, "source", renewable=True, reuse=True)
    token, error = Token("t"), LoginFailed("wrong key", permanent=True)
    state.delivered(state.begin_login(0.0), token, 86_400.0, 0.0)
    renewal = state.begin_renewal(80_000.0)
    assert renewal is not None
    state.unrenewable(renewal, 80_000.0)
    login = state.begin_renewal(80_000.0)
    assert login is not None
    assert login.kind == "login"
    assert isinstance(state.failed(login, error, 80_001.0), RenewalFailed)
    assert state.usable(80_001.0) is token
    assert state.ended is None
    state.refused(token, 80_002.0)
    state.failed(state.begin_login(80_010.0), error, 80_011.0)
    assert state.ended is error
