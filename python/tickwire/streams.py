"""Which instruments and streams a client wants, from what a user says to the gateway's calls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from .errors import ConfigError, UnknownInstrument
from .projectx import SUBSCRIBE_METHODS
from .wanted import Call

__all__ = ["Streams", "choose", "own_calls", "stream_calls", "stream_symbols"]

Streams: TypeAlias = Iterable[str] | Mapping[str, Iterable[str]]
"""Streams of every instrument, or a dict of symbol -> streams."""


def choose(symbols: Iterable[str] | None, known: tuple[str, ...]) -> tuple[str, ...]:
    """Some of the known instruments, each once; all of them for None."""
    if symbols is None:
        return tuple(known)
    chosen = (symbols,) if isinstance(symbols, str) else tuple(dict.fromkeys(symbols))
    unknown = [symbol for symbol in chosen if symbol not in known]
    if unknown:
        raise UnknownInstrument(
            f"symbols: {', '.join(map(repr, unknown))} not among {', '.join(map(repr, known))}"
        )
    if not chosen:
        raise ConfigError("symbols: got none; leave it out for all of the engine's instruments")
    return chosen


def stream_symbols(streams: Streams, symbols: Iterable[str] | None) -> Iterable[str] | None:
    """The instruments that are meant: those given, else those that a dict of streams names."""
    return streams if symbols is None and isinstance(streams, Mapping) else symbols


def stream_calls(streams: Streams, symbols: tuple[str, ...]) -> list[Call]:
    """The calls for some streams of some instruments."""
    if isinstance(streams, Mapping):
        if strange := [symbol for symbol in streams if symbol not in symbols]:
            raise UnknownInstrument(f"streams: {strange[0]!r} not among {', '.join(map(repr, symbols))}")
        return [call for symbol, names in streams.items() for call in stream_calls(names, (symbol,))]
    methods = []
    for name in (streams,) if isinstance(streams, str) else tuple(dict.fromkeys(streams)):
        if name not in SUBSCRIBE_METHODS:
            known = ", ".join(map(repr, SUBSCRIBE_METHODS))
            raise ConfigError(f"streams: got {name!r}, expected any of {known}")
        methods.append(SUBSCRIBE_METHODS[name])
    if not methods:
        raise ConfigError("streams: got none, expected at least one of 'trades', 'quotes', 'depth'")
    return [Call(method, (symbol,), f"Uns{method[1:]}", symbol) for method in methods for symbol in symbols]


def own_calls(calls: Iterable[tuple[object, ...]]) -> list[Call]:
    """Hub methods that a user wants called, each a tuple of its name and arguments."""
    made = []
    for call in calls:
        if not isinstance(call, tuple) or not call or not isinstance(call[0], str):
            raise ConfigError(
                f"calls: got {call!r}, expected a tuple of a method and its arguments, "
                'like ("SubscribeOrders", 123)'
            )
        made.append(Call(call[0], call[1:]))
    return made
