"""The exception tree. Everything tickwire raises on purpose is a `TickwireError`.

    TickwireError
    ├── ConfigError (ValueError)          an argument or setting that cannot work
    ├── UnknownInstrument (KeyError)      a symbol the engine was not given
    ├── DataError (ValueError)            a table or array of the wrong shape or type
    ├── SubscriptionClosed                reading from a closed subscription
    └── ConnectionFailed (ConnectionError)   the hub could not be reached or ended the link
        ├── ConnectTimeout (TimeoutError)    a connect, upgrade, handshake or silence limit passed
        ├── UpgradeRefused                   the HTTP upgrade was answered with another status
        ├── HandshakeRefused                 the SignalR handshake was answered with an error
        └── SubscribeRefused                 a hub method was answered with an error

Messages say what was got, what was expected, and what to do. None of them quotes what a server
sent in answer to a request that carried a token.
"""

from __future__ import annotations

__all__ = [
    "ConfigError",
    "ConnectTimeout",
    "ConnectionFailed",
    "DataError",
    "HandshakeRefused",
    "SubscribeRefused",
    "SubscriptionClosed",
    "TickwireError",
    "UnknownInstrument",
    "UpgradeRefused",
]


class TickwireError(Exception):
    """Base of every exception that tickwire raises on purpose."""


class ConfigError(TickwireError, ValueError):
    """An argument or setting that cannot work; the message names it."""


class UnknownInstrument(TickwireError, KeyError):
    """A symbol that the engine was not given."""

    def __str__(self) -> str:
        # KeyError shows the repr of its argument; a sentence should read as one.
        return str(self.args[0]) if self.args else ""


class DataError(TickwireError, ValueError):
    """A table, array or file of the wrong shape, type or order; nothing of it was applied."""


class SubscriptionClosed(TickwireError):
    """The subscription was closed and everything it held has been delivered."""


class ConnectionFailed(TickwireError, ConnectionError):
    """The hub could not be reached, or ended the link."""


class ConnectTimeout(ConnectionFailed, TimeoutError):
    """A connect, upgrade, handshake or silence limit passed."""


class UpgradeRefused(ConnectionFailed):
    """The HTTP upgrade was answered with another status than 101.

    Attributes:
        status: the HTTP status code, e.g. 401.
    """

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class HandshakeRefused(ConnectionFailed):
    """The SignalR handshake was answered with an error, or with something else entirely."""


class SubscribeRefused(ConnectionFailed):
    """The hub answered a method call with an error."""
