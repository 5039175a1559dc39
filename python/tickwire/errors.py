"""The exception tree. Everything tickwire raises on purpose is a `TickwireError`.

    TickwireError
    ├── ConfigError (ValueError)          an argument or setting that cannot work
    ├── UnknownInstrument (KeyError)      a symbol the engine was not given
    ├── DataError (ValueError)            a table or array of the wrong shape or type
    ├── SubscriptionClosed                reading from a closed subscription
    ├── BreakerOpen                       a circuit breaker refused the call
    └── ConnectionFailed (ConnectionError)   the hub could not be reached or ended the link
        ├── ConnectTimeout (TimeoutError)    a connect, upgrade, handshake or silence limit passed
        ├── UpgradeRefused                   the HTTP upgrade was answered with another status
        ├── NegotiateRefused                 negotiate was answered with an error
        ├── ProxyRefused                     the proxy did not open a tunnel
        ├── HandshakeRefused                 the SignalR handshake was answered with an error
        ├── SubscribeRefused                 a hub method was answered with an error
        ├── HubClosed                        the hub sent a SignalR Close
        ├── LoggedOut                        the gateway ended the session
        ├── SessionTakenOver                 another session keeps logging this one out
        ├── RequestFailed                    a REST request to the gateway was refused or not answered
        ├── LoginFailed                      the login server refused, or could not be asked
        └── HistoryFailed                    history could not be had

Messages say what was got, what was expected, and what to do. None of them quotes what a server
sent in answer to a request that carried a token.
"""

from __future__ import annotations

__all__ = [
    "BreakerOpen",
    "ConfigError",
    "ConnectTimeout",
    "ConnectionFailed",
    "DataError",
    "HandshakeRefused",
    "HistoryFailed",
    "HubClosed",
    "LoggedOut",
    "LoginFailed",
    "NegotiateRefused",
    "ProxyRefused",
    "RequestFailed",
    "SessionTakenOver",
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


class BreakerOpen(TickwireError):
    """A circuit breaker refused the call; it was not made.

    Attributes:
        next_probe_s: seconds until a call is let through again; None if only by hand.
    """

    def __init__(self, message: str, *, next_probe_s: float | None) -> None:
        super().__init__(message)
        self.next_probe_s = next_probe_s


class ConnectionFailed(TickwireError, ConnectionError):
    """The hub could not be reached, or ended the link.

    Attributes:
        fault: what sort of failure, where its type does not say: "not resolved", "unreachable",
            "not trusted", "proxy", "unauthorized", "timed out", "silent", "violation", "degraded",
            else "link lost".
    """

    def __init__(self, message: str, *, fault: str = "link lost") -> None:
        super().__init__(message)
        self.fault = fault


class ConnectTimeout(ConnectionFailed, TimeoutError):
    """A connect, upgrade, handshake or silence limit passed."""

    def __init__(self, message: str, *, fault: str = "timed out") -> None:
        super().__init__(message, fault=fault)


class UpgradeRefused(ConnectionFailed):
    """The HTTP upgrade, or the negotiate before it, was answered with another status.

    Attributes:
        status: the HTTP status code, e.g. 401.
        retry_after_s: seconds after which the hub wants to be asked again, where it said so.
    """

    def __init__(self, message: str, *, status: int, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s


class NegotiateRefused(ConnectionFailed):
    """The hub answered negotiate with an error, or with nothing that could be used."""


class ProxyRefused(ConnectionFailed):
    """The proxy answered CONNECT with another status than success.

    Attributes:
        status: the HTTP status code, e.g. 407.
    """

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message, fault="proxy")
        self.status = status


class HandshakeRefused(ConnectionFailed):
    """The SignalR handshake was answered with an error, or with something else entirely."""


class SubscribeRefused(ConnectionFailed):
    """The hub answered a method call with an error."""


class HubClosed(ConnectionFailed):
    """The hub sent a SignalR Close.

    Attributes:
        allow_reconnect: whether the hub said that coming back is welcome.
    """

    def __init__(self, message: str, *, allow_reconnect: bool) -> None:
        super().__init__(message)
        self.allow_reconnect = allow_reconnect


class LoggedOut(ConnectionFailed):
    """The gateway ended the session: its token has no more use."""


class SessionTakenOver(ConnectionFailed):
    """Another session keeps logging this one out. Coming back would log that one out in turn."""


class RequestFailed(ConnectionFailed):
    """A REST request to the gateway was refused or not answered.

    Attributes:
        code: the gateway's error code, where it answered with one.
        status: the HTTP status, where there was one.
        permanent: whether the same request again is of no use.
        retry_after_s: seconds after which the server wants to be asked again, where it said so.
    """

    def __init__(
        self,
        message: str,
        *,
        code: int | None = None,
        status: int | None = None,
        permanent: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.permanent = permanent
        self.retry_after_s = retry_after_s


class LoginFailed(ConnectionFailed):
    """The login server refused, or could not be asked.

    Attributes:
        code: the gateway's error code or the HTTP status, where there was one.
        permanent: whether asking again with the same credentials is of no use.
        retry_after_s: seconds after which the server wants to be asked again, where it said so.
    """

    def __init__(
        self,
        message: str,
        *,
        code: int | None = None,
        permanent: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.permanent = permanent
        self.retry_after_s = retry_after_s


class HistoryFailed(ConnectionFailed):
    """History could not be had.

    Attributes:
        permanent: whether asking again is of no use (an unknown contract, say).
        retry_after_s: seconds after which the server wants to be asked again, where it said so.
    """

    def __init__(self, message: str, *, permanent: bool = False, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.retry_after_s = retry_after_s
