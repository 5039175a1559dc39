"""Bearer tokens of one hub: HS256 JWTs under a secret that exists only in this process."""

from __future__ import annotations

import math
import secrets
import time
from typing import Any

import jwt

__all__ = ["TokenIssuer"]

_ALGORITHM = "HS256"


class TokenIssuer:
    """Makes tokens, and checks those that come back."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def issue(self, sub: str, ttl_s: float, claims: dict[str, Any]) -> str:
        """A token for `ttl_s` seconds; one below 0 has already expired. No two tokens are equal."""
        now_s = time.time()
        payload = {
            "sub": sub,
            "iat": int(now_s),
            "exp": math.ceil(now_s + ttl_s),
            "jti": secrets.token_hex(8),
            **claims,
        }
        return jwt.encode(payload, self._secret, algorithm=_ALGORITHM)

    def refusal(self, token: str | None) -> str | None:
        """Why the token is not accepted, or None if it is."""
        if token is None:
            return "no token"
        try:
            jwt.decode(token, self._secret, algorithms=[_ALGORITHM], options={"require": ["exp", "sub"]})
        except jwt.ExpiredSignatureError:
            return "expired token"
        except jwt.InvalidTokenError as error:
            return f"bad token ({type(error).__name__})"
        return None
