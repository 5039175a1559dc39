"""The HTTP upgrade of one connection, without a socket.

`request` gives the bytes to send, `feed` takes what comes back, cut anywhere. Header rules and the
check of Sec-WebSocket-Accept are those of the `websockets` package. Redirects are not followed: the
token is meant for one host. No message quotes the answer, and no traceback can show it, since a
server may echo the token: failures are left in `failure` for the caller to raise when the bytes are
out of sight.
"""

from __future__ import annotations

import logging
import re
from http import HTTPStatus

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHeader, NegotiationError
from websockets.protocol import OPEN
from websockets.uri import WebSocketURI

from .address import HubAddress
from .auth import Token
from .errors import ConnectionFailed, UpgradeRefused

__all__ = ["Upgrade"]

_MAX_HEAD_BYTES = 64 * 1024
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: |\r\n)")

# `websockets` logs every header of both sides at DEBUG. A logger that is not registered anywhere and
# that no configuration reaches keeps the token out of every log.
_silent = logging.Logger("tickwire.upgrade", level=logging.CRITICAL + 1)  # noqa: LOG001


class Upgrade:
    """One request for an upgrade and its answer."""

    def __init__(self, address: HubAddress, user_agent: str) -> None:
        uri = WebSocketURI(address.secure, address.host, address.port, address.path, address.query)
        self._netloc = address.netloc
        self._user_agent = user_agent
        self._protocol: ClientProtocol | None = ClientProtocol(uri, logger=_silent)
        self._head = bytearray()
        self.failure: ConnectionFailed | None = None
        self.rest: bytes | None = None
        """What followed the answer, once it has been accepted; already WebSocket frames."""

    def request(self, token: Token | None) -> bytes:
        """The request. It holds the token: put it where no exception shows it, and forget it."""
        if self._protocol is None:
            raise RuntimeError("an Upgrade serves one request")
        request = self._protocol.connect()
        request.headers["User-Agent"] = self._user_agent
        if token is not None:
            request.headers["Authorization"] = f"Bearer {token.reveal()}"
        return request.serialize()

    def feed(self, data: bytes) -> bool:
        """Take in the next bytes of the answer, empty at the end of the stream; whether it is decided."""
        if not data:
            self._fail(ConnectionFailed(f"{self._netloc} ended the connection during the HTTP upgrade"))
            return True
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            if len(self._head) > _MAX_HEAD_BYTES:
                self._fail(
                    ConnectionFailed(
                        f"{self._netloc} sent over 64 KiB of HTTP headers; this is no SignalR hub"
                    )
                )
            return self.failure is not None
        head, rest = bytes(self._head[: end + 4]), bytes(self._head[end + 4 :])
        self._head.clear()
        failure = self._judge(head)
        if failure is not None:
            self._fail(failure)
        else:
            self.rest = rest
        return True

    def _fail(self, failure: ConnectionFailed) -> None:
        self._head.clear()
        self._protocol = None
        self.failure = failure

    def _judge(self, head: bytes) -> ConnectionFailed | None:
        match = _STATUS_LINE.match(head)
        if match is None:
            return ConnectionFailed(
                f"{self._netloc} did not answer the HTTP upgrade in HTTP/1.1; check host and port"
            )
        status = int(match[1])
        if status != HTTPStatus.SWITCHING_PROTOCOLS:
            # Judged by the status line alone: the body may be long, or never come.
            return UpgradeRefused(_refusal(self._netloc, status), status=status)
        # The protocol object keeps the answer, so it must not outlive this judgement.
        protocol, self._protocol = self._protocol, None
        if protocol is None:
            raise RuntimeError("an Upgrade serves one request")
        protocol.receive_data(head)
        if protocol.state is OPEN:
            return None
        return _objection(self._netloc, protocol.handshake_exc)


def _objection(netloc: str, reason: Exception | None) -> ConnectionFailed:
    if isinstance(reason, InvalidHeader):
        return ConnectionFailed(
            f"{netloc} answered the upgrade with a wrong or missing {reason.name} header; "
            "something other than a WebSocket server answers there"
        )
    if isinstance(reason, NegotiationError):
        return ConnectionFailed(f"{netloc} chose a WebSocket extension or subprotocol that was not offered")
    return ConnectionFailed(f"{netloc} sent an upgrade answer that is not valid HTTP")


def _refusal(netloc: str, status: int) -> str:
    try:
        phrase = f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        phrase = str(status)
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
    return f"{netloc} refused the upgrade with HTTP {phrase}: {advice}"
