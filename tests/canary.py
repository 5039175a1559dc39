"""Looking for secrets wherever a program that debugs, logs or reports errors would show them.

A test plants texts that occur nowhere else and searches for them: in log records with every logger at
DEBUG, in messages, reprs, and local variables of every frame of a traceback, and, as far as the garbage
collector can see from the client and its error, in objects. The planted texts must never be local
variables of a test's functions, whose frames are part of the tracebacks.
"""

from __future__ import annotations

import gc
import logging
import traceback
import types
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tickwire.client import Client

__all__ = ["chain", "check_nothing_leaked", "holders", "listen"]

_HERE = Path(__file__).parent


def listen(caplog: pytest.LogCaptureFixture) -> None:
    """Capture everything that anyone logs at any level."""
    caplog.set_level(logging.DEBUG)
    for name in ("SignalRCoreClient", "websockets", "websockets.client", "asyncio", "tickwire"):
        caplog.set_level(logging.DEBUG, logger=name)


def chain(error: BaseException) -> Iterator[BaseException]:
    """The error and everything it was raised from or beside, hidden or not."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [one.__cause__, one.__context__]


def holders(roots: Iterable[object], secrets: Iterable[str]) -> set[str]:
    """Types of the objects, reachable from `roots`, that directly hold a text with one of `secrets`."""
    texts = tuple(secrets)
    skipped = (types.ModuleType, type, types.BuiltinFunctionType, types.CodeType)
    found: set[str] = set()
    seen: set[int] = set()
    waiting = list(roots)
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, skipped):
            continue
        seen.add(id(one))
        if isinstance(one, types.FrameType) and Path(one.f_code.co_filename).parent == _HERE:
            continue
        if isinstance(one, types.FunctionType):
            # Its globals are a module's; what a function holds of its own is its closure.
            waiting += [one.__closure__, one.__defaults__]
            continue
        for held in gc.get_referents(one):
            if isinstance(held, str):
                if any(text in held for text in texts):
                    found.add(type(one).__name__)
            elif isinstance(held, bytes | bytearray):
                if any(text.encode() in held for text in texts):
                    found.add(type(one).__name__)
            else:
                waiting.append(held)
    return found


def check_nothing_leaked(
    client: Client | None, error: BaseException | None, logs: pytest.LogCaptureFixture, *secrets: str
) -> None:
    """No log, text, repr or traceback shows any of `secrets`, and only a `Secret` holds one."""
    texts = [logs.text, *(repr(vars(log)) for log in logs.records)]
    if client is not None:
        texts += [repr(client), str(client.status()), repr(vars(client)), repr(vars(client._supervisor))]
    if error is not None:
        for one in chain(error):
            shown = traceback.TracebackException.from_exception(one, capture_locals=True)
            texts += [*shown.format(), str(one), repr(one), repr(one.args), repr(vars(one))]
    assert not [text for text in texts if any(secret in text for secret in secrets)]
    assert holders([client, error], secrets) <= {"Token", "Secret"}
