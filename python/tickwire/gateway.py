"""A ProjectX gateway: its login, its contracts, its history and where its hubs are.

    gw = tw.projectx(user="…", key="…")
    contract = gw.contracts("ES")[0]
    engine = tw.Engine([contract.instrument()], timeframes=["1m"])
    with tw.connect(gw.market_hub, token=gw.login, engine=engine) as client: ...

All that use one `Gateway` share its login and its rate limits. User and key are sent in the login's
body and shown nowhere. The methods that ask the gateway block; a coroutine calls them through
`asyncio.to_thread`.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

from .auth import Secret, Token
from .clock import Clock
from .errors import ConfigError, ConnectTimeout, LoginFailed, RequestFailed
from .login import Login
from .login_limits import LoginLimits
from .pause import Pause, run_alone
from .projectx import (
    API,
    CONTRACT_BY_ID,
    CONTRACT_SEARCH,
    HUBS,
    LOGIN,
    LOGOUT,
    RETRIEVE_BARS,
    SESSION_IS_OVER,
    VALIDATE,
    Contract,
    code_of,
    contracts_of,
    login_failed,
    refused,
)
from .projectx_history import ProjectXHistory
from .proxy import Proxies
from .ratelimit import RateLimit
from .rest import Rest, parse_url

__all__ = ["Gateway", "projectx"]

# For one login or renewal; below `LoginLimits.fetch_s`, so that it ends by itself.
_LOGIN_S = 15.0
# What requests may be delayed on their way by more than those before them: they must not come to the
# gateway closer together than they were sent.
_SLACK_S = 0.5


class _UserOrKey(Secret):
    """The user's name or key: any text, as JSON takes it."""

    __slots__ = ()

    @classmethod
    def _problem(cls, value: object) -> str | None:
        if isinstance(value, str) and value.strip():
            return None
        return f"user and key must be texts and not empty, got {type(value).__name__}"


class KeyLogin:
    """The gateway's login by key, as a source of tokens that can renew and log out."""

    own_loop = True

    def __init__(self, rest: Rest, user: Secret, key: Secret) -> None:
        self._rest = rest
        self._user = user
        self._key = key
        self.__qualname__ = f"ProjectX login at {rest}"  # by which messages name a source

    async def __call__(self) -> Token:
        """Log in. `LoginFailed`, permanent if the credentials will not do."""
        reply = await self._ask(LOGIN, {"userName": self._user, "apiKey": self._key}, None)
        if reply.get("success") is True:
            return _token_of(reply, "token", LOGIN)
        code = code_of(reply)
        del reply
        raise login_failed(code)

    async def renew(self, token: Token) -> Token | None:
        """The successor of `token`, `token` itself if it has none, None if its session is over."""
        try:
            reply = await self._ask(VALIDATE, {}, token)
        except LoginFailed as error:
            if error.code == 401:
                return None
            raise
        if reply.get("success") is True:
            return token if reply.get("newToken") is None else _token_of(reply, "newToken", VALIDATE)
        code = code_of(reply)
        del reply
        if code in SESSION_IS_OVER:
            return None
        raise LoginFailed(f"the gateway did not validate the session, code {code}", code=code)

    async def logout(self, token: Token) -> None:
        """End the session of `token`."""
        await self._ask(LOGOUT, {}, token)

    async def _ask(self, path: str, body: Mapping[str, Any], token: Token | None) -> dict[str, Any]:
        try:
            return await self._rest.post(path, body, token=token, time_limit_s=_LOGIN_S)
        except RequestFailed as error:
            # An HTTP status says little about credentials, but for these two.
            failure = LoginFailed(
                str(error),
                code=error.status,
                permanent=path == LOGIN and error.status in (400, 401),
                retry_after_s=error.retry_after_s,
            )
        raise failure


def _token_of(reply: dict[str, Any], field: str, path: str) -> Token:
    # The answer is emptied, so that no frame of a traceback shows it.
    box = [reply.pop(field, None)]
    reply.clear()
    try:
        return Token(box.pop())
    except ConfigError as error:
        problem = str(error)
    raise LoginFailed(f"the gateway answered {path} without a token that could be sent: {problem}")


class Gateway:
    """One gateway and one user; made by `projectx`. All methods may be called from any thread."""

    def __init__(self, rest: Rest, login: Login, market_hub: str, user_hub: str, clock: Clock) -> None:
        self._rest = rest
        self._clock = clock
        self.login = login
        """For `tw.connect(token=...)`; shared by all hubs of this gateway."""
        self.market_hub = market_hub
        self.user_hub = user_hub
        self.history = ProjectXHistory(self.post)
        """Bars of this gateway, for whatever takes a `history.History`."""

    def contracts(self, text: str, *, live: bool = False, time_limit_s: float = 30.0) -> list[Contract]:
        """Contracts whose name matches `text`, e.g. "ES"; `live` asks with the live data subscription.

        Raises as `post` does.
        """
        body = {"searchText": text, "live": live}
        return contracts_of(CONTRACT_SEARCH, self.post(CONTRACT_SEARCH, body, time_limit_s=time_limit_s))

    def contract(self, id_: str, *, time_limit_s: float = 30.0) -> Contract:
        """The contract of this id, e.g. "CON.F.US.EP.Z26". Raises as `post` does."""
        body = {"contractId": id_}
        found = contracts_of(CONTRACT_BY_ID, self.post(CONTRACT_BY_ID, body, time_limit_s=time_limit_s))
        if [one.id for one in found] != [id_]:
            raise RequestFailed(f"the gateway knows no contract {id_!r}", status=200, permanent=True)
        return found[0]

    def post(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        time_limit_s: float = 30.0,
        pause: Pause | None = None,
    ) -> dict[str, Any]:
        """Ask the gateway as this user: the answer, if it says that all went well.

        Logs in first if need be, waits for its turn under the rate limit, and when the token is
        refused tries once more with another. All of it ends within `time_limit_s` seconds, or with
        `Stopped` when `pause` is stopped. `body` becomes JSON.

        Raises `RequestFailed`, with `permanent` and `retry_after_s` telling whether and when to ask
        again; and what `Login.token` raises.
        """
        pause = pause if pause is not None else Pause(self._clock)
        deadline_s = self._clock.monotonic_s() + time_limit_s
        for is_last in (False, True):
            token = self.login.token(pause, self._left_s(deadline_s, path))
            try:
                reply = self._send(path, body, token, self._left_s(deadline_s, path), pause)
                break
            except RequestFailed as error:
                if error.status == 401:
                    self.login.refused(token)
                if error.status != 401 or is_last:
                    raise
        failure = refused(path, reply)
        if failure is None:
            return reply
        # A traceback does not show what the gateway said.
        del reply
        raise failure

    def _send(
        self, path: str, body: Mapping[str, Any], token: Token | None, left_s: float, pause: Pause
    ) -> dict[str, Any]:
        return run_alone(lambda: self._rest.post(path, body, token=token, time_limit_s=left_s), pause)

    def _left_s(self, deadline_s: float, path: str) -> float:
        left_s = deadline_s - self._clock.monotonic_s()
        if left_s <= 0:
            raise ConnectTimeout(f"{self._rest} was not asked for {path} in time")
        return left_s

    def __repr__(self) -> str:
        return f"Gateway({self._rest})"


def projectx(
    user: str,
    key: str,
    *,
    api: str = API,
    hubs: str = HUBS,
    tls: ssl.SSLContext | None = None,
    proxy: str | None = None,
    login_limits: LoginLimits | None = None,
    clock: Clock | None = None,
) -> Gateway:
    """A ProjectX gateway, TopstepX unless `api` and `hubs` name another firm's. Nothing is opened yet.

    Args:
        user: name of the user, as for the web site.
        key: the user's API key.
        api, hubs: addresses of REST and hubs. Plain http is taken for this machine only.
        tls: a context for servers whose certificate the system does not know.
        proxy: URL of an HTTP proxy for REST, or "env"; the environment is not asked otherwise.
        login_limits: limits of the login.
        clock: this machine's unless given.

    Raises:
        ConfigError: an argument that cannot work.
    """
    # The first thing done with what may hold a secret is to wrap it: an exception shows none of it.
    try:
        secrets = _UserOrKey(user), _UserOrKey(key)
        clock = clock if clock is not None else Clock()
        address = parse_url(api, "api")
        rest = Rest(
            address,
            limits={RETRIEVE_BARS: RateLimit(50, 30.0 + _SLACK_S)},
            other=RateLimit(200, 60.0 + _SLACK_S),
            tls=tls,
            proxy=Proxies.of(proxy).for_hub(address),
            clock=clock,
        )
        parse_url(hubs, "hubs")
        market_hub, user_hub = (f"{hubs.strip().rstrip('/')}/hubs/{name}" for name in ("market", "user"))
    finally:
        del user, key, api, hubs, proxy
    login = Login(KeyLogin(rest, *secrets), limits=login_limits, clock=clock)
    return Gateway(rest, login, market_hub, user_hub, clock)
