"""Where a hub is, checked before anything is sent there.

`http` and `https` mean the same hubs as `ws` and `wss`. Without TLS a token would cross the network
in clear text, so plain addresses are refused off the loopback interface. Credentials do not belong
into an address, which ends up in logs: user information and `access_token` are refused.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlsplit

from .errors import ConfigError

__all__ = ["HubAddress", "is_literal", "is_loopback"]

_SECURE = {"ws": False, "http": False, "wss": True, "https": True}
_HOST = re.compile(r"[a-z0-9_][a-z0-9._-]*|[0-9a-f:.]+(%[a-z0-9._-]+)?")
# What may stand in a path or query as it is (RFC 3986, with % for what is quoted already).
_SAFE = "%:/?#[]@!$&'()*+,;=~"


@dataclass(frozen=True, slots=True)
class HubAddress:
    """The parts of a hub's URL."""

    secure: bool
    host: str
    port: int
    path: str
    query: str

    @classmethod
    def parse(cls, url: str) -> HubAddress:
        """Check and take apart `url`; `ConfigError` says what is wrong with it, without its query."""
        if not isinstance(url, str):
            raise ConfigError(f"hub must be a URL like 'https://host/hubs/market', got {type(url).__name__}")
        parts = urlsplit(url.strip())
        if parts.username is not None or parts.password is not None:
            raise ConfigError("the hub's URL holds user information; pass the credential as token= instead")
        if any(name.lower() == "access_token" for name, _ in parse_qsl(parts.query, keep_blank_values=True)):
            raise ConfigError(
                "the hub's URL holds an access_token; pass it as token= instead, so it stays out of logs"
            )
        scheme = parts.scheme.lower()
        if scheme not in _SECURE:
            raise ConfigError(
                f"the hub's URL must start with https, wss, http or ws, got {scheme or 'no scheme'!r}"
            )
        if not parts.hostname:
            raise ConfigError(
                "the hub's URL names no host; expected something like 'https://host/hubs/market'"
            )
        if parts.fragment:
            raise ConfigError("the hub's URL has a fragment (#...), which has no meaning to a server")
        try:
            port = parts.port
        except ValueError:
            raise ConfigError("the port in the hub's URL is not a number from 0 to 65535") from None
        host = _ascii_host(parts.hostname)
        secure = _SECURE[scheme]
        if not secure and not is_loopback(host):
            raise ConfigError(
                f"{scheme}:// to {host} would send the token in clear text; use https or wss "
                "(plain addresses are for this machine only)"
            )
        return cls(
            secure=secure,
            host=host,
            port=port or (443 if secure else 80),
            path=quote(parts.path, safe=_SAFE) or "/",
            query=quote(parts.query, safe=_SAFE),
        )

    @property
    def netloc(self) -> str:
        """Host and port, as messages name the hub."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        # Without the query: it may hold what its owner does not want in a log.
        return f"{'wss' if self.secure else 'ws'}://{self.netloc}{self.path}"


def _ascii_host(host: str) -> str:
    try:
        text = host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        text = ""
    if not _HOST.fullmatch(text):
        raise ConfigError(f"hub: got the host {host!r}, expected a host name or an IP address")
    return text


def is_loopback(host: str) -> bool:
    """Whether `host` names this machine's loopback interface, without asking a resolver."""
    if host.lower() == "localhost":
        return True
    return is_literal(host) and ipaddress.ip_address(host).is_loopback


def is_literal(host: str) -> bool:
    """Whether `host` is an IP address and needs no resolver."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
