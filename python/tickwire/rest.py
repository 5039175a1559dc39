"""POST requests with JSON to one server, careful with secrets.

The token goes into the Authorization header and nowhere else. Redirects are not followed, the
environment's proxies and `.netrc` are not asked, plain http is for this machine only, and answers have
a size limit. No error quotes what the server said or holds a frame that knows a secret; what httpx would
log of such a request at DEBUG, which includes the server's headers, is not logged.

Nothing is tried again here.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .address import HubAddress
from .auth import Secret, Token
from .clock import Clock
from .errors import ConfigError, RequestFailed
from .http_head import USER_AGENT, phrase, retry_after_s
from .proxy import Proxy
from .ratelimit import RateLimit

__all__ = ["Rest", "parse_url"]

_MAX_BYTES = 64 * 1024 * 1024
# The same request again is of no use. A 403 may be a firewall's passing mood, and is not among them.
_PERMANENT = frozenset({400, 401, 404, 405, 406, 409, 410, 413, 414, 415, 422})

_is_private: contextvars.ContextVar[bool] = contextvars.ContextVar("tickwire_private_request", default=False)


class _Privacy(logging.Filter):
    """Keeps records about our own requests out of the log, and those of everybody else in."""

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002  # logging's signature
        return not _is_private.get()


_PRIVACY = _Privacy()
# A filter of a logger is not asked for the records of the loggers below it.
_LOGGERS = ("httpcore.connection", "httpcore.http11", "httpcore.http2", "httpcore.proxy", "httpcore.socks")


@dataclass(frozen=True, slots=True)
class _Answer:
    value: dict[str, Any] | None = None
    problem: str = ""
    status: int | None = None
    retry_after_s: float | None = None


class Rest:
    """One server. All methods may be called from any thread and loop."""

    def __init__(
        self,
        address: HubAddress,
        *,
        limits: Mapping[str, RateLimit],
        other: RateLimit,
        tls: ssl.SSLContext | None = None,
        proxy: Proxy | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`limits` has the rate limits of single paths, `other` is that of the rest together.

        `tls` is a context for a server whose certificate the system does not know.
        """
        scheme = "https" if address.secure else "http"
        self._base = f"{scheme}://{address.netloc}{address.path.rstrip('/')}"
        self._proxy = proxy
        self._limits = dict(limits)
        self._other = other
        self._tls = tls
        self._clock = clock if clock is not None else Clock()

    async def post(
        self, path: str, body: Mapping[str, Any], *, token: Token | None, time_limit_s: float
    ) -> dict[str, Any]:
        """The JSON object that the server answers with status 200.

        `body` may hold a `Secret`, which is revealed in the request alone. Waits for its turn under
        the rate limit first, which counts against `time_limit_s`. All waiting is the running loop's,
        which has to go by the clock given: that of `run_alone` does.

        Raises `RequestFailed` for everything else that can happen.
        """
        rate = self._limits.get(path, self._other)
        wait_s = rate.reserve(self._clock.monotonic_s(), time_limit_s)
        if wait_s > time_limit_s:
            raise RequestFailed(
                f"{path} is rate-limited: the next request is due in {wait_s:.1f} s, the limit was {time_limit_s:.1f} s",
                retry_after_s=wait_s,
            )
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        answer = await self._ask(path, body, token, time_limit_s - wait_s)
        if answer.status == 429:
            rate.penalise(self._clock.monotonic_s() + (answer.retry_after_s or 1.0))
        if answer.value is None:
            raise RequestFailed(
                f"{self._base}{path} {answer.problem}",
                status=answer.status,
                permanent=answer.status in _PERMANENT or (answer.status or 0) // 100 == 3,
                retry_after_s=answer.retry_after_s,
            )
        return answer.value

    async def _ask(
        self, path: str, body: Mapping[str, Any], token: Token | None, time_limit_s: float
    ) -> _Answer:
        """What comes of a request; its errors are put into words, so that their frames are let go."""
        # Imported here: programs without a gateway need no HTTP client.
        import httpx

        mark = _is_private.set(True)
        try:
            async with asyncio.timeout(time_limit_s):
                return await self._exchange(path, body, token)
        except TimeoutError:
            problem = f"did not answer within {time_limit_s:.1f} s"
        except httpx.ConnectError as error:
            # Said by this machine, not by the server: no such host, no route, certificate not trusted.
            problem = f"could not be reached: {error}"
        except httpx.ProxyError:
            problem = "could not be reached: the proxy refused"
        except httpx.HTTPError as error:
            problem = f"did not answer properly ({type(error).__name__})"
        finally:
            _is_private.reset(mark)
        return _Answer(problem=problem)

    async def _exchange(self, path: str, body: Mapping[str, Any], token: Token | None) -> _Answer:
        import httpx

        for name in _LOGGERS:
            logging.getLogger(name).addFilter(_PRIVACY)
        if self._tls is None:
            self._tls = ssl.create_default_context()
        proxy = None
        if self._proxy is not None:
            credential = self._proxy.credential
            headers = {"proxy-authorization": f"Basic {credential.reveal()}"} if credential else None
            proxy = httpx.Proxy(str(self._proxy), headers=headers)
        headers = {"user-agent": USER_AGENT, "accept": "application/json", "content-type": "application/json"}
        if token is not None:
            headers["authorization"] = f"Bearer {token.reveal()}"
        content = json.dumps(body, default=_revealed).encode()
        async with (
            httpx.AsyncClient(
                verify=self._tls,
                trust_env=False,
                follow_redirects=False,
                timeout=None,  # noqa: S113  # the whole of it has a time limit
                proxy=proxy,
            ) as client,
            client.stream("POST", self._base + path, content=content, headers=headers) as response,
        ):
            if response.status_code != 200:
                return _refusal(response.status_code, response.headers)
            data = bytearray()
            async for chunk in response.aiter_bytes():
                data += chunk
                if len(data) > _MAX_BYTES:
                    return _Answer(problem=f"answered with more than {_MAX_BYTES} bytes", status=200)
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            return _Answer(value, status=200)
        return _Answer(problem="answered 200 OK with something other than a JSON object", status=200)

    def __str__(self) -> str:
        return self._base

    def __repr__(self) -> str:
        return f"Rest({self._base})"


def _refusal(status: int, headers: Mapping[str, str]) -> _Answer:
    known = {name: headers.get(name, "").encode("latin-1", "replace") for name in ("retry-after", "date")}
    after_s = retry_after_s({name.encode(): value for name, value in known.items()})
    if status // 100 == 3:
        return _Answer(problem=f"answered {phrase(status)}; redirects are not followed", status=status)
    return _Answer(problem=f"answered {phrase(status)}", status=status, retry_after_s=after_s)


def _revealed(value: object) -> str:
    if isinstance(value, Secret):
        return value.reveal()
    raise TypeError(f"a {type(value).__name__} is not sent as JSON")


def parse_url(url: str, name: str) -> HubAddress:
    """An address without a query; `ConfigError` calls it `name` and does not quote it."""
    try:
        address = HubAddress.parse(url)
        problem = "the URL must have no query" if address.query else ""
    except ConfigError as error:
        problem = str(error).replace("the hub's URL", "the URL").replace("hub must", "must")
    finally:
        del url
    if problem:
        raise ConfigError(f"{name}: {problem}")
    return address
