"""HTTP proxies: which one a connection goes through, and the CONNECT that opens it, without a socket.

A `Proxy` is reached by plain TCP and asked for a tunnel to the hub; TLS and everything else are
spoken with the hub inside it, so the proxy learns the hub's name and port and nothing more. A plain
hub would show the proxy its token, so such a hub, always on this machine, takes only a proxy on this
machine. Credentials go into the Proxy-Authorization of the CONNECT and are shown nowhere. Proxies
that are themselves reached by TLS, and SOCKS, are not spoken.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from .address import HubAddress, ascii_host, is_loopback, netloc, split
from .auth import Secret
from .errors import ConfigError, ConnectionFailed, ProxyRefused
from .http_head import USER_AGENT, Head, phrase, status_of

__all__ = ["Proxies", "Proxy", "Tunnel"]

_EXAMPLE = "'http://proxy.example.com:3128'"
# What urllib calls the variables HTTPS_PROXY and ALL_PROXY, in the order in which they count.
_VARIABLES: Final = ("https", "all")


@dataclass(frozen=True, slots=True)
class Proxy:
    """One HTTP proxy."""

    host: str
    port: int
    credential: Secret | None
    """User and password as basic authentication sends them."""

    @classmethod
    def parse(cls, url: str, name: str = "proxy") -> Proxy:
        """From a URL like 'http://user:password@host:3128', port 80 if it has none.

        `ConfigError` says what is wrong with `name`, without the URL, which may hold a password.
        """
        found = _understood(url, name)
        del url
        if isinstance(found, str):
            raise ConfigError(found)
        return found

    @property
    def netloc(self) -> str:
        """Host and port, as messages name the proxy."""
        return netloc(self.host, self.port)

    def __str__(self) -> str:
        return f"http://{self.netloc}"


def _understood(url: str, name: str) -> Proxy | str:
    """The proxy, or what is wrong with it."""
    parts = split(url)
    if parts is None:
        return f"{name}: got a malformed URL, expected something like {_EXAMPLE}"
    if parts.scheme.lower() != "http":
        # What stands before a colon may be a user's name, not a scheme.
        scheme = parts.scheme if "://" in url else "no scheme"
        return f"{name}: got a URL with {scheme!r}, expected http: only HTTP CONNECT is spoken"
    host = ascii_host(parts.hostname) if parts.hostname else None
    if host is None:
        return f"{name}: got a URL without a host that can be one, expected something like {_EXAMPLE}"
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        return f"{name}: got a URL with more than a host and port, expected something like {_EXAMPLE}"
    credential = None
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        credential = Secret(base64.b64encode(pair.encode()).decode())
    return Proxy(host, parts.port or 80, credential)


@dataclass(frozen=True, slots=True)
class Proxies:
    """Which proxy to take to which hub; by itself none."""

    proxy: Proxy | None = None
    is_from_environment: bool = False
    bypass: str = ""
    """Hosts that the environment's proxy is not for, as NO_PROXY lists them."""

    @classmethod
    def of(cls, source: str | None) -> Proxies:
        """From what a user says: a proxy's URL, "env" for the environment's, None for none.

        "env" reads HTTPS_PROXY or else ALL_PROXY, and NO_PROXY, once. `ConfigError` shows no credential.
        """
        try:
            if source is None:
                return cls()
            if not isinstance(source, str):
                raise ConfigError(f"proxy: got {type(source).__name__}, expected a URL, 'env' or None")
            if source == "env":
                return _environment()
            return cls(Proxy.parse(source))
        finally:
            # Should it not be as expected, no frame of the traceback may show it.
            del source

    def for_hub(self, address: HubAddress) -> Proxy | None:
        """The proxy on the way to this hub. `ConfigError` for a plain hub behind a remote proxy."""
        if self.proxy is None:
            return None
        if self.is_from_environment:
            return None if is_loopback(address.host) or self._bypasses(address) else self.proxy
        if not address.secure and not is_loopback(self.proxy.host):
            raise ConfigError(
                f"proxy: {address} is reached without TLS and would show its token to {self.proxy}; "
                "leave the proxy out for a hub on this machine"
            )
        return self.proxy

    def _bypasses(self, address: HubAddress) -> bool:
        entries = self.bypass.lower().replace(" ", "").split(",")
        return any(_covers(entry, address) for entry in entries if entry)


def _covers(entry: str, address: HubAddress) -> bool:
    """Whether an entry of NO_PROXY, a domain with or without a port or "*", is for this hub."""
    name, _, port = entry.partition(":") if entry.count(":") == 1 else (entry, "", "")
    if port not in ("", str(address.port)):
        return False
    name = name.removeprefix("*").removeprefix(".")
    return not name or address.host == name or address.host.endswith(f".{name}")


def _environment() -> Proxies:
    from urllib.request import getproxies_environment

    found = getproxies_environment()
    try:
        for name in _VARIABLES:
            if name in found:
                proxy = Proxy.parse(found[name], f"{name.upper()}_PROXY")
                return Proxies(proxy, is_from_environment=True, bypass=found.get("no", ""))
    finally:
        del found
    return Proxies(is_from_environment=True)


class Tunnel:
    """One CONNECT and its answer."""

    def __init__(self, proxy: Proxy, address: HubAddress) -> None:
        self._proxy = proxy
        self._address = address
        self._head = Head()
        self.peer = f"the proxy {proxy.netloc}"
        """With whom, as messages name it."""
        self.failure: ConnectionFailed | None = None

    def request(self) -> bytes:
        """The request. It holds the credential: put it where no exception shows it, and forget it."""
        target = self._address.netloc
        lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}", f"User-Agent: {USER_AGENT}"]
        if self._proxy.credential is not None:
            lines.append(f"Proxy-Authorization: Basic {self._proxy.credential.reveal()}")
        return "\r\n".join([*lines, "", ""]).encode()

    def feed(self, data: bytes) -> bool:
        """Take in the next bytes of the answer, empty at the end of the stream; whether it is decided."""
        if not data:
            self.failure = ConnectionFailed(f"{self.peer} ended the connection", fault="proxy")
            return True
        whole = self._head.feed(data)
        if whole is None:
            if self._head.is_too_long:
                self.failure = ConnectionFailed(
                    f"{self.peer} sent over 64 KiB of HTTP headers", fault="proxy"
                )
            return self.failure is not None
        head, rest = whole
        self.failure = self._judge(status_of(head), rest)
        return True

    def abandon(self) -> None:
        """Forget an answer that was not whole, which may quote the credential."""
        self._head.clear()

    def _judge(self, status: int | None, rest: bytes) -> ConnectionFailed | None:
        if status is None:
            return ConnectionFailed(
                f"{self.peer} did not answer CONNECT in HTTP/1.1; check its host and port", fault="proxy"
            )
        if not 200 <= status < 300:
            return ProxyRefused(
                f"{self.peer} refused a tunnel to {self._address.netloc} with HTTP {phrase(status)}: {_ADVICE.get(status, _OTHER)}",
                status=status,
            )
        if rest:
            # In the tunnel the client speaks first, with TLS or without.
            return ConnectionFailed(
                f"{self.peer} sent bytes of its own after it had opened the tunnel", fault="proxy"
            )
        return None


_ADVICE = {
    403: "it does not allow this host or port",
    407: "it wants a user and password; give them as http://user:password@host:port",
    502: "it cannot reach the hub",
    503: "it cannot reach the hub",
    504: "the hub does not answer it",
}
_OTHER = "ask whoever runs it"
