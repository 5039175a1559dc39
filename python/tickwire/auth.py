"""Tokens that do not show themselves, and where they come from.

A `Token` prints as `Token(***)` wherever Python would show a value: repr, str, format, a traceback
with locals. `reveal` is the one way to the text; the package calls it in one place, where the
upgrade request is built, and in `redact`. A token cannot be pickled or copied.

A connection asks its `TokenProvider` once per attempt, so a token renewed by its owner is used by
the next attempt. This module does not log in, does not judge whether a token has expired, and does
not keep what a callable returned.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import re
from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeAlias

from .errors import ConfigError, ConnectionFailed, ConnectTimeout, TickwireError

__all__ = ["Token", "TokenProvider", "TokenSource", "env"]

# RFC 6750 calls for fewer characters, but opaque tokens in the field use others. What must never
# pass is white space and control characters: they would end the header and start another.
_HEADER_SAFE = re.compile(r"[\x21-\x7e]+")


class Token:
    """A secret that is sent in the Authorization header and shown nowhere."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        problem = _problem(value)
        if problem is None:
            self.__value = value.strip()
        # No frame of a traceback may hold the text: the caller's mistake can be a stray line break
        # in an otherwise good token.
        del value
        if problem is not None:
            raise ConfigError(problem)

    def reveal(self) -> str:
        """The text. Whoever calls this must not keep it in a variable that an exception can show."""
        return self.__value

    def redact(self, text: str) -> str:
        """`text` with every occurrence of the token masked, for quoting what a server said."""
        return text.replace(self.__value, "***")

    def __repr__(self) -> str:
        return "Token(***)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __copy__(self) -> Token:
        return self

    def __deepcopy__(self, memo: object) -> Token:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Token is not pickled; pass a token provider to the other process instead")

    def __getstate__(self) -> NoReturn:
        raise TypeError("a Token does not give out its state; call reveal() where it is sent")


def _problem(value: object) -> str | None:
    if not isinstance(value, str):
        return f"a token must be a str, got {type(value).__name__}"
    text = value.strip()
    if not text:
        return "a token must not be empty; leave it out (None) for a hub that asks for none"
    if not _HEADER_SAFE.fullmatch(text):
        return (
            f"the token ({len(text)} characters) holds white space, control or non-ASCII characters, "
            "which cannot be sent in a header; check how it was read"
        )
    return None


TokenSource: TypeAlias = "str | Token | Callable[[], str | Token | Awaitable[str | Token]] | None"


def env(name: str) -> Callable[[], Token]:
    """A provider that reads the environment variable `name` anew for every attempt."""

    def read() -> Token:
        if name not in os.environ:
            raise ConfigError(f"environment variable {name} is not set; it should hold the hub's token")
        return Token(os.environ[name])

    read.__qualname__ = f"env({name!r})"
    return read


class TokenProvider:
    """One way to a fresh token per attempt, whatever the user gave: text, callable, async callable."""

    __slots__ = ("_call", "_token")

    def __init__(self, source: TokenSource) -> None:
        self._token: Token | None = None
        self._call: Callable[[], str | Token | Awaitable[str | Token]] | None = None
        kind = type(source).__name__
        if isinstance(source, str):
            self._token = Token(source)
        elif isinstance(source, Token):
            self._token = source
        elif callable(source):
            self._call = source
        elif source is not None:
            del source
            raise ConfigError(
                f"token: got {kind}, expected a str, a Token, a callable or async callable that returns one, or None"
            )

    @property
    def is_immediate(self) -> bool:
        """Whether `fetch` returns at once, without running foreign code."""
        return self._call is None

    def fetch(self, loop: asyncio.AbstractEventLoop | None, time_limit_s: float) -> Token | None:
        """A token for one attempt, or None where none was configured.

        Blocks, so it must not be called on an event loop's thread. An async callable runs on `loop`
        while that loop runs, for the sake of sessions that belong to it, else on a loop of its own.
        Raises `ConnectTimeout` if an async callable takes longer than `time_limit_s`, and
        `ConnectionFailed` with the cause chained if the callable raises: a login server that is
        down is a fault like a hub that is down.
        """
        if self._call is None:
            return self._token
        try:
            given = self._call()
            if inspect.isawaitable(given):
                given = _run(given, loop, time_limit_s)
        except TickwireError:
            raise
        except TimeoutError:
            raise ConnectTimeout(f"{self!r} delivered no token within {time_limit_s} s") from None
        except Exception as error:
            raise ConnectionFailed(
                f"{self!r} raised {type(error).__name__} instead of returning a token"
            ) from error
        if isinstance(given, Token):
            return given
        if isinstance(given, str):
            return Token(given)
        raise ConfigError(f"{self!r} must return a str or a Token, got {type(given).__name__}")

    def __repr__(self) -> str:
        if self._call is not None:
            return f"TokenProvider({getattr(self._call, '__qualname__', type(self._call).__name__)})"
        return "TokenProvider(None)" if self._token is None else "TokenProvider(***)"


def _run(
    awaitable: Awaitable[str | Token], loop: asyncio.AbstractEventLoop | None, time_limit_s: float
) -> str | Token:
    async def wait() -> str | Token:
        return await asyncio.wait_for(awaitable, time_limit_s)

    if loop is not None and loop.is_running():
        return asyncio.run_coroutine_threadsafe(wait(), loop).result(time_limit_s + 1.0)
    return asyncio.run(wait())
