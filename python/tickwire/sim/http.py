"""The HTTP side of the hub: negotiate, and the upgrade to a WebSocket.

h11 reads requests with bodies and keep-alive, which the parser of `websockets` refuses; an upgrade
that passes all checks is handed on to `websockets` and `Connection`. The order of the checks is that
of an ASP.NET hub: path, token, connection id, WebSocket headers.
"""

from __future__ import annotations

import asyncio
import json
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs

import h11
from websockets.datastructures import Headers
from websockets.http11 import Request
from websockets.server import ServerProtocol

from . import faults
from .accounting import HttpRequest
from .link import end_link
from .routes import Posted
from .tokens import Grant, TokenRefused

if TYPE_CHECKING:
    from .core import Core

__all__ = ["HttpPeer"]

_TRANSPORTS = [{"transport": "WebSockets", "transferFormats": ["Text", "Binary"]}]
_HIGHEST_NEGOTIATE_VERSION = 1
_MAX_BODY_BYTES = 1024 * 1024
_QUIET_LOG = logging.getLogger("tickwire.sim.websockets")
_QUIET_LOG.setLevel(logging.WARNING)
"""For `websockets`, which at DEBUG would write every header into the program's log, the token's too."""

_REASONS = {status.value: status.phrase for status in HTTPStatus}


class HttpPeer(asyncio.Protocol):
    """A TCP connection until it is upgraded or ends."""

    def __init__(self, core: Core) -> None:
        self.closed = asyncio.Event()
        self._core = core
        self._http = h11.Connection(h11.SERVER)
        self._transport: asyncio.Transport | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._request: h11.Request | None = None
        self._body = bytearray()
        self._answering = True

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A TCP server's transports read and write; the signature is that of all protocols.
        self._transport = cast("asyncio.Transport", transport)
        self._core.peers.add(self)
        match self._core.armed.take("connect", ""):
            case faults.NoAnswer():
                self._answering = False
            case faults.Late(seconds=seconds):
                self._answering = False
                self._idle = self._core.loop.call_later(seconds, self._answer_again)
            case faults.Drop(how=how):
                end_link(self._transport, how)
            case _:
                self._wait_for_request()

    def data_received(self, data: bytes) -> None:
        self._http.receive_data(data)
        self._read()

    def _read(self) -> None:
        while self._answering and self._transport is not None and not self._transport.is_closing():
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                self._answer(error.error_status_hint, b"", (("connection", "close"),))
                self._end()
                return
            if isinstance(event, h11.Request):
                self._request = event
                self._body.clear()
            elif isinstance(event, h11.Data):
                self._body += event.data
                if len(self._body) > _MAX_BODY_BYTES:
                    self._answer(413, b"", (("connection", "close"),))
                    self._end()
                    return
            elif isinstance(event, h11.EndOfMessage) and self._request is not None:
                self._on_request(self._request, bytes(self._body))
            else:
                return  # needs more bytes, or has been paused by an upgrade

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        self._leave()
        self._core.changed()

    def abort(self) -> None:
        """End the TCP connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def _leave(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._core.peers.discard(self)
        self.closed.set()

    def _end(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _answer_again(self) -> None:
        self._answering = True
        self._wait_for_request()
        self._read()

    def _wait_for_request(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._idle = self._core.loop.call_later(self._core.settings.handshake_s, self._end)

    # Requests

    def _on_request(self, request: h11.Request, body: bytes) -> None:
        path, _, query = request.target.decode("latin-1").partition("?")
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers}
        log = _Log(self._core, request.method.decode("latin-1"), path, query, headers, body)
        stage = self._stage(log)
        fault = None if stage is None else self._core.armed.take(stage, path)
        match fault:
            case faults.NoAnswer():
                self._pause()
                log.done(None, "fault: not answered")
            case faults.Late(seconds=seconds):
                self._pause()
                self._idle = self._core.loop.call_later(seconds, self._handle_late, request, log, stage)
            case faults.Drop(how=how, at=str()):
                log.done(None, f"fault: dropped by {how.upper()}")
                if self._transport is not None:
                    end_link(self._transport, how)
            case _:
                self._handle(request, log, stage, fault)

    def _stage(self, log: _Log) -> faults.Stage | None:
        """The stage at which a request arrives; None for one that is refused whatever it says."""
        if log.headers.get("upgrade", "").lower() == "websocket":
            return "upgrade"
        if log.method == "POST" and self._hub_to_negotiate(log) is not None:
            return "negotiate"
        return "rest" if log.method == "POST" and log.path in self._core.routes else None

    def _hub_to_negotiate(self, log: _Log) -> str | None:
        path = log.path.removesuffix("/negotiate")
        return None if path == log.path else self._core.hubs.get(path)

    def _handle_late(self, request: h11.Request, log: _Log, stage: faults.Stage | None) -> None:
        self._answering = True
        self._handle(request, log, stage, None)
        self._read()

    def _pause(self) -> None:
        self._answering = False
        if self._idle is not None:
            self._idle.cancel()

    def _handle(
        self,
        request: h11.Request,
        log: _Log,
        stage: faults.Stage | None,
        fault: faults.GateFault | faults.LinkFault | None,
    ) -> None:
        """Answer a request; `fault` is one that leaves an answer possible."""
        hub = self._hub_to_negotiate(log)
        if isinstance(fault, faults.Refuse):
            log.done(fault.status, "fault: refused")
            self._answer(fault.status, fault.body, fault.headers)
        elif stage == "upgrade":
            self._on_upgrade(request, log, fault)
        elif stage == "negotiate" and hub is not None:
            self._on_negotiate(log, hub)
        elif stage == "rest":
            posted = Posted(log.path, log.query, log.headers, log.bearer())
            answer = self._core.routes[log.path](posted, log.body)
            log.done(answer.status)
            self._answer(answer.status, answer.body, answer.headers)
        elif log.path in self._core.hubs:
            self._refuse(log, 400, "expected a WebSocket upgrade: there is no other transport")
        elif log.path in self._core.routes or hub is not None:
            self._refuse(log, 405, "expected POST", (("allow", "POST"),))
        else:
            self._refuse(log, 404, "no such path")
        if self._answering and self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            self._wait_for_request()
        elif self._answering and self._http.our_state in (h11.MUST_CLOSE, h11.CLOSED):
            self._end()

    def _on_negotiate(self, log: _Log, hub: str) -> None:
        try:
            self._granted(log)
        except TokenRefused as error:
            self._refuse(log, 401, str(error), (("www-authenticate", "Bearer"),))
            return
        asked = log.parameter("negotiateVersion") or "0"
        if not asked.isdecimal():
            self._refuse(log, 400, f"negotiateVersion={asked!r}: expected a number")
            return
        version = min(int(asked), _HIGHEST_NEGOTIATE_VERSION)
        connection_id, connection_token = self._core.negotiate(hub, version)
        body: dict[str, Any] = {"negotiateVersion": version, "connectionId": connection_id}
        if version >= 1:
            body["connectionToken"] = connection_token
        body["availableTransports"] = _TRANSPORTS
        log.done(200)
        content = (("content-type", "application/json"),)
        self._answer(200, json.dumps(body).encode(), content)

    def _on_upgrade(
        self, request: h11.Request, log: _Log, fault: faults.GateFault | faults.LinkFault | None
    ) -> None:
        hub = self._core.hubs.get(log.path)
        if hub is None:
            self._refuse(log, 404, "no such path")
            return
        try:
            grant = self._granted(log)
        except TokenRefused as error:
            self._refuse(log, 401, str(error), (("www-authenticate", "Bearer"),))
            return
        token = log.parameter("id")
        if token is not None and (problem := self._core.id_problem(token, hub)) is not None:
            self._refuse(log, *problem)
            return
        ws = ServerProtocol(
            extensions=None, max_size=self._core.settings.max_message_bytes, logger=_QUIET_LOG
        )
        # The parser of `websockets` stands in front of a request, so it is given this one to read.
        ws.receive_data(_serialized(request))
        events = ws.events_received()
        if not events or not isinstance(events[0], Request):
            self._refuse(log, 400, "an upgrade request has no body")
            return
        response = ws.accept(events[0])
        if response.status_code != 101:
            keep = tuple((k, v) for k, v in response.headers.raw_items() if k.lower() in ("upgrade", "allow"))
            self._refuse(log, response.status_code, bytes(response.body).decode().strip(), keep)
            return
        if isinstance(fault, faults.WrongAccept):
            del response.headers["Sec-WebSocket-Accept"]
            if fault.value is not None:
                response.headers["Sec-WebSocket-Accept"] = fault.value
        log.done(101)
        ws.send_response(response)
        self._answering = False
        if self._transport is not None:
            connection = self._core.open(ws, log.path, token, grant)
            self._leave()
            connection.adopt(self._transport, self._http.trailing_data[0], fault)

    def _granted(self, log: _Log) -> Grant | None:
        """What the request's token grants, or TokenRefused; None where no token is needed."""
        if not self._core.settings.auth:
            return None
        found = log.bearer()
        if found is None and self._core.settings.accept_query_token:
            found = log.parameter("access_token")
        return self._core.tokens.check(found)

    # Answers

    def _refuse(self, log: _Log, status: int, why: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        log.done(status, why)
        self._answer(status, why.encode(), (("content-type", "text/plain; charset=utf-8"), *headers))

    def _answer(self, status: int, body: bytes, headers: tuple[tuple[str, str], ...]) -> None:
        if self._transport is None or self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        response = h11.Response(
            status_code=status,
            headers=[*headers, ("content-length", str(len(body)))],
            reason=_REASONS.get(status, "").encode(),
        )
        for event in (response, h11.Data(data=body), h11.EndOfMessage()):
            self._transport.write(self._http.send(event) or b"")


def _serialized(request: h11.Request) -> bytes:
    headers = Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers])
    version = f"HTTP/{request.http_version.decode()}"
    return Request(
        request.target.decode("latin-1"), headers, request.method.decode("latin-1"), version
    ).serialize()


class _Log:
    """A request on its way to the hub's log, which it enters with its answer."""

    def __init__(
        self, core: Core, method: str, path: str, query: str, headers: dict[str, str], body: bytes
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body
        self._core = core
        self._parameters = parse_qs(query, keep_blank_values=True)

    def bearer(self) -> str | None:
        """The token of the Authorization header, unchecked."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else None

    def parameter(self, name: str) -> str | None:
        """The first value of a query parameter."""
        return self._parameters.get(name, [None])[0]

    def done(self, status: int | None, note: str = "") -> None:
        """Enter it with the status of its answer."""
        request = HttpRequest(self.method, self.path, self.query, self.headers, status, note, self.body)
        self._core.requests.append(request)
        self._core.changed()
