"""The HTTP upgrade of one connection, without a socket.

`request` gives the bytes to send, `feed` takes what comes back, cut anywhere. Header rules and the
check of Sec-WebSocket-Accept are those of the `websockets` package. Redirects are not followed: the
token is meant for one host. No message quotes the answer, and no traceback can show it, since a
server may echo the token: failures are left in `failure` for the caller to raise when the bytes are
out of sight.
"""

from __future__ import annotations

import logging
from http import HTTPStatus

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHeader, NegotiationError
from websockets.protocol import OPEN
from websockets.uri import WebSocketURI

from .address import HubAddress
from .auth import Secret, Token
from .errors import ConnectionFailed, UpgradeRefused
from .http_head import USER_AGENT, Head, phrase, retry_after_s, status_of
from .redact import in_url
from .route import TokenPlace

__all__ = ["Upgrade"]

# `websockets` logs every header of both sides at DEBUG. A logger that is not registered anywhere and
# that no configuration reaches keeps the token out of every log.
_silent = logging.Logger("tickwire.upgrade", level=logging.CRITICAL + 1)  # noqa: LOG001


class Upgrade:
    """One request for an upgrade and its answer."""

    def __init__(
        self,
        address: HubAddress,
        token: Token | None,
        *,
        token_in: TokenPlace = "header",
        connection_id: Secret | None = None,
    ) -> None:
        """`connection_id`: what a negotiate gave out, a secret like the token; None if there was none."""
        uri = WebSocketURI(address.secure, address.host, address.port, address.path, address.query)
        self.peer = address.netloc
        """With whom, as messages name it."""
        self._token = token
        self._token_in = token_in
        self._connection_id = connection_id
        self._protocol: ClientProtocol | None = ClientProtocol(uri, logger=_silent)
        self._head = Head()
        self.failure: ConnectionFailed | None = None
        self.rest: bytes | None = None
        """What followed the answer, once it has been accepted; already WebSocket frames."""

    def request(self) -> bytes:
        """The request. It holds the token: put it where no exception shows it, and forget it."""
        if self._protocol is None:
            raise RuntimeError("an Upgrade serves one request")
        request = self._protocol.connect()
        request.headers["User-Agent"] = USER_AGENT
        if self._connection_id is not None:
            request.path += f"{_joint(request.path)}id={in_url(self._connection_id).reveal()}"
        if self._token is not None:
            if self._token_in == "header":
                request.headers["Authorization"] = f"Bearer {self._token.reveal()}"
            else:
                request.path += f"{_joint(request.path)}access_token={in_url(self._token).reveal()}"
        return request.serialize()

    def feed(self, data: bytes) -> bool:
        """Take in the next bytes of the answer, empty at the end of the stream; whether it is decided."""
        if not data:
            self._fail(ConnectionFailed(f"{self.peer} ended the connection during the HTTP upgrade"))
            return True
        whole = self._head.feed(data)
        if whole is None:
            if self._head.is_too_long:
                self._fail(
                    ConnectionFailed(f"{self.peer} sent over 64 KiB of HTTP headers; this is no SignalR hub")
                )
            return self.failure is not None
        head, rest = whole
        failure = self._judge(head)
        if failure is not None:
            self._fail(failure)
        else:
            self.rest = rest
        return True

    def abandon(self) -> None:
        """Forget an answer that was not whole, which may quote the token."""
        self._head.clear()
        self._protocol = None

    def _fail(self, failure: ConnectionFailed) -> None:
        self.abandon()
        self.failure = failure

    def _judge(self, head: bytes) -> ConnectionFailed | None:
        status = status_of(head)
        if status is None:
            return ConnectionFailed(
                f"{self.peer} did not answer the HTTP upgrade in HTTP/1.1; check host and port",
                fault="violation",
            )
        if status != HTTPStatus.SWITCHING_PROTOCOLS:
            # Judged by the head alone: the body may be long, or never come.
            return UpgradeRefused(
                _refusal(self.peer, status), status=status, retry_after_s=retry_after_s(head)
            )
        # The protocol object keeps the answer, so it must not outlive this judgement.
        protocol, self._protocol = self._protocol, None
        if protocol is None:
            raise RuntimeError("an Upgrade serves one request")
        protocol.receive_data(head)
        if protocol.state is OPEN:
            return None
        return _objection(self.peer, protocol.handshake_exc)


def _joint(target: str) -> str:
    return "&" if "?" in target else "?"


def _objection(netloc: str, reason: Exception | None) -> ConnectionFailed:
    if isinstance(reason, InvalidHeader):
        text = (
            f"{netloc} answered the upgrade with a wrong or missing {reason.name} header; "
            "something other than a WebSocket server answers there"
        )
    elif isinstance(reason, NegotiationError):
        text = f"{netloc} chose a WebSocket extension or subprotocol that was not offered"
    else:
        text = f"{netloc} sent an upgrade answer that is not valid HTTP"
    return ConnectionFailed(text, fault="violation")


def _refusal(netloc: str, status: int) -> str:
    advice = {
        401: "the token is missing, wrong or expired",
        403: "the token does not allow this hub",
        404: "there is no hub at this path",
        429: "too many connections; wait before trying again",
    }.get(status)
    if advice is None:
        if 300 <= status < 400:
            advice = "redirects are not followed; use the hub's final URL"
        else:
            advice = "expected 101 Switching Protocols"
    return f"{netloc} refused the upgrade with HTTP {phrase(status)}: {advice}"
