"""Hub messages in MessagePack, put together by `msgpack` alone."""

from __future__ import annotations

import json
from typing import Any

import msgpack

__all__ = ["as_message", "framed", "invocation"]


def framed(body: bytes) -> bytes:
    """A message behind its length."""
    length, prefix = len(body), bytearray()
    while length >= 0x80:
        prefix.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([*prefix, length]) + body


def invocation(target: str, *arguments: Any, invocation_id: str | None = None) -> bytes:
    """A call with its length."""
    return framed(msgpack.packb([1, {}, invocation_id, target, list(arguments), []]))


def as_message(record: bytes) -> bytes:
    """A JSON record as the message that says the same, with its length.

    A record that is no JSON becomes a message that is no MessagePack.
    """
    try:
        fields = json.loads(record)
    except ValueError:
        return framed(record[:40])
    match fields["type"]:
        case 1:
            return invocation(
                fields["target"], *fields["arguments"], invocation_id=fields.get("invocationId")
            )
        case 3:
            kind = [1, fields["error"]] if "error" in fields else [3, fields.get("result")]
            return framed(msgpack.packb([3, {}, fields["invocationId"], *kind]))
        case 7:
            return framed(msgpack.packb([7, fields.get("error"), fields.get("allowReconnect")]))
        case kind:
            return framed(msgpack.packb([kind]))
