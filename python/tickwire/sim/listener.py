"""The hub's listening socket, which can be closed and brought back on the same port."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Listener"]

_HOST = "127.0.0.1"
_BACKLOG = 128


class Listener:
    """Accepts connections on loopback for protocols that `factory` makes.

    `changed` is called whenever that begins or ends. While it does not listen, the port stays bound: nobody else gets it, and the kernel answers
    connects with a reset, as it does where no server runs.
    """

    def __init__(self, factory: Callable[[], asyncio.Protocol], changed: Callable[[], None]) -> None:
        self.port = 0
        self._changed = changed
        self._factory = factory
        self._server: asyncio.Server | None = None
        self._held: socket.socket | None = None
        self._opening: asyncio.Task[None] | None = None
        self._return: asyncio.TimerHandle | None = None

    @property
    def listening(self) -> bool:
        """Whether connects are answered."""
        return self._held is None

    async def start(self, port: int) -> None:
        """Listen on this port, 0 being any free one."""
        sock = _bound(port)
        self.port = sock.getsockname()[1]
        try:
            await self._serve(sock)
        except OSError:
            sock.close()
            raise

    def refuse(self, seconds: float | None = None) -> None:
        """Stop listening, for so long or until `listen`; open connections stay."""
        self._cancel_return()
        loop = asyncio.get_running_loop()
        if seconds is not None:
            self._return = loop.call_later(seconds, self.listen)
        if self._opening is not None and not self._opening.done():
            # It has a turn or two of the loop to go, and cannot be stopped halfway.
            self._opening.add_done_callback(lambda _: self._let_go())
        else:
            self._let_go()

    def listen(self) -> None:
        """Listen again; connects succeed from here on."""
        self._cancel_return()
        if self._held is None:
            return
        sock, self._held = self._held, None
        # Connections queue up in the kernel until the loop has come round to accepting them.
        sock.listen(_BACKLOG)
        self._opening = asyncio.get_running_loop().create_task(self._serve(sock), name="tickwire sim listen")
        self._changed()

    async def stop(self) -> None:
        """Close the socket; `wait_closed` after the connections have ended."""
        self._cancel_return()
        if self._opening is not None:
            await asyncio.wait([self._opening])
        if self._held is not None:
            self._held.close()
        if self._server is not None:
            self._server.close()

    async def wait_closed(self) -> None:
        """Return once the server has let go of everything."""
        if self._server is not None:
            await self._server.wait_closed()

    def _let_go(self) -> None:
        if self._held is None and self._server is not None:
            self._server.close()
            self._held = _bound(self.port)
            self._changed()

    async def _serve(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._factory, sock=sock, backlog=_BACKLOG)

    def _cancel_return(self) -> None:
        if self._return is not None:
            self._return.cancel()
            self._return = None


def _bound(port: int) -> socket.socket:
    # With the protocol by name, or asyncio leaves the accepted sockets without TCP_NODELAY.
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            # So that the port can be taken again while connections of the old socket linger.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((_HOST, port))
    except OSError as error:
        sock.close()
        why = (error.strerror or "").lower()
        raise OSError(error.errno, f"cannot listen on {_HOST}:{port}: {why}") from None
    return sock
