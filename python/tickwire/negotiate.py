"""SignalR's negotiate, without a socket.

A `Negotiation` asks a hub for a connection: `POST <hub>/negotiate?negotiateVersion=1` with the token
in the Authorization header. The hub answers with an id for the upgrade, with an error, or with
another address and a token for it, where it is asked again; each request wants a connection of its
own. Versions 0 and 1 are understood (aspnetcore, docs/specs/TransportProtocols.md); an answer that
names none is version 0.

A token goes to the origin (scheme, host and port) that it was meant for. Another origin gets the
token that the hub gave out for it or none, the way never leads from TLS to plain, and HTTP redirects
are not followed at all. The id is as secret as a token and treated like one. What a hub said is quoted
with its secrets masked, and failures are left in `failure`, for the caller to raise when the bytes of
the answer are out of sight.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import h11

from .address import HubAddress
from .auth import Secret, Token
from .errors import ConfigError, ConnectionFailed, NegotiateRefused, UpgradeRefused
from .http_head import USER_AGENT, phrase, retry_after_s
from .redact import Redactor

__all__ = ["Negotiation"]

_MAX_BYTES = 64 * 1024
# One is usual, for a hub that serves its connections elsewhere.
_MAX_REDIRECTS = 5

_S = TypeVar("_S", bound=Secret)


class Negotiation:
    """One negotiate with all its redirects: `request` and `feed`, again until `is_done`."""

    def __init__(self, address: HubAddress, token: Token | None) -> None:
        self.address = address
        """Where the next request goes; in the end where the hub is."""
        self.token = token
        """The token for that address."""
        self.connection_id: Secret | None = None
        """What the upgrade has to send as `id`."""
        self.failure: ConnectionFailed | None = None
        self._redactor = Redactor(token)
        self._first_token = token
        self._redirects = 0
        self._http: h11.Connection | None = None
        self._body = bytearray()

    @property
    def peer(self) -> str:
        """With whom, as messages name it."""
        return self.address.netloc

    @property
    def is_done(self) -> bool:
        """Whether there is a connection to be opened; until then each answer asks for another request."""
        return self.connection_id is not None

    def request(self) -> bytes:
        """The next request. It holds the token: put it where no exception shows it, and forget it."""
        # h11 reads the answer. What it is told about the request leaves the token out: it would keep it.
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_BYTES)
        lines = [
            ("Host", self.address.host_header),
            ("User-Agent", USER_AGENT),
            ("Accept", "application/json"),
            ("Content-Length", "0"),
            ("Connection", "close"),
        ]
        head = self._http.send(h11.Request(method="POST", target=self._target(), headers=lines)) or b""
        self._http.send(h11.EndOfMessage())
        if self.token is None:
            return head
        return head.removesuffix(b"\r\n") + f"Authorization: Bearer {self.token.reveal()}\r\n\r\n".encode()

    def _target(self) -> str:
        address = self.address
        path = address.path if address.path.endswith("/") else address.path + "/"
        query = address.query
        if all(name != "negotiateVersion" for name, _ in parse_qsl(query, keep_blank_values=True)):
            query = "&".join(filter(None, [query, "negotiateVersion=1"]))
        return f"{path}negotiate?{query}"

    def feed(self, data: bytes) -> bool:
        """Take in the next bytes of an answer, empty at the end of the stream; whether it is decided."""
        if self._http is None:
            raise RuntimeError("feed was called before request")
        decided, self.failure = self._read(self._http, data)
        if decided:
            self.abandon()
        return decided

    def abandon(self) -> None:
        """Forget an answer, which may hold secrets."""
        self._http = None
        self._body.clear()

    def _read(self, http: h11.Connection, data: bytes) -> tuple[bool, ConnectionFailed | None]:
        """Whether the answer is decided, and how it failed."""
        try:
            http.receive_data(data)
            while (event := http.next_event()) is not h11.NEED_DATA:
                if isinstance(event, h11.Response) and event.status_code != 200:
                    # Judged by its head alone: the body may be long, or never come.
                    return True, self._refusal(event.status_code, dict(event.headers))
                if isinstance(event, h11.Data):
                    self._body += event.data
                    if len(self._body) > _MAX_BYTES:
                        return True, self._odd("with over 64 KiB")
                elif isinstance(event, h11.EndOfMessage):
                    return True, self._judge()
                elif isinstance(event, h11.ConnectionClosed):
                    break
        except h11.RemoteProtocolError:
            # Not raised from it, nor beside it: its traceback holds the answer.
            pass
        else:
            if data:
                return False, None
        if not data:
            return True, ConnectionFailed(f"{self.peer} ended the connection during negotiate")
        return True, ConnectionFailed(
            f"{self.peer} did not answer negotiate in HTTP/1.1; check host and port", fault="violation"
        )

    def _refusal(self, status: int, headers: dict[bytes, bytes]) -> ConnectionFailed:
        advice = {
            401: "the token is missing, wrong or expired",
            403: "the token does not allow this hub",
            404: "there is no hub at this path, or it does not negotiate",
            405: "there is no hub at this path, or it does not negotiate",
            429: "too many connections; wait before trying again",
        }.get(status)
        if advice is None:
            if 300 <= status < 400:
                advice = (
                    "the token is for one host, so HTTP redirects are not followed; use the hub's final URL"
                )
            else:
                advice = "expected 200 OK"
        return UpgradeRefused(
            f"{self.peer} refused to negotiate with HTTP {phrase(status)}: {advice}",
            status=status,
            retry_after_s=retry_after_s(headers),
        )

    def _judge(self) -> ConnectionFailed | None:
        try:
            answer = json.loads(self._body)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            return self._odd("with something other than a JSON object")
        if answer.get("error") is not None:
            said = self._redactor.quote(str(answer["error"]))
            return NegotiateRefused(f"{self.peer} refused to negotiate: {said}")
        if answer.get("url") is not None:
            return self._redirect(answer["url"], answer.get("accessToken"))
        return self._accept(answer)

    def _accept(self, answer: dict[str, Any]) -> ConnectionFailed | None:
        version = answer.get("negotiateVersion", 0)
        if type(version) is not int or version not in (0, 1):
            return self._odd("in a version that was not asked for; expected 0 or 1")
        offered = answer.get("availableTransports")
        if not isinstance(offered, list):
            return self._odd("without a list of availableTransports")
        if not any(isinstance(one, dict) and one.get("transport") == "WebSockets" for one in offered):
            return NegotiateRefused(f"{self.peer} offers no WebSockets, the only transport spoken here")
        name = "connectionToken" if version == 1 else "connectionId"
        self.connection_id = _secret(Secret, answer.get(name))
        return None if self.connection_id is not None else self._odd(f"without a {name} that can be sent")

    def _redirect(self, url: object, given: object) -> ConnectionFailed | None:
        self._redirects += 1
        if self._redirects > _MAX_REDIRECTS:
            return self._odd(
                f"with a redirect for the {self._redirects}th time; {_MAX_REDIRECTS} are followed"
            )
        token = None
        if given is not None and (token := _secret(Token, given)) is None:
            return self._odd("with a redirect and an accessToken that cannot be sent")
        self._redactor.add(token)
        address = _address(url)
        if address is None or (self.address.secure and not address.secure):
            return self._odd(
                "with a redirect to an address that cannot be used; expected an https or wss URL"
            )
        if self._redactor.finds_in(f"{address}?{address.query}"):
            return self._odd("with a redirect to an address that holds a token")
        if not address.same_origin(self.address):
            if (
                self._first_token is not None
                and token is not None
                and token.reveal() == self._first_token.reveal()
            ):
                return self._odd("with a redirect that would send its token to another host")
            self.token = token
        elif token is not None:
            self.token = token
        self.address = address
        return None

    def _odd(self, how: str) -> ConnectionFailed:
        return NegotiateRefused(f"{self.peer} answered negotiate {how}")


def _secret(kind: type[_S], value: object) -> _S | None:
    """The value as a secret; None if it cannot be one."""
    try:
        return kind(value)  # type: ignore[arg-type]  # any other type is refused with an error
    except ConfigError:
        return None


def _address(url: object) -> HubAddress | None:
    """Where a redirect points; None if nothing can be sent there."""
    try:
        return HubAddress.parse(url)  # type: ignore[arg-type]  # any other type is refused with an error
    except ConfigError:
        return None
