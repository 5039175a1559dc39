"""Tokens show themselves nowhere, and come from text, callables and async callables."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import traceback
from typing import Any

import pytest

from tickwire.auth import Token, TokenProvider, env
from tickwire.errors import ConfigError, ConnectionFailed, ConnectTimeout

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
