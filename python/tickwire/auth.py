"""Tokens that do not show themselves, and where they come from.

A `Token` prints as `Token(***)` wherever Python would show a value: repr, str, format, a traceback
with locals. `reveal` is the one way to the text; the package calls it where a request is built, where
a JWT is looked into, and in `redact`. A token cannot be pickled or copied.

A source of tokens is text, a callable or an async callable. One that also has
`renew(token)`, async or not, can turn a token that still works into its successor: a `Token`, the same
one if it has no successor yet, or None if only a new login will do; with `logout(token)` it can end a
session. `TokenProvider` asks any of them in one way. It keeps nothing and judges nothing: see `login`.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import inspect
import os
import re
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, NoReturn, Self, TypeAlias

from .clock import Clock
from .errors import ConfigError, ConnectionFailed, ConnectTimeout, TickwireError
from .pause import Pause, run_alone
from .wakeup import Stopped

__all__ = ["Secret", "Token", "TokenProvider", "TokenSource", "env", "expires_ns", "remaining_s"]

# RFC 6750 calls for fewer characters, but opaque tokens in the field use others. What must never
# pass is white space and control characters: they would end the header and start another.
_HEADER_SAFE = re.compile(r"[\x21-\x7e]+")


# Times beyond the year 5000 are no times.
_FAR_S = 100_000_000_000


class Secret:
    """A text that is shown nowhere."""

    __slots__ = ("__value", "__weakref__")
    _what: ClassVar[str] = "a secret"
    _if_empty: ClassVar[str] = ""

    def __init__(self, value: str) -> None:
        problem = self._problem(value)
        if problem is None:
            self.__value = value.strip()
        # No frame of a traceback may hold the text: the caller's mistake can be a stray line break
        # in an otherwise good secret.
        del value
        if problem is not None:
            raise ConfigError(problem)

    @classmethod
    def _problem(cls, value: object) -> str | None:
        if not isinstance(value, str):
            return f"{cls._what} must be a str, got {type(value).__name__}"
        text = value.strip()
        if not text:
            return f"{cls._what} must not be empty{cls._if_empty}"
        if not _HEADER_SAFE.fullmatch(text):
            return (
                f"{cls._what} of {len(text)} characters holds white space, control or non-ASCII characters, "
                "which cannot be sent in a header; check how it was read"
            )
        return None

    def reveal(self) -> str:
        """The text. Whoever calls this must not keep it in a variable that an exception can show."""
        return self.__value

    def redact(self, text: str) -> str:
        """`text` with every occurrence of the secret masked, for quoting what a server said."""
        return text.replace(self.__value, "***")

    def again(self) -> Self:
        """The same text as another object, for who tells tokens apart by identity."""
        return type(self)(self.__value)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(
            f"a {type(self).__name__} is not pickled; pass a token provider to the other process instead"
        )

    def __getstate__(self) -> NoReturn:
        raise TypeError(
            f"a {type(self).__name__} does not give out its state; call reveal() where it is sent"
        )


class Token(Secret):
    """A secret that is sent in the Authorization header and shown nowhere."""

    __slots__ = ()
    _what = "a token"
    _if_empty = "; leave it out (None) for a hub that asks for none"


def _claims(token: Token) -> dict[str, Any]:
    # Imported here: a program with opaque tokens needs no JWT library.
    import jwt

    # What the signature is worth is for the hub to judge; here the token only tells its own times.
    with contextlib.suppress(jwt.PyJWTError, ValueError, TypeError, RecursionError):
        return jwt.decode(token.reveal(), options={"verify_signature": False})
    return {}


def _time_ns(claim: object) -> int | None:
    if isinstance(claim, bool) or not isinstance(claim, int | float) or not 0 < claim < _FAR_S:
        return None
    return int(claim * 1_000_000_000)


def expires_ns(token: Token) -> int | None:
    """When a JWT says that it expires (`exp`), ns UTC by its issuer's clock; None if the token is opaque.

    The signature is not checked.
    """
    return _time_ns(_claims(token).get("exp"))


def remaining_s(token: Token, now_ns: int) -> float | None:
    """How long a token will still be good for, in seconds, believed at `now_ns` (ns UTC).

    Of the time until `exp` and the whole life from `iat` to `exp` the smaller one counts, so that a
    clock here that is behind the issuer's makes no token look younger than new. None for an opaque
    token, and for one that looks expired: either that is a clock that is ahead, or the hub will tell.
    """
    claims = _claims(token)
    exp_ns, iat_ns = _time_ns(claims.get("exp")), _time_ns(claims.get("iat"))
    if exp_ns is None:
        return None
    left_ns = exp_ns - now_ns
    whole_ns = exp_ns - iat_ns if iat_ns is not None else left_ns
    if left_ns <= 0:
        left_ns = whole_ns
    return min(left_ns, whole_ns) / 1e9 if min(left_ns, whole_ns) > 0 else None


TokenSource: TypeAlias = "str | Token | Callable[[], str | Token | Awaitable[str | Token]] | None"


def env(name: str) -> Callable[[], Token]:
    """A source that reads the environment variable `name` anew each time it is asked."""

    def read() -> Token:
        if name not in os.environ:
            raise ConfigError(f"environment variable {name} is not set; it should hold the hub's token")
        return Token(os.environ[name])

    read.__qualname__ = f"env({name!r})"
    return read


class TokenProvider:
    """Any source of tokens, asked in one way.

    The methods block, so they must not be called on an event loop's thread. Async callables run on
    the loop given while that loop runs, for the sake of sessions that belong to it, else on a loop of
    their own; a source with a true `own_loop` never uses the user's, which a strategy may hold up.
    A stopped `pause` cancels an async callable (`Stopped`); a callable that is not async cannot be
    ended. Errors: `ConnectTimeout` for an async callable that takes longer than `time_limit_s`,
    `ConnectionFailed` with the cause chained for one that raises: a login server that is down is a
    fault like a hub that is down.
    """

    __slots__ = ("_call", "_logout", "_own_loop", "_renew", "_token")

    def __init__(self, source: TokenSource) -> None:
        self._token: Token | None = None
        self._call: Callable[[], object] | None = None
        self._renew: Callable[[Token], object] | None = None
        self._logout: Callable[[Token], object] | None = None
        self._own_loop = False
        kind = type(source).__name__
        try:
            if isinstance(source, str):
                self._token = Token(source)
            elif isinstance(source, Token):
                self._token = source
            elif callable(source):
                self._call = source
                self._renew = getattr(source, "renew", None)
                self._logout = getattr(source, "logout", None)
                self._own_loop = bool(getattr(source, "own_loop", False))
            elif source is not None:
                raise ConfigError(
                    f"token: got {kind}, expected a str, a Token, a callable or async callable that returns one, or None"
                )
        finally:
            # A text that is no token must not be found in the traceback.
            del source

    @property
    def is_none(self) -> bool:
        """Whether there is no token at all."""
        return self._call is None and self._token is None

    @property
    def is_immediate(self) -> bool:
        """Whether `fetch` returns the same text always and at once, without running foreign code."""
        return self._call is None

    @property
    def can_renew(self) -> bool:
        """Whether the source has a `renew`."""
        return self._renew is not None

    def fetch(
        self, loop: asyncio.AbstractEventLoop | None, time_limit_s: float, pause: Pause | None = None
    ) -> Token | None:
        """A token for one attempt, or None where none was configured."""
        if self._call is None:
            return self._token
        return self._as_token(self._ask(self._call, loop, time_limit_s, pause))

    def renew(
        self,
        token: Token,
        loop: asyncio.AbstractEventLoop | None,
        time_limit_s: float,
        pause: Pause | None = None,
    ) -> Token | None:
        """The successor of `token`, `token` itself if it has none yet, None if only a new login will do."""
        renew = self._renew
        if renew is None:
            return None
        given = self._ask(lambda: renew(token), loop, time_limit_s, pause)
        return None if given is None else self._as_token(given)

    def logout(self, token: Token, time_limit_s: float) -> None:
        """End the session of `token`, if the source knows how to."""
        logout = self._logout
        if logout is not None:
            self._ask(lambda: logout(token), None, time_limit_s, None)

    def _ask(
        self,
        call: Callable[[], object],
        loop: asyncio.AbstractEventLoop | None,
        time_limit_s: float,
        pause: Pause | None,
    ) -> object:
        pause = pause if pause is not None else Pause(Clock())
        try:
            given = call()
            if not inspect.isawaitable(given):
                return given
            return _run(given, None if self._own_loop else loop, time_limit_s, pause)
        except TickwireError:
            raise
        except TimeoutError:
            pass
        except Exception as error:
            raise ConnectionFailed(
                f"{self!r} raised {type(error).__name__} instead of returning a token"
            ) from error
        # Raised here, so that the frames that were cancelled, with all they hold, are let go.
        raise ConnectTimeout(f"{self!r} delivered no token within {time_limit_s} s")

    def _as_token(self, given: object) -> Token:
        if isinstance(given, Token):
            return given
        kind = type(given).__name__
        if isinstance(given, str):
            # In no frame of what this may raise.
            box = [given]
            del given
            return Token(box.pop())
        del given
        raise ConfigError(f"{self!r} must return a str or a Token, got {kind}")

    def __repr__(self) -> str:
        if self._call is not None:
            return f"TokenProvider({getattr(self._call, '__qualname__', type(self._call).__name__)})"
        return "TokenProvider(None)" if self._token is None else "TokenProvider(***)"


def _run(
    awaitable: Awaitable[object],
    loop: asyncio.AbstractEventLoop | None,
    time_limit_s: float,
    pause: Pause,
) -> object:
    async def wait() -> object:
        return await asyncio.wait_for(awaitable, time_limit_s)

    if loop is None or not loop.is_running():
        try:
            return run_alone(wait, pause)
        finally:
            if inspect.iscoroutine(awaitable):
                # Stopped before it began: so that it is not missed.
                awaitable.close()
    future = asyncio.run_coroutine_threadsafe(wait(), loop)
    pause.on_stop(future.cancel)
    try:
        # A loop that is held up by its owner, or was stopped, must not hold this thread.
        return future.result(time_limit_s + 1.0)
    except TimeoutError:
        future.cancel()
        raise
    except concurrent.futures.CancelledError:
        raise Stopped from None
    finally:
        pause.forget(future.cancel)
