"""The gateway's REST side: login, validation, logout and contracts, in the gateway's shapes.

    rest = tw.sim.Rest(users={"me": "key"}, token_ttl_s=60)
    with tw.sim.Hub(rest=rest) as hub: ...  # POST http://127.0.0.1:<port>/api/Auth/loginKey

Logins open sessions of the hub's tokens, so what `one_session` and `close_expired` say of tokens holds for
these, too. Faults are the hub's, at the stage "rest", with `only` for one path; `refusal` makes one that
answers with an error code. Other routes join with `add`.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from tickwire.errors import ConfigError

from .contracts import Contract, contracts, symbol_id
from .faults import Refuse
from .routes import Answer, Posted, json_answer
from .tokens import Grant, TokenRefused

if TYPE_CHECKING:
    from .core import Core

__all__ = ["Rest", "refusal"]

Body = dict[str, Any]
Reply = Callable[[Body, Grant], Body]
"""Answers a request of a user who may ask: from its JSON object and what the token grants to fields."""

_SUCCESS: Body = {"success": True, "errorCode": 0, "errorMessage": None}
_MOST_CONTRACTS = 20

# Root of a contract id: its ticker, what it is, and the worth of a tick.
_KNOWN = {
    "EP": ("ES", "E-mini S&P 500", 12.5),
    "ENQ": ("NQ", "E-mini NASDAQ-100", 5.0),
    "GCE": ("GC", "Gold", 10.0),
    "CLE": ("CL", "Crude Light", 10.0),
    "EU6": ("6E", "Euro FX", 6.25),
    "TYA": ("ZN", "10 Year US Treasury Notes", 15.625),
    "RTY": ("RTY", "E-mini Russell 2000", 5.0),
    "YM": ("YM", "E-mini Dow", 5.0),
}


def refusal(code: int, message: str | None = None) -> Refuse:
    """A fault that answers a REST request with status 200 and this error code."""
    body = {"success": False, "errorCode": code, "errorMessage": message}
    return Refuse(
        200, at="rest", headers=(("content-type", "application/json"),), body=json.dumps(body).encode()
    )


class Rest:
    """REST routes of one hub.

    Args:
        users: names of users and their keys.
        token_ttl_s: life of the tokens that are given out, in seconds.
        opaque: whether tokens are opaque instead of JWTs.
        renews: whether a validated token gets a successor; otherwise only its session is confirmed.
        limits: requests per path, as (count, seconds); more are answered with 429 and Retry-After.
        other: the same for all paths together that are not in `limits`; None for no limit.
        known: contracts that can be searched for; the built-in ones unless given.
    """

    def __init__(
        self,
        users: Mapping[str, str],
        *,
        token_ttl_s: float = 86_400.0,
        opaque: bool = False,
        renews: bool = True,
        limits: Mapping[str, tuple[int, float]] | None = None,
        other: tuple[int, float] | None = None,
        known: Iterable[Contract] | None = None,
    ) -> None:
        if not (math.isfinite(token_ttl_s) and token_ttl_s > 0):
            raise ConfigError(f"token_ttl_s={token_ttl_s!r}: expected seconds above 0")
        self._users = dict(users)
        self._ttl_s = token_ttl_s
        self._opaque = opaque
        self._renews = renews
        self._contracts = [_described(one) for one in (contracts() if known is None else known)]
        self._windows = {path: _Window(*limit) for path, limit in (limits or {}).items()}
        self._other = _Window(*other) if other is not None else None
        self._core: Core | None = None

    def mount(self, core: Core) -> None:
        """Answer the requests of this hub."""
        if self._core is not None:
            raise ConfigError("this Rest serves a hub already: make a new one for every hub")
        self._core = core
        core.routes["/api/Auth/loginKey"] = self._limited(self._login)
        core.routes["/api/Auth/validate"] = self._limited(self._validate)
        core.routes["/api/Auth/logout"] = self._limited(self._logout)
        self.add("/api/Contract/search", self._search)
        self.add("/api/Contract/searchById", self._by_id)

    def add(self, path: str, reply: Reply) -> None:
        """Answer a path for users with a good token; "success" and its like are put around the fields."""

        def answer(request: Posted, body: bytes) -> Answer:
            try:
                grant = self._hub.tokens.check(request.bearer)
            except TokenRefused:
                return _unauthorized()
            fields = _object(body)
            return _bad_request() if fields is None else json_answer(_SUCCESS | reply(fields, grant))

        self._hub.routes[path] = self._limited(answer)

    @property
    def _hub(self) -> Core:
        if self._core is None:
            raise ConfigError("this Rest serves no hub yet: pass it as Hub(rest=...)")
        return self._core

    def _limited(self, answer: Callable[[Posted, bytes], Answer]) -> Callable[[Posted, bytes], Answer]:
        def within_limits(request: Posted, body: bytes) -> Answer:
            window = self._windows.get(request.path, self._other)
            wait_s = 0.0 if window is None else window.enter(self._hub.loop.time())
            if wait_s > 0:
                return Answer(429, (("retry-after", str(math.ceil(wait_s))),), b"")
            return answer(request, body)

        return within_limits

    def _login(self, request: Posted, body: bytes) -> Answer:  # noqa: ARG002  a handler's signature
        fields = _object(body)
        if fields is None:
            return _bad_request()
        user = fields.get("userName")
        if not isinstance(user, str) or user not in self._users:
            return json_answer({"token": None} | _failed(1))
        if fields.get("apiKey") != self._users[user]:
            return json_answer({"token": None} | _failed(3))
        token = self._hub.tokens.issue(user, self._ttl_s, opaque=self._opaque)
        self._hub.log_in(self._hub.tokens.check(token))
        return json_answer({"token": token} | _SUCCESS)

    def _validate(self, request: Posted, body: bytes) -> Answer:  # noqa: ARG002  a handler's signature
        tokens = self._hub.tokens
        try:
            held = tokens.read(request.bearer)
        except TokenRefused:
            return _unauthorized()
        try:
            grant = tokens.check(request.bearer)
        except TokenRefused:
            expired = held.expires_ns <= self._hub.clock.now_ns()
            return json_answer({"newToken": None} | _failed(3 if expired else 2))
        renewed = None
        if self._renews:
            renewed = tokens.issue(grant.sub, self._ttl_s, session=grant.session, opaque=self._opaque)
        return json_answer({"newToken": renewed} | _SUCCESS)

    def _logout(self, request: Posted, body: bytes) -> Answer:  # noqa: ARG002  a handler's signature
        try:
            grant = self._hub.tokens.check(request.bearer)
        except TokenRefused:
            return _unauthorized()
        self._hub.expire(grant)
        return json_answer(_SUCCESS)

    def _search(self, fields: Body, grant: Grant) -> Body:  # noqa: ARG002  a Reply's signature
        text = str(fields.get("searchText", "")).casefold()
        found = [one for one in self._contracts if text in f"{one['name']} {one['description']}".casefold()]
        return {"contracts": found[:_MOST_CONTRACTS]}

    def _by_id(self, fields: Body, grant: Grant) -> Body:  # noqa: ARG002  a Reply's signature
        found = [one for one in self._contracts if one["id"] == fields.get("contractId")]
        return {"contract": found[0]} if found else {"contract": None} | _failed(1)


class _Window:
    """So many requests in any so many seconds."""

    def __init__(self, count: int, per_s: float) -> None:
        if count < 1 or not (math.isfinite(per_s) and per_s > 0):
            raise ConfigError(f"limit=({count!r}, {per_s!r}): expected at least one request in some seconds")
        self._count = count
        self._per_s = per_s
        self._entered: deque[float] = deque()

    def enter(self, now_s: float) -> float:
        """Seconds until a request is let in; 0 if this one was."""
        while self._entered and self._entered[0] <= now_s - self._per_s:
            self._entered.popleft()
        if len(self._entered) >= self._count:
            return self._entered[0] + self._per_s - now_s
        self._entered.append(now_s)
        return 0.0


def _described(contract: Contract) -> Body:
    root = symbol_id(contract.symbol).rsplit(".", 1)[-1]
    expiry = contract.symbol.rsplit(".", 1)[-1]
    ticker, what, tick_value = _KNOWN.get(root, (root, root, contract.tick_size))
    return {
        "id": contract.symbol,
        "name": f"{ticker}{expiry[:1]}{expiry[-1:]}",
        "description": f"{what}: {expiry}",
        "tickSize": contract.tick_size,
        "tickValue": tick_value,
        "activeContract": True,
        "symbolId": symbol_id(contract.symbol),
    }


def _object(body: bytes) -> Body | None:
    try:
        fields = json.loads(body)
    except ValueError:
        return None
    return fields if isinstance(fields, dict) else None


def _failed(code: int) -> Body:
    return {"success": False, "errorCode": code, "errorMessage": None}


def _unauthorized() -> Answer:
    return Answer(401, (("www-authenticate", "Bearer"),), b"")


def _bad_request() -> Answer:
    return Answer(400, (("content-type", "text/plain"),), b"expected a JSON object")
