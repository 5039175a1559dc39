"""How a hub is reached: its address, through which proxy, with a negotiate or without, and where the
token goes.

A `Route` is what a client decides once and every attempt uses. It opens nothing.
"""

from __future__ import annotations

import ssl
import warnings
from dataclasses import dataclass, field
from typing import Literal

from .address import HubAddress
from .config import choice
from .errors import ConfigError
from .proxy import Proxies

__all__ = ["Route", "TokenInQueryWarning", "TokenPlace"]

TokenPlace = Literal["header", "query"]


class TokenInQueryWarning(UserWarning):
    """The token was asked to be put into the URL, where servers and proxies on the way log it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The way to one hub."""

    address: HubAddress
    tls: ssl.SSLContext | None = None
    """For hubs whose certificate the system does not know; None takes the system's."""
    proxies: Proxies = field(default_factory=Proxies)
    negotiate: bool = False
    """Whether to ask the hub for a connection before opening it. WebSockets need none."""
    token_in: TokenPlace = "header"
    """Where the upgrade carries the token. A negotiate carries it in the header always."""

    def __post_init__(self) -> None:
        choice("token_in", self.token_in, TokenPlace)
        if not isinstance(self.negotiate, bool):
            raise ConfigError(f"negotiate: got {self.negotiate!r}, expected True or False")
        self.proxies.for_hub(self.address)

    @classmethod
    def of(
        cls,
        hub: str,
        *,
        tls: ssl.SSLContext | None = None,
        proxy: str | None = None,
        negotiate: bool = False,
        token_in: TokenPlace = "header",
    ) -> Route:
        """From what a user says; `ConfigError` shows no credential, nor does its traceback.

        With `token_in="query"` it warns with `TokenInQueryWarning`, as if from the caller's caller.
        """
        try:
            address, proxies = HubAddress.parse(hub), Proxies.of(proxy)
        finally:
            del hub, proxy
        route = cls(address=address, tls=tls, proxies=proxies, negotiate=negotiate, token_in=token_in)
        if token_in == "query":
            warnings.warn(
                f'token_in="query" puts the token into the URL that {address.netloc} is asked for, where servers '
                "and proxies on the way may log it; use it only for a hub that takes no Authorization header",
                TokenInQueryWarning,
                stacklevel=3,
            )
        return route
