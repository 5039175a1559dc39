"""Bearer tokens of one hub: HS256 JWTs under a secret that exists only in this process, or opaque ones.

A token belongs to a user and to a session: each login opens a new session, a renewal stays in its
own. What a newer session does to older ones is decided in `core`; here it is only remembered.
"""

from __future__ import annotations

import itertools
import math
import secrets
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt

if TYPE_CHECKING:
    from tickwire.clock import Clock

__all__ = ["Grant", "TokenIssuer", "TokenRefused"]

_ALGORITHM = "HS256"


class TokenRefused(Exception):
    """A token is not accepted; the text says why, and does not quote it."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a good token says.

    Attributes:
        sub: the user.
        session: number of the login that it goes back to; later logins have higher ones.
        id: no two tokens share it.
        expires_ns: end of its life, ns UTC.
    """

    sub: str
    session: int
    id: str
    expires_ns: int


class TokenIssuer:
    """Makes tokens, in any thread, and checks those that come back, on the hub's loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._secret = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._sessions = itertools.count(1)
        self._opaque: dict[str, Grant] = {}
        self._expired: set[str] = set()
        self._oldest: dict[str, int] = {}

    def issue(
        self,
        sub: str,
        ttl_s: float,
        claims: dict[str, Any] | None = None,
        *,
        session: int | None = None,
        opaque: bool = False,
    ) -> str:
        """A token for `ttl_s` seconds, rounded up to a whole one; one below 0 has already expired.

        Without `session` it opens a new one. An opaque token is no JWT and says nothing to its
        holder; it carries no claims.
        """
        now_s = self._clock.now_ns() / 1e9
        with self._lock:
            number = next(self._sessions) if session is None else session
        grant = Grant(sub, number, secrets.token_hex(8), math.ceil(now_s + ttl_s) * 1_000_000_000)
        if opaque:
            token = secrets.token_urlsafe(32)
            self._opaque[token] = grant
            return token
        payload = {
            "sub": sub,
            "iat": int(now_s),
            "exp": grant.expires_ns // 1_000_000_000,
            "jti": grant.id,
            "sid": number,
            **(claims or {}),
        }
        return jwt.encode(payload, self._secret, algorithm=_ALGORITHM)

    def check(self, token: str | None) -> Grant:
        """What the token grants, or TokenRefused."""
        grant = self.read(token)
        if grant.id in self._expired or grant.expires_ns <= self._clock.now_ns():
            raise TokenRefused("expired token")
        if grant.session < self._oldest.get(grant.sub, 0):
            raise TokenRefused("another session is active")
        return grant

    def read(self, token: str | None) -> Grant:
        """What the token said when it was issued, though it may have expired; TokenRefused if it is foreign."""
        if token is None:
            raise TokenRefused("no token")
        if token in self._opaque:
            return self._opaque[token]
        # The hub's clock decides on expiry, which may be another than PyJWT's.
        options: Any = {"require": ["exp", "sub", "jti", "sid"], "verify_exp": False, "verify_iat": False}
        try:
            fields = jwt.decode(token, self._secret, algorithms=[_ALGORITHM], options=options)
        except jwt.InvalidTokenError as error:
            raise TokenRefused(f"bad token ({type(error).__name__})") from None
        return Grant(fields["sub"], fields["sid"], fields["jti"], int(fields["exp"]) * 1_000_000_000)

    def expire(self, grant: Grant) -> None:
        """Let a token expire before its time."""
        self._expired.add(grant.id)

    def supersede(self, grant: Grant) -> None:
        """Refuse the user's tokens of older sessions from now on."""
        self._oldest[grant.sub] = max(grant.session, self._oldest.get(grant.sub, 0))
