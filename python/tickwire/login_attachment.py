"""A client's share in a `Login`: what the login tells it, and what it lends to the login."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import events
from .auth import Token, expires_ns
from .errors import TickwireError
from .login_state import Notice, Renewed

if TYPE_CHECKING:
    from .tasks import Tasks

__all__ = ["Attachment", "Keeper", "announce"]

log = logging.getLogger("tickwire.login")


@dataclass(eq=False, slots=True)
class Attachment:
    """One client's share, from `Login.attach` to `detach`.

    Attributes:
        tell: publishes an event of the client: its type, and its fields but for `ts` and `client`.
        on_renewed: gets each token that has replaced another.
        on_ended: gets the reason, once there will be no token any more.
        loop: where async sources run while it runs.
        tasks: owns the renewal thread, if this client's turn comes to lend it.
        detach: ends the share; the last one ends the renewals. Bounded in time, harmless when repeated.
        is_leaving: whether the client is about to detach, and lends nothing any more.
    """

    tell: Callable[..., None]
    on_renewed: Callable[[Token], object] | None
    on_ended: Callable[[TickwireError], object] | None
    loop: asyncio.AbstractEventLoop | None
    tasks: Tasks | None
    detach: Callable[[], None]
    is_leaving: bool = False


class Keeper:
    """The renewal thread, and whose client lends it."""

    __slots__ = ("bell", "owner", "thread")

    def __init__(self, owner: Attachment) -> None:
        self.owner = owner
        self.bell = threading.Event()
        self.thread: threading.Thread | None = None


def announce(notice: Notice | None, attachments: Iterable[Attachment]) -> None:
    """Log what happened to a token, and tell every client once."""
    if notice is None:
        return
    if not isinstance(notice, Renewed):
        log.warning("token not renewed, next try in %.1f s: %s", notice.retry_s, notice.reason)
        for one in attachments:
            one.tell(events.TokenRenewalFailed, reason=notice.reason, retry_s=notice.retry_s)
        return
    log.info("token replaced (%s)", notice.how)
    for one in attachments:
        one.tell(events.TokenRenewed, expires_ns=expires_ns(notice.token), how=notice.how)
        if one.on_renewed is not None:
            one.on_renewed(notice.token)
