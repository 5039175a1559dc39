"""Where a hub is, checked before anything is sent there.

`http` and `https` mean the same hubs as `ws` and `wss`. Without TLS a token would cross the network
in clear text, so plain addresses are refused off the loopback interface. Credentials do not belong
into an address, which ends up in logs: user information and `access_token` are refused.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, quote, urlsplit

from .errors import ConfigError

__all__ = ["HubAddress", "ascii_host", "is_literal", "is_loopback", "netloc", "split"]

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
    query: str = field(repr=False)
    """As it is sent. It may hold what its owner does not want in a log, so it is not shown."""

    @classmethod
    def parse(cls, url: str) -> HubAddress:
        """Check and take apart `url`; `ConfigError` says what is wrong with it, without its query."""
        if not isinstance(url, str):
            raise ConfigError(f"hub must be a URL like 'https://host/hubs/market', got {type(url).__name__}")
        found = _understood(url)
        # Whoever put a credential into the URL must not find it in a traceback.
        del url
        if isinstance(found, str):
            raise ConfigError(found)
        return found

    @property
    def netloc(self) -> str:
        """Host and port, as messages name the hub."""
        return netloc(self.host, self.port)

    @property
    def host_header(self) -> str:
        """Host and port, as HTTP names the hub: a port that goes without saying is left out."""
        usual = self.port == (443 if self.secure else 80)
        return self.netloc.rpartition(":")[0] if usual else self.netloc

    def same_origin(self, other: HubAddress) -> bool:
        """Whether scheme, host and port are the same."""
        return (self.secure, self.host, self.port) == (other.secure, other.host, other.port)

    def __str__(self) -> str:
        return f"{'wss' if self.secure else 'ws'}://{self.netloc}{self.path}"


def _understood(url: str) -> HubAddress | str:
    """The address, or what is wrong with it."""
    parts = split(url)
    if parts is None:
        return "the hub's URL is malformed; expected something like 'https://host/hubs/market', a port up to 65535"
    if parts.username is not None or parts.password is not None:
        return "the hub's URL holds user information; pass the credential as token= instead"
    if any(name.lower() == "access_token" for name, _ in parse_qsl(parts.query, keep_blank_values=True)):
        return "the hub's URL holds an access_token; pass it as token= instead, so it stays out of logs"
    scheme = parts.scheme.lower()
    if scheme not in _SECURE:
        return f"the hub's URL must start with https, wss, http or ws, got {scheme or 'no scheme'!r}"
    if not parts.hostname:
        return "the hub's URL names no host; expected something like 'https://host/hubs/market'"
    if parts.fragment:
        return "the hub's URL has a fragment (#...), which has no meaning to a server"
    host = ascii_host(parts.hostname)
    if host is None:
        return f"hub: got the host {parts.hostname!r}, expected a host name or an IP address"
    secure = _SECURE[scheme]
    if not secure and not is_loopback(host):
        return (
            f"{scheme}:// to {host} would send the token in clear text; use https or wss "
            "(plain addresses are for this machine only)"
        )
    return HubAddress(
        secure=secure,
        host=host,
        port=parts.port or (443 if secure else 80),
        path=quote(parts.path, safe=_SAFE) or "/",
        query=quote(parts.query, safe=_SAFE),
    )


def split(url: str) -> SplitResult | None:
    """The parts of a URL whose port is a number; None for what is no URL.

    The errors of the standard library are not let through: their tracebacks hold the URL.
    """
    try:
        parts = urlsplit(url.strip())
        _ = parts.port
    except ValueError:
        return None
    return parts


def ascii_host(host: str) -> str | None:
    """A host name as resolvers know it; None for what cannot be one."""
    try:
        text = host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        return None
    return text if _HOST.fullmatch(text) else None


def netloc(host: str, port: int) -> str:
    """Host and port with the brackets that an IPv6 address needs."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


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
