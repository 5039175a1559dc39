from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator

import psutil
import pytest


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    """No test of the hub leaves a thread, a task or a socket behind."""
    before = set(threading.enumerate())
    sockets = len(psutil.Process().net_connections())
    yield
    gc.collect()
    assert {thread.name for thread in set(threading.enumerate()) - before} == set()
    assert len(psutil.Process().net_connections()) <= sockets
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()
