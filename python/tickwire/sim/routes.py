"""The seam for REST: what a POST route gets and gives.

`Core.routes` maps a path to a handler. A handler is a plain function on the hub's loop: it gets the
request and its whole body and returns the answer, without waiting for anything. Reading, logging,
faults at the stage "rest" and writing are the business of `http`; tokens are not checked there,
because some routes hand them out.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

__all__ = ["Answer", "Handler", "Posted", "json_answer"]


@dataclass(frozen=True, slots=True)
class Posted:
    """A POST request to a route.

    Attributes:
        path: path without the query.
        query: text after the question mark, or "".
        headers: names in lower case, values as sent.
        bearer: the token of the Authorization header as it came, unchecked; None without one.
    """

    path: str
    query: str
    headers: dict[str, str] = field(hash=False)
    bearer: str | None


class Answer(NamedTuple):
    """What a route answers; `content-length` is added to the headers."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


Handler = Callable[[Posted, bytes], Answer]


def json_answer(value: Any, status: int = 200) -> Answer:
    """An answer whose body is `value` as JSON."""
    return Answer(status, (("content-type", "application/json"),), json.dumps(value).encode())
