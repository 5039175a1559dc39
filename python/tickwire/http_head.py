"""The head of an HTTP answer, and the little that is common to all requests of a connection.

`Head` collects status line and headers from bytes that come cut anywhere, within a limit. Nothing
here keeps or quotes what was read: a server may echo the token that it was sent.
"""

from __future__ import annotations

import email.utils
import re
from http import HTTPStatus

from ._core import __version__

__all__ = ["USER_AGENT", "Head", "phrase", "retry_after_s", "status_of"]

USER_AGENT = f"tickwire/{__version__}"

_MAX_BYTES = 64 * 1024
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: |\r\n)")
_HEADER = re.compile(rb"\r\n([!-9;-~]+):[ \t]*([^\r\n]*?)[ \t]*(?=\r\n)")


class Head:
    """Collects one head."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> tuple[bytes, bytes] | None:
        """Take in the next bytes; the head with its empty line and what followed it, once it is whole."""
        self._held += data
        end = self._held.find(b"\r\n\r\n")
        if not 0 <= end <= _MAX_BYTES:
            return None
        head, rest = bytes(self._held[: end + 4]), bytes(self._held[end + 4 :])
        self._held.clear()
        return head, rest

    @property
    def is_too_long(self) -> bool:
        """Whether 64 KiB came without an end; there will be no head."""
        return len(self._held) > _MAX_BYTES

    def clear(self) -> None:
        """Forget what was collected."""
        self._held.clear()


def status_of(head: bytes) -> int | None:
    """The status of an answer in HTTP/1; None if it is not one."""
    match = _STATUS_LINE.match(head)
    return None if match is None else int(match[1])


def retry_after_s(headers: dict[bytes, bytes] | bytes) -> float | None:
    """Seconds that a Retry-After asks for, from a head or from headers with lower-case names.

    A date in it is measured against the answer's own Date, so that clocks need not agree. None if
    there is no Retry-After or it makes no sense.
    """
    if isinstance(headers, bytes):
        headers = {name.lower(): value for name, value in _HEADER.findall(headers)}
    text = headers.get(b"retry-after", b"").decode("latin-1")
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    then, now = (_date_s(one) for one in (text, headers.get(b"date", b"").decode("latin-1")))
    return None if then is None or now is None else max(then - now, 0.0)


def _date_s(text: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None


def phrase(status: int) -> str:
    """A status as messages name it, e.g. "401 Unauthorized"."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
