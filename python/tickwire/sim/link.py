"""Ends of TCP connections that no polite server makes."""

from __future__ import annotations

import socket
import struct
import sys
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import asyncio

__all__ = ["end_link", "undelivered_bytes"]

_LINGER_ZERO = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


def end_link(transport: asyncio.Transport, how: Literal["fin", "rst"]) -> None:
    """End a TCP connection: in order behind what was written, or by a reset."""
    if how == "fin":
        transport.close()
        return
    sock: socket.socket | None = transport.get_extra_info("socket")
    if sock is not None:
        # Lingering for zero seconds makes closing send RST instead of FIN.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
    transport.abort()


def undelivered_bytes(transport: asyncio.Transport) -> int:
    """Bytes that a reset would lose: not yet sent, or not yet acknowledged by the other side's kernel.

    Where the kernel cannot be asked, only what waits in the transport is counted.
    """
    return transport.get_write_buffer_size() + _unacknowledged_bytes(transport)


if sys.platform == "linux":
    import fcntl
    import termios

    def _unacknowledged_bytes(transport: asyncio.Transport) -> int:
        sock: socket.socket | None = transport.get_extra_info("socket")
        if sock is None or sock.fileno() < 0:
            return 0
        # For a socket this request is SIOCOUTQ, of the same number.
        answer = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4))
        return int(struct.unpack("i", answer)[0])

else:

    def _unacknowledged_bytes(transport: asyncio.Transport) -> int:  # noqa: ARG001
        return 0
