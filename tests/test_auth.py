"""Tokens show themselves nowhere, and come from text, callables and async callables."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import json
import logging
import pickle
import threading
import traceback
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwire.auth import Secret, Token, TokenProvider, env, expires_ns, remaining_s
from tickwire.clock import Clock
from tickwire.errors import ConfigError, ConnectionFailed, ConnectTimeout
from tickwire.pause import Pause
from tickwire.wakeup import Stopped

SECRET = "eyJhbGciOiJIUzI1NiJ9.secret-part.signature"


def test_a_token_gives_its_text_to_reveal_alone() -> None:
    token = Token(f" {SECRET}\n")
    assert token.reveal() == SECRET, (
        "white space around it comes from files and variables, and is no part of it"
    )
    shown = [
        repr(token),
        str(token),
        f"{token}",
        f"{token:>60}",
        f"{token} {token!r}",
        repr([token]),
        ascii(token),
    ]
    assert not any("secret" in text for text in shown)
    assert shown[0] == "Token(***)"


def test_a_token_gives_its_text_to_no_serializer() -> None:
    token = Token(SECRET)
    with pytest.raises(TypeError):
        vars(token)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(token, protocol)
    with pytest.raises(TypeError, match="does not give out its state"):
        token.__getstate__()
    with pytest.raises(TypeError):
        json.dumps(token)
    assert copy.copy(token) is token
    assert copy.deepcopy({"token": token})["token"] is token


def test_redact_masks_every_occurrence() -> None:
    assert Token("abc").redact("abc, not abd, abcabc") == "***, not abd, ******"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("", "must not be empty"),
        ("  \n", "must not be empty"),
        (f"{SECRET}\r\nX-Injected: 1", "white space, control or non-ASCII"),
        (f"{SECRET}\x00", "control"),
        (f"{SECRET}é", "non-ASCII"),
        (None, "must be a str, got NoneType"),
        (SECRET.encode(), "must be a str, got bytes"),
    ],
)
def test_what_cannot_be_a_token_is_refused_without_showing_it(value: Any, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        # In a call of its own, since this frame's locals are the test's.
        (lambda make: make(value))(Token)
    assert words in str(caught.value)
    frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
    inside = [frame for frame in frames if frame.filename.endswith("tickwire/auth.py")]
    assert inside, "the frames of the module under test are looked at"
    assert not any("secret" in text for frame in inside for text in (frame.locals or {}).values())


def test_text_and_tokens_are_given_at_once() -> None:
    token = Token(SECRET)
    assert TokenProvider(token).fetch(None, 1.0) is token
    assert TokenProvider(token).is_immediate
    given = TokenProvider(SECRET).fetch(None, 1.0)
    assert given is not None
    assert given.reveal() == SECRET
    assert TokenProvider(None).fetch(None, 1.0) is None
    assert [repr(TokenProvider(source)) for source in (SECRET, None)] == [
        "TokenProvider(***)",
        "TokenProvider(None)",
    ]


def test_a_callable_is_asked_every_time() -> None:
    answers = iter(["one", Token("two")])
    provider = TokenProvider(lambda: next(answers))
    assert not provider.is_immediate
    tokens = [provider.fetch(None, 1.0) for _ in range(2)]
    assert [token.reveal() for token in tokens if token is not None] == ["one", "two"]


def test_an_async_callable_runs_on_a_loop_of_its_own_where_there_is_none() -> None:
    async def login() -> str:
        await asyncio.sleep(0)
        return SECRET

    token = TokenProvider(login).fetch(None, 1.0)
    assert token is not None
    assert token.reveal() == SECRET


def test_an_async_callable_runs_on_the_loop_given() -> None:
    async def main() -> None:
        home = asyncio.get_running_loop()

        async def login() -> str:
            assert asyncio.get_running_loop() is home
            return SECRET

        token = await asyncio.to_thread(TokenProvider(login).fetch, home, 1.0)
        assert token is not None

    asyncio.run(main())


@pytest.mark.parametrize("with_loop", [False, True])
def test_an_async_callable_that_takes_too_long_times_out(with_loop: bool) -> None:
    cancelled: list[bool] = []

    async def login() -> str:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise
        return SECRET

    provider = TokenProvider(login)

    async def main() -> None:
        with pytest.raises(ConnectTimeout, match=r"login\) delivered no token within 0\.05 s"):
            await asyncio.to_thread(provider.fetch, asyncio.get_running_loop(), 0.05)

    if with_loop:
        asyncio.run(main())
    else:
        with pytest.raises(ConnectTimeout):
            provider.fetch(None, 0.05)
    assert cancelled == [True]


def test_what_a_provider_raises_is_a_connection_failure_with_its_cause() -> None:
    cause = OSError("login server down")

    def login() -> str:
        raise cause

    with pytest.raises(ConnectionFailed, match="raised OSError instead of returning a token") as caught:
        TokenProvider(login).fetch(None, 1.0)
    assert caught.value.__cause__ is cause


@pytest.mark.parametrize(
    ("answer", "words"), [(None, "got NoneType"), (b"x", "got bytes"), ("a b", "white space")]
)
def test_a_provider_that_returns_no_token_is_a_configuration_error(answer: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        TokenProvider(lambda: answer).fetch(None, 1.0)


def test_what_is_no_source_is_refused() -> None:
    with pytest.raises(ConfigError, match="token: got bytes, expected a str"):
        TokenProvider(SECRET.encode())  # type: ignore[arg-type]


def test_env_reads_the_variable_anew_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = TokenProvider(env("TICKWIRE_TEST_TOKEN"))
    assert "TICKWIRE_TEST_TOKEN" in repr(provider)
    with pytest.raises(ConfigError, match="TICKWIRE_TEST_TOKEN is not set"):
        provider.fetch(None, 1.0)
    for value in ("first", "second\n"):
        monkeypatch.setenv("TICKWIRE_TEST_TOKEN", value)
        token = provider.fetch(None, 1.0)
        assert token is not None
        assert token.reveal() == value.strip()


def test_a_token_shows_itself_to_nothing_that_looks_at_objects(caplog: pytest.LogCaptureFixture) -> None:
    @dataclasses.dataclass
    class Holder:
        token: Token

    holder = Holder(Token(SECRET))
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("x").debug(
            "%s %r %s", holder.token, holder, vars(holder), extra={"token": holder.token}
        )
    shown = [repr(holder), repr(dataclasses.asdict(holder)), repr(dir(holder.token)), repr(vars(holder))]
    shown += [caplog.text, *(repr(vars(record)) for record in caplog.records)]
    assert not any("secret" in text for text in shown)
    with pytest.raises(TypeError):
        dataclasses.asdict(holder.token)  # type: ignore[call-overload]
    with pytest.raises(TypeError):
        json.dumps(dataclasses.asdict(holder))


def test_another_grant_of_the_same_text_is_another_object() -> None:
    token = Token(SECRET)
    again = token.again()
    assert type(again) is Token
    assert again is not token
    assert again != token
    assert again.reveal() == SECRET


def test_a_secret_names_itself_in_its_errors() -> None:
    assert repr(Secret("x")) == "Secret(***)"
    with pytest.raises(ConfigError, match=r"a secret must not be empty$"):
        Secret("")
    with pytest.raises(TypeError, match="a Secret is not pickled"):
        pickle.dumps(Secret("x"))


NOW_NS = 1_700_000_000_000_000_000


def signed(**claims: object) -> Token:
    return Token(jwt.encode(claims, "k" * 32, algorithm="HS256"))


def test_a_jwt_tells_when_it_expires_whoever_signed_it() -> None:
    assert expires_ns(signed(exp=1_700_000_100)) == 1_700_000_100 * 10**9
    assert expires_ns(signed(exp=1.5)) == 1_500_000_000
    assert expires_ns(Token(signed(exp=5).reveal()[:-3] + "AAA")) == 5 * 10**9
    assert expires_ns(Token(jwt.encode({"exp": 5}, None, algorithm="none"))) == 5 * 10**9


@pytest.mark.parametrize(
    "claims", [{}, {"exp": "5"}, {"exp": True}, {"exp": None}, {"exp": -5}, {"exp": 10**400}]
)
def test_a_jwt_without_a_time_is_like_an_opaque_token(claims: dict[str, object]) -> None:
    assert expires_ns(signed(**claims)) is None
    assert remaining_s(signed(**claims), NOW_NS) is None


@given(st.text("abc.=-_{}eyJ0", min_size=1))
def test_what_is_no_jwt_is_opaque(text: str) -> None:
    assert expires_ns(Token(text)) is None


@pytest.mark.parametrize(
    ("issued_s", "expires_s", "left_s"),
    [
        (0, 100, 100.0),
        (-40, 60, 60.0),  # in the middle of its life
        (30, 130, 100.0),  # our clock is behind: not longer than its whole life
        (-300, -200, 100.0),  # our clock is ahead, or it has expired: the hub will tell
        (None, 50, 50.0),
        (None, -50, None),
        (100, 50, None),  # nonsense
    ],
)
def test_what_is_left_of_a_token_does_not_trust_either_clock_alone(
    issued_s: int | None, expires_s: int, left_s: float | None
) -> None:
    now_s = NOW_NS // 10**9
    claims = {"exp": now_s + expires_s} | ({} if issued_s is None else {"iat": now_s + issued_s})
    assert remaining_s(signed(**claims), NOW_NS) == left_s


class Renewing:
    """A source with all that a source can have."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.ended: list[Token] = []

    async def __call__(self) -> str:
        return SECRET

    async def renew(self, token: Token) -> Any:
        return self.answer

    def logout(self, token: Token) -> None:
        self.ended.append(token)


def test_a_source_that_can_renew_and_log_out_is_asked_to() -> None:
    source = Renewing("newer")
    provider, token = TokenProvider(source), Token(SECRET)
    assert provider.can_renew
    renewed = provider.renew(token, None, 1.0)
    assert renewed is not None
    assert renewed.reveal() == "newer"
    provider.logout(token, 1.0)
    assert source.ended == [token]
    assert TokenProvider(Renewing(None)).renew(token, None, 1.0) is None
    assert TokenProvider(Renewing(token)).renew(token, None, 1.0) is token
    with pytest.raises(ConfigError, match="must return a str or a Token, got int"):
        TokenProvider(Renewing(5)).renew(token, None, 1.0)
    plain = TokenProvider(lambda: SECRET)
    assert not plain.can_renew
    assert plain.renew(token, None, 1.0) is None
    plain.logout(token, 1.0)


def test_a_bad_text_from_a_source_is_in_no_frame() -> None:
    provider = TokenProvider(lambda: f"{SECRET}\nx")
    with pytest.raises(ConfigError, match="white space") as caught:
        provider.fetch(None, 1.0)
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    inside = [frame for frame in shown.stack if "/tickwire/" in frame.filename]
    assert inside
    assert not [text for frame in inside for text in (frame.locals or {}).values() if "secret" in text]


@pytest.mark.parametrize("with_loop", [False, True])
def test_a_call_that_nobody_waits_for_is_cancelled(with_loop: bool) -> None:
    pause, began, ended = Pause(Clock()), threading.Event(), threading.Event()

    async def login() -> str:
        began.set()
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()
        return SECRET

    def fetch(loop: asyncio.AbstractEventLoop | None) -> None:
        threading.Thread(target=lambda: (began.wait(), pause.stop())).start()
        with pytest.raises(Stopped):
            TokenProvider(login).fetch(loop, 3600.0, pause)
        assert ended.wait(10.0)

    async def main() -> None:
        await asyncio.to_thread(fetch, asyncio.get_running_loop())

    asyncio.run(main()) if with_loop else fetch(None)


def test_a_source_of_its_own_loop_never_uses_the_users() -> None:
    homes: list[asyncio.AbstractEventLoop] = []

    class Own:
        own_loop = True

        async def __call__(self) -> str:
            homes.append(asyncio.get_running_loop())
            return SECRET

    async def main() -> None:
        home = asyncio.get_running_loop()
        await asyncio.to_thread(TokenProvider(Own()).fetch, home, 1.0)
        assert homes
        assert homes[0] is not home

    asyncio.run(main())
